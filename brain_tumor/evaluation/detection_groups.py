"""Which tumours are found, and in whose slices a detector errs: its calls in parts of the slices.

By field of the patient it is the share of slices called right, beside the best that reading no image reaches on the same slices.
By tumour area it is the share of slices with tumour that are found, which a constant answer brings to 1: no floor. As all tables
of subgroups these test nothing (:mod:`brain_tumor.evaluation.subgroups`).
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from brain_tumor.evaluation import detection, intervals, subgroups

RIGHT, FOUND = "accuracy", "sensitivity"
COLUMNS = [
    "by", "group", "measure", "patients", "slices", "tumour_slices", "value", "low", "high", "floor", "floor_name",
]  # fmt: skip


def tables(slices: pd.DataFrame, floors: pd.DataFrame, cases: pd.DataFrame) -> pd.DataFrame:
    """Every subgroup in one long table: the fields of :data:`brain_tumor.evaluation.subgroups.FIELDS`, then tumour area.

    Args:
        slices: a row a slice: ``case_id, slice, tumour, called`` (bool both) and ``tumour_px``, the tumour's area at native size,
            NaN where it is not known.
        floors: the same slices as each image-free predictor sees them: ``floor, case_id, slice, probability``; cut at 0.5.
        cases: indexed by ``case_id``, a column a field.

    Returns:
        A row a group, of which some may hold no slice: ``by, group, measure, patients, slices, tumour_slices, value, low, high,
        floor, floor_name``.
    """
    cut = floors.assign(called=floors.probability > 0.5).set_index(["case_id", "slice"])
    by_floor = {name: rows.called for name, rows in cut.groupby("floor", sort=False)}
    rows = []
    for field, by in subgroups.FIELDS.items():
        if field in cases:
            group = subgroups.value_groups(slices.case_id.map(cases[field]))
            rows += [_row(by, name, RIGHT, slices[group == name], by_floor) for name in group.cat.categories]
    held = slices[slices.tumour.astype(bool)]
    group = subgroups.area_groups(held.tumour_px)
    areas = group.cat.categories if group.notna().any() or held.empty else []  # a slice that has a label only has no area
    rows += [_row(subgroups.AREA, name, FOUND, held[group == name], {}) for name in areas]
    return pd.DataFrame(rows, columns=COLUMNS)  # where nothing is known of patients and areas there is no group


def _row(by: str, name: str, measure: str, part: pd.DataFrame, floors: dict[str, pd.Series]) -> dict:
    value, low, high = (np.nan,) * 3
    if len(part):
        per_patient, statistic = _measured(part, part.called, measure)
        value = float(statistic(per_patient))
        low, high = intervals.bootstrap(per_patient, statistic, vectorised=True)
    keys = pd.MultiIndex.from_frame(part[["case_id", "slice"]])
    reached = {}
    for of, calls in floors.items() if len(part) else ():
        per_patient, statistic = _measured(part, calls.loc[keys], measure)
        reached[of] = float(statistic(per_patient))
    best = max(reached, key=reached.__getitem__, default="")
    return {
        "by": by,
        "group": name,
        "measure": measure,
        "patients": int(part.case_id.nunique()),
        "slices": len(part),
        "tumour_slices": int(part.tumour.sum()),
        "value": value,
        "low": low,
        "high": high,
        "floor": reached.get(best, np.nan),
        "floor_name": best,
    }


def _measured(part: pd.DataFrame, calls: pd.Series, measure: str) -> tuple[np.ndarray, Callable]:
    """Each patient's outcomes, and what makes the measure of them."""
    measures, _ = detection.measured(part.case_id, part.tumour, calls.to_numpy(float), 0.5)
    return measures[measure][:2]
