"""Training in stages, each with its own trainable part, peak learning rate and length.

An epoch's batches depend only on seed and epoch number; after each the run is checkpointed, so a
killed run continues exactly where its last whole epoch ended.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from brain_tumor.errors import RunError
from brain_tumor.models import freezing
from brain_tumor.progress import Bar
from brain_tumor.training.batches import SliceArrays, TrainingBatches, TuneBatches
from brain_tumor.training.losses import LOSSES, WATCHED
from brain_tumor.training.optimisers import OneCycleAdamW
from brain_tumor.training.runs import RunFolder
from brain_tumor.training.schedules import OneCycle


@dataclass(frozen=True)
class Stage:
    """A part of training.

    Attributes:
        name: what to call it in the history.
        epochs: passes over the training slices.
        peak_rate: the top of its 1cycle.
        part: what trains (:data:`brain_tumor.models.freezing.PARTS`).
        weight_decay: AdamW's, not on biases and norms; 1e-2 is source 004's (004.39).
        rise: the share of its steps during which the rate climbs.
    """

    name: str
    epochs: int
    peak_rate: float = 1e-3
    part: str = "all"
    weight_decay: float = 1e-2
    rise: float = 0.3


def train(
    model: keras.Model,
    stages: tuple[Stage, ...],
    epoch_batches: Callable[[int], TrainingBatches],
    loss: str,
    run: RunFolder,
    tune: SliceArrays | None = None,
    task: str = "segmentation",
) -> list[dict]:
    """Train ``model`` in place, resuming from the run's checkpoint if it has one.

    Args:
        epoch_batches: epoch number (from 0, over all stages) -> its batches.
        loss: a name of :data:`brain_tumor.training.losses.LOSSES`.
        run: receives a checkpoint and history after every epoch.
        tune: scored after every epoch; None where everything trains.
        task: ``segmentation`` watches the pooled Dice of an epoch, ``classification`` its accuracy.

    Returns:
        The history, a dict an epoch.

    Raises:
        RunError: the loss is no longer a number.
    """
    done, history = run.read_checkpoint()
    if done:
        run.restore_weights(model)
    total = sum(stage.epochs for stage in stages)
    steps = len(epoch_batches(0))
    first = 0
    with Bar("training", total * steps, done * steps) as bar:
        for stage in stages:
            last = first + stage.epochs
            if done < last:
                freezing.train_only(model, stage.part)
                cycle = OneCycle(stage.peak_rate, stage.epochs * steps, stage.rise)
                # jit_compile=False: on a processor XLA halves the speed of these networks, and compiles for a minute.
                optimiser = OneCycleAdamW(cycle, stage.weight_decay)
                model.compile(optimiser, LOSSES[loss], metrics=list(WATCHED[task]), jit_compile=_accelerated())
                model.optimizer.build(model.trainable_variables)
                if done > first:
                    run.restore_optimiser(model)
            for epoch in range(max(first, done), last):
                history.append(_epoch(model, stage, epoch, total, epoch_batches(epoch), tune, bar))
                run.save_checkpoint(model, epoch + 1, history)
            first = last
    return history


def _epoch(model, stage: Stage, epoch: int, total: int, batches: TrainingBatches, tune: SliceArrays | None, bar: Bar) -> dict:
    """One pass, batch by batch. `fit` would wrap the batches in `tf.data`, whose tuning thread is slow to end: it held up the
    end of each epoch by a tenth of its length.
    """
    started = time.monotonic()
    seen = []
    for index in range(len(batches)):
        seen.append(model.train_on_batch(*batches[index], return_dict=True))
        bar.advance(note=f"epoch {epoch + 1}/{total}  loss {float(seen[-1]['loss']):.4f}")
    row = {"epoch": epoch + 1, "stage": stage.name, **_means(seen)}
    if tune is not None:
        tune_batches = TuneBatches(tune, batches.batch_size)
        tuned, sizes = [], []
        for index in range(len(tune_batches)):
            images, truth = tune_batches[index]
            tuned.append(model.test_on_batch(images, truth, return_dict=True))
            sizes.append(len(images))
        means = _means(tuned, sizes)
        row |= {f"tune_{name}": value for name, value in means.items()}
    losses = [row[name] for name in ("loss", "tune_loss") if name in row]
    if not all(map(math.isfinite, losses)):
        shown = ", ".join(map(str, losses))
        raise RunError(f"the loss became {shown} in epoch {epoch + 1}; a lower peak rate than {stage.peak_rate:g} may help")
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
