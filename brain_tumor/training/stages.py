"""Training in stages, each with its own trainable part, peak learning rate and length.

One epoch is one ``fit`` call on batches that depend only on seed and epoch number; after each the run is checkpointed, so a
killed run continues exactly where its last whole epoch ended.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import keras

from brain_tumor.errors import RunError
from brain_tumor.models import freezing
from brain_tumor.progress import Bar
from brain_tumor.training.batches import SliceArrays, TrainingBatches, TuneBatches
from brain_tumor.training.losses import LOSSES, PooledDice
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
) -> list[dict]:
    """Train ``model`` in place, resuming from the run's checkpoint if it has one.

    Args:
        epoch_batches: epoch number (from 0, over all stages) -> its batches.
        loss: a name of :data:`brain_tumor.training.losses.LOSSES`.
        run: receives a checkpoint and history after every epoch.
        tune: scored after every epoch; None where everything trains.

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
                model.compile(
                    OneCycleAdamW(cycle, stage.weight_decay), LOSSES[loss], metrics=[PooledDice()], jit_compile=_accelerated()
                )
                model.optimizer.build(model.trainable_variables)
                if done > first:
                    run.restore_optimiser(model)
            for epoch in range(max(first, done), last):
                history.append(_epoch(model, stage, epoch, total, epoch_batches(epoch), tune, bar))
                run.save_checkpoint(model, epoch + 1, history)
            first = last
    return history


def _epoch(model, stage: Stage, epoch: int, total: int, batches: TrainingBatches, tune: SliceArrays | None, bar: Bar) -> dict:
    started = time.monotonic()
    validation = None if tune is None else TuneBatches(tune, batches.batch_size)
    result = model.fit(
        batches,
        epochs=epoch + 1,
        initial_epoch=epoch,
        shuffle=False,
        verbose=0,
        callbacks=[_ShowProgress(bar, f"epoch {epoch + 1}/{total}")],
        validation_data=validation,
    ).history
    row = {"epoch": epoch + 1, "stage": stage.name, "loss": result["loss"][0], "dice": result["dice"][0]}
    if tune is not None:
        row |= {"tune_loss": result["val_loss"][0], "tune_dice": result["val_dice"][0]}
    losses = [row[name] for name in ("loss", "tune_loss") if name in row]
    if not all(map(math.isfinite, losses)):
        shown = ", ".join(map(str, losses))
        raise RunError(f"the loss became {shown} in epoch {epoch + 1}; a lower peak rate than {stage.peak_rate:g} may help")
    return row | {
        "learning_rate": float(model.optimizer.learning_rate),
        "seconds": round(time.monotonic() - started, 2),
    }


class _ShowProgress(keras.callbacks.Callback):
    """Move the bar, with the running loss."""

    def __init__(self, bar: Bar, title: str):
        super().__init__()
        self.bar, self.title = bar, title

    def on_train_batch_end(self, batch, logs=None):
        self.bar.advance(note=f"{self.title}  loss {float(logs['loss']):.4f}")


def _accelerated() -> bool | str:
    """JAX always compiles; TensorFlow only off the processor."""
    if keras.backend.backend() == "jax":
        return "auto"
    return any("cpu" not in device.lower() for device in keras.distribution.list_devices())
