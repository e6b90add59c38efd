"""Slices and networks small enough to train in a second."""

import keras
import numpy as np
import pytest

from brain_tumor.data import intensity
from brain_tumor.models import settings, unet
from brain_tumor.training import losses
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.batches import SliceArrays, TrainingBatches
from brain_tumor.training.runs import RunFolder
from brain_tumor.training.stages import Stage, train

SIZE, BATCH = 16, 4


def make_slices(n: int = 16) -> SliceArrays:
    """``n`` grey slices of 16 x 16 with one bright block each, which is the tumour."""
    generator = np.random.default_rng(0)
    images = generator.integers(40, 80, (n, SIZE, SIZE, 3), np.uint8)
    masks = np.zeros((n, SIZE, SIZE), np.uint8)
    for image, mask, (top, left) in zip(images, masks, generator.integers(0, SIZE - 6, (n, 2)), strict=True):
        mask[top : top + 6, left : left + 6] = 1
        image[mask == 1] += 100
    scalings = np.repeat(intensity.scaling(images, "unit")[None], n, axis=0)
    return SliceArrays(images, masks, scalings, np.arange(n), reference=0)


def three_convolutions() -> keras.Model:
    """Encoder, decoder and head of one convolution each, named as our networks name theirs: quick to compile."""
    x = images = keras.Input((SIZE, SIZE, 3))
    for part in ("encoder1", "decoder"):
        x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, name=f"{part}_conv")(x)
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"{part}_bn")(x)
        x = keras.layers.Activation("relu", name=f"{part}_relu")(x)
    head = keras.layers.Conv2D(1, 3, padding="same", dtype="float32", name="final_conv")
    return keras.Model(images, head(x))


def small_resunet() -> keras.Model:
    """A true network of ours, of two levels."""
    return unet.resunet(SIZE, filters=(4, 8), batchnorm_momentum=0.9)


def train_into(
    folder,
    stages=(Stage("all", 2),),
    seed=0,
    number_format="float32",
    validation=None,
    network=three_convolutions,
    on_epoch=None,
    **options,
):
    """Train a small network into ``folder``: the model and its history. ``on_epoch`` is called as epochs' batches are made;
    ``options`` are those of :func:`brain_tumor.training.stages.train`.
    """
    keras.utils.set_random_seed(seed)
    with settings.fixed(number_format):
        model = network()
    arrays = make_slices()

    def epoch_batches(epoch):
        if on_epoch:
            on_epoch(epoch)
        return TrainingBatches(arrays, BATCH, Augmentation(), seed, epoch)

    watched = (losses.dice_hits, losses.dice_area)
    run = RunFolder(folder)
    return model, train(model, stages, epoch_batches, losses.make("bce-dice"), run, validation, watched, **options)


@pytest.fixture(scope="session", name="make_slices")
def make_slices_anew():
    """Fresh slices for fixtures that several tests share; see :func:`make_slices`."""
    return make_slices


@pytest.fixture
def slices():
    """16 slices with their tumour."""
    return make_slices()


@pytest.fixture
def untrained():
    """What :func:`train_into` begins with, for seed 0."""
    keras.utils.set_random_seed(0)
    return three_convolutions()


@pytest.fixture(scope="session")
def train_small():
    """Training of a network of three convolutions; see :func:`train_into`."""
    return train_into


@pytest.fixture(scope="session")
def train_resunet():
    """The same with a small ResUNet."""

    def train_network(folder, **options):
        return train_into(folder, network=small_resunet, **options)

    return train_network
