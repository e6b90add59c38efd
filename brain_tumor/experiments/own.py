"""A researcher's own code in place of the package's: a Keras network, a loss, an augmentation, callbacks (DESIGN law 15).

A run that used any of it says so: ``run.json`` names each part and holds the hash of its source, which is part of the run's
identity. Such a run cannot be trained again by its recipe alone.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from brain_tumor import files
from brain_tumor.errors import ModelError

Augment = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class OwnCode:
    """What a caller hands over.

    Attributes:
        model: ``(B, S, S, C)`` float32 -> logits ``(B, S, S, 1)`` for masks or ``(B, 1)`` for slices, with the recipe's S and C;
            it is trained in place, from the weights that it has.
        loss: of truth and logits, both float32, a scalar.
        augmentation: ``(images (B, S, S, C) uint8, targets, generator)`` -> the same two, changed; called after the recipe's own
            augmentation, with a generator that depends on seed, epoch and batch alone.
        callbacks: Keras callbacks, called as ``fit`` calls them.
    """

    model: keras.Model | None = None
    loss: Callable[..., Any] | None = None
    augmentation: Augment | None = None
    callbacks: Sequence[keras.callbacks.Callback] = ()

    def facts(self) -> dict[str, dict[str, str]]:
        """Each part that decides the weights, with its name and hash; empty where there is none."""
        parts = {"loss": self.loss, "augmentation": self.augmentation}
        facts = {part: _of_code(code) for part, code in parts.items() if code is not None}
        if self.model is not None:
            facts["model"] = {"name": self.model.name, "sha256": files.sha256_json(self.model.get_config())}
        for number, callback in enumerate(self.callbacks, 1):
            facts[f"callback {number}"] = _of_code(type(callback))
        return facts

    def check(self, sides: tuple[int, ...], channels: int, outputs: int, resized: bool = False) -> None:
        """Refuse a network of other inputs or outputs than the recipe needs.

        Args:
            sides: height and width of what it takes, of a volume its planes before them.
            outputs: logits a pixel; 0: one logit a slice.
            resized: a stage trains at another size, at which only networks of this package can be built.

        Raises:
            ModelError: naming both shapes.
        """
        if self.model is None:
            return
        if resized:
            raise ModelError(f"your network {self.model.name!r} has one size, so no stage can name another")
        expected = (None, *sides, channels), ((None, *sides, outputs) if outputs else (None, 1))
        shapes = tuple(self.model.input_shape), tuple(self.model.output_shape)
        if shapes != expected:
            raise ModelError(
                f"your network {self.model.name!r} takes {shapes[0]} and gives {shapes[1]}, expected {expected[0]} and logits "
                f"{expected[1]}"
            )


NONE = OwnCode()


def _of_code(code: Any) -> dict[str, str]:
    """A function's or class's name, and the hash of its source where Python knows it, else of its name."""
    name = getattr(code, "__qualname__", type(code).__qualname__)
    target = code if hasattr(code, "__qualname__") else type(code)
    try:
        source = inspect.getsource(target)
    except (OSError, TypeError):
        source = name
    return {"name": name, "sha256": files.sha256_json(source)}
