"""Losses: truth and probability in [0, 1], ``(B, H, W, 1)`` for masks or ``(B, 1)`` for slices, float32, give a scalar.
Of several classes the truth is a class number ``(B, 1)`` and the probabilities are ``(B, K)``.

Overlap terms are pooled over the batch, not averaged over slices: a tumour-free slice then still pays for false positives,
and two empty slices need no convention.
"""

from collections.abc import Callable, Mapping

import keras
import numpy as np

from brain_tumor.errors import DataError, ModelError

SMOOTH = 1.0  # pixels; keeps an all-empty batch finite
TVERSKY_ALPHA, TVERSKY_GAMMA = 0.7, 0.75  # Abraham & Khan 2018, arXiv 1810.07842: misses weigh 0.7


def bce(truth, probability):
    """Mean binary cross-entropy."""
    return keras.ops.mean(keras.losses.binary_crossentropy(keras.ops.cast(truth, probability.dtype), probability))


def bce_dice(truth, probability):
    """Mean binary cross-entropy + 1 - soft Dice of the batch (Milletari 2016, arXiv 1606.04797)."""
    truth = keras.ops.cast(truth, probability.dtype)
    hit = keras.ops.sum(truth * probability)
    dice = (2 * hit + SMOOTH) / (keras.ops.sum(truth) + keras.ops.sum(probability) + SMOOTH)
    return bce(truth, probability) + 1 - dice


def focal_tversky(truth, probability):
    """``(1 - Tversky index) ** gamma`` of the batch (Abraham & Khan 2018, arXiv 1810.07842)."""
    truth = keras.ops.cast(truth, probability.dtype)
    hit = keras.ops.sum(truth * probability)
    missed = keras.ops.sum(truth * (1 - probability))
    invented = keras.ops.sum((1 - truth) * probability)
    index = (hit + SMOOTH) / (hit + TVERSKY_ALPHA * missed + (1 - TVERSKY_ALPHA) * invented + SMOOTH)
    return keras.ops.power(keras.ops.maximum(1 - index, keras.config.epsilon()), TVERSKY_GAMMA)


def cce(truth, probability):
    """Mean categorical cross-entropy of class numbers ``(B, 1)`` and softmax probabilities ``(B, K)``."""
    return keras.ops.mean(_cce_of_each(truth, probability))


def _bce_of_each(truth, probability):
    return keras.losses.binary_crossentropy(keras.ops.cast(truth, probability.dtype), probability)


def _cce_of_each(truth, probability):
    return keras.losses.sparse_categorical_crossentropy(keras.ops.cast(truth, "int32"), probability)


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

    def weighted(truth, probability):
        number = keras.ops.cast(truth, "int32")[:, 0]
        own = keras.ops.take(keras.ops.convert_to_tensor(weights, dtype=probability.dtype), number)
        return keras.ops.mean(own * OF_EACH[name](truth, probability))

    return weighted


# What is watched beside the loss: each gives a number a slice, whose mean over the epoch is kept. Curves, not scores to quote.


def dice_hits(truth, probability):
    """``(B,)``: pixels called tumour that are tumour, at one half."""
    called = keras.ops.cast(probability > 0.5, "float32")
    return keras.ops.sum(keras.ops.cast(truth, "float32") * called, axis=(1, 2, 3))


def dice_area(truth, probability):
    """``(B,)``: pixels called tumour plus pixels that are tumour; twice the hits over this is the epoch's pooled Dice."""
    both = keras.ops.cast(truth, "float32") + keras.ops.cast(probability > 0.5, "float32")
    return keras.ops.sum(both, axis=(1, 2, 3))


def accuracy(truth, probability):
    """``(B,)``: 1 where the slice falls on the right side of one half, or of several classes the right one is likeliest."""
    if probability.shape[-1] > 1:
        called = keras.ops.cast(keras.ops.argmax(probability, axis=-1), "int32")
        return keras.ops.cast(keras.ops.equal(called, keras.ops.cast(truth, "int32")[:, 0]), "float32")
    return keras.ops.cast(keras.ops.equal(probability > 0.5, truth > 0.5), "float32")[:, 0]
