"""Losses and watched measures, from logits: float32 truth in [0, 1] and logits, ``(B, H, W, 1)`` for masks or ``(B, 1)`` for
slices, give a scalar. Of several classes the truth is a class number ``(B, 1)`` and the logits are ``(B, K)``.

From a probability the logarithm of 0 must be clipped, and where it is clipped nothing is learnt: TensorFlow's Keras finds the
logit behind a probability, JAX's does not. From logits both backends have the same gradients, however sure the network is.

Overlap terms are pooled over the batch, not averaged over slices: a tumour-free slice then still pays for false positives,
and two empty slices need no convention.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from brain_tumor.errors import DataError, ModelError

Tensor = Any  # of either backend

SMOOTH = 1.0  # pixels; keeps an all-empty batch finite
TVERSKY_ALPHA, TVERSKY_GAMMA = 0.7, 0.75  # Abraham & Khan 2018, arXiv 1810.07842: misses weigh 0.7


def bce(truth: Tensor, logit: Tensor) -> Tensor:
    """Mean binary cross-entropy."""
    return keras.ops.mean(_bce_of_each(truth, logit))


def bce_dice(truth: Tensor, logit: Tensor) -> Tensor:
    """Mean binary cross-entropy + 1 - soft Dice of the batch (Milletari 2016, arXiv 1606.04797)."""
    truth, probability = keras.ops.cast(truth, logit.dtype), keras.ops.sigmoid(logit)
    hit = keras.ops.sum(truth * probability)
    dice = (2 * hit + SMOOTH) / (keras.ops.sum(truth) + keras.ops.sum(probability) + SMOOTH)
    return bce(truth, logit) + 1 - dice


def focal_tversky(truth: Tensor, logit: Tensor) -> Tensor:
    """``(1 - Tversky index) ** gamma`` of the batch (Abraham & Khan 2018, arXiv 1810.07842)."""
    truth, probability = keras.ops.cast(truth, logit.dtype), keras.ops.sigmoid(logit)
    hit = keras.ops.sum(truth * probability)
    missed = keras.ops.sum(truth * keras.ops.sigmoid(-logit))
    invented = keras.ops.sum((1 - truth) * probability)
    index = (hit + SMOOTH) / (hit + TVERSKY_ALPHA * missed + (1 - TVERSKY_ALPHA) * invented + SMOOTH)
    return keras.ops.power(keras.ops.maximum(1 - index, keras.config.epsilon()), TVERSKY_GAMMA)


def cce(truth: Tensor, logits: Tensor) -> Tensor:
    """Mean categorical cross-entropy of class numbers ``(B, 1)`` and logits ``(B, K)``."""
    return keras.ops.mean(_cce_of_each(truth, logits))


def _bce_of_each(truth: Tensor, logit: Tensor) -> Tensor:
    """``(B,)`` of slices. Both terms keep their digits where the network is sure; ``softplus(x) - truth * x`` cancels there."""
    truth = keras.ops.cast(truth, logit.dtype)
    each = truth * keras.ops.softplus(-logit) + (1 - truth) * keras.ops.softplus(logit)
    return keras.ops.mean(each, axis=-1)


def _cce_of_each(truth: Tensor, logits: Tensor) -> Tensor:
    """``(B,)`` of slices."""
    own = keras.ops.one_hot(keras.ops.cast(truth, "int32")[..., 0], logits.shape[-1], dtype=logits.dtype)
    return -keras.ops.sum(own * keras.ops.log_softmax(logits, axis=-1), axis=-1)


LOSSES = {"bce-dice": bce_dice, "focal-tversky": focal_tversky, "bce": bce, "cce": cce}
OF_EACH = {"bce": _bce_of_each, "cce": _cce_of_each}  # a number a slice, which a weight can act on


def class_weights(labels: np.ndarray) -> tuple[float, ...]:
    """What a slice of each class weighs so that all classes weigh the same and the mean slice 1: ``N / (K n)`` (King 2001,
    Political Analysis 9:137).

    Args:
        labels: ``(N,)`` integers, the class numbers of the training slices.

    Raises:
        DataError: a class below the highest is missing, or there is only one.
    """
    counts = np.bincount(labels)
    if len(counts) < 2 or not counts.all():
        raise DataError(f"class weights need slices of two classes or more, numbered from 0; found counts {counts.tolist()}")
    return tuple(float(len(labels) / (len(counts) * count)) for count in counts)


def make(name: str, weights: tuple[float, ...] | None = None, known: Mapping[str, Callable] | None = None) -> Callable:
    """The loss of that name; with ``weights``, one a class, each slice counts as much as its class does.

    Keras's own sample weights would not do: they multiply the batch's mean, which these losses are, by the mean weight.

    Raises:
        ModelError: unknown name, or weights with a loss that is not a mean over slices.
    """
    known = (known or LOSSES) if weights is None else OF_EACH
    if name not in known:
        purpose = " with class weights" if weights else ""
        raise ModelError(f"unknown loss {name!r}{purpose}, expected one of {', '.join(known)}")
    if weights is None:
        return known[name]

    def weighted(truth: Tensor, logits: Tensor) -> Tensor:
        number = keras.ops.cast(truth, "int32")[..., 0]
        own = keras.ops.take(keras.ops.convert_to_tensor(weights, dtype=logits.dtype), number)
        return keras.ops.mean(own * OF_EACH[name](truth, logits))

    return weighted


# What is watched beside the loss: each gives a number a slice, whose mean over the epoch is kept. Curves, not scores to quote.


def dice_hits(truth: Tensor, logit: Tensor) -> Tensor:
    """``(B,)``: tumour pixels that the network calls tumour, which it does above logit 0 (probability one half)."""
    positive = keras.ops.cast(logit > 0, "float32")
    return keras.ops.sum(keras.ops.cast(truth, "float32") * positive, axis=(1, 2, 3))


def dice_area(truth: Tensor, logit: Tensor) -> Tensor:
    """``(B,)``: pixels called tumour plus pixels that are tumour; twice the hits over this is the epoch's pooled Dice."""
    both = keras.ops.cast(truth, "float32") + keras.ops.cast(logit > 0, "float32")
    return keras.ops.sum(both, axis=(1, 2, 3))


def accuracy(truth: Tensor, logits: Tensor) -> Tensor:
    """``(B,)``: 1 where the slice's logit is on the right side of 0, or of several classes the right one's is the highest."""
    if logits.shape[-1] > 1:
        likeliest = keras.ops.cast(keras.ops.argmax(logits, axis=-1), "int32")
        return keras.ops.cast(keras.ops.equal(likeliest, keras.ops.cast(truth, "int32")[:, 0]), "float32")
    return keras.ops.cast(keras.ops.equal(logits > 0, truth > 0.5), "float32")[:, 0]
