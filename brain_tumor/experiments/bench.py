"""Which number format, how many threads and which batch train fastest on this machine: measured, not guessed.

TensorFlow fixes its threads when it starts, so each number of threads has a process of its own. All are asked in turns, round
after round, so that another job on the machine slows all of them alike, and each number is the median of its rounds. Importing
this module does not load Keras: a process says its threads first.
"""

import multiprocessing
import os
import signal
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from brain_tumor.errors import RunError
from brain_tumor.models import backend, memory
from brain_tumor.models.architectures import PRECISIONS
from brain_tumor.progress import Bar

BATCH_SIZES = (8, 16, 32)
ROUNDS = 5
ENOUGH = 0.95  # of the highest rate: a smaller batch that reaches it takes more steps on as many slices, so it learns more


@dataclass(frozen=True)
class Rate:
    """Slices a second of training steps.

    Attributes:
        threads: of TensorFlow for one operation; None where it has an accelerator, and of JAX.
    """

    precision: str
    threads: int | None
    batch_size: int
    slices_per_second: float


def measure(
    precisions: Sequence[str], threads: Sequence[int | None], batch_sizes: Sequence[int] = BATCH_SIZES, rounds: int = ROUNDS
) -> list[Rate]:
    """The rate of every combination.

    Args:
        precisions, threads: such as :func:`choices` gives.
    """
    settings = [(precision, number, size) for precision in precisions for number in threads for size in batch_sizes]
    rates: dict[tuple, list[float]] = {setting: [] for setting in settings}
    with ExitStack() as stack, Bar("measuring", rounds * len(settings)) as bar:
        ask = {number: stack.enter_context(process(number)) for number in threads}
        for _ in range(rounds):
            for precision, number, size in settings:
                rates[precision, number, size].append(ask[number](_rate, precision, size))
                bar.advance()
    return [Rate(*setting, round(statistics.median(rates[setting]), 2)) for setting in settings]


def choices() -> tuple[tuple[str, ...], tuple[int | None, ...]]:
    """The number formats and the numbers of threads that this machine has a choice of; Keras must be loaded."""
    machine = backend.machine()
    if machine["accelerators"]:
        return PRECISIONS, (None,)
    if machine["backend"] == "jax":
        return ("float32",), (None,)  # all that precision "auto" takes there
    return PRECISIONS, tuple(sorted({1, backend.cores()}))


def best(rates: Sequence[Rate]) -> Rate:
    """What to take: bfloat16 where it is worthwhile, then the fastest threads, then the smallest batch that is fast enough."""
    from brain_tumor.models.precision import WORTHWHILE_GAIN

    def speed(rate: Rate) -> float:
        return rate.slices_per_second

    exact = [rate for rate in rates if rate.precision == "float32"]
    fastest = max(rates, key=speed)
    if exact and speed(fastest) <= WORTHWHILE_GAIN * max(map(speed, exact)):
        fastest = max(exact, key=speed)
    alike = [rate for rate in rates if (rate.precision, rate.threads) == (fastest.precision, fastest.threads)]
    return min((rate for rate in alike if speed(rate) >= ENOUGH * speed(fastest)), key=lambda rate: rate.batch_size)


def remember(rates: Sequence[Rate], choice: Rate) -> Path:
    """Write what was chosen, and what was measured, into the home's memory of this machine; returns the file."""
    facts = {name: value for name, value in asdict(choice).items() if name != "slices_per_second"}
    return memory.write(backend.machine(), **facts, cores=backend.cores(), rates=[asdict(rate) for rate in rates])


@contextmanager
def process(threads: int | None) -> Iterator[Callable[..., Any]]:
    """``ask(function, *arguments)`` in a fresh process whose backend has so many threads; None: in this one.

    An accelerator has room for one process only, and nothing to say about threads.

    Raises:
        RunError: the process has died.
    """
    if threads is None:
        yield lambda function, *arguments: function(*arguments)
        return
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, fresh, initializer=_settle, initargs=(threads,)) as pool:
        try:
            yield lambda function, *arguments: pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            raise RunError(f"a process of {threads} threads has died, as one does that memory is short for") from None


def _settle(threads: int) -> None:
    """In a fresh process, before a backend is loaded."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller hears Ctrl-C, and ends this process
    number = str(threads)
    os.environ.update(TF_NUM_INTRAOP_THREADS=number, OMP_NUM_THREADS=number)


def _rate(precision: str, batch_size: int) -> float:
    backend.load_keras()
    from brain_tumor.training import rates

    return rates.rate(precision, batch_size)
