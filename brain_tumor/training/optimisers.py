"""AdamW and SGD whose momentum truly follows 1cycle, which decay no bias and no norm, and rates that differ by depth.

Keras bakes ``beta_1`` and SGD's ``momentum`` into the compiled step as Python floats, so setting the attribute during a run does
nothing; here they are computed from the step count instead. And a rate by depth must be an optimiser by depth: under Adam a
gradient may be scaled without any effect, and decay asks the optimiser, not the variable, for its rate.
"""

from typing import Any

import keras

from brain_tumor.models import backend
from brain_tumor.models.freezing import DEPTHS, depth
from brain_tumor.training.schedules import MOMENTUM_HIGH, Cyclical, OneCycle, Rising

NOT_DECAYED = ("bias", "gamma", "beta")  # decaying norms and biases only hurts: He 2019, arXiv 1812.01187, section 3.1


class _Scheduled:
    """Of an optimiser whose rate may follow a schedule, which counts steps.

    Keras's counts batches even where the gradients of several make a step: rates then went through their schedule as many times
    too fast, and most of a 1cycle was its tail.
    """

    _rate: Any = None  # of this step of a 1cycle, while it lasts, and so its momentum
    _momentum: Any = None
    _learning_rate: Any
    iterations: Any

    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        """Take a batch's gradients; a 1cycle is computed once, not at each use, which took long to compile."""
        if isinstance(self._learning_rate, OneCycle):
            self._rate, self._momentum = self._learning_rate.rate_and_momentum(self.iterations)
        try:
            return super().apply(grads, trainable_variables)  # type: ignore[misc] # of the optimiser it is mixed into
        finally:
            self._rate = self._momentum = None

    def _get_current_learning_rate(self) -> Any:
        """What Keras takes for :attr:`learning_rate`."""
        if self._rate is not None:
            return self._rate
        if isinstance(self._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            return self._learning_rate(self.iterations)
        return super()._get_current_learning_rate()  # type: ignore[misc]


class FusedAdamW(_Scheduled, keras.optimizers.AdamW):
    """Keras's AdamW; TensorFlow on a processor takes each step in two passes over the weights, where Keras makes some ten."""

    _betas: Any = None

    def _apply_weight_decay(self, variables: list) -> None:
        """Keras calls this once a step, before the updates."""
        if not backend.on_processor():
            super()._apply_weight_decay(variables)
            return
        rest = 1 - keras.ops.cast(self.learning_rate, "float32") * self.weight_decay
        for variable in variables:
            if self._use_weight_decay(variable):
                variable.assign(variable * rest)

    def _backend_update_step(self, grads: list, trainable_variables: list, learning_rate: Any) -> None:
        """Keras calls this once a step; the betas and their powers are of all variables."""
        self._betas = self._this_step() if backend.on_processor() else None
        try:
            super()._backend_update_step(grads, trainable_variables, learning_rate)
        finally:
            self._betas = None

    def _this_step(self) -> tuple[list, list]:
        """Both betas, and each to the power of the step."""
        step = keras.ops.cast(self.iterations + 1, "float32")
        betas = [keras.ops.cast(beta, "float32") for beta in (self.beta_1, self.beta_2)]
        return betas, [beta**step for beta in betas]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Adam's update of one variable, as Keras words it."""
        if not backend.on_processor():
            super().update_step(gradient, variable, learning_rate)
            return
        from brain_tumor.models import on_tensorflow

        index = self._get_variable_index(variable)
        moments, (betas, powers) = (self._momentums[index], self._velocities[index]), self._betas or self._this_step()
        on_tensorflow.adam(variable, moments, gradient, learning_rate, betas, powers, self.epsilon)


class OneCycleAdamW(FusedAdamW):
    """AdamW (Loshchilov 2019, arXiv 1711.05101) with learning rate and first beta from one :class:`OneCycle`."""

    def __init__(self, cycle: OneCycle, weight_decay: float = 1e-2, name: str = "one_cycle_adamw", **more: Any):
        super().__init__(learning_rate=cycle, weight_decay=weight_decay, name=name, **more)
        self.exclude_from_weight_decay(var_names=list(NOT_DECAYED))

    @property
    def beta_1(self) -> Any:
        """The momentum of this step: a tensor, so the compiled step follows it."""
        return self._learning_rate.momentum(self.iterations) if self._momentum is None else self._momentum

    @beta_1.setter
    def beta_1(self, _value: float) -> None:
        """Adam's constructor sets its default here; the cycle decides."""


class SGD(_Scheduled, keras.optimizers.SGD):
    """Keras's SGD, whose schedule counts steps."""


class OneCycleSGD(SGD):
    """SGD with learning rate and momentum from one :class:`OneCycle`, its decay decoupled as AdamW's is."""

    def __init__(self, cycle: OneCycle, weight_decay: float = 1e-2, name: str = "one_cycle_sgd", **more: Any):
        # Any momentum but 0 makes Keras keep a velocity for each variable; what it is in a step, the cycle decides.
        super().__init__(learning_rate=cycle, momentum=MOMENTUM_HIGH, weight_decay=weight_decay, name=name, **more)
        self.exclude_from_weight_decay(var_names=list(NOT_DECAYED))

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Keras's own update, with a tensor for momentum: Keras asks ``if momentum != 0``, which a tensor cannot answer."""
        velocity = self.momentums[self._get_variable_index(variable)]
        momentum, rate = (keras.ops.cast(value, variable.dtype) for value in (self._momentum, learning_rate))
        self.assign(velocity, velocity * momentum - keras.ops.cast(gradient, variable.dtype) * rate)
        self.assign_add(variable, velocity)


class PerDepth(keras.optimizers.MultiOptimizer):
    """An optimiser for each depth of the network (:func:`brain_tumor.models.freezing.depth`), the last for its head."""

    def __init__(self, optimisers: list[keras.optimizers.Optimizer], name: str = "per_depth"):
        super().__init__(lambda variable: optimisers[depth(variable.path.split("/")[0])], name=name)
        self._of_depth = optimisers

    @property
    def learning_rate(self) -> Any:
        """The head's; Keras refuses to name one."""
        return self._of_depth[-1].learning_rate


def make(
    name: str,
    rate: float,
    steps: int,
    *,
    schedule: str = "1cycle",
    pct_start: float = 0.3,
    cycles: int = 1,
    factor: float = 1.0,
    momentum: float = 0.5,
    weight_decay: float = 1e-2,
    layer_decay: float = 1.0,
    accumulate: int = 1,
) -> keras.optimizers.Optimizer:
    """The optimiser of a stage; words and numbers are checked by :class:`brain_tumor.training.plan.Stage`.

    Args:
        name: one of :data:`brain_tumor.training.plan.OPTIMISERS`.
        rate: the peak of a cycle, the constant rate, or the lowest of a rising one.
        steps: the length of the stage.
        schedule: one of :data:`brain_tumor.training.plan.SCHEDULES`, or ``rising``, for the finder alone.
        pct_start: the share of steps in which a 1cycle climbs.
        cycles: how many cycles a ``cyclical`` rate has.
        factor: by which a ``rising`` rate grows each step.
        momentum: SGD's, but 1cycle moves it itself, and AdamW's is Keras's 0.9.
        weight_decay: decoupled, of either optimiser: a step takes ``rate * weight_decay`` of each kernel.
        layer_decay: a layer at depth d trains, and decays, at ``rate * layer_decay ** (5 - d)`` (003.05); at 1 one optimiser
            does for all.
        accumulate: batches whose mean gradient makes a step; a network with BatchNorm still sees one batch at a time.
    """
    shares = [layer_decay ** (DEPTHS - 1 - level) for level in range(DEPTHS)]

    gathered: dict[str, Any] = {"gradient_accumulation_steps": accumulate} if accumulate > 1 else {}

    def one(share: float) -> keras.Optimizer:
        peak = float(rate * share)
        if schedule == "1cycle":
            return {"adamw": OneCycleAdamW, "sgd": OneCycleSGD}[name](OneCycle(peak, steps, pct_start), weight_decay, **gathered)
        moving = {"cyclical": Cyclical(peak, steps, cycles), "rising": Rising(peak, factor)}.get(schedule, peak)
        if name == "adamw":
            optimiser = FusedAdamW(moving, weight_decay, **gathered)
        else:
            optimiser = SGD(moving, float(momentum), weight_decay=weight_decay, **gathered)
        optimiser.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
        return optimiser

    return one(1.0) if layer_decay == 1 else PerDepth([one(share) for share in shares])
