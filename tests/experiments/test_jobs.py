"""Processes side by side: every task is answered once, each process has its share of the cores, a failure ends the rest."""

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from brain_tumor.errors import RunError
from brain_tumor.experiments import jobs
from brain_tumor.experiments.jobs import shares, side_by_side, threads_each


def test_every_task_is_answered_once():
    assert sorted(side_by_side(pow, [(2, n) for n in range(6)], 2)) == [1, 2, 4, 8, 16, 32]


def test_cores_are_shared_evenly(monkeypatch):
    monkeypatch.setattr(jobs, "usable_cores", lambda: 4)
    assert [threads_each(workers) for workers in (1, 2, 3, 4, 8)] == [4, 2, 1, 1, 1]
    assert shares([0, 1, 2, 3], 2) == [{0, 1}, {2, 3}]
    assert shares([4, 5, 6, 7], 3) == [{4}, {5}, {6}], "as many threads each, since bits depend on it"
    assert shares([0, 1], 3) == [{0}, {1}, {0}]
    assert shares([], 2) == [], "the system does not bind"


def test_the_threads_that_a_backend_was_told_to_use_limit_the_cores(monkeypatch):
    monkeypatch.setattr(jobs.backend, "threads", lambda: {"intra_op": 1})
    assert jobs.usable_cores() == 1
    monkeypatch.setattr(jobs.backend, "threads", lambda: {"intra_op": 10**6})
    assert 1 <= jobs.usable_cores() <= os.cpu_count()


def test_a_process_is_told_its_share_and_bound_to_it(monkeypatch):
    monkeypatch.setattr(jobs, "usable_cores", lambda: 2)
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "PJRT_NPROC", "NPROC", "BRAIN_TUMOR_QUIET")
    assert list(side_by_side(os.getenv, [(name,) for name in names], 2)) == ["1"] * 5
    if hasattr(os, "sched_getaffinity"):
        for cores in side_by_side(os.sched_getaffinity, [(0,), (0,)], 2):
            assert len(cores) == 1 and cores <= os.sched_getaffinity(0)


def test_the_process_that_asks_keeps_its_threads_and_cores(monkeypatch):
    monkeypatch.setattr(jobs, "usable_cores", lambda: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    assert list(side_by_side(os.getenv, [("OMP_NUM_THREADS",)], 2)) == ["2"]
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert cores is None or os.sched_getaffinity(0) == cores


def test_what_work_raises_is_raised_here():
    with pytest.raises(ValueError, match="invalid literal"):
        list(side_by_side(int, [("1",), ("x",)], 1))


UNEVEN = """
import time
from pathlib import Path

def uneven(note, fails):
    if fails:
        while not Path(note).exists():
            time.sleep(0.05)
        raise ValueError("one task fails")
    try:
        Path(note).write_text("begun")
        time.sleep(120)
    except KeyboardInterrupt:
        Path(note).write_text("stopped")
        raise
"""


def test_a_failure_stops_the_others_as_ctrl_c_does(tmp_path, monkeypatch, recwarn):
    (tmp_path / "uneven.py").write_text(UNEVEN)
    monkeypatch.syspath_prepend(tmp_path)
    uneven, note = importlib.import_module("uneven").uneven, tmp_path / "note"
    with pytest.raises(ValueError, match="one task fails") as error:
        list(side_by_side(uneven, [(str(note), False), (str(note), True)], 2))
    assert "uneven.py" in error.value.__notes__[0], "where it happened, in the other process"
    assert note.read_text() == "stopped"
    assert [str(warning.message) for warning in recwarn if "joblib" in warning.filename] == []


def test_a_process_that_dies_is_told_in_words():
    with pytest.raises(RunError, match="one of 2 processes side by side has died"):
        list(side_by_side(os._exit, [(3,), (3,)], 2))


TASK = """
import time
from pathlib import Path

def at_length(folder, number):
    path = Path(folder) / str(number)
    try:  # from here on, for the test looks only whether the file is there
        path.write_text("begun")
        time.sleep(120)
    except KeyboardInterrupt:
        time.sleep(number % 2)  # the one that is done first must not take the other with it
        path.write_text("stopped")
        raise

if __name__ == "__main__":
    import sys
    import at_length
    from brain_tumor.experiments.jobs import side_by_side

    try:
        list(side_by_side(at_length.at_length, [(sys.argv[1], number) for number in range(4)], 2))
    except KeyboardInterrupt:
        print("stopped")
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="Windows sends Ctrl-C otherwise")
def test_ctrl_c_stops_those_under_way_and_begins_no_other(tmp_path):
    (tmp_path / "at_length.py").write_text(TASK)
    notes = tmp_path / "notes"
    notes.mkdir()
    command = [sys.executable, str(tmp_path / "at_length.py"), str(notes)]
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[1]}"}
    asked = subprocess.Popen(
        command, env=environment, start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        while len(list(notes.iterdir())) < 2 and asked.poll() is None:
            time.sleep(0.1)
        os.killpg(asked.pid, signal.SIGINT)  # as a terminal does: to all of them
        said, _ = asked.communicate(timeout=100)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(asked.pid, signal.SIGKILL)
    assert said == "stopped\n", "one word, no traceback of another process"
    assert [path.read_text() for path in notes.iterdir()] == ["stopped"] * 2
