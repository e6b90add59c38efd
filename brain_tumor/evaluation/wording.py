"""A score in words: its decimals, or that it is undefined. A score is NaN where its denominator is empty."""

import math
from typing import Any

UNDEFINED = "undefined"
MEANING = "Undefined: the score's denominator is empty, as that of sensitivity and AUC is where no slice holds tumour."


def titled(name: str, phantom: bool) -> str:
    """What stands above scores; of a phantom it says so first."""
    return f"PHANTOM data, not patients: {name}" if phantom else name


def score(value: float | None, decimals: int = 3, signed: bool = False) -> str:
    """``0.812``, ``+0.030`` where signed, ``undefined`` for NaN and None."""
    if value is None or math.isnan(value):
        return UNDEFINED
    return f"{value:{'+' if signed else ''}.{decimals}f}"


def change(row: Any) -> str:
    """``+0.030 (+0.004 to +0.051)``: the ``difference`` of two scores, with the ``low`` and ``high`` of its interval."""
    return f"{row.difference:+.3f} ({row.low:+.3f} to {row.high:+.3f})"
