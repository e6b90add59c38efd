"""What every BatchNorm that we compute ourselves has in common with Keras's own: which ones we take, and how statistics move."""

from typing import Any

import keras


def is_plain(layer: keras.layers.Layer) -> bool:
    """Whether a built layer is Keras's own BatchNorm with channels last and none of its extras."""
    plain = type(layer) is keras.layers.BatchNormalization and not (layer.renorm or layer.synchronized)
    return plain and layer.axis in (-1, layer.input_spec.ndim - 1)


def move_statistics(layer: keras.layers.BatchNormalization, mean: Any, variance: Any) -> None:
    """Let the layer's statistics follow those of a batch, ``(C,)`` each, as Keras does."""
    for statistic, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        statistic.assign(statistic * layer.momentum + value * (1 - layer.momentum))
