"""Is there tumour on this slice? Sensitivity, specificity, AUC and their kin, with intervals over patients.

Every patient of the LGG data has a tumour, so these are figures of slices, never of diagnosis. A slice is called tumour where its
probability is above the threshold, which is chosen on the validation part (:func:`choose_threshold`) and stated in every row. A
figure whose denominator is empty (precision where nothing is called, AUC where all slices are of one class) is NaN, not 0.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from brain_tumor.errors import DataError
from brain_tumor.evaluation import intervals
from brain_tumor.evaluation.calibration import check_probabilities


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``part / whole``, NaN where there is no whole."""
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _f_score(beta: float) -> Callable:
    """Van Rijsbergen's F: sensitivity counts ``beta`` times as much as precision."""
    return lambda tp, fp, fn, tn: _share((1 + beta**2) * tp, (1 + beta**2) * tp + beta**2 * fn + fp)


# name -> (tp, fp, fn, tn) -> score; numbers or arrays
MEASURES: dict[str, Callable] = {
    "sensitivity": lambda tp, fp, fn, tn: _share(tp, tp + fn),
    "specificity": lambda tp, fp, fn, tn: _share(tn, tn + fp),
    "accuracy": lambda tp, fp, fn, tn: _share(tp + tn, tp + fp + fn + tn),
    "balanced accuracy": lambda tp, fp, fn, tn: (_share(tp, tp + fn) + _share(tn, tn + fp)) / 2,
    "precision": lambda tp, fp, fn, tn: _share(tp, tp + fp),
    "F0.5": _f_score(0.5),
    "F1": _f_score(1),
    "F2": _f_score(2),
}
# A constant answer brings each of these to 1, so its floor is read where reading no image has as much of the other.
MATCHED = {"sensitivity": "specificity", "specificity": "sensitivity", "precision": "sensitivity"}


def score(
    case_id: np.ndarray, truth: np.ndarray, probability: np.ndarray, threshold: float, intervals_too: bool = True
) -> pd.DataFrame:
    """Every measure of a set of slices.

    Args:
        case_id: ``(N,)``, whose slice it is; patients are what the intervals draw.
        truth: ``(N,)`` bool, the slice holds tumour.
        probability: ``(N,)`` in [0, 1].
        threshold: a slice is called tumour where its probability is above this; chosen elsewhere.

    Returns:
        A row a measure: ``measure, value, low, high`` (95 % over patients), ``threshold`` (NaN for ``AUC`` and ``AUPRC``, which
        have none), ``patients, slices, tumour_slices``.

    Raises:
        DataError: no slices, columns of unlike length, a probability that is NaN or outside 0-1.
    """
    measures, names = measured(case_id, truth, probability, threshold)
    rows = []
    for name, (per_patient, statistic, at, vectorised) in measures.items():
        low, high = np.nan, np.nan
        if intervals_too:
            low, high = intervals.bootstrap(per_patient, statistic, vectorised=vectorised)
        rows.append({"measure": name, "value": float(statistic(per_patient)), "low": low, "high": high, "threshold": at})
    return pd.DataFrame(rows).assign(patients=len(names), slices=len(truth), tumour_slices=int(np.count_nonzero(truth)))


def score_with_floors(slices: pd.DataFrame, floors: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """:func:`score`, and beside each measure the best that reading no image reaches on the same slices.

    Args:
        slices: a row a slice: ``case_id, tumour, probability``.
        floors: the same of each image-free predictor, told apart by a column ``floor``; they are cut at 0.5, and for
            :data:`MATCHED` measures where that suits them best, with no less of the other of the pair than ``slices`` has.

    Returns:
        As :func:`score`, with ``floor`` and ``floor_name``: NaN and empty where there is none.
    """
    scores = score(slices.case_id, slices.tumour, slices.probability, threshold)
    reached, by_name = scores.set_index("measure").value, {}
    for name, table in floors.groupby("floor", sort=False):
        cut = score(table.case_id, table.tumour, table.probability, 0.5, intervals_too=False)
        every = _every_threshold(*_checked(table.tumour, table.probability))
        rates = pd.DataFrame({measure: MEASURES[measure](every.tp, every.fp, every.fn, every.tn) for measure in MATCHED})
        matched = {measure: rates[measure][rates[other] >= reached[other]].max() for measure, other in MATCHED.items()}
        by_name[name] = dict(zip(cut.measure, cut.value, strict=True)) | matched
    by_floor = pd.DataFrame(by_name).reindex(scores.measure)
    best = by_floor.max(axis=1).to_numpy()
    names = [row.idxmax() if row.notna().any() else "" for _, row in by_floor.iterrows()]
    return scores.assign(floor=best, floor_name=names)


def compare(
    slices: pd.DataFrame,
    against: pd.DataFrame,
    threshold: float,
    against_threshold: float,
    margin: float | None = None,
) -> pd.DataFrame:
    """Two predictors of the same slices under every measure, paired by patient (:func:`intervals.paired`).

    Args:
        slices, against: a row a slice: ``case_id, slice, tumour, probability``.
        threshold, against_threshold: of the one and of the other.
        margin: the loss that would still be accepted, stated beforehand; None asks only which is better.

    Returns:
        A row a measure: ``measure, difference, low, high, verdict, half_width, patients_needed, p_value, patients``, as
        :func:`brain_tumor.evaluation.protocols.compare`.

    Raises:
        DataError: the two speak of other slices, or the margin is not above 0.
    """
    keys = ["case_id", "slice", "tumour"]
    tables = [table.sort_values(keys, ignore_index=True) for table in (slices, against)]
    if not tables[0][keys].equals(tables[1][keys]):
        differing = len(pd.concat([table[keys] for table in tables]).drop_duplicates(keep=False))
        raise DataError(f"the other prediction: {len(against)} slices, expected the same {len(slices)} ({differing} rows differ)")
    cuts = (threshold, against_threshold)
    measures = [measured(table.case_id, table.tumour, table.probability, cut) for table, cut in zip(tables, cuts, strict=True)]
    patients = np.arange(len(measures[0][1]))
    rows = []
    for name, (_, statistic, _, vectorised) in measures[0][0].items():
        predictors = [by_name[name][:2] for by_name, _ in measures]
        if vectorised:
            answer = intervals.paired(predictors[0][0], predictors[1][0], statistic, margin=margin, vectorised=True)
            rows.append({"measure": name} | {fact: getattr(answer, fact) for fact in intervals.TOLD})
            continue

        def of_one(drawn: np.ndarray, predictors: list = predictors) -> float:
            per_patient, statistic = predictors[drawn[0, 1]]
            return statistic(per_patient[drawn[:, 0]])

        # A row says whose patient it is and which predictor is asked, so that one statistic serves both.
        ours, theirs = (np.stack([patients, np.full_like(patients, which)], axis=1) for which in (0, 1))
        answer = intervals.paired(ours, theirs, of_one, margin=margin)
        rows.append({"measure": name} | {fact: getattr(answer, fact) for fact in intervals.TOLD})
    return pd.DataFrame(rows).astype({"patients_needed": "Int64"})


def per_case(slices: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """A row a case: ``slices, tumour_slices, missed_slices, false_alarm_slices, accuracy, auc``, indexed by ``case_id``.

    Args:
        slices: a row a slice: ``case_id, tumour, probability``.
        threshold: a slice is called tumour where its probability is above this.
    """
    positive, real = slices.probability > threshold, slices.tumour.astype(bool)
    table = slices.assign(slices=1, tumour_slices=real, missed_slices=real & ~positive, false_alarm_slices=positive & ~real)
    totals = table.groupby("case_id")[["slices", "tumour_slices", "missed_slices", "false_alarm_slices"]].sum().astype(int)
    areas = {case_id: auc(rows.tumour, rows.probability) for case_id, rows in slices.groupby("case_id")}
    right = totals.slices - totals.missed_slices - totals.false_alarm_slices
    return totals.assign(accuracy=right / totals.slices, auc=pd.Series(areas))


def auc(truth: np.ndarray, probability: np.ndarray) -> float:
    """Area under the ROC curve: how often a tumour slice ranks above one without (ties count half); NaN of one class only."""
    return _auc(*_cumulative(*_checked(truth, probability))[1:])


def auprc(truth: np.ndarray, probability: np.ndarray) -> float:
    """Average precision, the step-wise area under precision over sensitivity; by chance, the share of tumour slices.

    NaN of one class only.
    """
    return _auprc(*_cumulative(*_checked(truth, probability))[1:])


def choose_threshold(truth: np.ndarray, probability: np.ndarray) -> float:
    """The threshold at which accuracy is best on these slices: of validation, never of test.

    Args:
        truth, probability: as in :func:`score`.

    Returns:
        Midway between the two probabilities that it parts, in [0, 1]; of equally good ones, that nearest to 0.5.

    Raises:
        DataError: as :func:`score`, and slices of one class only, which no threshold can part.
    """
    truth, probability = _checked(truth, probability)
    if truth.all() or not truth.any():
        raise DataError(
            f"{len(truth):,} slices, all {'with' if truth.all() else 'without'} tumour: a threshold needs both to part"
        )
    table = _every_threshold(truth, probability)
    table = table[table.threshold >= 0]
    reached = MEASURES["accuracy"](table.tp, table.fp, table.fn, table.tn)
    best = table.threshold[np.isclose(reached, reached.max(), rtol=0, atol=1e-12)]
    return float(best.iloc[(best - 0.5).abs().argmin()])


def roc_curve(truth: np.ndarray, probability: np.ndarray) -> pd.DataFrame:
    """``threshold, false_alarm_rate`` (1 - specificity), ``sensitivity``, from nothing called to all called.

    A rate is NaN where its class is missing.
    """
    table = _every_threshold(*_checked(truth, probability))
    rates = {"false_alarm_rate": _share(table.fp, table.fp + table.tn), "sensitivity": _share(table.tp, table.tp + table.fn)}
    return pd.DataFrame({"threshold": table.threshold} | rates)


def precision_recall_curve(truth: np.ndarray, probability: np.ndarray) -> pd.DataFrame:
    """``threshold, sensitivity`` (recall), ``precision`` (NaN where nothing is called): from nothing called to all called."""
    table = _every_threshold(*_checked(truth, probability))
    rates = {"sensitivity": _share(table.tp, table.tp + table.fn), "precision": _share(table.tp, table.tp + table.fp)}
    return pd.DataFrame({"threshold": table.threshold} | rates)


def measured(case_id: np.ndarray, truth: np.ndarray, probability: np.ndarray, threshold: float) -> tuple[dict, np.ndarray]:
    """What the bootstrap needs of every measure, and the patients' names.

    Returns:
        ``name -> (per patient, statistic, threshold, vectorised)``; statistics that count take many draws at once.
    """
    truth, probability = _checked(truth, probability)
    if len(case_id) != len(truth):
        raise DataError(f"{len(case_id):,} case names and {len(truth):,} slices, expected as many")
    patient, names = pd.factorize(np.asarray(case_id))
    positive = probability > threshold
    outcomes = np.stack([positive & truth, positive & ~truth, ~positive & truth, ~positive & ~truth], axis=1)
    counts = np.zeros((len(names), 4), int)
    np.add.at(counts, patient, outcomes)
    order, ends = _descending(probability)
    ranked_truth, ranked_patient = truth[order].astype(int), patient[order]

    def drawn_areas(area: Callable) -> Callable[[np.ndarray], float]:
        """The area of some patients' slices, a patient counting as often as drawn: nothing is sorted or copied anew."""

        def statistic(drawn: np.ndarray) -> float:
            times = np.bincount(drawn[:, 0], minlength=len(names))[ranked_patient]
            return area(np.cumsum(times * ranked_truth)[ends], np.cumsum(times * (1 - ranked_truth))[ends])

        return statistic

    numbers = np.arange(len(names))[:, None]
    counted = {
        name: (counts, lambda table, measure=measure: measure(*np.moveaxis(table.sum(axis=-2), -1, 0)), threshold, True)
        for name, measure in MEASURES.items()
    }
    areas = {name: (numbers, drawn_areas(area), np.nan, False) for name, area in (("AUC", _auc), ("AUPRC", _auprc))}
    return counted | areas, names


def _checked(truth: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, probability = np.asarray(truth, bool), check_probabilities(probability, "slice probabilities")
    if len(truth) != len(probability):
        raise DataError(f"{len(truth):,} truths and {len(probability):,} probabilities of slices, expected as many")
    if not len(truth):
        raise DataError("no slices to score, expected at least one")
    return truth, probability


def _descending(probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order from the highest probability down, and where in it each group of equal ones ends."""
    order = np.argsort(-probability, kind="stable")
    return order, np.append(np.flatnonzero(np.diff(probability[order])), len(order) - 1)


def _cumulative(truth: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct probabilities, highest first, and how many slices with and without tumour have at least that."""
    order, ends = _descending(probability)
    return probability[order][ends], np.cumsum(truth[order])[ends], np.cumsum(~truth[order])[ends]


def _every_threshold(truth: np.ndarray, probability: np.ndarray) -> pd.DataFrame:
    """``threshold, tp, fp, fn, tn`` wherever the calls change, from nothing called down to all called.

    The last threshold is 0, or -1 where only that calls a slice of probability 0.
    """
    values, tp, fp = _cumulative(truth, probability)
    midway = (values[:-1] + values[1:]) / 2
    midway = np.where(midway < values[:-1], midway, values[1:])  # between neighbouring floats there is no midway
    threshold = np.concatenate([[1.0], midway, [0.0 if values[-1] > 0 else -1.0]])
    tp, fp = np.append(0, tp), np.append(0, fp)
    return pd.DataFrame({"threshold": threshold, "tp": tp, "fp": fp, "fn": tp[-1] - tp, "tn": fp[-1] - fp})


def _auc(tp: np.ndarray, fp: np.ndarray) -> float:
    pairs = float(tp[-1]) * float(fp[-1])
    above = np.diff(fp, prepend=0) * (tp - np.diff(tp, prepend=0) / 2)
    return float(above.sum() / pairs) if pairs else float("nan")


def _auprc(tp: np.ndarray, fp: np.ndarray) -> float:
    if not (tp[-1] and fp[-1]):
        return float("nan")
    return float((np.diff(tp, prepend=0) * tp / np.maximum(tp + fp, 1)).sum() / tp[-1])
