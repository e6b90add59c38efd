"""Number formats: chosen for this machine by one measurement, which the home remembers (DESIGN law 6)."""

import time

import keras
import numpy as np

from brain_tumor import files
from brain_tumor.models import backend, memory
from brain_tumor.models.architectures import PRECISIONS

PROBE_SIDE, PROBE_REPEATS, PROBE_TURNS = 1024, 3, 4
WORTHWHILE_GAIN = 1.2  # below this the coarser numbers are not worth it


def resolve(precision: str = "auto", of_volumes: bool = False) -> str:
    """The number format that ``precision`` means on this machine.

    ``auto`` is ``mixed_bfloat16`` where matrix products are :data:`WORTHWHILE_GAIN` times as fast in it, else ``float32``. They
    are timed once for each machine and each version of Keras and its backend; later calls read what the home remembers
    (:mod:`brain_tumor.models.memory`), so that a busy machine cannot change a run. What ``brain-tumor bench --remember`` found
    of whole training steps goes first. JAX on a processor is always ``float32``, and so are networks of volumes on any processor:
    there TensorFlow's gradient of a Conv3D kernel in bfloat16 was seen to be no number. The cause is known
    (:data:`brain_tumor.models.inflate.WRONG_IN_BFLOAT16`), but no long training has shown that it is the only one.

    Args:
        of_volumes: the network is one of volumes.
    """
    if precision == "auto":
        machine = backend.machine()
        if not machine["accelerators"] and (machine["backend"] == "jax" or of_volumes):
            return "float32"
        return _remembered(machine) or _measure_once(machine)
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}, expected auto or one of {PRECISIONS}")
    return precision


def matrix_product_seconds(dtype: str, side: int = PROBE_SIDE) -> float:
    """Best time of a few square matrix products of ``side`` in ``dtype``, on the active backend."""
    matrix = keras.ops.cast(keras.ops.convert_to_tensor(np.full((side, side), 0.5, np.float32)), dtype)
    best = float("inf")
    for _ in range(PROBE_REPEATS):
        started = time.perf_counter()
        keras.ops.convert_to_numpy(keras.ops.cast(keras.ops.matmul(matrix, matrix)[0, 0], "float32"))
        best = min(best, time.perf_counter() - started)
    return best


def _remembered(machine: dict) -> str | None:
    precision = memory.read(machine).get("precision")
    return precision if precision in PRECISIONS else None


def _measure_once(machine: dict) -> str:
    # The lock makes processes that start together agree: the second one reads what the first one measured.
    with files.locked(memory.file(machine).with_suffix(".lock")):
        precision = _remembered(machine)
        if precision is None:
            seconds = _measure()
            faster = seconds["float32"] > WORTHWHILE_GAIN * seconds["bfloat16"]
            precision = "mixed_bfloat16" if faster else "float32"
            memory.write(machine, precision=precision, matrix_product_seconds=seconds)
    return precision


def _measure() -> dict[str, float]:
    """Seconds of a matrix product by format, taken in turns, so that another job on the machine slows both formats alike."""
    turns = [{name: matrix_product_seconds(name) for name in ("float32", "bfloat16")} for _ in range(PROBE_TURNS)]
    return {name: min(turn[name] for turn in turns) for name in turns[0]}
