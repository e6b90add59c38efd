"""Weights go from a network of slices to one of volumes, head included, and nowhere else that they do not fit."""

import keras
import numpy as np
import pytest

from brain_tumor.errors import ModelError
from brain_tumor.models import settings, transfer, unet, unet3d

FILTERS = (4, 8)
RECORD = {"normalisation": "tissue", "patients": ["P1"]}


@pytest.fixture
def learnt(tmp_path):
    """A network of slices with weights that are no beginning, and their file."""
    with settings.fixed():
        keras.utils.set_random_seed(1)
        network = unet.resunet(16, 3, FILTERS, halved=True)
        for variable in network.weights:
            variable.assign(np.abs(np.random.default_rng(2).normal(0.2, 0.3, tuple(variable.shape))) + 0.1)
        transfer.save(network, tmp_path / "flat.npz", RECORD, head=True)
    return network, tmp_path / "flat.npz"


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_a_network_of_volumes_begins_with_those_of_slices(learnt, norm):
    network, path = learnt
    with settings.fixed():
        deep = unet3d.resunet3d(16, 4, 3, 3, FILTERS, halved=True, planar=1, norm=norm)
        facts = transfer.load(deep, path, "tissue")
        plane = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype(np.float32)
        of_plane = keras.ops.convert_to_numpy(network(plane, training=False))
        of_volume = keras.ops.convert_to_numpy(deep(np.repeat(plane[:, None], 4, axis=1), training=False))
    assert facts["layers"] == len({layer.name for layer in network.layers if layer.weights})
    if norm == "batch":
        np.testing.assert_allclose(of_volume, np.repeat(np.repeat(of_plane[:, None], 4, 1), 3, -1), rtol=1e-4, atol=1e-4)


def test_the_same_network_begins_with_all_of_it(learnt):
    network, path = learnt
    with settings.fixed():
        other = unet.resunet(16, 3, FILTERS, halved=True)
        transfer.load(other, path, "tissue")
    for one, two in zip(network.weights, other.weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(two))


def fitting():
    """A network of volumes that is made of the one that has learnt."""
    return unet3d.resunet3d(16, 4, 3, 1, FILTERS, halved=True, planar=1)


@pytest.mark.parametrize(
    ("make", "how", "words"),
    [
        (lambda: unet3d.resunet3d(16, 4, 3, 1, (4, 16), halved=True, planar=1), {}, "of another network than 'resunet'"),
        (lambda: unet3d.resunet3d(16, 4, 3, 1, FILTERS, planar=1), {}, "stem_conv"),
        (
            lambda: unet3d.resunet3d(16, 4, 3, 1, FILTERS, halved=True, planar=1),
            {"normalisation": "unit"},
            "normalised as 'tissue'",
        ),
        (fitting, {"held_out": ["P1"]}, "1 held-out patients"),
    ],
)
def test_what_does_not_fit_is_refused(learnt, make, how, words):
    with settings.fixed(), pytest.raises(ModelError, match=words):
        transfer.load(make(), learnt[1], **{"normalisation": "tissue"} | how)
