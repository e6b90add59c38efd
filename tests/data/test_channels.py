"""Every choice of channels shows a slice what its name says, and normalises it by the scaling of the same pixels."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from brain_tumor.data import channels, intensity
from brain_tumor.data.cache import open_store
from brain_tumor.data.channels import CHANNELS, slice_inputs, slice_scalings
from brain_tumor.data.readers import lgg
from brain_tumor.errors import DataError


@pytest.fixture
def store(home, tree):
    """Two cases, of twelve slices and of three."""
    return open_store(lgg.read_cohort(tree), 32)


@pytest.fixture
def masks(store):
    return np.random.default_rng(0).integers(0, 256, store.masks.shape, dtype=np.uint8)


@pytest.mark.parametrize("name", CHANNELS)
def test_images_and_windows_have_as_many_channels_as_the_network_is_told(store, masks, name):
    inputs, scalings = slice_inputs(store, name, masks), slice_scalings(store, name, "volume")
    rows = np.array([3, 0, 14])
    assert inputs.shape == (15, 32, 32, channels.count(name, 3)) and len(inputs) == 15
    assert inputs[rows].shape == (3, 32, 32, channels.count(name, 3)) and inputs[rows].dtype == np.uint8
    assert scalings.shape == (15, 4, channels.count(name, 3)) and scalings.dtype == np.float32
    assert np.isfinite(intensity.normalise(inputs[rows], scalings[rows])).all()


def test_sequences_are_the_stores_own(store):
    assert np.array_equal(slice_inputs(store, "sequences")[np.arange(15)], store.images)
    assert np.array_equal(slice_scalings(store, "sequences", "unit"), store.slice_scalings("unit"))


def test_flair_stands_in_all_three(store):
    shown = slice_inputs(store, "flair")[np.arange(15)]
    assert all(np.array_equal(shown[..., channel], store.images[..., lgg.FLAIR]) for channel in range(3))


def test_neighbours_never_come_from_another_patient(store):
    shown = slice_inputs(store, "neighbours")[np.arange(15)]
    flair = store.images[..., lgg.FLAIR]
    assert np.array_equal(shown[..., 1], flair)
    assert np.array_equal(shown[1:12, ..., 0], flair[:11]) and np.array_equal(shown[:11, ..., 2], flair[1:12])
    for end in (0, 12):
        assert np.array_equal(shown[end, ..., 0], flair[end]), "the first slice of an exam has none before it"
    for end in (11, 14):
        assert np.array_equal(shown[end, ..., 2], flair[end]), "nor the last one any after"


def test_all_sequences_of_the_neighbours_stand_slice_by_slice(store):
    inputs = slice_inputs(store, "sequences+neighbours")
    shown = inputs[np.arange(15)]
    assert (inputs.planes, inputs.sequences, inputs.stand_in) == (3, 9, lgg.FLAIR)
    np.testing.assert_array_equal(shown[..., 3:6], store.images)
    np.testing.assert_array_equal(shown[1:12, ..., :3], store.images[:11])
    np.testing.assert_array_equal(shown[:11, ..., 6:], store.images[1:12])
    scalings = slice_scalings(store, "sequences+neighbours", "volume")
    np.testing.assert_array_equal(scalings[..., 6:], store.slice_scalings("volume"))


def test_a_mask_comes_as_a_fourth_channel_from_0_to_1(store, masks):
    rows = np.array([1, 13])
    shown = slice_inputs(store, "sequences+mask", masks)[rows]
    assert np.array_equal(shown[..., :3], store.images[rows]) and np.array_equal(shown[..., 3], masks[rows])
    seen = intensity.normalise(shown, slice_scalings(store, "sequences+mask", "volume")[rows])
    assert np.allclose(seen[..., 3], masks[rows] / 255, atol=1e-6)


@pytest.mark.parametrize("given_masks", [None, np.zeros((15, 16, 16), np.uint8)])
def test_masks_that_are_missing_or_of_another_size_are_refused(store, given_masks):
    with pytest.raises(DataError, match="sequences\\+mask need masks of 15 x 32 x 32, found (none|15 x 16 x 16)"):
        slice_inputs(store, "sequences+mask", given_masks)


@given(st.lists(st.integers(0, 14), min_size=1, max_size=6), st.sampled_from(CHANNELS))
def test_rows_are_given_in_the_order_asked_for(rows, name):
    images = np.arange(15, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    edge = np.arange(15)
    shown = channels.SliceInputs(images, name, edge, edge, images[..., 0], reference=1)[np.array(rows)]
    assert shown[:, 0, 0, 1].tolist() == rows
