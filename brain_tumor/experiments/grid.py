"""A grid: a table of recipes, by split and by cell, trained side by side and gathered in one folder.

The folder holds the probability of every test slice, a column a cell, from which every table and every paired answer is
computed. What stands there is not trained again, so a stopped grid goes on where it was, also from its record on another machine.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pandas as pd

from brain_tumor import files
from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import FileError, ModelError, RunError
from brain_tumor.evaluation import scoring, storage
from brain_tumor.experiments import capacity, run as experiment, tasks
from brain_tumor.experiments.jobs import side_by_side
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.models import settings, weights
from brain_tumor.progress import within
from brain_tumor.training.runs import RunFolder, now

DESCRIPTION, COSTS = "grid.json", "costs.csv"
KEYS = ["case_id", "slice", "tumour"]
COST = ["split", "cell", "run", "threshold", "seconds", "precision"]
DECIMALS = 4  # of a probability
Place = tuple[str, str]  # a split and the name of a cell


def train(
    folder: Path,
    recipes: Mapping[Place, Recipe],
    cohort: Cohort,
    facts: dict,
    on_run: Callable[[int, int, RunFolder], None] | None = None,
    record: Path | None = None,
    workers: int | None = None,
) -> Path:
    """Train and score every recipe that is not yet, gathering as it goes; equal recipes are one training.

    Args:
        folder: the grid's, whether it is there or not.
        recipes: in the order of training, which is that of rows and columns too.
        facts: what ``grid.json`` says of the grid besides its data and how far it is.
        on_run: called with the number, how many are to be trained, and the run, as each has been trained and scored.
        record: what git keeps of this grid, to go on from where it has come further than ``folder``, whose other cells are
            gathered again from their runs.
        workers: how many train side by side (:mod:`brain_tumor.experiments.jobs`); None for the number with which this folder was
            begun, else for what fits (:mod:`brain_tumor.experiments.capacity`).

    Returns:
        ``folder``: ``grid.json``, ``costs.csv``, and a split each ``slices-SPLIT.csv`` (``case_id, slice, tumour`` and a column
        of probabilities a cell) and ``floors-SPLIT.csv``.

    Raises:
        ModelError: weights are missing that a cell begins with, or they are not those that earlier cells began with.
        RunError: a task says nothing of single slices, or the cells of a split were tested on different ones.
        DataError, SplitError, ModelError, RunError: as of any run; what is gathered so far stays.
    """
    for task in [tasks.of(name) for name in sorted({recipe.TASK for recipe in recipes.values()})]:
        if task.slices is None:
            raise RunError(f"{folder}: a grid compares single slices, of which a run of {task.name} says nothing")
    begun = read(folder).get("workers") if done(folder) else None
    if record and done(record) > done(folder):
        shutil.copytree(record, folder, dirs_exist_ok=True)
    store = open_store(cohort)
    description = facts | {
        "cohort": cohort.name, "phantom": cohort.phantom, "data_hash": store.data_hash, "patients": len(cohort),
        "slices": cohort.n_slices, "started": now(),
    }  # fmt: skip
    grid = GridFolder(folder, recipes, description)
    absent: dict[str, list[Place]] = {}  # a run's name -> the cells that it answers
    for place, recipe in recipes.items():
        if not grid.copy(place):
            absent.setdefault(experiment.run_folder(recipe, store).path.name, []).append(place)
    trainings = [(recipes[places[0]], cohort) for places in absent.values()]
    _check_weights([recipe for recipe, _ in trainings], grid)
    if not trainings:
        return folder
    workers = capacity.workers(list(dict.fromkeys(recipes.values())), cohort, workers, begun)
    grid.description |= {"workers": workers}
    runs = side_by_side(_train, trainings, workers) if workers > 1 else _in_turn(trainings)
    for number, run in enumerate(runs, 1):
        for place in absent[run.path.name]:
            grid.add(place, run)
        if on_run:
            on_run(number, len(absent), run)
    return folder


def read(folder: Path) -> dict:
    """``grid.json``.

    Raises:
        RunError: there is none, or it is damaged.
    """
    try:
        return files.read_json(folder / DESCRIPTION, ("cohort", "data_hash", "done"))
    except FileNotFoundError:
        raise RunError(f"{folder}: no such grid (no {DESCRIPTION})") from None
    except FileError as error:
        raise RunError(f"{error}; copy it again, or remove it and give the grid's command again") from None


def costs(folder: Path) -> pd.DataFrame:
    """``costs.csv``: a row a split and cell, with the run that answers it, its threshold, seconds of training and precision."""
    return storage.read_table(folder / COSTS)


def done(folder: Path) -> int:
    """How many splits and cells a grid's folder or record holds; 0 where there is none."""
    return read(folder)["done"] if (folder / DESCRIPTION).is_file() else 0


class GridFolder:
    """The tables of a grid, as far as they have come."""

    def __init__(self, path: Path, recipes: Mapping[Place, Recipe], description: dict):
        self.path, self.recipes, self.description = path, recipes, description
        self.costs: dict[Place, dict] = {}
        self.slices: dict[str, pd.DataFrame] = {}
        self.encoders: dict[str, str] = {}  # the file of the weights that runs began with -> SHA-256
        if done(path):
            earlier = read(path)
            self.description, self.encoders = description | {"started": earlier["started"]}, earlier.get("encoders", {})
            self.costs = {(row["split"], row["cell"]): row for row in costs(path).to_dict("records")}
            self.slices = {split: scoring.read_counts(path, f"slices-{split}.csv") for split, _ in self.costs}

    def copy(self, place: Place) -> bool:
        """Take the column of a cell of equal recipe, whatever its run's name; whether the cell is here then, or was before."""
        if place in self.costs:
            return True
        equal = next((row for there, row in self.costs.items() if self.recipes.get(there) == self.recipes[place]), None)
        if equal:
            self._write(place, equal, self.slices[place[0]], self.slices[place[0]][equal["cell"]], {})
        return bool(equal)

    def add(self, place: Place, run: RunFolder) -> None:
        """Take the column of a cell from its scored run.

        Raises:
            ModelError: the run began with other weights of the same name than a cell that is here.
            RunError: it was tested on other slices.
        """
        facts, task, split = run.description, tasks.of(self.recipes[place].TASK), place[0]
        if encoder := facts["encoder"]:
            self.check_encoder(encoder["file"], encoder["sha256"])
            self.encoders[encoder["file"]] = encoder["sha256"]
        assert task.slices, "looked at before anything is trained"
        predictions = task.slices({task.main: scoring.read_counts(run.path, task.main)})
        table = self.slices.get(split, predictions[KEYS])
        if not table[KEYS].equals(predictions[KEYS]):
            raise RunError(f"{run.path}: tested on other slices than earlier cells on {split}, expected the same ones")
        cost = {"run": run.path.name, "threshold": facts.get("threshold", facts["recipe"]["threshold"]),
                "seconds": facts["training_seconds"], "precision": facts["precision"]}  # fmt: skip
        floors = {f"floors-{split}.csv": scoring.read_counts(run.path, task.slice_floors)}
        self._write(place, cost, table, predictions.probability.round(DECIMALS), floors)

    def check_encoder(self, name: str, digest: str) -> None:
        """Refuse weights of the name of those that other cells began with, but of other content.

        Raises:
            ModelError: they differ; a grid compares networks that began alike.
        """
        if self.encoders.get(name, digest) != digest:
            raise ModelError(
                f"{name}: SHA-256 {digest[:12]}, but cells of {self.path} began with {self.encoders[name][:12]}; "
                "bring that file back, or remove the folder and its record to train the grid anew"
            )

    def _write(self, place: Place, cost: dict, table: pd.DataFrame, column: pd.Series, floors: scoring.Tables) -> None:
        """One more column and row; all stand in the order of the recipes, whatever ended first."""
        split, cell = place
        self.costs[place] = cost | {"split": split, "cell": cell}
        table = table.assign(**{cell: column})
        self.slices[split] = table[KEYS + [name for there, name in self.recipes if there == split and name in table]]
        rows = pd.DataFrame([self.costs[there] for there in self.recipes if there in self.costs])[COST]
        scoring.write(floors | {f"slices-{split}.csv": self.slices[split], COSTS: rows}, self.path)
        progress = {"encoders": self.encoders, "done": len(rows), "of": len(self.recipes), "ended": now()}
        files.write_json(self.path / DESCRIPTION, self.description | progress)


def _check_weights(recipes: list[Recipe], grid: GridFolder) -> None:
    """Refuse weights that are not here yet before anything is trained, all at once: each takes long to make; and other ones."""
    commands = []
    for source, model, normalisation, size in sorted({(r.weights, r.model, r.normalisation, r.size) for r in recipes}):
        if source in ("none", "imagenet") or source.endswith(weights.ENDING):  # downloaded, or a file that its run refuses
            continue
        backbone = model.rpartition("-")[2]  # of `unet-resnet18` too
        try:
            path = weights.source_file(source, backbone, normalisation, size)
        except ModelError:
            commands.append(f"`{weights.pretrain_command(source, backbone, normalisation)}`")
        else:
            grid.check_encoder(path.name, files.sha256_file(path))
    if commands:
        raise ModelError(f"the grid's encoders begin with weights that are not here; make them with {' and '.join(commands)}")


def _in_turn(trainings: list[tuple[Recipe, Cohort]]) -> Iterator[RunFolder]:
    for number, training in enumerate(trainings, 1):
        with within(f"{number} of {len(trainings)}"):
            run = _train(*training)
        yield run


def _train(recipe: Recipe, cohort: Cohort) -> RunFolder:
    """Train and score one run."""
    run = experiment.train(recipe, cohort)
    experiment.evaluate(run, cohort)
    settings.clear_session()  # else each network stays in memory beside the next
    return run
