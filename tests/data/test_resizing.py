"""Image, mask and probability lie on one grid: the centroid of a disc stays where it is, at every size and back."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from brain_tumor.data import intensity
from brain_tumor.data.phantom import open_phantom

DISCS = 48  # the outline of one disc rounds to whole pixels by chance; the mean over many tells a shift from that
TOLERANCE = 0.05  # px of the resized grid
SIZES = [(256, 128), (256, 96), (256, 192), (256, 64), (240, 128), (64, 96), (128, 256), (100, 33)]


def discs(size, seed=0):
    """``(DISCS, size, size)`` masks in {0, 1}: discs of drawn centres and radii."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    centres, radii = rng.uniform(0.4, 0.6, (DISCS, 2)) * size, rng.uniform(0.2, 0.35, DISCS) * size
    distances = [np.hypot(rows - y, columns - x) for y, x in centres]
    return np.stack([distance <= radius for distance, radius in zip(distances, radii, strict=True)]).astype(np.uint8)


def centroids(planes):
    """``(Z, 2)``: row and column of each plane's centre of mass, as a share of its side."""
    size = planes.shape[1]
    places = (np.arange(size) + 0.5) / size  # of pixel centres
    weights = planes.astype(float) / planes.sum(axis=(1, 2), keepdims=True, dtype=float)
    return np.stack([weights.sum(axis=2) @ places, weights.sum(axis=1) @ places], axis=1)


def images_of(masks):
    return np.repeat(masks[..., None] * np.uint8(200), 3, axis=-1)


def shift(one, other, size):
    """The mean distance of two sets of centroids along each axis, in pixels of a grid of ``size``."""
    return np.abs((centroids(one) - centroids(other)).mean(axis=0) * size).max()


@pytest.mark.parametrize(("native", "size"), SIZES)
def test_image_and_mask_lie_on_one_grid_at_every_size(native, size):
    masks = discs(native)
    image = intensity.resize_images(images_of(masks), size)[..., 0]
    mask = intensity.resize_masks(masks, size)
    assert shift(mask, image, size) < TOLERANCE
    assert shift(mask, masks, size) < TOLERANCE and shift(image, masks, size) < TOLERANCE
    assert np.abs((centroids(mask) - centroids(image)) * size).max() < 4 * TOLERANCE, "nor is one disc off"


@pytest.mark.parametrize(("native", "size"), SIZES)
def test_a_mask_comes_back_to_where_it_was(native, size):
    masks = discs(native)
    small = intensity.resize_masks(masks, size)
    probability = intensity.resize_probabilities(small.astype(np.float32), native)
    assert shift(probability, masks, min(native, size)) < TOLERANCE
    assert shift(probability > 0.5, masks, min(native, size)) < TOLERANCE
    assert shift(intensity.resize_masks(small, native), masks, min(native, size)) < TOLERANCE


@pytest.mark.parametrize("size", [64, 96, 128, 192])
def test_a_large_disc_lies_with_its_image(size):
    rows, columns = np.mgrid[:256, :256]
    masks = (np.hypot(rows - 120, columns - 135) <= 80).astype(np.uint8)[None]
    image = intensity.resize_images(images_of(masks), size)[..., 0]
    assert np.abs((centroids(intensity.resize_masks(masks, size)) - centroids(image)) * size).max() < TOLERANCE


def test_a_mask_pixel_is_tumour_where_at_least_half_of_it_is():
    halves = np.array([[1, 0], [1, 0]], np.uint8)
    quarters = np.array([[1, 0], [0, 0]], np.uint8)
    plane = np.block([[halves, quarters], [1 - quarters, halves.T]])[None]
    assert intensity.resize_masks(plane, 2)[0].tolist() == [[1, 0], [1, 1]]


@settings(max_examples=50, deadline=None)
@given(arrays(np.uint8, (2, 12, 12), elements=st.sampled_from([0, 0, 1])), st.integers(1, 12))
def test_shrunken_masks_are_the_plain_definition(masks, size):
    """Every pixel cut into ``size`` x ``size`` equal pieces, so that an output pixel is a whole number of pieces."""
    pieces = masks.repeat(size, axis=1).repeat(size, axis=2).reshape(2, size, 12, size, 12)
    assert np.array_equal(intensity.resize_masks(masks, size), pieces.mean(axis=(2, 4)) >= 0.5)


def test_of_several_labels_a_tumour_pixel_takes_the_largest_share():
    block = np.array([[0, 4, 4], [1, 1, 4], [0, 0, 1]], np.uint8)  # three of nine are 1, three are 4, three are none
    assert intensity.resize_masks(block[None], 1).item() == 1, "of equal shares the lower label"
    assert intensity.resize_masks(np.where(block == 0, 4, block)[None], 1).item() == 4
    mostly_none = np.array([[0, 4, 0], [0, 1, 4], [0, 0, 1]], np.uint8)
    assert intensity.resize_masks(mostly_none[None], 1).item() == 0
    two_tumours = np.array([[0, 4, 0, 1], [0, 1, 4, 0], [0, 1, 0, 1], [4, 0, 4, 1]], np.uint8)  # 7 none, 5 and 4 tumour
    assert intensity.resize_masks(two_tumours[None], 1).item() == 1, "more than half is tumour, though none is the most frequent"


@settings(max_examples=50, deadline=None)
@given(arrays(np.uint8, (2, 9, 9), elements=st.sampled_from([0, 1, 4])), st.integers(1, 30))
def test_resized_masks_gain_no_label_and_keep_the_whole_tumour(masks, size):
    resized = intensity.resize_masks(masks, size)
    assert resized.shape == (2, size, size) and resized.dtype == np.uint8
    assert set(np.unique(resized)) <= set(np.unique(masks))
    assert np.array_equal(resized > 0, intensity.resize_masks((masks > 0).astype(np.uint8), size) > 0)


@pytest.mark.parametrize("shape", [(200, 400), (400, 200), (7, 10), (10, 7), (9, 9)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_what_is_not_square_is_padded_and_cut_back(shape, channels):
    planes = np.random.default_rng(0).integers(1, 256, (2, *shape, *channels), np.uint8)
    square = intensity.pad_to_square(planes)
    assert square.shape == (2, max(shape), max(shape), *channels)
    assert np.array_equal(intensity.crop_back(square, shape), planes)
    assert square.sum() == planes.sum(), "all that was added is 0"
    used = np.flatnonzero(square.reshape(2, max(shape), max(shape), -1).any(axis=(0, 2 if shape[0] < shape[1] else 1, 3)))
    assert abs(used[0] - (max(shape) - 1 - used[-1])) <= 1, "as much on either side"


@pytest.mark.parametrize("resize", [intensity.resize_images, intensity.resize_masks, intensity.resize_probabilities])
def test_nothing_is_stretched(resize):
    with pytest.raises(ValueError, match="200 x 400.*pad"):
        resize(np.zeros((1, 200, 400), np.uint8), 128)


def test_a_perfect_prediction_comes_back_better_than_from_the_nearest_pixel(home):
    """At 128 px, on some of the phantom; on all of it the patient mean is 0.973, and 0.967 by the nearest pixel."""

    def patient_mean(small):
        scores = []
        for truth, planes in zip(truths, small, strict=True):
            called = intensity.resize_probabilities(planes.astype(np.float32), truth.shape[1]) > 0.5
            scores.append(2 * (called & (truth > 0)).sum() / (called.sum() + truth.sum()))
        return np.mean(scores)

    truths = [case.load()[1] for case in open_phantom(patients=3, slices=(6, 8))]
    nearest = [np.stack([cv2.resize(plane, (128, 128), interpolation=cv2.INTER_NEAREST) for plane in truth]) for truth in truths]
    ceiling = patient_mean([intensity.resize_masks(truth, 128) for truth in truths])
    assert ceiling > patient_mean(nearest) + 0.004
    assert ceiling > 0.965
