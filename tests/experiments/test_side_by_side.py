"""Folds and members side by side in processes of their own: stopped by Ctrl-C and resumed, each is the one that trains alone."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from brain_tumor import files
from brain_tumor.experiments import crossval
from brain_tumor.training.runs import RunFolder

PROGRAM = """
import sys
from dataclasses import replace
from brain_tumor.models.backend import load_keras

load_keras()
from brain_tumor.data.phantom import open_phantom
from brain_tumor.experiments import capacity, crossval, run
from brain_tumor.experiments.recipe import Segmentation

cohort = open_phantom(patients=6, slices=(8, 12), size=64, seed=0)
recipe = Segmentation(cohort="phantom", model="resunet", size=64, epochs=40, batch_size=8, model_arguments=(("filters", (4,)),))
try:
    if sys.argv[1] == "alone":
        run.train(replace(recipe, split="fold-2-of-2"), cohort)
    elif sys.argv[1] == "member":
        run.train(replace(recipe, split="fold-2-of-2", seed=1), cohort)
    elif sys.argv[1] == "members":
        capacity.WORTHWHILE_PIXELS = 0
        run.train(replace(recipe, split="fold-2-of-2", members=2), cohort)
    else:
        crossval.cross_validate(recipe, cohort, folds=2, workers=2)
except KeyboardInterrupt:
    print("stopped")
"""


def begin(home, words, **variables):
    """The program in a process of its own, without the thread counts of the test run."""
    environment = {name: value for name, value in os.environ.items() if "THREADS" not in name}
    environment |= {"BRAIN_TUMOR_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)} | variables
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, words], env=environment, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def runs(home):
    """The runs of a home's cross-validation, and what it says of them."""
    (folder,) = crossval.all_crossvals(home / "runs")
    facts = crossval.read(folder)
    return [RunFolder(folder.parent / fold["run"]) for fold in facts["runs"]], facts


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="Windows sends Ctrl-C otherwise")
def test_stopped_and_resumed_each_fold_is_the_one_that_trains_alone(tmp_path):
    asked = begin(tmp_path / "stopped", "folds")
    try:
        while len({path.parent for path in tmp_path.glob("stopped/runs/*/checkpoint-*")}) < 2 and asked.poll() is None:
            time.sleep(0.05)
        os.killpg(asked.pid, signal.SIGINT)  # as a terminal does: to all of them
        said, _ = asked.communicate(timeout=100)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(asked.pid, signal.SIGKILL)
    assert said == "stopped\n", "one word, no traceback of another process"
    folds, facts = runs(tmp_path / "stopped")
    assert facts["status"] == "stopped" and "stopped" in {run.status for run in folds} <= {"stopped", "finished"}
    assert min(len(run.history) for run in folds) in range(1, 40)

    assert begin(tmp_path / "stopped", "folds").wait() == 0
    folds, facts = runs(tmp_path / "stopped")
    threads = facts["environment"]["threads"]
    assert (facts["status"], facts["workers"]) == ("finished", 2)
    assert [run.description["environment"]["threads"] for run in folds] == [threads] * 2
    limits = {"TF_NUM_INTRAOP_THREADS": str(threads["intra_op"]), "NPROC": str(threads["intra_op"])}
    assert begin(tmp_path / "alone", "alone", **limits).wait() == 0
    (alone,) = tmp_path.glob("alone/runs/*/model.weights.h5")
    assert alone.parent.name == folds[1].path.name
    assert files.sha256_file(alone) == files.sha256_file(folds[1].path / Path(alone.name))


@pytest.mark.long
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core trains members in turn")
def test_a_member_is_the_network_that_trains_alone(tmp_path):
    assert begin(tmp_path / "together", "members").wait() == 0
    (gathered,) = (RunFolder(path.parent) for path in tmp_path.glob("together/runs/*/member-1"))
    facts = gathered.description
    assert facts["workers"] == 2 and len(facts["members"]) == 2
    second = RunFolder(gathered.path.parent / facts["members"][1])
    threads = second.description["environment"]["threads"]["intra_op"]
    assert begin(tmp_path / "alone", "member", TF_NUM_INTRAOP_THREADS=str(threads), NPROC=str(threads)).wait() == 0
    (alone,) = tmp_path.glob("alone/runs/*/model.weights.h5")
    assert alone.parent.name == second.path.name
    assert files.sha256_file(alone) == files.sha256_file(second.path / alone.name)
