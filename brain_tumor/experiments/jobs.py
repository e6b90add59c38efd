"""Work for several processes side by side, each on a core of its own.

Two networks on a core each learn faster than one after the other on both: 52 slices a second against 35 (ResNet-18, 128 px,
batches of 16, bfloat16, TensorFlow, two cores, measured in one sitting): small operations gain nothing from a second core.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from joblib import Parallel, delayed, parallel_config

from brain_tumor.errors import RunError

STOP_SECONDS = 5.0  # that a process has to stop after a signal; it gets several, and is killed after the last
STOP_SIGNALS = 6
STOPPED = 130  # as a shell calls what Ctrl-C has ended

_busy = False  # whether this process is one of those at work, and at it


def side_by_side(work: Callable, tasks: Sequence[tuple], workers: int) -> Iterator:
    """``work(*task)`` of every task, whichever ends first; results and tasks must be picklable, ``work`` a module's function.

    Ctrl-C stops every process: in ``work`` it is a ``KeyboardInterrupt`` like any other.

    Args:
        workers: how many processes; each is fresh, shows no bars, and is bound to a core where the system can.

    Raises:
        RunError: a process has died.
        Whatever ``work`` raises; every other task is then stopped as by Ctrl-C.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    # joblib gives its processes to the next call with equal arguments, so each call says when it was made. Where one is enough,
    # it makes none and works in this very process, so there are two then, and `pre_dispatch` lets one of them work.
    with parallel_config("loky", inner_max_num_threads=1, initializer=_settle, initargs=(cores, time.monotonic())):
        parallel = Parallel(max(workers, 2), return_as="generator_unordered", pre_dispatch=workers, batch_size=1, max_nbytes=None)
    others, answers = set(multiprocessing.active_children()), None
    try:
        with _stop_all_but(others):
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
def _stop_all_but(others: set) -> Iterator[None]:
    """Stop all processes but ``others`` at the end of the block, and on Ctrl-C before joblib hears of it and kills them."""

    def stop() -> None:
        processes = set(multiprocessing.active_children()) - others
        for _ in range(STOP_SIGNALS):  # an interrupt that falls into a callback of a backend is lost there
            for process in processes:
                if process.is_alive():
                    process.terminate()
            for process in processes:
                process.join(STOP_SECONDS / len(processes))

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


def _settle(cores: list[int], _when: float) -> None:
    """In a fresh process, before a backend is loaded."""
    os.environ.update(TF_NUM_INTRAOP_THREADS="1", BRAIN_TUMOR_QUIET="1", TF_CPP_MIN_LOG_LEVEL="3")
    signal.signal(signal.SIGTERM, _leave)
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)  # backends write notes past it while they load, for each process anew
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    if cores:
        number = int(multiprocessing.current_process().name.rpartition("-")[2])  # processes are numbered in order
        os.sched_setaffinity(0, {cores[number % len(cores)]})


def _at_work(work: Callable, *task: Any) -> tuple:
    """The task's result and None, or None and what it raised; joblib would kill the others if the task itself raised it.

    Told to stop, the process ends with the task, once ``work`` has written what it leaves behind.
    """
    global _busy
    _busy = True
    try:
        return work(*task), None
    except KeyboardInterrupt:
        os._exit(STOPPED)
    except Exception as error:
        error.add_note(traceback.format_exc())
        return None, error
    finally:
        _busy = False


def _leave(*_: object) -> None:
    if not _busy:
        os._exit(STOPPED)
    raise KeyboardInterrupt
