"""Learning rates that rise and fall: once, with the momentum going the other way, or again and again.

1cycle (Smith 2018, arXiv 1803.09820) as source 000 tells it, in three steps (rows 000.13-15). Rise: the rate goes from
``max_lr / DIV`` to ``max_lr`` while momentum falls. Fall: back to ``max_lr / DIV`` while momentum returns. Tail: down to
``max_lr / (DIV * 100)`` with momentum held. Each step is half a cosine.
"""

import math
from typing import Any

import keras

Tensor = Any  # of either backend

DIV = 25.0
FALL_SHARE = 0.9  # of what follows the rise; the rest is the tail
MOMENTUM_HIGH, MOMENTUM_LOW = 0.95, 0.85  # fastai's, which sources 000 and 004 use
MOMENTA = (MOMENTUM_HIGH, MOMENTUM_LOW, MOMENTUM_HIGH, MOMENTUM_HIGH)  # at the ends of the three steps


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate at a step; :meth:`momentum` gives the matching momentum.

    Args:
        max_lr: the highest learning rate.
        steps: the length of the whole cycle.
        pct_start: the share of steps that climb (source 004 used 0.9, row 004.44).
    """

    def __init__(self, max_lr: float, steps: int, pct_start: float = 0.3):
        self.max_lr, self.steps, self.pct_start = max_lr, steps, pct_start

    def __call__(self, step: Tensor) -> Tensor:
        return self._follow(step, self._rates())[0]

    def momentum(self, step: Tensor) -> Tensor:
        """Momentum (Adam's first beta) at ``step``."""
        return self._follow(step, MOMENTA)[0]

    def rate_and_momentum(self, step: Tensor) -> list[Tensor]:
        """Both at ``step``, from the same cosines."""
        return self._follow(step, self._rates(), MOMENTA)

    def get_config(self) -> dict:
        return {"max_lr": self.max_lr, "steps": self.steps, "pct_start": self.pct_start}

    def _rates(self) -> tuple[float, ...]:
        low = self.max_lr / DIV
        return low, self.max_lr, low, low / 100

    def _follow(self, step: Tensor, *curves: tuple[float, ...]) -> list[Tensor]:
        """Of each curve half a cosine between each two neighbouring heights."""
        step = keras.ops.cast(step, "float32")
        top = self.pct_start * self.steps
        foot = top + FALL_SHARE * (self.steps - top)
        bounds = (0.0, top, foot, float(self.steps))
        values: list[Tensor] = []
        for phase in (2, 1, 0):
            begin, end = bounds[phase], bounds[phase + 1]
            share = keras.ops.clip((step - begin) / max(end - begin, 1.0), 0.0, 1.0)
            wave = 1 + keras.ops.cos(math.pi * share)
            here = [stop + (start - stop) * wave / 2 for start, stop in (heights[phase : phase + 2] for heights in curves)]
            before = step < end
            values = [keras.ops.where(before, *pair) for pair in zip(here, values, strict=True)] if values else here
        return values


class Cyclical(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises and falls in straight lines, all cycles alike (Smith 2017, arXiv 1506.01186, "triangular"; row 004.41).

    Args:
        max_lr: the highest learning rate; the lowest is this over :data:`DIV`.
        steps: the length of all cycles together.
        cycles: how many.
    """

    def __init__(self, max_lr: float, steps: int, cycles: int):
        self.max_lr, self.steps, self.cycles = max_lr, steps, cycles

    def __call__(self, step: Tensor) -> Tensor:
        place = keras.ops.cast(step, "float32") * self.cycles / self.steps
        height = 1 - keras.ops.abs(2 * (place - keras.ops.floor(place)) - 1)
        low = self.max_lr / DIV
        return low + (self.max_lr - low) * height

    def get_config(self) -> dict:
        return {"max_lr": self.max_lr, "steps": self.steps, "cycles": self.cycles}


class Rising(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that is multiplied by the same ``factor`` each step, for :mod:`brain_tumor.training.finder`."""

    def __init__(self, lowest: float, factor: float):
        self.lowest, self.factor = lowest, factor

    def __call__(self, step: Tensor) -> Tensor:
        return self.lowest * keras.ops.exp(math.log(self.factor) * keras.ops.cast(step, "float32"))

    def get_config(self) -> dict:
        return {"lowest": self.lowest, "factor": self.factor}
