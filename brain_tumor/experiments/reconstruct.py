"""Masked reconstruction: encoder and decoder learn to fill in hidden patches of the training patients' slices, without masks.

What is learnt so is ahead of more classification pretraining for segmentation of 3-D scans (Wald 2024, arXiv 2412.17041, after
He 2022, arXiv 2111.06377). Only the training part of the recipe's split is seen; the weights say whose images those were, and no
network that is validated or tested on one of them takes them.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from brain_tumor import files
from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.data.opening import name_of
from brain_tumor.experiments import prepare, run as experiment
from brain_tumor.experiments.own import NONE
from brain_tumor.experiments.recipe import SegmentationRecipe, identity
from brain_tumor.models import precision, settings, transfer, weights
from brain_tumor.models.architectures import HEAD
from brain_tumor.paths import runs_folder
from brain_tumor.training import stages
from brain_tumor.training.batches import TrainingBatches
from brain_tumor.training.plan import Stage
from brain_tumor.training.runs import RunFolder, environment, now

HIDDEN, PATCHES = 0.6, 16  # the share of patches that are hidden, and how many there are a side: 8 px wide at 128


class HiddenBatches:
    """Batches whose images lack patches, with what is to be filled in: the images, and a channel more that is 1 where hidden."""

    def __init__(self, batches: TrainingBatches, hidden: float = HIDDEN, patches: int = PATCHES):
        self.batches, self.hidden, self.patches = batches, hidden, patches
        self.batch_size, self.augmentation = batches.batch_size, batches.augmentation

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        images, _ = self.batches[index]
        generator = np.random.default_rng([self.batches.seed, self.batches.epoch, index, 2])
        coarse = generator.random((len(images), self.patches, self.patches)) < self.hidden
        side = -(-images.shape[1] // self.patches)
        hidden = coarse.repeat(side, axis=1).repeat(side, axis=2)[:, : images.shape[1], : images.shape[2], None]
        return np.where(hidden, np.float32(0), images), np.concatenate([images, hidden.astype(np.float32)], axis=-1)


def hidden_error(truth: Any, filled: Any) -> Any:
    """The mean squared error of the hidden pixels, of :class:`HiddenBatches`."""
    hidden = truth[..., -1:]
    squares = hidden * keras.ops.square(truth[..., :-1] - keras.ops.cast(filled, truth.dtype))
    return keras.ops.sum(squares) / (keras.ops.sum(hidden) * filled.shape[-1] + 1.0)


@settings.fixed()
def pretrain(
    recipe: SegmentationRecipe, cohort: Cohort, name: str, on_start: Callable[[RunFolder], None] | None = None
) -> tuple[Path, float]:
    """Train the network of a recipe to fill in hidden patches, for the recipe's stages, and write its weights.

    Args:
        name: what the weights are called.

    Returns:
        The file of the weights, and the seconds that they took; a finished run is taken as it is, an interrupted one resumed.

    Raises:
        DataError, SplitError, ModelError: the recipe does not fit the cohort.
    """
    recipe = replace(recipe, cohort=name_of(cohort))
    store = open_store(cohort)
    split = experiment.make_split(recipe, store)
    facts = experiment.content(recipe, store, split)
    digest = files.sha256_json([identity(recipe), facts, HIDDEN, PATCHES])[:8]
    run = RunFolder(runs_folder() / "pretraining" / f"{name}-{recipe.model}-{recipe.size}-seed{recipe.seed}-{digest}")
    path = weights.folder() / f"{run.path.name}{transfer.ENDING}"
    if run.status == "finished" and path.is_file():
        return path, run.description["training_seconds"]
    number_format = run.description["precision"] if run.exists else precision.resolve(recipe.precision)
    network = prepare.network(recipe, cohort, split, number_format, NONE)
    material = prepare.material(recipe, store, split, network.model, number_format, NONE)
    filling = _filling(network.model)

    def epoch_batches(epoch: int) -> HiddenBatches:
        return HiddenBatches(material.own_size.epoch_batches(epoch))

    begun = {"started": run.description["started"] if run.exists else now(), "recipe": recipe.to_json(), **facts}
    with run.under_way(**begun, precision=number_format, parameters=filling.count_params(), environment=environment()):
        if on_start:
            on_start(run)
        stages.train(filling, _whole(recipe.stages), epoch_batches, hidden_error, run, on_device=False)  # type: ignore[arg-type]
        record = {"name": name, "normalisation": recipe.normalisation, "patients": sorted(split.train), "run": run.path.name}
        transfer.save(network.model, path, record | {"recipe": recipe.to_json(), "task": "reconstruct"})
    run.drop_checkpoints()
    return path, run.description["training_seconds"]


def _filling(model: keras.Model) -> keras.Model:
    """The layers of a segmentation network with another head: a value for each pixel of each channel."""
    head = keras.layers.Conv2D(model.input_shape[-1], 3, padding="same", dtype="float32", name="reconstructed")
    return keras.Model(model.input, head(model.get_layer(HEAD).input), name=f"{model.name}_filling")


def _whole(plan: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """The stages that train everything; there is no mask for a decoder to learn alone."""
    return tuple(stage for stage in plan if stage.part == "all") or (Stage("reconstruct", sum(stage.epochs for stage in plan)),)
