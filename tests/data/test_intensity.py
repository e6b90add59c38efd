"""Normalisation and resizing in numbers: each method is the plain formula it claims to be, and flat stays flat."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from brain_tumor.data import intensity
from brain_tumor.data.intensity import normalise, scaling


@pytest.fixture
def volume():
    """Twelve slices with dark background and a bright tail, as MRI has them."""
    rng = np.random.default_rng(0)
    values = rng.gamma(2, 30, (12, 40, 40, 3)) * rng.choice([0, 1], (12, 40, 40, 1), p=[0.4, 0.6])
    return np.clip(values, 0, 255).astype(np.uint8)


def test_unit_is_a_division_by_255(volume):
    assert np.allclose(normalise(volume, scaling(volume, "unit")), volume / 255, atol=1e-6)


def test_imagenet_is_unit_less_mean_over_deviation(volume):
    plain = (volume / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert np.allclose(normalise(volume, scaling(volume, "imagenet")), plain, atol=1e-5)


def plain_volume_scaling(volume, method):
    """Clip each sequence at its percentiles, then subtract the mean and divide by the deviation."""
    low, high = np.percentile(volume, (10, 99), axis=(0, 1, 2), method=method)
    clipped = np.clip(volume, low, high)
    return (clipped - clipped.mean((0, 1, 2))) / clipped.std((0, 1, 2))


def test_volume_is_the_plain_numpy_definition(volume):
    mine = normalise(volume, scaling(volume, "volume"))
    assert np.allclose(mine, plain_volume_scaling(volume, "inverted_cdf"), atol=1e-5)
    assert np.allclose(mine, plain_volume_scaling(volume, "linear"), atol=0.02)  # percentiles between two grey levels


def test_volume_gives_each_sequence_zero_mean_and_unit_deviation(volume):
    mine = normalise(volume, scaling(volume, "volume"))
    assert np.allclose(mine.mean((0, 1, 2)), 0, atol=1e-4)
    assert np.allclose(mine.std((0, 1, 2)), 1, atol=1e-4)


def test_tissue_measures_from_the_median_of_the_head(volume):
    mine = normalise(volume, scaling(volume, "tissue"))
    for channel in range(3):
        values = volume[..., channel]
        median = np.percentile(values[values > values.mean()], 50, method="inverted_cdf")
        plain = (np.minimum(values, 2.5 * median) - median) / (median / 2)
        np.testing.assert_allclose(mine[..., channel], plain, atol=1e-5)


def test_a_bright_scalp_moves_volume_and_not_tissue():
    """A head of level 60 with brain of 60 to 80, once with a scalp of 250 around it and once without."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    radius = np.hypot(y, x)
    brain = np.where(radius < 0.7, 60 + 20 * (np.hypot(y - 0.3, x) < 0.2), 0)
    with_scalp = np.where((radius >= 0.7) & (radius < 0.76), 250, brain)
    seen = {}
    for name, head in (("scalp", with_scalp), ("none", brain)):
        exam = head.astype(np.uint8)[None, ..., None]
        seen[name] = [normalise(exam, scaling(exam, method))[0, 32, 32, 0] for method in ("volume", "tissue")]
    moved = np.abs(np.subtract(seen["scalp"], seen["none"]))
    assert moved[0] > 0.2 and moved[1] < 1e-6


@settings(max_examples=50, deadline=None)
@given(arrays(np.uint8, (2, 4, 5, 3)))
def test_tissue_is_finite_for_any_pixels(volume):
    assert np.isfinite(normalise(volume, scaling(volume, "tissue"))).all()


@settings(max_examples=50, deadline=None)
@given(arrays(np.uint8, (2, 4, 5, 3)))
def test_volume_is_finite_for_any_pixels(volume):
    mine = normalise(volume, scaling(volume, "volume"))
    assert np.isfinite(mine).all()
    assert np.allclose(mine.mean((0, 1, 2)), 0, atol=0.02)


@given(arrays(np.uint8, (1, 4, 5, 3)), st.sampled_from(intensity.NORMALISATIONS))
def test_brighter_never_becomes_darker(volume, method):
    levels = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None, None], (256, 1, 1, 3))
    assert (np.diff(normalise(levels, scaling(volume, method)), axis=0) >= 0).all()


def test_each_slice_of_a_batch_takes_its_own_window(volume):
    dark = volume // 2
    scalings = np.stack([scaling(volume, "volume"), scaling(dark, "volume")])
    both = normalise(np.stack([volume[0], dark[0]]), scalings)
    assert np.array_equal(both[0], normalise(volume[:1], scalings[0])[0])
    assert np.array_equal(both[1], normalise(dark[:1], scalings[1])[0])
    assert both.dtype == np.float32


def test_an_unknown_method_is_refused(volume):
    with pytest.raises(ValueError, match="unknown normalisation 'zscore'"):
        scaling(volume, "zscore")


def test_resizing_to_the_same_size_changes_nothing(volume):
    assert np.array_equal(intensity.resize_images(volume, 40), volume)
    assert np.array_equal(intensity.resize_masks(volume[..., 0], 40), volume[..., 0])


def test_shrinking_by_a_whole_factor_takes_area_means():
    image = np.array([[0, 100], [100, 200]], np.uint8).repeat(2, 0).repeat(2, 1)[None, ..., None].repeat(3, -1)
    assert np.array_equal(intensity.resize_images(image, 2)[0, ..., 0], [[0, 100], [100, 200]])
    assert intensity.resize_images(image, 1)[0, 0, 0].tolist() == [100, 100, 100]


def test_a_flat_image_stays_flat_at_any_size():
    flat = np.full((1, 8, 8, 3), 77, np.uint8)
    for size in (3, 8, 21):
        assert (intensity.resize_images(flat, size) == 77).all()


def test_probabilities_return_to_their_native_size():
    small = np.random.default_rng(0).random((2, 4, 4), dtype=np.float32)
    grown = intensity.resize_probabilities(small, 9)
    assert grown.shape == (2, 9, 9) and grown.dtype == np.float32
    assert small.min() <= grown.min() and grown.max() <= small.max()
    assert intensity.resize_probabilities(small, 4) is small


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_imagenets_statistics_of_other_channels_than_three_are_the_mean_of_its_colours(channels):
    volume = np.full((2, 8, 8, channels), 255, np.uint8)
    expected = (1 - np.mean([0.485, 0.456, 0.406])) / np.mean([0.229, 0.224, 0.225])
    np.testing.assert_allclose(normalise(volume, scaling(volume, "imagenet")), expected, rtol=1e-5)
