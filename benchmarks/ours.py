"""This project's side: its networks, trained by its own stages and asked by its own prediction."""

import contextlib
import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from material import BATCH, SIZE, open_material, seconds

from brain_tumor.models.backend import load_keras

load_keras()

import keras  # noqa: E402

from brain_tumor.data.intensity import normalise  # noqa: E402
from brain_tumor.inference import predict  # noqa: E402
from brain_tumor.models import backend, fast, saved, settings  # noqa: E402
from brain_tumor.training import losses, stages  # noqa: E402
from brain_tumor.training.augment import Augmentation  # noqa: E402
from brain_tumor.training.batches import TrainingBatches  # noqa: E402
from brain_tumor.training.optimisers import FusedAdamW  # noqa: E402
from brain_tumor.training.plan import Stage  # noqa: E402
from brain_tumor.training.runs import RunFolder  # noqa: E402

METRICS = (losses.dice_hits, losses.dice_area)
KERAS = keras.optimizers.AdamW
# What each optimisation is replaced by where it is left out: object, attribute, value.
ADAMW = [(FusedAdamW, name, getattr(KERAS, name)) for name in ("update_step", "_apply_weight_decay")]
LEFT_OUT = {
    "fused BatchNorm": [(fast, "_is_plain_batchnorm", lambda node: False)],
    "BatchNorm of the input": [(fast, "_is_input_batchnorm", lambda node: False)],
    "padding within the convolution": [(fast, "_zeros", lambda node: 0)],
    "doubling as transposed convolution": [(fast, "_doubles", lambda node: False)],
    "small convolutions as matrix products": [(fast, "SMALL_SIDE", 0)],
    "one-pass AdamW": ADAMW,
    "all of these": [(backend, "faster", lambda network: network), *ADAMW],
}


class Worker:
    """What can be asked of this side (:class:`sides.Side`)."""

    def __init__(self, threads: int):
        self.networks, self.compiled = {}, {}

    def open(self, root: str, size: int = SIZE) -> int:
        """The number of slices."""
        self.material, self.size = open_material(root, size), size
        self.number, self.batch_of = 0, self.material.endless()
        return len(self.material.slices)

    def memory(self) -> float:
        """The most memory that this process has held, in MB."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def version(self) -> dict:
        machine = backend.machine()
        return {"keras": machine["keras_version"], machine["backend"]: machine["backend_version"]}

    def prepare(self, model: str, precision: str, batch: int = BATCH, without: str = "") -> None:
        """A network, and two steps and predictions so that nothing is done for the first time when the clock runs.

        Args:
            without: one of :data:`LEFT_OUT`.
        """
        keras.utils.set_random_seed(0)
        self.batch_of = self.material.endless(batch)
        network = saved.build(saved.describe(model, size=self.size), precision)
        with settings.fixed(), _left_out(without):
            twin = backend.faster(network)
            twin.compile(Stage("all", 12).make_optimiser(100), losses.make("bce-dice"), metrics=list(METRICS), jit_compile=False)
            self.networks[model, precision, without] = twin
            self.train(model, precision, 2, without)
            self.compiled[model, precision] = network.predict_on_batch if without else backend.frozen(network)
        self.predict(model, precision, 2)

    @settings.fixed()
    def train(self, model: str, precision: str, steps: int, without: str = "") -> float:
        """Seconds of so many training steps, with their batches."""
        network = self.networks[model, precision, without]

        def run() -> None:
            for _ in range(steps):
                network.train_on_batch(*self.batch_of(self.number), return_dict=True)
                self.number += 1

        return seconds(run)

    def predict(self, model: str, precision: str, batches: int) -> float:
        """Seconds of so many batches of slices to logits."""
        arrays, network = self.material.arrays, self.compiled[model, precision]
        return seconds(lambda: _logits(network, arrays, np.arange(batches * BATCH) % len(arrays.rows)))

    def fit(
        self,
        train: list[int],
        test: list[int],
        epochs: int,
        seed: int,
        precision: str,
        into: str,
        model: str = "unet-resnet18",
        arguments: dict | None = None,
        max_lr: float = 1e-3,
        batch: int = BATCH,
        without: str = "",
        **stage: float,
    ) -> dict:
        """Train a whole 1cycle on some rows, then write the probabilities of others; the seconds of the training alone."""
        keras.utils.set_random_seed(seed)
        network = saved.build(saved.describe(model, size=self.size, **(arguments or {})), precision)
        arrays, plan = self.material.of(train), (Stage("all", epochs, max_lr, **stage),)

        def epoch_batches(epoch: int) -> TrainingBatches:
            return TrainingBatches(arrays, batch, Augmentation(), seed, epoch)

        with tempfile.TemporaryDirectory(dir=os.environ["BRAIN_TUMOR_HOME"]) as folder:
            run = RunFolder(Path(folder))
            with _left_out(without):
                spent = seconds(lambda: stages.train(network, plan, epoch_batches, losses.make("bce-dice"), run, metrics=METRICS))
        if not into:
            return {"seconds": spent, "steps": epochs * (len(arrays.rows) // batch)}
        compiled, rows = backend.frozen(network), np.asarray(test)
        plain, mirrored = (_probability(compiled, self.material.arrays, rows, flip) for flip in (False, True))
        np.save(into, np.rint(255 * (plain + mirrored[:, :, ::-1]) / 2).astype(np.uint8))
        return {"seconds": spent, "steps": epochs * (len(arrays.rows) // batch)}


@contextlib.contextmanager
def _left_out(name: str) -> Iterator[None]:
    """Within, networks are built and traced without an optimisation."""
    earlier = [(owner, attribute, getattr(owner, attribute)) for owner, attribute, _ in LEFT_OUT.get(name, ())]
    try:
        for owner, attribute, value in LEFT_OUT.get(name, ()):
            setattr(owner, attribute, value)
        yield
    finally:
        for owner, attribute, value in earlier:
            setattr(owner, attribute, value)


def _logits(network: predict.Network, arrays, rows: np.ndarray, flip: bool = False) -> np.ndarray:
    answers = []
    for start in range(0, len(rows), BATCH):
        images, _, scalings = arrays.take(rows[start : start + BATCH])
        answers.append(network(normalise(images[:, :, ::-1] if flip else images, scalings)))
    return np.concatenate(answers)


def _probability(network: predict.Network, arrays, rows: np.ndarray, flip: bool) -> np.ndarray:
    from brain_tumor.models.decision import probabilities

    return probabilities(_logits(network, arrays, rows, flip))[..., 0]
