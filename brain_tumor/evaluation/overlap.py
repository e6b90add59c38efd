"""TP, FP, FN and TN of each slice, counted once; every overlap score is then arithmetic on this table.

The table, ``counts``, has a row a slice and size: ``case_id, slice, size, tp, fp, fn, tn, slice_probability``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

KEYS = ["case_id", "slice", "size"]
COLUMNS = (*KEYS, "tp", "fp", "fn", "tn", "slice_probability")


def count(probability: np.ndarray, truth: np.ndarray, threshold: float = 0.5) -> pd.DataFrame:
    """Count pixels.

    Args:
        probability: ``(Z, H, W)`` uint8, 255 = 1.
        truth: ``(Z, H, W)`` in {0, 1}.
        threshold: a pixel is called tumour where its probability is above this.

    Returns:
        A row a plane: ``tp, fp, fn, tn`` and ``slice_probability``, the highest pixel probability.
    """
    if probability.shape != truth.shape:
        raise ValueError(f"prediction {probability.shape} and truth {truth.shape} differ in shape")
    positive, real = probability > threshold * 255, truth.astype(bool)
    plane = (1, 2)
    return pd.DataFrame(
        {
            "tp": (positive & real).sum(axis=plane),
            "fp": (positive & ~real).sum(axis=plane),
            "fn": (~positive & real).sum(axis=plane),
            "tn": (~positive & ~real).sum(axis=plane),
            "slice_probability": probability.max(axis=plane) / 255,
        }
    )


def threshold_counts(probability: np.ndarray, truth: np.ndarray, thresholds: Sequence[float]) -> pd.DataFrame:
    """:func:`count` at many thresholds for the price of one: a plane's 256 levels are counted once, apart by truth.

    Args:
        probability, truth: as in :func:`count`.
        thresholds: each in [0, 1].

    Returns:
        A row a threshold and plane: ``threshold, plane`` (from 0) and the columns of :func:`count`.
    """
    if probability.shape != truth.shape:
        raise ValueError(f"prediction {probability.shape} and truth {truth.shape} differ in shape")
    levels = probability + np.uint16(256) * truth.astype(bool)
    histograms = [np.bincount(plane.ravel(), minlength=512).reshape(2, 256) for plane in levels]
    at_least = np.zeros((len(probability), 2, 257), np.int64)  # [plane, truth, level]: pixels of that level or more
    at_least[..., :256] = np.reshape(histograms, (-1, 2, 256))[..., ::-1].cumsum(axis=-1)[..., ::-1]
    background, tumour = at_least[:, 0], at_least[:, 1]
    highest = probability.max(axis=(1, 2)) / 255
    tables = []
    for threshold in thresholds:
        lowest = int(np.floor(threshold * 255)) + 1  # the lowest level above the threshold
        counts = {"tp": tumour[:, lowest], "fp": background[:, lowest]}
        counts |= {"fn": tumour[:, 0] - counts["tp"], "tn": background[:, 0] - counts["fp"]}
        planes = np.arange(len(probability))
        tables.append(pd.DataFrame({"threshold": threshold, "plane": planes, **counts, "slice_probability": highest}))
    return pd.concat(tables, ignore_index=True)


def dice(tp: Any, fp: Any, fn: Any, empty: float = 1.0) -> Any:
    """``2 TP / (2 TP + FP + FN)``; ``empty`` where neither prediction nor truth holds a pixel."""
    twice = 2 * np.asarray(tp)
    area = twice + np.asarray(fp) + np.asarray(fn)
    return np.where(area > 0, twice / np.maximum(area, 1), empty)


def iou(tp: Any, fp: Any, fn: Any, empty: float = 1.0) -> Any:
    """``TP / (TP + FP + FN)``, the monotone twin of Dice: ``D / (2 - D)`` (row 004.51)."""
    area = np.asarray(tp) + np.asarray(fp) + np.asarray(fn)
    return np.where(area > 0, np.asarray(tp) / np.maximum(area, 1), empty)


def all_empty(counts: pd.DataFrame) -> pd.DataFrame:
    """The counts of a prediction that calls no pixel tumour, on the same slices: the floor that reads no image."""
    return counts.assign(tp=0, fp=0, fn=counts.tp + counts.fn, tn=counts.fp + counts.tn, slice_probability=0.0)


def as_slices(counts: pd.DataFrame) -> pd.DataFrame:
    """``case_id, slice, tumour, probability`` of the rows of one ``size``: the segmentation as a detector, a slice being as
    probable as its most probable pixel.
    """
    slices = counts.assign(tumour=counts.tp + counts.fn > 0, probability=counts.slice_probability)
    return slices[["case_id", "slice", "tumour", "probability"]].reset_index(drop=True)


def sums_by_case(case_id: pd.Series, columns: Sequence[Any]) -> tuple[pd.Index, np.ndarray]:
    """The cases in their order, and each case's sum of each column: ``(cases, k)`` float64."""
    case, names = pd.factorize(case_id, sort=True)
    return names, np.stack([np.bincount(case, column, len(names)) for column in columns], axis=1)


def per_case(counts: pd.DataFrame) -> pd.DataFrame:
    """A row a case of one ``size``: summed counts, volume Dice and IoU, slices, tumour slices, and slices with a false alarm."""
    tp, fp, fn, tn = (counts[name].to_numpy() for name in ("tp", "fp", "fn", "tn"))
    empty = tp + fn == 0
    columns = {
        "slices": np.ones(len(counts)),
        "tumour_slices": ~empty,
        "false_alarm_slices": empty & (fp > 0),
        "missed_slices": ~empty & (tp == 0),
        "tp": tp, "fp": fp, "fn": fn, "tn": tn,
    }  # fmt: skip
    names, sums = sums_by_case(counts.case_id, list(columns.values()))
    table = pd.DataFrame(sums.astype(int), pd.Index(names, name="case_id"), list(columns))
    return table.assign(dice=dice(table.tp, table.fp, table.fn), iou=iou(table.tp, table.fp, table.fn))
