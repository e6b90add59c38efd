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
from brain_tumor.models import freezing, settings
from brain_tumor.progress import Bar
from brain_tumor.training import features
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
) -> list[dict]:
    """Train ``model`` in place, resuming from the run's checkpoint if it has one.

    Args:
        epoch_batches: epoch number (from 0, over all stages) -> its batches.
        loss: of truth and what the network gives (:func:`brain_tumor.training.losses.make`).
        run: receives a checkpoint and history after every epoch, and ``stages``: of each its name, part, number of trainable
            scalars and whether it trains on features.
        validation: scored after every epoch; None where everything trains.
        metrics: what is watched beside the loss, each a number a slice whose mean over the epoch is kept.
        on_features: stages that train a classifier's head do so on cached features (:mod:`brain_tumor.training.features`).

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
    run.update(stages=[{"name": s.name, "part": s.part, "trainable": n, "features": on} for s, n, on in facts])
    done, history = run.read_checkpoint()
    if done:
        run.restore_weights(model)
        _wind_on(model, done * steps)
    total = sum(stage.epochs for stage in stages)
    first = 0
    with Bar("training", total * steps, done * steps) as bar:
        for stage, without_encoder in zip(stages, short, strict=True):
            last = first + stage.epochs
            batches_of: Callable = epoch_batches
            validation_batches = None if validation is None else ValidationBatches(validation, example.batch_size)
            trained = features.head(model) if without_encoder else model
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
                history.append(_epoch(trained, stage, epoch, total, batches_of(epoch), validation_batches, bar))
                run.save_checkpoint(model, epoch + 1, history)
            first = last
    return history


def _wind_on(model: keras.Model, steps: int) -> None:
    """Put a rebuilt network's Dropouts where they stand after ``steps`` steps: each draws once a step, and Keras's weights
    files leave out how often they drew, so that a resumed run would repeat the masks of its first epochs.
    """
    for variable in model.variables:
        if variable.name == "seed_generator_state":
            seed, drawn = keras.ops.convert_to_numpy(variable)
            variable.assign(np.array([seed, drawn + steps]))


def _epoch(
    model: keras.Model,
    stage: Stage,
    epoch: int,
    total: int,
    batches: TrainingBatches,
    validation: ValidationBatches | None,
    bar: Bar,
) -> dict:
    """One pass, batch by batch. `fit` would wrap the batches in `tf.data`, whose tuning thread is slow to end: it held up the
    end of each epoch by a tenth of its length.
    """
    started = time.monotonic()
    seen = []
    for index in range(len(batches)):
        seen.append(model.train_on_batch(*batches[index], return_dict=True))
        bar.advance(note=f"epoch {epoch + 1}/{total}  loss {float(seen[-1]['loss']):.4f}")
    row: dict[str, Any] = {"epoch": epoch + 1, "stage": stage.name, **_means(seen)}
    if validation is not None:
        logs, sizes = [], []
        for index in range(len(validation)):
            images, truth = validation[index]
            logs.append(model.test_on_batch(images, truth, return_dict=True))
            sizes.append(len(images))
        means = _means(logs, sizes)
        row |= {f"validation_{name}": value for name, value in means.items()}
    losses = [row[name] for name in ("loss", "validation_loss") if name in row]
    if not all(math.isfinite(loss) for loss in losses):
        shown = ", ".join(map(str, losses))
        raise RunError(f"the loss became {shown} in epoch {epoch + 1}; a lower peak rate than {stage.max_lr:g} may help")
    return row | {
        "learning_rate": float(model.optimizer.learning_rate),
        "seconds": round(time.monotonic() - started, 2),
    }


def _means(seen: list[dict], slices: list[int] | None = None) -> dict[str, float]:
    """What was watched over all batches, each weighed by its slices; hits and area become their pooled Dice."""
    means = {name: float(np.average([logs[name] for logs in seen], weights=slices)) for name in ("loss", *seen[0])}
    if "dice_area" in means:
        means["dice"] = 2 * means.pop("dice_hits") / max(means.pop("dice_area"), 1e-9)
    return means


def _accelerated() -> bool | str:
    """JAX always compiles; TensorFlow only off the processor."""
    if keras.backend.backend() == "jax":
        return "auto"
    return any("cpu" not in device.lower() for device in keras.distribution.list_devices())
