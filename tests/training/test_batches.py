"""An epoch visits each slice of its part at most once, and is a function of seed, epoch and index alone."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from brain_tumor.data import intensity
from brain_tumor.errors import DataError
from brain_tumor.training import brightness
from brain_tumor.training.augment import NONE, Augmentation
from brain_tumor.training.batches import SliceArrays, TrainingBatches, ValidationBatches


def numbered(n, rows):
    """Slices of 2 x 2 pixels whose value is their row number, so that a batch tells which rows it read."""
    images = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 2, 2, 3))
    scalings = np.repeat(np.array([[0, 255, 0, 1]], np.float32).T[None].repeat(3, axis=2), n, axis=0)
    return SliceArrays(images, images[..., 0] % 2, scalings, np.asarray(rows), reference=0)


def rows_of(batches):
    return [int(value) for index in range(len(batches)) for value in batches[index][0][:, 0, 0, 0]]


@given(
    rows=st.sets(st.integers(0, 99), min_size=5, max_size=60),
    batch_size=st.integers(1, 5),
    seed=st.integers(0, 1000),
    epoch=st.integers(0, 50),
)
@settings(max_examples=40, deadline=None)
def test_an_epoch_visits_no_slice_twice_and_none_of_another_part(rows, batch_size, seed, epoch):
    batches = TrainingBatches(numbered(100, sorted(rows)), batch_size, NONE, seed, epoch)
    visited = rows_of(batches)
    assert len(batches) == len(rows) // batch_size
    assert len(visited) == len(set(visited)) == len(batches) * batch_size
    assert set(visited) <= rows


def test_what_an_epoch_leaves_over_changes():
    arrays = numbered(10, range(10))
    epochs = [frozenset(rows_of(TrainingBatches(arrays, 4, NONE, 0, epoch))) for epoch in range(12)]
    assert all(len(visited) == 8 for visited in epochs)
    assert len(set(epochs)) > 5
    assert frozenset.union(*epochs) == set(range(10))


def test_a_batch_is_a_function_of_seed_epoch_and_index(slices):
    def batch(seed=1, epoch=2, index=3):
        return TrainingBatches(slices, 4, Augmentation(), seed, epoch)[index]

    whole_epoch = TrainingBatches(slices, 4, Augmentation(), 1, 2)
    for index in (3, 0, 2, 1):  # in any order
        for found, expected in zip(whole_epoch[index], batch(index=index), strict=True):
            np.testing.assert_array_equal(found, expected)
    for other in (batch(seed=5), batch(epoch=3), batch(index=1)):
        assert not np.array_equal(other[0], batch()[0])


def test_labels_come_with_their_slices_and_are_not_moved():
    arrays = numbered(20, range(20))
    labelled = SliceArrays(arrays.images, (np.arange(20) % 2).astype(np.uint8), arrays.scalings, arrays.rows, arrays.reference)
    for batches in (TrainingBatches(labelled, 5, NONE, 0, 0), ValidationBatches(labelled, 5)):
        images, labels = batches[1]
        assert (labels.shape, labels.dtype) == ((5, 1), np.float32)
        np.testing.assert_array_equal(labels[:, 0], np.rint(images[:, 0, 0, 0]) % 2)


def test_batches_are_normalised_float32(slices):
    images, masks = TrainingBatches(slices, 4, Augmentation(), 0, 0)[0]
    assert (images.shape, images.dtype) == ((4, 16, 16, 3), np.float32)
    assert (masks.shape, masks.dtype) == ((4, 16, 16, 1), np.float32)
    assert 0 <= images.min() < 0.1, "what turns in from outside is black"
    assert 0.5 < images.max() <= 1
    assert set(np.unique(masks)) == {0, 1}


def test_each_slice_gets_the_window_of_its_own_case():
    """Two cases, the second normalised to twice the range."""
    arrays = numbered(8, range(8))
    arrays.scalings[4:, 3] = 2.0
    images, _ = TrainingBatches(arrays, 8, NONE, 0, 0)[0]
    assert images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 8, 10, 12, 14]


def test_the_mask_is_never_normalised():
    volume = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)
    scalings = np.repeat(intensity.scaling(volume, "volume")[None], 8, axis=0)
    arrays = SliceArrays(volume, (volume[..., 0] > 128).astype(np.uint8), scalings, np.arange(8), reference=0)
    images, masks = TrainingBatches(arrays, 8, NONE, 0, 0)[0]
    assert images.min() < 0, "z-scores"
    np.testing.assert_array_equal(masks[..., 0], volume[..., 0] > 128)


def test_tones_change_images_and_no_mask(slices):
    moved = TrainingBatches(slices, 4, Augmentation(gamma=0, sequence_dropout=0), 0, 0)[0]
    for tones in ({"gamma": 0.5}, {"brightness": 0.5, "contrast": 0.5}, {"bias_field": 0.5}):
        changed = TrainingBatches(slices, 4, Augmentation(**{"gamma": 0, "sequence_dropout": 0} | tones), 0, 0)[0]
        assert not np.array_equal(moved[0], changed[0])
        np.testing.assert_array_equal(moved[1], changed[1])


def test_the_share_of_slices_with_a_gamma_is_the_recipes(slices):
    draw = partial(brightness.draw, n=400, sequences=3, reference=1)
    always, half, never = (
        draw(Augmentation(gamma=0.5, gamma_probability=share), generator=np.random.default_rng(0)).gammas for share in (1, 0.5, 0)
    )
    assert (never == 1).all() and (always != 1).all() and 150 < (half != 1).all(axis=1).sum() < 250
    bent = (half != 1).all(axis=1)
    np.testing.assert_array_equal(half[bent], always[bent])
    assert (half[~bent] == 1).all(), "a slice's sequences are all bent, or none is"


@pytest.mark.parametrize("planes", [1, 3])
def test_a_dropped_sequence_looks_as_in_an_exam_that_lacks_it(planes):
    """Which holds copies of FLAIR, so their scale is FLAIR's; otherwise the copy keeps the scale of what it stands for."""
    volume = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8) // np.array([1, 2, 3], np.uint8)
    whole = intensity.scaling(volume, "volume")
    arrays = SliceArrays(
        np.tile(volume, planes),
        volume[..., 0],
        np.tile(np.tile(whole, planes)[None], (40, 1, 1)),
        np.arange(40),
        planes=planes,
        reference=1,
    )
    how = {"flip": False, "rotation_degrees": 0, "zoom": 0, "gamma": 0, "sequence_dropout": 1.0}
    images, _ = TrainingBatches(arrays, 8, Augmentation(**how, rescale_copies=True), 0, 0)[0]
    kept, _ = TrainingBatches(arrays, 8, Augmentation(**how), 0, 0)[0]
    for image, other in zip(images, kept, strict=True):
        copies = [channel for channel in (0, 2) if np.array_equal(image[..., channel], image[..., 1])]
        assert copies and np.array_equal(image[..., 1], other[..., 1])
        for channel in copies:
            assert not np.array_equal(other[..., channel], other[..., 1])
            assert all(np.array_equal(image[..., channel + 3 * plane], image[..., 1 + 3 * plane]) for plane in range(planes))


class Assembled:
    """What is no array: FLAIR between its neighbours, put together as it is asked for."""

    def __init__(self, planes):
        self.planes, self.shape = planes, (*planes.shape, 3)

    def __getitem__(self, rows):
        neighbours = [np.clip(rows + step, 0, len(self.planes) - 1) for step in (-1, 0, 1)]
        return np.stack([self.planes[near] for near in neighbours], axis=-1)


def test_images_may_be_assembled_as_they_are_asked_for(slices):
    view = Assembled(slices.images[..., 0])
    whole = replace(slices, images=view[np.arange(len(slices.images))])
    for batches in (
        partial(TrainingBatches, batch_size=4, augmentation=Augmentation(), seed=1, epoch=0),
        lambda a: ValidationBatches(a, 4),
    ):
        for found, expected in zip(batches(replace(slices, images=view))[2], batches(whole)[2], strict=True):
            np.testing.assert_array_equal(found, expected)


def classes_of(counts, seed=0):
    """Slices of as many classes as there are counts, in no order; one of each class belongs to another part."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), np.array(counts) + 1)).astype(np.uint8)
    rows = np.concatenate([np.flatnonzero(labels == number)[1:] for number in range(len(counts))])
    return replace(numbered(len(labels), np.sort(rows)), targets=labels)


@given(
    counts=st.lists(st.integers(1, 30), min_size=2, max_size=4),
    batch_size=st.integers(1, 5),
    seed=st.integers(0, 1000),
    epoch=st.integers(0, 50),
)
@settings(max_examples=40, deadline=None)
def test_sampling_draws_classes_equally_often_and_their_slices_too(counts, batch_size, seed, epoch):
    arrays = classes_of(counts)
    if len(arrays.rows) < batch_size:
        return
    batches = TrainingBatches(arrays, batch_size, NONE, seed, epoch, "sampling")
    visited = np.array(rows_of(batches))
    assert len(batches) == len(TrainingBatches(arrays, batch_size, NONE, seed, epoch)), "as many batches"
    assert set(visited) <= set(arrays.rows)
    of_class = np.bincount(arrays.targets[visited], minlength=len(counts))
    assert of_class.max() - of_class.min() <= 1
    for number in range(len(counts)):
        own = arrays.rows[arrays.targets[arrays.rows] == number]
        times = np.bincount(visited, minlength=len(arrays.targets))[own]
        assert times.max() - times.min() <= 1


def test_sampling_is_a_function_of_seed_and_epoch():
    arrays = classes_of([20, 5])
    orders = [TrainingBatches(arrays, 5, NONE, seed, epoch, "sampling").order for seed, epoch in ((0, 3), (0, 3), (0, 4), (1, 3))]
    np.testing.assert_array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])
    assert not np.array_equal(orders[0], orders[3])
    halves = arrays.targets[orders[0]][:12], arrays.targets[orders[0]][12:]
    assert all(0 < half.mean() < 1 for half in halves), "classes come mixed"


def test_weights_leave_the_draw_as_it_is(slices):
    found, expected = (TrainingBatches(slices, 4, NONE, 0, 0, balance).order for balance in ("weights", "none"))
    np.testing.assert_array_equal(found, expected)


def test_of_masks_slices_with_and_without_tumour_are_drawn_alike(slices):
    masks = slices.targets.copy()
    masks[4:] = 0
    order = TrainingBatches(replace(slices, targets=masks), 4, NONE, 0, 0, "sampling").order
    assert masks[order].any(axis=(1, 2)).sum() == len(order) / 2


def test_what_cannot_be_balanced_is_refused(slices):
    for targets in (np.ones(16, np.uint8), slices.targets):  # labels, or masks that all hold tumour
        with pytest.raises(DataError, match="'sampling' needs two classes, all 16 training slices are of class 1"):
            TrainingBatches(replace(slices, targets=targets), 4, NONE, 0, 0, "sampling")
    with pytest.raises(DataError, match="unknown balance 'twice', expected one of none, weights, sampling"):
        TrainingBatches(slices, 4, NONE, 0, 0, "twice")


def test_too_few_slices_for_one_batch_are_refused():
    with pytest.raises(DataError, match="3 training slices do not fill one batch of 4"):
        TrainingBatches(numbered(10, range(3)), 4, NONE, 0, 0)


def test_the_tune_part_comes_whole_and_in_order():
    batches = ValidationBatches(numbered(20, range(3, 14)), 4)
    assert len(batches) == 3
    assert rows_of(batches) == list(range(3, 14))
    images, masks = batches[2]
    assert (images.shape, masks.shape) == ((3, 2, 2, 3), (3, 2, 2, 1))
    assert masks[:, 0, 0, 0].tolist() == [1, 0, 1]


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_volumes_come_in_batches_as_slices_do(channels):
    """Six volumes of five planes: all planes of one are moved, lit and normalised alike, and its mask with them."""
    volumes = np.random.default_rng(0).integers(0, 256, (6, 5, 16, 16, channels), np.uint8)
    scalings = np.stack([intensity.scaling(volume, "volume") for volume in volumes])
    arrays = SliceArrays(volumes, (volumes[..., 0] > 128).astype(np.uint8), scalings, np.arange(6), reference=channels - 1)
    batches = TrainingBatches(arrays, 2, Augmentation(), 0, 0)
    images, masks = batches[1]
    assert (images.shape, masks.shape) == ((2, 5, 16, 16, channels), (2, 5, 16, 16, 1))
    for plane in range(5):
        single = replace(arrays, images=volumes[:, plane], targets=arrays.targets[:, plane])
        for of_volume, of_slice in zip((images, masks), TrainingBatches(single, 2, Augmentation(), 0, 0)[1], strict=True):
            np.testing.assert_array_equal(of_volume[:, plane], of_slice)
    whole, _ = ValidationBatches(arrays, 6)[0]
    np.testing.assert_allclose(whole.mean(axis=(1, 2, 3)), 0, atol=1e-4)


def test_a_mask_behind_the_sequences_keeps_its_values(slices):
    """The arrays say how many of the channels are MRI."""
    widened = replace(
        slices,
        images=np.concatenate([slices.images, 255 * slices.targets[..., None]], axis=-1),
        scalings=np.repeat(np.array([[0, 255, 0, 1]], np.float32).T[None].repeat(4, axis=2), 16, axis=0),
        sequences=3,
        reference=1,
    )
    moved = TrainingBatches(widened, 4, Augmentation(rotation_degrees=0, zoom=0, gamma=0.5), 0, 0)[0]
    np.testing.assert_array_equal(moved[0][..., 3:], 255 * moved[1])
