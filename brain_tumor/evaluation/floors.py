"""Floors: predictors that read no image. A score is worth what it adds to the best of them on the very same split.

They see slice numbers, the training slices' labels and masks, and nothing else: no function here takes an image. Where slices of
one patient lie on both sides of a split, copying the neighbour is already a strong predictor; on a patient split that predictor
does not exist, and is ``None``: not applicable.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from brain_tumor.evaluation import overlap

ALWAYS_NO, POSITION, NEAREST = "always no", "slice position", "nearest training slice"
ALL_EMPTY, MEAN_MASK, INTERPOLATION = "all empty", "mean mask at position", "shape interpolation"

POSITIONS = 51  # steps from the lowest slice to the highest at which maps and rates are kept
BANDWIDTH = 0.05  # of the Gaussian over positions, as a share of the stack: two or three slices
CUTS = np.linspace(0.02, 0.6, 30)  # shares of training slices among which the mean mask's threshold is chosen, on training slices
PIXELS_AT_ONCE = 1 << 14


def classification(slices: pd.DataFrame, train: np.ndarray, test: np.ndarray) -> dict[str, np.ndarray | None]:
    """Each slice's probability of tumour without its image.

    Args:
        slices: a row a slice: ``case_id, slice, tumour_px``; only the training rows' ``tumour_px`` is read.
        train, test: row numbers.

    Returns:
        name -> ``(len(test),)`` float in [0, 1], or None where not applicable, as the last two are without training rows:
        ``always no``, ``slice position`` (share of training slices with tumour near the same relative position), ``nearest
        training slice`` of the same patient.
    """
    if not len(train):  # nothing to learn from
        return {ALWAYS_NO: np.zeros(len(test)), POSITION: None, NEAREST: None}
    tumour = (slices.tumour_px.to_numpy()[train] > 0).astype(float)
    position = relative_position(slices)
    rates = np.clip(_smoothed(position[train], tumour[:, None])[:, 0], 0, 1)  # rounding may carry a share just past 1
    return {
        ALWAYS_NO: np.zeros(len(test)),
        POSITION: rates[_step(position[test])],
        NEAREST: _nearest_label(slices, train, test, tumour),
    }


def segmentation(slices: pd.DataFrame, masks: np.ndarray, train: np.ndarray, test: np.ndarray) -> dict[str, np.ndarray | None]:
    """Each slice's mask without its image.

    Args:
        slices: a row a slice: ``case_id, slice``.
        masks: ``(N, H, W)`` uint8 in {0, 1}; only the training rows are read.
        train, test: row numbers.

    Returns:
        name -> ``(len(test), H, W)`` uint8 in {0, 1}, or None where not applicable: ``all empty``, ``mean mask at position``
        (pixels that are tumour in enough training slices near the same relative position; how many is enough is chosen on the
        training slices), ``shape interpolation`` between the nearest training slices of the same patient.
    """
    return {
        ALL_EMPTY: np.zeros((len(test), *masks.shape[1:]), np.uint8),
        MEAN_MASK: _mean_mask(relative_position(slices), masks, train, test),
        INTERPOLATION: _interpolated(slices, masks, train, test),
    }


def segmentation_counts(slices: pd.DataFrame, masks: np.ndarray, train: np.ndarray, test: np.ndarray) -> pd.DataFrame:
    """The floors of one size as ``counts`` rows (:mod:`brain_tumor.evaluation.overlap`), with a column ``floor``.

    A floor that is not applicable has no row.
    """
    return count(segmentation(slices, masks, train, test), slices, masks, test)


def count(predicted: Mapping[str, np.ndarray | None], slices: pd.DataFrame, masks: np.ndarray, test: np.ndarray) -> pd.DataFrame:
    """The counts of what :func:`segmentation` predicted, as :func:`segmentation_counts` gives them."""
    truth, rows = masks[test], slices.iloc[test]
    where = {"case_id": rows.case_id.to_numpy(), "slice": rows.slice.to_numpy(), "size": masks.shape[1]}
    tables = [
        overlap.count(outlines * np.uint8(255), truth).assign(floor=name, **where)
        for name, outlines in predicted.items()
        if outlines is not None
    ]
    return pd.concat(tables, ignore_index=True)[["floor", *overlap.COLUMNS]]


def relative_position(slices: pd.DataFrame) -> np.ndarray:
    """``(N,)`` float in (0, 1): where each slice lies in its stack, from the lowest to the highest."""
    stacks = slices.groupby("case_id").slice
    lowest, highest = stacks.transform("min"), stacks.transform("max")
    return ((slices.slice - lowest + 0.5) / (highest - lowest + 1)).to_numpy()


def _step(position: np.ndarray) -> np.ndarray:
    return np.rint(position * (POSITIONS - 1)).astype(int)


def _smoothed(position: np.ndarray, values: np.ndarray) -> np.ndarray:
    """``(POSITIONS, k)``: the Gaussian-weighted mean of ``values (n, k)`` about each step."""
    steps = np.linspace(0, 1, POSITIONS)
    weights = np.exp(-0.5 * ((steps[:, None] - position[None]) / BANDWIDTH) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights.astype(np.float32) @ values


def _mean_mask(position: np.ndarray, masks: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The maps are made a block of pixels at a time, so that the training masks never lie in memory as floats."""
    flat = masks.reshape(len(masks), -1)
    maps = np.empty((POSITIONS, flat.shape[1]), np.float32)
    for start in range(0, flat.shape[1], PIXELS_AT_ONCE):
        block = np.s_[start : start + PIXELS_AT_ONCE]
        maps[:, block] = _smoothed(position[train], flat[:, block][train].astype(np.float32))
    steps = _step(position[train])
    size = np.bincount(steps, minlength=POSITIONS)
    tumour = np.stack([flat[train[steps == step]].sum(axis=0, dtype=np.int64) for step in range(POSITIONS)])

    def pooled_dice(cut: float) -> float:
        positive = maps > cut
        hits = (tumour * positive).sum()
        return 2 * hits / max(tumour.sum() + (positive.sum(axis=1) * size).sum(), 1)

    best = max(CUTS, key=pooled_dice)
    return (maps > best).astype(np.uint8).reshape(POSITIONS, *masks.shape[1:])[_step(position[test])]


def _nearest_label(slices: pd.DataFrame, train: np.ndarray, test: np.ndarray, tumour: np.ndarray) -> np.ndarray | None:
    """The label of the nearest training slice; where two are equally near, their mean."""
    answers = np.empty(len(test))
    for i, below, above in _neighbours(slices, train, test):
        near = [(distance, tumour[k]) for k, distance in (below, above) if k is not None]
        if not near:
            return None
        least = min(distance for distance, _ in near)
        answers[i] = np.mean([label for distance, label in near if distance == least])
    return answers


def _interpolated(slices: pd.DataFrame, masks: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray | None:
    """Shape-based interpolation: signed distances of both neighbours, weighted by nearness (Raya & Udupa 1990, IEEE TMI)."""
    answers = np.zeros((len(test), *masks.shape[1:]), np.uint8)
    for i, below, above in _neighbours(slices, train, test):
        near = [(masks[train[k]], distance) for k, distance in (below, above) if k is not None]
        if not near:
            return None
        if len(near) == 1:
            answers[i] = near[0][0]
        elif near[0][0].any() or near[1][0].any():
            (one, to_one), (other, to_other) = near
            blend = to_other * _signed_distance(one, other) + to_one * _signed_distance(other, one)
            answers[i] = blend > 0
    return answers


def _signed_distance(mask: np.ndarray, twin: np.ndarray) -> np.ndarray:
    """Pixels to the outline, positive inside. An empty mask lies half as deep below its twin as the twin is thick."""
    from scipy.ndimage import distance_transform_edt

    if not mask.any():
        return np.full(mask.shape, -0.5 * distance_transform_edt(twin).max())
    return np.where(mask, distance_transform_edt(mask) - 0.5, 0.5 - distance_transform_edt(mask == 0))


def _neighbours(slices: pd.DataFrame, train: np.ndarray, test: np.ndarray) -> Any:
    """For each test row: its place, and the nearest training slices of the same patient below and above as
    ``(place in train or None, distance in slices)``.
    """
    case, number = pd.factorize(slices.case_id)[0], slices.slice.to_numpy()
    order = np.lexsort((number[train], case[train]))
    cases, numbers = case[train][order], number[train][order]
    keys = cases.astype(np.int64) * (number.max() + 1) + numbers
    for i, row in enumerate(test):
        place = int(np.searchsorted(keys, case[row] * (int(number.max()) + 1) + number[row]))
        neighbours = []
        for k in (place - 1, place):
            same = 0 <= k < len(keys) and cases[k] == case[row]
            neighbours.append((int(order[k]), abs(int(numbers[k]) - int(number[row]))) if same else (None, 0))
        yield i, *neighbours
