"""How many trainings run side by side where nobody says it: as many as cores, memory and the work itself call for.

The number of processes decides how many threads each has, and so the last bits of what it trains
(:func:`brain_tumor.experiments.jobs.threads_each`). What was begun with one number therefore goes on with it.
"""

import math
import os
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import RunWarning
from brain_tumor.experiments.jobs import usable_cores
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.experiments.run import build
from brain_tumor.models import backend, settings

# Pixels of slices, over all epochs of all trainings, below which processes cost more time than they save: a ResNet-18 learns so
# many in a minute on two cores, of which two processes save a third, and to load TensorFlow takes them some ten seconds.
WORTHWHILE_PIXELS = 2**25
# The resident memory of a process that trains and then scores: at its peak 1 to 28 % below this estimate in each of ten trainings
# (unet-resnet18 and 50, resunet, resnet18 and 50, plain; 64 to 256 px; batches of 16 and 32; float32; TensorFlow 2.21), such as
# unet-resnet18 at 128 px with 2.8 GB and resunet with 1.7. It takes less in bfloat16 and on JAX. Real exams add 0.3 GB when they
# are scored; that is as much as the processes share of what was counted, their libraries.
BYTES, BYTES_OF_A_PARAMETER, BYTES_OF_AN_OUTPUT = 1_100_000_000, 90, 3.5
MEMORY, CONTAINER = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def workers(recipes: Sequence[Recipe], cohort: Cohort, asked: int | None = None, begun: int | None = None) -> int:
    """How many processes train these recipes; 1 is this process, which then trains them in turn.

    Args:
        recipes: of all trainings, those that are finished too.
        asked: the number that a person wants; None for what fits.
        begun: the number with which the same trainings were begun, where they were.

    Warns where several are asked for, but some code is the caller's own and unknown to other processes.
    """
    if code := _own_code(recipes, cohort):
        if asked and asked > 1:
            reason = f"{code} is your own code, which other processes do not know"
            warnings.warn(f"trained in turn, not {asked} side by side: {reason}", RunWarning, stacklevel=3)
        return 1
    return min(asked or begun or _fitting(recipes, cohort), len(recipes))


def training_memory(recipe: Recipe, sequences: int, regions: int = 1) -> int:
    """An estimate in bytes of what a process takes that trains and scores this recipe, on a cohort of so many sequences."""
    network = build(recipe, sequences, regions)
    outputs = sum(math.prod(layer.output.shape[1:]) for layer in network.layers)
    return round(BYTES + BYTES_OF_A_PARAMETER * network.count_params() + BYTES_OF_AN_OUTPUT * recipe.batch_size * outputs)


def available_memory() -> int:
    """Bytes that more processes can take: what Linux and a container's limit leave; elsewhere half of what the machine has."""
    try:
        available = int(re.findall(r"MemAvailable:\s+(\d+) kB", MEMORY.read_text())[0]) * 1024
    except (OSError, IndexError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2 if hasattr(os, "sysconf") else 0
    try:
        limit, used = (int((CONTAINER / name).read_text()) for name in ("memory.max", "memory.current"))
        files = int(re.findall(r"^inactive_file (\d+)", (CONTAINER / "memory.stat").read_text(), re.MULTILINE)[0])
    except (OSError, ValueError, IndexError):  # in no container, or in one without a limit
        return available
    return min(available, limit - used + files)  # the system drops files that it only caches


def _fitting(recipes: Sequence[Recipe], cohort: Cohort) -> int:
    """How many of these trainings cores and memory hold side by side, where that saves time."""
    pixels = sum(cohort.n_slices * recipe.size**2 * sum(stage.epochs for stage in recipe.stages) for recipe in recipes)
    cores = usable_cores()
    if cores == 1 or pixels < WORTHWHILE_PIXELS or backend.machine()["accelerators"]:  # which several processes share badly
        return 1
    shape = len(cohort.sequences), len(cohort.regions)
    networks = {(of.model, of.batch_size, str(of.network_arguments(*shape))): of for of in recipes}
    memory = max(training_memory(recipe, *shape) for recipe in networks.values())
    settings.clear_session()
    return max(1, min(cores, available_memory() // memory))


def _own_code(recipes: Sequence[Recipe], cohort: Cohort) -> str:
    """What of these trainings is code of the caller's, by its name; nothing where all is this package's."""
    codes: list[type | Callable] = [*{type(recipe) for recipe in recipes}, *(case.reader for case in cohort.cases[:1])]
    for code in codes:
        function = getattr(code, "func", code)  # of a partial
        if function.__module__.partition(".")[0] != __package__.partition(".")[0]:
            return getattr(function, "__name__", type(function).__name__)
    return ""
