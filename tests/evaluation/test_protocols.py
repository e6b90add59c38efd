"""Every Dice by its name, against a definition written anew from pixels."""

import statistics

import numpy as np
import pandas as pd
import pytest

from brain_tumor.evaluation import intervals, overlap, protocols

# Predicted and true pixels of each slice, as sets of pixel numbers out of 100. C has no tumour, D was missed entirely.
SLICES = {
    "A": [({1, 2, 3}, {2, 3, 4, 5}), (set(), set()), ({7}, set()), ({1, 2}, {1, 2})],
    "B": [(set(range(20)), set(range(5, 30))), (set(), {50})],
    "C": [(set(), set()), ({4, 5}, set()), (set(), set())],
    "D": [(set(), {1, 2, 3}), (set(), set())],
}
PIXELS = 100


@pytest.fixture(scope="module")
def counts():
    rows = []
    for case_id, pairs in SLICES.items():
        for number, (called, truth) in enumerate(pairs, 1):
            hit, invented, missed = len(called & truth), len(called - truth), len(truth - called)
            rows.append((case_id, number, 10, hit, invented, missed, PIXELS - hit - invented - missed, bool(called)))
    return pd.DataFrame(rows, columns=list(overlap.COLUMNS))


def dice(called, truth):
    """Of two sets; 1 where both are empty."""
    return 2 * len(called & truth) / (len(called) + len(truth)) if called or truth else 1.0


def volume(pairs, case_id=""):
    """All pixels of a case's slices as two sets."""
    return tuple({(case_id, number, pixel) for number, pair in enumerate(pairs) for pixel in pair[side]} for side in (0, 1))


def pooled(cases):
    volumes = [volume(pairs, case_id) for case_id, pairs in cases.items()]
    return dice(set().union(*(called for called, _ in volumes)), set().union(*(truth for _, truth in volumes)))


PLAIN = {
    "slice, empty = 1": lambda cases: statistics.mean(dice(*pair) for pairs in cases.values() for pair in pairs),
    "tumour slices": lambda cases: statistics.mean(dice(*pair) for pairs in cases.values() for pair in pairs if pair[1]),
    "pooled": pooled,
    "patient mean": lambda cases: statistics.mean(dice(*volume(pairs)) for pairs in cases.values()),
    "patient median": lambda cases: statistics.median(dice(*volume(pairs)) for pairs in cases.values()),
}


@pytest.mark.parametrize("protocol", protocols.PROTOCOLS, ids=lambda protocol: protocol.name)
def test_protocol_is_its_plain_definition(counts, protocol):
    assert protocol.summarise(protocol.per_patient(counts)) == pytest.approx(PLAIN[protocol.name](SLICES))
    nothing = {case_id: [(set(), truth) for _, truth in pairs] for case_id, pairs in SLICES.items()}
    floor = protocol.summarise(protocol.per_patient(overlap.all_empty(counts)))
    assert floor == pytest.approx(PLAIN[protocol.name](nothing))


@pytest.mark.parametrize("protocol", protocols.PROTOCOLS, ids=lambda protocol: protocol.name)
def test_order_of_rows_does_not_matter(counts, protocol):
    shuffled = counts.sample(frac=1, random_state=3)
    assert protocol.summarise(protocol.per_patient(shuffled)) == pytest.approx(protocol.summarise(protocol.per_patient(counts)))


def test_a_perfect_prediction_scores_one_everywhere(counts):
    perfect = counts.assign(tp=counts.tp + counts.fn, fp=0, fn=0)
    assert (protocols.score(perfect).dice == 1).all()


def test_patients_without_tumour_slices_drop_out_of_that_protocol_only(counts):
    rows = {protocol.name: len(protocol.per_patient(counts)) for protocol in protocols.PROTOCOLS}
    assert rows.pop("tumour slices") == 3
    assert set(rows.values()) == {4}


def test_score_table(counts):
    both = pd.concat([counts, counts.assign(size=20)], ignore_index=True)
    scores = protocols.score(both)
    assert list(scores.columns) == [
        "protocol", "size", "dice", "low", "high", "floor", "patients", "slices", "empty_slices",
    ]  # fmt: skip
    assert scores["size"].tolist() == [10] * 5 + [20] * 5
    assert scores.protocol.tolist() == [protocol.name for protocol in protocols.PROTOCOLS] * 2
    assert (scores.patients == 4).all()
    assert (scores.slices == 11).all()
    assert (scores.empty_slices == 6).all()
    assert ((scores.low <= scores.dice) & (scores.dice <= scores.high)).all()
    pd.testing.assert_frame_equal(scores, protocols.score(both))


def test_a_cohort_without_any_tumour_has_no_score_over_tumour_slices(counts):
    scores = protocols.score(counts[counts.case_id == "C"]).set_index("protocol")
    assert np.isnan(scores.dice["tumour slices"])
    assert scores.dice["slice, empty = 1"] == pytest.approx(2 / 3)
    assert scores[["low", "high"]].isna().all(axis=None), "one patient says nothing about others"


def test_every_protocol_explains_itself():
    for protocol in protocols.PROTOCOLS:
        assert protocols.means(protocol.name) == protocol.means
        assert len(protocol.means) > 20


def mean(per_patient):
    return float(per_patient.mean())


def test_the_interval_is_reproducible_and_seeded():
    sample = np.random.default_rng(0).random((15, 1))
    assert intervals.bootstrap(sample, mean, seed=1) == intervals.bootstrap(sample, mean, seed=1)
    assert intervals.bootstrap(sample, mean, seed=1) != intervals.bootstrap(sample, mean, seed=2)


def test_the_interval_covers_as_it_says():
    """At 95 % and 30 patients the percentile interval holds its own estimate always, and the truth nearly always."""
    generator = np.random.default_rng(0)
    samples = [generator.normal(0.8, 0.1, (30, 1)) for _ in range(40)]
    found = [intervals.bootstrap(sample, mean) for sample in samples]
    assert all(low < mean(sample) < high for sample, (low, high) in zip(samples, found, strict=True))
    assert 34 <= sum(low < 0.8 < high for low, high in found) <= 40


def test_fewer_patients_give_a_wider_interval():
    sample = np.random.default_rng(0).random((80, 1))
    widths = [high - low for low, high in (intervals.bootstrap(sample[:n], mean) for n in (5, 20, 80))]
    assert widths[0] > widths[1] > widths[2]


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_patients_give_no_interval(n):
    assert np.isnan(intervals.bootstrap(np.ones((n, 1)), mean)).all()
