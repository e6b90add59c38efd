"""ResNet-18/34/50 encoders, and the one place where the two Keras 3 names that `segmentation-models` misses are supplied.

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
