"""Floors: predictors that read no image, made so that they cannot; each worked by hand on a few slices."""

import dataclasses
import inspect

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from brain_tumor.data import splits
from brain_tumor.data.cache import open_store
from brain_tumor.evaluation import classification, floors, overlap
from brain_tumor.experiments import segmentation

SIZE = 9


def stack(*areas_of_cases):
    """A row a slice: one case an argument, the tumour areas of its slices."""
    rows = [
        {"case_id": f"case {name}", "site": "X", "slice": number, "tumour_px": area}
        for name, areas in zip("ABCDEFGH", areas_of_cases, strict=False)
        for number, area in enumerate(areas, start=1)
    ]
    return pd.DataFrame(rows)


def squares(*sides):
    """``(Z, 9, 9)``: a centred square of each side, 0 for none."""
    masks = np.zeros((len(sides), SIZE, SIZE), np.uint8)
    for mask, side in zip(masks, sides, strict=True):
        low = (SIZE - side) // 2
        mask[low : low + side, low : low + side] = 1
    return masks


@st.composite
def any_split(draw):
    """Slices of a few patients, masks for them, and a split of the slices."""
    lengths = draw(st.lists(st.integers(2, 7), min_size=2, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    masks = (rng.random((sum(lengths), 6, 6)) < 0.2) & (rng.random((sum(lengths), 1, 1)) < 0.5)
    areas = masks.sum(axis=(1, 2))
    slices = stack(*np.split(areas, np.cumsum(lengths)[:-1]))
    order = rng.permutation(len(slices))
    cut = draw(st.integers(1, len(slices) - 1))
    return slices, masks.astype(np.uint8), np.sort(order[:cut]), np.sort(order[cut:])


class Blind:
    """Stands where images would: whoever looks is caught."""

    def __getattr__(self, name):
        raise AssertionError(f"a floor asked for the images' {name}")

    def __getitem__(self, _key):
        raise AssertionError("a floor read an image")


def test_no_floor_has_anywhere_to_put_an_image():
    every = inspect.getmembers(floors, inspect.isfunction)
    functions = [function for _, function in every if function.__module__ == floors.__name__]
    public = [function for function in functions if not function.__name__.startswith("_")]
    taken = {name for function in public for name in inspect.signature(function).parameters}
    assert taken == {"slices", "masks", "train", "test", "predicted"}


@pytest.mark.parametrize("unit", ["ratio-50", "source-002"], ids=["patients", "slices"])
def test_floors_of_a_run_are_counted_while_images_are_out_of_reach(phantom_cohort, monkeypatch, unit):
    blind = {size: dataclasses.replace(open_store(phantom_cohort, size), images=Blind()) for size in (32, 64)}
    monkeypatch.setattr(segmentation, "open_store", lambda cohort, size=None: blind[size or 64])
    store = blind[64]
    with pytest.raises(AssertionError, match="read an image"):
        store.images[0]
    split = splits.named(unit, store.cases, store.slices)
    train, test = split.rows("train", store.slices), split.rows("test", store.slices)
    masks, labels = segmentation.image_free(store, 32, train, test), classification.image_free(store.slices, train, test)
    neighbours = unit == "source-002"
    assert (floors.INTERPOLATION in set(masks.floor)) is neighbours
    assert (floors.NEAREST in set(labels.floor)) is neighbours


@settings(max_examples=25)
@given(any_split())
def test_no_floor_depends_on_what_it_is_to_predict(case):
    slices, masks, train, test = case
    other_slices, other_masks = slices.copy(), masks.copy()
    other_slices.loc[test, "tumour_px"] = 999 - other_slices.loc[test, "tumour_px"]
    other_masks[test] = 1 - other_masks[test]
    for one, other in (
        (floors.classification(slices, train, test), floors.classification(other_slices, train, test)),
        (floors.segmentation(slices, masks, train, test), floors.segmentation(other_slices, other_masks, train, test)),
    ):
        assert list(one) == list(other)
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


@settings(max_examples=25)
@given(any_split())
def test_every_floor_answers_each_slice_once_and_keeps_to_its_range(case):
    slices, masks, train, test = case
    for answer in floors.classification(slices, train, test).values():
        assert answer is None or (answer.shape == test.shape and ((answer >= 0) & (answer <= 1)).all())
    for answer in floors.segmentation(slices, masks, train, test).values():
        assert answer is None or (answer.shape == masks[test].shape and set(np.unique(answer)) <= {0, 1})
    counts = floors.segmentation_counts(slices, masks, train, test)
    for _, rows in counts.groupby("floor"):
        assert rows[["case_id", "slice"]].to_numpy().tolist() == slices.iloc[test][["case_id", "slice"]].to_numpy().tolist()
        assert (rows[["tp", "fp", "fn", "tn"]].sum(axis=1) == masks[0].size).all()
        assert (rows.tp + rows.fn).tolist() == masks[test].sum(axis=(1, 2)).tolist()


@settings(max_examples=20)
@given(any_split())
def test_all_empty_is_what_scores_take_for_it(case):
    slices, masks, train, test = case
    counts = floors.segmentation_counts(slices, masks, train, test)
    mine = counts[counts.floor == floors.ALL_EMPTY].drop(columns="floor").reset_index(drop=True)
    other = counts[counts.floor == floors.MEAN_MASK].drop(columns="floor").reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, overlap.all_empty(other), check_dtype=False)


def test_without_a_slice_of_the_same_patient_there_is_nothing_to_copy():
    slices, masks = stack([0, 25], [9, 0]), squares(0, 5, 3, 0)
    train, test = np.array([0, 1]), np.array([2, 3])
    assert floors.classification(slices, train, test)[floors.NEAREST] is None
    assert floors.segmentation(slices, masks, train, test)[floors.INTERPOLATION] is None
    counted = floors.segmentation_counts(slices, masks, train, test)
    assert set(counted.floor) == {floors.ALL_EMPTY, floors.MEAN_MASK}
    leaky = np.array([0, 1, 2])
    assert floors.classification(slices, leaky, np.array([3]))[floors.NEAREST].tolist() == [1.0]


def test_the_nearest_label_is_copied_and_a_tie_is_halved():
    slices = stack([0, 0, 7, 7, 7, 9, 9], [5, 5])
    train, test = np.array([6, 0, 1, 5, 7]), np.array([2, 3, 4, 8])
    answer = floors.classification(slices, train, test)
    assert answer[floors.NEAREST].tolist() == [0.0, 0.5, 1.0, 1.0]
    assert answer[floors.ALWAYS_NO].tolist() == [0, 0, 0, 0]


def test_position_tells_where_in_the_stack_tumours_lie():
    below, above = [0] * 10, [50] * 10
    slices = stack(below + above, below + above, [0] * 20)
    rates = floors.classification(slices, np.arange(40), np.arange(40, 60))[floors.POSITION]
    assert (rates[:8] < 0.05).all() and (rates[12:] > 0.95).all()
    assert (np.diff(rates) > -1e-6).all()
    position = floors.relative_position(slices)
    assert position[[0, 19]].tolist() == [0.025, 0.975]


def test_between_two_squares_lies_the_square_between():
    slices, masks = stack([9, 1, 49]), squares(3, 0, 7)
    between = floors.segmentation(slices, masks, np.array([0, 2]), np.array([1]))[floors.INTERPOLATION]
    np.testing.assert_array_equal(between, squares(5))


def test_the_nearer_neighbour_weighs_more():
    slices, masks = stack([1, 0, 0, 0, 81]), squares(1, 0, 0, 0, 9)
    answer = floors.segmentation(slices, masks, np.array([0, 4]), np.array([1, 2, 3]))
    near_small, middle, near_large = answer[floors.INTERPOLATION]
    assert 1 <= near_small.sum() < middle.sum() < near_large.sum() <= 81
    assert (near_small <= middle).all() and (middle <= near_large).all()


def test_beyond_the_last_training_slice_it_is_copied_and_beside_nothing_it_dwindles():
    slices, masks = stack([25, 0, 25, 0, 0, 0]), squares(5, 0, 5, 0, 0, 0)
    answer = floors.segmentation(slices, masks, np.array([0, 2, 4]), np.array([1, 3, 5]))[floors.INTERPOLATION]
    np.testing.assert_array_equal(answer[0], squares(5)[0])
    assert 0 < answer[1].sum() < 25, "halfway between a tumour and none"
    assert not answer[2].any(), "the last training slice is empty"


def test_the_mean_mask_is_where_tumours_lie_at_that_height():
    low, high = squares(3, 3, 3, 3), np.roll(squares(3, 3, 3, 3), 3, axis=1)
    masks = np.concatenate([low, high, low, high, np.zeros_like(low), np.zeros_like(high)])
    slices = stack([9] * 8, [9] * 8, [0] * 8)
    answer = floors.segmentation(slices, masks, np.arange(16), np.arange(16, 24))[floors.MEAN_MASK]
    np.testing.assert_array_equal(answer[:3], low[:3])
    np.testing.assert_array_equal(answer[5:], high[1:])
