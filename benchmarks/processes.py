"""How well training scales over processes: one process on one core against two processes on a core each, in one sitting.

    .venv/bin/python benchmarks/processes.py [--rounds 2] [--steps 12] [--batch 8 --batch 64] [--json measured/processes.json]

Both train the same recipe on JAX, each process with the same batch of its own, and rounds of the two take turns. Efficiency is
the slices a second of two processes over twice those of one. What a step of two takes longer is communication, here over the
loopback device: a message for every few gradients and two for every BatchNorm, as many whatever the batch. What they take grows
less than the batch does, so efficiency grows with the batch of a process. From it, and from the size of the weights, a model says
what more hosts would give. It is a model, not a measurement.
"""

import argparse
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

MODELS = ("unet-resnet18", "resunet")
BATCHES = (8, 64)  # slices of a process
WARM = 2  # steps that compile
HOSTS, GIGABITS = (2, 4, 8, 16), (10, 25, 100)
BYTES = 4  # of a float32 gradient


def free_port() -> int:
    """A port of the loopback device that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def run(model: str, batch: int, processes: int, steps: int, size: int) -> list[dict[str, Any]]:
    """Train a few steps in so many processes, each pinned to a core; what each measured."""
    port, cores = free_port(), sorted(os.sched_getaffinity(0))
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "NPROC": "1", "BRAIN_TUMOR_QUIET": "1"}
    started = []
    for rank in range(processes):
        values = {"worker": model, "batch": batch, "steps": steps, "size": size, "core": cores[rank]}
        words = [sys.executable, __file__, *(f"--{name}={value}" for name, value in values.items())]
        own = {"JOB_ADDRESSES": f"127.0.0.1:{port}", "NUM_PROCESSES": str(processes), "PROCESS_ID": str(rank)}
        variables = {f"KERAS_DISTRIBUTION_{name}": value for name, value in own.items()} if processes > 1 else {}
        started.append(subprocess.Popen(words, env=environment | variables, stdout=subprocess.PIPE, text=True))
    answers = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise SystemExit(f"a process of {processes} failed")
    return [json.loads(answer.splitlines()[-1]) for answer in answers]


def work(model: str, batch: int, steps: int, size: int, core: int) -> None:
    """One process: seconds of each step after the first ones, and how many weights the network has."""
    os.sched_setaffinity(0, {core})
    from brain_tumor.models.backend import load_keras

    load_keras()
    from brain_tumor.data.cache import open_store
    from brain_tumor.data.phantom import open_phantom
    from brain_tumor.experiments import prepare, run as experiment
    from brain_tumor.experiments.own import NONE
    from brain_tumor.experiments.recipe import SegmentationRecipe
    from brain_tumor.models import backend, settings
    from brain_tumor.training import loop, parallel

    world = parallel.world_of(os.environ)
    parallel.begin(world)
    cohort = open_phantom()
    recipe = SegmentationRecipe(
        cohort="phantom", split="ratio-20", model=model, size=size, batch_size=batch * world.processes, precision="float32"
    )
    with settings.fixed():
        store = open_store(cohort)
        split = experiment.make_split(recipe, store)
        network = prepare.network(recipe, cohort, split, "float32", NONE).model
        material = prepare.material(recipe, store, split, network, "float32", NONE)
        optimiser = recipe.stages[0].make_optimiser(len(material.own_size.epoch_batches(0)))
        trained = backend.faster(network)
        loop.prepare(network, trained, optimiser, material.loss)
        seconds = []
        begun = time.perf_counter()
        for logs in loop.short_run(trained, material.own_size.epoch_batches, WARM + steps):
            float(logs["loss"])  # the step is done
            seconds.append(time.perf_counter() - begun)
            begun = time.perf_counter()
    print(json.dumps({"seconds": seconds[WARM:], "weights": network.count_params()}))


def modelled(alone: float, together: float, weights: int) -> dict[str, dict[str, float]]:
    """Efficiency with more hosts, by a model: the step of one process, and a ring that carries each gradient about twice.

    Args:
        alone, together: seconds of a step of one process, and of two on this machine.
    """
    latency = max(0.0, together - alone)
    table: dict[str, dict[str, float]] = {}
    for gigabits in GIGABITS:
        carried = {hosts: 2 * (hosts - 1) / hosts * weights * BYTES * 8 / (gigabits * 1e9) for hosts in HOSTS}
        table[f"{gigabits} Gb/s"] = {
            str(hosts): round(alone / (alone + latency + seconds), 3) for hosts, seconds in carried.items()
        }
    return table


def main() -> None:
    """Measure, print and perhaps write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, action="append", help=f"slices of a process; may repeat; {BATCHES} by default")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", choices=MODELS, help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.batch[0], options.steps, options.size, options.core)
        return
    results = []
    for model, batch in itertools.product(MODELS, options.batch or BATCHES):
        rates: dict[int, list[float]] = {1: [], 2: []}
        weights = 0
        for _ in range(options.rounds):
            for processes, rate in rates.items():
                measured = run(model, batch, processes, options.steps, options.size)
                step = max(statistics.median(each["seconds"]) for each in measured)
                rate.append(batch * processes / step)
                weights = measured[0]["weights"]
        alone, together = (statistics.median(rates[processes]) for processes in (1, 2))
        efficiency = together / (2 * alone)
        row = {"model": model, "size": options.size, "batch a process": batch, "weights": weights}
        row |= {"rates": rates, "efficiency": round(efficiency, 3)}
        row["modelled"] = modelled(batch / alone, 2 * batch / together, weights)
        results.append(row)
        print(
            f"{model}, {batch} slices each: one process {alone:.1f} slices/s, two {together:.1f}, efficiency {efficiency:.2f}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps({"processes": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
