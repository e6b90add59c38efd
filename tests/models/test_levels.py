"""Named levels of every architecture, and how their features move the answer: which is the same on both backends."""

import keras
import numpy as np
import pytest

from brain_tumor.errors import ModelError
from brain_tumor.models import classifier, levels, unet


@pytest.mark.parametrize(
    ("build", "expected", "deepest"),
    [
        (lambda: unet.resunet(32, filters=(2, 4, 8)), {"P1": "encoder2_relu2", "P2": "bottleneck_relu2", "D1": "decoder2_relu2",
        "D0": "decoder1_relu2"}, "P2"),
        (lambda: unet.resunet(32, filters=(2, 4), halved=True), {"P1": "encoder1_relu2", "P2": "bottleneck_relu2",
        "D1": "decoder1_relu2"}, "P2"),
        (lambda: unet.resunet(32, filters=(2,)), {"P0": "bottleneck_relu2"}, "P0"),
        (lambda: unet.resunet(32, filters=(2, 4), slice_head=True), {"P1": "bottleneck_relu2", "D0": "decoder1_relu2"}, "P1"),
        (lambda: classifier.plain(32), {"P1": "plain_conv2", "P2": "plain_pool2"}, "P2"),
        (lambda: classifier.classifier("resnet18", 64), {"P5": "relu1"}, "P5"),
        (lambda: unet.unet("resnet18", 64), {"P1": "relu0", "P5": "relu1"}, "P5"),
    ],
    ids=["resunet", "halved", "one level", "slice head", "plain", "resnet18", "unet"],
)  # fmt: skip
def test_levels_have_names(build, expected, deepest):
    network = build()
    names = levels.levels(network)
    assert {level: names[level] for level in expected} == {level: names.get(level) for level in expected}
    assert levels.deepest(network) == deepest
    side = network.input_shape[1]
    for level, name in names.items():
        assert network.get_layer(name).output.shape[1] * 2 ** int(level[1:]) == side
    if len(expected) > 2:
        assert names.items() >= expected.items()


def test_a_network_of_its_logits_alone_has_no_level():
    images = keras.Input((32, 32, 3))
    for logits in (keras.layers.Conv2D(1, 3, padding="same")(images), keras.layers.Dense(1)(keras.layers.Flatten()(images))):
        with pytest.raises(ModelError, match="no layer between the image and the logits"):
            levels.deepest(keras.Model(images, logits))


def test_a_level_that_is_not_there_is_named():
    with pytest.raises(ModelError, match="no level 'P9', expected one of P1, P2"):
        levels.sensitivity(classifier.plain(32), "P9")


@pytest.mark.backend
@pytest.mark.parametrize("level", ["P2", "D1", "D0"])
def test_the_derivative_is_the_one_that_small_changes_show(level):
    keras.utils.set_random_seed(1)
    network = unet.resunet(16, filters=(2, 4, 4))
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 16, 16, 3)).astype(np.float32)
    weights = rng.random((2, 16, 16, 1)).astype(np.float32)
    features, gradients = levels.sensitivity(network, level)(images, weights)
    lower = levels.front(network, level)
    upper = keras.Model([network.input, lower.output], network.output)
    assert np.allclose(features, np.asarray(lower(images)), atol=1e-6) and gradients.shape == features.shape

    def score(changed):
        logits = upper([keras.ops.convert_to_tensor(images), keras.ops.convert_to_tensor(changed)])
        return float((np.asarray(logits, np.float64) * weights).sum())

    direction = np.sign(gradients) * rng.random(features.shape).astype(np.float32)
    step = 1e-2 / np.abs(direction).max()
    gained = (score(features + step * direction) - score(features - step * direction)) / (2 * step)
    assert gained == pytest.approx(float((gradients * direction).sum()), rel=2e-2)
