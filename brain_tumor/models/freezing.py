"""Which layers train, BatchNorm included: set by part, counted, and checked.

In Keras a BatchNorm with ``trainable=False`` also stops updating its statistics, which is what freezing must mean; and a
change of ``trainable`` needs a recompile (TensorFlow trains on silently without one).
"""

import math

import keras

from brain_tumor.errors import ModelError

PARTS = ("all", "decoder", "head")
DECODER_PREFIXES = ("decoder", "final_conv", "probability")
HEAD_PREFIXES = ("final_conv", "probability", "head_")


def train_only(model: keras.Model, part: str) -> int:
    """Make ``part`` of a network train and freeze the rest; recompile afterwards.

    Args:
        model: a network of :mod:`brain_tumor.models.unet` or :mod:`brain_tumor.models.classifier`.
        part: ``all``, ``decoder`` (encoder frozen, its BatchNorm statistics too) or ``head`` (a U-Net's last convolution, a
            classifier's dense layers).

    Returns:
        The number of trainable weights (scalars).

    Raises:
        ModelError: unknown part, or no layer of the network belongs to it.
    """
    if part not in PARTS:
        raise ModelError(f"unknown part {part!r} of the network, expected one of {', '.join(PARTS)}")
    prefixes = {"all": ("",), "decoder": DECODER_PREFIXES, "head": HEAD_PREFIXES}[part]
    for layer in model.layers:
        layer.trainable = layer.name.startswith(prefixes)
    count = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    if not count:
        raise ModelError(f"network {model.name!r} has no layer of the part {part!r}")
    return count
