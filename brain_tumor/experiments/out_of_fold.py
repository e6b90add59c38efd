"""What the folds of a cross-validation predicted, gathered: each testable slice once, by a network that did not train on it.

Tables are stacked with a column ``fold`` at their end, predictions merged case by case, so that memory holds one case at a time.
Before anything is written, what was gathered is held against the cohort: no slice missing, none twice.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.data import splits
from brain_tumor.data.cache import Store
from brain_tumor.errors import DataError, RunError
from brain_tumor.evaluation import scoring, storage
from brain_tumor.experiments import segmentation
from brain_tumor.experiments.part import check_prediction
from brain_tumor.experiments.tasks import Task
from brain_tumor.inference.predict import Prediction, load_prediction
from brain_tumor.inference.stored import NUMBERS
from brain_tumor.progress import tracked
from brain_tumor.training.runs import RunFolder

FOLD_SCORES = "fold_scores.csv"
SLICE = ["case_id", "slice"]
OF_CASES = (scoring.BOUNDARY, scoring.BOUNDARY_FLOORS, scoring.REGION_CASES)  # rows are cases, in other tables slices
SORTED = ("floor", "case_id", "size", "slice")


def gather(runs: Sequence[RunFolder], task: Task, store: Store, unit: str) -> scoring.Tables:
    """The tables of all folds as one cohort's: the task's main table, ``floors.csv``, ``cases.csv``, ``scores.csv``,
    ``fold_scores.csv``, and what else the task has.

    Args:
        runs: the scored runs of fold 1, 2, ...
        store: at native size.
        unit: what was dealt out to the folds.

    Raises:
        DataError: a table is damaged.
        RunError: a slice that this unit can test is missing, or was predicted by two folds.
    """
    rows = _stacked(runs, task.main)
    thresholds = {fold: run.description["threshold"] for fold, run in enumerate(runs, 1) if "threshold" in run.description}
    if thresholds:  # chosen on each fold's validation part
        rows.insert(len(rows.columns) - 1, "threshold", rows.fold.map(thresholds))
    for _, of_size in rows.groupby("size") if "size" in rows else [("", rows)]:
        _check_cover(of_size, runs, store, unit)
    tables = {task.main: rows, scoring.FLOORS: scoring.without_empty(_stacked(runs, scoring.FLOORS))}
    for name in task.gathered:  # runs of earlier versions, and folds over slices, have not all of them
        if all((run.path / name).is_file() for run in runs):
            tables[name] = _stacked(runs, name)
    by_fold = [
        score({name: table[table.fold == fold] for name, table in tables.items()}, task).assign(fold=fold)
        for fold in range(1, len(runs) + 1)
    ]
    cases = task.per_case(rows, store.size)
    if unit != "slice":
        cases = cases.assign(fold=rows.groupby("case_id").fold.first())
    more = task.fold_tables(tables | _shared_floors(tables, task), store) if task.fold_tables else {}
    return tables | more | {
        scoring.CASES: cases.reset_index(),
        scoring.SCORES: score(tables, task),
        FOLD_SCORES: pd.concat(by_fold, ignore_index=True),
    }  # fmt: skip


def score(tables: scoring.Tables, task: Task) -> pd.DataFrame:
    """Scores with floors and intervals over patients, of all folds together or of the rows of one.

    A floor counts where every fold has it: in a fold that holds all slices of some patient, neighbours cannot be copied.

    Args:
        tables: the task's main table and ``floors.csv``, with a column ``fold``.

    Returns:
        The task's scores; ``threshold`` is NaN where folds have chosen their own.
    """
    return task.score(tables | _shared_floors(tables, task), task.recipe().threshold)


def _shared_floors(tables: scoring.Tables, task: Task) -> scoring.Tables:
    """The tables of floors, each with the rows of those floors alone that every fold has."""
    folds, shared = tables[task.main].fold.nunique(), {}
    for name, table in tables.items():
        if "floor" in table:
            of_floor = table.groupby("floor").fold.nunique()
            shared[name] = table[table.floor.isin(of_floor.index[of_floor == folds])]
    return shared


def write_predictions(path: Path, runs: Sequence[RunFolder], counts: pd.DataFrame, store: Store, working_size: int) -> None:
    """Write the file of :mod:`brain_tumor.inference.stored`, whole or not at all.

    Args:
        counts: the gathered ``counts.csv``, which says whose folds predicted which slices.

    Raises:
        DataError, RunError: a fold's stored prediction is damaged, or of other slices than were counted; nothing is written.
    """
    by_case = counts[counts["size"] == store.size].groupby("case_id")
    with files.atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for case_id, rows in tracked(by_case, "gathering", by_case.ngroups):
            parts = [_stored(runs[fold - 1], case_id, store.size, working_size) for fold in sorted(rows.fold.unique())]
            numbers = np.concatenate([part.slice_numbers for part in parts])
            order = np.argsort(numbers)
            if not np.array_equal(numbers[order], rows.slice):
                raise RunError(f"{path.parent}: {len(numbers)} slices of {case_id} predicted, expected the {len(rows)} counted")
            planes = np.concatenate([part.native for part in parts])[order]
            for name, array in ((case_id, planes), (f"{case_id}{NUMBERS}", numbers[order])):
                with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                    np.lib.format.write_array(stream, array, allow_pickle=False)


def _stacked(runs: Sequence[RunFolder], name: str) -> pd.DataFrame:
    """A table of all folds in one order, whatever the folds, with ``fold`` at its end."""
    tables = []
    for fold, run in enumerate(runs, 1):
        path = run.path / name
        try:
            table = storage.read_table(path)
            if name not in OF_CASES:
                table = table.astype({"slice": int})  # also refuses a table that is none of slices
        except (ValueError, KeyError) as error:
            raise DataError(f"{path}: no table of slices: {error}") from None
        tables.append(table.assign(fold=fold))
    whole = pd.concat(tables, ignore_index=True)
    return whole.sort_values([column for column in SORTED if column in whole], kind="stable", ignore_index=True)


def _check_cover(rows: pd.DataFrame, runs: Sequence[RunFolder], store: Store, unit: str) -> None:
    """Each testable slice once: neither a slice missing nor one doubled nor one of another cohort."""
    expected = pd.MultiIndex.from_frame(store.slices.iloc[splits.testable_rows(unit, store.cases, store.slices)][SLICE])
    predicted = pd.MultiIndex.from_frame(rows[SLICE])
    wrong = {
        "out of no fold": expected.difference(predicted),
        "out of two folds": predicted[predicted.duplicated()],
        "not to be tested": predicted.difference(expected),
    }
    for what, slices in wrong.items():
        if len(slices):
            case_id, number = slices[0]
            raise RunError(
                f"{runs[0].path.parent}: the {len(runs)} folds do not cover the cohort: {len(slices)} of {len(expected)} slices "
                f"{what}, such as {case_id}/{number}; score the folds again, or remove their runs"
            )


def _stored(run: RunFolder, case_id: str, size: int, working_size: int) -> Prediction:
    path = run.path / segmentation.PREDICTIONS / f"{case_id}.npz"
    prediction = load_prediction(path)
    check_prediction(prediction, path, size, working_size)
    return prediction
