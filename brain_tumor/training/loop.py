"""The one step loop, under stages and pretraining: batches through a compiled network, one by one.

``Model.fit`` would wrap the batches in `tf.data`, whose tuning thread is slow to end: it held up the end of each epoch by a tenth
of its length. Keras callbacks work all the same: they are called where ``fit`` would call them.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import keras
import numpy as np

from brain_tumor.training.averages import Averages


class Batches(Protocol):
    """What a loop is fed: ``len(batches)`` batches, each ``(inputs, truth)``."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]: ...


class Runner(Protocol):
    """This module, or another way to run an epoch (:mod:`brain_tumor.training.resident`)."""

    def steps(
        self, model: keras.Model, batches: Any, callbacks: keras.callbacks.CallbackList, averages: Averages | None = None
    ) -> Iterator[dict[str, Any]]:
        """As :func:`steps`."""

    def evaluate(self, model: keras.Model, batches: Any) -> dict[str, float]:
        """As :func:`evaluate`."""


def prepare(
    model: keras.Model,
    trained: keras.Model,
    optimiser: keras.optimizers.Optimizer,
    loss: Callable,
    metrics: Sequence[Callable] = (),
) -> None:
    """Make ``trained``, which is ``model`` or computes with its layers, ready for :func:`steps`.

    Both own the optimiser: one steps with it, checkpoints are of the other.

    Args:
        metrics: what is watched beside the loss, each a number a slice.
    """
    for network in {model, trained}:
        make_ready(network, loss, metrics, optimiser)
    optimiser.build(trained.trainable_variables)


def make_ready(
    network: keras.Model, loss: Callable, metrics: Sequence[Callable], optimiser: keras.optimizers.Optimizer | None = None
) -> None:
    """Compile a network; without an optimiser, to be measured only."""
    # Keras would wrap the metrics in the first step; TensorFlow traces a step anew that has made variables.
    watched = [keras.metrics.MeanMetricWrapper(metric, metric.__name__) for metric in metrics]
    # On a processor XLA halves the speed of these networks, and compiles for a minute.
    network.compile(optimiser or "sgd", loss, metrics=watched, jit_compile=_accelerated())


def _accelerated() -> bool | str:
    """JAX always compiles; TensorFlow only off the processor."""
    if keras.backend.backend() == "jax":
        return "auto"
    return any("cpu" not in device.lower() for device in keras.distribution.list_devices())


def callback_list(callbacks: Sequence[keras.callbacks.Callback], model: keras.Model, epochs: int) -> keras.callbacks.CallbackList:
    """A user's callbacks around ``model``, as ``fit`` makes it; without any, a list that does nothing."""
    return keras.callbacks.CallbackList(list(callbacks), model=model, epochs=epochs, verbose=0)


def steps(
    model: keras.Model, batches: Batches, callbacks: keras.callbacks.CallbackList, averages: Averages | None = None
) -> Iterator[dict[str, Any]]:
    """Train on each batch in turn and yield what was measured; the caller may stop at any step."""
    for index in range(len(batches)):
        callbacks.on_train_batch_begin(index)
        logs = _numbers(model.train_on_batch(*batches[index], return_dict=True))
        callbacks.on_train_batch_end(index, logs)
        if averages:
            averages.update()
        yield logs


def short_run(model: keras.Model, epoch_batches: Callable[[int], Batches], count: int) -> Iterator[dict[str, Any]]:
    """Train for so many steps, of as many epochs as it takes, and yield what each measured; the caller may stop at any step."""
    none, left = callback_list((), model, 1), count
    none.on_train_begin()
    for epoch in itertools.count():
        for logs in itertools.islice(steps(model, epoch_batches(epoch), none), left):
            yield logs
            left -= 1
        if not left:
            return


def evaluate(model: keras.Model, batches: Batches) -> dict[str, float]:
    """What was measured over all batches, each weighed by its size; nothing is trained."""
    logs, sizes = [], []
    for index in range(len(batches)):
        inputs, truth = batches[index]
        logs.append(_numbers(model.test_on_batch(inputs, truth, return_dict=True)))
        sizes.append(len(inputs))
    return means(logs, sizes)


def _numbers(logs: dict[str, Any]) -> dict[str, Any]:
    """What was measured, read by Keras or not.

    Keras 3.15 reads each measure under a bare ``except``, and JAX computes a step where its measures are read: so Ctrl-C and what
    a device could not compute were lost. A single measure that is no number yet tells it.

    Raises:
        KeyboardInterrupt: nothing is wrong with the measure, so this is what was lost.
    """
    unread = [measure for measure in logs.values() if not isinstance(measure, float) and np.ndim(measure) == 0]
    for measure in unread:
        float(keras.ops.convert_to_numpy(measure))  # raises what a device could not compute
    if unread:
        raise KeyboardInterrupt
    return logs


def means(logs: Sequence[dict[str, Any]], sizes: Sequence[int] | None = None) -> dict[str, float]:
    """The mean of each measure over batches; hits and area become their pooled Dice."""
    averages = {name: float(np.average([row[name] for row in logs], weights=sizes)) for name in ("loss", *logs[0])}
    if "dice_area" in averages:
        averages["dice"] = 2 * averages.pop("dice_hits") / max(averages.pop("dice_area"), 1e-9)
    return averages
