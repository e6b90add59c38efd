"""Measure this machine in one run: index, cache, batches, training and inference, against its own matrix products.

    make bench                                          # about four minutes on two quiet cores
    python benchmarks/bench.py --quick                  # a smoke run on a few synthetic slices
    python benchmarks/bench.py --json numbers.json

Everything is written to a temporary home that is removed; the LGG data is only read. "Of peak" is the arithmetic of the
convolutions done a second, as a share of what a large matrix product of the same number format reaches here.
"""

import math
import os
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Column, Table

from brain_tumor import files

SIZE, BATCH = 128, 16
MODELS = ("unet-resnet18", "resunet")
FORMATS = {"float32": "float32", "mixed_bfloat16": "bfloat16"}  # of a run -> of its matrix products
TRAINING = 3  # times the forward pass: backward is one convolution for the input's gradient and one for the kernel's


def main(
    quick: bool = typer.Option(False, help="A smoke run: few synthetic slices, few steps; its numbers mean nothing."),
    json: Path = typer.Option(None, help="Also write the numbers here."),
) -> None:
    """Measure this machine: data, batches, training and inference."""
    from brain_tumor.data.opening import lgg_folder
    from brain_tumor.models.backend import load_keras

    real = None if quick or not lgg_folder().is_dir() else lgg_folder()
    steps = 2 if quick else 16
    with tempfile.TemporaryDirectory(prefix="brain-tumor-bench-") as folder:
        os.environ["BRAIN_TUMOR_HOME"] = folder
        os.environ["BRAIN_TUMOR_QUIET"] = "1"
        root = real or draw_phantom(Path(folder) / "kaggle_3m", quick)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:  # so that peak memory is that of this work alone
            data = fresh.submit(measure_data, root).result()
        load_keras()  # only now: a child counts its parent's peak memory as its own
        arrays = open_arrays(root)
        batches = measure_batches(arrays, steps)
        networks = [measure_network(model, precision, arrays, steps) for model in MODELS for precision in FORMATS]
    numbers = {"cohort": "lgg" if real else "PHANTOM", "quick": quick, "data": data, "batches": batches, "networks": networks}
    show(numbers)
    if json:
        from brain_tumor.training.runs import environment

        files.write_json(json, numbers | {"environment": environment()})


def draw_phantom(root: Path, quick: bool) -> Path:
    """A phantom in the true layout, where the LGG data is not here."""
    from brain_tumor.data.phantom import write_phantom

    return write_phantom(root, patients=4, slices=(12, 12), size=SIZE) if quick else write_phantom(root)


def seconds(action: Callable) -> float:
    """How long ``action()`` takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def measure_data(root: Path) -> dict:
    """Index the tree, build its caches and open them again; peak memory of all that. Then audit a slice split."""
    from brain_tumor.data import splits
    from brain_tumor.data.cache import open_store
    from brain_tumor.data.readers.lgg import read_cohort
    from brain_tumor.leakage.audit import audit
    from brain_tumor.leakage.manifests import of_cohort

    index = seconds(lambda: read_cohort(root))
    cohort = read_cohort(root)

    def audit_slices() -> None:
        store = open_store(cohort)
        audit(of_cohort(splits.named("source-002", store.cases, store.slices), store))

    return {
        "patients": len(cohort),
        "slices": cohort.n_slices,
        "index_seconds": index,
        "native_cache_seconds": seconds(lambda: open_store(cohort)),
        "resized_cache_seconds": seconds(lambda: open_store(cohort, SIZE)),
        "reopen_seconds": seconds(lambda: open_store(cohort, SIZE)),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "audit_seconds": seconds(audit_slices),
    }


def open_arrays(root: Path):
    """All slices of the cohort, as training takes them."""
    import numpy as np

    from brain_tumor.data.cache import open_store
    from brain_tumor.data.readers.lgg import read_cohort
    from brain_tumor.training.batches import SliceArrays

    store = open_store(read_cohort(root), SIZE)
    scalings = store.slice_scalings("unit")
    return SliceArrays(store.images, store.masks, scalings, np.arange(len(store.slices)), reference=store.cohort.reference)


def measure_batches(arrays, steps: int) -> dict:
    """Shuffled, augmented, normalised batches a second, as training takes them, with no network beside."""
    from brain_tumor.training.augment import Augmentation
    from brain_tumor.training.batches import TrainingBatches

    wanted = min(8 * steps, len(arrays.rows) // BATCH)
    epoch = TrainingBatches(arrays, BATCH, Augmentation(), seed=0, epoch=0)
    taken = seconds(lambda: [epoch[index] for index in range(wanted)])
    return {"batches_per_second": wanted / taken, "images_per_second": wanted * BATCH / taken}


def measure_network(model_name: str, number_format: str, arrays, steps: int) -> dict:
    """Training and inference of one network in one number format, compiled and warmed up before the clock starts."""
    import keras
    import numpy as np

    from brain_tumor.inference.predict import probabilities
    from brain_tumor.models import precision, saved
    from brain_tumor.training.augment import Augmentation
    from brain_tumor.training.batches import TrainingBatches
    from brain_tumor.training.runs import RunFolder
    from brain_tumor.training.stages import Stage, train

    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    model = saved.build(saved.describe(model_name, size=SIZE), number_format)

    def epoch_batches(epoch: int) -> TrainingBatches:
        rows = arrays.rows[: BATCH * (steps if epoch else 1)]
        return TrainingBatches(replace(arrays, rows=rows), BATCH, Augmentation(), 0, epoch)

    peak = peak_flops(precision.matrix_product_seconds, number_format)
    with tempfile.TemporaryDirectory(dir=os.environ["BRAIN_TUMOR_HOME"]) as folder:
        history = train(model, (Stage("all", 2),), epoch_batches, "bce-dice", RunFolder(Path(folder)))
    training = BATCH * steps / history[1]["seconds"]
    images, scaling = np.asarray(arrays.images[: BATCH * steps]), arrays.scalings[0]
    probabilities(model, images[:BATCH], scaling)
    inference = len(images) / seconds(lambda: probabilities(model, images, scaling))
    peak = max(peak, peak_flops(precision.matrix_product_seconds, number_format))  # the better of before and after
    forward = forward_flops(model)
    return {
        "model": model_name,
        "precision": number_format,
        "gflop_per_image": forward / 1e9,
        "peak_gflops": peak / 1e9,
        "training_images_per_second": training,
        "training_of_peak": training * forward * TRAINING / peak,
        "inference_images_per_second": inference,
        "inference_of_peak": inference * forward / peak,
    }


def peak_flops(product_seconds: Callable[[str, int], float], number_format: str, side: int = 2048) -> float:
    """Floating-point operations a second of a square matrix product."""
    return 2 * side**3 / product_seconds(FORMATS[number_format], side)


def forward_flops(model) -> int:
    """Multiplications and additions of the convolutions for one image; the rest of the network is small beside them."""
    kernels = [(layer.kernel.shape, layer.output.shape) for layer in model.layers if hasattr(layer, "kernel")]
    return sum(2 * math.prod(kernel) * height * width for kernel, (_, height, width, _) in kernels)


def show(numbers: dict) -> None:
    """Two tables: data, and networks side by side."""
    console = Console()
    data, batches = numbers["data"], numbers["batches"]
    table = Table("step", "seconds", "rate", title=f"{numbers['cohort']}: {data['patients']} patients, {data['slices']:,} slices")
    for title, name in (
        ("index", "index_seconds"),
        ("cache at native size", "native_cache_seconds"),
        (f"cache at {SIZE}", "resized_cache_seconds"),
        (f"open the cache at {SIZE} again", "reopen_seconds"),
        ("audit of source-002", "audit_seconds"),
    ):
        table.add_row(title, f"{data[name]:.2f}", f"{data['slices'] / data[name]:,.0f} slices/s")
    table.add_row("peak memory of these", "", f"{data['peak_memory_mb']:,.0f} MB")
    rates = f"{batches['batches_per_second']:.1f} batches/s, {batches['images_per_second']:.0f} images/s"
    table.add_row(f"batches of {BATCH} alone", "", rates)
    console.print(table)
    table = Table(
        Column("network", no_wrap=True), "format", "GFLOP/s", "train/s", "of peak", "predict/s", "of peak",
        title="images a second, and GFLOP/s of a matrix product: the peak",
    )  # fmt: skip
    for row in numbers["networks"]:
        table.add_row(
            row["model"], FORMATS[row["precision"]], f"{row['peak_gflops']:.0f}",
            f"{row['training_images_per_second']:.1f}", f"{row['training_of_peak']:.0%}",
            f"{row['inference_images_per_second']:.1f}", f"{row['inference_of_peak']:.0%}",
        )  # fmt: skip
    console.print(table)
    costs = {row["model"]: row["gflop_per_image"] for row in numbers["networks"]}
    costs = ", ".join(f"{cost:.2f} GFLOP for {model}" for model, cost in costs.items())
    console.print(f"{SIZE} x {SIZE}, batches of {BATCH}; an image forward costs {costs}, training {TRAINING} times that")
    if numbers["quick"]:
        console.print("a smoke run: these numbers mean nothing")


if __name__ == "__main__":
    typer.run(main)
