"""How fast this process trains: real steps of a network, made and fed as in a run, on slices of noise.

``brain-tumor bench`` asks for each number format and batch, again and again (:mod:`brain_tumor.experiments.bench`).
"""

import functools
import time
from collections.abc import Iterator

import numpy as np

from brain_tumor.models import backend, saved, settings
from brain_tumor.training import loop, losses
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.batches import SliceArrays, TrainingBatches
from brain_tumor.training.plan import Stage

ARCHITECTURE, SIZE = "unet-resnet18", 128  # px; what most runs here train
NETWORK = saved.describe(ARCHITECTURE, size=SIZE)
SLICES = 32  # timed at once, or a little fewer: whole steps
STEPS = 1000  # of a steady stream of batches; more than anybody waits for


@settings.fixed()
def rate(precision: str, batch_size: int) -> float:
    """Slices a second in the steps of a few batches; the first call for a precision and batch also builds and traces."""
    stream, steps = _stream(precision, batch_size), max(1, SLICES // batch_size)
    started = time.perf_counter()
    for _ in range(steps):
        next(stream)
    return steps * batch_size / (time.perf_counter() - started)


@functools.cache
def _stream(precision: str, batch_size: int) -> Iterator[float]:
    """Every ``next`` is one step and its loss, read as training reads it; two steps are behind it already."""
    stream = _steps(precision, batch_size)
    next(stream), next(stream)  # the first is traced, and the second finds memory that the first has left
    return stream


def _steps(precision: str, batch_size: int) -> Iterator[float]:
    model = saved.build(NETWORK, precision)
    trained = backend.faster(model)
    optimiser = Stage("all", 1, 1e-4).make_optimiser(STEPS)
    loop.prepare(model, trained, optimiser, losses.make("bce-dice"), (losses.dice_hits, losses.dice_area))
    batches = TrainingBatches(_noise(batch_size * STEPS), batch_size, Augmentation(), seed=0, epoch=0)
    callbacks = loop.callback_list((), trained, 1)
    callbacks.on_train_begin()
    for logs in loop.steps(trained, batches, callbacks):
        yield float(logs["loss"])


def _noise(rows: int) -> SliceArrays:
    """So many rows of a few slices, half of whose pixels are tumour."""
    generator = np.random.default_rng(0)
    size = NETWORK["arguments"]["size"]
    images = generator.integers(0, 256, (SLICES, size, size, 3), np.uint8)
    masks = generator.integers(0, 2, (SLICES, size, size), np.uint8)
    scalings = np.tile(np.array([[0], [255], [0], [1 / 255]], np.float32), (SLICES, 1, 3))
    return SliceArrays(images, masks, scalings, np.resize(np.arange(SLICES), rows), reference=0)
