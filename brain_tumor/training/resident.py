"""Epochs without the host, where JAX has an accelerator: slices stay on the device, and an epoch is one call.

The counterpart of :mod:`brain_tumor.training.loop`, for the same batches by number: what chance decides is drawn by
:meth:`brain_tumor.training.batches.TrainingBatches.draw`; only the arithmetic is the device's
(:mod:`brain_tumor.models.on_jax`). This module needs JAX; :mod:`brain_tumor.training.stages` imports it where it is used.

The host makes the batches, as ever, of volumes, of slices that do not fit into the device's memory, under an augmentation of a
user's own or one that is more than matrices and curves, for callbacks that are called at every batch, and where Keras distributes
a model over devices. On a processor it is faster too: there XLA computes the convolutions of a loop at a third of their speed.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

import keras
import numpy as np

from brain_tumor.models import on_jax
from brain_tumor.training import brightness, loop
from brain_tumor.training.averages import Averages
from brain_tumor.training.batches import Draw, SliceArrays, TrainingBatches, ValidationBatches

AT_EVERY_BATCH = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")


def usable(example: TrainingBatches, validation: SliceArrays | None, callbacks: Sequence[keras.callbacks.Callback]) -> bool:
    """Whether epochs like ``example`` can be run without the host."""
    parts = [example.arrays, *([] if validation is None else [validation])]
    return (
        len(example.arrays.images.shape) == 4
        and example.own is None
        and example.augmentation.affine
        and not any(_acts_at_every_batch(callback) for callback in callbacks)
        and keras.distribution.distribution() is None
        and on_jax.fits(sum(_size(arrays) for arrays in parts))
    )


def _acts_at_every_batch(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback has a method for every batch, of its class or, as a ``LambdaCallback`` does, of its own."""
    methods = ((getattr(callback, name), getattr(keras.callbacks.Callback, name)) for name in AT_EVERY_BATCH)
    return any(getattr(method, "__func__", None) is not idle for method, idle in methods)


def _size(arrays: SliceArrays) -> int:
    """How many bytes the slices of a part take, with what is learnt from them."""
    return len(np.unique(arrays.rows)) * int(np.prod(arrays.images.shape[1:]) + np.prod(arrays.targets.shape[1:]))


class Resident:
    """A run's slices on the device, with the two functions of :mod:`brain_tumor.training.loop` for networks that train on them.

    Args:
        example: any epoch's batches; all are of the same slices.
        validation: the validation part.
    """

    def __init__(self, example: TrainingBatches, validation: SliceArrays | None = None):
        self._example, self._held_out = example, validation
        self._optimiser: keras.Optimizer | None = None

    @cached_property
    def _training(self) -> on_jax.Slices:
        return put(self._example.arrays)

    @cached_property
    def _validation(self) -> on_jax.Slices | None:
        return None if self._held_out is None else put(self._held_out)

    def steps(
        self,
        model: keras.Model,
        batches: TrainingBatches,
        callbacks: keras.callbacks.CallbackList,
        averages: Averages | None = None,
    ) -> Iterator[dict]:
        """Train on all batches of an epoch, then yield what was measured in each step; of ``callbacks`` none acts at a batch."""
        self._compile(model)
        yield from self._train(changes(batches), averages)

    def evaluate(self, model: keras.Model, batches: ValidationBatches) -> dict[str, float]:
        """As :func:`brain_tumor.training.loop.evaluate`, of the whole validation part."""
        self._compile(model)
        size = batches.batch_size
        places = _places(batches.arrays, batches.arrays.rows)
        whole = len(places) // size * size
        epochs = [part for part in (places[:whole].reshape(-1, size), places[None, whole:]) if part.size]
        logs = [row for epoch in epochs for row in self._measure(epoch)]
        return loop.means(logs, [epoch.shape[1] for epoch in epochs for _ in epoch])

    def _compile(self, model: keras.Model) -> None:
        """Once a stage: Keras makes a network's step anew with its optimiser."""
        if self._optimiser is model.optimizer:
            return
        self._optimiser, size = model.optimizer, self._example.batch_size
        self._train = on_jax.training(model, self._training, size)
        if self._validation is not None:
            self._measure = on_jax.evaluation(model, self._validation, size)


def changes(batches: TrainingBatches) -> on_jax.Changes:
    """What becomes of the slices in each batch of an epoch, with an axis of batches in front."""
    arrays, channels = batches.arrays, batches.arrays.images.shape[-1]
    draws = [batches.draw(index) for index in range(len(batches))]
    places = _places(arrays, np.stack([draw.rows for draw in draws]))
    return on_jax.Changes(places, *map(np.stack, zip(*(_changes(draw, channels) for draw in draws), strict=True)))


def _changes(draw: Draw, channels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``inverses``, ``sources`` and ``curves`` of one batch; channels beyond the sequences stay as they are."""
    linear = np.linalg.inv(draw.matrices[:, :, :2].astype(float))
    inverses = np.concatenate([linear, -linear @ draw.matrices[:, :, 2:]], axis=2).astype(np.float32)
    count, sequences = draw.intensity.copied.shape
    sources = np.tile(np.arange(channels, dtype=np.int32), (count, 1))
    curves = np.tile(np.arange(256, dtype=np.uint8), (count, channels, 1))
    sources[:, :sequences] = brightness.sources(draw.intensity)
    curves[:, :sequences] = np.take_along_axis(brightness.curves(draw.intensity), sources[:, :sequences, None], axis=1)
    return inverses, sources, curves


def _places(arrays: SliceArrays, rows: np.ndarray) -> np.ndarray:
    """Where the slices of ``rows`` lie among those that :func:`put` put on the device."""
    return np.searchsorted(np.unique(arrays.rows), rows).astype(np.int32)


def put(arrays: SliceArrays) -> on_jax.Slices:
    """The slices of a part on the device, each once; a view that assembles channels does so here."""
    return on_jax.put(on_jax.Slices(*map(np.asarray, arrays.take(np.unique(arrays.rows)))))
