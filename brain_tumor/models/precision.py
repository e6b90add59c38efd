"""Number formats: chosen for this machine by one measurement, which the home remembers (DESIGN law 6)."""

import time
from pathlib import Path

import keras
import numpy as np

from brain_tumor import files
from brain_tumor.models import backend
from brain_tumor.models.architectures import PRECISIONS
from brain_tumor.paths import data_folder

PROBE_SIDE, PROBE_REPEATS, PROBE_TURNS = 1024, 3, 4
WORTHWHILE_GAIN = 1.2  # below this the coarser numbers are not worth it


def resolve(precision: str = "auto") -> str:
    """The number format that ``precision`` means on this machine.

    ``auto`` is ``mixed_bfloat16`` where matrix products are :data:`WORTHWHILE_GAIN` times as fast in it, else ``float32``. They
    are timed once for each machine and each version of Keras and its backend; later calls read :func:`memory_file`, so that a
    busy machine cannot change a run. JAX on a processor is always ``float32``.
    """
    if precision == "auto":
        machine = backend.machine()
        if machine["backend"] == "jax" and not machine["accelerators"]:
            return "float32"
        path = memory_file(machine)
        return _read(path, machine) or _measure_once(path, machine)
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}, expected auto or one of {PRECISIONS}")
    return precision


def memory_file(machine: dict) -> Path:
    """Where the home remembers the format of a machine (:func:`brain_tumor.models.backend.machine`); it may be removed."""
    return data_folder() / "cache" / f"precision-{files.sha256_json(machine)[:12]}.json"


def matrix_product_seconds(dtype: str, side: int = PROBE_SIDE) -> float:
    """Best time of a few square matrix products of ``side`` in ``dtype``, on the active backend."""
    matrix = keras.ops.cast(keras.ops.convert_to_tensor(np.full((side, side), 0.5, np.float32)), dtype)
    best = float("inf")
    for _ in range(PROBE_REPEATS):
        started = time.perf_counter()
        keras.ops.convert_to_numpy(keras.ops.cast(keras.ops.matmul(matrix, matrix)[0, 0], "float32"))
        best = min(best, time.perf_counter() - started)
    return best


def _read(path: Path, machine: dict) -> str | None:
    """The format that ``path`` remembers; None where there is no such file, it is damaged, or it is of another machine."""
    try:
        memory = files.read_json(path)
        fits = memory["machine"] == machine and memory["precision"] in PRECISIONS
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return memory["precision"] if fits else None


def _measure_once(path: Path, machine: dict) -> str:
    # The lock makes processes that start together agree: the second one reads what the first one measured.
    with files.locked(path.with_suffix(".lock")):
        precision = _read(path, machine)
        if precision is None:
            seconds = _measure()
            faster = seconds["float32"] > WORTHWHILE_GAIN * seconds["bfloat16"]
            precision = "mixed_bfloat16" if faster else "float32"
            files.write_json(path, {"machine": machine, "precision": precision, "matrix_product_seconds": seconds})
    return precision


def _measure() -> dict[str, float]:
    """Seconds of a matrix product by format, taken in turns, so that another job on the machine slows both formats alike."""
    turns = [{name: matrix_product_seconds(name) for name in ("float32", "bfloat16")} for _ in range(PROBE_TURNS)]
    return {name: min(turn[name] for turn in turns) for name in turns[0]}
