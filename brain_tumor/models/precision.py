"""Number formats: measured on this machine, applied inside a context, never left behind (DESIGN law 6)."""

import contextlib
import time
from collections.abc import Iterator

import keras
import numpy as np

from brain_tumor.models.architectures import PRECISIONS

PROBE_SIDE, PROBE_REPEATS, PROBE_TURNS = 1024, 3, 4
WORTHWHILE_GAIN = 1.2  # below this the coarser numbers are not worth it


def resolve(wanted: str = "auto") -> str:
    """``auto`` becomes ``mixed_bfloat16`` where matrix products are truly faster in it here, else ``float32``."""
    if wanted == "auto":
        # Taken turn by turn, so that another job on the machine slows both alike.
        turns = [{name: matrix_product_seconds(name) for name in ("float32", "bfloat16")} for _ in range(PROBE_TURNS)]
        seconds = {name: min(turn[name] for turn in turns) for name in turns[0]}
        return "mixed_bfloat16" if seconds["float32"] > WORTHWHILE_GAIN * seconds["bfloat16"] else "float32"
    if wanted not in PRECISIONS:
        raise ValueError(f"unknown precision {wanted!r}, expected auto or one of {PRECISIONS}")
    return wanted


def matrix_product_seconds(dtype: str, side: int = PROBE_SIDE) -> float:
    """Best time of a few square matrix products of ``side`` in ``dtype``, on the active backend."""
    matrix = keras.ops.cast(keras.ops.convert_to_tensor(np.full((side, side), 0.5, np.float32)), dtype)
    best = float("inf")
    for _ in range(PROBE_REPEATS):
        started = time.perf_counter()
        keras.ops.convert_to_numpy(keras.ops.cast(keras.ops.matmul(matrix, matrix)[0, 0], "float32"))
        best = min(best, time.perf_counter() - started)
    return best


@contextlib.contextmanager
def policy(precision: str) -> Iterator[None]:
    """Build layers under ``precision``, then restore the policy that was there."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
