"""Training over several devices of a machine and over several processes of one or many machines, on JAX; on TensorFlow over the
GPUs of one machine (:mod:`brain_tumor.training.mirrored`).

On JAX Keras's own engine does it: ``keras.distribution.DataParallel``. Every process has all weights and a share of each batch; a
step is one computation over the whole batch, so loss, gradients and BatchNorm are those of a single process, to rounding.

A run is one run: the first process writes its folder, the others read it. All of them need the same home, on one disk or a shared
one, and the same recipe. What Keras leaves to us is done here: each process makes its own rows of each batch, no row twice and
none left out; the validation part is measured by each process on its own, so no batch has to be divided; and when a process
dies, the others end within seconds with one line, and the same command resumes from the last whole epoch.
"""

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from brain_tumor.errors import ModelError, RunError
from brain_tumor.models import backend
from brain_tumor.training import loop, mirrored
from brain_tumor.training.runs import RunFolder

PORT = 7654  # of the first process, where nobody says another
# What JAX says in one way or another where a process no longer answers.
OF_A_PEER = ("gloo", "connection", "coordination", "heartbeat", "unavailable", "peer", "deadline", "distributed service")
ENDED = 70  # the exit code of a process whose peer has died (EX_SOFTWARE)


@dataclass(frozen=True)
class World:
    """Which processes train together.

    Attributes:
        processes: how many.
        rank: which of them this one is, from 0.
        address: of the first, ``host:port``; ``""`` for one process.
    """

    processes: int = 1
    rank: int = 0
    address: str = ""

    def __post_init__(self) -> None:
        """Refuse what names no process."""
        if self.processes < 1 or not 0 <= self.rank < self.processes or (self.processes > 1 and ":" not in self.address):
            raise RunError(f"process {self.rank} of {self.processes} at {self.address!r}: expected 0 to {self.processes - 1}")


def world_of(environment: Mapping[str, str]) -> World:
    """The processes that were asked for, or that a scheduler started.

    Args:
        environment: variables. Those of Keras (``KERAS_DISTRIBUTION_JOB_ADDRESSES``, ``..._NUM_PROCESSES``, ``..._PROCESS_ID``),
            of SageMaker (``SM_HOSTS``, ``SM_CURRENT_HOST``, ``SM_MASTER_ADDR``, ``SM_MASTER_PORT``) and of Slurm
            (``SLURM_NTASKS``, ``SLURM_PROCID``, ``SLURM_LAUNCH_NODE_IPADDR``) are known, in this order.

    Raises:
        RunError: a variable is missing, or no number.
    """
    try:
        if "KERAS_DISTRIBUTION_NUM_PROCESSES" in environment:
            count, number = (int(environment[f"KERAS_DISTRIBUTION_{name}"]) for name in ("NUM_PROCESSES", "PROCESS_ID"))
            return World(count, number, _with_port(environment["KERAS_DISTRIBUTION_JOB_ADDRESSES"].split(",")[0]))
        if "SM_HOSTS" in environment:
            names = sorted(json.loads(environment["SM_HOSTS"]))
            port = environment.get("SM_MASTER_PORT", str(PORT))
            address = f"{environment.get('SM_MASTER_ADDR', names[0])}:{port}"
            return World(len(names), names.index(environment["SM_CURRENT_HOST"]), address if len(names) > 1 else "")
        if int(environment.get("SLURM_NTASKS", "1")) > 1:
            address = _with_port(environment["SLURM_LAUNCH_NODE_IPADDR"])
            return World(int(environment["SLURM_NTASKS"]), int(environment["SLURM_PROCID"]), address)
    except (KeyError, ValueError) as error:
        raise RunError(f"the variables of the scheduler do not say which processes train together ({error})") from None
    return World()


def begin(world: World) -> None:
    """Join the other processes and train on all devices from here on; before anything is computed.

    Raises:
        RunError: several processes on another backend than JAX, or the first one does not answer.
    """
    if backend.name() != "jax":
        if world.processes > 1:
            raise RunError(f"{world.processes} processes train together on JAX alone: KERAS_BACKEND=jax")
        if mirrored.gpus() > 1:
            mirrored.begin()
        return
    backend.keep_memory()
    if world.processes > 1:
        import jax

        # Two computations at a time would let the messages of one reach the other.
        jax.config.update("jax_cpu_enable_async_dispatch", False)
        try:
            keras.distribution.initialize(world.address, world.processes, world.rank)
        except Exception as error:  # whatever JAX raises
            raise RunError(f"{world.address}: the first process does not answer ({_one_line(error)})") from None
    devices = keras.distribution.list_devices()
    if len(devices) > 1:
        shared = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
        keras.distribution.set_distribution(shared)


def active() -> bool:
    """Whether Keras shares batches among devices, which it does on JAX."""
    return keras.distribution.distribution() is not None


def shares() -> bool:
    """Whether batches are shared among devices, on either backend."""
    return active() or mirrored.current() is not None


def share() -> tuple[int, int]:
    """Which part of each batch this process makes, and of how many."""
    if not active():
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def wait() -> None:
    """Wait until every process is here, so that none reads what the first one has not written yet."""
    if share()[1] > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices("brain-tumor")


def check_batch(size: int, accumulate: int = 1) -> None:
    """Refuse a batch that the devices cannot share evenly, and gradients that several GPUs of TensorFlow cannot gather.

    Raises:
        ModelError: naming both numbers.
    """
    several = mirrored.current()
    devices = len(keras.distribution.list_devices()) if active() else 1
    devices = int(several.strategy.num_replicas_in_sync) if several else devices
    if several and accumulate > 1:
        raise ModelError(
            f"accumulate {accumulate} on {devices} GPUs of TensorFlow: gradients are gathered on one device, or on JAX"
        )
    if size % devices:
        raise ModelError(f"batch_size {size} on {devices} devices: a batch is shared evenly, expected a multiple of {devices}")


def folder(run: RunFolder) -> RunFolder:
    """The run's folder as this process may use it: only the first one writes."""
    return Reader(run.path) if share()[0] else run


class Reader(RunFolder):
    """A run's folder seen by a process that does not write it."""

    def update(self, **changes: object) -> None:
        """Nothing."""

    @contextlib.contextmanager
    def under_way(self, **facts: object) -> Iterator[None]:
        """Nothing but what happens within."""
        yield

    def write_history(self, history: list[dict]) -> None:
        """Nothing."""

    def save_checkpoint(self, *state: object, **more: object) -> None:  # type: ignore[override]
        """Nothing."""

    def drop_checkpoints(self, but: object = None) -> None:
        """Nothing."""


class Apart:
    """A copy of a network that this process computes by itself, to measure it on batches that no device has to share.

    Args:
        model: what trains on all devices.
        make_ready: makes the copy ready to be measured.
    """

    def __init__(self, model: keras.Model, make_ready: Callable[[keras.Model], None]):
        self.model = model
        with alone():
            self.copy = keras.models.clone_model(keras.Model(model.inputs, model.outputs))  # without what it is compiled with
            make_ready(self.copy)

    def evaluate(self, model: keras.Model, batches: Any) -> dict[str, float]:
        """As :func:`brain_tumor.training.loop.evaluate`; ``model`` computes with the weights that are measured."""
        values = [keras.ops.convert_to_numpy(variable) for variable in self.model.weights]
        with alone():
            for own, value in zip(self.copy.weights, values, strict=True):
                own.assign(value)
            return loop.evaluate(self.copy, batches)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Within, this process computes by itself, as for a prediction."""
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


@contextlib.contextmanager
def guard() -> Iterator[None]:
    """End this process at once, with a line, where training fails since another process has died.

    JAX would wait for that process when the interpreter ends, for minutes.
    """
    try:
        yield
    except (RunError, ModelError, KeyboardInterrupt):
        raise
    except Exception as error:
        if share()[1] == 1:
            raise
        if any(word in str(error).lower() for word in OF_A_PEER):
            why = f"another process of this training has ended ({_one_line(error)[:120]})"
            print(f"brain-tumor: {why}; the same command resumes after the last whole epoch", file=sys.stderr, flush=True)
        else:
            traceback.print_exc()
        os._exit(ENDED)


def _with_port(host: str) -> str:
    return host if ":" in host else f"{host}:{PORT}"


def _one_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
