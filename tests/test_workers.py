"""Processes side by side: every task is answered once, each process has one thread, and a failure ends the rest."""

import os

import pytest

from brain_tumor.workers import side_by_side


def test_every_task_is_answered_once():
    assert sorted(side_by_side(pow, [(2, n) for n in range(6)], 2)) == [1, 2, 4, 8, 16, 32]


def test_a_process_is_told_to_use_one_thread_on_one_core():
    assert list(side_by_side(os.getenv, [("OMP_NUM_THREADS",), ("BRAIN_TUMOR_QUIET",)], 1)) == ["1", "1"]
    if hasattr(os, "sched_getaffinity"):
        (cores,) = side_by_side(os.sched_getaffinity, [(0,)], 1)
        assert len(cores) == 1 < 1 + len(os.sched_getaffinity(0))
    assert os.getenv("OMP_NUM_THREADS") == os.environ.get("OMP_NUM_THREADS"), "this process keeps its own"


def test_what_work_raises_is_raised_here():
    with pytest.raises(ValueError, match="invalid literal"):
        list(side_by_side(int, [("1",), ("x",)], 1))
