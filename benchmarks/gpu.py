"""Measure JAX on one accelerator: epochs without the host beside the step loop, and the seconds to source 004's Dice.

    KERAS_BACKEND=jax python benchmarks/gpu.py                  # about a quarter of an hour, most of it compiling
    KERAS_BACKEND=jax python benchmarks/gpu.py --quick          # a smoke run on a few synthetic slices, on a processor too
    KERAS_BACKEND=jax python benchmarks/gpu.py --folder PATH --json numbers.json

Everything is written to a temporary home that is removed; the LGG data is only read. "Of peak" is the arithmetic of training done
a second, as a share of what a large bfloat16 matrix product reaches here.
"""

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import typer

from brain_tumor import files

SMOKE = {"model": "resunet", "model_arguments": {"filters": (4, 8)}, "split": "ratio-33"}
AIM = 0.868  # row 004.48: mean Dice over all slices, one that is empty in truth and prediction counting 1
TRAINING = 3  # times the forward pass: backward is one convolution for the input's gradient and one for the kernel's
WAYS = {"device": True, "host": False}  # who makes the batches


def main(
    quick: bool = typer.Option(False, help="A smoke run: few synthetic slices, small networks; its numbers mean nothing."),
    sizes: list[int] = typer.Option([128, 256], help="Slice height and width in pixels."),
    batches: list[int] = typer.Option([16, 32, 64], help="Slices a step."),
    epochs: int = typer.Option(12, help="Of the training to the Dice; it takes the first size and the first batch."),
    folder: Path = typer.Option(None, help="The folder kaggle_3m of the LGG data, if it is not where brain-tumor keeps it."),
    json: Path = typer.Option(None, help="Also write the numbers here."),
) -> None:
    """Measure this accelerator: its matrix products, training on images, and training to a Dice."""
    from brain_tumor.data.opening import lgg_folder
    from brain_tumor.models import backend

    root = None if quick else folder or lgg_folder()
    backend.load_keras()
    if backend.name() != "jax":
        raise typer.BadParameter(f"the backend of Keras is {backend.name()}: set KERAS_BACKEND=jax")
    if quick:
        sizes, batches, epochs = [32], [4], 2
    with tempfile.TemporaryDirectory(prefix="brain-tumor-bench-") as home:
        os.environ["BRAIN_TUMOR_HOME"] = home
        os.environ["BRAIN_TUMOR_QUIET"] = "1"
        cohort = open_data(root)
        peak = peak_flops(256, 2) if quick else peak_flops()
        numbers = {"cohort": "PHANTOM" if cohort.phantom else "lgg", "quick": quick, **machine(), "peak_tflops": peak / 1e12}
        print(f"{numbers['cohort']} on {numbers['machine']['accelerators'] or numbers['machine']['processor']}", end=": ")
        print(f"{numbers['precision']}, a bfloat16 matrix product reaches {numbers['peak_tflops']:.3g} TFLOP/s", flush=True)
        numbers["training"] = [
            show_training(measure_training(cohort, size, batch, way, peak)) for size in sizes for batch in batches for way in WAYS
        ]
        numbers["dice"] = show_dice(measure_dice(cohort, sizes[0], batches[0], epochs))
        if quick:
            print("a smoke run: these numbers mean nothing")
    if json:
        from brain_tumor.training.runs import environment

        files.write_json(json, numbers | {"environment": environment()})


def open_data(root: Path | None):
    """The LGG cohort where it lies, else a small phantom."""
    from brain_tumor.data.phantom import open_phantom
    from brain_tumor.data.readers.lgg import read_cohort

    return read_cohort(root) if root and root.is_dir() else open_phantom(patients=6, slices=(8, 12), size=64, seed=0)


def machine() -> dict:
    """The accelerator, in the words of :func:`brain_tumor.models.backend.machine`, and the number format that trains here."""
    from brain_tumor.models import backend, precision

    return {"machine": backend.machine(), "precision": precision.resolve()}


def peak_flops(side: int = 8192, products: int = 50) -> float:
    """Floating-point operations a second of square bfloat16 matrix products, one after another in one call: the best of three."""
    import jax

    matrix = jax.random.normal(jax.random.key(0), (side, side), "bfloat16") / side**0.5
    chain = jax.jit(lambda x: jax.lax.fori_loop(0, products, lambda _, y: y @ x, x))
    chain(matrix).block_until_ready()
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        chain(matrix).block_until_ready()
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 * products / min(seconds)


def recipe_of(cohort, size: int, batch: int, epochs: int):
    """Source 004's split with a fifth of its training patients set aside; of a phantom, any split and a small network."""
    from brain_tumor.experiments.recipe import Segmentation

    options = SMOKE if cohort.phantom else {"model": "unet-resnet18", "split": "source-004"}
    return Segmentation(cohort=cohort.name, validation=0.2, size=size, batch_size=batch, epochs=epochs, **options)


def parts_of(recipe, cohort) -> dict:
    """The training and the validation part, as training takes them."""
    from brain_tumor.data.cache import open_store
    from brain_tumor.experiments.inputs import network_inputs
    from brain_tumor.experiments.run import split_of
    from brain_tumor.training.batches import SliceArrays

    store, split = open_store(cohort, recipe.size), split_of(recipe, cohort)
    inputs, scalings = network_inputs(recipe, store)
    arrays = SliceArrays(inputs, store.masks, scalings, split.rows("train", store.slices), inputs.stand_in, inputs.sequences)
    return {"train": arrays, "validation": replace(arrays, rows=split.rows("validation", store.slices))}


def measure_training(cohort, size: int, batch: int, way: str, peak: float) -> dict:
    """Images a second of whole epochs, their draw and their transfer included; the first, which compiles, stands apart."""
    import keras

    from brain_tumor.experiments.run import build
    from brain_tumor.models import precision, settings
    from brain_tumor.training import losses
    from brain_tumor.training.batches import TrainingBatches
    from brain_tumor.training.runs import RunFolder
    from brain_tumor.training.stages import Stage, train

    settings.clear_session()
    keras.utils.set_random_seed(0)
    recipe = recipe_of(cohort, size, batch, epochs=3)
    with settings.fixed(precision.resolve()):
        model = build(recipe)
    arrays, moments = parts_of(recipe, cohort)["train"], []

    def epoch_batches(epoch: int) -> TrainingBatches:
        return TrainingBatches(arrays, batch, recipe.augmentation, recipe.seed, epoch)

    def note(*_facts) -> None:
        moments.append(time.perf_counter())

    clock = keras.callbacks.LambdaCallback(on_epoch_begin=note, on_epoch_end=note)
    with tempfile.TemporaryDirectory(dir=os.environ["BRAIN_TUMOR_HOME"]) as folder:
        learning = losses.make(recipe.loss), RunFolder(Path(folder)), None, (losses.dice_hits, losses.dice_area)
        train(model, (Stage("all", 3),), epoch_batches, *learning, callbacks=[clock], on_device=WAYS[way])
        batches = RunFolder(Path(folder)).description["batches"]
    first, *others = (end - begin for begin, end in zip(moments[::2], moments[1::2], strict=True))
    rate = len(epoch_batches(0)) * batch / min(others)
    return {
        "size": size,
        "batch": batch,
        "batches": batches,
        "compiling_seconds": first - min(others),
        "epoch_seconds": min(others),
        "images_per_second": rate,
        "of_peak": rate * forward_flops(model) * TRAINING / peak,
    }


def forward_flops(model) -> float:
    """Floating-point operations of one image, as XLA counts them before it optimises."""
    import jax
    import jax.numpy as jnp

    images = jax.ShapeDtypeStruct((1, *model.input_shape[1:]), jnp.float32)
    return jax.jit(lambda x: model(x, training=False)).lower(images).cost_analysis()["flops"]


def measure_dice(cohort, size: int, batch: int, epochs: int) -> dict:
    """Seconds from the first epoch's begin, compiling and checkpoints included, to the first whose Dice of the validation part is
    :data:`AIM`; what it takes to compute that Dice is left out.
    """
    import keras

    from brain_tumor.experiments.own import OwnCode
    from brain_tumor.experiments.run import train

    recipe = recipe_of(cohort, size, batch, epochs)
    held_out = parts_of(recipe, cohort)["validation"]
    curve, clock = [], {"seconds": 0.0}

    def begin(_logs) -> None:
        clock["since"] = time.perf_counter()

    def score(_epoch, _row) -> None:
        clock["seconds"] += time.perf_counter() - clock["since"]
        curve.append({"seconds": clock["seconds"], "dice": slice_dice(watch.model, held_out)})
        clock["since"] = time.perf_counter()

    watch = keras.callbacks.LambdaCallback(on_train_begin=begin, on_epoch_end=score)
    run = train(recipe, cohort, own=OwnCode(callbacks=[watch]))
    return {
        "size": size,
        "batch": batch,
        "batches": run.description["batches"],
        "patients": {part: facts["patients"] for part, facts in run.description["parts"].items()},
        "seconds_to_aim": next((point["seconds"] for point in curve if point["dice"] >= AIM), None),
        "curve": curve,
    }


def slice_dice(model, arrays) -> float:
    """The mean over all slices of a part, at the size the network works at; where both masks are empty it is 1."""
    import numpy as np

    from brain_tumor.evaluation import overlap
    from brain_tumor.training.batches import ValidationBatches

    batches, scores = ValidationBatches(arrays, 16), []
    for images, masks in (batches[index] for index in range(len(batches))):
        positive, real = np.asarray(model.predict_on_batch(images)) > 0, masks > 0
        hits, alarms, misses = (pixels.sum(axis=(1, 2, 3)) for pixels in (positive & real, positive & ~real, ~positive & real))
        scores.append(overlap.dice(hits, alarms, misses))
    return float(np.concatenate(scores).mean())


def show_training(row: dict) -> dict:
    """Print a line of what was measured, as soon as it is, and give it on."""
    what = f"{row['size']} px, batches of {row['batch']} by the {row['batches']}"
    speed = f"{row['images_per_second']:,.0f} images/s, {row['of_peak']:.1%} of peak, {row['epoch_seconds']:.2f} s an epoch"
    print(f"{what}: {speed}, compiled in {row['compiling_seconds']:.0f} s", flush=True)
    return row


def show_dice(row: dict) -> dict:
    """The same of the training to the Dice."""
    end, seconds = row["curve"][-1], row["seconds_to_aim"]
    what = f"{row['size']} px, batches of {row['batch']} by the {row['batches']}, {row['patients']['validation']} patients"
    aim = f"slice Dice {AIM} not reached" if seconds is None else f"slice Dice {AIM} after {seconds:.1f} s"
    print(f"{what}: {aim}; {end['dice']:.4f} after all {len(row['curve'])} epochs, {end['seconds']:.1f} s", flush=True)
    return row


if __name__ == "__main__":
    typer.run(main)
