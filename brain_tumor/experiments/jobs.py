"""Work for several processes side by side, each with its share of the cores.

Two networks on a core each learn faster than one after the other on both: 52 slices a second against 35 (ResNet-18, 128 px,
batches of 16, bfloat16, TensorFlow, two cores, measured in one sitting): small operations gain nothing from a second core.
"""

import itertools
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from joblib import Parallel, cpu_count, delayed, parallel_config

from brain_tumor.errors import RunError
from brain_tumor.models import backend

STOP_SECONDS = 5.0  # that a process has to stop after a signal; it gets several, and is killed after the last
STOP_SIGNALS = 6
STOPPED = 130  # as a shell calls what Ctrl-C has ended

_busy = False  # whether this process is one of those at work, and at it
_note = Path()  # the file by which such a process says that it has stopped


def usable_cores() -> int:
    """How many cores this process may use, by the system, its container and what its backend was told."""
    return min(cpu_count(), backend.threads()["intra_op"])


def threads_each(workers: int) -> int:
    """How many threads each of so many processes has, and as many cores: the same for all, since bits depend on it."""
    return max(1, usable_cores() // workers)


def shares(cores: Sequence[int], workers: int) -> list[set[int]]:
    """The cores that each of so many processes is bound to, as many as it has threads; none where ``cores`` names none."""
    threads = threads_each(workers)
    return [{cores[(first + n) % len(cores)] for n in range(threads)} for first in range(0, workers * threads, threads) if cores]


def side_by_side(work: Callable, tasks: Sequence[tuple], workers: int) -> Iterator:
    """``work(*task)`` of every task, whichever ends first; results and tasks must be picklable, ``work`` a module's function.

    Ctrl-C stops every process: in ``work`` it is a ``KeyboardInterrupt`` like any other.

    Args:
        workers: how many processes; each is fresh, shows no bars, has :func:`threads_each`, and is bound to as many cores where
            the system can.

    Raises:
        RunError: a process has died.
        Whatever ``work`` raises; every other task is then stopped as by Ctrl-C.
    """
    with tempfile.TemporaryDirectory() as notes:
        yield from _side_by_side(work, tasks, workers, Path(notes))


def _side_by_side(work: Callable, tasks: Sequence[tuple], workers: int, notes: Path) -> Iterator:
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    settings = threads_each(workers), shares(cores, workers), notes
    # joblib gives its processes to the next call with equal arguments; a folder of its own makes each call another. Where one
    # process is enough, it makes none and works in this very one, so there are two then; `pre_dispatch` lets one of them work.
    with parallel_config("loky", inner_max_num_threads=settings[0], initializer=_settle, initargs=settings):
        parallel = Parallel(max(workers, 2), return_as="generator_unordered", pre_dispatch=workers, batch_size=1, max_nbytes=None)
    others, answers = set(multiprocessing.active_children()), None
    try:
        with _stop_all_but(others, notes):
            with _deaf_to_ctrl_c():
                answers = parallel(delayed(_at_work)(work, *task) for task in tasks)
            for result, error in answers:
                if error is not None:
                    raise error
                yield result
    except BrokenProcessPool:
        raise RunError(f"one of {workers} processes side by side has died, as one does that memory is short for") from None
    finally:
        if answers is not None:
            with warnings.catch_warnings(action="ignore"):  # joblib warns of the tasks that were just stopped on purpose
                answers.close()  # which kills a process that did not stop


@contextmanager
def _stop_all_but(others: set, notes: Path) -> Iterator[None]:
    """Stop all processes but ``others`` at the end of the block, and on Ctrl-C before joblib hears of it and kills them.

    joblib kills all of them as soon as one has ended. So each first ends its task and leaves a note; only then do they end.
    """

    def stop() -> None:
        processes = set(multiprocessing.active_children()) - others
        for _ in range(STOP_SIGNALS):  # an interrupt that falls into a callback of a backend is lost there
            _terminate(process for process in processes if not _has_stopped(process, notes))
            until = time.monotonic() + STOP_SECONDS
            while time.monotonic() < until and not all(_has_stopped(process, notes) for process in processes):
                time.sleep(0.02)
        _terminate(processes)
        for process in processes:
            process.join(STOP_SECONDS)

    def stop_and_interrupt(*_signal: object) -> None:
        stop()
        raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()  # no other thread hears of signals
    earlier = signal.signal(signal.SIGINT, stop_and_interrupt) if in_main else None
    try:
        yield
    finally:
        stop()
        if in_main:
            signal.signal(signal.SIGINT, earlier)


def _has_stopped(process: BaseProcess, notes: Path) -> bool:
    return (notes / str(process.pid)).exists() or not process.is_alive()


def _terminate(processes: Iterable[BaseProcess]) -> None:
    for process in processes:
        if process.is_alive():
            process.terminate()


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes that are begun within never hear it: it would reach them amid their imports. Here it is heard afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


def _settle(threads: int, cores: list[set[int]], notes: Path) -> None:
    """In a fresh process, before a backend is loaded."""
    global _note
    _note = notes / str(os.getpid())
    limits = dict.fromkeys(itertools.chain(*backend.THREADS.values()), str(threads))
    os.environ.update(limits, BRAIN_TUMOR_QUIET="1", TF_CPP_MIN_LOG_LEVEL="3")
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # the caller alone hears Ctrl-C; two interrupts would cut short what `work` writes as it stops
    signal.signal(signal.SIGTERM, _leave)
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)  # backends write notes past it while they load, for each process anew
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    if cores:
        number = int(multiprocessing.current_process().name.rpartition("-")[2])  # processes are numbered in order
        os.sched_setaffinity(0, cores[number % len(cores)])


def _at_work(work: Callable, *task: Any) -> tuple:
    """The task's result and None, or None and what it raised; joblib would kill the others if the task itself raised it.

    Told to stop, the task ends once ``work`` has written what it leaves behind; the process ends when it is told again.
    """
    global _busy
    _busy = True
    try:
        if _note.exists():
            raise KeyboardInterrupt
        return work(*task), None
    except KeyboardInterrupt:
        _busy = False
        _note.touch()
        time.sleep(STOP_SIGNALS * STOP_SECONDS)
        os._exit(STOPPED)
    except Exception as error:
        error.add_note(traceback.format_exc())
        return None, error
    finally:
        _busy = False


def _leave(*_: object) -> None:
    if _busy:
        raise KeyboardInterrupt
    if _note.exists():
        os._exit(STOPPED)
    _note.touch()
