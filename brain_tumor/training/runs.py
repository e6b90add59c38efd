"""The run folder: everything one training leaves behind, as plain files that other tools open.

``run.json`` (what ran, on what, how it ended), ``history.csv`` (a row an epoch), ``model.json`` + ``model.weights.h5``, and
while training a ``checkpoint-<epoch>/`` from which it resumes exactly: weights, optimiser variables and the epoch, in one atomic
folder. The next one is whole before the last is removed, so there is one whenever a kill comes.

While a process trains it holds the file ``.lock``, and ``owner.json`` beside it says which process and on which machine. The
operating system frees the lock when the process ends, however it ends: so a killed run is known, and resumed by the same command.
"""

import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import pandas as pd
from filelock import FileLock, Timeout

from brain_tumor import __version__, files
from brain_tumor.errors import FileError, RunError
from brain_tumor.evaluation import storage
from brain_tumor.evaluation.storage import HISTORY
from brain_tumor.models import backend
from brain_tumor.paths import commit, runs_folder
from brain_tumor.training.averages import Averages
from brain_tumor.training.checkpoints import Checkpoint

DESCRIPTION, CHECKPOINT = "run.json", "checkpoint"
TRAINED = ("recipe", "phantom", "data_hash")  # what `run.json` holds, besides, of every run of a recipe
ANEW = "copy it again, or remove its folder and train the run anew"
RECORDED_PACKAGES = ("keras", "tensorflow-cpu", "tensorflow", "jax", "numpy", "opencv-python-headless", "segmentation-models")
LOCK, OWNER = ".lock", "owner.json"
LOCK_SECONDS = 1.0  # a process that only looks whether the lock is free holds it for less


@dataclass(frozen=True)
class RunFolder:
    """One run's folder; its state is on disk, so any process may look at it."""

    path: Path

    @property
    def description(self) -> dict:
        """``run.json``.

        Raises:
            RunError: there is no such run, or the file is damaged.
        """
        return self.facts()

    def facts(self, *names: str) -> dict:
        """``run.json``, which must hold these names.

        Raises:
            RunError: there is no such run, or the file is damaged or another program's.
        """
        try:
            return files.read_json(self.path / DESCRIPTION, names)
        except FileNotFoundError:
            raise RunError(f"{self.path}: no such run (no {DESCRIPTION})") from None
        except FileError as error:
            raise RunError(f"{error}; {ANEW}") from None

    @property
    def exists(self) -> bool:
        return (self.path / DESCRIPTION).is_file()

    @property
    def status(self) -> str:
        """``absent``, ``running``, ``stopped``, ``failed``, ``finished``, ``interrupted`` or ``running on HOST``.

        A run is ``interrupted`` where the process that trained it was killed on this machine. Of a process on another machine
        nobody here knows whether it lives.
        """
        status = self.facts("status")["status"] if self.exists else "absent"
        if status != "running":
            return status
        host = self._owner.get("host", platform.node())
        if host != platform.node():
            return f"running on {host}"
        return "interrupted" if self._lock_is_free() else "running"

    def update(self, **changes: Any) -> None:
        """Change fields of ``run.json``."""
        files.write_json(self.path / DESCRIPTION, {**(self.description if self.exists else {}), **changes})

    @contextmanager
    def under_way(self, **facts: Any) -> Iterator[None]:
        """Own the folder, write ``facts`` to ``run.json``, and at the end whether the training finished, stopped or failed.

        ``training_seconds`` adds up over the calls of a resumed run; of one that was killed, its whole epochs count.

        Raises:
            RunError: another process trains into this folder, or has just finished.
        """
        with self._owned():
            if self.status == "finished":
                raise RunError(f"{self.path}: another process has just finished this run; the same command now uses it")
            self.update(status="running", **facts)
            with self._timed():
                yield

    @contextmanager
    def _owned(self) -> Iterator[None]:
        """Hold the lock of this folder; ``owner.json`` stays behind only where the process is killed."""
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / LOCK)
        try:
            lock.acquire(timeout=LOCK_SECONDS)
        except Timeout:
            owner = self._owner
            process = f"process {owner['pid']} on {owner['host']}" if owner else "another process"
            raise RunError(f"{self.path}: {process} trains this run now; wait for it or stop it") from None
        try:
            files.write_json(self.path / OWNER, {"pid": os.getpid(), "host": platform.node()})
            yield
        finally:
            (self.path / OWNER).unlink(missing_ok=True)
            lock.release()

    @property
    def _owner(self) -> dict:
        """The process and machine that train this run, or trained it until a kill."""
        try:
            return files.read_json(self.path / OWNER, ("pid", "host"))
        except (FileNotFoundError, FileError):
            return {}

    def _lock_is_free(self) -> bool:
        if not (self.path / LOCK).exists():
            return True
        try:
            with FileLock(self.path / LOCK, timeout=0):
                return True
        except (Timeout, PermissionError):  # held, or another user's, whose lock only that user may try
            return False

    @contextmanager
    def _timed(self) -> Iterator[None]:
        epochs = sum(row.get("seconds", 0.0) for row in self.read_checkpoint()[1])
        begun, earlier, ending = time.monotonic(), max(self.description.get("training_seconds", 0.0), epochs), "failed"
        try:
            yield
            ending = "finished"
        except KeyboardInterrupt:
            ending = "stopped"
            raise
        finally:
            self.update(status=ending, ended=now(), training_seconds=round(earlier + time.monotonic() - begun, 1))

    @property
    def history(self) -> pd.DataFrame:
        """A row an epoch: ``epoch, stage, loss``, ``dice`` or ``accuracy``, those of validation, ``learning_rate, seconds``."""
        path = self.path / HISTORY
        return storage.read_table(path) if path.is_file() else pd.DataFrame()

    @property
    def epochs(self) -> int:
        """How many epochs of its training are done."""
        try:
            return len(self.history)
        except FileError:  # its training mends it, or refuses
            return 0

    def write_history(self, history: list[dict]) -> None:
        """Write ``history.csv``, the columns in the order of the newest row: a checkpoint's rows have their keys sorted."""
        with files.atomic_path(self.path / HISTORY) as temporary:
            pd.DataFrame(history, columns=list(history[-1])).to_csv(temporary, index=False)

    def mend_history(self, history: list[dict]) -> None:
        """Write ``history.csv`` anew where a half copied folder holds it damaged, or without all of these epochs."""
        try:
            whole = len(self.history) == len(history)
        except FileError:
            whole = False
        if not whole:
            self.write_history(history)

    def save_checkpoint(self, model: keras.Model, epoch: int, history: list[dict], averages: Averages | None = None) -> None:
        """Keep the history and the state after ``epoch`` epochs, then remove the checkpoint before."""
        self.write_history(history)
        Checkpoint(self.path / f"{CHECKPOINT}-{epoch:04d}").write(model, epoch, history, averages)
        self.drop_checkpoints(but=self._checkpoint)

    def read_checkpoint(self) -> tuple[int, list[dict]]:
        """Epochs done and their history; ``(0, [])`` where there is no checkpoint.

        Raises:
            RunError: the checkpoint is damaged.
        """
        if self._checkpoint is None:
            return 0, []
        state = self._checkpoint.state()
        return state["epoch"], state["history"]

    def drop_checkpoints(self, but: Checkpoint | None = None) -> None:
        """Remove checkpoints, and what a killed process left of one: each is three times the size of the model."""
        for folder in self.path.glob(f"*{CHECKPOINT}-*"):
            if but is None or folder != but.path:
                shutil.rmtree(folder, ignore_errors=True)

    @property
    def checkpoint(self) -> Checkpoint:
        """The latest checkpoint, of a run that has one."""
        assert self._checkpoint is not None
        return self._checkpoint

    @property
    def _checkpoint(self) -> Checkpoint | None:
        """The latest; an older one beside it is what a kill left."""
        folder = max(self.path.glob(f"{CHECKPOINT}-*"), default=None)
        return Checkpoint(folder) if folder else None


def find_run(name: str) -> RunFolder:
    """A run by its folder, its name, or the beginning of its name where that is enough.

    Raises:
        RunError: no such run, or several begin so.
    """
    if (Path(name) / DESCRIPTION).is_file():
        return RunFolder(Path(name))
    begun = [run for run in all_runs() if run.path.name.startswith(name)]
    matches = [run for run in begun if run.path.name == name] or begun
    if not matches and (halves := [path for path in remains() if name in (path.name, str(path))]):
        raise RunError(f"{halves[0]}: no such run (no {DESCRIPTION}); {ANEW}")
    if len(matches) != 1:
        several = f": {', '.join(run.path.name for run in matches[:3])}" if matches else "; `brain-tumor runs` lists them"
        raise RunError(f"{name}: {len(matches) or 'no'} such run{'s' if len(matches) > 1 else ''} in {runs_folder()}{several}")
    return matches[0]


def all_runs() -> list[RunFolder]:
    """Every run of this home, by name."""
    return [RunFolder(path.parent) for path in sorted(runs_folder().glob(f"*/{DESCRIPTION}")) if path.is_file()]


def remains() -> list[Path]:
    """Folders of this home that hold part of a run, but not its ``run.json``: half copied, or half removed."""
    marks = (HISTORY, "model.json", f"{CHECKPOINT}-*")
    folders = {path.parent for mark in marks for path in runs_folder().glob(f"*/{mark}")}
    return sorted(folder for folder in folders if not (folder / DESCRIPTION).is_file())


def environment() -> dict:
    """Versions, backend and machine, as far as they explain a result."""
    installed = {}
    for package in RECORDED_PACKAGES:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "backend": backend.name(),
        "brain_tumor": __version__,
        "commit": commit(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "packages": installed,
        "python": platform.python_version(),
        "threads": backend.threads(),
    }


def now() -> str:
    """The time in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
