"""The slice classifier: shapes, the head that the source names, float32 at its end, and what freezing reaches."""

import keras
import numpy as np
import pytest

from brain_tumor.errors import ModelError
from brain_tumor.models import freezing, saved
from brain_tumor.models.classifier import classifier, plain

BATCH = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)


@pytest.fixture(scope="module")
def resnet18():
    return classifier("resnet18", 32)


def test_a_slice_gets_one_logit(resnet18):
    assert resnet18.output_shape == (None, 1)
    assert isinstance(resnet18.layers[-1], keras.layers.Dense) and resnet18.layers[-1].activation is keras.activations.linear
    assert np.asarray(resnet18(BATCH)).dtype == np.float32


def test_the_head_is_that_of_source_002(resnet18):
    kinds = [type(layer).__name__ for layer in resnet18.layers if layer.name.startswith("head_")]
    assert kinds == ["GlobalAveragePooling2D", "Dense", "Activation", "Dropout", "Dense", "Dropout", "Dense"]


def test_what_older_runs_asked_for_is_the_network_it_was(resnet18):
    """Their ``model.json`` knows nothing of classes or of the input's BatchNorm."""
    old = {"constructor": "classifier", "arguments": {"backbone": "resnet18", "size": 32, "batchnorm_momentum": 0.9}}
    assert saved.describe("resnet18", size=32, batchnorm_momentum=0.9) == old
    again = saved.build(old)
    assert [variable.path for variable in again.weights] == [variable.path for variable in resnet18.weights]
    # ResNet18 without its top, gamma of bn_data missing, and the head.
    assert again.count_params() == 11_186_889 + (512 * 256 + 256) + (256 * 64 + 64) + (64 + 1)
    assert again.get_layer("bn_data").momentum == 0.9


def test_by_default_a_slice_is_224_pixels_wide_as_in_source_002():
    assert [classifier("resnet18").input_shape, plain().input_shape] == [(None, 224, 224, 3)] * 2


def test_several_classes_have_a_logit_each():
    model = classifier("resnet18", 32, classes=3)
    assert model.output_shape == (None, 3)
    assert np.asarray(model(BATCH)).dtype == np.float32


@pytest.mark.backend
@pytest.mark.parametrize("classes", [1, 4])
def test_the_plain_network_is_two_convolutions_and_two_dense_layers(classes):
    asked = saved.describe("plain", size=20, channels=2, classes=classes, batchnorm_momentum=0.9)
    assert asked == {"constructor": "plain", "arguments": {"size": 20, "channels": 2, "classes": classes}}
    model = saved.build(asked, "mixed_bfloat16")
    kinds = [type(layer).__name__ for layer in model.layers]
    convolved, dense = ["Conv2D", "MaxPooling2D"], ["Dense", "Dropout"]
    assert kinds == ["InputLayer", *convolved, *convolved, "Flatten", *dense, *dense, "Dense"]
    assert model.layers[-1].activation is keras.activations.linear
    logits = np.asarray(model(np.ones((2, 20, 20, 2), np.float32)))
    assert logits.shape == (2, classes) and logits.dtype == np.float32
    assert freezing.train_only(model, "head") == (5 * 5 * 32 * 64 + 64) + (64 * 32 + 32) + (32 * classes + classes)


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


@pytest.mark.parametrize(
    ("arguments", "words"), [({"size": 30}, "30"), ({"size": 0}, "0 is not"), ({"size": 8, "classes": 0}, "0 c")]
)
def test_what_the_plain_network_cannot_be_is_refused(arguments, words):
    with pytest.raises(ModelError, match=words):
        plain(**arguments)
