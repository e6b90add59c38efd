"""Slices told and tumours outlined, out of fold: by a classifier, by a network for masks, by one for both, by two in turn."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from brain_tumor.evaluation import classification, detection, intervals, localisation, overlap, scoring, wording
from brain_tumor.evaluation.intervals import Comparison
from brain_tumor.face import Folds
from brain_tumor.report import tables

SHOWN_MEASURES = ("AUC", "accuracy", "sensitivity", "specificity")
LABELS, MASKS, BOTH = "labels (ResNet)", "masks (ResUNet)", "masks and labels"
HALF = 0.5
BOX_HIT = 0.5  # the overlap from which a box counts as found, as in object detection (Everingham 2010)


def slices(folds: Folds) -> pd.DataFrame:
    """``case_id, slice, tumour, probability, threshold`` of every slice that a cross-validation scores.

    A classifier's fold calls slices by the threshold that it chose on its validation part, a network for masks above one half.
    """
    table = folds.task.slices(folds.tables) if folds.task.slices else pd.DataFrame()
    return table if "threshold" in table else table.assign(threshold=HALF)


def on_the_same(several: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The slices that all of them speak of, in one order; folds of few patients may leave some out."""
    keys = ["case_id", "slice"]
    common = set.intersection(*(set(map(tuple, table[keys].to_numpy().tolist())) for table in several.values()))
    shared = {name: table[[tuple(key) in common for key in table[keys].to_numpy().tolist()]] for name, table in several.items()}
    return {name: table.sort_values(keys, ignore_index=True) for name, table in shared.items()}


def score_table(several: Mapping[str, pd.DataFrame], floors: pd.DataFrame) -> pd.DataFrame:
    """AUC, accuracy, sensitivity and specificity of each, with interval and floor, in words."""
    of_each = {name: tables.measure_table(scores(table, floors)) for name, table in several.items()}
    return pd.concat(of_each)[["score", "95 % interval", "floor"]]


def scores(table: pd.DataFrame, floors: pd.DataFrame) -> pd.DataFrame:
    """The scores of one of them, each slice called by its own threshold, with the floor of the same slices."""
    called_alike = table.assign(probability=np.where(table.probability > table.threshold, 1.0, 0.0))
    by_rank = detection.score_with_floors(table, floors, HALF)
    by_call = detection.score_with_floors(called_alike, floors, HALF)
    answer = by_rank.where(by_rank.measure.isin(classification.RANKS), by_call)
    return answer[answer.measure.isin(SHOWN_MEASURES)]


def gains(several: Mapping[str, pd.DataFrame], against: str) -> dict[str, pd.DataFrame]:
    """Each of the others less one, paired by patient."""
    answers = {name: classification.compare_folds(table, several[against]) for name, table in several.items() if name != against}
    return {name: table[table.measure.isin(SHOWN_MEASURES)] for name, table in answers.items()}


def gated(counts: pd.DataFrame, detected: pd.DataFrame) -> pd.DataFrame:
    """The counts of masks where nothing is outlined on slices that a detector does not call."""
    return counts.where(_called(counts, detected), overlap.all_empty(counts))


def gated_places(places: pd.DataFrame, detected: pd.DataFrame) -> pd.DataFrame:
    """Where masks lie (as :func:`localised` takes it) where nothing is outlined on slices that a detector does not call."""
    positive = _called(places, detected)
    predicted = [name for name in places if name.startswith("predicted_")]
    return places.assign(
        inside=places.inside.where(positive, False), **{name: places[name].where(positive) for name in predicted}
    )


def in_turn(masks: pd.DataFrame, detected: pd.DataFrame) -> pd.DataFrame:
    """The slices of a network for masks after a detector: those that this one does not call have the probability 0."""
    return masks.assign(probability=masks.probability.where(_called(masks, detected), 0.0))


def _called(table: pd.DataFrame, detected: pd.DataFrame) -> pd.Series:
    """Whether a detector calls the slice of each row."""
    calls = detected.assign(positive=detected.probability > detected.threshold).set_index(["case_id", "slice"]).positive
    return pd.Series(calls.reindex(pd.MultiIndex.from_frame(table[["case_id", "slice"]])).to_numpy(bool), table.index)


def joint_table(variants: Mapping[str, pd.DataFrame], against: str) -> tuple[pd.DataFrame, dict[str, Comparison]]:
    """What outlines are worth with and without a detector before them.

    Args:
        variants: a name -> counts over the same slices.
        against: the one that the others are compared with.

    Returns:
        A row a variant in words: mean Dice of patients, slices missed and false alarms; and the paired differences.
    """
    native = {name: counts[counts["size"] == counts["size"].max()] for name, counts in variants.items()}
    dice = {name: overlap.per_case(counts) for name, counts in native.items()}
    differences = {
        name: intervals.paired(cases.dice.to_numpy(), dice[against].loc[cases.index].dice.to_numpy(), np.mean)
        for name, cases in dice.items()
        if name != against
    }
    rows = []
    for name, cases in dice.items():
        low, high = intervals.bootstrap(cases.dice.to_numpy(), np.mean)
        change = differences.get(name)
        rows.append(
            {
                "outlines": name,
                "patient mean": f"{wording.score(cases.dice.mean())} ({low:.3f} to {high:.3f})",
                "missed slices": f"{cases.missed_slices.sum()} of {cases.tumour_slices.sum()}",
                "false alarms": f"{cases.false_alarm_slices.sum()} of {(cases.slices - cases.tumour_slices).sum()}",
                "difference": "–" if change is None else wording.change(change),
            }
        )
    return tables.worded(rows), differences


def localised(table: pd.DataFrame) -> pd.DataFrame:
    """How well each slice with tumour is localised.

    Args:
        table: of :func:`brain_tumor.evaluation.localisation.locate`, with ``case_id`` and ``slice``.

    Returns:
        ``case_id, slice, pointing`` (the most probable pixel lies in the tumour), ``box`` (intersection over union of the
        boxes; 0 where nothing is called), ``found`` (that is at least one half) and ``distance`` (of the centres in pixels; NaN
        likewise).
    """
    tumour = table[table.truth_px > 0]
    boxes = [
        tumour[[f"{side}_{name}" for name in localisation.BOX]].astype("Float64").to_numpy(float, na_value=np.nan)
        for side in localisation.SIDES
    ]
    centres = [
        tumour[[f"{side}_{name}" for name in localisation.CENTRE]].astype("Float64").to_numpy(float, na_value=np.nan)
        for side in localisation.SIDES
    ]
    ratio = np.nan_to_num(_intersection_over_union(*boxes))
    return pd.DataFrame(
        {
            "case_id": tumour.case_id,
            "slice": tumour.slice,
            "pointing": tumour.inside.astype("boolean").fillna(False).astype(float),
            "box": ratio,
            "found": (ratio >= BOX_HIT).astype(float),
            "distance": np.linalg.norm(centres[0] - centres[1], axis=1),
        }
    ).reset_index(drop=True)


def localised_table(several: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Pointing, boxes and centres, a patient counting once, with intervals, in words."""
    return tables.worded(
        {"network": name}
        | {
            "points at it": _mean(table, "pointing"),
            "box IoU": _mean(table, "box"),
            "box found": _mean(table, "found"),
            "centres apart, px": _median(table),
        }
        for name, table in several.items()
    )


def localised_means(table: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    """``measure -> mean of patients, low, high``."""
    answer = {}
    for measure in ("pointing", "box", "found"):
        values = table.groupby("case_id")[measure].mean().to_numpy()
        answer[measure] = (float(values.mean()), *intervals.bootstrap(values, np.mean))
    return answer


def floors_of(folds: Folds) -> pd.DataFrame:
    """What image-free predictors say of the same slices."""
    return folds.tables[scoring.FLOORS]


def _intersection_over_union(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of boxes ``(n, 4)``: top, left, bottom, right."""
    corners = np.maximum(one[:, :2], other[:, :2]), np.minimum(one[:, 2:], other[:, 2:])
    shared = np.prod(np.maximum(corners[1] - corners[0], 0), axis=1)
    areas = [np.prod(box[:, 2:] - box[:, :2], axis=1) for box in (one, other)]
    return shared / (areas[0] + areas[1] - shared)


def _mean(table: pd.DataFrame, measure: str) -> str:
    mean, low, high = localised_means(table)[measure]
    return f"{mean:.3f} ({low:.3f} to {high:.3f})"


def _median(table: pd.DataFrame) -> str:
    distance = table.distance.dropna()
    return f"{distance.median():.1f}" if len(distance) else "–"
