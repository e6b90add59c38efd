"""Training in stages (:mod:`brain_tumor.training.plan`), each with its own trainable part, learning rate and length.

An epoch's batches depend only on seed and epoch number; after each the run is checkpointed, so a
killed run continues exactly where its last whole epoch ended, on features as on images.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from brain_tumor.errors import RunError
from brain_tumor.models import backend, freezing, settings
from brain_tumor.progress import Bar
from brain_tumor.training import features, loop
from brain_tumor.training.batches import SliceArrays, TrainingBatches, ValidationBatches
from brain_tumor.training.plan import Stage
from brain_tumor.training.runs import RunFolder


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
) -> list[dict]:
    """Train ``model`` in place, resuming from the run's checkpoint if it has one.

    Args:
        epoch_batches: epoch number (from 0, over all stages) -> its batches.
        loss: of truth and what the network gives (:func:`brain_tumor.training.losses.make`).
        run: receives a checkpoint and history after every epoch; who makes the ``batches``, the host or the device; and
            ``stages``: of each its name, part, number of trainable scalars and whether it trains on features.
        validation: scored after every epoch; None where everything trains.
        metrics: what is watched beside the loss, each a number a slice whose mean over the epoch is kept.
        on_features: stages that train a classifier's head do so on cached features (:mod:`brain_tumor.training.features`).
        callbacks: a user's own, called as ``fit`` would.
        on_device: whether JAX runs epochs without the host (:mod:`brain_tumor.training.resident`); None: where it has an
            accelerator.

    Returns:
        The history, a dict an epoch.

    Raises:
        RunError: the loss is no longer a number.
        ModelError: a stage's part is not in the network, or features cannot represent the augmentation; nothing is written.
    """
    example = epoch_batches(0)
    steps = len(example)
    short = [on_features and features.suffice(model, stage.part) for stage in stages]
    if any(short):
        features.check(example.augmentation)
    counts = [freezing.train_only(model, stage.part) for stage in stages]
    facts = zip(stages, counts, short, strict=True)
    on_images = _runner(example, validation, callbacks, on_device)
    run.update(
        stages=[{"name": s.name, "part": s.part, "trainable": n, "features": on} for s, n, on in facts],
        batches="host" if on_images is loop else "device",
    )
    done, history = run.read_checkpoint()
    if done:
        run.restore_weights(model)
        run.mend_history(history)
        _wind_on(model, done * steps)
    total = sum(stage.epochs for stage in stages)
    twin = backend.faster(model)
    first = 0
    listed = loop.callback_list(callbacks, model, total)
    listed.on_train_begin()
    with Bar("training", total * steps, done * steps) as bar:
        for stage, without_encoder in zip(stages, short, strict=True):
            last = first + stage.epochs
            batches_of: Callable = epoch_batches
            validation_batches = None if validation is None else ValidationBatches(validation, example.batch_size)
            trained, runner = (features.head(model), loop) if without_encoder else (twin, on_images)
            if done < last:
                freezing.train_only(model, stage.part)
                optimiser = stage.make_optimiser(steps)
                for network in {model, trained}:  # both own the optimiser: one steps with it, checkpoints are of the other
                    # On a processor XLA halves the speed of these networks, and compiles for a minute.
                    network.compile(optimiser, loss, metrics=list(metrics), jit_compile=_accelerated())
                model.optimizer.build(trained.trainable_variables)
                if done > first:
                    run.restore_optimiser(model)
                if without_encoder:
                    batches_of, validation_batches = features.batches(model, epoch_batches, example, validation)
            for epoch in range(max(first, done), last):
                history.append(_epoch(runner, trained, stage, epoch, total, batches_of(epoch), validation_batches, bar, listed))
                run.save_checkpoint(model, epoch + 1, history)
            first = last
    listed.on_train_end()
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
    example: TrainingBatches,
    validation: SliceArrays | None,
    callbacks: Sequence[keras.callbacks.Callback],
    on_device: bool | None,
) -> loop.Runner:
    """What runs epochs on images: the device by itself, or the host batch by batch."""
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
) -> dict:
    """One pass over the training part, and one over the validation part."""
    started, logs = time.monotonic(), []
    callbacks.on_epoch_begin(epoch)
    for step in runner.steps(model, batches, callbacks):
        logs.append(step)
        bar.advance(note=f"epoch {epoch + 1}/{total}  loss {float(step['loss']):.4f}")
    row: dict[str, Any] = {"epoch": epoch + 1, "stage": stage.name, **loop.means(logs)}
    if validation is not None:
        row |= {f"validation_{name}": value for name, value in runner.evaluate(model, validation).items()}
    losses = [row[name] for name in ("loss", "validation_loss") if name in row]
    if not all(math.isfinite(loss) for loss in losses):
        values = ", ".join(map(str, losses))
        raise RunError(f"the loss became {values} in epoch {epoch + 1}; a lower max_lr than {stage.max_lr:g} may help")
    row |= {"learning_rate": float(model.optimizer.learning_rate), "seconds": round(time.monotonic() - started, 2)}
    callbacks.on_epoch_end(epoch, row)
    return row


def _accelerated() -> bool | str:
    """JAX always compiles; TensorFlow only off the processor."""
    if keras.backend.backend() == "jax":
        return "auto"
    return any("cpu" not in device.lower() for device in keras.distribution.list_devices())
