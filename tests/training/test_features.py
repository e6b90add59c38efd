"""A head on cached features is the head on images: same slices, same mirroring, same dropout, same weights."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from brain_tumor.errors import ModelError
from brain_tumor.training import features, losses
from brain_tumor.training.augment import NONE, Augmentation
from brain_tumor.training.batches import SliceArrays, TrainingBatches
from brain_tumor.training.runs import RunFolder
from brain_tumor.training.stages import Stage, train

pytestmark = pytest.mark.backend

SIZE, BATCH = 16, 4
FLIPS = Augmentation(flip=True, rotation_degrees=0.0, zoom=0.0, gamma=0.0, sequence_dropout=0.0)
PLAN = (Stage("head", 2, 3e-2, part="head"), Stage("all", 1, 1e-3))
TOLERANCE = 1e-5  # float32: a convolution compiled alone and within a training step rounds otherwise (JAX 8e-6)


def small_classifier() -> keras.Model:
    """Named as ours: a convolution for an encoder, pooling, and a head with dropout."""
    x = images = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(6, 3, strides=2, name="conv0")(x)
    x = keras.layers.BatchNormalization(momentum=0.9, name="bn0")(x)
    x = keras.layers.Activation("relu", name="relu0")(x)
    x = keras.layers.GlobalAveragePooling2D(name=features.POOL)(x)
    x = keras.layers.Dense(8, activation="relu", name="head_linear1")(x)
    x = keras.layers.Dropout(0.3, name="head_dropout1")(x)
    return keras.Model(images, keras.layers.Dense(1, name="head_linear2")(x))


def lopsided(n=18) -> SliceArrays:
    """Slices that are not their own mirror image, every third of them tumour."""
    images = np.random.default_rng(0).integers(0, 256, (n, SIZE, SIZE, 3), np.uint8)
    images[:, :, SIZE // 2 :] //= 4
    labels = (np.arange(n) % 3 == 0).astype(np.uint8)
    images[labels == 1, 4:8] = 250
    scalings = np.repeat(np.array([[0, 255, 0, 1 / 255]], np.float32).T[None].repeat(3, axis=2), n, axis=0)
    return SliceArrays(images, labels, scalings, np.arange(n - 4), reference=0)


def train_into(folder, on_features, augmentation=FLIPS):
    """The model, its history, and its weights as each epoch began."""
    keras.utils.set_random_seed(0)
    model, arrays, weights = small_classifier(), lopsided(), {}
    validation = replace(arrays, rows=np.arange(14, 18))

    def epoch_batches(epoch):
        weights.setdefault(epoch, [layer.get_weights() for layer in model.layers])
        return TrainingBatches(arrays, BATCH, augmentation, 0, epoch, balance="sampling")

    loss = losses.make("bce", (0.8, 1.2))
    history = train(model, PLAN, epoch_batches, loss, RunFolder(folder), validation, (losses.accuracy,), on_features)
    return model, history, weights


def figures(history):
    return np.array([[row[key] for key in sorted(row.keys() - {"stage", "seconds"})] for row in history])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def on_images(folder):
    return train_into(folder / "images", on_features=False)


@pytest.fixture(scope="module")
def on_features(folder):
    return train_into(folder / "features", on_features=True)


def test_a_frozen_stage_on_features_is_that_stage_on_images(on_images, on_features):
    """And so is the stage on images that follows, from the same dropout on."""
    for weight, twin in zip(on_features[0].get_weights(), on_images[0].get_weights(), strict=True):
        np.testing.assert_allclose(weight, twin, atol=TOLERANCE)
    assert [list(row) for row in on_features[1]] == [list(row) for row in on_images[1]]
    np.testing.assert_allclose(figures(on_features[1]), figures(on_images[1]), atol=TOLERANCE)


def test_a_frozen_encoder_keeps_its_weights_and_statistics_and_the_head_moves(on_images, on_features):
    for model, _, weights in (on_images, on_features):
        for layer, before, after in zip(model.layers, weights[0], weights[2], strict=True):
            for start, weight in zip(before, after, strict=True):
                assert np.array_equal(weight, start) == (not layer.name.startswith("head_")), layer.name


@pytest.mark.parametrize(("how", "epoch"), [(True, 2), (False, 3)], ids=["features", "images"])
def test_an_interrupted_run_ends_with_the_same_bits(on_features, on_images, folder, interrupted, how, epoch):
    """Within the frozen stage and after it; dropout included, whose state Keras's weights files leave out."""
    straight = on_features if how else on_images
    stopped = folder / f"stopped-{epoch}"
    with interrupted(epoch):
        train_into(stopped, on_features=how)
    assert RunFolder(stopped).read_checkpoint()[0] == epoch - 1
    model, history, _ = train_into(stopped, on_features=how)
    for weight, twin in zip(model.get_weights(), straight[0].get_weights(), strict=True):
        np.testing.assert_array_equal(weight, twin)
    np.testing.assert_array_equal(figures(history), figures(straight[1]))


def test_the_run_says_what_trained_and_on_what(on_features, on_images, folder):
    head = 6 * 8 + 8 + 8 + 1
    whole = head + 27 * 6 + 6 + 2 * 6
    for name, short in (("features", True), ("images", False)):
        assert RunFolder(folder / name).description["stages"] == [
            {"name": "head", "part": "head", "trainable": head, "features": short},
            {"name": "all", "part": "all", "trainable": whole, "features": False},
        ]


def test_features_are_those_of_the_slice_asked_for_mirrored_where_asked():
    keras.utils.set_random_seed(0)
    model, arrays = small_classifier(), lopsided()
    model.compile("sgd", "mse", jit_compile=keras.backend.backend() == "jax")
    encoder = keras.Model(model.input, model.get_layer(features.POOL).output)
    part = replace(arrays, rows=np.array([9, 2, 5, 2, 11]))
    found = features.compute(model, part, 3, flip=True)
    rows, mirrored = np.array([2, 11, 2]), np.array([True, False, False])
    images = arrays.images[rows]
    images[0] = images[0, :, ::-1]
    expected = np.asarray(encoder.predict_on_batch(images.astype(np.float32) / 255))
    np.testing.assert_allclose(found.take(rows, mirrored), expected, atol=TOLERANCE)
    assert np.abs(found.plain - found.mirrored).max(axis=1).min() > 1e-3, "the test would not tell a mirrored slice"


@pytest.mark.parametrize(
    ("augmentation", "complaint"),
    [
        (Augmentation(), "augmentation with rotation_degrees 15, zoom 0.1, gamma 0.2, sequence_dropout 0.15: cached features"),
        (replace(NONE, gamma=0.1), "augmentation with gamma 0.1: cached features can only be mirrored"),
    ],
)
def test_an_augmentation_that_features_cannot_follow_is_refused(tmp_path, augmentation, complaint):
    with pytest.raises(ModelError, match=complaint):
        train_into(tmp_path, on_features=True, augmentation=augmentation)
    assert not RunFolder(tmp_path).exists
    assert not features.represents(augmentation)


def test_features_can_follow_no_augmentation_and_flips_and_serve_heads_after_pooling_alone():
    assert features.represents(NONE) and features.represents(FLIPS)
    model = small_classifier()
    assert features.suffice(model, "head")
    assert not features.suffice(model, "all")
    assert not features.suffice(keras.Model(model.input, model.get_layer("relu0").output), "head")
