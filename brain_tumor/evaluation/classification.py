"""Is there tumour in this slice? From a probability a slice to every figure of detection with its floor."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from brain_tumor.evaluation import calibration, detection, detection_groups, floors, scoring
from brain_tumor.evaluation.scoring import Tables

DECIMALS = 6  # of a probability in the tables
RANKS = ("AUC", "AUPRC")  # measures that no threshold decides


def score(tables: Mapping[str, pd.DataFrame], threshold: float) -> pd.DataFrame:
    """The scores of ``slices.csv`` with its ``floors.csv``.

    Where the slices come from folds with a threshold each, a measure that calls slices uses each fold's own and its ``threshold``
    is NaN. AUC and AUPRC then rank slices of different networks against each other, which can lower them against the mean of
    the folds' own (Forman & Scholz 2010, SIGKDD Explorations 12(1)).

    Returns:
        As :func:`brain_tumor.evaluation.detection.score_with_floors`.
    """
    slices, floor_table = tables[scoring.SLICES], tables[scoring.FLOORS]
    if "threshold" not in slices:
        return detection.score_with_floors(slices, floor_table, threshold)
    scores = detection.score_with_floors(slices, floor_table, float(slices.threshold.iloc[0]))
    if slices.threshold.nunique() == 1:
        return scores
    by_call = detection.score_with_floors(_called(slices), floor_table, 0.5).assign(threshold=np.nan)
    return by_call.where(scores.threshold.notna(), scores)


def judge(
    slices: pd.DataFrame,
    floor_table: pd.DataFrame,
    area: pd.Series,
    cases: pd.DataFrame,
    threshold: float,
    temperature: float | None = None,
) -> Tables:
    """Every figure but the scores themselves: per case, subgroups, calibration.

    Args:
        slices: ``case_id, slice, tumour, probability``.
        floor_table: :func:`image_free` of the same slices.
        area: indexed by ``case_id, slice``: the pixels of tumour.
        cases: a row a case, indexed by ``case_id``, a column a field by which to group.
        threshold: a slice is called tumour where its probability is above this.
        temperature: of the calibration that is given besides; None where there is none.
    """
    decisions = slices.assign(threshold=threshold)
    return {
        scoring.CASES: per_case(decisions, 0).reset_index(),
        scoring.SUBGROUPS: subgroup_table(decisions, floor_table, area, cases),
        scoring.CALIBRATION: calibrated(slices, floor_table, temperature),
    }


def per_case(slices: pd.DataFrame, size: int) -> pd.DataFrame:
    """A row a case, indexed by ``case_id``, each slice called by its own ``threshold``."""
    return detection.per_case(slices, slices.threshold)


def compare(
    tables: Mapping[str, pd.DataFrame],
    others: Mapping[str, pd.DataFrame],
    thresholds: tuple[float, float],
    margin: float | None = None,
) -> pd.DataFrame:
    """Two predictions of the same slices, paired by patient: as :func:`brain_tumor.evaluation.detection.compare`."""
    return detection.compare(tables[scoring.SLICES], others[scoring.SLICES], *thresholds, margin=margin)


def compare_folds(slices: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Two cross-validations of one cohort, paired by patient, each slice called by the threshold of its own fold.

    Args:
        slices, others: ``case_id, slice, tumour, probability, threshold`` of either.

    Returns:
        As :func:`brain_tumor.evaluation.detection.compare`.
    """
    by_rank = detection.compare(slices, others, 0.5, 0.5)
    by_call = detection.compare(_called(slices), _called(others), 0.5, 0.5)
    return by_rank.where(by_rank.measure.isin(RANKS), by_call)


def as_slices(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """``case_id, slice, tumour, probability``."""
    return tables[scoring.SLICES]


def labelled(slices: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """``case_id, slice, tumour``: whether the expert's mask, at native size, holds a pixel.

    Args:
        slices: a row a slice of the whole cohort: ``case_id, slice, tumour_px``.
        rows: those that are scored.
    """
    scored = slices.iloc[rows].reset_index(drop=True)
    return scored.assign(tumour=scored.tumour_px > 0)[["case_id", "slice", "tumour"]]


def image_free(slices: pd.DataFrame, train: np.ndarray, rows: np.ndarray) -> pd.DataFrame:
    """What every floor that applies says of the slices that are scored: ``floor, case_id, slice, tumour, probability``.

    Args:
        slices, rows: as in :func:`labelled`.
        train: the rows from which image-free predictors learn.
    """
    answers = floors.classification(slices, train, rows)
    tables = [
        labelled(slices, rows).assign(floor=name, probability=np.round(probability, DECIMALS))
        for name, probability in answers.items()
        if probability is not None
    ]
    return pd.concat(tables, ignore_index=True)[["floor", "case_id", "slice", "tumour", "probability"]]


def subgroup_table(slices: pd.DataFrame, floor_table: pd.DataFrame, area: pd.Series, cases: pd.DataFrame) -> pd.DataFrame:
    """:func:`brain_tumor.evaluation.detection_groups.tables` of ``case_id, slice, tumour, probability, threshold``."""
    keys = pd.MultiIndex.from_frame(slices[["case_id", "slice"]])
    decisions = slices.assign(called=slices.probability > slices.threshold, tumour_px=area.loc[keys].to_numpy())
    return detection_groups.tables(decisions, floor_table, cases)


def calibrated(slices: pd.DataFrame, floor_table: pd.DataFrame, temperature: float | None) -> pd.DataFrame:
    """As predicted, and with the validation part's temperature where there is one."""
    tables = [scoring.slice_calibration(slices, floor_table).assign(of="slices")]
    if temperature is not None:
        cooled = slices.assign(probability=calibration.apply_temperature(slices.probability, temperature))
        tables.append(scoring.slice_calibration(cooled, floor_table).assign(of=f"slices, temperature {temperature:.2f}"))
    return pd.concat(tables, ignore_index=True)


def _called(slices: pd.DataFrame) -> pd.DataFrame:
    """With the call of each slice, 0 or 1, in place of its probability."""
    return slices.assign(probability=(slices.probability > slices.threshold).astype(float))
