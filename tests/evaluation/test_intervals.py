"""Intervals that cover as they say, and comparisons that admit what they cannot decide."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from brain_tumor.errors import DataError
from brain_tumor.evaluation import intervals
from brain_tumor.evaluation.intervals import Comparison

SIMULATIONS = 300
NOMINAL = (0.90, 0.98)


def mean(per_patient):
    return float(per_patient.mean())


def means(drawn):
    return drawn[..., 0].mean(axis=-1)


def ratio_of_sums(drawn):
    sums = drawn.sum(axis=-2)
    return sums[..., 0] / sums[..., 1]


def median(drawn):
    return np.median(drawn[..., 0], axis=-1)


@pytest.fixture
def fewer_resamples(monkeypatch):
    monkeypatch.setattr(intervals, "RESAMPLES", 1000)


@pytest.fixture
def sample():
    return np.random.default_rng(0).beta(6, 2, (20, 1))


@pytest.mark.parametrize("statistic", [means, median], ids=lambda statistic: statistic.__name__)
def test_the_interval_is_that_of_scipy(sample, statistic):
    """Same draws, same numbers, to the last digits: only the loop is ours."""
    theirs = stats.bootstrap(
        (np.arange(20),), lambda rows, axis: statistic(sample[rows]), n_resamples=intervals.RESAMPLES, vectorized=True,
        confidence_level=intervals.LEVEL, method="percentile", random_state=np.random.default_rng(5),
    ).confidence_interval  # fmt: skip # `rng` only since SciPy 1.15
    ours = intervals.bootstrap(sample, statistic, seed=5, vectorised=True)
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_a_plain_statistic_gives_what_a_vectorised_one_gives(sample, monkeypatch):
    expected = intervals.bootstrap(sample, means, vectorised=True)
    assert intervals.bootstrap(sample, mean) == pytest.approx(expected)
    monkeypatch.setattr(intervals, "CHUNK", 100)
    assert intervals.bootstrap(sample, means, vectorised=True) == expected, "in many small parts"


def test_95_percent_intervals_of_a_mean_cover_the_truth_as_often(fewer_resamples):
    """Patients' Dice as they are: most near 0.8, a tail of bad ones."""
    samples = np.random.default_rng(1).beta(6, 1.5, (SIMULATIONS, 40, 1))
    found = [intervals.bootstrap(sample, means, seed, vectorised=True) for seed, sample in enumerate(samples)]
    covered = np.mean([low <= 6 / 7.5 <= high for low, high in found])
    assert NOMINAL[0] <= covered <= NOMINAL[1]


def test_95_percent_intervals_of_a_mean_over_slices_cover_the_truth_as_often(fewer_resamples):
    """Patients of 20 to 88 slices, all of one alike: had slices been drawn, intervals would be several times too narrow."""
    generator = np.random.default_rng(2)
    slices = generator.integers(20, 89, (SIMULATIONS, 40))
    samples = np.stack([generator.beta(6, 2, slices.shape) * slices, slices], axis=-1)
    found = [intervals.bootstrap(sample, ratio_of_sums, seed, vectorised=True) for seed, sample in enumerate(samples)]
    covered = np.mean([low <= 6 / 8 <= high for low, high in found])
    assert NOMINAL[0] <= covered <= NOMINAL[1]


def test_intervals_are_reproducible_and_seeded(sample):
    assert intervals.bootstrap(sample, mean, seed=1) == intervals.bootstrap(sample, mean, seed=1)
    assert intervals.bootstrap(sample, mean, seed=1) != intervals.bootstrap(sample, mean, seed=2)


def test_fewer_patients_give_a_wider_interval():
    sample = np.random.default_rng(0).random((80, 1))
    widths = [high - low for low, high in (intervals.bootstrap(sample[:n], mean) for n in (5, 20, 80))]
    assert widths[0] > widths[1] > widths[2]


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_patients_give_no_interval(n):
    assert np.isnan(intervals.bootstrap(np.ones((n, 1)), mean)).all()


def test_patients_who_are_all_alike_give_an_interval_of_no_width():
    assert intervals.bootstrap(np.full((8, 1), 0.5), means, vectorised=True) == (0.5, 0.5)


def test_draws_without_a_score_are_left_out():
    """Of three patients one has slices: a draw of the other two only has no mean over slices."""
    totals = np.array([[1.5, 2], [0, 0], [0, 0]])
    with np.errstate(invalid="ignore"):
        assert intervals.bootstrap(totals, ratio_of_sums, vectorised=True) == (0.75, 0.75)
        assert np.isnan(intervals.bootstrap(totals * 0, ratio_of_sums, vectorised=True)).all()


@pytest.fixture
def two_runs():
    """Ten patients; the first run is 0.04 better on average, and the second knows the same patients to be hard."""
    generator = np.random.default_rng(3)
    second = generator.beta(6, 2, (10, 1))
    return second + generator.normal(0.04, 0.02, (10, 1)), second


def test_a_paired_difference_is_seen_where_two_intervals_overlap(two_runs):
    first, second = two_runs
    apart = [intervals.bootstrap(run, mean) for run in two_runs]
    assert apart[0][0] < apart[1][1], "the two intervals overlap"
    found = intervals.paired(first, second, means, vectorised=True)
    assert found.verdict == "better"
    assert found.difference == pytest.approx(first.mean() - second.mean())
    assert (found.low, found.high) == pytest.approx(intervals.bootstrap(first - second, mean))
    assert found.p_value == pytest.approx(2 / (intervals.RESAMPLES + 1)), "no draw lies below 0"


@pytest.mark.parametrize("statistic", [means, median], ids=lambda statistic: statistic.__name__)
def test_swapping_the_runs_negates_their_difference(two_runs, statistic):
    first, second = two_runs
    one = intervals.paired(first, second, statistic, vectorised=True)
    other = intervals.paired(second, first, statistic, vectorised=True)
    assert (other.difference, other.low, other.high) == pytest.approx((-one.difference, -one.high, -one.low))
    assert (one.verdict, other.verdict) == ("better", "worse")
    assert one.p_value == other.p_value


def test_a_patient_is_drawn_for_both_runs_at_once():
    """Runs that differ by the same on every patient differ by that in every draw."""
    second = np.random.default_rng(0).random((30, 1)).round(2)
    found = intervals.paired(second + 0.25, second, mean)
    assert (found.low, found.high) == pytest.approx((0.25, 0.25))


def test_a_run_against_itself_is_not_decidable(sample):
    found = intervals.paired(sample, sample, mean)
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert found.verdict == "not decidable"
    assert found.patients_needed is None
    assert "not even a million patients" in str(found)
    assert intervals.paired(sample, sample, mean, margin=0.01).verdict == "not inferior"


def test_one_patient_has_no_interval():
    found = intervals.paired(np.array([[0.9]]), np.array([[0.7]]), mean)
    assert found.verdict == "no interval"
    assert found.difference == pytest.approx(0.2)
    assert np.isnan([found.low, found.high, found.half_width, found.p_value]).all()
    assert found.patients_needed is None
    assert str(found) == "difference +0.200: no interval, 1 patient"


def test_few_patients_decide_nothing_however_alike():
    a = np.full((5, 1), 0.9)
    found = intervals.paired(a, a - 0.25, mean)
    assert (found.verdict, found.patients_needed) == ("not decidable", 6)


@pytest.mark.parametrize(
    ("low", "high", "margin", "verdict"),
    [
        (0.01, 0.05, None, "better"),
        (-0.05, -0.01, None, "worse"),
        (-0.01, 0.05, None, "not decidable"),
        (-0.01, 0.05, 0.02, "not inferior"),
        (0.01, 0.05, 0.02, "better"),
        (-0.015, -0.005, 0.02, "not inferior"),  # worse, but by less than what would be accepted
        (-0.05, -0.005, 0.02, "worse"),
        (-0.05, 0.01, 0.02, "not decidable"),
    ],
)
def test_verdicts(low, high, margin, verdict):
    found = Comparison((low + high) / 2, low, high, 20, 0.5, margin)
    assert found.verdict == verdict
    assert str(found).startswith(verdict)
    assert found.half_width == pytest.approx((high - low) / 2)
    assert (found.patients_needed is not None) == (verdict == "not decidable")


def test_the_number_of_patients_that_would_decide_by_hand():
    """The interval reaches 0.04 below a difference of 0.02: half as wide would do, so four times the patients and one."""
    assert Comparison(0.02, -0.02, 0.05, 20, 0.5).patients_needed == 81
    assert Comparison(-0.02, -0.05, 0.02, 20, 0.5).patients_needed == 81
    assert Comparison(0.0, -0.04, 0.04, 20, 0.5, margin=0.02).patients_needed == 81, "0.02 above the margin's line"
    assert Comparison(-0.06, -0.20, 0.06, 20, 0.5, margin=0.02).patients_needed == 81, "beyond the margin: 0.06 below 0"
    assert Comparison(1e-9, -0.02, 0.05, 20, 0.5).patients_needed is None


def test_that_number_of_patients_does_decide():
    """Twelve patients repeated: a little over the number said, 0 lies outside the interval; well below it, it does not."""
    twelve = stats.norm.ppf(np.linspace(0.04, 0.96, 12), loc=0.01, scale=0.05).reshape(-1, 1)
    few = intervals.paired(twelve, np.zeros((12, 1)), means, vectorised=True)
    assert few.verdict == "not decidable"
    times = few.patients_needed / 12
    verdicts = {}
    for share in (0.7, 1.3):
        many = np.tile(twelve, (round(share * times), 1))
        verdicts[share] = intervals.paired(many, np.zeros_like(many), means, vectorised=True).verdict
    assert verdicts == {0.7: "not decidable", 1.3: "better"}


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.integers(2, 500), st.none() | st.floats(0.01, 0.5))
def test_what_is_not_decided_needs_more_patients_than_there_are(difference, below, above, patients, margin):
    found = Comparison(difference, difference - below, difference + above, patients, 0.5, margin)
    if found.verdict == "not decidable" and patients >= intervals.FEWEST_PAIRS and found.patients_needed:
        assert patients < found.patients_needed <= intervals.MOST_PATIENTS + 1


def with_margin(differences, margin):
    """Each patient's difference of two predictors, against the loss that would still be accepted."""
    return intervals.paired(differences, np.zeros_like(differences), mean, margin=margin)


def test_non_inferiority_against_a_margin(two_runs):
    first, second = (run[:, 0] for run in two_runs)
    assert with_margin(first - second, 0.05).verdict == "better"
    assert with_margin(second - first, 0.2).verdict == "not inferior"
    assert with_margin(second - first, 0.01).verdict == "worse"
    noise = np.random.default_rng(1).normal(0, 0.1, 30)
    assert with_margin(noise, 0.01).verdict == "not decidable"
    assert with_margin(noise, 0.2).verdict == "not inferior"
    quick = intervals.paired(noise, np.zeros_like(noise), lambda drawn: drawn.mean(axis=-1), margin=0.01, vectorised=True)
    own = with_margin(noise, 0.01)
    assert (quick.difference, quick.low, quick.high) == pytest.approx((own.difference, own.low, own.high))


@pytest.mark.parametrize("margin", [0, -0.1, math.nan, math.inf])
def test_a_margin_that_is_none_is_refused(margin):
    with pytest.raises(DataError, match=r"margin .*, expected a number above 0"):
        with_margin(np.zeros(10), margin)


def test_runs_of_other_patients_are_refused():
    with pytest.raises(DataError, match="3 patients against 4"):
        intervals.paired(np.ones((3, 1)), np.ones((4, 1)), mean)


@given(shift=st.floats(-0.3, 0.3), seed=st.integers(0, 50), margin=st.none() | st.floats(0.01, 0.3))
@settings(max_examples=30, deadline=None)
def test_the_p_value_and_the_interval_never_contradict_each_other(shift, seed, margin):
    values = np.random.default_rng(seed).normal(shift, 0.3, (12, 1))
    found = intervals.paired(values, np.zeros_like(values), means, seed, margin, vectorised=True)
    assert (found.p_value < 0.05) == (found.low > found.line or found.high < found.line)
    assert (found.p_value < 0.05) == (found.verdict != "not decidable")


def test_the_p_value_is_twice_the_share_of_draws_beyond_zero():
    values = np.random.default_rng(2).normal(0.08, 0.3, (30, 1))
    found = intervals.paired(values, np.zeros_like(values), means, vectorised=True)
    share = min((found.draws < 0).mean(), (found.draws > 0).mean())
    assert 0.01 < share < 0.5
    assert found.p_value == pytest.approx(2 * share, abs=2 / intervals.RESAMPLES)


def test_fewer_than_six_patients_have_no_p_value():
    found = intervals.paired(np.full((5, 1), 0.9), np.full((5, 1), 0.7), mean)
    assert np.isnan(found.p_value) and np.isnan(found.corrected(3).p_value)


def test_one_of_several_questions_has_a_wider_interval_and_a_higher_p_value(two_runs):
    alone = intervals.paired(*two_runs, means, vectorised=True)
    one_of_four = alone.corrected(4)
    assert one_of_four.low < alone.low and one_of_four.high > alone.high
    assert one_of_four.p_value == pytest.approx(4 * alone.p_value)
    assert (one_of_four.low, one_of_four.high) == tuple(np.quantile(alone.draws, [0.025 / 4, 1 - 0.025 / 4]))
    assert alone.corrected(1) == alone
    with pytest.raises(ValueError, match="without its draws"):
        Comparison(0.1, 0.05, 0.15, 20, 0.01).corrected(2)


def test_no_p_is_told_as_nought():
    assert [intervals.p_in_words(p) for p in (1e-6, 0.001, 0.0305, 1.0, np.nan)] == ["< 0.001", "0.001", "0.030", "1.000", "–"]
