"""Which pixels are tumour? From predicted and true masks to counts, and from counts to every score with its floor.

:func:`of_case` turns one predicted mask into rows, :func:`score` and :func:`judge` the rows of all cases into scores. Only
:func:`of_case` and :func:`floor_boundaries` need pixels.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from brain_tumor.errors import DataError
from brain_tumor.evaluation import (
    calibration,
    ceiling,
    components,
    detection,
    localisation,
    overlap,
    protocols,
    scoring,
    subgroups,
    surface,
)
from brain_tumor.evaluation.scoring import Tables

Spacing = tuple[float, float, float]  # mm: slice distance, height and width of a pixel
PIXELS_APART: Spacing = (1.0, 1.0, 1.0)  # where no spacing is known
# A case, what the floors say of it, its truth and its spacing.
CaseFloors = tuple[str, Mapping[str, np.ndarray | None], np.ndarray, Spacing]


def of_case(
    case_id: str,
    numbers: np.ndarray,
    predicted: Mapping[int, np.ndarray],
    truth: Mapping[int, np.ndarray],
    threshold: float,
    whole: bool,
    spacing: Spacing = PIXELS_APART,
) -> Tables:
    """The rows of one case.

    Args:
        numbers: ``(Z,)`` int, the slices predicted.
        predicted: size -> ``(Z, H, W)`` uint8, 255 = 1. The size that comes last is the native one.
        truth: the same sizes -> ``(Z, H, W)`` in {0, 1}.
        threshold: a pixel is called tumour where its probability is above this.
        whole: the prediction is of all slices, so that it can be judged in 3-D too.
        spacing: of boundary measures, which are in its unit.
    """
    size = list(predicted)[-1]
    native, masks = predicted[size], truth[size]
    tables = {
        scoring.COUNTS: _counts(case_id, numbers, predicted, truth, threshold),
        scoring.BOUNDARY_SLICES: _named(surface.per_slice(native, masks, threshold, spacing=spacing[1:]), case_id, numbers),
        scoring.PIXELS: _pixels(case_id, native, masks),
        scoring.LOCALISATION: _named(localisation.locate(native, masks, threshold), case_id, numbers),
    }
    if whole:
        largest = {of: components.keep_largest_probability(planes, threshold) for of, planes in predicted.items()}
        tables[scoring.LARGEST] = _counts(case_id, numbers, largest, truth, threshold)
        outline = surface.per_case(native, masks, threshold, spacing=spacing)
        tables[scoring.BOUNDARY] = pd.DataFrame([{"case_id": case_id} | outline])
    return tables


def floor_boundaries(cases: Iterable[CaseFloors], whole: bool) -> dict[str, dict]:
    """The boundary rows of predictors that read no image: ``BOUNDARY`` or ``BOUNDARY_SLICES`` -> name -> rows.

    Args:
        cases: each case, what :func:`brain_tumor.evaluation.floors.segmentation` predicted of its slices, the truth
            ``(Z, H, W)`` and the spacing.
    """
    rows: dict[str, dict[str, list]] = {scoring.BOUNDARY: {}, scoring.BOUNDARY_SLICES: {}}
    for case_id, predicted, truth, spacing in cases:
        for name, mask in predicted.items():
            if mask is None:
                continue
            of_slices = surface.per_slice(mask * np.uint8(255), truth, spacing=spacing[1:])
            rows[scoring.BOUNDARY_SLICES].setdefault(name, []).append(of_slices)
            if whole:
                outline = surface.compare(mask, truth, spacing=spacing)
                rows[scoring.BOUNDARY].setdefault(name, []).append({"case_id": case_id} | outline)
    boundaries: dict[str, dict] = {}
    if whole:
        boundaries[scoring.BOUNDARY] = {name: pd.DataFrame(of_cases) for name, of_cases in rows[scoring.BOUNDARY].items()}
    return boundaries | {
        scoring.BOUNDARY_SLICES: {name: pd.concat(tables) for name, tables in rows[scoring.BOUNDARY_SLICES].items()}
    }


def score(tables: Mapping[str, pd.DataFrame], threshold: float) -> pd.DataFrame:
    """The scores of ``counts.csv`` with its ``floors.csv`` and, where there is one, its ``ceiling.csv``.

    Returns:
        As :func:`brain_tumor.evaluation.protocols.score`, with the resolution ceiling beside the scores at native size.
    """
    counts, floor_table = tables[scoring.COUNTS], tables.get(scoring.FLOORS)
    floor_counts = {} if floor_table is None else scoring.by_floor(floor_table)
    return ceiling.beside(protocols.score(counts, floor_counts=floor_counts), counts, tables.get(scoring.CEILING))


def judge(
    tables: Tables, boundaries: dict[str, dict], cases: pd.DataFrame, size: int, threshold: float, unit: str = "px"
) -> Tables:
    """Every score but Dice's own: per case, boundary, subgroups, slice detection, calibration.

    Args:
        tables: the rows of all cases, with ``FLOORS`` and ``SLICE_FLOORS``.
        boundaries: :func:`floor_boundaries`.
        cases: a row a case, indexed by ``case_id``, a column a field by which to group.
        size: the native one.
        unit: of boundary distances, ``px`` or ``mm``.
    """
    counts, slice_floors = tables[scoring.COUNTS], tables[scoring.SLICE_FLOORS]
    native = counts[counts["size"] == size]
    slices = overlap.as_slices(native)
    scores = [
        surface.score(tables[name], floors).assign(of=scoring.OUTLINES[name], unit=unit)
        for name, floors in boundaries.items()
        if len(tables[name])
    ]
    pixels = calibration.score_pixels(calibration.histograms(tables[scoring.PIXELS]))
    of_slices = scoring.slice_calibration(slices, slice_floors)
    judged = {
        scoring.CASES: overlap.per_case(native).reset_index(),
        scoring.SUBGROUPS: subgroups.tables(counts, cases, floor_counts=scoring.by_floor(tables[scoring.FLOORS])),
        scoring.DETECTION: detection.score_with_floors(slices, slice_floors, threshold),
        scoring.CALIBRATION: pd.concat([of_slices.assign(of="slices"), pixels.assign(of="pixels")]),
    }
    return judged | ({scoring.BOUNDARY_SCORES: pd.concat(scores)} if scores else {})


def judge_folds(tables: Mapping[str, pd.DataFrame], cases: pd.DataFrame, threshold: float, unit: str = "px") -> Tables:
    """The same out of fold, as far as every fold has the tables: boundary in 3-D, subgroups, slice detection.

    Args:
        tables: of all folds together, with those floors alone that every fold has.
        cases, threshold, unit: as in :func:`judge`.
    """
    counts = tables[scoring.COUNTS]
    judged = {scoring.SUBGROUPS: subgroups.tables(counts, cases, floor_counts=scoring.by_floor(tables[scoring.FLOORS]))}
    if scoring.SLICE_FLOORS in tables:
        judged[scoring.DETECTION] = detection.score_with_floors(as_slices(tables), tables[scoring.SLICE_FLOORS], threshold)
    if {scoring.BOUNDARY, scoring.BOUNDARY_FLOORS} <= set(tables):
        scores = surface.score(tables[scoring.BOUNDARY], scoring.by_floor(tables[scoring.BOUNDARY_FLOORS]))
        judged[scoring.BOUNDARY_SCORES] = scores.assign(of=scoring.OUTLINES[scoring.BOUNDARY], unit=unit)
    return judged


def per_case(counts: pd.DataFrame, size: int) -> pd.DataFrame:
    """A row a case at one size, indexed by ``case_id``: as :func:`brain_tumor.evaluation.overlap.per_case`."""
    return overlap.per_case(counts[counts["size"] == size])


def compare(
    tables: Mapping[str, pd.DataFrame],
    others: Mapping[str, pd.DataFrame],
    thresholds: tuple[float, float],
    margin: float | None = None,
) -> pd.DataFrame:
    """Two predictions of the same slices, paired by patient, at every size that both were counted at.

    Returns:
        As :func:`brain_tumor.evaluation.protocols.compare`.

    Raises:
        DataError: no size in common.
    """
    pair = [tables[scoring.COUNTS], others[scoring.COUNTS]]
    shared = set(pair[0]["size"]) & set(pair[1]["size"])
    if not shared:
        raise DataError("the two runs were counted at no size in common")
    ours, theirs = (counts[counts["size"].isin(shared)] for counts in pair)
    return protocols.compare(ours, theirs, margin=margin)


def as_slices(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """``case_id, slice, tumour, probability`` from the counts at native size."""
    counts = tables[scoring.COUNTS]
    return overlap.as_slices(counts[counts["size"] == counts["size"].max()])


def _counts(
    case_id: str, numbers: np.ndarray, predicted: Mapping[int, np.ndarray], truth: Mapping[int, np.ndarray], threshold: float
) -> pd.DataFrame:
    """Counts at each size, from what was predicted at that size."""
    where = {"case_id": case_id, "slice": numbers}
    tables = [overlap.count(planes, truth[size], threshold).assign(size=size, **where) for size, planes in predicted.items()]
    return pd.concat(tables)[list(overlap.COLUMNS)]


def _named(rows: pd.DataFrame, case_id: str, numbers: np.ndarray) -> pd.DataFrame:
    """Rows that are indexed by plane, with the case and the slice that each is of."""
    rows.insert(0, "slice", numbers[rows.index])
    rows.insert(0, "case_id", case_id)
    return rows


def _pixels(case_id: str, native: np.ndarray, truth: np.ndarray) -> pd.DataFrame:
    """How many pixels without and with tumour got each of the 256 probabilities; levels that no pixel has are left out."""
    histogram = calibration.pixel_histogram(native, truth)
    levels = np.flatnonzero(histogram.sum(axis=1))
    negative, positive = histogram[levels].T
    return pd.DataFrame({"case_id": case_id, "level": levels, "negative": negative, "positive": positive})
