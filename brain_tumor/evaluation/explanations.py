"""How well a map points at the tumour: maps of where a network looked, scored on experts' masks.

Only slices with tumour are scored. A map is compared with maps that know nothing of the network, such as brightness: one that
does not beat those tells nothing about it (Arun 2021, doi 10.1148/ryai.2021200267, found this of most methods in radiology).
"""

import numpy as np
import pandas as pd

from brain_tumor.errors import DataError
from brain_tumor.evaluation import detection, intervals, localisation

MEASURES = {"pointing": "points at it", "energy": "energy inside", "auprc": "AUPRC"}
COLUMNS = ("case_id", "slice", *MEASURES)


def score(maps: np.ndarray, masks: np.ndarray) -> pd.DataFrame:
    """A row a slice with tumour, indexed by its place.

    Args:
        maps: ``(n, H, W)`` float, 0 or more; higher is more important.
        masks: ``(n, H, W)`` in {0, 1}.

    Returns:
        ``pointing``: whether the highest pixel lies in the tumour (the pointing game; Zhang 2018, arXiv 1608.00507); of several
        such pixels the one in the middle of them counts. ``energy``: the share of the map inside the tumour (Wang 2020, arXiv
        1910.01279), 0 of an empty map. ``auprc``: average precision of the pixels, which does not depend on the map's scale.

    Raises:
        DataError: shapes differ, or a map holds a negative value or no number.
    """
    if maps.shape != masks.shape:
        raise DataError(f"maps {maps.shape} and masks {masks.shape} differ in shape")
    if not np.isfinite(maps).all() or (maps < 0).any():
        raise DataError("a map holds a negative value or no number; expected 0 or more")
    places = np.flatnonzero(masks.any(axis=(1, 2)))
    rows = [_of_slice(maps[place], masks[place] > 0) for place in places]
    return pd.DataFrame(rows, index=places, columns=list(MEASURES))


def _of_slice(plane: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    highest, whole = plane.max(), plane.sum()
    if not whole:
        return {"pointing": 0.0, "energy": 0.0, "auprc": float(mask.mean())}
    row, column = localisation.middle_of(plane == highest)
    pixels = plane.ravel() / highest
    area = detection.auprc(mask.ravel(), pixels) if not mask.all() else 1.0
    return {"pointing": float(mask[row, column]), "energy": float(plane[mask].sum() / whole), "auprc": area}


def summary(scores: dict[str, pd.DataFrame], controls: tuple[str, ...]) -> pd.DataFrame:
    """Each map's measures, a patient counting once, and what it has more than the best control, paired by patient.

    Args:
        scores: ``map -> case_id, slice, pointing, energy, auprc``, over the same slices.
        controls: the maps among them that know nothing of a network.

    Returns:
        A row a map and measure: ``map, measure, mean, low, high, control, more, more_low, more_high``; a control has no
        comparison. The best control is that of the highest mean.
    """
    per_patient = {name: table.groupby("case_id")[list(MEASURES)].mean() for name, table in scores.items()}
    rows = []
    for measure in MEASURES:
        best = max(controls, key=lambda name: per_patient[name][measure].mean())
        for name, of_patients in per_patient.items():
            values = of_patients[measure].to_numpy()
            low, high = intervals.bootstrap(values, np.mean)
            row = {"map": name, "measure": measure, "mean": values.mean(), "low": low, "high": high}
            if name not in controls:
                more = intervals.paired(values, per_patient[best].loc[of_patients.index, measure].to_numpy(), np.mean)
                row |= {"control": best, "more": more.difference, "more_low": more.low, "more_high": more.high}
            rows.append(row)
    return pd.DataFrame(rows)
