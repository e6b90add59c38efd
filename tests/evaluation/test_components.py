"""Pieces counted by eye, and by a flood fill written anew."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays

from brain_tumor.evaluation import components

lawful = settings(deadline=None, max_examples=50)
masks = st.sampled_from([(5, 7), (1, 6), (3, 4, 5), (1, 3, 3), (4, 1, 3)]).flatmap(lambda shape: arrays.arrays(bool, shape))


def flood(mask):
    """The components as sets of places, found by walking from neighbour to neighbour."""
    left, pieces = {tuple(place) for place in np.argwhere(mask)}, []
    while left:
        piece, edge = set(), {min(left)}
        while edge:
            piece |= edge
            edge = {place for place in left - piece if any(max(map(abs, np.subtract(place, near))) <= 1 for near in edge)}
        left -= piece
        pieces.append(piece)
    return pieces


def places(mask):
    return {tuple(place) for place in np.argwhere(mask)}


def test_corners_touch():
    mask = np.array(
        [
            [1, 0, 0, 0, 0],
            [0, 1, 0, 0, 1],
            [0, 1, 0, 0, 1],
        ]
    )
    assert components.keep_largest(mask).tolist() == [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 1, 0, 0, 0]]
    stairs = np.zeros((3, 3, 3), bool)
    stairs[0, 0, 0] = stairs[1, 1, 1] = stairs[2, 2, 2] = True
    assert components.per_case(stairs)["components"] == 1, "26 neighbours: a corner is enough"


def test_a_plane_does_not_see_through_slices():
    """In 3-D two patches of one slice may be one tumour, joined above; each slice alone keeps one of them."""
    volume = np.zeros((2, 3, 5), bool)
    volume[0, 1, :2] = volume[0, 1, 4] = True
    volume[1, 1, :] = True
    assert np.array_equal(components.keep_largest(volume), volume)
    assert components.keep_largest(volume[0]).tolist()[1] == [True, True, False, False, False]


def test_of_two_equally_large_the_first_is_kept():
    assert components.keep_largest(np.array([[0, 1, 0, 1, 0]])).tolist() == [[0, 1, 0, 0, 0]]


@lawful
@given(masks)
def test_the_largest_piece_is_kept_whole(mask):
    before, kept = mask.copy(), components.keep_largest(mask)
    pieces = flood(mask)
    assert np.array_equal(mask, before), "the mask it was given is left alone"
    assert kept.dtype == mask.dtype and kept.shape == mask.shape
    assert places(kept) in pieces if pieces else not kept.any()
    assert np.count_nonzero(kept) == max(map(len, pieces), default=0)
    assert np.array_equal(components.keep_largest(kept), kept)


@lawful
@given(arrays.arrays(np.uint8, (3, 4, 5)), st.sampled_from([0.2, 0.5, 0.8]))
def test_probabilities_are_cleared_outside_the_largest_piece_only(probability, threshold):
    cleared = components.keep_largest_probability(probability, threshold)
    called = probability > threshold * 255
    assert cleared.dtype == np.uint8
    assert np.array_equal(cleared > threshold * 255, components.keep_largest(called))
    assert np.array_equal(cleared[~called], probability[~called])
    assert ((cleared == probability) | (cleared == 0)).all()


def test_probabilities_worked_by_hand():
    probability = np.array([[200, 210, 90, 0, 255]], np.uint8)
    assert components.keep_largest_probability(probability).tolist() == [[200, 210, 90, 0, 0]]
    assert components.keep_largest_probability(probability, threshold=0.9).tolist() == [[200, 210, 90, 0, 255]]


def test_the_ceiling_is_what_the_smaller_pieces_cost():
    truth = np.zeros((1, 3, 10), np.uint8)
    truth[0, 1, :6], truth[0, 1, 8:] = 1, 1
    assert components.ceiling(truth) == 2 * 6 / (6 + 8)
    assert components.ceiling(truth[:, :, :7]) == 1
    assert components.ceiling(np.zeros((2, 3, 3), bool)) == 1, "nothing to lose"


@lawful
@given(masks)
def test_the_ceiling_of_one_piece_is_one(mask):
    assert components.ceiling(components.keep_largest(mask)) == 1
    assert 0 < components.ceiling(mask) <= 1
    assert (components.ceiling(mask) == 1) == (len(flood(mask)) <= 1)


def volume_with_tumour_on(*planes, depth=6):
    mask = np.zeros((depth, 4, 4), np.uint8)
    mask[list(planes), 1:3, 1:3] = 1
    return mask


@pytest.mark.parametrize(
    ("planes", "pieces", "gaps"),
    [((), 0, 0), ((3,), 1, 0), ((0, 1, 2), 1, 0), ((0, 5), 2, 4), ((1, 3, 4), 2, 1), ((0, 2, 4), 3, 2)],
)
def test_slices_that_follow_one_another(planes, pieces, gaps):
    row = components.per_case(volume_with_tumour_on(*planes))
    assert (row["components"], row["tumour_slices"], row["gaps"], row["contiguous"]) == (pieces, len(planes), gaps, gaps == 0)


def test_contiguous_slices_may_hold_several_pieces():
    mask = volume_with_tumour_on(1, 2)
    mask[1, 3, 3] = mask[3, 0, 0] = 0
    mask[3, 0, 0] = 1
    assert components.per_case(mask)["contiguous"]
    mask = np.zeros((2, 1, 5), bool)
    mask[0, 0, :2] = mask[1, 0, 4] = True
    row = components.per_case(mask)
    assert (row["components"], row["largest_share"], row["contiguous"]) == (2, 2 / 3, True)


def test_an_empty_mask_has_no_largest_share():
    assert np.isnan(components.per_case(volume_with_tumour_on())["largest_share"])
