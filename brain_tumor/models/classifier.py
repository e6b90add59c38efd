"""Slice classifiers: a ResNet, its features averaged, and the head of source 002."""

import keras

from brain_tumor.errors import ModelError
from brain_tumor.models.backbones import BACKBONES, resnet, with_batchnorm_momentum

STRIDE = 32  # a ResNet halves its input five times
HEAD_WIDTHS = (256, 64)  # row 002.20 names the layers, not their widths
DROPOUT = 0.3  # nor the share dropped


def classifier(
    backbone: str, size: int, channels: int = 3, dropout: float = DROPOUT, batchnorm_momentum: float = 0.99
) -> keras.Model:
    """ResNet (He 2016, arXiv 1603.05027), global average pooling, then Linear-ReLU-Dropout-Linear-Dropout-Linear (002.20).

    Args:
        backbone: ``resnet18``, ``resnet34`` or ``resnet50``; random weights.
        size: input height and width in pixels, a multiple of 32.
        channels: input channels.
        dropout: share of the head's activations dropped in training.
        batchnorm_momentum: 0.99 needs about 300 steps before validation means anything; short runs take 0.9.

    Returns:
        ``(B, size, size, channels)`` float32 -> probability of tumour ``(B, 1)`` float32; the last layer is float32 whatever
        the precision.
    """
    if backbone not in BACKBONES:
        raise ModelError(f"unknown backbone {backbone!r}, expected one of {', '.join(BACKBONES)}")
    if size < STRIDE or size % STRIDE:
        raise ModelError(f"size {size} is not a multiple of {STRIDE}, which this network needs")
    network = with_batchnorm_momentum(resnet(backbone, size, channels), batchnorm_momentum)
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(network.output)
    x = keras.layers.Dense(HEAD_WIDTHS[0], name="head_linear1")(x)
    x = keras.layers.Activation("relu", name="head_relu")(x)
    x = keras.layers.Dropout(dropout, name="head_dropout1")(x)
    x = keras.layers.Dense(HEAD_WIDTHS[1], name="head_linear2")(x)
    x = keras.layers.Dropout(dropout, name="head_dropout2")(x)
    logits = keras.layers.Dense(1, dtype="float32", name="head_linear3")(x)
    probability = keras.layers.Activation("sigmoid", dtype="float32", name="head_probability")(logits)
    return keras.Model(network.input, probability, name=f"classifier_{backbone}")
