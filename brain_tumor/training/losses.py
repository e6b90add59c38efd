"""Losses for masks: truth and probability ``(B, H, W, 1)`` float32 in [0, 1] give a scalar.

Overlap terms are pooled over the batch, not averaged over slices: a tumour-free slice then still pays for false positives,
and two empty slices need no convention.
"""

import keras

SMOOTH = 1.0  # pixels; keeps an all-empty batch finite
TVERSKY_ALPHA, TVERSKY_GAMMA = 0.7, 0.75  # Abraham & Khan 2018, arXiv 1810.07842: misses weigh 0.7


def bce_dice(truth, probability):
    """Mean binary cross-entropy + 1 - soft Dice of the batch (Milletari 2016, arXiv 1606.04797)."""
    truth = keras.ops.cast(truth, probability.dtype)
    cross_entropy = keras.ops.mean(keras.losses.binary_crossentropy(truth, probability))
    hit = keras.ops.sum(truth * probability)
    dice = (2 * hit + SMOOTH) / (keras.ops.sum(truth) + keras.ops.sum(probability) + SMOOTH)
    return cross_entropy + 1 - dice


def focal_tversky(truth, probability):
    """``(1 - Tversky index) ** gamma`` of the batch (Abraham & Khan 2018, arXiv 1810.07842)."""
    truth = keras.ops.cast(truth, probability.dtype)
    hit = keras.ops.sum(truth * probability)
    missed = keras.ops.sum(truth * (1 - probability))
    invented = keras.ops.sum((1 - truth) * probability)
    index = (hit + SMOOTH) / (hit + TVERSKY_ALPHA * missed + (1 - TVERSKY_ALPHA) * invented + SMOOTH)
    return keras.ops.power(keras.ops.maximum(1 - index, keras.config.epsilon()), TVERSKY_GAMMA)


LOSSES = {"bce-dice": bce_dice, "focal-tversky": focal_tversky}


class PooledDice(keras.metrics.Metric):
    """Dice of all pixels seen in an epoch at one threshold: a curve to watch, not a score to quote."""

    def __init__(self, threshold: float = 0.5, name: str = "dice"):
        super().__init__(name=name)
        self.threshold = threshold
        self.hit, self.area = (self.add_weight(name=part, initializer="zeros") for part in ("hit", "area"))

    def update_state(self, y_true, y_pred, sample_weight=None):
        truth = keras.ops.cast(y_true, "float32")
        predicted = keras.ops.cast(y_pred > self.threshold, "float32")
        self.hit.assign_add(keras.ops.sum(truth * predicted))
        self.area.assign_add(keras.ops.sum(truth) + keras.ops.sum(predicted))

    def result(self):
        return 2 * self.hit / keras.ops.maximum(self.area, 1.0)
