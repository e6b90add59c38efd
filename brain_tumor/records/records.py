"""Records: what is kept of a run in git. Tables and JSON only: no pixel, no weight, no path of the machine that ran it.

Only git is sure to last (DESIGN law 10): scores, paired comparisons and figures are rebuilt from records, and the weights are
trained again by the command that each record names.
"""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from brain_tumor import files
from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import RunError
from brain_tumor.evaluation import scoring
from brain_tumor.evaluation.scoring import read_counts
from brain_tumor.evaluation.storage import read_table
from brain_tumor.experiments import run as experiment, tasks
from brain_tumor.models import saved
from brain_tumor.records import lookup
from brain_tumor.records.lookup import Record, all_records, records_folder
from brain_tumor.training.runs import HISTORY, TRAINED, RunFolder

if TYPE_CHECKING:
    from brain_tumor.experiments.recipe import Recipe

FILES = ("run.json", "split.json", HISTORY)
DECIMALS = 6  # as many as a slice probability has, so that no two become equal
NOT_KEPT = ("validation-", "against-")  # tables of choices, and of comparisons, which follow from two records


def commit_record(run: RunFolder, names: Collection[str] | None = None) -> Path:
    """Copy what is worth keeping of a finished, scored run of real patients to its record.

    Args:
        names: of the tables that are kept beside :data:`FILES`; None for all but :data:`NOT_KEPT`.

    Returns:
        The record's folder, whole or not there at all.

    Raises:
        RunError: the run is of the phantom, unfinished or unscored, or its recipe is of another version.
    """
    facts = run.facts(*TRAINED, "parts")
    if facts["phantom"]:
        raise RunError(f"{run.path}: a run on the phantom, which is never published")
    if run.status != "finished":
        raise RunError(f"{run.path}: the run is {run.status}, only finished runs are recorded")
    task = tasks.of(tasks.recipe_from_json(facts["recipe"]).TASK)
    absent = [name for name in (*FILES, *task.tables) if not (run.path / name).is_file()]
    if absent:
        raise RunError(f"{run.path}: no {absent[0]}; score the run first: brain-tumor evaluate {run.path.name}")
    check_counts(run.path, facts)
    folder = records_folder() / run.path.name
    paths = [path for path in sorted(run.path.glob("*.csv")) if not path.name.startswith(NOT_KEPT)]
    if names is not None:
        paths = [path for path in paths if path.name in {*FILES, *names}]
    recipe = facts["recipe"] | {"split": Path(facts["recipe"]["split"]).name}
    with files.atomic_folder(folder) as temporary:
        files.write_json(temporary / "run.json", facts | {"recipe": recipe, "model": saved.read(run.path)})
        experiment.stored_split(run).save(temporary / "split.json")
        for path in paths:
            keep_table(path, temporary)
    keep_weights(facts.get("encoder"))
    return folder


def keep_table(path: Path, folder: Path) -> None:
    """Copy a table into a record, without the floor that any reader can make anew."""
    table = read_table(path)
    if path.name == scoring.FLOORS:
        table = scoring.without_empty(table)
    table.round(DECIMALS).to_csv(folder / path.name, index=False)


def check_counts(folder: Path, facts: dict) -> None:
    """Refuse a run's main table that was cut short between two lines, so that no score is of a part of the slices.

    Args:
        facts: the run's ``run.json``.

    Raises:
        FileError: the table is damaged, or lacks slices of the test part.
    """
    path = folder / tasks.of(facts["recipe"]["task"]).main
    counted = len(read_table(path)[["case_id", "slice"]].drop_duplicates())
    if counted != (expected := facts["parts"]["test"]["slices"]):
        remedy = f"score the run again: brain-tumor evaluate {folder.name}"
        raise files.damaged(path, f"{counted} slices, the test part has {expected}", remedy)


def keep_weights(encoder: dict | None) -> Path | None:
    """Keep the record of the weights that a recorded run began with: from which pictures they were learnt, and how well.

    Args:
        encoder: what :func:`brain_tumor.models.weights.load_encoder` returned.

    Returns:
        ``records/weights/NAME.json``, or ``NAME-SHA.json`` where weights of that name that were learnt before have a record; None
        where there is nothing to keep: no weights, a download, or a file that is gone.
    """
    from brain_tumor.models import weights

    source = encoder and weights.record_file(weights.folder() / encoder["file"])
    if not encoder or not source or not source.is_file() or files.read_json(source).get("sha256") != encoder["sha256"]:
        return None
    copy = records_folder() / "weights" / source.name
    if copy.is_file() and files.read_json(copy).get("sha256") != encoder["sha256"]:
        copy = copy.with_stem(f"{copy.stem}-{encoder['sha256'][:8]}")
    files.write_text(copy, source.read_text(encoding="utf-8"))
    return copy


def retrain_command(folder: Path) -> str:
    """The command line that trains a recorded run, or a whole cross-validation, again."""
    verb, name = ("crossval", lookup.CROSSVAL) if (folder / lookup.CROSSVAL).is_file() else ("train", lookup.RUN)
    return f"brain-tumor {verb} --recipe reports/records/{folder.name}/{name}"


def preparation_note(facts: dict) -> str:
    """What a page says of a run, or of the folds of a cross-validation, whose inputs this version would prepare otherwise."""
    if lookup.is_current(facts):
        return ""
    return f"inputs were prepared otherwise for training (preparation {facts['preparation']})"


def find_record(name: str) -> Path:
    """A record by its run's name, or the beginning of it where that is enough.

    Raises:
        RunError: none, or several.
    """
    begun = [path for path in all_records() if path.name.startswith(name)]
    matches = [path for path in begun if path.name == name] or begun
    if len(matches) != 1:
        raise RunError(f"{name}: {len(matches) or 'no'} such record{'s' if len(matches) > 1 else ''} in {records_folder()}")
    return matches[0]


def tables(folder: Path) -> scoring.Tables:
    """The tables of a run or record from which its scores follow: the task's main one, floors, and the ceiling."""
    task = tasks.of(lookup.run_facts(folder)["recipe"]["task"])
    names = (task.main, scoring.FLOORS, scoring.CEILING)
    return {name: read_counts(folder, name) for name in names if (folder / name).is_file()}


def read_slices(folder: Path) -> pd.DataFrame:
    """``case_id, slice, tumour, probability`` of a run or record.

    Raises:
        RunError: its task says nothing of single slices.
    """
    task = tasks.of(lookup.run_facts(folder)["recipe"]["task"])
    if task.slices is None:
        raise RunError(f"{folder}: a run of {task.name} says nothing of single slices")
    return task.slices(tables(folder))


def read_slice_floors(folder: Path) -> pd.DataFrame | None:
    """What the image-free predictors say of the same slices: the rows of :func:`read_slices` with a column ``floor``.

    None in records from before these floors were kept.
    """
    name = tasks.of(lookup.run_facts(folder)["recipe"]["task"]).slice_floors
    return read_counts(folder, name) if (folder / name).is_file() else None


def read_floors(folder: Path) -> scoring.Tables:
    """The floors of a run or record: an image-free predictor's name -> its rows; none in records from before they were kept."""
    return scoring.by_floor(read_counts(folder, scoring.FLOORS)) if (folder / scoring.FLOORS).is_file() else {}


def recorded(recipe: "Recipe", data_hash: str) -> Record | None:
    """The record of just this recipe on just these data, read like a run: its tables and facts are there, its model is not."""
    folder = lookup.find(recipe, data_hash=data_hash)
    return Record(folder) if folder else None


def finished(recipe: "Recipe", cohort: Cohort) -> RunFolder | None:
    """The finished run of this recipe on this cohort: of this home, else its record, else None."""
    store = open_store(cohort)
    run = experiment.run_folder(recipe, store)
    if run.exists and run.status == "finished":
        return run
    return recorded(experiment.on(recipe, cohort), store.data_hash)


def records_like(recipe: "Recipe", model: str, data_hash: str) -> list[Path]:
    """A record a seed on these data whose recipe is this one, but for its model, ``model``, and its seed.

    Of two records of one seed, that which :func:`brain_tumor.records.lookup.find` gives.
    """
    expected = replace(recipe, model=model)
    recipes = [there for folder in all_records() if (there := lookup.recipe_of(folder))]
    seeds = {there.seed for there in recipes if replace(there, seed=recipe.seed) == expected}
    folders = [lookup.find(replace(expected, seed=seed), data_hash=data_hash) for seed in sorted(seeds)]
    return [folder for folder in folders if folder]


def scores_of(folder: Path) -> pd.DataFrame:
    """A record's scores computed anew from its counts, or slices, and floors: nobody has to believe ``scores.csv``."""
    facts = lookup.run_facts(folder)
    threshold = facts.get("threshold", facts["recipe"]["threshold"])
    return tasks.of(facts["recipe"]["task"]).score(tables(folder), threshold)
