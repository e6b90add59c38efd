"""The slice classifier: shapes, the head that the source names, float32 at its end, and what freezing reaches."""

import keras
import numpy as np
import pytest

from brain_tumor.errors import ModelError
from brain_tumor.models import freezing, saved
from brain_tumor.models.classifier import classifier

BATCH = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)


@pytest.fixture(scope="module")
def resnet18():
    return classifier("resnet18", 32)


def test_a_slice_gets_one_probability(resnet18):
    assert resnet18.output_shape == (None, 1)
    probability = np.asarray(resnet18(BATCH))
    assert probability.dtype == np.float32
    assert ((probability > 0) & (probability < 1)).all()


def test_the_head_is_that_of_source_002(resnet18):
    kinds = [type(layer).__name__ for layer in resnet18.layers if layer.name.startswith("head_")]
    dense = ["Dense", "Activation", "Dropout", "Dense", "Dropout", "Dense"]
    assert kinds == ["GlobalAveragePooling2D", *dense, "Activation"]


def test_the_end_stays_float32_in_bfloat16():
    model = saved.build(saved.describe("resnet18", size=32), "mixed_bfloat16")
    assert model.get_layer("stage1_unit1_conv1").compute_dtype == "bfloat16"
    assert np.asarray(model(BATCH)).dtype == np.float32
    assert model.get_layer("head_linear3").compute_dtype == "float32"


def test_freezing_all_but_the_head_leaves_the_dense_layers(resnet18):
    everything = freezing.train_only(resnet18, "all")
    head = freezing.train_only(resnet18, "head")
    assert head == (512 * 256 + 256) + (256 * 64 + 64) + (64 + 1)
    assert everything == sum(np.prod(weight.shape) for weight in resnet18.weights if "moving" not in weight.path)
    batchnorms = [layer for layer in resnet18.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert batchnorms
    assert not any(layer.trainable for layer in batchnorms)


def test_layers_are_named_as_in_the_encoder_of_the_unet(resnet18):
    encoder = {layer.name for layer in saved.build(saved.describe("unet-resnet18", size=32)).layers if layer.weights}
    body = {layer.name for layer in resnet18.layers if layer.weights and not layer.name.startswith("head_")}
    assert body <= encoder
    assert len(body) == 40


@pytest.mark.parametrize(
    ("backbone", "size", "words"), [("vgg16", 32, "vgg16"), ("resnet18", 40, "40"), ("resnet18", 1, "1 is not")]
)
def test_what_cannot_be_built_is_refused(backbone, size, words):
    with pytest.raises(ModelError, match=words):
        classifier(backbone, size)
