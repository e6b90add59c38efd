"""The moving average of a network's weights while it trains, its BatchNorm statistics too (Polyak & Juditsky 1992, doi
10.1137/0330046; Tarvainen & Valpola 2017, arXiv 1703.01780, for networks).

The average of the last steps lies nearer to the middle of what training wanders about in than its last step does. As in
TensorFlow's ``ExponentialMovingAverage`` the first steps count more, so that the random weights of the start are soon forgotten.
"""

from typing import Any

import keras
import numpy as np


def share(step: int, momentum: float) -> float:
    """The share of an average that step number ``step``, from 1, replaces by the weights of that step."""
    return 1 - min(momentum, (1 + step) / (10 + step))


class Averages:
    """The running mean of every weight of a network that is no whole number.

    Attributes:
        variables: what is averaged.
        values: float32 arrays, as many.
        momentum: of the average; 0.99 looks back about a hundred steps.
        step: how many steps are in it.
    """

    def __init__(self, model: keras.Model, momentum: float):
        self.follow(model)
        self.values = [np.array(keras.ops.convert_to_numpy(variable)) for variable in self.variables]
        self.momentum, self.step = momentum, 0

    def follow(self, model: keras.Model) -> None:
        """Go on with the weights of a network that is built alike, as at another size."""
        self.variables = [variable for variable in model.weights if "float" in str(variable.dtype)]

    def shares(self, steps: int) -> np.ndarray:
        """``(steps,)`` float32: the :func:`share` of each of the next steps."""
        return np.array([share(self.step + number, self.momentum) for number in range(1, steps + 1)], np.float32)

    def update(self) -> None:
        """Take in the weights as they are after one more step."""
        (part,) = self.shares(1)
        self.step += 1
        for value, variable in zip(self.values, self.variables, strict=True):
            value += part * (keras.ops.convert_to_numpy(variable) - value)

    def put(self) -> None:
        """Give the network its averages."""
        for value, variable in zip(self.values, self.variables, strict=True):
            variable.assign(value)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """What a checkpoint keeps."""
        return {"step": np.array(self.step)} | {f"v{number}": value for number, value in enumerate(self.values)}

    def from_arrays(self, arrays: Any) -> None:
        """Go on from a checkpoint."""
        self.step = int(arrays["step"])
        self.values = [np.array(arrays[f"v{number}"]) for number in range(len(self.values))]
