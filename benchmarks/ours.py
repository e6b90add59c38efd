"""This project's side: its networks, trained by its own stages and asked by its own prediction."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from material import BATCH, SIZE, open_material, seconds

from brain_tumor.models.backend import load_keras

load_keras()

import keras  # noqa: E402

from brain_tumor.data.intensity import normalise  # noqa: E402
from brain_tumor.inference import predict  # noqa: E402
from brain_tumor.models import backend, saved, settings  # noqa: E402
from brain_tumor.training import losses, stages  # noqa: E402
from brain_tumor.training.augment import Augmentation  # noqa: E402
from brain_tumor.training.batches import TrainingBatches  # noqa: E402
from brain_tumor.training.plan import Stage  # noqa: E402
from brain_tumor.training.runs import RunFolder  # noqa: E402

METRICS = (losses.dice_hits, losses.dice_area)


class Worker:
    """What can be asked of this side (:class:`sides.Side`)."""

    def __init__(self, threads: int):
        self.networks, self.compiled = {}, {}

    def open(self, root: str, size: int = SIZE) -> int:
        """The number of slices."""
        self.material, self.size = open_material(root, size), size
        self.number, self.batch_of = 0, self.material.endless()
        return len(self.material.slices)

    def version(self) -> dict:
        machine = backend.machine()
        return {"keras": machine["keras_version"], machine["backend"]: machine["backend_version"]}

    def prepare(self, model: str, precision: str, batch: int = BATCH) -> None:
        """A network, and two steps and predictions so that nothing is done for the first time when the clock runs."""
        keras.utils.set_random_seed(0)
        self.batch_of = self.material.endless(batch)
        network = saved.build(saved.describe(model, size=self.size), precision)
        with settings.fixed():
            twin = backend.faster(network)
            twin.compile(Stage("all", 12).make_optimiser(100), losses.make("bce-dice"), metrics=list(METRICS), jit_compile=False)
            self.networks[model, precision] = twin
            self.train(model, precision, 2)
            self.compiled[model, precision] = backend.frozen(network)
        self.predict(model, precision, 2)

    @settings.fixed()
    def train(self, model: str, precision: str, steps: int) -> float:
        """Seconds of so many training steps, with their batches."""
        network = self.networks[model, precision]

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
            spent = seconds(lambda: stages.train(network, plan, epoch_batches, losses.make("bce-dice"), run, metrics=METRICS))
        compiled, rows = backend.frozen(network), np.asarray(test)
        plain, mirrored = (_probability(compiled, self.material.arrays, rows, flip) for flip in (False, True))
        np.save(into, np.rint(255 * (plain + mirrored[:, :, ::-1]) / 2).astype(np.uint8))
        return {"seconds": spent, "steps": epochs * (len(arrays.rows) // batch)}


def _logits(network: predict.Network, arrays, rows: np.ndarray, flip: bool = False) -> np.ndarray:
    answers = []
    for start in range(0, len(rows), BATCH):
        images, _, scalings = arrays.take(rows[start : start + BATCH])
        answers.append(network(normalise(images[:, :, ::-1] if flip else images, scalings)))
    return np.concatenate(answers)


def _probability(network: predict.Network, arrays, rows: np.ndarray, flip: bool) -> np.ndarray:
    from brain_tumor.models.decision import probabilities

    return probabilities(_logits(network, arrays, rows, flip))[..., 0]
