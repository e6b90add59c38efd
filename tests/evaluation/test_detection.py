"""Detection figures worked by hand, against scikit-learn, and over patients drawn the slow way."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn import metrics

from brain_tumor.errors import DataError
from brain_tumor.evaluation import detection, intervals

lawful = settings(deadline=None, max_examples=50)
# Few distinct probabilities, so that ties are common.
slices = st.lists(st.tuples(st.booleans(), st.integers(0, 6).map(lambda level: level / 6)), min_size=1, max_size=30).map(
    lambda rows: (np.array([truth for truth, _ in rows]), np.array([probability for _, probability in rows]))
)
both_classes = slices.filter(lambda rows: rows[0].any() and not rows[0].all())

CASES = np.array(list("AAAABBBCCC"))
TRUTH = np.array([1, 1, 0, 0, 1, 0, 0, 1, 1, 0], bool)
PROBABILITY = np.array([0.9, 0.8, 0.7, 0.1, 0.6, 0.2, 0.1, 0.3, 0.9, 0.0])


def test_scores_worked_by_hand():
    """At 0.5: four of five tumour slices called, one of five others."""
    table = detection.score(CASES, TRUTH, PROBABILITY, threshold=0.5)
    value = table.set_index("measure").value
    assert value.drop(["AUC", "AUPRC"]).to_dict() == pytest.approx(
        {
            "sensitivity": 4 / 5,
            "specificity": 4 / 5,
            "accuracy": 8 / 10,
            "balanced accuracy": 4 / 5,
            "precision": 4 / 5,
            "F0.5": 4 / 5,
            "F1": 4 / 5,
            "F2": 4 / 5,
        }
    )
    assert value["AUC"] == pytest.approx(23 / 25), "of all pairs, only 0.6 and 0.3 against 0.7 are ranked wrongly"
    assert table.columns.tolist() == ["measure", "value", "low", "high", "threshold", "patients", "slices", "tumour_slices"]
    assert table[["patients", "slices", "tumour_slices"]].to_numpy().tolist() == [[3, 10, 5]] * 10
    assert table.threshold[:8].tolist() == [0.5] * 8 and table.threshold[8:].isna().all()
    assert (table.low <= table.value).all() and (table.value <= table.high).all()


def test_a_floor_of_sensitivity_has_the_same_specificity_and_the_other_way_round():
    slices = pd.DataFrame({"case_id": CASES, "tumour": TRUTH, "probability": PROBABILITY})  # both are 4/5
    guess = [0.9, 0.9, 0.2, 0.1, 0.3, 0.8, 0.1, 0.2, 0.1, 0.0]
    floors = pd.concat([slices.assign(floor="position", probability=guess), slices.assign(floor="always yes", probability=1.0)])
    found = detection.score_with_floors(slices, floors, 0.5).set_index("measure")
    expected = {"sensitivity": 3 / 5, "specificity": 3 / 5, "precision": 4 / 6}
    assert found.floor[list(expected)].to_dict() == pytest.approx(expected)
    assert set(found.floor_name[list(expected)]) == {"position"}, "whoever calls everything has no specificity"
    assert found.floor["accuracy"] == pytest.approx(6 / 10), "cut at one half"


def test_f_scores_lean_as_their_name_says():
    sensitive = detection.score(CASES, TRUTH, PROBABILITY, threshold=0.05).set_index("measure").value
    assert sensitive["sensitivity"] == 1 > sensitive["precision"]
    assert sensitive["F0.5"] < sensitive["F1"] < sensitive["F2"]


def test_a_slice_is_called_above_the_threshold_only():
    value = detection.score(CASES, TRUTH, PROBABILITY, threshold=0.9).set_index("measure").value
    assert value["sensitivity"] == 0 and value["specificity"] == 1


@lawful
@given(both_classes)
def test_scikit_learn_agrees(rows):
    truth, probability = rows
    assert detection.auc(truth, probability) == pytest.approx(metrics.roc_auc_score(truth, probability))
    assert detection.auprc(truth, probability) == pytest.approx(metrics.average_precision_score(truth, probability))
    called = probability > 0.5
    tn, fp, fn, tp = metrics.confusion_matrix(truth, called).ravel()
    theirs = {
        "sensitivity": metrics.recall_score(truth, called),
        "specificity": metrics.recall_score(~truth, ~called),
        "accuracy": metrics.accuracy_score(truth, called),
        "balanced accuracy": metrics.balanced_accuracy_score(truth, called),
        "F0.5": metrics.fbeta_score(truth, called, beta=0.5),
        "F1": metrics.f1_score(truth, called),
        "F2": metrics.fbeta_score(truth, called, beta=2),
    }
    if called.any():
        theirs["precision"] = metrics.precision_score(truth, called)
    ours = {name: float(detection.MEASURES[name](tp, fp, fn, tn)) for name in theirs}
    assert ours == pytest.approx(theirs)


@lawful
@given(both_classes)
def test_curves_are_those_of_scikit_learn(rows):
    truth, probability = rows
    ours = detection.roc_curve(truth, probability)
    false_alarms, sensitivity, _ = metrics.roc_curve(truth, probability, drop_intermediate=False)
    assert ours.false_alarm_rate.tolist() == pytest.approx(false_alarms.tolist())
    assert ours.sensitivity.tolist() == pytest.approx(sensitivity.tolist())
    assert np.trapezoid(ours.sensitivity, ours.false_alarm_rate) == pytest.approx(detection.auc(truth, probability))
    ours = detection.precision_recall_curve(truth, probability)
    precision, recall, _ = metrics.precision_recall_curve(truth, probability)
    assert ours.sensitivity.tolist() == pytest.approx(recall[::-1].tolist())
    assert ours.precision[1:].tolist() == pytest.approx(precision[::-1][1:].tolist())
    assert np.isnan(ours.precision[0]), "nothing is called, so nothing is precise"


@lawful
@given(both_classes)
def test_each_point_of_a_curve_is_reached_at_its_threshold(rows):
    truth, probability = rows
    for point in detection.roc_curve(truth, probability).itertuples():
        called = probability > point.threshold
        assert point.sensitivity == called[truth].mean()
        assert point.false_alarm_rate == called[~truth].mean()


@lawful
@given(both_classes)
def test_auc_is_the_chance_of_ranking_a_pair_rightly(rows):
    truth, probability = rows
    pairs = probability[truth][:, None] - probability[~truth][None]
    assert detection.auc(truth, probability) == pytest.approx(((pairs > 0) + (pairs == 0) / 2).mean())
    assert detection.auc(~truth, probability) == pytest.approx(1 - detection.auc(truth, probability))
    assert detection.auc(truth, 1 - probability**2) == pytest.approx(1 - detection.auc(truth, probability)), "only order counts"


def area_of_drawn_patients(area, seed):
    """By putting the drawn patients' slices together anew each time."""
    numbers = [np.flatnonzero(case == CASES) for case in "ABC"]

    def statistic(drawn):
        rows = np.concatenate([numbers[patient] for patient in drawn[:, 0]])
        return area(TRUTH[rows], PROBABILITY[rows])

    return intervals.bootstrap(np.arange(3)[:, None], statistic, seed)


@pytest.mark.parametrize(("name", "area"), [("AUC", detection.auc), ("AUPRC", detection.auprc)])
def test_intervals_draw_patients_with_all_their_slices(name, area):
    table = detection.score(CASES, TRUTH, PROBABILITY, threshold=0.5).set_index("measure")
    assert table.value[name] == area(TRUTH, PROBABILITY)
    assert table.loc[name, ["low", "high"]].tolist() == pytest.approx(area_of_drawn_patients(area, seed=0))


def test_slices_of_one_patient_tell_less_than_slices_of_many():
    """The same slices: fifteen patients with twenty alike slices each, or three hundred patients."""
    generator = np.random.default_rng(0)
    truth = np.arange(300) % 2 == 0
    probability = np.clip(0.5 + np.repeat(generator.normal(0, 0.3, 15), 20) * np.where(truth, 1, -1), 0, 1)
    few, many = (detection.score(cases, truth, probability, 0.5) for cases in (np.repeat(np.arange(15), 20), np.arange(300)))
    width = {name: (table.high - table.low)[2] for name, table in (("few", few), ("many", many))}
    assert width["few"] > 2 * width["many"]


def test_order_of_slices_does_not_matter():
    shuffled = np.random.default_rng(1).permutation(10)
    one = detection.score(CASES, TRUTH, PROBABILITY, 0.5)
    other = detection.score(CASES[shuffled], TRUTH[shuffled], PROBABILITY[shuffled], 0.5)
    assert one.value.tolist() == pytest.approx(other.value.tolist())


@pytest.mark.parametrize("tumour", [True, False])
def test_what_one_class_cannot_say_is_nan(tumour):
    truth = np.full(10, tumour)
    value = detection.score(CASES, truth, PROBABILITY, threshold=0.95).set_index("measure").value
    undefined = {"AUC", "AUPRC", "balanced accuracy", "precision", "specificity" if tumour else "sensitivity"}
    assert set(value.index[value.isna()]) == undefined | (set() if tumour else {"F0.5", "F1", "F2"})
    assert np.isnan(detection.auc(truth, PROBABILITY)) and np.isnan(detection.auprc(truth, PROBABILITY))
    curve = detection.roc_curve(truth, PROBABILITY)
    assert curve["false_alarm_rate" if tumour else "sensitivity"].isna().all()


def test_one_patient_has_scores_but_no_interval():
    table = detection.score(np.full(10, "A"), TRUTH, PROBABILITY, 0.5)
    assert table.value.notna().all() and table[["low", "high"]].isna().all(axis=None)


@lawful
@given(both_classes)
def test_no_threshold_does_better_than_the_chosen_one(rows):
    truth, probability = rows

    def reached(threshold):
        return float(np.mean((probability > threshold) == truth))

    chosen = detection.choose_threshold(truth, probability)
    everywhere = [reached(threshold) for threshold in np.linspace(0, 1, 25)]
    assert 0 <= chosen <= 1
    assert reached(chosen) == pytest.approx(max(everywhere))


def test_the_chosen_threshold_lies_midway_and_near_a_half():
    assert detection.choose_threshold([False, False, True, True], [0.1, 0.2, 0.6, 0.9]) == pytest.approx(0.4)
    assert detection.choose_threshold([False, True, False, True], [0.1, 0.3, 0.6, 0.9]) == pytest.approx(0.75)
    calls_none_or_two = [False, False, False, True], [0.1, 0.2, 0.9, 0.4]
    assert detection.choose_threshold(*calls_none_or_two) == pytest.approx(0.3), "as good as 1, and nearer to 0.5"


def test_neighbouring_floats_are_parted():
    low = 0.3
    high = np.nextafter(low, 1)
    threshold = detection.choose_threshold([False, True], [low, high])
    assert low <= threshold < high


@pytest.mark.parametrize("truth", [[True, True], [False, False]])
def test_a_threshold_is_not_chosen_on_one_class(truth):
    with pytest.raises(DataError, match="2 slices, all with"):
        detection.choose_threshold(truth, [0.2, 0.7])


@pytest.mark.parametrize("value", [np.nan, 1.5, -0.1])
def test_what_is_no_probability_is_refused(value):
    broken = np.where(np.arange(10) == 3, value, PROBABILITY)
    for function in (detection.auc, detection.auprc, detection.choose_threshold, detection.roc_curve):
        with pytest.raises(DataError, match="slice probabilities: expected probabilities from 0 to 1; 1 of 10"):
            function(TRUTH, broken)
    with pytest.raises(DataError, match="slice probabilities"):
        detection.score(CASES, TRUTH, broken, 0.5)


def test_columns_of_unlike_length_and_no_slices_are_refused():
    with pytest.raises(DataError, match="10 truths and 9 probabilities"):
        detection.score(CASES, TRUTH, PROBABILITY[:9], 0.5)
    with pytest.raises(DataError, match="9 case names and 10 slices"):
        detection.score(CASES[:9], TRUTH, PROBABILITY, 0.5)
    with pytest.raises(DataError, match="no slices"):
        detection.auc([], [])


def test_tables_of_a_store_are_taken_as_they_are():
    frame = pd.DataFrame({"case_id": CASES, "truth": TRUTH, "probability": PROBABILITY}, index=range(50, 60))
    table = detection.score(frame.case_id, frame.truth, frame.probability, 0.5)
    pd.testing.assert_frame_equal(table, detection.score(CASES, TRUTH, PROBABILITY, 0.5))


@pytest.fixture
def detected():
    """The ten slices above as a table, numbered within their patients."""
    frame = pd.DataFrame({"case_id": CASES, "tumour": TRUTH, "probability": PROBABILITY})
    return frame.assign(slice=frame.groupby("case_id").cumcount() + 1)


def test_a_row_a_case(detected):
    cases = detection.per_case(detected, 0.5)
    assert cases.loc["A"].to_dict() == {
        "slices": 4, "tumour_slices": 2, "missed_slices": 0, "false_alarm_slices": 1, "accuracy": 0.75, "auc": 1.0
    }  # fmt: skip
    assert cases.missed_slices.to_dict() == {"A": 0, "B": 0, "C": 1}


def test_a_comparison_is_the_difference_of_the_scores_paired_by_patient(detected):
    other = detected.assign(probability=detected.probability[::-1].to_numpy())
    found = detection.compare(detected, other, 0.5, 0.25).set_index("measure")
    ours = detection.score(detected.case_id, detected.tumour, detected.probability, 0.5).set_index("measure").value
    theirs = detection.score(other.case_id, other.tumour, other.probability, 0.25).set_index("measure").value
    pd.testing.assert_series_equal(found.difference, ours - theirs, check_names=False)
    numbers = [np.flatnonzero(name == CASES) for name in "ABC"]
    drawn = np.random.default_rng(0).integers(0, 3, (intervals.RESAMPLES, 3))
    rows = [np.concatenate([numbers[patient] for patient in draw]) for draw in drawn]
    slow = [detection.auc(TRUTH[r], PROBABILITY[r]) - detection.auc(TRUTH[r], PROBABILITY[::-1][r]) for r in rows]
    assert found.loc["AUC", ["low", "high"]].tolist() == pytest.approx(np.nanquantile(slow, [0.025, 0.975]).tolist())
    assert (found.patients == 3).all()


def test_against_itself_nothing_is_decided_and_the_other_way_round_turns_the_sign(detected):
    same = detection.compare(detected, detected.sample(frac=1, random_state=0), 0.5, 0.5)
    assert (same.difference == 0).all() and (same.low == 0).all() and set(same.verdict) == {intervals.NOT_DECIDABLE}
    other = detected.assign(probability=0.5)
    one, two = detection.compare(detected, other, 0.5, 0.5), detection.compare(other, detected, 0.5, 0.5)
    np.testing.assert_allclose(one.difference, -two.difference)
    np.testing.assert_allclose(one.low, -two.high)


@pytest.mark.parametrize("change", ["fewer", "other truth"])
def test_a_comparison_on_other_slices_is_refused(detected, change):
    other = detected.iloc[1:] if change == "fewer" else detected.assign(tumour=~detected.tumour)
    with pytest.raises(DataError, match="expected the same 10"):
        detection.compare(detected, other, 0.5, 0.5)
