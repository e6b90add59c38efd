"""Segmentation networks: the U-Net of `segmentation-models` on a ResNet encoder, and a ResUNet of our own blocks.

Both take ``(B, size, size, channels)`` float32 and give ``(B, size, size, 1)`` float32 logits; the last convolution stays
float32 whatever the precision (bfloat16 logits tie). :func:`brain_tumor.models.decision.probabilities` makes probabilities.
"""

import keras

from brain_tumor.errors import ModelError
from brain_tumor.models.architectures import BACKBONES, HEAD, RESNET_STRIDE, RESUNET_FILTERS, SLICE_HEAD, check_size, stride
from brain_tumor.models.backbones import segmentation_models, with_batchnorm_momentum


def unet(backbone: str, size: int, channels: int = 3, batchnorm_momentum: float = 0.99) -> keras.Model:
    """U-Net (Ronneberger 2015, arXiv 1505.04597) whose encoder is a ResNet (He 2016), random weights.

    Args:
        backbone: ``resnet18``, ``resnet34`` or ``resnet50``.
        size: input height and width in pixels, a multiple of 32.
        channels: input channels.
        batchnorm_momentum: 0.99 needs about 300 steps before validation means anything; short runs take 0.9.
    """
    if backbone not in BACKBONES:
        raise ModelError(f"unknown backbone {backbone!r}, expected one of {', '.join(BACKBONES)}")
    check_size(size, RESNET_STRIDE)
    network = segmentation_models().Unet(
        backbone, input_shape=(size, size, channels), encoder_weights=None, classes=1, activation="linear"
    )
    features = with_batchnorm_momentum(network, batchnorm_momentum).get_layer(HEAD).input
    return keras.Model(network.input, _head(features), name=f"unet_{backbone}")


def resunet(
    size: int,
    channels: int = 3,
    filters: tuple[int, ...] = RESUNET_FILTERS,
    batchnorm_momentum: float = 0.99,
    halved: bool = False,
    deep_supervision: int = 0,
    slice_head: bool = False,
) -> keras.Model:
    """ResUNet: residual blocks down and up with skips, after Zhang 2018 (arXiv 1711.10684) and the popular Keras pattern.

    Args:
        size: input height and width, divisible by 2 for every level below the first.
        channels: input channels.
        filters: width of each level; the last is the bottleneck.
        batchnorm_momentum: as in :func:`unet`.
        halved: work at half the height and width between a first convolution and the last one, which saves most of the time that
            a U-Net spends on its largest planes; logits are of the full size all the same.
        deep_supervision: how many levels below the first give logits too while it trains, each a channel more of the output, so
            that the loss reaches them directly (Lee 2015, arXiv 1409.5185); :func:`for_use` takes them away.
        slice_head: also answer whether the slice holds tumour, from the mean of its deepest features: a logit that is the last
            channel of the output, the same in every pixel.
    """
    check_size(size, (1 + halved) * stride("resunet", filters))
    if deep_supervision and not 0 < deep_supervision < len(filters) - 1:
        raise ModelError(f"deep_supervision {deep_supervision}, expected 0 to {len(filters) - 2}, one for each level in between")
    x = images = keras.Input((size, size, channels), name="image")
    skips: list[keras.KerasTensor] = []
    coarser: list[keras.KerasTensor] = []
    if halved:
        x = keras.layers.Conv2D(filters[0], 4, strides=2, padding="same", use_bias=False, name="stem_conv")(x)
    for level, width in enumerate(filters[:-1], 1):
        x = _residual_block(x, width, batchnorm_momentum, f"encoder{level}")
        skips.append(x)
        x = keras.layers.MaxPooling2D(name=f"encoder{level}_pool")(x)
    x = deepest = _residual_block(x, filters[-1], batchnorm_momentum, "bottleneck")
    for level, (width, skip) in reversed(list(enumerate(zip(filters[:-1], skips, strict=True), 1))):
        x = keras.layers.UpSampling2D(name=f"decoder{level}_up")(x)
        x = keras.layers.Concatenate(name=f"decoder{level}_skip")([x, skip])
        x = _residual_block(x, width, batchnorm_momentum, f"decoder{level}")
        if 1 < level <= 1 + deep_supervision:
            coarser.insert(0, _coarse_head(x, 2 ** (level - 1 + halved), f"deep{level}"))
    if halved:
        x = keras.layers.UpSampling2D(name="final_up")(x)
    logits = _head(x)
    more = [*coarser, *([_slice_head(deepest, size)] if slice_head else [])]
    if more:
        logits = keras.layers.Concatenate(dtype="float32", name="logits")([logits, *more])
    return keras.Model(images, logits, name="resunet")


def for_use(network: keras.Model) -> keras.Model:
    """The network without what only training needs: its own logits alone, from the very same layers."""
    logits = network.get_layer(HEAD).output
    if has_slice_head(network):
        of_slice = network.get_layer(f"{SLICE_HEAD}_plane").output
        logits = keras.layers.Concatenate(dtype="float32", name="logits")([logits, of_slice])
    return network if network.output_shape == logits.shape else keras.Model(network.input, logits, name=network.name)


def has_slice_head(network: keras.Model) -> bool:
    """Whether the last channel of its logits is of the whole slice."""
    return any(layer.name == SLICE_HEAD for layer in network.layers)


def _residual_block(x: keras.KerasTensor, filters: int, momentum: float, name: str) -> keras.KerasTensor:
    """Two 3x3 convolutions with BatchNorm, added to a 1x1 projection of the input."""
    shortcut = keras.layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_shortcut")(x)
    shortcut = keras.layers.BatchNormalization(momentum=momentum, name=f"{name}_shortcut_bn")(shortcut)
    for number in (1, 2):
        x = keras.layers.Conv2D(
            filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv{number}"
        )(x)
        x = keras.layers.BatchNormalization(momentum=momentum, name=f"{name}_bn{number}")(x)
        if number == 1:
            x = keras.layers.Activation("relu", name=f"{name}_relu1")(x)
    x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return keras.layers.Activation("relu", name=f"{name}_relu2")(x)


def _head(features: keras.KerasTensor) -> keras.KerasTensor:
    return keras.layers.Conv2D(1, 3, padding="same", dtype="float32", name=HEAD)(features)


def _slice_head(features: keras.KerasTensor, size: int) -> keras.KerasTensor:
    """A logit of the whole slice, in every pixel."""
    x = keras.layers.GlobalAveragePooling2D(name=f"{SLICE_HEAD}_pool")(features)
    x = keras.layers.Dense(1, dtype="float32", name=SLICE_HEAD)(x)
    x = keras.layers.Reshape((1, 1, 1), dtype="float32", name=f"{SLICE_HEAD}_shape")(x)
    return keras.layers.UpSampling2D(size, dtype="float32", name=f"{SLICE_HEAD}_plane")(x)


def _coarse_head(features: keras.KerasTensor, factor: int, name: str) -> keras.KerasTensor:
    """Logits of a coarser level, each repeated for the pixels that it stands for."""
    logits = keras.layers.Conv2D(1, 1, dtype="float32", name=f"{name}_conv")(features)
    return keras.layers.UpSampling2D(factor, dtype="float32", name=f"{name}_up")(logits)
