"""The ResNet, and what its BatchNorms leave of a normalisation: of a scale nothing, of a shift nothing but without the first."""

import keras
import numpy as np
import pytest

from brain_tumor.models import settings
from brain_tumor.models.backbones import INPUT_BATCHNORM, resnet

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3)).astype(np.float32)
MEAN, DEVIATION = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
RANGES = {"raw": IMAGES, "unit": IMAGES / 255, "imagenet": (IMAGES / 255 - MEAN) / DEVIATION}


@pytest.fixture(scope="module")
def networks():
    """With the BatchNorm of the input, and without."""
    keras.utils.set_random_seed(0)
    return {present: resnet("resnet18", 64, input_batchnorm=present) for present in (True, False)}


def named(network):
    """The layers that have names of their own: paddings and additions are numbered as they are built."""
    return [layer for layer in network.layers if not layer.name.startswith(("zero_padding2d", "add"))]


def weights(network):
    return {variable.path: tuple(variable.shape) for layer in network.layers for variable in layer.weights}


def test_without_the_inputs_batchnorm_every_other_layer_is_as_it_was(networks):
    whole, without = networks[True], networks[False]
    assert [layer.name for layer in named(without)] == [layer.name for layer in named(whole)]
    assert len(without.layers) == len(whole.layers)
    first = {name for name in weights(whole) if name.startswith(f"{INPUT_BATCHNORM}/")}
    assert len(first) == 3, "beta and two statistics; it has no gamma"
    assert weights(without) == {name: shape for name, shape in weights(whole).items() if name not in first}
    assert isinstance(without.get_layer(INPUT_BATCHNORM), keras.layers.Identity)
    images = IMAGES[:1] / 255
    up_to_it = keras.Model(without.input, without.get_layer(INPUT_BATCHNORM).output)
    np.testing.assert_array_equal(np.asarray(up_to_it(images)), images)


def test_bfloat16_reaches_the_same_layers_with_it_and_without():
    with settings.fixed("mixed_bfloat16"):
        pair = [resnet("resnet18", 32, input_batchnorm=present) for present in (True, False)]
    formats = [[(layer.name, layer.dtype_policy.name, layer.compute_dtype) for layer in named(network)] for network in pair]
    assert formats[0] == formats[1]
    assert ("conv0", "mixed_bfloat16", "bfloat16") in formats[0]


def differences(network):
    """How far the features in training are from those of raw input, in deviations of the latter, at most."""
    found = {name: np.asarray(network(images, training=True)) for name, images in RANGES.items()}
    return {name: np.abs(found[name] - found["raw"]).max() / found["raw"].std() for name in ("unit", "imagenet")}


def test_in_training_the_inputs_batchnorm_undoes_the_normalisation(networks):
    """Not exactly: its epsilon of 2e-5 is one part in 4000 of the variance of inputs from 0 to 1."""
    assert max(differences(networks[True]).values()) < 5e-3


def test_without_it_a_shift_is_seen_but_a_scale_still_is_not(networks):
    """The first convolution has no bias and a BatchNorm behind it, which undoes whatever multiplies all its input. A shift tells
    the picture from the zeros that pad it, and each channel may have a scale of its own.
    """
    found = differences(networks[False])
    assert found["unit"] < 5e-3
    assert found["imagenet"] > 0.5
