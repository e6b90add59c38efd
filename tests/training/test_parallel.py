"""Several devices and several processes learn what one process learns, and a process that dies leaves a run that goes on."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from brain_tumor.errors import ModelError, RunError
from brain_tumor.training import parallel
from brain_tumor.training.parallel import World, world_of

WORKER = Path(__file__).with_name("parallel_worker.py")
ROOT = WORKER.parents[2]
KERAS = "KERAS_DISTRIBUTION_"
QUICK = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"  # to compile, as in the Makefile


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(home, batch, epochs, devices=1, rank=0, processes=1, port=0, task="segmentation"):
    environment = {name: value for name, value in os.environ.items() if not name.startswith((KERAS, "XLA_FLAGS", "SLURM", "SM_"))}
    environment |= {
        "KERAS_BACKEND": "jax", "ABSENT": "tensorflow", "JAX_PLATFORMS": "cpu", "NPROC": "1", "BRAIN_TUMOR_HOME": str(home),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "BRAIN_TUMOR_QUIET": "1", "WEIGHTS": str(home / "weights.npy"),
        "XLA_FLAGS": f"{QUICK} --xla_force_host_platform_device_count={devices}",
    }  # fmt: skip
    if processes > 1:
        values = {"JOB_ADDRESSES": f"127.0.0.1:{port}", "NUM_PROCESSES": str(processes), "PROCESS_ID": str(rank)}
        environment |= {f"{KERAS}{name}": value for name, value in values.items()}
    words = [sys.executable, str(WORKER), str(batch), str(epochs), task]
    return subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored by whatever a shell starts in the background
    )  # fmt: skip


def facts_of(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err[-2000:]
    return json.loads(next(line for line in out.splitlines() if line.startswith("FACTS ")).removeprefix("FACTS "))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What one process and two processes made of the same recipe: facts and weights."""
    homes = {name: tmp_path_factory.mktemp(name) for name in ("alone", "processes")}
    first = start(homes["alone"], 4, 2)
    facts = {"alone": [facts_of(first)]}
    shutil.copytree(homes["alone"] / "data", homes["processes"] / "data")  # the phantom is drawn and resized once
    port = free_port()
    pair = [start(homes["processes"], 4, 2, rank=rank, processes=2, port=port) for rank in (0, 1)]
    facts["processes"] = [facts_of(process) for process in pair]
    return facts, {name: np.load(home / "weights.npy") for name, home in homes.items()}


def assert_alike(facts, alone, weights):
    for each in facts:
        assert each["devices"] == 2
        assert {"loss", "validation_loss"} <= alone["history"].keys()
        for measure in alone["history"].keys() - {"epoch", "stage"}:
            np.testing.assert_allclose(each["history"][measure], alone["history"][measure], atol=1e-5)
    np.testing.assert_allclose(*weights, atol=1e-5)


def test_two_processes_learn_what_one_learns(trained):
    facts, weights = trained
    assert_alike(facts["processes"], facts["alone"][0], (weights["processes"], weights["alone"]))


@pytest.mark.long
def test_two_devices_of_a_process_learn_what_one_learns(trained, tmp_path):
    facts, weights = trained
    shared = facts_of(start(tmp_path, 4, 2, devices=2))
    assert_alike([shared], facts["alone"][0], (np.load(tmp_path / "weights.npy"), weights["alone"]))


@pytest.mark.long
@pytest.mark.parametrize("task", ["classification", "volumes"])
def test_so_they_do_at_every_task(tmp_path, task):
    homes = [tmp_path / str(devices) for devices in (1, 2)]
    for home in homes:
        home.mkdir()
    alone, shared = (facts_of(start(home, 4, 2, devices, task=task)) for devices, home in enumerate(homes, 1))
    assert_alike([shared], alone, [np.load(home / "weights.npy") for home in homes])


def test_each_row_of_a_batch_is_made_by_one_process(trained):
    facts, _ = trained

    def of_training(each, size):
        return sorted(rows for rows in each["rows"] if len(rows) == size)

    halves = [of_training(each, 2) for each in facts["processes"]]
    whole = sorted(rows for rows in facts["alone"][0]["rows"] if min(rows) > 10)
    assert len(halves[0]) == len(halves[1]) == len(whole) == 14
    together = sorted(sorted(rows) for rows in whole)
    joined = [sorted(first + second) for first in halves[0] for second in halves[1] if sorted(first + second) in together]
    assert sorted(joined) == together, "some row is in no process's share, or in both"


@pytest.mark.long
def test_a_process_that_dies_ends_the_others_and_the_run_goes_on(trained, tmp_path, tmp_path_factory):
    home = tmp_path / "home"
    shutil.copytree(next(tmp_path_factory.getbasetemp().glob("alone*")) / "data", home / "data")
    port, epochs = free_port(), 400
    first, second = (start(home, 4, epochs, rank=rank, processes=2, port=port) for rank in (0, 1))
    waited = time.monotonic() + 120
    while not list(home.glob("runs/*/checkpoint-0002")) and time.monotonic() < waited and first.poll() is None:
        time.sleep(0.02)
    second.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    _, err = first.communicate(timeout=120)
    second.communicate()
    assert first.returncode == parallel.ENDED and time.monotonic() - killed < 60
    assert "another process of this training has ended" in err.splitlines()[-1], err[-2000:]
    (run,) = home.glob("runs/*")
    done = int(max(run.glob("checkpoint-*")).name.removeprefix("checkpoint-"))
    assert 2 <= done < epochs and json.loads((run / "run.json").read_text())["status"] == "failed"
    third = start(home, 4, epochs)
    while not list(run.glob(f"checkpoint-{done + 1:04d}")) and third.poll() is None and time.monotonic() < waited + 60:
        time.sleep(0.02)
    third.send_signal(signal.SIGINT)
    third.communicate(timeout=60)
    history = (run / "history.csv").read_text().splitlines()
    assert len(history) > done + 1 and [int(line.split(",")[0]) for line in history[1:]] == list(range(1, len(history)))


@pytest.mark.parametrize(
    ("variables", "world"),
    [
        ({}, World()),
        ({"SLURM_NTASKS": "1"}, World()),
        (
            {"SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.7"},
            World(4, 3, f"10.0.0.7:{parallel.PORT}"),
        ),
        ({"SM_HOSTS": '["algo-1"]', "SM_CURRENT_HOST": "algo-1"}, World()),
        (
            {
                "SM_HOSTS": '["algo-2", "algo-1"]',
                "SM_CURRENT_HOST": "algo-2",
                "SM_MASTER_ADDR": "algo-1",
                "SM_MASTER_PORT": "7777",
            },
            World(2, 1, "algo-1:7777"),
        ),
        ({f"{KERAS}JOB_ADDRESSES": "a:9,b", f"{KERAS}NUM_PROCESSES": "2", f"{KERAS}PROCESS_ID": "1"}, World(2, 1, "a:9")),
    ],
)
def test_schedulers_say_which_processes_train_together(variables, world):
    assert world_of(variables) == world


@pytest.mark.parametrize(
    "variables",
    [
        {"SLURM_NTASKS": "two"},
        {"SLURM_NTASKS": "2"},
        {"SM_HOSTS": "algo-1"},
        {"SM_HOSTS": '["algo-1", "algo-2"]', "SM_CURRENT_HOST": "algo-3"},
        {f"{KERAS}NUM_PROCESSES": "2", f"{KERAS}PROCESS_ID": "1"},
        {f"{KERAS}JOB_ADDRESSES": "a", f"{KERAS}NUM_PROCESSES": "2", f"{KERAS}PROCESS_ID": "2"},
    ],
)
def test_variables_that_say_nothing_are_refused(variables):
    with pytest.raises(RunError):
        world_of(variables)


def test_batches_that_devices_cannot_share_are_refused(monkeypatch):
    shared = SimpleNamespace(strategy=SimpleNamespace(num_replicas_in_sync=2))
    parallel.check_batch(3)
    monkeypatch.setattr(parallel.mirrored, "current", lambda: shared)
    parallel.check_batch(4)
    with pytest.raises(ModelError, match="batch_size 3 on 2 devices: a batch is shared evenly, expected a multiple of 2"):
        parallel.check_batch(3)
    with pytest.raises(ModelError, match="accumulate 2 on 2 GPUs of TensorFlow: gradients are gathered on one device, or on JAX"):
        parallel.check_batch(4, accumulate=2)


def test_the_command_line_asks_for_the_rank_and_for_jax(command, monkeypatch):
    for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID"):
        monkeypatch.delenv(f"{KERAS}{name}", raising=False)
        monkeypatch.setenv(f"{KERAS}{name}", "")
        monkeypatch.delenv(f"{KERAS}{name}")
    small = ("segmentation", "--cohort", "phantom", "--model", "resunet", "--size", "32")
    assert command("train", "--hosts", "a,b", *small).refuses("which of them is this process? Say --rank 0 to 1")
    if parallel.backend.name() != "jax":
        assert command("train", "--hosts", "a,b", "--rank", "0", *small).refuses("train together on JAX alone: KERAS_BACKEND=jax")
