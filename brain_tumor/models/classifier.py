"""Slice classifiers: a ResNet, its features averaged, and the head of source 002; and the plain network it is compared with."""

import keras

from brain_tumor.errors import ModelError
from brain_tumor.models.architectures import BACKBONES, PLAIN_STRIDE, RESNET_STRIDE, check_size
from brain_tumor.models.backbones import resnet, with_batchnorm_momentum

HEAD_WIDTHS = (256, 64)  # row 002.20 names the layers, not their widths
DROPOUT = 0.3  # nor the share dropped
SIZE = 224  # row 002.21
PLAIN_FILTERS = (16, 32)  # row 002.06 says two convolutions and two dense layers; their widths are ours
PLAIN_WIDTHS = (64, 32)


def classifier(
    backbone: str,
    size: int = SIZE,
    channels: int = 3,
    classes: int = 1,
    dropout: float = DROPOUT,
    batchnorm_momentum: float = 0.99,
    input_batchnorm: bool = True,
) -> keras.Model:
    """ResNet (He 2016, arXiv 1603.05027), global average pooling, then Linear-ReLU-Dropout-Linear-Dropout-Linear (002.20).

    Args:
        backbone: ``resnet18``, ``resnet34`` or ``resnet50``; random weights.
        size: input height and width in pixels, a multiple of 32; 224 is that of source 002 and of ImageNet's weights.
        channels: input channels.
        classes: 1 for the logit of tumour; from 2 on, one logit a class.
        dropout: share of the head's activations dropped in training.
        batchnorm_momentum: 0.99 needs about 300 steps before validation means anything; short runs take 0.9.
        input_batchnorm: False leaves out the BatchNorm of the input (:func:`brain_tumor.models.backbones.resnet`).

    Returns:
        ``(B, size, size, channels)`` float32 -> logit of tumour ``(B, 1)``, or of each class ``(B, classes)``, float32; the
        last layer is float32 whatever the precision. :func:`brain_tumor.models.decision.probabilities` makes probabilities.

    Raises:
        ModelError: unknown backbone, a size that it cannot take, or no class.
    """
    if backbone not in BACKBONES:
        raise ModelError(f"unknown backbone {backbone!r}, expected one of {', '.join(BACKBONES)}")
    _check(size, RESNET_STRIDE, classes)
    network = with_batchnorm_momentum(resnet(backbone, size, channels, input_batchnorm), batchnorm_momentum)
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(network.output)
    x = keras.layers.Dense(HEAD_WIDTHS[0], name="head_linear1")(x)
    x = keras.layers.Activation("relu", name="head_relu")(x)
    x = keras.layers.Dropout(dropout, name="head_dropout1")(x)
    x = keras.layers.Dense(HEAD_WIDTHS[1], name="head_linear2")(x)
    x = keras.layers.Dropout(dropout, name="head_dropout2")(x)
    return keras.Model(network.input, _head(x, classes), name=f"classifier_{backbone}")


def plain(size: int = SIZE, channels: int = 3, classes: int = 1, dropout: float = DROPOUT) -> keras.Model:
    """The plain network of row 002.06: two convolutions, each with ReLU and max pooling, two dense layers, and the output.

    It has no BatchNorm, so it takes no momentum for one, and sees its input as the normalisation left it.

    Args:
        size: input height and width in pixels, a multiple of 4.
        channels: input channels.
        classes: as in :func:`classifier`.
        dropout: share of the dense layers' activations dropped in training.

    Returns:
        ``(B, size, size, channels)`` float32 -> as :func:`classifier`.

    Raises:
        ModelError: a size that it cannot take, or no class.
    """
    _check(size, PLAIN_STRIDE, classes)
    images = keras.Input((size, size, channels), name="image")
    x = images
    for number, filters in enumerate(PLAIN_FILTERS, 1):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"plain_conv{number}")(x)
        x = keras.layers.MaxPooling2D(name=f"plain_pool{number}")(x)
    x = keras.layers.Flatten(name="head_flatten")(x)
    for number, width in enumerate(PLAIN_WIDTHS, 1):
        x = keras.layers.Dense(width, activation="relu", name=f"head_linear{number}")(x)
        x = keras.layers.Dropout(dropout, name=f"head_dropout{number}")(x)
    return keras.Model(images, _head(x, classes), name="classifier_plain")


def _check(size: int, stride: int, classes: int) -> None:
    check_size(size, stride)
    if classes < 1:
        raise ModelError(f"{classes} classes, expected 1 (is there tumour?) or one for each class, 2 or more")


def _head(features: keras.KerasTensor, classes: int) -> keras.KerasTensor:
    return keras.layers.Dense(classes, dtype="float32", name="head_linear3")(features)
