"""Tiles cover a volume of any size, and what a network says of each voxel alone comes back exactly."""

from itertools import pairwise

import keras
import numpy as np
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st
from scipy import special

from brain_tumor.inference import sliding

IDENTITY = np.stack([np.zeros(2), np.full(2, 255), np.zeros(2), np.full(2, 1 / 255)]).astype(np.float32)


def pointwise(volumes):
    """A logit a voxel and region, of that voxel alone."""
    return np.stack([3 * volumes[..., 0] - 1, volumes[..., 1] - 2 * volumes[..., 0]], axis=-1)


@given(st.tuples(*[st.integers(1, 23)] * 3), st.tuples(st.integers(1, 6), st.integers(2, 9), st.integers(2, 9)), st.booleans())
@hypothesis_settings(max_examples=40, deadline=None)
def test_a_pointwise_network_is_exact_at_any_size(extent, tile, flip):
    images = np.random.default_rng(sum(extent)).integers(0, 256, (*extent, 2)).astype(np.uint8)
    calls = []
    answer = sliding.probabilities(pointwise, images, IDENTITY, tile, flip, lambda: calls.append(1))
    expected = special.expit(pointwise(images.astype(np.float32) / 255))
    np.testing.assert_allclose(answer, expected, atol=2e-6)
    assert answer.dtype == np.float32 and len(calls) == sliding.passes(extent, tile)


@given(st.integers(1, 300), st.integers(1, 64))
def test_tiles_begin_at_the_edge_end_at_the_edge_and_share_half(length, side):
    starts = sliding.positions(length, side)
    assert starts[0] == 0 and starts[-1] == max(0, length - side) and starts == sorted(set(starts))
    assert all(after - before <= max(1, side * (1 - sliding.OVERLAP) + 1) for before, after in pairwise(starts))


@given(st.tuples(*[st.integers(1, 300)] * 3), st.tuples(st.integers(1, 64), st.integers(32, 96), st.integers(32, 96)))
@hypothesis_settings(max_examples=60, deadline=None)
def test_a_tile_is_of_whole_patches_fits_into_memory_and_saves_work(extent, patch):
    tile = sliding.tile(patch, extent)
    assert all(side % part == 0 for side, part in zip(tile, patch, strict=True))
    assert np.prod(tile) <= max(sliding.MOST_VOXELS, np.prod(patch))
    assert sliding.passes(extent, tile) * np.prod(tile) <= sliding.passes(extent, patch) * np.prod(patch)


def test_an_exam_of_the_lgg_data_is_one_tile_and_one_of_brats_is_not():
    assert sliding.tile((16, 96, 96), (36, 192, 192)) == (48, 192, 192)
    assert sliding.passes((155, 240, 240), sliding.tile((64, 96, 96), (155, 240, 240))) > 1


def test_weights_are_highest_in_the_middle_and_nowhere_nothing():
    weights = sliding.gaussian((4, 9, 9))
    assert weights.max() == 1 and weights[1:3, 4, 4].tolist() == [1, 1] and weights.min() >= sliding.LEAST
    np.testing.assert_allclose(weights, weights[::-1, ::-1, ::-1])


@pytest.mark.backend
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_a_network_keeps_its_weights_on_a_larger_tile_unless_its_norm_looks_at_all_of_it(norm):
    from brain_tumor.inference.predictor import Predictor
    from brain_tumor.models import inflate, settings, unet3d

    with settings.fixed():
        network = unet3d.resunet3d(16, 4, 2, 1, (4, 8), norm=norm)
        larger = unet3d.resunet3d(32, 8, 2, 1, (4, 8), norm=norm)
        larger.set_weights(network.get_weights())
        volume = np.random.default_rng(0).random((1, 8, 32, 32, 2), np.float32)
        answers = [keras.ops.convert_to_numpy(each(volume)) for each in (larger, inflate.extended(network, (8, 32, 32)))]
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-5)
    assert Predictor(network).tile((8, 32, 32)) == ((8, 32, 32) if norm == "batch" else (4, 16, 16))


@pytest.mark.backend
def test_a_real_network_says_nearly_the_same_tile_by_tile():
    """A tile that holds the whole volume is the whole-volume prediction."""
    from brain_tumor.models import settings, unet3d

    with settings.fixed():
        network = unet3d.resunet3d(32, 8, 2, 1, (4, 8))
        images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 2)).astype(np.uint8)
        answer = sliding.probabilities(network.predict_on_batch, images, IDENTITY, (8, 32, 32))
        logits = keras.ops.convert_to_numpy(network(images[None].astype(np.float32) / 255))[0]
    np.testing.assert_allclose(answer, special.expit(logits), atol=1e-5)


@pytest.mark.backend
def test_a_network_of_other_layers_is_asked_patch_by_patch():
    """Nothing is known of how they bear a larger volume."""
    from brain_tumor.inference.predictor import Predictor

    volume = keras.Input((4, 16, 16, 1))
    flat = keras.layers.Reshape((4, 16, 16, 1))(keras.layers.Flatten()(volume))
    assert Predictor(keras.Model(volume, flat)).tile((8, 32, 32)) == (4, 16, 16)
