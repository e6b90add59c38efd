"""The grid: each cell of :mod:`brain_tumor.studies.source_002.cells` is an ordinary run on each split.

Its own folder gathers the probability of every test slice, a column a cell, from which every table and every paired answer is
computed. What stands there is not trained again, so a stopped grid goes on where it was, also from its record on another machine.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from brain_tumor import files
from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import ModelError
from brain_tumor.experiments import run as experiment, scoring
from brain_tumor.experiments.jobs import side_by_side
from brain_tumor.experiments.recipe import ClassificationRecipe
from brain_tumor.models import settings, weights
from brain_tumor.paths import runs_folder
from brain_tumor.progress import within
from brain_tumor.studies.source_002.cells import CELLS, CLAIMS, QUESTIONS, WITHOUT_INPUT_BATCHNORM, Cell
from brain_tumor.training.augment import NONE, Augmentation
from brain_tumor.training.plan import Stage
from brain_tumor.training.runs import RunFolder, now

EPOCHS, BATCH = 30, 8  # 002.18, 002.17
SOURCE_SPLIT = "source-002"  # over slices: what the source would have seen, so of its own cells alone
PRECISION = "mixed_bfloat16"  # of all cells alike: a format that is measured may differ from one cell to the next
DESCRIPTION, COSTS = "grid.json", "costs.csv"
KEYS = ["case_id", "slice", "tumour"]
COST = ["split", "cell", "run", "threshold", "seconds", "precision"]


@dataclass(frozen=True)
class Budget:
    """How much a grid may cost.

    Attributes:
        name: what to call it.
        size: slice height and width in pixels.
        epochs: of each run. SGD's rate is multiplied by 30 / epochs, so that it can go as far as in the source's thirty.
        splits: on which every cell is trained; those of our own not on :data:`SOURCE_SPLIT`.
        folds: on which the cells of the claims are trained again, and judged together; may be empty.
        weights: where the encoders begin (:mod:`brain_tumor.models.weights`).
        cost: what to expect, in words.
        every: whether all claims are asked on the folds, or those alone that are to be asked ``again``.
    """

    name: str
    size: int
    epochs: int
    splits: tuple[str, ...]
    folds: tuple[str, ...]
    weights: str
    cost: str
    every: bool = True


BUDGETS = {
    "cpu": Budget(
        "cpu", 128, 4, ("ratio-15", SOURCE_SPLIT), tuple(f"fold-{fold}-of-3" for fold in (1, 2, 3)), "mri4",
        "some five hours on two quiet cores, with two workers", every=False,
    ),
    "full": Budget(
        "full", 224, EPOCHS, (SOURCE_SPLIT,), tuple(f"fold-{fold}-of-5" for fold in range(1, 6)), "imagenet",
        "about a day on one GPU or ten on two quiet cores with two workers (neither tried: reckoned from the other's times)",
    ),
}  # fmt: skip


def recipe(cell: Cell, budget: Budget, split: str, cohort: str) -> ClassificationRecipe:
    """What is trained for a cell on a split; equal cells have equal recipes."""
    affine = "raw" if budget.weights == "imagenet" else "unit"  # the range in which the encoder's weights were learnt
    if cell.momentum is None:
        plan = Stage(cell.strategy, budget.epochs, cell.max_lr)
    else:
        rate = cell.max_lr * EPOCHS / budget.epochs
        sgd: dict[str, Any] = {"optimiser": "sgd", "momentum": cell.momentum, "schedule": "constant"}
        plan = Stage(cell.strategy, budget.epochs, rate, cell.part, 0.0, **sgd)
    return ClassificationRecipe(
        cohort=cohort,
        split=split,
        model=cell.model,
        size=budget.size,
        normalisation=affine if cell.normalised_anyway else cell.normalisation,
        augmentation=Augmentation(**asdict(NONE) | {"flip": cell.flip}),
        stages=(plan,),
        batch_size=BATCH,
        flip_tta=False,
        precision=PRECISION,
        weights=budget.weights if cell.input_batchnorm and cell.model != "plain" else "none",
        input_batchnorm=cell.input_batchnorm,
    )


def cells(names: tuple[str, ...] = ()) -> tuple[Cell, ...]:
    """The cells of these names, or all, in the order of the table, each once.

    Raises:
        ModelError: there is none of that name.
    """
    known = {cell.name: cell for cell in (*CELLS, *WITHOUT_INPUT_BATCHNORM)}
    for name in names:
        if name not in known:
            raise ModelError(f"no cell {name!r}, expected some of {', '.join(known)}")
    return tuple(cell for name, cell in known.items() if name in names or not names)


def plan(budget: Budget, chosen: tuple[Cell, ...]) -> Iterator[tuple[str, Cell]]:
    """Every split and cell, in the order in which they are trained: all cells once before any again."""
    judged = {name for claim in (*CLAIMS, *QUESTIONS) if claim.again or budget.every for name in (claim.one, claim.other)}
    for split in budget.splits:
        yield from ((split, cell) for cell in chosen if split != SOURCE_SPLIT or cell in CELLS)
    for fold in budget.folds:
        yield from ((fold, cell) for cell in chosen if cell.name in judged)


def train(
    budget: Budget,
    cohort: Cohort,
    names: tuple[str, ...] = (),
    on_run: Callable[[int, int, RunFolder], None] | None = None,
    record: Path | None = None,
    workers: int = 1,
) -> Path:
    """Train and score every cell on every split that is not yet, gathering as it goes.

    Args:
        names: cells by name; all where none is given.
        on_run: told the number, how many are to be trained, and the run, as each has been trained and scored.
        record: what was kept of this grid earlier, to go on from where it has come further than its folder here, whose
            other cells are gathered again from their runs.
        workers: processes that train side by side, a core each (:mod:`brain_tumor.experiments.jobs`).

    Returns:
        The grid's folder: ``grid.json``, ``costs.csv``, and a split each ``slices-SPLIT.csv`` (``case_id, slice, tumour`` and a
        column of probabilities a cell) and ``floors-SPLIT.csv``.

    Raises:
        ModelError: weights are missing that a cell begins with, or they are not those that what is gathered began with.
        ModelError, DataError, SplitError, RunError: as of any run; what is gathered so far stays.
    """
    chosen, store = cells(names), open_store(cohort)
    steps = list(plan(budget, chosen))
    folder = runs_folder() / grid_name(budget, cohort, chosen)
    if record and _done(record) > _done(folder):
        shutil.copytree(record, folder, dirs_exist_ok=True)
    description = {
        "budget": asdict(budget), "cells": [asdict(cell) for cell in chosen], "cohort": cohort.name, "phantom": cohort.phantom,
        "data_hash": store.data_hash, "patients": len(cohort), "slices": cohort.n_slices, "workers": workers, "started": now(),
    }  # fmt: skip
    gathered = _Gathered(folder, description, steps)
    asked: dict[str, list[tuple[str, Cell]]] = {}  # a run's name -> the cells that it answers
    trainings: dict[str, tuple[ClassificationRecipe, Cohort]] = {}
    for split, cell in steps:
        wants = gathered.recipes[split, cell.name]
        if gathered.equal(split, cell):  # equal cells are one training
            gathered.add(split, cell)
        else:
            name = experiment.run_folder(wants, store).path.name
            asked.setdefault(name, []).append((split, cell))
            trainings[name] = (wants, cohort)
    _check_weights([wants for wants, _ in trainings.values()], gathered)
    tasks = list(trainings.values())
    ended = side_by_side(_train, tasks, workers) if workers > 1 else _in_turn(tasks)
    for number, name in enumerate(ended, 1):
        run = RunFolder(runs_folder() / name)
        for split, cell in asked[name]:
            gathered.add(split, cell, run)
        if on_run:
            on_run(number, len(asked), run)
    return folder


def _done(folder: Path) -> int:
    """How many cells a grid's folder holds."""
    return files.read_json(folder / DESCRIPTION)["done"] if (folder / DESCRIPTION).is_file() else 0


def _check_weights(asked: list[ClassificationRecipe], gathered: "_Gathered") -> None:
    """Refuse weights that are not here yet before anything is trained, all at once: each takes long to make; and other ones."""
    commands = []
    for source, backbone, normalisation in sorted({(a.weights, a.model, a.normalisation) for a in asked}):
        if source in ("none", "imagenet"):  # which are downloaded
            continue
        try:
            path = weights.source_file(source, backbone, normalisation, asked[0].size)
        except ModelError:
            commands.append(f"`{weights.pretrain_command(source, backbone, normalisation)}`")
        else:
            gathered.check_encoder(path.name, files.sha256_file(path))
    if commands:
        raise ModelError(f"the grid's encoders begin with weights that are not here; make them with {' and '.join(commands)}")


class _Gathered:
    """The tables of a grid, as far as they have come."""

    def __init__(self, folder: Path, description: dict, steps: list[tuple[str, Cell]]):
        self.folder, self.description = folder, description
        self.order = {(split, cell.name): place for place, (split, cell) in enumerate(steps)}
        budget, cohort_name = Budget(**description["budget"]), description["cohort"]
        self.recipes = {(split, cell.name): recipe(cell, budget, split, cohort_name) for split, cell in steps}
        self.costs: dict[tuple[str, str], dict] = {}
        self.slices: dict[str, pd.DataFrame] = {}
        self.encoders: dict[str, str] = {}  # the file of the weights that runs began with -> SHA-256
        if not (folder / DESCRIPTION).is_file():
            return
        description["started"] = files.read_json(folder / DESCRIPTION)["started"]
        rows = pd.read_csv(folder / COSTS, dtype={"cell": str}).to_dict("records")
        self.costs = {(row["split"], row["cell"]): row for row in rows}
        self.slices = {split: _read(folder / f"slices-{split}.csv") for split, _ in self.costs}
        self.encoders = files.read_json(folder / DESCRIPTION).get("encoders", {})

    def equal(self, split: str, cell: Cell) -> dict | None:
        """The row of costs of a cell that is here already and whose recipe equals this cell's, whatever its run was named."""
        wants = self.recipes[split, cell.name]
        return next((row for place, row in self.costs.items() if self.recipes.get(place) == wants), None)

    def check_encoder(self, name: str, digest: str) -> None:
        """Refuse weights of the name of those that other cells began with, but of other content.

        Raises:
            ModelError: they differ; a grid compares networks that began alike.
        """
        if self.encoders.get(name, digest) != digest:
            raise ModelError(
                f"{name}: SHA-256 {digest[:12]}, but cells of {self.folder} began with {self.encoders[name][:12]}; "
                "bring that file back, or remove the folder and its record to train the grid anew"
            )

    def add(self, split: str, cell: Cell, run: RunFolder | None = None) -> None:
        """One more column, unless it is there; columns and rows stand in the order of the plan, whatever ended first.

        Args:
            run: whose probabilities they are; None where an equal cell is here.
        """
        if (split, cell.name) in self.costs:
            return
        cost, tables = self.equal(split, cell), {}
        if cost:
            column, table = self.slices[split][cost["cell"]], self.slices[split]
        elif run is None:
            raise ValueError(f"{split}, {cell.name}: neither a run nor an equal cell")
        else:
            assert run is not None
            facts, predictions = run.description, _read(run.path / scoring.SLICES)
            if encoder := facts["encoder"]:
                self.check_encoder(encoder["file"], encoder["sha256"])
                self.encoders[encoder["file"]] = encoder["sha256"]
            column, table = predictions.probability.round(4), self.slices.get(split, predictions[KEYS])
            cost = {"run": run.path.name, "threshold": facts["threshold"], "seconds": facts["training_seconds"],
                    "precision": facts["precision"]}  # fmt: skip
            tables[f"floors-{split}.csv"] = _read(run.path / scoring.FLOORS)
        self.costs[split, cell.name] = cost | {"split": split, "cell": cell.name}
        table = table.assign(**{cell.name: column})
        names = sorted(table.columns.difference(KEYS), key=lambda name: self.order[split, name])
        self.slices[split] = tables[f"slices-{split}.csv"] = table[KEYS + names]
        costs = pd.DataFrame([self.costs[key] for key in sorted(self.costs, key=self.order.__getitem__)])[COST]
        scoring.write(tables | {COSTS: costs}, RunFolder(self.folder))
        progress = {"encoders": self.encoders, "done": len(costs), "of": len(self.order), "ended": now()}
        files.write_json(self.folder / DESCRIPTION, self.description | progress)


def _in_turn(trainings: list[tuple[ClassificationRecipe, Cohort]]) -> Iterator[str]:
    for number, (wants, cohort) in enumerate(trainings, 1):
        with within(f"{number} of {len(trainings)}"):
            name = _train(wants, cohort)
        yield name


def _train(wants: ClassificationRecipe, cohort: Cohort) -> str:
    """Train and score one run; its name."""
    run = experiment.train(wants, cohort)
    experiment.evaluate(run, cohort)
    settings.clear_session()  # else each network stays in memory beside the next
    return run.path.name


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"case_id": str})


def grid_name(budget: Budget, cohort: Cohort, chosen: tuple[Cell, ...]) -> str:
    """The folder's name: what a person looks for first, then a hash of all that decides it, the data too."""
    described = [asdict(replace(cell, stated="")) for cell in chosen]  # words decide nothing
    identity = [asdict(replace(budget, cost="")), described, open_store(cohort).data_hash]
    digest = files.sha256_json(identity)[:8]
    return f"{cohort.name}-grid-{budget.name}-{digest}"
