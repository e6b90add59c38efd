"""The run folder: records that any process may read, and a checkpoint that is whole whenever one looks."""

import json
import os
import platform
import shutil
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
from filelock import FileLock

from brain_tumor import files
from brain_tumor.errors import RunError
from brain_tumor.training import runs
from brain_tumor.training.runs import RunFolder

pytestmark = pytest.mark.backend


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path / "run")


@pytest.fixture
def line():
    """A line fitted for one step, with its optimiser: the smallest thing that has a state to keep."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.1), "mse", jit_compile=keras.backend.backend() == "jax")
    model.train_on_batch(np.ones((2, 1), np.float32), np.ones((2, 1), np.float32))
    return model


def state(model):
    return [keras.ops.convert_to_numpy(variable) for variable in (*model.variables, *model.optimizer.variables)]


def assert_state(model, expected):
    for found, value in zip(state(model), expected, strict=True):
        np.testing.assert_array_equal(found, value)


def move(model):
    """Make every variable something else."""
    for variable in (*model.variables, *model.optimizer.variables):
        variable.assign(np.full(variable.shape, 7))


def restore(run, model):
    run.checkpoint.restore_weights(model)
    run.checkpoint.restore_optimiser(model)


def test_a_new_folder_is_absent(run):
    assert (run.exists, run.status) == (False, "absent")
    assert run.history.empty
    assert run.read_checkpoint() == (0, [])
    with pytest.raises(RunError, match=r"run: no such run \(no run.json\)"):
        _ = run.description


def test_fields_are_changed_one_by_one(run):
    run.update(status="running", seed=3)
    run.update(status="finished")
    assert run.description == {"status": "finished", "seed": 3}
    assert run.status == "finished"


@pytest.mark.parametrize("content", ["", "{", "\ufeff?"])
def test_a_damaged_record_is_refused(run, content):
    run.update(status="running")
    (run.path / "run.json").write_text(content, encoding="utf-8")
    with pytest.raises(RunError, match="run.json: damaged"):
        _ = run.description


def test_a_checkpoint_comes_back_exactly(run, line):
    kept = state(line)
    run.save_checkpoint(line, 1, [{"epoch": 1, "loss": 0.1 + 0.2}])
    move(line)
    assert run.read_checkpoint() == (1, [{"epoch": 1, "loss": 0.1 + 0.2}])
    restore(run, line)
    assert_state(line, kept)
    assert run.history.to_dict("records") == [{"epoch": 1, "loss": 0.1 + 0.2}]


def test_only_the_latest_checkpoint_is_kept(run, line):
    for epoch in (1, 2, 3):
        run.save_checkpoint(line, epoch, [{"epoch": number} for number in range(1, epoch + 1)])
    assert run.read_checkpoint()[0] == 3
    assert len([path for path in run.path.iterdir() if "checkpoint" in path.name]) == 1


class Killed(BaseException):
    """Stands for a kill: nothing in the package may catch it."""


def kill(*_arguments, **_options):
    raise Killed


def half_removed_then_killed(folder, *_arguments, **_options):
    """Take away the first file of a folder, and die."""
    for path in sorted(folder.glob("*"))[:1]:
        os.unlink(path)
        raise Killed


@pytest.mark.parametrize(
    ("owner", "name", "death"),
    [(np, "savez", kill), (json, "dumps", kill), (os, "replace", kill), (shutil, "rmtree", half_removed_then_killed)],
    ids=["writing arrays", "writing the epoch", "renaming", "removing the old one"],
)
def test_a_kill_while_saving_leaves_a_whole_checkpoint(run, line, monkeypatch, owner, name, death):
    states = {1: state(line)}
    run.save_checkpoint(line, 1, [{"epoch": 1}])
    line.train_on_batch(np.ones((2, 1), np.float32), np.zeros((2, 1), np.float32))
    states[2] = state(line)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, death)
        with pytest.raises(Killed):
            run.save_checkpoint(line, 2, [{"epoch": 1}, {"epoch": 2}])
    move(line)
    epoch, history = run.read_checkpoint()
    assert len(history) == epoch
    restore(run, line)
    assert_state(line, states[epoch])
    run.save_checkpoint(line, 3, [{"epoch": number} for number in (1, 2, 3)])
    assert run.read_checkpoint()[0] == 3
    assert len([path for path in run.path.iterdir() if "checkpoint" in path.name]) == 1, "what the kill left is cleared"


def test_the_history_is_never_behind_the_checkpoint(run, line, monkeypatch):
    """Or a run killed right after its last epoch would resume with nothing to do and a row short."""
    with monkeypatch.context() as patch:
        patch.setattr(runs.pd.DataFrame, "to_csv", kill)
        with pytest.raises(Killed):
            run.save_checkpoint(line, 1, [{"epoch": 1}])
    assert len(run.history) >= run.read_checkpoint()[0]


@pytest.fixture
def home_of_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path))
    for name in ("lgg-a-1", "lgg-a-2", "lgg-b", "lgg-b-long"):
        RunFolder(tmp_path / "runs" / name).update(status="finished")
    (tmp_path / "runs" / "not-a-run").mkdir()
    return tmp_path


def test_runs_are_found_by_name_beginning_or_folder(home_of_runs):
    assert [run.path.name for run in runs.all_runs()] == ["lgg-a-1", "lgg-a-2", "lgg-b", "lgg-b-long"]
    assert runs.find_run("lgg-a-1").path.name == "lgg-a-1"
    assert runs.find_run("lgg-b").path.name == "lgg-b", "a whole name wins over being the beginning of another"
    assert runs.find_run("lgg-b-").path.name == "lgg-b-long"
    assert runs.find_run(str(home_of_runs / "runs" / "lgg-a-2")).path.name == "lgg-a-2"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("lgg-a", "2 such runs in .*: lgg-a-1, lgg-a-2"),
        ("brats", "no such run in .*; `brain-tumor runs` lists them"),
        ("not-a-run", "no such run"),
    ],
)
def test_what_names_no_single_run_is_refused(home_of_runs, name, complaint):
    with pytest.raises(RunError, match=complaint):
        runs.find_run(name)


def test_without_any_run_there_are_none(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path))
    assert runs.all_runs() == []


def test_the_environment_is_plain_json():
    facts = runs.environment()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["backend"] == keras.backend.backend()
    assert facts["packages"]["keras"] == keras.__version__
    assert set(facts["threads"]) == {"intra_op", "inter_op"} and min(facts["threads"].values()) > 0


def test_whole_epochs_of_a_killed_run_count_as_training(run, line):
    run.update(status="running")
    history = [{"epoch": 1, "loss": 1.0, "seconds": 70.5}, {"epoch": 2, "loss": 0.5, "seconds": 50.0}]
    run.save_checkpoint(line, 2, history)
    with run.under_way():
        pass
    assert run.status == "finished"
    assert 120.5 <= run.description["training_seconds"] < 121.5


@pytest.mark.parametrize(("what", "status"), [(KeyboardInterrupt, "stopped"), (ValueError, "failed")])
def test_how_a_training_ended_is_written(run, what, status):
    run.update(status="running", training_seconds=30.0)
    with pytest.raises(what), run.under_way():
        raise what
    assert run.status == status
    assert 30.0 <= run.description["training_seconds"] < 31.0


# --------------------------------------------------------------------------------------------------------------- owners

HOLD = """
import sys, time, types
from pathlib import Path
# The run folder needs Keras only for checkpoints, and this process makes none.
sys.modules["keras"] = types.SimpleNamespace(Model=object, config=types.SimpleNamespace(backend=lambda: sys.argv[3]))
sys.modules["brain_tumor.training"] = types.ModuleType("brain_tumor.training")
sys.modules["brain_tumor.training"].__path__ = [sys.argv[2]]
from brain_tumor.training.runs import RunFolder

with RunFolder(Path(sys.argv[1])).under_way(seed=3):
    print("owned", flush=True)
    time.sleep(120)
"""


@pytest.fixture
def other_process(run):
    """Another process that trains the run, as far as anyone can see."""
    command = [sys.executable, "-c", HOLD, str(run.path), os.path.dirname(runs.__file__), keras.config.backend()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "owned\n"
    yield process
    process.kill()
    process.communicate()


def test_a_run_has_one_owner_and_a_killed_owner_is_told(run, other_process):
    assert run.status == "running"
    assert run.description == {"status": "running", "seed": 3}
    refusal = f"run: process {other_process.pid} on {platform.node()} trains this run now; wait for it or stop it"
    with pytest.raises(RunError, match=refusal) as error, run.under_way(seed=4):
        raise AssertionError("two processes train into one folder")
    assert "\n" not in str(error.value)
    assert run.description["seed"] == 3, "a refused process changes nothing"
    assert run.status == "running"

    other_process.kill()
    other_process.wait()
    assert run.description["status"] == "running", "the killed process could not write how it ended"
    assert run.status == "interrupted"
    with run.under_way():
        assert run.status == "running"
        assert files.read_json(run.path / "owner.json") == {"pid": os.getpid(), "host": platform.node()}
    assert run.status == "finished"
    assert sorted(path.name for path in run.path.iterdir()) == [".lock", "run.json"], "nobody owns a finished run"


def test_the_list_of_runs_says_which_were_killed_and_which_train_elsewhere(home, command):
    for name in ("killed", "elsewhere"):
        RunFolder(home / "runs" / name).update(status="running", recipe={})
    files.write_json(home / "runs" / "elsewhere" / "owner.json", {"pid": 1, "host": "node-7"})
    lines = command("runs").out.splitlines()
    assert any("killed" in line and "interrupted" in line for line in lines), lines
    assert any("elsewhere" in line and "running on node-7" in line for line in lines), lines


@pytest.mark.parametrize("ending", [KeyboardInterrupt, ValueError])
def test_the_lock_is_free_again_however_a_training_ends(run, ending):
    with pytest.raises(ending), run.under_way():
        raise ending
    with run.under_way():
        pass
    assert run.status == "finished"


def test_a_run_that_another_process_has_just_finished_is_not_trained_again(run):
    run.update(status="finished", seed=3)
    with pytest.raises(RunError, match="another process has just finished this run"), run.under_way(seed=4):
        raise AssertionError("a finished run is trained again")
    assert run.description == {"status": "finished", "seed": 3}


def test_of_another_machine_the_status_says_only_where(run):
    run.update(status="running")
    assert run.status == "interrupted", "begun before runs had owners"
    files.write_json(run.path / "owner.json", {"pid": 1, "host": "node-7"})
    assert run.status == "running on node-7"
    with run.under_way():
        pass
    assert run.status == "finished", "the lock was free, so the same command resumes it on this machine"


def test_looking_at_a_run_does_not_keep_its_owner_out(run):
    run.update(status="running")
    looking = FileLock(run.path / ".lock", thread_local=False)  # released by another thread
    looking.acquire()
    threading.Timer(0.1, looking.release).start()
    with run.under_way():
        pass
    assert run.status == "finished"
