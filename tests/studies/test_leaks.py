"""What a split is worth: floors over its draws, and two predictors paired by patient; all counts here are made by hand."""

import numpy as np
import pandas as pd
import pytest

from brain_tumor.data.cache import open_store
from brain_tumor.data.splits import named
from brain_tumor.errors import DataError
from brain_tumor.evaluation import floors, intervals, overlap
from brain_tumor.studies.leaks import leaks
from brain_tumor.studies.leaks.leaks import Calls, Outlines


def outlines(patients: str, found: int, of: int = 10) -> Outlines:
    """A tumour slice and an empty one a patient: ``found`` of ``of`` pixels hit, nothing invented; the all-empty floor."""
    rows = [
        {"case_id": patient, "slice": number, "size": 32, "tp": tp, "fp": 0, "fn": fn, "tn": 1024 - tp - fn}
        for patient in patients
        for number, (tp, fn) in {2: (found, of - found), 4: (0, 0)}.items()
    ]
    counts = pd.DataFrame(rows).assign(slice_probability=0.5)
    return Outlines(counts, overlap.all_empty(counts).assign(floor=floors.ALL_EMPTY))


def calls(patients: str, right: int) -> Calls:
    """Four slices a patient, two with tumour; of those two, ``right`` are called, and no other."""
    rows = [
        {"case_id": patient, "slice": number, "tumour": number > 2, "probability": 0.9 if 2 < number <= 2 + right else 0.1}
        for patient in patients
        for number in (1, 2, 3, 4)
    ]
    slices = pd.DataFrame(rows)
    return Calls(slices, slices.assign(probability=0.0, floor=floors.ALWAYS_NO))


def row(table: pd.DataFrame, measure: str, on: str = leaks.ALL) -> pd.Series:
    found = table[(table.measure == measure) & (table.on == on)]
    assert len(found) == 1
    return found.iloc[0]


def test_the_leak_in_outlines_is_the_difference_of_the_two_with_its_floor_beside():
    pairs = leaks.leak_pairs({"clean-1-of-1": outlines("abcdefg", 5), "leaky-1-of-1": outlines("abcdefg", 8)})
    table = leaks.comparison_table(pairs)
    assert set(table.measure) == set(leaks.OUTLINES)
    assert list(table.on.unique()) == [leaks.ALL, "draw 1"]
    clean, leaky = 2 * 5 / (10 + 5), 2 * 8 / (10 + 8)  # Dice of a tumour slice, and so of the patient and of all pixels
    for measure in ("patient mean", "tumour slices", "pooled"):
        found = row(table, measure)
        assert (found.one, found.other, found.one_floor) == pytest.approx((leaky, clean, 0.0))
        assert found.difference == pytest.approx(leaky - clean)
    slices = row(table, "slice, empty = 1")  # half of the slices are empty and count 1
    assert (slices.one, slices.other, slices.other_floor) == pytest.approx(((leaky + 1) / 2, (clean + 1) / 2, 0.5))
    assert (slices.slices, slices.empty_slices, slices.patients) == (14, 7, 7)
    assert slices.one_floor_name == floors.ALL_EMPTY
    assert slices.low == pytest.approx(slices.difference), "patients who are all alike leave no doubt"
    assert slices.verdict == intervals.BETTER


def test_the_leak_in_calls_is_the_difference_of_the_two():
    table = leaks.comparison_table({leaks.ALL: (calls("abcdefg", 2), calls("abcdefg", 1))})
    assert list(table.measure) == list(leaks.CALLS)
    accuracy, area = row(table, "accuracy"), row(table, "AUC")
    assert (accuracy.one, accuracy.other, accuracy.one_floor) == (1.0, 0.75, 0.5)
    assert (accuracy.slices, accuracy.empty_slices) == (28, 14)
    assert (area.one, area.other, area.other_floor) == (1.0, 0.75, 0.5)
    assert area.difference == pytest.approx(0.25)


def test_all_draws_together_are_every_patient_once_scored_by_who_held_them_out():
    runs = {
        "clean-1-of-2": outlines("abc", 5), "leaky-1-of-2": outlines("abc", 10),
        "clean-2-of-2": outlines("defgh", 5), "leaky-2-of-2": outlines("defgh", 5), "site-HT": outlines("zz", 1),
    }  # fmt: skip
    pairs = leaks.leak_pairs(runs)
    assert list(pairs) == [leaks.ALL, "draw 1", "draw 2"]
    own = leaks.by_patient(*pairs[leaks.ALL])
    assert list(own.index) == list("abcdefgh")
    assert own.to_numpy() == pytest.approx([1 / 3] * 3 + [0.0] * 5)
    table = leaks.comparison_table(pairs)
    assert row(table, "patient mean").difference == pytest.approx(own.mean())
    assert row(table, "patient mean", "draw 2").difference == 0
    assert row(table, "patient mean", "draw 2").verdict == intervals.NOT_DECIDABLE


def test_a_row_of_the_table_is_a_comparison():
    table = leaks.comparison_table(leaks.leak_pairs({"clean-1-of-1": calls("abcdefg", 1), "leaky-1-of-1": calls("abcdefg", 2)}))
    found = leaks.find(table, "accuracy")
    assert (found.difference, found.patients, found.verdict) == (0.25, 7, intervals.BETTER)
    assert found.p_value == row(table, "accuracy").p_value < 0.05


def test_each_patients_own_accuracy():
    assert leaks.by_patient(calls("ba", 1), calls("ab", 2)).to_dict() == {"a": -0.25, "b": -0.25}


def test_a_floor_that_one_draw_lacks_is_no_floor_of_all():
    one, other = outlines("abc", 5), outlines("def", 5)
    more = pd.concat([one.floors, one.slices.assign(floor=floors.INTERPOLATION)], ignore_index=True)
    joined = leaks.together([Outlines(one.slices, more), other])
    assert set(joined.floors.floor) == {floors.ALL_EMPTY}
    assert row(leaks.comparison_table({"both": (joined, joined)}), "pooled", "both").one_floor == 0


def test_only_slices_that_both_scored_are_compared():
    whole, half = outlines("abcdefg", 8), outlines("efgh", 5)
    half = Outlines(half.slices[half.slices["slice"] == 2], half.floors[half.floors["slice"] == 2])
    one, other = leaks.shared(whole, half)
    assert one.slices[["case_id", "slice"]].to_numpy().tolist() == [["e", 2], ["f", 2], ["g", 2]]
    assert len(one.floors) == len(other.floors) == len(other.slices) == 3
    assert row(leaks.comparison_table({"HT": (one, other)}), "pooled", "HT").difference == pytest.approx(16 / 18 - 10 / 15)


def test_what_does_not_fit_together_is_refused():
    one, other = outlines("abc", 5), outlines("cde", 5)
    with pytest.raises(DataError, match="1 patients are scored by several runs, such as c"):
        leaks.together([one, other])
    with pytest.raises(DataError, match="no slice in common"):
        leaks.shared(outlines("ab", 5), outlines("cd", 5))
    with pytest.raises(DataError, match="expected the same"):
        leaks.differences(one, other)
    with pytest.raises(DataError, match="no run on leaky-2-of-3"):
        leaks.leak_pairs({"clean-2-of-3": one})
    with pytest.raises(DataError, match="clean-1-of-3"):
        leaks.leak_pairs({"site-HT": one})


def test_what_a_scored_run_left_is_read(tmp_path):
    drawn, called = outlines("ab", 5), calls("ab", 1)
    native = drawn.slices.assign(size=64, tp=0)
    for folder, name, scored in (("drawn", "counts.csv", drawn), ("called", "slices.csv", called)):
        (tmp_path / folder).mkdir()
        rows = pd.concat([scored.slices, native]) if folder == "drawn" else scored.slices
        rows.to_csv(tmp_path / folder / name, index=False)
        scored.floors.to_csv(tmp_path / folder / "floors.csv", index=False)
    found = leaks.read(tmp_path / "drawn", size=32)
    pd.testing.assert_frame_equal(found.slices, drawn.slices, check_dtype=False)
    assert (type(found), len(found.floors)) == (Outlines, 4)
    found = leaks.read(tmp_path / "called")
    pd.testing.assert_frame_equal(found.slices, called.slices, check_dtype=False)
    assert type(found) is Calls


def test_a_run_that_was_not_scored_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=f"counts.csv.*brain-tumor evaluate {tmp_path.name}"):
        leaks.read(tmp_path, size=32)
    outlines("ab", 5).slices.to_csv(tmp_path / "counts.csv", index=False)
    outlines("ab", 5).floors.to_csv(tmp_path / "floors.csv", index=False)
    with pytest.raises(DataError, match="counted at 32 px, expected 128"):
        leaks.read(tmp_path, size=128)


def test_neighbours_are_a_floor_of_slice_splits_alone(phantom_cohort):
    store = open_store(phantom_cohort)
    draws = pd.concat([leaks.floor_draws(store, split, (0, 1), 32) for split in ("source-002", "ratio-33")])
    over = draws.groupby("split").floor.unique().map(set)
    assert over["source-002"] - over["ratio-33"] == {floors.NEAREST, floors.INTERPOLATION}
    assert over["ratio-33"] == {floors.ALWAYS_NO, floors.POSITION, floors.ALL_EMPTY, floors.MEAN_MASK}
    assert draws.value.between(0, 1).all()
    assert set(draws.measure) == {*leaks.OUTLINES, *leaks.CALLS}


def test_the_floors_of_a_draw_are_those_of_its_test_slices(phantom_cohort):
    store = open_store(phantom_cohort)
    draws = leaks.floor_draws(store, "fold-1-of-3", (0,), 32)
    test = named("fold-1-of-3", store.cases, store.slices).rows("test", store.slices)
    empty = (store.slices.tumour_px.to_numpy()[test] == 0).mean()
    always_no = draws[(draws.floor == floors.ALWAYS_NO) & (draws.measure == "accuracy")].value
    assert always_no.tolist() == pytest.approx([empty])


def test_the_spread_of_draws():
    draws = pd.DataFrame({"split": "s", "seed": [0, 1, 2], "floor": "f", "measure": "pooled", "value": [0.2, 0.3, 0.7]})
    found = leaks.floor_spread(draws).iloc[0]
    assert (found["mean"], found.lowest, found.highest, found.draws) == pytest.approx((0.4, 0.2, 0.7, 3))
    assert found.sd == pytest.approx(np.std([0.2, 0.3, 0.7], ddof=1))
