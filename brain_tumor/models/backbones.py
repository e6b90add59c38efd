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

import keras

BACKBONES = ("resnet18", "resnet34", "resnet50")


def resnet(backbone: str, size: int, channels: int = 3) -> keras.Model:
    """The convolutions of a ResNet (pre-activation; it begins with a BatchNorm of its input), random weights.

    Returns:
        ``(B, size, size, channels)`` -> features ``(B, size / 32, size / 32, F)``; layers are named as in the U-Net's encoder.
    """
    segmentation_models()  # makes Keras 3 ready for its dependency too
    classification_models = importlib.import_module("classification_models.keras")
    constructor, _ = classification_models.Classifiers.get(backbone)
    return constructor(input_shape=(size, size, channels), include_top=False, weights=None)


def with_batchnorm_momentum(network: keras.Model, momentum: float) -> keras.Model:
    """``network`` itself, every BatchNorm of it set to ``momentum``."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum
    return network


def segmentation_models():
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
