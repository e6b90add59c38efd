"""Gradients where a network is unsure, sure and right, and sure and wrong: the analytic ones, on every backend.

Each network's last layer gets zero weights and one bias, which is then its logit everywhere. A step of plain gradient descent
with rate 1 moves the bias by minus its gradient.
"""

import keras
import numpy as np
import pytest
from scipy import special

from brain_tumor.models import classifier, unet
from brain_tumor.training import losses

pytestmark = pytest.mark.backend

LOGITS = (-20.0, -10.0, 0.0, 10.0, 20.0)
WEIGHTS = (0.5, 2.0)


def compiled(model, loss, weights=None):
    """Ready to take steps of plain gradient descent with rate 1."""
    function = losses.make(loss, weights)
    model.compile(keras.optimizers.SGD(1.0), function, jit_compile=keras.backend.backend() == "jax")
    return model


def bias_gradient(model, images, logits, truth):
    """The gradient of the loss with respect to the last layer's bias, ``(K,)``, where the network answers ``logits``."""
    last = [layer for layer in model.layers if layer.weights][-1]
    kernel, _ = last.get_weights()
    last.set_weights([np.zeros_like(kernel), np.asarray(logits, np.float32)])
    model.train_on_batch(images, truth)
    return np.asarray(logits) - last.get_weights()[1]


def cross_entropy(logit, truth, _pixels):
    return special.expit(logit) - truth


def weighted_cross_entropy(logit, truth, _pixels):
    return WEIGHTS[truth] * (special.expit(logit) - truth)


def cross_entropy_and_dice(logit, truth, pixels):
    """Of ``pixels`` equal pixels the Dice is ``(2 n y p + 1) / (n y + n p + 1)``."""
    p = special.expit(logit)
    area = pixels * (truth + p) + losses.SMOOTH
    of_dice = 2 * pixels * truth / area - (2 * pixels * truth * p + losses.SMOOTH) * pixels / area**2
    return p - truth - of_dice * p * special.expit(-logit)


@pytest.mark.parametrize(
    ("of_masks", "loss", "weights", "expected"),
    [
        (False, "bce", None, cross_entropy),
        (False, "bce", WEIGHTS, weighted_cross_entropy),
        (True, "bce", None, cross_entropy),
        (True, "bce-dice", None, cross_entropy_and_dice),
    ],
    ids=["slices", "weighted slices", "masks", "masks with Dice"],
)
def test_the_gradient_of_a_logit_is_the_analytic_one(of_masks, loss, weights, expected):
    network = unet.resunet(4, filters=(2, 2)) if of_masks else classifier.plain(4)
    model = compiled(network, loss, weights)
    images = np.random.default_rng(0).random((2, 4, 4, 3), np.float32)
    for logit in LOGITS:
        for truth in (0, 1):
            targets = np.full((2, *model.output_shape[1:]), truth, np.float32)
            gradient = bias_gradient(model, images, [logit], targets)
            np.testing.assert_allclose(gradient, [expected(logit, truth, targets.size)], rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("weights", [None, (0.5, 2.0, 1.0)])
def test_the_gradient_of_each_class_is_the_analytic_one(weights):
    model = compiled(classifier.plain(4, classes=3), "cce", weights)
    images = np.random.default_rng(0).random((2, 4, 4, 3), np.float32)
    for logit in LOGITS:
        logits = np.array([0.0, logit, 0.0])
        for truth in (0, 1):
            gradient = bias_gradient(model, images, logits, np.full((2, 1), truth, np.float32))
            expected = (special.softmax(logits) - np.eye(3)[truth]) * (weights or np.ones(3))[truth]
            np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=2e-6)
