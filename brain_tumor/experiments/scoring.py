"""The tables of a scored part: all that is counted while pixels are at hand, so that no later question needs them again.

Every task is given a :class:`Part` and returns a :class:`Result`. :func:`of_case` turns one predicted mask into rows, and
:func:`judge` the rows of all cases into scores with intervals and floors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.data import splits
from brain_tumor.data.cache import Store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import DataError
from brain_tumor.evaluation import calibration, ceiling, components, detection, overlap, subgroups, surface
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.inference.predict import Prediction, at_native_size
from brain_tumor.training import storage
from brain_tumor.training.runs import RunFolder

# Of every slice or case, as they were counted.
SLICES = "slices.csv"
COUNTS, LARGEST, FLOORS, SLICE_FLOORS = "counts.csv", "counts_largest.csv", "floors.csv", "slice_floors.csv"
CEILING = "ceiling.csv"
BOUNDARY, BOUNDARY_SLICES, PIXELS, CASES = "boundary.csv", "boundary_slices.csv", "pixels.csv", "cases.csv"
# What follows from them.
SCORES, BOUNDARY_SCORES, SUBGROUPS = "scores.csv", "boundary_scores.csv", "subgroups.csv"
DETECTION, CALIBRATION = "detection.csv", "calibration.csv"
OUTLINES = {BOUNDARY: "cases, 3-D", BOUNDARY_SLICES: "tumour slices, 2-D"}  # what the boundary scores are of

Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Part:
    """A part of a finished run's split: ``test``, or ``validation`` while choosing.

    Attributes:
        run: the run.
        cohort: whose slices are scored; those that the run was trained on.
        recipe: the run's.
        store: the cohort at native size.
        split: the run's.
        name: which part.
        model: the caller's own network, where the run was trained with one.
    """

    run: RunFolder
    cohort: Cohort
    recipe: Recipe
    store: Store
    split: splits.Split
    name: str
    model: keras.Model | None = None

    @cached_property
    def rows(self) -> np.ndarray:
        """Its rows in the store's table of slices, ascending."""
        return self.split.rows(self.name, self.store.slices)

    @cached_property
    def train_rows(self) -> np.ndarray:
        """The rows of the training part, from which image-free predictors learn."""
        return self.split.rows("train", self.store.slices)

    def other(self, name: str) -> "Part":
        """Another part of the same split."""
        return replace(self, name=name)


@dataclass(frozen=True)
class Result:
    """What evaluation gives: tables by file name, ``scores.csv`` among them, and facts for the run's description."""

    tables: Tables
    facts: dict[str, Any]


def whole_cases(store: Store, rows: np.ndarray) -> bool:
    """Whether these rows are whole exams: of single slices, no surface or component in 3-D can be told."""
    counts = store.slices.iloc[rows].case_id.value_counts()
    return bool((counts == store.cases.slices.reindex(counts.index)).all())


def case_fields(cohort: Cohort) -> pd.DataFrame:
    """A row a case, indexed by ``case_id``: its site and clinical fields, None or NaN where the source left them blank."""
    rows = {case.case_id: {"site": case.site, **case.clinical} for case in cohort}
    return pd.DataFrame(list(rows.values()), index=pd.Index(rows, name="case_id"))


def check_prediction(prediction: Prediction, source: object, size: int, working_size: int) -> None:
    """The door for predictions that lie on disk.

    Raises:
        DataError: naming ``source``: planes of another size, or values that are no probabilities from 0 to 255.
    """
    planes = {size: prediction.native, working_size: prediction.working}
    for expected, array in planes.items():
        if array.shape != (len(prediction.slice_numbers), expected, expected):
            raise DataError(
                f"{source}: a prediction of {' x '.join(map(str, array.shape))}, expected "
                f"{len(prediction.slice_numbers)} slices of {expected} x {expected}"
            )
        if array.dtype != np.uint8:
            calibration.check_probabilities(array, str(source))
            raise DataError(f"{source}: probabilities of type {array.dtype}, expected uint8 with 255 for 1")


def of_case(prediction: Prediction, truth: Mapping[int, np.ndarray], threshold: float, whole: bool) -> Tables:
    """The rows of one case.

    Args:
        truth: size -> ``(Z, size, size)`` masks of the predicted slices, at the working size and at the native one.
        threshold: a pixel is called tumour where its probability is above this.
        whole: the prediction is of all slices, so that it can be judged in 3-D too.
    """
    by_size = {planes.shape[1]: planes for planes in (prediction.working, prediction.native)}
    masks = truth[prediction.native.shape[1]]
    tables = {
        COUNTS: _counts(prediction, by_size, truth, threshold),
        BOUNDARY_SLICES: _boundary_slices(prediction, masks, threshold),
        PIXELS: _pixels(prediction, masks),
        CEILING: _ceiling(prediction, truth[prediction.working.shape[1]], masks),
    }
    if whole:
        largest = {size: components.keep_largest_probability(probability, threshold) for size, probability in by_size.items()}
        tables[LARGEST] = _counts(prediction, largest, truth, threshold)
        outline = surface.per_case(prediction.native, masks, threshold)
        tables[BOUNDARY] = pd.DataFrame([{"case_id": prediction.case_id} | outline])
    return tables


def stack(cases: list[Tables]) -> Tables:
    """The rows of many cases, one table a name."""
    return {name: pd.concat([tables[name] for tables in cases], ignore_index=True) for name in cases[0]}


def floor_boundaries(predicted: Mapping[str, np.ndarray | None], store: Store, rows: np.ndarray, whole: bool) -> dict[str, dict]:
    """The boundary rows of predictors that read no image: ``BOUNDARY`` or ``BOUNDARY_SLICES`` -> name -> rows.

    Args:
        predicted: :func:`brain_tumor.evaluation.floors.segmentation` at native size.
    """
    by_case = pd.Series(np.arange(len(rows))).groupby(store.slices.case_id.to_numpy()[rows])
    boundaries: dict[str, dict] = {BOUNDARY: {}, BOUNDARY_SLICES: {}} if whole else {BOUNDARY_SLICES: {}}
    for name, masks in predicted.items():
        if masks is None:
            continue
        pairs = [(masks[places], store.masks[rows[places]]) for _, places in by_case]
        boundaries[BOUNDARY_SLICES][name] = pd.concat([surface.per_slice(mask * np.uint8(255), truth) for mask, truth in pairs])
        if whole:
            boundaries[BOUNDARY][name] = pd.DataFrame([surface.compare(mask, truth) for mask, truth in pairs])
    return boundaries


def judge(tables: Tables, boundaries: dict[str, dict], cohort: Cohort, size: int, threshold: float) -> Tables:
    """Every score but Dice's own: per case, boundary, subgroups, slice detection, calibration.

    Args:
        tables: the rows of all cases, with ``FLOORS`` and ``SLICE_FLOORS``.
        boundaries: :func:`floor_boundaries`.
        size: the native one.
    """
    counts, slice_floors = tables[COUNTS], tables[SLICE_FLOORS]
    native = counts[counts["size"] == size]
    slices = overlap.as_slices(native)
    scores = [
        surface.score(tables[name], floors).assign(of=OUTLINES[name]) for name, floors in boundaries.items() if len(tables[name])
    ]
    judged = {
        CASES: overlap.per_case(native).reset_index(),
        SUBGROUPS: subgroups.tables(counts, case_fields(cohort), floor_counts=by_floor(tables[FLOORS])),
        DETECTION: detection.score_with_floors(slices, slice_floors, threshold),
        CALIBRATION: pd.concat(
            [
                slice_calibration(slices, slice_floors).assign(of="slices"),
                calibration.score_pixels(calibration.histograms(tables[PIXELS])).assign(of="pixels"),
            ]
        ),
    }
    return judged | ({BOUNDARY_SCORES: pd.concat(scores)} if scores else {})


def by_floor(table: pd.DataFrame) -> Tables:
    """A table with a column ``floor``, apart by it."""
    return dict(list(table.groupby("floor", sort=False)))


def slice_calibration(slices: pd.DataFrame, floors: pd.DataFrame) -> pd.DataFrame:
    """The calibration of slice probabilities, with the floors of the same slices (tables as of :func:`overlap.as_slices`)."""
    keys = ["case_id", "slice"]
    answers = {name: slices[keys].merge(table).probability.to_numpy() for name, table in by_floor(floors).items()}
    return calibration.score(slices.case_id, slices.tumour, slices.probability, floors=answers)


def read_counts(folder: Path, name: str = COUNTS) -> pd.DataFrame:
    """A run's or record's ``counts.csv``, or another table of cases or slices: a ``case_id`` of digits alone stays text."""
    return storage.read_table(folder / name)


def write(tables: Tables, run: RunFolder) -> None:
    """Each table as a CSV of its name, atomically."""
    for name, table in tables.items():
        with files.atomic_path(run.path / name) as temporary:
            table.to_csv(temporary, index=False)


def _counts(
    prediction: Prediction, by_size: Mapping[int, np.ndarray], truth: Mapping[int, np.ndarray], threshold: float
) -> pd.DataFrame:
    """Counts at native and at working size, both from what the network said at that size."""
    where = {"case_id": prediction.case_id, "slice": prediction.slice_numbers}
    tables = [overlap.count(planes, truth[size], threshold).assign(size=size, **where) for size, planes in by_size.items()]
    return pd.concat(tables)[list(overlap.COLUMNS)]


def _ceiling(prediction: Prediction, working: np.ndarray, native: np.ndarray) -> pd.DataFrame:
    """The counts of the truth that was resized to the working size and is brought back as a prediction is."""
    counts = ceiling.count(at_native_size(working.astype(np.float32), native.shape[1:]), native)
    where = {"case_id": prediction.case_id, "slice": prediction.slice_numbers[counts.index], "size": native.shape[1]}
    return counts.assign(**where)[list(ceiling.COLUMNS)]


def _boundary_slices(prediction: Prediction, truth: np.ndarray, threshold: float) -> pd.DataFrame:
    rows = surface.per_slice(prediction.native, truth, threshold)
    rows.insert(0, "slice", prediction.slice_numbers[rows.index])
    rows.insert(0, "case_id", prediction.case_id)
    return rows


def _pixels(prediction: Prediction, truth: np.ndarray) -> pd.DataFrame:
    """How many pixels without and with tumour got each of the 256 probabilities; levels that no pixel has are left out."""
    histogram = calibration.pixel_histogram(prediction.native, truth)
    levels = np.flatnonzero(histogram.sum(axis=1))
    negative, positive = histogram[levels].T
    return pd.DataFrame({"case_id": prediction.case_id, "level": levels, "negative": negative, "positive": positive})
