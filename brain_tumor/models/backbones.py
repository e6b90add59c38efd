"""ResNet-18/34/50, and the one place where the two Keras 3 names that `segmentation-models` misses are supplied.

`segmentation-models` 1.0.1 and `image-classifiers` 1.0.0 were written for Keras 2; given ``keras.utils.generic_utils`` and
``keras.backend.int_shape`` they build on Keras 3 with either backend (github.com/qubvel/segmentation_models/issues/588).
"""

import contextlib
import importlib
import io
import os
import sys
import types
from types import ModuleType
from typing import Any

import keras

INPUT_BATCHNORM = "bn_data"


def resnet(backbone: str, size: int, channels: int = 3, input_batchnorm: bool = True) -> keras.Model:
    """The convolutions of a ResNet (pre-activation; it begins with a BatchNorm of its input), random weights.

    Args:
        backbone: a name of :data:`brain_tumor.models.architectures.BACKBONES`.
        size: input height and width in pixels, a multiple of 32.
        channels: input channels.
        input_batchnorm: False leaves out the first BatchNorm, which in training undoes most of what any normalisation of the
            input did; a layer of its name that passes its input on stands there instead. A common scale (``raw`` against
            ``unit``) is undone even then, by the BatchNorm after the first convolution, which has no bias.

    Returns:
        ``(B, size, size, channels)`` -> features ``(B, size / 32, size / 32, F)``; layers are named as in the U-Net's encoder.
    """
    segmentation_models()  # makes Keras 3 ready for its dependency too
    classification_models = importlib.import_module("classification_models.keras")
    constructor, _ = classification_models.Classifiers.get(backbone)
    network = constructor(input_shape=(size, size, channels), include_top=False, weights=None)
    if input_batchnorm:
        return network
    return keras.models.clone_model(network, clone_function=_without_input_batchnorm, call_function=_call)


def _without_input_batchnorm(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A new layer with the settings of ``layer``, number format included; of the first BatchNorm, an identity."""
    if layer.name == INPUT_BATCHNORM:
        return keras.layers.Identity(name=layer.name, dtype=layer.dtype_policy)
    return layer.__class__.from_config(layer.get_config())


def _call(layer: keras.layers.Layer, *inputs: Any, **how: Any) -> Any:
    """The recorded call of a layer; an identity knows nothing of the mask and mode that a BatchNorm was called with."""
    return layer(*inputs) if isinstance(layer, keras.layers.Identity) else layer(*inputs, **how)


def with_batchnorm_momentum(network: keras.Model, momentum: float) -> keras.Model:
    """``network`` itself, every BatchNorm of it set to ``momentum``."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum
    return network


def segmentation_models() -> ModuleType:
    """The module `segmentation_models`, made ready for Keras 3. It prints on import; that is kept from the reader."""
    if "segmentation_models" not in sys.modules:
        os.environ["SM_FRAMEWORK"] = "keras"
        if not hasattr(keras.utils, "generic_utils"):
            keras.utils.generic_utils = types.SimpleNamespace(get_custom_objects=keras.saving.get_custom_objects)
        if not hasattr(keras.backend, "int_shape"):
            keras.backend.int_shape = lambda tensor: tuple(tensor.shape)
        with contextlib.redirect_stdout(io.StringIO()):
            importlib.import_module("segmentation_models")
    return sys.modules["segmentation_models"]
