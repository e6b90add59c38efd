"""A volume whose planes are alike gives what its plane gives, whatever is halved."""

import keras
import numpy as np
import pytest

from brain_tumor.errors import ModelError
from brain_tumor.models import inflate, settings, unet
from brain_tumor.training import loop, losses

RNG = np.random.default_rng(0)
FILTERS = (4, 8, 8)
FLAT = {
    "resunet": lambda **more: unet.resunet(32, 3, FILTERS, **more),
    "resunet halved": lambda **more: unet.resunet(32, 3, FILTERS, halved=True, **more),
    "deep supervision": lambda **more: unet.resunet(32, 3, (*FILTERS, 16), deep_supervision=2, **more),
}


def disturbed(network):
    """Weights and moving statistics as training leaves them, not as they begin."""
    for variable in network.weights:
        values = RNG.normal(0.1, 0.2, tuple(variable.shape))
        variable.assign(np.abs(values) + 0.5 if "variance" in variable.name else values)
    return network


def predictions(flat, deep, depth):
    plane = RNG.normal(size=(2, 32, 32, 3)).astype(np.float32)
    return flat.predict_on_batch(plane), deep.predict_on_batch(np.repeat(plane[:, None], depth, axis=1))


@pytest.mark.parametrize(("name", "planar", "depth"), [
    ("resunet", 1, 8), ("resunet", 2, 5), ("resunet", 0, 8), ("resunet halved", 2, 4),
    pytest.param("deep supervision", 1, 4, marks=pytest.mark.backend),
])  # fmt: skip
def test_planes_that_are_alike_give_the_answer_of_one(name, planar, depth):
    with settings.fixed():
        flat = disturbed(FLAT[name]())
        deep = inflate.inflated(flat, depth, planar)
        assert deep.input_shape == (None, depth, 32, 32, 3)
        inflate.transfer(flat, deep)
        of_plane, of_volume = predictions(flat, deep, depth)
    assert of_volume.shape == (2, depth, 32, 32, flat.output_shape[-1])
    np.testing.assert_allclose(of_volume, np.repeat(of_plane[:, None], depth, axis=1), rtol=2e-4, atol=2e-4)


@pytest.mark.long
def test_the_unet_of_a_resnet_is_inflated_too():
    with settings.fixed():
        flat = unet.unet("resnet18", 32, batchnorm_momentum=0.9)
        deep = inflate.inflated(flat, 4, 3)
        inflate.transfer(flat, deep)
        of_plane, of_volume = predictions(flat, deep, 4)
    assert {layer.name for layer in deep.layers} >= {layer.name for layer in flat.layers if layer.weights}
    np.testing.assert_allclose(of_volume, np.repeat(of_plane[:, None], 4, axis=1), rtol=1e-3, atol=1e-3)


@pytest.mark.backend
def test_every_region_begins_as_the_one_that_was_learnt():
    with settings.fixed():
        flat = disturbed(FLAT["deep supervision"]())
        deep = inflate.inflated(flat, 4, 1, regions=3)
        inflate.transfer(flat, deep)
        of_plane, of_volume = predictions(flat, deep, 4)
    assert of_volume.shape[-1] == 9
    np.testing.assert_allclose(of_volume[:, 0], np.repeat(of_plane, 3, axis=-1), rtol=2e-4, atol=2e-4)


def test_groups_make_a_volume_independent_of_its_batch():
    with settings.fixed():
        deep = disturbed(inflate.inflated(FLAT["resunet"](), 4, 1, norm="group"))
        volumes = RNG.normal(size=(2, 4, 32, 32, 3)).astype(np.float32)
        both = keras.ops.convert_to_numpy(deep(volumes, training=True))
        alone = keras.ops.convert_to_numpy(deep(volumes[:1], training=True))
        inflate.transfer(FLAT["resunet"](), deep)
    assert not any("moving" in variable.name for variable in deep.weights)
    np.testing.assert_allclose(both[:1], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: inflate.inflated(FLAT["resunet"](), 6, 0), "6 planes, expected a multiple of 4"),
        (lambda: inflate.inflated(FLAT["resunet"](), 4, 1, norm="layer"), "norm 'layer', expected one of batch, group"),
        (lambda: inflate.inflated(unet.resunet(32, 3, FILTERS, slice_head=True), 4, 1), "has no counterpart"),
    ],
)
def test_what_cannot_be_inflated_is_refused(make, words):
    with pytest.raises(ModelError, match=words):
        make()


@pytest.mark.backend
def test_two_planes_learn_in_bfloat16_what_they_learn_in_float32():
    """Of kernels on two planes TensorFlow's gradient is wrong in bfloat16, NaN more often than not."""
    volume = RNG.normal(size=(2, 4, 32, 32, 3)).astype(np.float32)
    truth = (RNG.random((2, 4, 32, 32, 1)) > 0.7).astype(np.float32)
    gradients = {}
    for precision in ("float32", "mixed_bfloat16"):
        with settings.fixed(precision):
            keras.utils.set_random_seed(0)
            deep = inflate.inflated(unet.resunet(32, 3, FILTERS), 4, 1)
            before = [keras.ops.convert_to_numpy(variable) for variable in deep.trainable_variables]
            loop.make_ready(deep, losses.bce, (), keras.optimizers.SGD(1.0))
            deep.train_on_batch(volume, truth)
            after = [keras.ops.convert_to_numpy(variable) for variable in deep.trainable_variables]
            gradients[precision] = {v.path: b - a for v, b, a in zip(deep.trainable_variables, before, after, strict=True)}
        assert deep.get_layer("bottleneck_conv1").compute_dtype == "float32"
    for name, gradient in gradients["float32"].items():
        if name.startswith("bottleneck") and name.endswith("kernel"):
            assert np.corrcoef(gradient.ravel(), gradients["mixed_bfloat16"][name].ravel())[0, 1] > 0.9, name
