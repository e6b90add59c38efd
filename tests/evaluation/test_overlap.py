"""Counts worked by hand, and the laws that tie the overlap scores together."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays

from brain_tumor.evaluation import overlap

TRUTH = np.array(
    [
        [0, 1, 1, 0],
        [0, 1, 1, 0],
        [0, 0, 0, 0],
    ],
    np.uint8,
)
CALLED = np.array(
    [
        [0, 0, 1, 1],
        [0, 0, 1, 1],
        [0, 0, 0, 1],
    ],
    np.uint8,
)
plane_pairs = st.tuples(*[arrays.arrays(np.uint8, (2, 3, 4), elements=st.integers(0, 1))] * 2)
counts_of_a_slice = st.tuples(*[st.integers(0, 50)] * 3)


def test_counts_worked_by_hand():
    planes = np.stack([CALLED * 255, CALLED * 0]), np.stack([TRUTH, TRUTH])
    table = overlap.count(*planes)
    assert table.to_dict("records") == [
        {"tp": 2, "fp": 3, "fn": 2, "tn": 5, "slice_probability": 1.0},
        {"tp": 0, "fp": 0, "fn": 4, "tn": 8, "slice_probability": 0.0},
    ]
    assert overlap.dice(table.tp, table.fp, table.fn).tolist() == [4 / 9, 0.0]
    assert overlap.iou(table.tp, table.fp, table.fn).tolist() == [2 / 7, 0.0]


def test_a_pixel_is_called_above_the_threshold_only():
    probability = np.array([[[0, 127, 128, 255]]], np.uint8)
    everything = np.ones((1, 1, 4), np.uint8)
    assert overlap.count(probability, everything).tp[0] == 2
    assert overlap.count(probability, everything, threshold=0.2).tp[0] == 3
    assert overlap.count(probability, everything, threshold=1.0).tp[0] == 0


def test_arrays_of_unlike_shape_are_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        overlap.count(np.zeros((1, 3, 4), np.uint8), np.zeros((1, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="differ in shape"):
        overlap.threshold_counts(np.zeros((1, 3, 4), np.uint8), np.zeros((1, 4, 3), np.uint8), [0.5])


levels = arrays.arrays(np.uint8, (2, 3, 4), elements=st.sampled_from([0, 1, 50, 51, 127, 128, 200, 254, 255]))
masks = arrays.arrays(np.uint8, (2, 3, 4), elements=st.integers(0, 1))


@given(levels, masks, st.lists(st.sampled_from([0, 1]) | st.floats(0, 1), min_size=1, max_size=5))
def test_counts_at_many_thresholds_are_the_counts_at_each(probability, truth, thresholds):
    found = overlap.threshold_counts(probability, truth, thresholds)
    each = [overlap.count(probability, truth, threshold) for threshold in thresholds]
    pd.testing.assert_frame_equal(found.drop(columns=["threshold", "plane"]), pd.concat(each, ignore_index=True))
    assert found.threshold.tolist() == [threshold for threshold in thresholds for _plane in range(2)]
    assert found.plane.tolist() == [0, 1] * len(thresholds)


@pytest.mark.parametrize("score", [overlap.dice, overlap.iou])
def test_two_empty_masks_count_what_the_caller_says(score):
    assert score(0, 0, 0) == 1
    assert score(0, 0, 0, empty=0.0) == 0
    assert np.isnan(score(0, 0, 0, empty=np.nan))
    assert score(0, 1, 0) == score(0, 0, 1) == 0, "one empty mask is a miss or a false alarm, not a convention"


@given(plane_pairs)
def test_every_pixel_is_counted_once(planes):
    called, truth = planes
    table = overlap.count(called * 255, truth)
    assert (table[["tp", "fp", "fn", "tn"]].sum(axis=1) == 12).all()
    assert (table.tp + table.fn).tolist() == truth.sum(axis=(1, 2)).tolist()
    assert (table.tp + table.fp).tolist() == called.sum(axis=(1, 2)).tolist()


@given(plane_pairs)
def test_scores_are_symmetric(planes):
    called, truth = planes
    one, other = overlap.count(called * 255, truth), overlap.count(truth * 255, called)
    assert one.fp.tolist() == other.fn.tolist()
    for score in (overlap.dice, overlap.iou):
        assert score(one.tp, one.fp, one.fn).tolist() == score(other.tp, other.fp, other.fn).tolist()


@given(counts_of_a_slice)
def test_dice_follows_from_iou(counts):
    iou = overlap.iou(*counts)
    assert overlap.dice(*counts) == pytest.approx(2 * iou / (1 + iou))
    assert 0 <= iou <= overlap.dice(*counts) <= 1


def table(*rows):
    columns = ("case_id", "slice", "tp", "fp", "fn", "tn")
    return pd.DataFrame(rows, columns=columns).assign(size=10, slice_probability=0.9)


def test_the_floor_misses_all_and_invents_nothing():
    counts = table(("A", 1, 3, 4, 2, 91), ("A", 2, 0, 5, 0, 95), ("B", 1, 0, 0, 0, 100))
    floor = overlap.all_empty(counts)
    assert floor[["tp", "fp", "fn", "tn"]].to_numpy().tolist() == [[0, 0, 5, 95], [0, 0, 0, 100], [0, 0, 0, 100]]
    assert floor.slice_probability.tolist() == [0, 0, 0]
    assert overlap.dice(floor.tp, floor.fp, floor.fn).tolist() == [0, 1, 1]
    assert counts.tp.tolist() == [3, 0, 0], "the table it was given is left alone"


def test_a_row_a_case():
    cases = overlap.per_case(
        table(
            ("A", 1, 6, 2, 2, 90),  # found
            ("A", 2, 0, 1, 3, 96),  # missed
            ("A", 3, 0, 1, 0, 99),  # false alarm
            ("A", 4, 0, 0, 0, 100),  # rightly empty
            ("B", 1, 0, 0, 0, 100),  # a patient without tumour
        )
    )
    assert cases.loc["A", ["slices", "tumour_slices", "false_alarm_slices", "missed_slices"]].tolist() == [4, 2, 1, 1]
    assert cases.loc["A", ["tp", "fp", "fn", "tn"]].tolist() == [6, 4, 5, 385]
    assert cases.dice["A"] == 12 / 21
    assert cases.iou["A"] == 6 / 15
    assert cases.dice["B"] == 1
    assert cases.tumour_slices["B"] == 0


def test_a_slice_is_as_probable_as_its_most_probable_pixel():
    counts = table(("A", 1, 3, 4, 2, 91), ("A", 2, 0, 5, 0, 95), ("B", 1, 0, 0, 7, 93)).assign(slice_probability=[0.9, 0.6, 0.1])
    slices = overlap.as_slices(counts.iloc[1:])
    assert slices.to_dict("list") == {
        "case_id": ["A", "B"], "slice": [2, 1], "tumour": [False, True], "probability": [0.6, 0.1]
    }  # fmt: skip
