"""Calibration of predictors whose calibration is known, and the laws of a temperature."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import special
from sklearn.metrics import brier_score_loss, log_loss

from brain_tumor.errors import DataError
from brain_tumor.evaluation import calibration, intervals
from brain_tumor.evaluation.detection import auc

lawful = settings(deadline=None, max_examples=50)
grid = st.integers(0, 255).map(lambda level: level / 255)
predictions = st.lists(st.tuples(st.booleans(), grid), min_size=1, max_size=40).map(
    lambda rows: (np.array([truth for truth, _ in rows]), np.array([probability for _, probability in rows]))
)
temperatures = st.floats(0.4, 8)


def calibrated(n=40_000, seed=0):
    """Truth drawn with exactly the probability stated."""
    generator = np.random.default_rng(seed)
    probability = generator.beta(0.7, 1.3, n)
    return generator.random(n) < probability, probability


def test_reliability_worked_by_hand():
    truth = np.array([0, 0, 1, 1, 1], bool)
    probability = np.array([0.1, 0.2, 0.3, 0.8, 1.0])
    table = calibration.reliability(truth, probability, bins=4)
    assert table.low.tolist() == [0, 0.25, 0.75]
    assert table.high.tolist() == [0.25, 0.5, 1]
    assert table.weight.tolist() == [2, 1, 2]
    assert table.mean_probability.tolist() == pytest.approx([0.15, 0.3, 0.9])
    assert table.tumour_share.tolist() == [0, 1, 1]
    assert calibration.ece(truth, probability, bins=4) == pytest.approx((2 * 0.15 + 0.7 + 2 * 0.1) / 5)
    assert calibration.brier(truth, probability) == pytest.approx((0.01 + 0.04 + 0.49 + 0.04) / 5)


def test_bins_of_equal_mass_worked_by_hand():
    truth = np.array([0, 0, 1, 0, 1, 1], bool)
    probability = np.array([0.01, 0.02, 0.03, 0.04, 0.9, 0.95])
    table = calibration.reliability(truth, probability, bins=3, equal_mass=True)
    assert table.weight.tolist() == [2, 2, 2]
    assert table.low.tolist() == [0.01, 0.03, 0.9]
    assert table.high.tolist() == [0.02, 0.04, 0.95]
    assert table.tumour_share.tolist() == [0, 0.5, 1]
    assert calibration.ece(truth, probability, bins=3, equal_mass=True) == pytest.approx((0.015 + 0.465 + 0.075) / 3)


def test_a_value_that_fills_several_bins_leaves_fewer():
    table = calibration.reliability(np.zeros(10, bool), np.array([0.0] * 8 + [0.5, 0.9]), bins=5, equal_mass=True)
    assert table.weight.tolist() == [8, 2]


def test_a_bin_begins_with_its_lower_edge():
    table = calibration.reliability(np.zeros(4, bool), np.array([0, 0.5, 0.5, 1]), bins=2)
    assert table.weight.tolist() == [1, 3]


@pytest.mark.parametrize("equal_mass", [False, True])
def test_a_calibrated_predictor_has_almost_no_error_and_an_overconfident_one_has(equal_mass):
    truth, probability = calibrated()
    assert calibration.ece(truth, probability, equal_mass=equal_mass) < 0.01
    assert calibration.ece(truth, probability**0.3, equal_mass=equal_mass) > 0.1


@pytest.mark.parametrize("equal_mass", [False, True])
def test_the_table_and_the_figure_agree(equal_mass):
    truth, probability = calibrated(500)
    table = calibration.reliability(truth, probability, bins=10, equal_mass=equal_mass)
    error = np.average((table.tumour_share - table.mean_probability).abs(), weights=table.weight)
    assert calibration.ece(truth, probability, bins=10, equal_mass=equal_mass) == pytest.approx(error)
    assert (table.low <= table.mean_probability).all() and (table.mean_probability <= table.high).all()
    assert table.weight.sum() == 500
    if equal_mass:
        assert table.weight.tolist() == [50] * 10


@lawful
@given(predictions, st.booleans())
def test_errors_keep_their_bounds_and_see_no_order(rows, equal_mass):
    truth, probability = rows
    error = calibration.ece(truth, probability, equal_mass=equal_mass)
    assert 0 <= error <= 1
    assert calibration.ece(truth[::-1], probability[::-1], equal_mass=equal_mass) == pytest.approx(error)
    assert calibration.brier(truth, probability) == pytest.approx(brier_score_loss(truth, probability, pos_label=True))
    assert calibration.ece(truth, truth.astype(float), equal_mass=equal_mass) == calibration.brier(truth, truth) == 0
    assert calibration.ece(truth, 1.0 - truth, equal_mass=equal_mass) == calibration.brier(truth, ~truth) == 1


@lawful
@given(predictions, st.lists(st.integers(0, 4), min_size=40, max_size=40), st.booleans())
def test_a_weight_is_that_many_rows(rows, times, equal_mass):
    truth, probability = rows
    times = np.array(times[: len(truth)])
    weighted = calibration.reliability(truth, probability, times, equal_mass=equal_mass)
    repeated = calibration.reliability(np.repeat(truth, times), np.repeat(probability, times), equal_mass=equal_mass)
    pd.testing.assert_frame_equal(weighted, repeated)
    if times.any():
        brier = calibration.brier(np.repeat(truth, times), np.repeat(probability, times))
        assert calibration.brier(truth, probability, times) == pytest.approx(brier)
    else:
        assert weighted.empty
        assert np.isnan(calibration.brier(truth, probability, times)) and np.isnan(calibration.ece(truth, probability, times))


@pytest.fixture
def volume():
    generator = np.random.default_rng(1)
    probability = generator.integers(0, 256, (3, 15, 17), dtype=np.uint8)
    return probability, generator.integers(0, 256, probability.shape) < probability


def test_a_histogram_counts_every_pixel_by_its_truth(volume):
    probability, truth = volume
    histogram = calibration.pixel_histogram(probability, truth)
    assert histogram.shape == (256, 2) and histogram.dtype == np.int64
    assert histogram.sum(axis=0).tolist() == [(~truth).sum(), truth.sum()]
    assert histogram[77].tolist() == [((probability == 77) & (truth == side)).sum() for side in (False, True)]
    assert np.array_equal(histogram, calibration.pixel_histogram(probability, truth.astype(np.uint8)))


def test_histograms_add_up(volume):
    probability, truth = volume
    parts = [calibration.pixel_histogram(probability[plane], truth[plane]) for plane in range(3)]
    assert np.array_equal(sum(parts), calibration.pixel_histogram(probability, truth))


def test_a_histogram_scores_as_its_pixels_do(volume):
    probability, truth = volume
    rows = calibration.weighted_rows(calibration.pixel_histogram(probability, truth))
    pixels = truth.ravel(), probability.ravel() / 255
    for equal_mass in (False, True):
        assert calibration.ece(*rows, equal_mass=equal_mass) == pytest.approx(calibration.ece(*pixels, equal_mass=equal_mass))
    assert calibration.brier(*rows) == pytest.approx(calibration.brier(*pixels))
    assert calibration.fit_temperature(*rows) == pytest.approx(calibration.fit_temperature(*pixels), rel=1e-4)


def test_pixels_that_are_not_bytes_or_not_of_one_size_are_refused(volume):
    probability, truth = volume
    with pytest.raises(DataError, match="pixel probabilities are float64, expected uint8"):
        calibration.pixel_histogram(probability / 255, truth)
    with pytest.raises(DataError, match="differ in shape"):
        calibration.pixel_histogram(probability, truth[:2])


@lawful
@given(predictions, temperatures)
def test_a_temperature_keeps_the_order_and_the_bounds(rows, temperature):
    truth, probability = rows
    cooled = calibration.apply_temperature(probability, temperature)
    assert ((cooled >= 0) & (cooled <= 1)).all()
    levels = calibration.apply_temperature(np.arange(256) / 255, temperature)
    assert (np.diff(levels) > 0).all(), "strictly: no two levels become one"
    assert levels[[0, 255]].tolist() == [0, 1]
    if truth.any() and not truth.all():
        assert auc(truth, cooled) == auc(truth, probability)
    toward_half = np.abs(cooled - 0.5) <= np.abs(probability - 0.5) + 1e-12
    assert toward_half.all() if temperature >= 1 else (~toward_half | np.isin(probability, [0, 1])).all()


@lawful
@given(predictions, temperatures)
def test_a_temperature_of_one_changes_nothing_and_two_undo_each_other(rows, temperature):
    _, probability = rows
    assert calibration.apply_temperature(probability, 1) == pytest.approx(probability, abs=1e-12)
    there = calibration.apply_temperature(probability, temperature)
    assert calibration.apply_temperature(there, 1 / temperature) == pytest.approx(probability, abs=1e-6)


@pytest.mark.parametrize("sharpened_by", [0.5, 1.0, 2.5, 4.0])
def test_the_temperature_of_a_sharpened_predictor_is_found(sharpened_by):
    truth, probability = calibrated()
    sharp = calibration.apply_temperature(probability, 1 / sharpened_by)
    found = calibration.fit_temperature(truth, sharp, clip=1e-12)
    assert found == pytest.approx(sharpened_by, rel=0.03)
    assert calibration.ece(truth, calibration.apply_temperature(sharp, found)) < 0.01


def test_the_fitted_temperature_is_the_likeliest():
    truth, probability = calibrated(300, seed=4)
    sharp = calibration.apply_temperature(np.clip(probability, 0.05, 0.95), 0.6)
    best = calibration.fit_temperature(truth, sharp)
    losses = {
        factor: log_loss(truth, calibration.apply_temperature(sharp, best * factor)) for factor in (0.9, 0.99, 1, 1.01, 1.1)
    }
    assert min(losses, key=losses.get) == 1


def test_stored_bytes_are_drawn_in_by_half_a_level_before_the_fit():
    """A certain mistake is infinitely unlikely; half a grey level makes it finite, and a wholly wrong predictor is cooled."""
    truth, probability = np.array([True, False, True, False]), np.array([1.0, 0.0, 0.0, 1.0])
    assert calibration.fit_temperature(truth, probability) == pytest.approx(calibration.TEMPERATURES[1], rel=1e-3)
    mostly = np.repeat([True, False, True, False], [9, 9, 1, 1]), np.repeat([1.0, 0.0, 0.0, 1.0], [9, 9, 1, 1])
    expected = special.logit(1 - calibration.CLIP) / special.logit(0.9)  # right nine times in ten
    assert calibration.fit_temperature(*mostly) == pytest.approx(expected, rel=1e-4)


def test_perfectly_separated_slices_end_at_the_coldest_temperature():
    found = calibration.fit_temperature([False, False, True], [0.1, 0.2, 0.7])
    assert found == pytest.approx(calibration.TEMPERATURES[0], rel=1e-3)


@pytest.mark.parametrize("truth", [[True, True], [False, False]])
def test_a_temperature_needs_both_classes(truth):
    with pytest.raises(DataError, match="expected both"):
        calibration.fit_temperature(truth, [0.2, 0.7])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.2, np.nan], "1 of 2 values are not, such as nan"),
        ([0.2, 1.1, -3], "2 of 3 values are not, such as 1.1"),
        ([np.inf], "such as inf"),
        (np.array([0, 255], np.uint8), "such as 255"),
        (["high", "low"], "not all numbers"),
        ([None, 0.5], "1 of 2 values are not, such as nan"),
    ],
)
def test_what_is_no_probability_is_refused_in_one_line(values, words):
    with pytest.raises(DataError, match="guesses.csv: .*probabilities from 0 to 1") as refusal:
        calibration.check_probabilities(values, "guesses.csv")
    assert words in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize("values", [[], [0, 1], [[0.5], [1.0]], pd.Series([0.25]), np.float32([0.1]), [True, False]])
def test_probabilities_pass_as_floats(values):
    passed = calibration.check_probabilities(values)
    assert passed.dtype == np.float64
    assert np.array_equal(passed, np.asarray(values, float))


@pytest.mark.parametrize("function", [calibration.reliability, calibration.ece, calibration.brier, calibration.fit_temperature])
def test_every_way_in_has_the_door(function):
    with pytest.raises(DataError, match="expected probabilities from 0 to 1"):
        function([True, False], [0.5, np.nan])
    with pytest.raises(DataError, match="expected probabilities from 0 to 1"):
        calibration.apply_temperature([1.5], 2)


def test_columns_of_unlike_length_are_refused():
    with pytest.raises(DataError, match="2 truths, 1 probabilities, 1 weights"):
        calibration.ece([True, False], [0.5])
    with pytest.raises(DataError, match="2 truths, 2 probabilities, 3 weights"):
        calibration.brier([True, False], [0.5, 0.5], [1, 1, 1])


def plain_score(case_id, truth, probability, measure, seed):
    """The interval over patients, by putting the drawn patients' slices together anew each time."""
    numbers = [np.flatnonzero(case_id == name) for name in pd.unique(case_id)]

    def statistic(drawn):
        rows = np.concatenate([numbers[patient] for patient in drawn[:, 0]])
        return measure(truth[rows], probability[rows])

    return intervals.bootstrap(np.arange(len(numbers))[:, None], statistic, seed)


def test_scores_of_slices_have_intervals_over_patients():
    truth, probability = calibrated(60, seed=2)
    case_id = np.random.default_rng(0).choice(list("ABCDE"), 60)
    table = calibration.score(case_id, truth, probability).set_index("measure")
    assert list(table.index) == ["ECE", "adaptive ECE", "Brier score"]
    assert table.value.tolist() == [
        calibration.ece(truth, probability),
        calibration.ece(truth, probability, equal_mass=True),
        calibration.brier(truth, probability),
    ]
    assert (table.patients == 5).all() and (table.bins == calibration.BINS).all()
    for measure, name in [(calibration.ece, "ECE"), (calibration.brier, "Brier score")]:
        plain = plain_score(case_id, truth, probability, measure, seed=0)
        assert table.loc[name, ["low", "high"]].tolist() == pytest.approx(plain)


def test_scores_of_pixels_have_intervals_over_patients(volume):
    probability, truth = volume
    histograms = np.stack([calibration.pixel_histogram(probability[plane], truth[plane]) for plane in range(3)])
    table = calibration.score_pixels(histograms).set_index("measure")
    assert table.value["Brier score"] == pytest.approx(calibration.brier(truth.ravel(), probability.ravel() / 255))
    assert (table.low <= table.value).all() and (table.value <= table.high * 1.001).all()
    planes = np.repeat(list("ABC"), 15 * 17)
    as_rows = calibration.score(planes, truth.ravel(), probability.ravel() / 255).set_index("measure")
    assert table[["value", "low", "high"]].to_numpy() == pytest.approx(as_rows[["value", "low", "high"]].to_numpy())


def test_who_answers_the_share_of_tumour_is_calibrated_and_says_nothing():
    truth, probability = calibrated(60, seed=2)
    case_id = np.random.default_rng(0).choice(list("ABCDE"), 60)
    floors = {"always no": np.zeros(60), "share": np.full(60, truth.mean())}
    table = calibration.score(case_id, truth, probability, floors=floors).set_index("measure")
    assert table.floor["ECE"] == pytest.approx(0) and table.floor_name["ECE"] == "share"
    assert table.floor["Brier score"] == pytest.approx(truth.mean() * (1 - truth.mean()))
    assert calibration.score(case_id, truth, probability).floor.isna().all()


def test_the_floor_of_pixels_is_the_empty_mask(volume):
    probability, truth = volume
    histogram = calibration.pixel_histogram(probability, truth)
    table = calibration.score_pixels(histogram[None])
    assert table.floor.tolist() == pytest.approx([truth.mean()] * 3)
    assert set(table.floor_name) == {"all empty"}


def test_histograms_come_back_from_a_table_of_their_levels(volume):
    probability, truth = volume
    histograms = np.stack([calibration.pixel_histogram(probability[plane], truth[plane]) for plane in range(3)])
    held = [(case, level) for case in range(3) for level in range(256) if histograms[case, level].any()]
    table = pd.DataFrame(
        [(f"case {case}", level, *histograms[case, level]) for case, level in held],
        columns=["case_id", "level", "negative", "positive"],
    )
    np.testing.assert_array_equal(calibration.histograms(table), histograms)
