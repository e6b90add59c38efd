"""How far apart two outlines lie: HD95 and the normalised surface distance (NSD), with a rule by which a miss costs.

Eleven open tools disagree on these figures by up to 100 mm (Podobnik & Vrtovec, arXiv 2410.02630), so each choice is said here:

- **Surface**: the mask's own voxels with a face neighbour outside it. Beyond the edge of the image all is outside, so a tumour
  cut off by the edge has a surface there.
- **HD95**: the larger of the two directed 95th percentiles (linear interpolation), as in Metrics Reloaded (arXiv 2206.01653),
  MONAI and DeepMind's surface-distance. MedPy takes one percentile of both directions pooled, in which an island
  vanishes where the other outline is long; ``hd95_pooled`` is that one, for comparison with figures made by MedPy.
- **NSD**: of all surface voxels of both masks, the share within ``tolerance`` of the other surface (Nikolov, arXiv 1809.04430).
  Voxels are counted; DeepMind's code weights them by surface area and gives other numbers.
- **Empty masks**: both empty, HD95 0 and NSD 1. One empty, the diagonal of the plane or volume, farther than any two voxels of
  it can lie apart, and NSD 0; the row says whether the prediction ``missed`` a tumour or ``invented`` one. Tools that answer NaN
  drop these rows from the mean, so that HD95 improves as a network finds less (Project-MONAI/MONAI issue 9095).
- **Unit**: whatever ``spacing`` is in. The LGG data comes without voxel spacing: at the default of 1, distances are in pixels,
  and in 3-D a step to the next slice counts as one pixel, which it is not.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from brain_tumor.errors import DataError
from brain_tumor.evaluation import intervals

PERCENTILE = 95
TOLERANCE = 2.0  # in units of the spacing; a choice: the LGG data has no second reader from whom to take it
COLUMNS = ("hd95", "hd95_pooled", "hd", "nsd", "tolerance", "missed", "invented")

# What :func:`score` tells of the rows: a column, how it is summed up, and which end of it is better.
MEASURES: dict[str, tuple[str, Callable, Callable]] = {
    "HD95 mean": ("hd95", np.mean, min),
    "HD95 median": ("hd95", np.median, min),
    "NSD mean": ("nsd", np.mean, max),
    "NSD median": ("nsd", np.median, max),
}

Spacing = float | tuple[float, ...]


def compare(predicted: np.ndarray, truth: np.ndarray, tolerance: float = TOLERANCE, spacing: Spacing = 1.0) -> dict:
    """Every figure of two masks, by the rules at the top of this module.

    Args:
        predicted, truth: ``(H, W)`` or ``(Z, H, W)``, bool or {0, 1}.
        tolerance: in units of ``spacing``.
        spacing: the size of a voxel, one number or one an axis.

    Returns:
        ``hd95, hd95_pooled, hd, nsd, tolerance`` floats, ``missed, invented`` bools.

    Raises:
        DataError: the masks differ in shape.
    """
    if predicted.shape != truth.shape:
        raise DataError(f"prediction {predicted.shape} and truth {truth.shape} differ in shape")
    is_predicted, is_true = bool(predicted.any()), bool(truth.any())
    if is_predicted and is_true:
        one, other = distances(predicted, truth, spacing)
        within = np.count_nonzero(one <= tolerance) + np.count_nonzero(other <= tolerance)
        far = {
            "hd95": float(max(np.percentile(one, PERCENTILE), np.percentile(other, PERCENTILE))),
            "hd95_pooled": float(np.percentile(np.concatenate([one, other]), PERCENTILE)),
            "hd": float(max(one.max(), other.max())),
            "nsd": float(within / (len(one) + len(other))),
        }
    else:
        penalty = float(np.linalg.norm(np.multiply(predicted.shape, spacing))) if is_predicted or is_true else 0.0
        far = dict.fromkeys(("hd95", "hd95_pooled", "hd"), penalty) | {"nsd": 0.0 if is_predicted or is_true else 1.0}
    return far | {"tolerance": float(tolerance), "missed": is_true and not is_predicted, "invented": is_predicted and not is_true}


def distances(predicted: np.ndarray, truth: np.ndarray, spacing: Spacing = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """From each surface voxel of one mask to the nearest of the other, both ways.

    Args:
        predicted, truth: as in :func:`compare`, neither empty.

    Returns:
        ``(surface voxels of predicted,)`` and ``(surface voxels of truth,)`` float64, in units of ``spacing``.
    """
    from scipy import ndimage

    predicted, truth = predicted.astype(bool), truth.astype(bool)
    # Both surfaces lie in the joint bounding box, so nothing outside it can matter.
    box = ndimage.find_objects((predicted | truth).astype(np.uint8))[0]
    one, other = surface(predicted[box]), surface(truth[box])
    sampling = np.broadcast_to(spacing, predicted.ndim)
    return (
        ndimage.distance_transform_edt(~other, sampling)[one],
        ndimage.distance_transform_edt(~one, sampling)[other],
    )


def surface(mask: np.ndarray) -> np.ndarray:
    """The voxels of a bool mask that have a face neighbour outside it; what lies beyond the array is outside."""
    from scipy import ndimage

    return mask & ~ndimage.binary_erosion(mask, ndimage.generate_binary_structure(mask.ndim, 1), border_value=0)


def per_case(
    probability: np.ndarray,
    truth: np.ndarray,
    threshold: float = 0.5,
    tolerance: float = TOLERANCE,
    spacing: Spacing = 1.0,
) -> dict:
    """The row of one case, in 3-D.

    Args:
        probability: ``(Z, H, W)`` uint8, 255 = 1.
        truth: ``(Z, H, W)`` in {0, 1}.
        threshold: a pixel is called tumour where its probability is above this.
        tolerance, spacing: as in :func:`compare`.

    Raises:
        DataError: the arrays differ in shape.
    """
    return compare(probability > threshold * 255, truth, tolerance, spacing)


def per_slice(
    probability: np.ndarray,
    truth: np.ndarray,
    threshold: float = 0.5,
    tolerance: float = TOLERANCE,
    spacing: Spacing = 1.0,
) -> pd.DataFrame:
    """A row a tumour slice, in 2-D; arguments and errors as in :func:`per_case`, ``spacing`` that of the plane.

    Returns:
        :data:`COLUMNS`, indexed by ``plane``, the position in the arrays. Slices without tumour have no outline to compare; what
        was invented on them is counted by :func:`brain_tumor.evaluation.overlap.per_case` as false alarms.
    """
    if probability.shape != truth.shape:
        raise DataError(f"prediction {probability.shape} and truth {truth.shape} differ in shape")
    positive, planes = probability > threshold * 255, np.flatnonzero(truth.any(axis=(1, 2)))
    rows = [compare(positive[plane], truth[plane], tolerance, spacing) for plane in planes]
    return pd.DataFrame(rows, index=pd.Index(planes, name="plane"), columns=list(COLUMNS))


def score(rows: pd.DataFrame, floors: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Mean and median of HD95 and NSD, with 95 % intervals over patients and the best that reading no image reaches.

    Args:
        rows: of :func:`per_case` or :func:`per_slice`, with a column ``case_id``.
        floors: a predictor that reads no image -> its rows of the same cases or slices.

    Returns:
        A row a measure of :data:`MEASURES`: ``measure, value, low, high, floor, floor_name, tolerance, patients, rows, missed,
        invented``; a low HD95 is a good one, a high NSD.
    """
    patient, names = pd.factorize(rows.case_id)
    facts = {"tolerance": rows.tolerance.iloc[0], "patients": len(names), "rows": len(rows)}
    facts |= {"missed": int(rows.missed.sum()), "invented": int(rows.invented.sum())}
    table = []
    for name, (column, summed_up, best) in MEASURES.items():
        values = rows[column].to_numpy()
        of_patient = [values[patient == number] for number in range(len(names))]

        def statistic(drawn: np.ndarray, of_patient: Any = of_patient, summed_up: Any = summed_up) -> float:
            return float(summed_up(np.concatenate([of_patient[number] for number in drawn[:, 0]])))

        low, high = intervals.bootstrap(np.arange(len(names))[:, None], statistic)
        by_floor = {floor: float(summed_up(other[column])) for floor, other in floors.items()}
        floor_name = best(by_floor, key=by_floor.get) if by_floor else ""
        estimate = {"value": float(summed_up(values)), "low": low, "high": high}
        table.append({"measure": name, **estimate, "floor": by_floor.get(floor_name, np.nan), "floor_name": floor_name, **facts})
    return pd.DataFrame(table)
