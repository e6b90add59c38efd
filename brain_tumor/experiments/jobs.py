"""Work for several processes side by side, each on a core of its own.

Two networks on a core each learn faster than one after the other on both: 52 slices a second against 35 (ResNet-18, 128 px,
batches of 16, bfloat16, TensorFlow, two cores, measured in one sitting): small operations gain nothing from a second core.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from brain_tumor.errors import RunError

ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}  # read when a backend is first used
PATIENCE = 5.0  # seconds that a process has to stop after it was told to; each is told again, then killed
TIMES_TOLD = 6
STOPPED = 130  # as a shell calls what Ctrl-C has ended

_busy = False  # whether this process is one of those at work, and at it


def side_by_side(work: Callable, tasks: Sequence[tuple], workers: int) -> Iterator:
    """``work(*task)`` of every task, whichever ends first; results and tasks must be picklable, ``work`` a module's function.

    Ctrl-C reaches this process alone, which stops the others: in them it is a ``KeyboardInterrupt`` like any other.

    Args:
        workers: how many processes; each is fresh, shows no bars, and is bound to a core where the system can.

    Raises:
        RunError: a process has died.
        Whatever ``work`` raises, and the tasks that have not begun are dropped; those under way end first.
    """
    fresh = multiprocessing.get_context("spawn")  # a fork of a process whose backend runs threads may hang
    cores = fresh.SimpleQueue()
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [None]
    for number in range(workers):
        cores.put(usable[number % len(usable)])
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, fresh, _settle, (cores,))
    try:
        with _deaf_to_ctrl_c():
            begun = [pool.submit(_at_work, work, *task) for task in tasks]
        for ended in as_completed(begun):
            yield ended.result()
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        _stop(set(multiprocessing.active_children()) - others)
        raise
    except BrokenProcessPool:
        raise RunError(f"one of {workers} processes side by side has died, as one does that memory is short for") from None
    finally:
        pool.shutdown(cancel_futures=True)


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


def _stop(processes: set) -> None:
    """Told several times, since an interrupt that falls into a callback of a backend is lost there."""
    try:
        for _ in range(TIMES_TOLD):
            for process in processes:
                if process.is_alive():
                    process.terminate()
            for process in processes:
                process.join(PATIENCE / len(processes))
            if not any(process.is_alive() for process in processes):
                return
    finally:
        for process in processes:
            process.kill()


def _settle(cores) -> None:
    """In a fresh process, before a backend is loaded."""
    os.environ.update(ONE_THREAD, BRAIN_TUMOR_QUIET="1", TF_CPP_MIN_LOG_LEVEL="3")
    signal.signal(signal.SIGTERM, _leave)
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)  # backends write notes past it while they load, for each process anew
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    core = cores.get()
    if core is not None:
        os.sched_setaffinity(0, {core})


def _at_work(work: Callable, *task):
    """The task; told to stop, the process ends with it, once ``work`` has written what it leaves behind."""
    global _busy
    _busy = True
    try:
        return work(*task)
    except KeyboardInterrupt:
        os._exit(STOPPED)
    finally:
        _busy = False


def _leave(*_) -> None:
    if not _busy:
        os._exit(STOPPED)
    raise KeyboardInterrupt
