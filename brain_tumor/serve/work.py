"""One exam after the other: a queue of bounded length, and one thread that predicts."""

import queue
import secrets
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from brain_tumor.errors import BrainTumorError, UnfamiliarError
from brain_tumor.serve.limits import Limits, Refusal

SWEEP_SECONDS = 20.0  # after which old answers are looked for where nothing else happens
Progress = Callable[[float], None]


class Job:
    """An exam that waits, is predicted, or was.

    Attributes:
        key: how a page asks for it.
        share: how much of it is done, 0 to 1.
        answer: what came of it; None until then.
        refusal: why nothing came of it.
        ended: set when either is there.
    """

    def __init__(self, compute: Callable[[Progress], Any], seconds: float):
        self.key = secrets.token_urlsafe(16)
        self.compute, self.deadline = compute, time.monotonic() + seconds
        self.share, self.started, self.born = 0.0, False, time.monotonic()
        self.answer: Any = None
        self.refusal: Refusal | None = None
        self.ended = threading.Event()

    @property
    def size(self) -> int:
        """The bytes that its answer holds."""
        return getattr(self.answer, "nbytes", 0)

    def progress(self, share: float) -> None:
        """Note how much is done; stop where it takes too long.

        Raises:
            Refusal: the time is over.
        """
        self.share = share
        if time.monotonic() > self.deadline:
            raise Refusal(503, "timeout", "This exam took too long; try again when the server is less busy.")

    def run(self) -> None:
        """Compute the answer, or note why there is none; never raises."""
        self.started = True
        try:
            self.progress(0.0)
            self.answer = self.compute(self.progress)
        except Refusal as refusal:
            self.refusal = refusal
        except UnfamiliarError as error:
            self.refusal = Refusal(422, "unfamiliar", f"{error}.")
        except BrainTumorError as error:
            self.refusal = Refusal(422, "unreadable", f"{error}.")
        except MemoryError:
            self.refusal = Refusal(413, "too_large", "This exam is too large for this server.")
        except Exception:
            traceback.print_exc()
            self.refusal = Refusal(500, "failed", "This exam could not be predicted; the fault is ours, and it was written down.")
        finally:
            del self.compute  # with the upload that it holds
            self.share = 1.0
            self.ended.set()


class Worker:
    """Predicts what is handed in, in turn, and keeps the newest answers of the page for a while."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self._waiting: queue.Queue[Job] = queue.Queue(limits.waiting)
        self._answers: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        threading.Thread(target=self._work, name="predict", daemon=True).start()

    def submit(self, compute: Callable[[Progress], Any], keep: bool = False) -> Job:
        """Hand in a computation.

        Args:
            keep: its answer is asked for later, by its key.

        Raises:
            Refusal: too many are waiting.
        """
        job = Job(compute, self.limits.seconds)
        try:
            self._waiting.put_nowait(job)
        except queue.Full:
            raise Refusal(503, "busy", "Too many exams are waiting; try again in a minute.") from None
        if keep:
            with self._lock:
                self._answers[job.key] = job
                self._forget_old()
        return job

    def answer(self, compute: Callable[[Progress], Any]) -> Any:
        """Hand in a computation and wait for its answer.

        Raises:
            Refusal: it was refused, too many are waiting, or it took too long.
        """
        job = self.submit(compute)
        if not job.ended.wait(self.limits.seconds + 1):
            job.deadline = 0.0
            raise Refusal(503, "timeout", "This exam took too long; try again when the server is less busy.")
        if job.refusal:
            raise job.refusal
        return job.answer

    def find(self, key: str) -> Job:
        """A kept job.

        Raises:
            Refusal: there is none, or it was forgotten.
        """
        with self._lock:
            self._forget_old()
            job = self._answers.get(key)
        if job is None:
            raise Refusal(404, "forgotten", "This answer is not here any more; answers are kept for a quarter of an hour.")
        return job

    def forget(self, key: str) -> None:
        """Drop a kept answer; an exam that is not predicted yet never will be."""
        with self._lock:
            job = self._answers.pop(key, None)
        if job:
            job.deadline = 0.0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._waiting.qsize()

    def _forget_old(self) -> None:
        oldest = time.monotonic() - self.limits.answer_seconds
        size = sum(job.size for job in self._answers.values())
        for key, job in list(self._answers.items()):
            crowded = len(self._answers) > self.limits.answers or (size > self.limits.answer_bytes and len(self._answers) > 1)
            if crowded or job.born < oldest:
                size -= job.size
                del self._answers[key]

    def _work(self) -> None:
        while True:
            try:
                job = self._waiting.get(timeout=min(SWEEP_SECONDS, self.limits.answer_seconds))
            except queue.Empty:
                pass
            else:
                job.run()
                del job  # its upload is not held until the next one comes
            with self._lock:  # also where nobody asks for anything
                self._forget_old()
