"""Nested regions, such as WT, TC and ET of BraTS: each counted, outlined and scored by itself.

``regions.csv`` has a row a slice and region, ``region_cases.csv`` a row a case and region. An exam that lacks a region counts: a
prediction without it is right (Dice 1, HD95 0), one with it is wrong (Dice 0), as BraTS counts.

Lesion-wise Dice is that of BraTS 2023 (Saluja 2023, github.com/rachitsaluja/BraTS-2023-Metrics): true lesions that touch once
they are grown by three voxels are one; each is compared with the predicted pieces that meet it grown so; true lesions of 50 mm³
or less (voxels, where the spacing is not known) are left out, and a predicted piece that meets no lesion counts 0.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from brain_tumor.evaluation import intervals, overlap, scoring, surface
from brain_tumor.evaluation.scoring import Tables

COUNTED = ("tp", "fp", "fn", "tn")
GROWN, SMALLEST_LESION = 3, 50  # voxels, mm³
Statistic = Callable[[np.ndarray], Any]
MEASURES: dict[str, tuple[str, Statistic]] = {  # a column of the table of cases, and how it is summed up
    "Dice, patient mean": ("dice", np.mean),
    "Dice, patient median": ("dice", np.median),
    "lesion-wise Dice, patient mean": ("lesion_dice", np.mean),
    "HD95 mean": ("hd95", np.mean),
    "NSD mean": ("nsd", np.mean),
}

FLOORED = ("Dice, patient mean", "Dice, patient median")  # whose score of a predictor that reads no image is worked out


def of_case(
    case_id: str,
    numbers: np.ndarray,
    predicted: np.ndarray,
    truth: np.ndarray,
    names: Sequence[str],
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Tables:
    """The rows of one case.

    Args:
        numbers: ``(Z,)`` int, its slices.
        predicted, truth: ``(Z, H, W)`` uint8, in how many regions each voxel lies.
        names: of the regions, the outermost first.
        spacing: of boundary measures, which are in its unit, and of the smallest lesion.
    """
    counts, cases = [], []
    for name, ours, theirs in _by_region(predicted, truth, names):
        counts.append(_count(ours, theirs).assign(case_id=case_id, slice=numbers, region=name))
        total = counts[-1][list(COUNTED)].sum()
        measured = {
            "dice": float(overlap.dice(total.tp, total.fp, total.fn)),
            "lesion_dice": lesion_dice(ours, theirs, math.prod(spacing)),
        }
        outline = surface.compare(ours, theirs, spacing=spacing)
        truth_is = {"voxels": int(total.tp + total.fn), "predicted_voxels": int(total.tp + total.fp)}
        cases.append({"case_id": case_id, "region": name} | measured | {key: outline[key] for key in ("hd95", "nsd")} | truth_is)
    columns = ["case_id", "slice", "region", *COUNTED]
    return {scoring.REGIONS: pd.concat(counts, ignore_index=True)[columns], scoring.REGION_CASES: pd.DataFrame(cases)}


def count_floor(floor: str, rows: pd.DataFrame, predicted: np.ndarray, truth: np.ndarray, region: str) -> pd.DataFrame:
    """The counts of a predictor that reads no image, for one region.

    Args:
        rows: ``case_id, slice`` of each plane.
        predicted, truth: ``(N, H, W)`` bool or {0, 1}, masks of the region.
    """
    where = {"case_id": rows.case_id.to_numpy(), "slice": rows.slice.to_numpy(), "region": region, "floor": floor}
    return _count(predicted.astype(bool), truth.astype(bool)).assign(**where)


def score(tables: Mapping[str, pd.DataFrame], names: Sequence[str]) -> pd.DataFrame:
    """Every measure of every region, with its interval over patients and the best Dice that reading no image reaches.

    Args:
        tables: ``regions.csv``, ``region_cases.csv`` and, where there is one, ``region_floors.csv``.

    Returns:
        A row a region and measure: ``region, measure, value, low, high, floor, floor_name, patients, without`` (exams that lack
        the region).
    """
    cases, floors = tables[scoring.REGION_CASES], tables.get(scoring.REGION_FLOORS)
    rows = []
    for region in names:
        of_region = cases[cases.region == region]
        for measure, (column, statistic) in MEASURES.items():
            values = of_region[column].to_numpy(float)
            low, high = intervals.bootstrap(values, statistic)
            floor, floor_name = np.nan, ""
            if measure in FLOORED and floors is not None:
                floor, floor_name = _best_floor(floors[floors.region == region], statistic)
            scored = {"region": region, "measure": measure, "value": float(statistic(values)), "low": low, "high": high}
            facts = {"patients": len(values), "without": int((of_region.voxels == 0).sum())}
            rows.append(scored | {"floor": floor, "floor_name": floor_name} | facts)
    return pd.DataFrame(rows)


def lesion_dice(predicted: np.ndarray, truth: np.ndarray, voxel: float = 1.0) -> float:
    """Lesion-wise Dice of two masks ``(Z, H, W)``; 1 where neither holds a lesion.

    Args:
        voxel: its volume, mm³.
    """
    from scipy import ndimage

    anywhere, grown_by = np.ones((3, 3, 3)), ndimage.generate_binary_structure(3, 2)
    pieces, number = ndimage.label(predicted, anywhere)
    grown, lesions = ndimage.label(ndimage.binary_dilation(truth, grown_by, GROWN) if truth.any() else truth, anywhere)
    matched: set[int] = set()
    scores = []
    for lesion in range(1, lesions + 1):
        around = grown == lesion
        real = around & truth.astype(bool)
        met = set(np.unique(pieces[around])) - {0}
        matched |= met
        if real.sum() * voxel > SMALLEST_LESION:
            ours = np.isin(pieces, list(met))
            hits = int((ours & real).sum())
            scores.append(float(overlap.dice(hits, int(ours.sum()) - hits, int(real.sum()) - hits)))
    scores += [0.0] * (number - len(matched))
    return float(np.mean(scores)) if scores else 1.0


def _by_region(predicted: np.ndarray, truth: np.ndarray, names: Sequence[str]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for place, name in enumerate(names):
        yield name, predicted > place, truth > place


def _count(predicted: np.ndarray, truth: np.ndarray) -> pd.DataFrame:
    counts = overlap.count(predicted * np.uint8(255), truth)
    return counts[list(COUNTED)]


def _best_floor(floors: pd.DataFrame, statistic: Statistic) -> tuple[float, str]:
    """The highest score of a predictor that reads no image, and its name; the prediction that calls nothing is one of them."""
    scores = {}
    for name, rows in floors.groupby("floor", sort=False):
        sums = rows.groupby("case_id")[["tp", "fp", "fn"]].sum()
        scores[str(name)] = float(statistic(overlap.dice(sums.tp, sums.fp, sums.fn)))
    best = max(scores, key=scores.__getitem__)
    return scores[best], best
