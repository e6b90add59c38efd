"""The learning-rate finder: which peak rate a 1cycle may take, from one short training at rates that rise (row 004.40).

Smith 2017 (arXiv 1506.01186, section 3.3) raises the rate while the loss still falls; as in fastai 1 the rate rises by the same
factor each step, the loss is smoothed, and the suggestion is the rate at which it falls fastest, before the loss turns.
The network, its optimiser and all random states are afterwards what they were, bit for bit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from brain_tumor.errors import ModelError
from brain_tumor.models import backend, settings
from brain_tumor.progress import Bar
from brain_tumor.training import loop, optimisers
from brain_tumor.training.batches import TrainingBatches
from brain_tumor.training.plan import Stage

LOWEST, HIGHEST, STEPS = 1e-6, 1.0, 100
SMOOTHING = 0.9  # of the loss: it looks back about ten steps
DIVERGED = 3.0  # times the lowest smoothed loss, at which the sweep ends
EDGE = 5  # first smoothed steps, which say nothing yet


@dataclass(frozen=True)
class Sweep:
    """What a finder measured.

    Attributes:
        rates: ``(n,)`` learning rates, rising.
        losses: ``(n,)``, of the batch at that rate.
        smoothed: ``(n,)``, their moving mean.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray

    @property
    def suggestion(self) -> float:
        """The rate at which the smoothed loss falls fastest.

        Raises:
            ModelError: it never falls.
        """
        lowest = int(np.argmin(self.smoothed))
        falls = np.gradient(self.smoothed, np.log(self.rates))[EDGE : lowest + 1]
        if not len(falls) or falls.min() >= 0:
            raise ModelError("the loss falls at none of these rates; another loss or network may learn, or lower rates")
        return float(self.rates[EDGE + int(np.argmin(falls))])


@settings.fixed()
def sweep(
    model: keras.Model,
    loss: Callable,
    epoch_batches: Callable[[int], TrainingBatches],
    stage: Stage,
    lowest: float = LOWEST,
    highest: float = HIGHEST,
    steps: int = STEPS,
) -> Sweep:
    """Train ``model`` for a moment at rates from ``lowest`` to ``highest``, then put everything back.

    Args:
        epoch_batches: as of :func:`brain_tumor.training.stages.train`; as many epochs as it takes.
        stage: whose optimiser, weight decay and rates by depth are used.
    """
    network = backend.faster(keras.Model(model.inputs, model.outputs, name=f"{model.name}_sweep"))  # its own step and optimiser
    before = [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.variables]
    factor = (highest / lowest) ** (1 / (steps - 1))
    optimiser = optimisers.make(
        stage.optimiser, lowest, steps, schedule="rising", factor=factor, momentum=stage.momentum,
        weight_decay=stage.weight_decay, layer_decay=stage.layer_decay,
    )  # fmt: skip
    loop.prepare(network, network, optimiser, loss)
    losses: list[float] = []
    smoothed: list[float] = []
    mean = 0.0
    try:
        with Bar("learning rates", steps) as bar:
            for logs in loop.short_run(network, epoch_batches, steps):
                value = float(logs["loss"])
                losses.append(value)
                mean = SMOOTHING * mean + (1 - SMOOTHING) * value
                smoothed.append(mean / (1 - SMOOTHING ** len(losses)))
                bar.advance(note=f"rate {lowest * factor ** (len(losses) - 1):.1e}")
                if not np.isfinite(value) or (len(losses) > EDGE and smoothed[-1] > DIVERGED * min(smoothed[EDGE:])):
                    break
    finally:
        for variable, earlier in zip(model.variables, before, strict=True):
            variable.assign(earlier)
    finite = int(np.isfinite(losses).sum())
    rates = lowest * factor ** np.arange(finite)
    return Sweep(rates, np.array(losses[:finite]), np.array(smoothed[:finite]))
