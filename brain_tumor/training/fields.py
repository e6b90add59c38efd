"""Fields of recipes, stages and augmentations: each says its default, its limits and its meaning once.

A dataclass that calls :func:`check` refuses a value outside these limits when it is made, and the command line makes its options
from the same fields.
"""

import math
from collections.abc import Callable
from dataclasses import MISSING, field, fields
from numbers import Integral, Real
from typing import Any

from brain_tumor.errors import ModelError


def setting(
    default: Any = MISSING,
    help: str = "",
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] = (),
    factory: Callable[[], Any] | None = None,
    since: str = "",
) -> Any:
    """A dataclass field with limits.

    Args:
        default: its value where none is given; without it, and without ``factory``, the field must be given.
        help: one line for the command line.
        low, high: the smallest and the largest value.
        above, below: bounds that the value itself may not reach.
        choices: the words that it may be.
        factory: makes the default anew for each instance.
        since: the version that added the field; an older recipe lacks it, and its default is what that version did.
    """
    limits = {"help": help, "low": low, "high": high, "above": above, "below": below, "choices": choices, "since": since}
    metadata = {name: value for name, value in limits.items() if value not in (None, (), "")}
    if factory is not None:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


def check(described: Any, subject: str = "") -> None:
    """Refuse a dataclass one of whose fields is of another type than its annotation, or beyond its limits.

    Args:
        subject: what the message begins with, such as ``stage 'head': ``.

    Raises:
        ModelError: naming the field, its value and what was expected.
    """
    for item in fields(described):
        value, limits = getattr(described, item.name), item.metadata
        if expected := _complaint(item.type, value, limits):
            printed = repr(value) if isinstance(value, str) else value
            raise ModelError(f"{subject}{item.name} {printed}, expected {expected}")


def _complaint(kind: Any, value: Any, limits: Any) -> str:
    """What was expected, or nothing where the value is fine."""
    choices = limits.get("choices", ())
    if choices:
        return "" if value in choices else f"one of {', '.join(choices)}"
    if kind is bool:
        return "" if isinstance(value, bool) else "True or False"
    if kind is str:
        return "" if isinstance(value, str) else "a word"
    if kind not in (int, float):
        return ""
    number = isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    if number and math.isfinite(value) and _within(value, limits):
        return ""
    return f"{'a whole number' if kind is int else 'a number'}{_range(limits)}"


def _within(value: float, limits: Any) -> bool:
    return (
        limits.get("low", -math.inf) <= value <= limits.get("high", math.inf)
        and limits.get("above", -math.inf) < value < limits.get("below", math.inf)
    )  # fmt: skip


def _range(limits: Any) -> str:
    words = [(" from", "low"), (" above", "above"), (" to", "high"), (" below", "below")]
    return "".join(f"{word} {limits[name]}" for word, name in words if name in limits)
