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
SLICE_WEIGHT = 0.5  # of whole slices beside their pixels
FOCAL_GAMMA = 2.0  # Lin 2017, arXiv 1708.02002
EDGE_WEIGHT, EDGE_SHARE = 5.0, 0.12  # Wei 2020, arXiv 1911.11445: the weight, and the side of the window (31 of 256 px)
TVERSKY_ALPHA, TVERSKY_GAMMA = 0.7, 0.75  # Abraham & Khan 2018, arXiv 1810.07842: misses weigh 0.7


def bce(truth: Tensor, logit: Tensor) -> Tensor:
    """Mean binary cross-entropy."""
    return keras.ops.mean(_bce_of_each(truth, logit))


def bce_dice(truth: Tensor, logit: Tensor) -> Tensor:
    """Mean binary cross-entropy + 1 - soft Dice of the batch (Milletari 2016, arXiv 1606.04797)."""
    return bce(truth, logit) + 1 - _soft_dice(truth, logit)


def focal_dice(truth: Tensor, logit: Tensor) -> Tensor:
    """Mean focal loss + 1 - soft Dice of the batch: pixels of which the network is sure count less (Lin 2017)."""
    truth = keras.ops.cast(truth, logit.dtype)
    missed = truth * keras.ops.sigmoid(-logit) + (1 - truth) * keras.ops.sigmoid(logit)
    focal = keras.ops.power(missed, FOCAL_GAMMA) * _bce_of_pixels(truth, logit)
    return keras.ops.mean(focal) + 1 - _soft_dice(truth, logit)


def edge_dice(truth: Tensor, logit: Tensor) -> Tensor:
    """Cross-entropy that weighs pixels near the lesion's edge up to six times + 1 - soft Dice of the batch (Wei 2020).

    A pixel weighs ``1 + 5 |truth - mean truth of the window around it|``; the mean is over weights.
    """
    truth = keras.ops.cast(truth, logit.dtype)
    side = max(3, int(EDGE_SHARE * truth.shape[1]) // 2 * 2 + 1)
    around = keras.ops.average_pool(truth, side, strides=1, padding="same", data_format="channels_last")
    weight = 1 + EDGE_WEIGHT * keras.ops.abs(truth - around)
    weighted = keras.ops.sum(weight * _bce_of_pixels(truth, logit)) / keras.ops.sum(weight)
    return weighted + 1 - _soft_dice(truth, logit)


def _soft_dice(truth: Tensor, logit: Tensor) -> Tensor:
    truth, probability = keras.ops.cast(truth, logit.dtype), keras.ops.sigmoid(logit)
    hit = keras.ops.sum(truth * probability)
    return (2 * hit + SMOOTH) / (keras.ops.sum(truth) + keras.ops.sum(probability) + SMOOTH)


def deeply(loss: Callable, regions: int = 1) -> Callable:
    """Deep supervision: the mean loss of a network's own logits, its first channels, and of those of coarser levels, its others.

    A level weighs half as much as the one above it (nnU-Net, Isensee 2021, doi 10.1038/s41592-020-01008-z).

    Args:
        regions: channels of a level.
    """

    def mean_loss(truth: Tensor, logits: Tensor) -> Tensor:
        levels = range(logits.shape[-1] // regions)
        weights = [0.5**level for level in levels]
        losses = [loss(truth, logits[..., level * regions : (level + 1) * regions]) for level in levels]
        return sum(weight * of_level for weight, of_level in zip(weights, losses, strict=True)) / sum(weights)

    return mean_loss


def by_region(loss: Callable, regions: int) -> Callable:
    """The mean loss of nested regions, each a channel of logits and a mask of its own (nnU-Net's for BraTS, Isensee 2020,
    arXiv 2011.00848).

    Args:
        loss: of a mask in {0, 1} and one channel. The truth says in how many regions each voxel lies.
    """

    def mean_loss(truth: Tensor, logits: Tensor) -> Tensor:
        masks = [keras.ops.cast(truth > region, logits.dtype) for region in range(regions)]
        return sum(loss(mask, logits[..., region : region + 1]) for region, mask in enumerate(masks)) / regions

    return mean_loss


def with_slices(loss: Callable) -> Callable:
    """A mask's loss and the cross-entropy of whole slices: of the last channel, which says whether a slice holds tumour.

    Args:
        loss: of the truth and all channels but the last.
    """

    def both(truth: Tensor, logits: Tensor) -> Tensor:
        tumour = keras.ops.max(keras.ops.cast(truth, logits.dtype), axis=(1, 2))
        of_slice = keras.ops.mean(logits[..., -1:], axis=(1, 2))
        return loss(truth, logits[..., :-1]) + SLICE_WEIGHT * bce(tumour, of_slice)

    return both


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
    return keras.ops.mean(_bce_of_pixels(keras.ops.cast(truth, logit.dtype), logit), axis=-1)


def _bce_of_pixels(truth: Tensor, logit: Tensor) -> Tensor:
    return truth * keras.ops.softplus(-logit) + (1 - truth) * keras.ops.softplus(logit)


def _cce_of_each(truth: Tensor, logits: Tensor) -> Tensor:
    """``(B,)`` of slices."""
    own = keras.ops.one_hot(keras.ops.cast(truth, "int32")[..., 0], logits.shape[-1], dtype=logits.dtype)
    return -keras.ops.sum(own * keras.ops.log_softmax(logits, axis=-1), axis=-1)


LOSSES = {
    "bce-dice": bce_dice,
    "focal-dice": focal_dice,
    "edge-dice": edge_dice,
    "focal-tversky": focal_tversky,
    "bce": bce,
    "cce": cce,
}
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
# Of a mask's logits the first channel counts; others are of coarser levels (:func:`deeply`).


def dice_hits(truth: Tensor, logit: Tensor) -> Tensor:
    """``(B,)``: tumour pixels that the network calls tumour, which it does above logit 0 (probability one half)."""
    real, positive = _outermost(truth, logit)
    return keras.ops.sum(real * positive, axis=tuple(range(1, len(real.shape))))


def dice_area(truth: Tensor, logit: Tensor) -> Tensor:
    """``(B,)``: pixels called tumour plus pixels that are tumour; twice the hits over this is the epoch's pooled Dice."""
    real, positive = _outermost(truth, logit)
    return keras.ops.sum(real + positive, axis=tuple(range(1, len(real.shape))))


def _outermost(truth: Tensor, logit: Tensor) -> tuple[Tensor, Tensor]:
    """Where tumour is, and where it is called, of whatever region; float32 in {0, 1}."""
    return keras.ops.cast(truth > 0.5, "float32"), keras.ops.cast(logit[..., :1] > 0, "float32")


def accuracy(truth: Tensor, logits: Tensor) -> Tensor:
    """``(B,)``: 1 where the slice's logit is on the right side of 0, or of several classes the right one's is the highest."""
    if logits.shape[-1] > 1:
        likeliest = keras.ops.cast(keras.ops.argmax(logits, axis=-1), "int32")
        return keras.ops.cast(keras.ops.equal(likeliest, keras.ops.cast(truth, "int32")[:, 0]), "float32")
    return keras.ops.cast(keras.ops.equal(logits > 0, truth > 0.5), "float32")[:, 0]
