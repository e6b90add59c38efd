"""Which layers train, BatchNorm included: set by part, counted, and checked; and how deep each layer lies.

In Keras a BatchNorm with ``trainable=False`` also stops updating its statistics, which is what freezing must mean; and a
change of ``trainable`` needs a recompile (TensorFlow trains on silently without one).
"""

import math
import re

import keras

from brain_tumor.errors import ModelError
from brain_tumor.models.architectures import HEAD, LAYER_GROUPS

STAGES = ("stage1", "stage2", "stage3", "stage4")
DEPTHS = 6  # stem, four stages of the encoder, and what follows it
DECODER_PREFIXES = ("decoder", "deep", HEAD)
HEAD_PREFIXES = (HEAD, "head_")
STEM = ("bn_data", "conv0", "bn0", "relu0", "pooling0")
CLOSING = ("bn1", "relu1")  # a pre-activation ResNet ends with these, after its fourth stage


def depth(layer_name: str) -> int:
    """How far from the input a layer lies, for learning rates by depth and for unfreezing from the top.

    Returns:
        0 for the stem of a ResNet, 1 to 4 for its stages (the closing BatchNorm belongs to the fourth), 5 for everything else:
        decoder, head, every layer of the plain network. A ResUNet's ``encoder1`` is its stem, ``encoder2`` its first stage, and
        so on; its bottleneck, and any level below ``encoder5``, is the fourth.
    """
    if layer_name in STEM:
        return 0
    if layer_name in CLOSING or layer_name.startswith("bottleneck_"):
        return 4
    if match := re.match(r"stage([1-4])_", layer_name):
        return int(match[1])
    if match := re.match(r"encoder(\d+)_", layer_name):
        return min(int(match[1]) - 1, 4)
    return DEPTHS - 1


def train_only(model: keras.Model, part: str) -> int:
    """Make ``part`` of a network train and freeze the rest; recompile afterwards.

    Args:
        model: a network of :mod:`brain_tumor.models.unet` or :mod:`brain_tumor.models.classifier`.
        part: ``all``; ``decoder`` (encoder frozen, its BatchNorm statistics too); ``head`` (a U-Net's last convolution, a
            classifier's dense layers); ``stage1`` to ``stage4``: from that stage of the encoder up to the output.

    Returns:
        The number of trainable weights (scalars).

    Raises:
        ModelError: unknown part, or no layer of the network belongs to it.
    """
    if part not in LAYER_GROUPS:
        raise ModelError(f"unknown part {part!r} of the network, expected one of {', '.join(LAYER_GROUPS)}")
    if part in STAGES:
        lowest = STAGES.index(part) + 1
        trains = [depth(layer.name) >= lowest for layer in model.layers]
        # Without this, "stage2" of a network that has no stages would quietly mean all of it.
        exists = any(layer.weights and depth(layer.name) == lowest for layer in model.layers)
    else:
        prefixes = {"all": ("",), "decoder": DECODER_PREFIXES, "head": HEAD_PREFIXES}[part]
        trains = [layer.name.startswith(prefixes) for layer in model.layers]
        exists = any(layer.weights and inside for layer, inside in zip(model.layers, trains, strict=True))
    if not exists:
        raise ModelError(f"network {model.name!r} has no layer of the part {part!r}")
    for layer, inside in zip(model.layers, trains, strict=True):
        layer.trainable = inside
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)
