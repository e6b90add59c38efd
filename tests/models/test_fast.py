"""The twin of a network computes what the network computes: answers, gradients, statistics; and it owns no weights."""

import keras
import numpy as np
import pytest

from brain_tumor.errors import ModelError
from brain_tumor.models import backend, freezing, saved, settings

if keras.config.backend() != "tensorflow":
    pytest.skip("elsewhere a network is compiled as a whole", allow_module_level=True)

import tensorflow as tf

from brain_tumor.models import fast, on_tensorflow

BATCH = 4
NETWORKS = {
    "unet-resnet18": {"size": 64},
    "resunet": {"size": 32, "filters": (4, 8, 12)},
    "resnet18": {"size": 64},
    "plain": {"size": 16},
}
# The encoder of unet-resnet18 is resnet18: what takes seconds to build and compile is asked of both in `make test-all` alone.
EACH = [pytest.param(name, marks=pytest.mark.long) if name == "resnet18" else name for name in NETWORKS]


def images(shape, seed=0):
    return np.random.default_rng(seed).normal(0.3, 1, (BATCH, *shape)).astype(np.float32)


def build(name, number_format="float32"):
    """A network whose BatchNorms have moved from where they start."""
    keras.utils.set_random_seed(0)
    network = saved.build(saved.describe(name, **NETWORKS[name]), number_format)
    generator = np.random.default_rng(1)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            statistics = [generator.uniform(0.5, 1.5, weight.shape) for weight in layer.weights]
            layer.set_weights(statistics)
    return network


def compiled(model, rate=1e-2):
    """SGD, whose steps show gradients as they are."""
    with settings.fixed():
        model.compile(keras.optimizers.SGD(rate), "mse", jit_compile=False)
    return model


def step(model, batch):
    with settings.fixed():
        return float(model.train_on_batch(batch, np.ones((BATCH, *model_output(model)), np.float32)))


def model_output(model):
    return (model.network if isinstance(model, fast.Twin) else model).output_shape[1:]


@pytest.mark.parametrize("name", EACH)
def test_a_twin_trains_as_the_network_does(name):
    plain, original = build(name), build(name)
    twin = backend.faster(original)
    assert isinstance(twin, fast.Twin)
    for model in (compiled(plain), compiled(twin)):
        model.losses_of_steps = [step(model, images(plain.input_shape[1:], seed)) for seed in range(2)]
    np.testing.assert_allclose(twin.losses_of_steps, plain.losses_of_steps, rtol=1e-4)
    for weight, expected in zip(original.weights, plain.weights, strict=True):
        np.testing.assert_allclose(weight.numpy(), expected.numpy(), atol=2e-4, err_msg=weight.path)


def test_the_statistics_of_a_twin_are_kept_as_keras_keeps_them():
    """One step at rate 0 moves nothing but means and variances; TensorFlow's own variance would be larger by n / (n - 1)."""
    inputs = keras.Input((2, 2, 16))
    networks = []
    for _ in range(2):
        outputs = keras.layers.BatchNormalization(momentum=0.5)(inputs)
        networks.append(keras.Model(inputs, outputs))
    plain, original = networks
    for model in (compiled(plain, 0.0), compiled(backend.faster(original), 0.0)):
        step(model, images((2, 2, 16)))
    for weight, expected in zip(original.weights, plain.weights, strict=True):
        np.testing.assert_allclose(weight.numpy(), expected.numpy(), rtol=1e-5)
    assert not np.allclose(plain.weights[3].numpy(), 1)


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("number_format", ["float32", "mixed_bfloat16"])
def test_a_frozen_network_answers_as_the_network_does(name, number_format):
    network = build(name, number_format)
    batch = images(network.input_shape[1:])
    expected = np.asarray(network(batch, training=False))
    answer = backend.frozen(network)(batch)
    assert (answer.dtype, answer.shape) == (np.float32, expected.shape)
    spread = expected.std()
    # bfloat16 has 8 bits: the plain network is itself this far from float32
    tolerance = {"float32": 1e-4, "mixed_bfloat16": 0.1}[number_format]
    assert np.abs(answer - expected).max() < tolerance * max(spread, 1e-3) * 10
    assert np.abs(answer - expected).mean() < tolerance * max(spread, 1e-3)


def test_a_frozen_network_keeps_its_weights():
    network = build("plain")
    batch = images(network.input_shape[1:])
    frozen = backend.frozen(network)
    before = frozen(batch)
    network.set_weights([weight + 1 for weight in network.get_weights()])
    np.testing.assert_array_equal(frozen(batch), before)
    assert not np.allclose(backend.frozen(network)(batch), before)


class Counting(keras.layers.Layer):
    """It adds how often it was asked: a state that Keras knows, or a bare variable of TensorFlow."""

    def __init__(self, known):
        super().__init__(name="counting")
        self.asked = self.add_weight(shape=(), initializer="zeros", trainable=False) if known else tf.Variable(0.0)

    def call(self, x):
        self.asked.assign(self.asked + 1)
        return x + self.asked


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (lambda: Counting(known=True), "counting/variable.*: changes whenever the network is asked"),
        (lambda: Counting(known=False), "none of its layers' weights: Variable"),
    ],
    ids=["known", "bare"],
)
def test_a_network_without_a_fixed_answer_is_not_frozen(layer, words):
    images = keras.Input((8, 8, 3))
    with pytest.raises(ModelError, match=words):
        fast.frozen(keras.Model(images, layer()(images)))


def test_a_frozen_network_of_two_outputs_gives_the_first():
    images = keras.Input((8, 8, 3))
    network = keras.Model(images, [images * 2, images * 3])
    np.testing.assert_array_equal(fast.frozen(network)(np.ones((1, 8, 8, 3), np.float32)), 2)


def test_a_twin_has_the_weights_of_its_network_and_trains_what_it_trains():
    network = build("resunet")
    twin = backend.faster(network)
    assert {id(weight) for weight in twin.weights} == {id(weight) for weight in network.weights}
    freezing.train_only(network, "head")
    assert [weight.path for weight in twin.trainable_variables] == [weight.path for weight in network.trainable_variables]
    before = [weight.numpy() for weight in network.weights]
    step(compiled(twin), images(network.input_shape[1:]))
    moved = {weight.path for weight, start in zip(network.weights, before, strict=True) if not np.array_equal(weight, start)}
    assert moved == {weight.path for weight in network.trainable_variables}, "a frozen BatchNorm keeps its statistics"


def test_dropout_of_a_twin_draws_as_that_of_its_network():
    answers = []
    for make in (lambda network: network, backend.faster):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4, 4, 1))
        network = keras.Model(inputs, keras.layers.Dropout(0.5)(inputs))
        model = make(network)
        ones = np.ones((1, 4, 4, 1), np.float32)
        answers.append([np.asarray(model(ones, training=mode)) for mode in (True, True, False)])
    np.testing.assert_array_equal(*answers)
    assert not np.array_equal(answers[0][0], answers[0][1]) and (answers[0][2] == 1).all()


def test_a_layer_that_others_need_is_computed_for_them_too():
    """Doubled pixels that also go past the convolution, and a BatchNorm of the input that two convolutions take."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((32, 32, 3))
    normal = keras.layers.BatchNormalization(scale=False)(inputs)
    padded = keras.layers.ZeroPadding2D(1)(normal)
    low = [keras.layers.Conv2D(4, 3, strides=2)(padded) for _ in range(2)]
    doubled = keras.layers.UpSampling2D()(keras.layers.Add()(low))
    outputs = keras.layers.Concatenate()([keras.layers.Conv2D(2, 3, padding="same")(doubled), doubled])
    network = keras.Model(inputs, outputs)
    batch = images((32, 32, 3))
    twin = backend.faster(network)
    np.testing.assert_allclose(twin(batch, training=False), network(batch, training=False), atol=1e-5)
    np.testing.assert_allclose(backend.frozen(network)(batch), network(batch, training=False), atol=1e-5)
    mean = normal_statistics(network)
    twin(batch, training=True)
    moved = normal_statistics(network)
    np.testing.assert_allclose(moved - mean, 0.01 * (batch.mean(axis=(0, 1, 2)) - mean), atol=1e-6, err_msg="moved once")


def normal_statistics(network):
    return next(layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)).moving_mean.numpy()


def test_layers_that_only_look_alike_are_called_as_they_are():
    """Grouped, dilated, bilinear, of another axis, with an activation, of a user's own class."""

    class Louder(keras.layers.Conv2D):
        def call(self, inputs):
            return 2 * super().call(inputs)

    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 4))
    x = keras.layers.Conv2D(4, 3, padding="same", groups=2, activation="relu")(inputs)
    x = keras.layers.Conv2D(4, 3, padding="same", dilation_rate=2)(x)
    x = keras.layers.BatchNormalization(axis=1)(x)
    x = keras.layers.UpSampling2D(interpolation="bilinear")(x)
    x = Louder(16, 3, padding="same")(x)
    x = keras.layers.ZeroPadding2D(((0, 1), (2, 0)))(x)
    x = keras.layers.Conv2D(16, (3, 1), strides=2, activation="tanh")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.UpSampling2D((2, 2))(x)
    network = keras.Model(inputs, keras.layers.Conv2D(3, 3, padding="same", activation="sigmoid")(x))
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([np.random.default_rng(0).uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    batch = images((16, 16, 4))
    expected = np.asarray(network(batch, training=False))
    np.testing.assert_allclose(backend.faster(network)(batch, training=False), expected, atol=1e-5)
    np.testing.assert_allclose(backend.frozen(network)(batch), expected, atol=1e-5)


def test_a_network_with_two_outputs_is_its_own_twin_and_a_model_without_a_graph_too():
    inputs = keras.Input((8, 8, 3))
    two = keras.Model(inputs, [keras.layers.Conv2D(1, 3)(inputs), keras.layers.Conv2D(2, 3)(inputs)])

    class Own(keras.Model):
        def call(self, x):
            return x

    for network in (two, Own()):
        assert backend.faster(network) is network


@pytest.mark.parametrize("number_format", ["float32", "bfloat16"])
@pytest.mark.parametrize("kernel", [1, 3])
def test_a_convolution_of_doubled_pixels_is_a_transposed_one(number_format, kernel):
    """And of what lies beside them; the gradients too."""
    keras.utils.set_random_seed(0)
    low, high = images((6, 6, 5)), images((12, 12, 3), 1)
    layer = keras.layers.Conv2D(7, kernel, padding="same", dtype=number_format)
    both = np.concatenate([low.repeat(2, 1).repeat(2, 2), high], axis=-1)
    expected = np.asarray(layer(both), np.float32)
    answer = on_tensorflow.doubled_convolution(on_tensorflow.Weights(layer), low, high, training=False)
    np.testing.assert_allclose(np.asarray(answer, np.float32), expected, atol={"float32": 1e-5, "bfloat16": 0.06}[number_format])


def test_a_saved_run_is_read_by_a_network_without_a_twin(tmp_path):
    """The twin leaves no trace in the weights file."""
    description = saved.describe("resunet", **NETWORKS["resunet"])
    network = build("resunet")
    step(compiled(backend.faster(network)), images(network.input_shape[1:]))
    saved.save(network, description, tmp_path)
    again = saved.load(tmp_path)
    for weight, expected in zip(again.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
