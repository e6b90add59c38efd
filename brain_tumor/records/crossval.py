"""The record of a cross-validation: what is kept of it in git, as of a run (:mod:`brain_tumor.records.records`).

The tables that were gathered over its folds, and their training histories. Until all folds are scored, each has a record of its
own, as any run: from these it goes on where the runs are gone (:func:`fold_record`).
"""

import shutil
from pathlib import Path

import pandas as pd

from brain_tumor import files
from brain_tumor.data import splits
from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import RunError
from brain_tumor.evaluation import scoring
from brain_tumor.evaluation.storage import read_table
from brain_tumor.experiments import crossval, run as experiment, tasks
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.inference import stored
from brain_tumor.paths import reports_folder, runs_folder
from brain_tumor.records import lookup, records, upgrade
from brain_tumor.training.runs import HISTORY, RunFolder, all_runs

# What every fold's run has alike, told once.
SHARED = ("parameters", "precision", "encoder")


def recorded_on(recipe: Recipe, cohort: Cohort, unit: str, folds: int | None) -> Path | None:
    """The record of the cross-validation of this recipe on this cohort; ``folds`` as of the cross-validation."""
    recipe, store = experiment.on(recipe, cohort), open_store(cohort)
    number = len(splits.fold_names(unit, folds, store.cases, store.slices))
    return lookup.find_crossval(recipe, unit, number, cohort.name, store.data_hash)


def fold_record(recipe: Recipe, data_hash: str) -> RunFolder | None:
    """The record of a fold's run, which a cross-validation may take for the run; None where there is none of today's version."""
    record = records.recorded(recipe, data_hash)
    return record if record and lookup.is_current(record.description) else None


def commit_folds(folder: Path) -> list[Path]:
    """Keep the records of those folds of an unfinished cross-validation that are scored; returns them all.

    A fold's record has what is gathered over the folds, and what every run of its task has.

    Raises:
        RunError: it is of the phantom, or a run is damaged.
    """
    facts = lookup.crossval_facts(folder)
    task = tasks.of(facts["recipe"]["task"])
    names = {*task.tables, *task.gathered, scoring.FLOORS, *scoring.FOLLOWING}
    runs = [_fold_run(folder, fold["run"]) for fold in facts["runs"] if fold["status"] == "scored"]
    return [run.path if isinstance(run, lookup.Record) else records.commit_record(run, names) for run in runs]


def is_crossval(name: str) -> bool:
    """Whether what was named is a cross-validation, and no run: the folder of one, or the beginning of its name."""
    if (Path(name) / crossval.DESCRIPTION).is_file():
        return True
    begun = [path.name for root in (runs_folder(), records.records_folder()) for path in crossval.all_crossvals(root)]
    runs = [run.path.name for run in all_runs()] + [path.name for path in records.all_records()]
    return any(each.startswith(name) for each in begun) and not any(each.startswith(name) for each in runs)


def find(name: str, recorded: bool = False) -> Path:
    """A cross-validation by its folder, its name, or the beginning of it where that is enough; its record where it has no folder.

    Args:
        recorded: look among records too.

    Raises:
        RunError: none, or several.
    """
    if (Path(name) / crossval.DESCRIPTION).is_file():
        return Path(name)
    for root in (runs_folder(), records.records_folder())[: 1 + recorded]:
        begun = [path for path in crossval.all_crossvals(root) if path.name.startswith(name)]
        matches = [path for path in begun if path.name == name] or begun
        if len(matches) > 1:
            some = ", ".join(path.name for path in matches[:3])
            raise RunError(f"{name}: {len(matches)} such cross-validations in {root}: {some}")
        if matches:
            return matches[0]
    raise RunError(f"{name}: no such cross-validation in {runs_folder()}")


def commit_crossval(folder: Path) -> Path:
    """Copy what is worth keeping of a finished cross-validation of real patients to its record.

    The floors of single slices are left out: ``detection.csv`` has their scores.

    Returns:
        The record's folder, whole or not there at all.

    Raises:
        RunError: it is of the phantom or unfinished, or a table or a fold's run is gone.
    """
    facts = lookup.crossval_facts(folder)
    if facts["phantom"]:
        raise RunError(f"{folder}: a cross-validation on the phantom, which is never published")
    if facts["status"] != "finished":
        raise RunError(f"{folder}: the cross-validation is {facts['status']}, only finished ones are recorded")
    names = [name for name in crossval.tables(tasks.of(facts["recipe"]["task"])) if name != stored.PREDICTIONS]
    more = {*tasks.of(facts["recipe"]["task"]).gathered, *scoring.FOLLOWING} - {scoring.SLICE_FLOORS, *names}
    names += [name for name in sorted(more) if (folder / name).is_file()]
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:
        raise RunError(f"{folder}: no {absent[0]}; give its command again")
    runs = [_fold_run(folder, fold["run"]) for fold in facts["runs"]]
    described = [run.description for run in runs]
    history = pd.concat([run.history.assign(fold=fold) for fold, run in enumerate(runs, 1)], ignore_index=True)
    shared = {name: described[0].get(name) for name in SHARED}
    record = records.records_folder() / folder.name
    with files.atomic_folder(record) as temporary:
        files.write_json(temporary / crossval.DESCRIPTION, facts | shared)
        history.to_csv(temporary / HISTORY, index=False)
        for name in names:
            records.keep_table(folder / name, temporary)
    records.keep_weights(shared["encoder"])
    for run in runs:
        if not (reports_folder() / "runs" / f"{run.path.name}.html").is_file():  # this record now holds the fold's tables
            shutil.rmtree(records.records_folder() / run.path.name, ignore_errors=True)
    return record


def histories(folder: Path) -> dict[str, pd.DataFrame]:
    """Each fold's history, of a cross-validation here or of a record: the fold's split -> a row an epoch."""
    of_folds = crossval.read(folder)["runs"]
    if not (folder / HISTORY).is_file():
        return {fold["split"]: _fold_run(folder, fold["run"]).history for fold in of_folds}
    names = {fold["fold"]: fold["split"] for fold in of_folds}
    return {names[fold]: rows.drop(columns="fold") for fold, rows in lookup.history(folder).groupby("fold")}


def _fold_run(folder: Path, name: str) -> RunFolder:
    """A fold's run: beside the cross-validation's folder, else its record."""
    run, record = RunFolder(folder.parent / name), lookup.Record(records.records_folder() / name)
    return record if record.exists and not run.exists else run


def all_records() -> list[Path]:
    """Every recorded cross-validation's folder, by name."""
    return lookup.all_records(lookup.CROSSVAL)


def other_units(folder: Path, facts: dict) -> dict[str, pd.DataFrame]:
    """Recorded cross-validations that differ from this one in nothing but what was dealt out: unit and folds -> scores."""
    alike, ours = ("recipe", "data_hash"), upgrade.description(facts)
    scores = {}
    for other in all_records():
        theirs = lookup.crossval_facts(other)
        if other.name != folder.name and all(theirs[name] == ours[name] for name in alike):
            scores[f"{theirs['unit']}, {theirs['folds']} folds"] = read_table(other / scoring.SCORES)
    return scores
