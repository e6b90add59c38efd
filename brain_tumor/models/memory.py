"""What the home remembers of this machine: which number format, how many threads and which batches are fast on it.

One JSON file for each machine and each version of Keras and its backend (:func:`brain_tumor.models.backend.machine`). It may be
removed; one that is damaged or of another machine counts for nothing. :mod:`brain_tumor.models.precision` writes the format when
it is first asked for, ``brain-tumor bench --remember`` all of it. Importing this module does not load Keras.
"""

import functools
import os
from pathlib import Path
from typing import Any

from brain_tumor import files
from brain_tumor.models import backend
from brain_tumor.paths import data_folder


def file(machine: dict) -> Path:
    """Where the home remembers a machine."""
    return data_folder() / "cache" / f"machine-{files.sha256_json(machine)[:12]}.json"


def read(machine: dict) -> dict[str, Any]:
    """What is remembered of a machine, by name; nothing where the file is missing, damaged or of another machine."""
    try:
        facts = files.read_json(file(machine))
    except (OSError, ValueError):
        return {}
    return facts if facts.get("machine") == machine else {}


def write(machine: dict, **facts: Any) -> Path:
    """Remember these facts of a machine beside the others, and return the file."""
    path = file(machine)
    files.write_json(path, read(machine) | {"machine": machine} | facts)
    return path


def batch_size() -> int | None:
    """How many slices a step are fastest on this machine, or None where that is not known; Keras must be loaded."""
    return _count("batch_size", read(backend.machine()))


@functools.cache
def take_threads() -> None:
    """Let TensorFlow compute with as many threads as are remembered; once a process, before its first operation.

    The user's ``TF_NUM_INTRAOP_THREADS`` goes first. So does another number of cores than the one that was measured on, as of a
    process that is bound to one of them.
    """
    if backend.name() != "tensorflow" or os.environ.get("TF_NUM_INTRAOP_THREADS"):
        return
    facts = read(backend.machine())
    threads = _count("threads", facts)
    if threads and facts.get("cores") == backend.cores():
        backend.take_threads(threads)


def _count(name: str, facts: dict[str, Any]) -> int | None:
    """A number of things; None where there is none."""
    number = facts.get(name)
    return number if type(number) is int and number > 0 else None
