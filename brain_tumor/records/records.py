"""Records: what is kept of a run in git. Tables and JSON only: no pixel, no weight, no path of the machine that ran it.

Only git is sure to last (DESIGN law 10): scores, paired comparisons and figures are rebuilt from records, and the weights are
trained again by the command that each record names.
"""

import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.errors import RunError
from brain_tumor.evaluation import detection, intervals, overlap, protocols
from brain_tumor.paths import reports_folder

if TYPE_CHECKING:
    from brain_tumor.experiments.recipe import Recipe, SegmentationRecipe
    from brain_tumor.training.runs import RunFolder

TABLES = {
    "segmentation": ("history.csv", "counts.csv", "cases.csv", "scores.csv"),
    "classification": ("history.csv", "slices.csv", "floors.csv", "cases.csv", "scores.csv", "calibration.csv"),
}
FILES = ("run.json", "split.json")
# Tables that runs scored by earlier versions lack, and some that only whole exams give.
LATER = ("floors.csv", "slice_floors.csv", "counts_largest.csv", "boundary.csv", "boundary_slices.csv", "boundary_scores.csv",
         "pixels.csv", "subgroups.csv", "detection.csv", "calibration.csv")  # fmt: skip
DECIMALS = 6  # as many as a slice probability has, so that no two become equal
# What :func:`read_records` tells of a recipe.
ASKED = ("cohort", "split", "split_seed", "validation", "model", "weights", "channels", "size", "normalisation", "loss",
         "batch_size", "batchnorm_momentum", "flip_tta", "precision", "seed")  # fmt: skip
FACTS = ("data_hash", "precision", "parameters", "training_seconds")


def records_folder() -> Path:
    """Where records lie: a folder a run."""
    return reports_folder() / "records"


def commit_record(run: "RunFolder") -> Path:
    """Copy what is worth keeping of a finished, scored run of real patients to its record.

    Returns:
        The record's folder, whole or not there at all.

    Raises:
        RunError: the run is of the phantom, unfinished, unscored, or its recipe cannot be told as a command.
    """
    facts = run.description
    if facts["phantom"]:
        raise RunError(f"{run.path}: a run on the phantom, which is never published")
    if facts["status"] != "finished":
        raise RunError(f"{run.path}: the run is {facts['status']}, only finished runs are recorded")
    tables = TABLES[_task(facts["recipe"])]
    absent = [name for name in (*FILES, *tables) if not (run.path / name).is_file()]
    if absent:
        raise RunError(f"{run.path}: no {absent[0]}; score the run first: brain-tumor evaluate {run.path.name}")
    folder = records_folder() / run.path.name
    model = files.read_json(run.path / "model.json")
    command = retrain_command(facts["recipe"], folder)
    recipe = facts["recipe"] | {"split": Path(facts["recipe"]["split"]).name}
    with files.atomic_folder(folder) as temporary:
        files.write_json(temporary / "run.json", facts | {"recipe": recipe, "command": command, "model": model})
        shutil.copyfile(run.path / "split.json", temporary / "split.json")
        for name in dict.fromkeys([*tables, *(name for name in LATER if (run.path / name).is_file())]):
            pd.read_csv(run.path / name).round(DECIMALS).to_csv(temporary / name, index=False)
    keep_weights(facts.get("encoder"))
    return folder


def keep_weights(encoder: dict | None) -> Path | None:
    """Keep the record of the weights that a recorded run began with: from which pictures they were learnt, and how well.

    Args:
        encoder: what :func:`brain_tumor.models.weights.load_encoder` told.

    Returns:
        ``records/weights/NAME.json``; None where there is nothing to keep: no weights, a download, or a file that is gone.
    """
    from brain_tumor.models import weights

    source = encoder and weights.record_file(weights.folder() / encoder["file"])
    if not source or not source.is_file() or files.read_json(source)["sha256"] != encoder["sha256"]:
        return None
    kept = records_folder() / "weights" / source.name
    files.write_text(kept, source.read_text(encoding="utf-8"))
    return kept


def retrain_command(recipe: dict, folder: Path) -> str:
    """The command line that trains ``recipe`` again; a split that was a file is taken from the record in ``folder``.

    Raises:
        RunError: the command line cannot say all of it.
    """
    from brain_tumor.experiments import recipe as recipes
    from brain_tumor.training import strategies

    try:
        asked = recipes.from_json(recipe)
    except RunError as error:
        raise RunError(f"{folder.name}: {error}") from None
    task, plan = asked.TASK, strategies.told(asked.stages, asked.NEW_LAYERS)
    if plan is None or asked.threshold != type(asked)().threshold:
        raise RunError(f"{folder.name}: `brain-tumor train {task}` cannot say its whole recipe, so no command could repeat it")
    # What the identity leaves out is at its default, which a command need not say; a classifier has but one loss.
    said = recipes.identity(asked).keys() - {"augmentation", "stages", "threshold", "loss" if task == "classification" else ""}
    told = {item.name: getattr(asked, item.name) for item in fields(asked) if item.name in said}
    if asked.split.endswith(".json"):
        told["split"] = f"reports/records/{folder.name}/split.json"
    told |= plan | asdict(asked.augmentation)
    return " ".join([f"brain-tumor train {task}", *(_option(name.replace("_", "-"), value) for name, value in told.items())])


def task_of(folder: Path) -> str:
    """``segmentation`` or ``classification``: what a scored run's or record's tables are of."""
    return "classification" if (folder / "slices.csv").is_file() else "segmentation"


def all_records() -> list[Path]:
    """Every record's folder, by name."""
    return sorted(path.parent for path in records_folder().glob("*/run.json"))


def find_record(name: str) -> Path:
    """A record by its run's name, or the beginning of it where that is enough.

    Raises:
        RunError: none, or several.
    """
    found = [path for path in all_records() if path.name == name] or [
        path for path in all_records() if path.name.startswith(name)
    ]
    if len(found) != 1:
        raise RunError(f"{name}: {len(found) or 'no'} such record{'s' if len(found) > 1 else ''} in {records_folder()}")
    return found[0]


def read_records(data_hash: str | None = None, task: str = "segmentation") -> pd.DataFrame:
    """All records of a task as one table, a row a record, protocol and size; of classifiers, a row a record and measure.

    Args:
        data_hash: keep only runs on these very data.
        task: ``segmentation`` or ``classification``.

    Returns:
        ``run``, the recipe's fields but for size (``working_size``), ``data_hash, precision, parameters, training_seconds,
        backend``, and the columns of :func:`brain_tumor.evaluation.protocols.score` or, of classifiers,
        :func:`brain_tumor.evaluation.detection.score_with_floors`. Empty, with no row, where there is none.
    """
    tables = []
    for folder in (folder for folder in all_records() if task_of(folder) == task):
        facts = files.read_json(folder / "run.json")
        recipe = {name: facts["recipe"].get(name) for name in ASKED}
        recipe["working_size"] = recipe.pop("size")
        row = {"run": folder.name, **recipe, **{name: facts[name] for name in FACTS}, "backend": facts["environment"]["backend"]}
        if data_hash in (None, facts["data_hash"]):
            tables.append(pd.read_csv(folder / "scores.csv").assign(**row))
    scored = ["protocol", "size", "dice"] if task == "segmentation" else ["measure", "value"]
    columns = ["run", "model", "split", "seed", "working_size", *scored, "low", "high", "floor"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def read_counts(folder: Path, name: str = "counts.csv") -> pd.DataFrame:
    """A record's or run's ``counts.csv``, or another table of counts."""
    return pd.read_csv(folder / name, dtype={"case_id": str})


def read_slices(folder: Path) -> pd.DataFrame:
    """``case_id, slice, tumour, probability`` of a classifier's ``slices.csv``, or of a segmentation's counts at native size."""
    if task_of(folder) == "classification":
        return pd.read_csv(folder / "slices.csv", dtype={"case_id": str})
    counts = read_counts(folder)
    return overlap.as_slices(counts[counts["size"] == counts["size"].max()])


def read_slice_floors(folder: Path) -> pd.DataFrame | None:
    """What the image-free predictors say of the same slices: the rows of :func:`read_slices` with a column ``floor``.

    None in records from before these floors were kept.
    """
    path = folder / ("floors.csv" if task_of(folder) == "classification" else "slice_floors.csv")
    return pd.read_csv(path, dtype={"case_id": str}) if path.is_file() else None


def read_floors(folder: Path) -> dict[str, pd.DataFrame]:
    """A segmentation's floors: an image-free predictor's name -> its counts; none in records from before floors were kept."""
    path = folder / "floors.csv"
    return dict(list(pd.read_csv(path, dtype={"case_id": str}).groupby("floor"))) if path.is_file() else {}


def recorded(recipe: "Recipe", data_hash: str) -> "RunFolder | None":
    """The record of just this recipe on just these data, read like a run: its tables and facts are there, its model is not."""
    from brain_tumor.training.runs import RunFolder

    folder = records_folder() / recipe.run_id
    facts = files.read_json(folder / "run.json") if (folder / "run.json").is_file() else {}
    return RunFolder(folder) if facts.get("data_hash") == data_hash and _recipe(facts) == recipe else None


def counts_like(recipe: "SegmentationRecipe", model: str, data_hash: str) -> list[pd.DataFrame]:
    """The counts of every record on these data whose recipe is this one, but for its model, ``model``, and its seed."""
    wanted, found = replace(recipe, model=model), []
    for folder in all_records():
        facts = files.read_json(folder / "run.json")
        theirs = _recipe(facts)
        if facts["data_hash"] == data_hash and theirs and replace(theirs, seed=recipe.seed) == wanted:
            found.append(read_counts(folder))
    return found


def scores_of(folder: Path) -> pd.DataFrame:
    """A record's scores computed anew from its counts, or slices, and floors: nobody has to believe ``scores.csv``."""
    if task_of(folder) == "classification":
        threshold = files.read_json(folder / "run.json")["threshold"]
        return detection.score_with_floors(read_slices(folder), read_slice_floors(folder), threshold)
    return protocols.score(read_counts(folder), floor_counts=read_floors(folder))


def mean_scores(
    counts: Sequence[pd.DataFrame], seed: int = 0, floor_counts: Mapping[str, pd.DataFrame] | None = None
) -> pd.DataFrame:
    """The mean score of several runs of one recipe that differ in seed, with the interval of that mean over patients.

    Args:
        counts: a ``counts`` table a run, on the same slices.
        seed, floor_counts: as in :func:`brain_tumor.evaluation.protocols.score`.

    Returns:
        As :func:`brain_tumor.evaluation.protocols.score`, with ``lowest`` and ``highest``, the runs' own extremes.
    """
    tables = [protocols.score(table, seed, floor_counts) for table in counts]
    result = tables[0].copy()
    each = np.stack([table.dice for table in tables])
    result["dice"], result["lowest"], result["highest"] = each.mean(axis=0), each.min(axis=0), each.max(axis=0)
    for index, row in result.iterrows():
        protocol = protocols.named(row.protocol)
        by_patient = np.stack([protocol.per_patient(table[table["size"] == row["size"]]) for table in counts], axis=1)

        def mean(drawn: np.ndarray, protocol=protocol) -> np.ndarray:
            return np.mean([protocol.summarise(drawn[..., run, :]) for run in range(len(counts))], axis=0)

        result.loc[index, ["low", "high"]] = intervals.bootstrap(by_patient, mean, seed, vectorised=True)
    return result


def mean_cases(counts: Sequence[pd.DataFrame], size: int) -> pd.DataFrame:
    """A row a case with the mean Dice over the runs of ``counts``, at one size; the other columns are the first run's."""
    tables = [overlap.per_case(table[table["size"] == size]) for table in counts]
    return tables[0].assign(dice=np.mean([table.dice for table in tables], axis=0)).reset_index()


def _recipe(facts: dict) -> "Recipe | None":
    """The recipe of a record; None where a version of this package wrote it whose recipes were others."""
    from brain_tumor.experiments.recipe import from_json

    try:
        return from_json(facts["recipe"])
    except RunError:
        return None


def _task(recipe: dict) -> str:
    """Which task a run's recipe is of."""
    from brain_tumor.experiments.recipe import ClassificationRecipe

    return "classification" if recipe["model"] in ClassificationRecipe.MODELS else "segmentation"


def _option(name: str, value) -> str:
    """``--size 128``; ``--flip-tta`` or ``--no-flip-tta``."""
    return f"--{'' if value else 'no-'}{name}" if isinstance(value, bool) else f"--{name} {shlex.quote(str(value))}"
