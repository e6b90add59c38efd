"""Losses: truth and probability in [0, 1], ``(B, H, W, 1)`` for masks or ``(B, 1)`` for slices, float32, give a scalar.

Overlap terms are pooled over the batch, not averaged over slices: a tumour-free slice then still pays for false positives,
and two empty slices need no convention.
"""

import keras

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


LOSSES = {"bce-dice": bce_dice, "focal-tversky": focal_tversky, "bce": bce}


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
    """``(B,)``: 1 where the slice falls on the right side of one half."""
    return keras.ops.cast(keras.ops.equal(probability > 0.5, truth > 0.5), "float32")[:, 0]


WATCHED = {"segmentation": (dice_hits, dice_area), "classification": (accuracy,)}
