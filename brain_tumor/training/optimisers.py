"""AdamW whose momentum truly follows 1cycle, and which decays no bias and no norm.

Keras bakes ``beta_1`` into the compiled step as a Python float, so setting the attribute during a run does nothing; here it is
computed from the step count instead.
"""

import keras

from brain_tumor.training.schedules import OneCycle

NOT_DECAYED = ("bias", "gamma", "beta")  # decaying norms and biases only hurts: He 2019, arXiv 1812.01187, section 3.1


class OneCycleAdamW(keras.optimizers.AdamW):
    """AdamW (Loshchilov 2019, arXiv 1711.05101) with learning rate and first beta from one :class:`OneCycle`."""

    _momentum = None  # this step's, while it lasts

    def __init__(self, cycle: OneCycle, weight_decay: float = 1e-2, name: str = "one_cycle_adamw"):
        super().__init__(learning_rate=cycle, weight_decay=weight_decay, name=name)
        self.exclude_from_weight_decay(var_names=list(NOT_DECAYED))

    def apply(self, grads, trainable_variables=None):
        """One step; its momentum is computed once, not once a variable, which made the first step twice as long to compile."""
        self._momentum = self._learning_rate.momentum(self.iterations)
        try:
            return super().apply(grads, trainable_variables)
        finally:
            self._momentum = None

    @property
    def beta_1(self):
        """The momentum of this step: a tensor, so the compiled step follows it."""
        return self._learning_rate.momentum(self.iterations) if self._momentum is None else self._momentum

    @beta_1.setter
    def beta_1(self, _value) -> None:
        """Adam's constructor sets its default here; the cycle decides."""
