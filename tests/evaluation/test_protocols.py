"""Every Dice by its name, against a definition written anew from pixels."""

import statistics

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from brain_tumor.errors import DataError
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


def slices(cases):
    return [pair for pairs in cases.values() for pair in pairs]


def by_batch(cases, batch=protocols.BATCH):
    """Consecutive slices as one big picture, a mean over pictures weighted by their number of slices."""
    every = slices(cases)
    batches = [every[start : start + batch] for start in range(0, len(every), batch)]
    return sum(dice(*volume(some)) * len(some) for some in batches) / len(every)


PLAIN = {
    "slice, empty = 1": lambda cases: statistics.mean(dice(*pair) for pair in slices(cases)),
    "slice, empty = 0": lambda cases: statistics.mean(dice(*pair) if any(pair) else 0 for pair in slices(cases)),
    "slice, NaN-mean": lambda cases: statistics.mean(dice(*pair) for pair in slices(cases) if any(pair)),
    "tumour slices": lambda cases: statistics.mean(dice(*pair) for pair in slices(cases) if pair[1]),
    "batches of 16": by_batch,
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


@pytest.fixture
def perfect(counts):
    return counts.assign(tp=counts.tp + counts.fn, fp=0, fn=0)


def test_a_perfect_prediction_scores_one_everywhere_but_where_empty_slices_count_0(perfect):
    found = protocols.score(perfect).set_index("protocol").dice
    assert found.pop("slice, empty = 0") == 5 / 11
    assert (found == 1).all()


def test_every_patient_keeps_a_row(counts):
    """So that two runs can be paired: which patients have a slice that counts may depend on the prediction."""
    assert {len(protocol.per_patient(counts)) for protocol in protocols.PROTOCOLS} == {4}


def test_score_table(counts):
    both = pd.concat([counts, counts.assign(size=20)], ignore_index=True)
    scores = protocols.score(both)
    assert list(scores.columns) == [
        "protocol", "size", "dice", "low", "high", "floor", "floor_name", "patients", "slices", "empty_slices",
    ]  # fmt: skip
    names = [protocol.name for protocol in protocols.PROTOCOLS]
    assert scores["size"].tolist() == [10] * len(names) + [20] * len(names)
    assert scores.protocol.tolist() == names * 2
    assert (scores.patients == 4).all()
    assert (scores.slices == 11).all()
    assert (scores.empty_slices == 6).all()
    assert ((scores.low <= scores.dice) & (scores.dice <= scores.high)).all()
    assert set(scores.floor_name) == {"all empty"}
    pd.testing.assert_frame_equal(scores, protocols.score(both))


def test_a_cohort_without_any_tumour_has_no_score_over_tumour_slices(counts):
    scores = protocols.score(counts[counts.case_id == "C"]).set_index("protocol")
    assert np.isnan(scores.dice["tumour slices"])
    assert scores.dice["slice, NaN-mean"] == 0, "a false alarm"
    assert scores.dice["slice, empty = 1"] == pytest.approx(2 / 3)
    assert scores[["low", "high"]].isna().all(axis=None), "one patient says nothing about others"


def test_every_protocol_explains_itself():
    for protocol in protocols.PROTOCOLS:
        assert protocols.means(protocol.name) == protocol.means
        assert len(protocol.means) > 20


def test_an_unknown_protocol_is_refused():
    with pytest.raises(DataError, match=r"no Dice is named 'Dice', expected one of: slice, empty = 1; "):
        protocols.named("Dice")


def frame(*rows):
    """``(case_id, slice, tp, fp, fn)`` each, of 100 pixels."""
    table = pd.DataFrame(rows, columns=["case_id", "slice", "tp", "fp", "fn"])
    return table.assign(size=10, tn=100 - table.tp - table.fp - table.fn, slice_probability=1.0)[list(overlap.COLUMNS)]


def test_three_slices_by_hand():
    """A tumour half found (2 / 3), a slice rightly called empty, a false alarm: seven numbers for one prediction."""
    table = frame(("A", 1, 5, 0, 5), ("A", 2, 0, 0, 0), ("B", 1, 0, 5, 0))
    found = protocols.score(table).set_index("protocol").dice
    assert found.to_dict() == pytest.approx(
        {
            "slice, empty = 1": (2 / 3 + 1 + 0) / 3,
            "slice, empty = 0": (2 / 3 + 0 + 0) / 3,
            "slice, NaN-mean": (2 / 3 + 0) / 2,
            "tumour slices": 2 / 3,
            "batches of 16": 10 / 20,
            "pooled": 10 / 20,
            "patient mean": (2 / 3 + 0) / 2,
            "patient median": (2 / 3 + 0) / 2,
        }
    )


def test_batches_by_hand():
    """Two slices a batch, cut across patients: 10 of 15 with one right slice; then a false alarm that one slice weighs less."""
    table = frame(("A", 1, 5, 0, 5), ("B", 1, 0, 0, 0), ("B", 2, 0, 5, 0))
    assert protocols.dice(protocols.batch_pooled(2), table) == pytest.approx((2 * 2 / 3 + 1 * 0) / 3)
    assert protocols.dice(protocols.batch_pooled(2), table.iloc[::-1]) == pytest.approx(4 / 9), "slices go by case and number"
    assert protocols.batch_pooled(2).name == "batches of 2"


few = settings(max_examples=25)  # each scores eight protocols and more
# Cases of one to six slices with up to nine hits, false alarms and misses each; about half the slices empty in both.
slice_counts = st.just((0, 0, 0)) | st.tuples(*[st.integers(0, 9)] * 3)
predictions = st.lists(st.lists(slice_counts, min_size=1, max_size=6), min_size=1, max_size=6).map(
    lambda cases: frame(*((f"case {c}", s + 1, *found) for c, case in enumerate(cases) for s, found in enumerate(case)))
)


def every_dice(table):
    return {protocol.name: protocols.dice(protocol, table) for protocol in protocols.PROTOCOLS}


@few
@given(predictions)
def test_scores_are_between_0_and_1_or_missing_where_nothing_counts(table):
    for name, found in every_dice(table).items():
        assert 0 <= found <= 1 or np.isnan(found)
        nothing = (table.tp + table.fn == 0) & ((table.fp == 0) | (name == "tumour slices"))
        assert np.isnan(found) == (name in ("slice, NaN-mean", "tumour slices") and nothing.all())


@few
@given(predictions)
def test_the_conventions_for_empty_slices_are_ordered(table):
    """Only these: whether all slices or tumour slices score higher depends on the prediction."""
    found = every_dice(table)
    if table[["tp", "fp", "fn"]].any(axis=None):
        assert found["slice, empty = 1"] >= found["slice, NaN-mean"] - 1e-12
        assert found["slice, NaN-mean"] >= found["slice, empty = 0"] - 1e-12
    if (table.tp + table.fn > 0).any():
        assert found["tumour slices"] >= found["slice, NaN-mean"] - 1e-12


@few
@given(predictions)
def test_prediction_and_truth_can_change_places_but_for_tumour_slices(table):
    swapped = every_dice(table.rename(columns={"fp": "fn", "fn": "fp"}))
    for name, found in every_dice(table).items():
        if name != "tumour slices":
            assert swapped[name] == pytest.approx(found, nan_ok=True)


@few
@given(predictions, st.randoms())
def test_the_order_of_patients_matters_to_batches_only(table, random):
    names = sorted(set(table.case_id))
    renamed = dict(zip(names, random.sample(names, len(names)), strict=True))
    other = every_dice(table.assign(case_id=table.case_id.map(renamed)))
    for name, found in every_dice(table).items():
        if name != "batches of 16":
            assert other[name] == pytest.approx(found, nan_ok=True)


@few
@given(predictions, st.integers(1, 40))
def test_batches_lie_between_slices_and_everything(table, batch):
    found = every_dice(table)
    assert protocols.dice(protocols.batch_pooled(1), table) == pytest.approx(found["slice, empty = 1"])
    assert protocols.dice(protocols.batch_pooled(len(table)), table) == pytest.approx(found["pooled"])
    pairs = {
        case_id: [(set(range(row.tp + row.fp)), {*range(row.tp), *range(50, 50 + row.fn)}) for row in rows.itertuples()]
        for case_id, rows in table.groupby("case_id")
    }
    assert protocols.dice(protocols.batch_pooled(batch), table) == pytest.approx(by_batch(pairs, batch))


@few
@given(predictions, st.integers(0, 99))
def test_many_draws_at_once_are_each_draw_by_itself(table, seed):
    for protocol in (*protocols.PROTOCOLS, protocols.batch_pooled(3)):
        per_patient = protocol.per_patient(table)
        drawn = per_patient[np.random.default_rng(seed).integers(0, len(per_patient), (5, len(per_patient)))]
        np.testing.assert_allclose(protocol.summarise(drawn), [float(protocol.summarise(draw)) for draw in drawn])


def test_a_drawn_patient_brings_all_its_slices_into_the_batches():
    """Drawn twice, A lies twice in the row, and B not at all."""
    table = frame(("A", 1, 5, 0, 5), ("A", 2, 0, 0, 0), ("A", 3, 0, 5, 0), ("B", 1, 1, 2, 3))
    twice = pd.concat([table[:3], table[:3].assign(case_id="AA")])
    protocol = protocols.batch_pooled(2)
    drawn = protocol.per_patient(table)[[0, 0]]
    assert float(protocol.summarise(drawn)) == pytest.approx(protocols.dice(protocol, twice))


@pytest.fixture
def floors(counts):
    """Two predictors that read no image: one finds half of each tumour and invents nothing, one calls every pixel tumour."""
    half = counts.assign(tp=(counts.tp + counts.fn) // 2, fp=0)
    half = half.assign(fn=counts.tp + counts.fn - half.tp)
    everything = counts.assign(tp=counts.tp + counts.fn, fp=counts.fp + counts.tn, fn=0, tn=0)
    return {"half": half, "everything": everything}


def test_the_floor_is_the_best_of_all_that_read_no_image(counts, floors):
    scores = protocols.score(counts, floor_counts=floors).set_index("protocol")
    alone = protocols.score(floors["half"]).set_index("protocol")
    assert scores.floor_name["pooled"] == "half"
    assert scores.floor["pooled"] == alone.dice["pooled"] > scores.dice["pooled"], "a score below its floor"
    pd.testing.assert_frame_equal(
        scores.drop(columns=["floor", "floor_name"]),
        protocols.score(counts).set_index("protocol")[scores.columns.drop(["floor", "floor_name"])],
    )
    worst = protocols.score(counts, floor_counts={"everything": floors["everything"]}).set_index("protocol")
    assert worst.floor_name["slice, empty = 1"] == "all empty", "the all-empty prediction is among them, unasked"
    assert worst.floor["slice, empty = 1"] == 6 / 11


def test_a_floor_counts_at_its_own_size_only(counts, floors):
    both = pd.concat([counts, counts.assign(size=20)], ignore_index=True)
    scores = protocols.score(both, floor_counts={"half": floors["half"]}).set_index(["size", "protocol"])
    assert scores.floor_name[10, "pooled"] == "half"
    assert scores.floor_name[20, "pooled"] == "all empty"


@pytest.mark.parametrize(
    "other", [lambda table: table[1:], lambda table: pd.concat([table, table[:1]])], ids=["lacks one", "doubled"]
)
def test_a_floor_of_other_slices_is_refused(counts, floors, other):
    with pytest.raises(DataError, match=r"floor 'half': 1[02] slices, expected the same 11"):
        protocols.score(counts, floor_counts={"half": other(floors["half"])})


def test_two_predictions_are_compared_under_every_protocol(counts, perfect):
    one, other = (pd.concat([table, table.assign(size=20)], ignore_index=True) for table in (counts, perfect))
    found = protocols.compare(one, other, margin=0.01)
    scores = [protocols.score(table) for table in (one, other)]
    assert found[["protocol", "size"]].equals(scores[0][["protocol", "size"]])
    np.testing.assert_allclose(found.difference, scores[0].dice - scores[1].dice)
    assert set(found.verdict) == {"not decidable"}, "four patients"
    assert (found.patients_needed >= intervals.FEWEST_PAIRS).all()


def test_a_comparison_of_other_slices_is_refused(counts):
    with pytest.raises(DataError, match=r"11 slices, expected the same 11 \(2 differ, first \('A', "):
        protocols.compare(counts, counts.assign(slice=counts.slice.replace(4, 5)))


def test_the_spread_of_one_prediction(counts, perfect):
    found = protocols.spread({"as predicted": pd.concat([counts, perfect.assign(size=20)]), "perfect": perfect})
    assert found.columns.tolist() == ["as predicted, 10 px", "as predicted, 20 px", "perfect", "max - min"]
    assert found.index.tolist() == [*(protocol.name for protocol in protocols.PROTOCOLS), "max - min"]
    assert found.index.name == "protocol"
    scores, best = (protocols.score(table).dice for table in (counts, perfect))
    np.testing.assert_allclose(found["as predicted, 10 px"], [*scores, scores.max() - scores.min()])
    np.testing.assert_allclose(found.perfect, [*best, 1 - 5 / 11])
    np.testing.assert_allclose(found["max - min"], [*(best - scores), 1 - scores.min()])
