"""From a recipe to a trained run, whatever the task: where cohort, split, model and training meet."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np

from brain_tumor.data import splits
from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.channels import COUNTS
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import RunError
from brain_tumor.experiments.inputs import network_inputs
from brain_tumor.experiments.recipe import Recipe, from_json
from brain_tumor.models import freezing, precision, saved, weights
from brain_tumor.paths import runs_folder
from brain_tumor.training import features, losses
from brain_tumor.training.batches import SliceArrays, TrainingBatches
from brain_tumor.training.runs import RunFolder, environment, now
from brain_tumor.training.stages import train as train_stages

SPLIT = "split.json"


def train(recipe: Recipe, cohort: Cohort, on_start: Callable[[RunFolder], None] | None = None) -> RunFolder:
    """Train a recipe; a finished run is returned as it is, an interrupted one resumed.

    Raises:
        RunError: the run's folder was begun on other data.
        DataError, SplitError, ModelError: the recipe does not fit the cohort; nothing is written.
    """
    run = RunFolder(runs_folder() / recipe.run_id)
    native = open_store(cohort)
    split = make_split(recipe, native)
    identity = {"data_hash": native.data_hash, "split_hash": split.hash}
    if run.exists:
        check_data(run, identity)
        if run.status == "finished":
            return run
    description = saved.describe(recipe.model, **_arguments(recipe))
    number_format = run.description["precision"] if run.exists else precision.resolve(recipe.precision)
    keras.utils.set_random_seed(recipe.seed)
    model = saved.build(description, number_format)
    encoder = weights.load_encoder(model, recipe.weights, recipe.normalisation)
    if encoder:
        identity["encoder_hash"] = encoder["sha256"]
        if run.exists:
            check_data(run, identity)
    for stage in recipe.stages:
        freezing.train_only(model, stage.part)  # a part that this network lacks is refused now, not when its stage begins
    inputs, scalings = network_inputs(recipe, native)  # resizes, so after all that may refuse the recipe
    slices = native.slices
    outlines = recipe.TASK == "segmentation"
    targets = open_store(cohort, recipe.size).masks if outlines else (slices.tumour_px > 0).to_numpy(np.uint8)
    parts = {part: SliceArrays(inputs, targets, scalings, split.rows(part, slices)) for part in splits.PARTS}
    balance = getattr(recipe, "balance", "none")
    counted = losses.class_weights(targets[parts["train"].rows]) if balance == "weights" else None

    def epoch_batches(epoch: int) -> TrainingBatches:
        return TrainingBatches(parts["train"], recipe.batch_size, recipe.augmentation, recipe.seed, epoch, balance)

    epoch_batches(0)  # a train part too small for one batch is refused now
    run.update(
        status="running",
        started=run.description["started"] if run.exists else now(),
        recipe=asdict(recipe),
        precision=number_format,
        parameters=model.count_params(),
        phantom=cohort.phantom,
        parts={part: _part_size(split, part, native) for part in splits.PARTS},
        encoder=encoder,
        class_weights=counted,
        environment=environment(),
        **identity,
    )
    split.save(run.path / SPLIT)
    if on_start:
        on_start(run)
    with run.under_way():
        validation = parts["validation"] if len(parts["validation"].rows) else None
        short = features.represents(recipe.augmentation)
        train_stages(model, recipe.stages, epoch_batches, recipe.loss, run, validation, recipe.TASK, counted, on_features=short)
        saved.save(model, description, run.path)
    run.drop_checkpoints()
    return run


def _arguments(recipe: Recipe) -> dict:
    """What the recipe's network is built with; what it would be without being told is left out, as before it could be."""
    arguments = {"size": recipe.size, "batchnorm_momentum": recipe.batchnorm_momentum}
    channels = COUNTS[getattr(recipe, "channels", "sequences")]
    if channels != 3:
        arguments["channels"] = channels
    if not getattr(recipe, "input_batchnorm", True):
        arguments["input_batchnorm"] = False
    return arguments


def make_split(recipe: Recipe, store: Store) -> splits.Split:
    """The recipe's split: read where it names a JSON file, else made by name."""
    if recipe.split.endswith(".json"):
        return splits.load(Path(recipe.split))
    return splits.named(recipe.split, store.cases, store.slices, recipe.validation, recipe.split_seed)


def finished_recipe(run: RunFolder) -> Recipe:
    """The recipe of a finished run.

    Raises:
        RunError: it did not finish.
    """
    if run.status != "finished":
        raise RunError(f"{run.path}: the run is {run.status}, not finished; train it again to resume")
    return from_json(run.description["recipe"])


def check_data(run: RunFolder, identity: dict) -> None:
    """Refuse a run that was begun on other data or another split.

    Raises:
        RunError: naming what differs.
    """
    for key, value in identity.items():
        found = run.description.get(key)
        if found != value:
            raise RunError(f"{run.path}: begun with {key} {str(found)[:12]}, now {value[:12]}; remove the folder to train anew")


def _part_size(split: splits.Split, part: str, store: Store) -> dict[str, int]:
    slices = store.slices.iloc[split.rows(part, store.slices)]
    return {"patients": int(slices.case_id.nunique()), "slices": len(slices), "tumour_slices": int((slices.tumour_px > 0).sum())}
