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
from brain_tumor.evaluation import detection, overlap, protocols
from brain_tumor.experiments import scoring, segmentation
from brain_tumor.experiments.classification import SLICES, subgroup_table
from brain_tumor.inference.predict import Prediction, load_prediction
from brain_tumor.inference.stored import NUMBERS
from brain_tumor.progress import tracked
from brain_tumor.training.runs import RunFolder

FOLD_SCORES = "fold_scores.csv"
MAIN = {"segmentation": scoring.COUNTS, "classification": SLICES}  # by task, the table that all scores follow from
SLICE = ["case_id", "slice"]
SORTED = ("floor", "case_id", "size", "slice")


def gather(runs: Sequence[RunFolder], task: str, store: Store, unit: str) -> scoring.Tables:
    """The tables of all folds as one cohort's: ``counts.csv`` or ``slices.csv``, ``floors.csv``, ``cases.csv``, ``scores.csv``,
    ``fold_scores.csv`` and, of a classification, ``subgroups.csv``.

    Args:
        runs: the scored runs of fold 1, 2, ...
        task: ``segmentation`` or ``classification``.
        store: at native size.
        unit: what was dealt out to the folds.

    Raises:
        DataError: a table is damaged.
        RunError: a slice that this unit can test is missing, or was predicted by two folds.
    """
    found = _stacked(runs, MAIN[task])
    for _, rows in found.groupby("size") if "size" in found else [("", found)]:
        _check_cover(rows, runs, store, unit)
    floors = _stacked(runs, scoring.FLOORS)
    by_fold = [
        score(found[found.fold == fold], floors[floors.fold == fold]).assign(fold=fold) for fold in range(1, len(runs) + 1)
    ]
    gathered = {
        MAIN[task]: found,
        scoring.FLOORS: floors,
        scoring.CASES: _cases(found, store.size, unit),
        scoring.SCORES: score(found, floors),
        FOLD_SCORES: pd.concat(by_fold, ignore_index=True),
    }
    if task == "classification":
        gathered[scoring.SUBGROUPS] = subgroup_table(found, _everywhere(found, floors), store)
    return gathered


def score(found: pd.DataFrame, floors: pd.DataFrame) -> pd.DataFrame:
    """Scores with floors and intervals over patients, of all folds together or of the rows of one.

    A floor counts where every fold has it: in a fold that holds all slices of some patient, neighbours cannot be copied. Of a
    classification, AUC and AUPRC rank slices of different networks against each other, which can lower them against the mean of
    the folds' own (Forman & Scholz 2010, SIGKDD Explorations 12(1)); those stand in ``fold_scores.csv``.

    Args:
        found: ``counts`` rows (:mod:`brain_tumor.evaluation.overlap`), or ``case_id, slice, tumour, probability, threshold``;
            with ``fold``.
        floors: the same of each predictor that reads no image, told apart by ``floor``.

    Returns:
        As :func:`brain_tumor.evaluation.protocols.score` or :func:`brain_tumor.evaluation.detection.score_with_floors`;
        ``threshold`` is NaN where folds have chosen their own.
    """
    everywhere = _everywhere(found, floors)
    if "tp" in found:
        return protocols.score(found, floor_counts=scoring.by_floor(everywhere))
    scores = detection.score_with_floors(found, everywhere, float(found.threshold.iloc[0]))
    if found.threshold.nunique() == 1:
        return scores
    by_call = detection.score_with_floors(_called(found), everywhere, 0.5).assign(threshold=np.nan)
    return by_call.where(scores.threshold.notna(), scores)


def compare(found: pd.DataFrame, against: pd.DataFrame) -> pd.DataFrame:
    """Two classifications of one cohort, paired by patient, each slice called by the threshold of its own fold.

    Args:
        found, against: ``case_id, slice, tumour, probability, threshold`` of either, as :func:`gather` leaves them.

    Returns:
        As :func:`brain_tumor.evaluation.detection.compare`.
    """
    by_rank = detection.compare(found, against, 0.5, 0.5)
    by_call = detection.compare(*(_called(table) for table in (found, against)), 0.5, 0.5)
    return by_rank.where(by_rank.measure.isin(("AUC", "AUPRC")), by_call)


def _everywhere(found: pd.DataFrame, floors: pd.DataFrame) -> pd.DataFrame:
    """The rows of those floors that every fold has."""
    folds = floors.groupby("floor").fold.nunique()
    return floors[floors.floor.isin(folds.index[folds == found.fold.nunique()])]


def _called(found: pd.DataFrame) -> pd.DataFrame:
    """With the call of each slice, 0 or 1, in place of its probability."""
    return found.assign(probability=(found.probability > found.threshold).astype(float))


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
            table = pd.read_csv(path, dtype={"case_id": str})
            table = table.astype({"slice": int})  # also refuses a table that is none of slices
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{path}: no table of slices: {error}") from None
        if name == SLICES:
            table["threshold"] = run.description["threshold"]
        tables.append(table.assign(fold=fold))
    whole = pd.concat(tables, ignore_index=True)
    return whole.sort_values([column for column in SORTED if column in whole], kind="stable", ignore_index=True)


def _check_cover(found: pd.DataFrame, runs: Sequence[RunFolder], store: Store, unit: str) -> None:
    """Each testable slice once: neither a slice missing nor one doubled nor one of another cohort."""
    expected = pd.MultiIndex.from_frame(store.slices.iloc[splits.testable_rows(unit, store.cases, store.slices)][SLICE])
    predicted = pd.MultiIndex.from_frame(found[SLICE])
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


def _cases(found: pd.DataFrame, size: int, unit: str) -> pd.DataFrame:
    """A row a case, with its ``fold`` where it has one."""
    if "tp" in found:
        native = found[found["size"] == size]
        cases = overlap.per_case(native)
    else:
        cases = detection.per_case(found, found.threshold)
    return (cases if unit == "slice" else cases.assign(fold=found.groupby("case_id").fold.first())).reset_index()


def _stored(run: RunFolder, case_id: str, size: int, working_size: int) -> Prediction:
    path = run.path / segmentation.PREDICTIONS / f"{case_id}.npz"
    prediction = load_prediction(path)
    scoring.check_prediction(prediction, path, size, working_size)
    return prediction
