"""BatchNorm as several devices share it trains as Keras's own: here on a single device, and with two in ``test_parallel``."""

import keras
import numpy as np
import pytest

from brain_tumor.models import backend, freezing, unet
from brain_tumor.training import parallel

pytestmark = [pytest.mark.backend, pytest.mark.skipif(backend.name() != "jax", reason="Keras shares batches on JAX alone")]


@pytest.fixture(autouse=True)
def shared():
    """Batches are shared among the devices, of which there is one."""
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=keras.distribution.list_devices()))
    yield
    keras.distribution.set_distribution(None)


def trained(network, make_faster, steps=2, far=0.0):
    """The losses of a few steps on the same noise, whose mean lies ``far`` off."""
    model = make_faster(network)
    model.compile(keras.optimizers.SGD(0.05), "mse")
    generator = np.random.default_rng(0)
    images = generator.normal(far, 1, (4, *network.input_shape[1:])).astype("float32")
    truth = generator.normal(size=(4, *network.output_shape[1:])).astype("float32")
    return [float(model.train_on_batch(images, truth)) for _ in range(steps)]


def assert_alike(build, **facts):
    plain, twin = build(), build()
    twin.set_weights(plain.get_weights())
    losses, expected = trained(twin, backend.faster, **facts), trained(plain, lambda network: network, **facts)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    for weight, other in zip(twin.weights, plain.weights, strict=True):
        np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, (weight, other)), atol=1e-5, err_msg=weight.path)


@pytest.mark.parametrize("part", ["all", "decoder"])
def test_a_network_trains_as_with_kerass_own(part):
    def build():
        network = unet.resunet(size=16, filters=(4, 8))
        freezing.train_only(network, part)
        return network

    kinds = {type(layer).__name__ for layer in backend.faster(build()).layers}
    assert "SharedBatchNorm" in kinds and "BatchNormalization" not in kinds
    assert_alike(build)


@pytest.mark.parametrize("options", [{}, {"center": False}, {"scale": False}, {"dtype": "mixed_bfloat16"}])
def test_every_kind_of_batchnorm_trains_so_far_from_zero_too(options):
    def build():
        inputs = keras.Input((2, 3, 4, 5))
        return keras.Model(inputs, keras.layers.BatchNormalization(momentum=0.5, **options)(inputs))

    assert_alike(build, far=3.0)


def test_a_batchnorm_that_is_called_twice_is_one_layer():
    def build():
        inputs, layer = keras.Input((4, 5)), keras.layers.BatchNormalization(momentum=0.5)
        return keras.Model(inputs, layer(keras.layers.Dense(5, "relu")(layer(inputs))))

    assert_alike(build)


def test_what_is_not_plain_stays_kerass_own():
    inputs = keras.Input((4, 5))
    layers = keras.layers.BatchNormalization(axis=1), keras.layers.BatchNormalization(renorm=True)
    for layer in layers:
        twin = backend.faster(keras.Model(inputs, layer(inputs)))
        assert layer in twin.layers
    with parallel.alone():
        network = keras.Model(inputs, keras.layers.BatchNormalization()(inputs))
        assert backend.faster(network) is network
