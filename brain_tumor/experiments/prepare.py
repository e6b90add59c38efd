"""What a recipe's training begins with: its network, and the slices and the loss that it learns from."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import keras
import pandas as pd

from brain_tumor.data import owners, splits
from brain_tumor.data.cache import Store
from brain_tumor.data.channels import count
from brain_tumor.data.cohort import Cohort
from brain_tumor.experiments import tasks
from brain_tumor.experiments.inputs import network_inputs
from brain_tumor.experiments.own import OwnCode
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.models import freezing, saved, transfer, unet, weights
from brain_tumor.training import losses, parallel
from brain_tumor.training.batches import SliceArrays, TrainingBatches
from brain_tumor.training.stages import Sized


class Network(NamedTuple):
    """A network as training begins, its description for ``model.json``, and what is known of the weights it begins with."""

    model: keras.Model
    description: dict[str, Any]
    encoder: dict[str, Any] | None


class Material(NamedTuple):
    """What a network learns from.

    Attributes:
        own_size: network, batches and validation part at the recipe's size.
        at_size: the same at another size, for stages that name one.
        loss: of truth and logits.
        class_weights: what slices of each class weigh in it; None where all weigh the same.
    """

    own_size: Sized
    at_size: Callable[[int], Sized]
    loss: Callable[..., Any]
    class_weights: tuple[float, ...] | None


def network(recipe: Recipe, cohort: Cohort, split: splits.Split, number_format: str, own: OwnCode) -> Network:
    """The network of a recipe, with the weights that it begins with; sets the random seed.

    Raises:
        ModelError: it does not fit the cohort, the weights or the recipe's stages.
    """
    sequences = len(cohort.sequences)
    arguments = recipe.network_arguments(sequences, len(cohort.regions))
    description = saved.describe(recipe.model, **arguments)
    sides = (*[arguments[name] for name in ("depth",) if name in arguments], arguments["size"], arguments["size"])
    outputs = arguments.get("regions", 1) if recipe.LEARNS_MASKS else 0
    own.check(sides, count(recipe.channels, sequences), outputs, any(stage.size for stage in recipe.stages))
    keras.utils.set_random_seed(recipe.seed)
    model = own.model or saved.build(description, number_format)
    if own.model:
        description = saved.describe_own(own.model)
    if recipe.weights.endswith(transfer.ENDING):
        held_out = {key.split("/")[0] for key in (*split.validation, *split.test)}
        path = weights.folder() / recipe.weights if "/" not in recipe.weights else Path(recipe.weights).expanduser()
        encoder: dict[str, Any] | None = transfer.load(model, path, recipe.normalisation, held_out)
    else:
        encoder = weights.load_encoder(model, recipe.weights, recipe.normalisation)
    for stage in recipe.stages:
        freezing.train_only(model, stage.part)  # a part that this network lacks is refused now, not when its stage begins
    return Network(model, description, encoder)


def material(recipe: Recipe, store: Store, split: splits.Split, model: keras.Model, number_format: str, own: OwnCode) -> Material:
    """The slices of a split as a recipe's network takes them, and its loss; resizes them where no cache is there.

    Raises:
        DataError: too few slices for a batch, or not all that the recipe needs.
    """
    parts = _parts(recipe, store, split)
    train = parts(0)["train"]
    class_weights = losses.class_weights(train.targets[train.rows]) if recipe.balance == "weights" else None
    loss = own.loss or losses.make(recipe.loss, class_weights, tasks.of(recipe.TASK).losses)
    if recipe.LEARNS_MASKS:
        of_slices, regions = unet.has_slice_head(model), len(store.cohort.regions) if recipe.LEARNS_REGIONS else 1
        if regions > 1:
            loss = losses.by_region(loss, regions)
        if model.output_shape[-1] > regions + of_slices:
            loss = losses.deeply(loss, regions)
        loss = losses.with_slices(loss) if of_slices else loss

    def sized(model: keras.Model, parts: Callable[[int], dict[str, SliceArrays]]) -> Sized:
        def epoch_batches(epoch: int) -> TrainingBatches:
            return TrainingBatches(
                parts(epoch)["train"],
                recipe.batch_size,
                recipe.augmentation,
                recipe.seed,
                epoch,
                recipe.balance,
                own.augmentation,
                parallel.share(),
            )

        validation = parts(0)["validation"]
        return Sized(model, epoch_batches, validation if len(validation.rows) else None)

    def at_size(size: int) -> Sized:
        other = replace(recipe, size=size)
        resized = saved.build(saved.describe(recipe.model, **other.network_arguments(len(store.cohort.sequences))), number_format)
        return sized(resized, _parts(other, store, split))

    own_size = sized(model, parts)
    own_size.epoch_batches(0)  # a train part too small for one batch is refused now
    return Material(own_size, at_size, loss, class_weights)


def _parts(recipe: Recipe, store: Store, split: splits.Split) -> Callable[[int], dict[str, SliceArrays]]:
    """An epoch's number -> of each part of a split what the recipe's network takes, with what is learnt of it."""
    if parts := tasks.of(recipe.TASK).parts:
        return parts(recipe, store, split)
    inputs, scalings = network_inputs(recipe, store)
    targets = tasks.of(recipe.TASK).targets(recipe, store)
    patients = pd.factorize(store.slices.case_id.map(owners.patient_of(store.cases)))[0]
    facts = (inputs.stand_in, inputs.sequences, inputs.planes, patients)
    whole = {part: SliceArrays(inputs, targets, scalings, split.rows(part, store.slices), *facts) for part in splits.PARTS}
    return lambda _epoch: whole
