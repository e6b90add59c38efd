"""Training in stages (:mod:`brain_tumor.training.plan`), each with its own trainable part, learning rate and length.

An epoch's batches depend only on seed and epoch number; after each the run is checkpointed, so a
killed run continues exactly where its last whole epoch ended, on features as on images.
"""

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np

from brain_tumor.errors import RunError
from brain_tumor.models import backend, freezing, settings
from brain_tumor.progress import Bar
from brain_tumor.training import features, loop, mirrored, parallel
from brain_tumor.training.averages import Averages
from brain_tumor.training.batches import SliceArrays, TrainingBatches, ValidationBatches
from brain_tumor.training.plan import Stage
from brain_tumor.training.runs import RunFolder


class Sized(NamedTuple):
    """What a stage trains with: the same slices and weights, perhaps at another size.

    Attributes:
        model: the network.
        epoch_batches: epoch number (from 0, over all stages) -> its batches.
        validation: scored after every epoch; None where everything trains.
    """

    model: keras.Model
    epoch_batches: Callable[[int], TrainingBatches]
    validation: SliceArrays | None = None


@settings.fixed()
def train(
    model: keras.Model,
    stages: tuple[Stage, ...],
    epoch_batches: Callable[[int], TrainingBatches],
    loss: Callable,
    run: RunFolder,
    validation: SliceArrays | None = None,
    metrics: Sequence[Callable] = (),
    on_features: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    on_device: bool | None = None,
    at_size: Callable[[int], Sized] | None = None,
    average: float = 0.0,
    accumulate: int = 1,
) -> list[dict]:
    """Train ``model`` in place, resuming from the run's checkpoint if it has one.

    Args:
        epoch_batches, validation: as of :class:`Sized`, for stages that name no size.
        loss: of truth and what the network gives (:func:`brain_tumor.training.losses.make`).
        run: receives a checkpoint and history after every epoch; who makes the ``batches``, the host or the device; and
            ``stages``: of each its name, part, number of trainable scalars and whether it trains on features.
        metrics: what is watched beside the loss, each a number a slice whose mean over the epoch is kept.
        on_features: stages that train a classifier's head do so on cached features (:mod:`brain_tumor.training.features`).
        callbacks: a user's own, called as ``fit`` would.
        on_device: whether JAX runs epochs without the host (:mod:`brain_tumor.training.resident`); None: where it has an
            accelerator.
        at_size: the network, as it is built, and the slices of a stage that names a size.
        average: the momentum of a moving average of the weights, which ``model`` gets at the end; 0 for none. The history is of
            the weights as they train.
        accumulate: batches whose gradients make a step together; the schedule counts such steps.

    Returns:
        The history, a dict an epoch.

    Raises:
        RunError: the loss is no longer a number.
        ModelError: a stage's part is not in the network, or features cannot represent the augmentation; nothing is written.
    """
    own_size, several = Sized(model, epoch_batches, validation), mirrored.current(metrics)
    if several:
        several.synchronise(model)
    example = epoch_batches(0)
    steps = len(example)
    short = [on_features and features.suffice(model, stage.part) for stage in stages]
    if any(short):
        features.check(example.augmentation)
    counts = [freezing.train_only(model, stage.part) for stage in stages]
    facts = zip(stages, counts, short, strict=True)
    on_images = several or _runner(own_size, example, callbacks, on_device)
    run.update(
        stages=[{"name": s.name, "part": s.part, "trainable": n, "features": on} for s, n, on in facts],
        batches="host" if on_images in (loop, several) else "device",
    )
    averages = Averages(model, average) if average else None
    done, history = run.read_checkpoint()
    if done:
        run.checkpoint.restore_weights(model)
        run.mend_history(history)
        _wind_on(model, done * steps)
        if averages:
            run.checkpoint.restore_averages(averages)
    total = sum(stage.epochs for stage in stages)
    twin = model if several else backend.faster(model)
    first = 0
    listed = loop.callback_list(callbacks, model, total)
    listed.on_train_begin()
    with Bar("training", total * steps, done * steps) as bar:
        for stage, without_encoder in zip(stages, short, strict=True):
            last = first + stage.epochs
            if done < last:
                here, network, runner = own_size, twin, on_images
                if stage.size and at_size:
                    here = at_size(stage.size)
                    here.model.set_weights(model.get_weights())
                    network = here.model if several else backend.faster(here.model)
                    runner = several or _runner(here, here.epoch_batches(first), callbacks, on_device)
                    if several:
                        several.synchronise(here.model)
                if without_encoder:
                    network, runner = features.head(model), loop
                freezing.train_only(here.model, stage.part)
                optimiser = stage.make_optimiser(steps, accumulate)
                loop.prepare(here.model, network, optimiser, loss, metrics)
                if done > first:
                    run.checkpoint.restore_optimiser(here.model)
                batches_of: Callable = here.epoch_batches
                validation_batches = None if here.validation is None else ValidationBatches(here.validation, example.batch_size)
                if without_encoder:
                    batches_of, validation_batches = features.batches(model, epoch_batches, example, validation)
                evaluate = runner.evaluate
                if parallel.active() and validation_batches is not None:
                    evaluate = parallel.Apart(here.model, partial(loop.make_ready, loss=loss, metrics=metrics)).evaluate
                if averages:
                    averages.follow(here.model)
                for epoch in range(max(first, done), last):
                    batches = batches_of(epoch)
                    history.append(
                        _epoch(runner, network, stage, epoch, total, batches, validation_batches, bar, listed, averages, evaluate)
                    )
                    with parallel.alone():  # one process writes, and Keras makes variables when it does
                        run.save_checkpoint(here.model, epoch + 1, history, averages)
                if here.model is not model:
                    model.set_weights(here.model.get_weights())
            first = last
    listed.on_train_end()
    if averages:
        averages.follow(model)
        averages.put()
    return history


def _wind_on(model: keras.Model, steps: int) -> None:
    """Put a rebuilt network's Dropouts where they stand after ``steps`` steps: each draws once a step, and Keras's weights
    files leave out how often they drew, so that a resumed run would repeat the masks of its first epochs.
    """
    for variable in model.variables:
        if variable.name == "seed_generator_state":
            seed, drawn = keras.ops.convert_to_numpy(variable)
            variable.assign(np.array([seed, drawn + steps]))


def _runner(
    sized: Sized, example: TrainingBatches, callbacks: Sequence[keras.callbacks.Callback], on_device: bool | None
) -> loop.Runner:
    """What runs epochs on images: the device by itself, or the host batch by batch."""
    validation = sized.validation
    if backend.without_host() if on_device is None else on_device and backend.name() == "jax":
        from brain_tumor.training import resident

        if resident.usable(example, validation, callbacks):
            return resident.Resident(example, validation)
    return loop


def _epoch(
    runner: loop.Runner,
    model: keras.Model,
    stage: Stage,
    epoch: int,
    total: int,
    batches: TrainingBatches,
    validation: ValidationBatches | None,
    bar: Bar,
    callbacks: keras.callbacks.CallbackList,
    averages: Averages | None,
    evaluate: Callable[[keras.Model, ValidationBatches], dict[str, float]],
) -> dict:
    """One pass over the training part, and one over the validation part."""
    started, logs = time.monotonic(), []
    callbacks.on_epoch_begin(epoch)
    for step in runner.steps(model, batches, callbacks, averages):
        logs.append(step)
        bar.advance(note=f"epoch {epoch + 1}/{total}  loss {float(step['loss']):.4f}")
    row: dict[str, Any] = {"epoch": epoch + 1, "stage": stage.name, **loop.means(logs)}
    if validation is not None:
        row |= {f"validation_{name}": value for name, value in evaluate(model, validation).items()}
    losses = [row[name] for name in ("loss", "validation_loss") if name in row]
    if not all(math.isfinite(loss) for loss in losses):
        values = ", ".join(map(str, losses))
        raise RunError(f"the loss became {values} in epoch {epoch + 1}; a lower max_lr than {stage.max_lr:g} may help")
    row |= {"learning_rate": float(1 * model.optimizer.learning_rate), "seconds": round(time.monotonic() - started, 2)}
    callbacks.on_epoch_end(epoch, row)
    return row
