"""From a recipe to a trained and scored run, whatever the task: where cohort, split, network, training and evaluation meet."""

import glob
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from brain_tumor import files
from brain_tumor.data import owners, splits
from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.cohort import COHORTS, Cohort
from brain_tumor.data.opening import name_of, open_cohort
from brain_tumor.errors import DataError, RunError, SplitError
from brain_tumor.evaluation import scoring
from brain_tumor.experiments import members, prepare, tasks
from brain_tumor.experiments.members import SPLIT
from brain_tumor.experiments.own import NONE, OwnCode
from brain_tumor.experiments.part import Part
from brain_tumor.experiments.recipe import Recipe, identity
from brain_tumor.models import precision, saved, settings
from brain_tumor.paths import runs_folder
from brain_tumor.training import features, parallel
from brain_tumor.training.runs import ANEW, TRAINED, RunFolder, environment, now
from brain_tumor.training.stages import train as train_stages

BY_CONTENT = ("cohort", "split", "split_seed", "validation")  # what these say of a run, its cohort and split say better


@settings.fixed()
def train(recipe: Recipe, cohort: Cohort, on_start: Callable[[RunFolder], None] | None = None, own: OwnCode = NONE) -> RunFolder:
    """Train a recipe; a finished run is returned as it is, an interrupted one resumed.

    Args:
        own: a network, loss, augmentation or callbacks of the caller's, in place of the recipe's.
        on_start: called with the run's folder when training begins or goes on.

    Raises:
        RunError: the run's folder was begun with other weights, or another process trains into it.
        DataError, SplitError, ModelError: the recipe does not fit the cohort; nothing is written.
    """
    task, recipe = tasks.of(recipe.TASK), on(recipe, cohort)
    store = open_store(cohort)
    split = make_split(recipe, store)
    run = run_folder(recipe, store, own)
    facts = content(recipe, store, split)
    if run.exists:
        check_content(run, facts)
        if run.status == "finished":
            return run
    if recipe.members > 1:
        folders = [run_folder(member, store, own) for member in members.recipes(recipe)]
        workers = members.train(recipe, cohort, train, folders, on_start, own)
        return members.gather(folders, recipe, run, split, facts | {"workers": workers})
    number_format = run.description["precision"] if run.exists else precision.resolve(recipe.precision, recipe.LEARNS_REGIONS)
    network = prepare.network(recipe, cohort, split, number_format, own)
    if network.encoder:
        facts["encoder_hash"] = network.encoder["sha256"]
        if run.exists:
            check_content(run, facts)
    material = prepare.material(recipe, store, split, network.model, number_format, own)
    parallel.check_batch(recipe.batch_size, recipe.accumulate)
    run = parallel.folder(run)
    with run.under_way(
        started=run.description["started"] if run.exists else now(),
        recipe=recipe.to_json(),
        precision=number_format,
        parameters=network.model.count_params(),
        phantom=cohort.phantom,
        sequences=list(cohort.sequences),
        **({"caution": cohort.caution} if cohort.caution else {}),
        parts={part: _part_size(split, part, store) for part in splits.PARTS},
        encoder=network.encoder,
        class_weights=material.class_weights,
        effective_batch=recipe.batch_size * recipe.accumulate,  # slices or patches a step, on all processes (row 004.43)
        environment=environment(),
        own_code=own.facts(),
        **facts,
    ):
        if parallel.share()[0] == 0:
            split.save(run.path / SPLIT)
        if on_start and run.exists:
            on_start(run)
        train_stages(
            network.model,
            recipe.stages,
            material.own_size.epoch_batches,
            material.loss,
            run,
            material.own_size.validation,
            task.metrics,
            on_features=features.represents(recipe.augmentation) and not parallel.shares(),
            callbacks=own.callbacks,
            at_size=material.at_size,
            average=recipe.weight_average,
            accumulate=recipe.accumulate,
        )
        model, description = saved.for_use(network.model, network.description)
        if parallel.share()[0] == 0:
            with parallel.alone():
                saved.save(model, description | {"precision": number_format, "predictor": _predictor(recipe, cohort)}, run.path)
    run.drop_checkpoints()
    parallel.wait()
    return run


def evaluate(
    run: RunFolder, cohort: Cohort, part: str = "test", again: bool = False, model: keras.Model | None = None
) -> pd.DataFrame:
    """Predict, count and score one part of a run's split; what was predicted is written once.

    Args:
        part: ``test``, or ``validation`` while choosing.
        again: predict anew even where predictions are stored.
        model: the caller's own network, where the run was trained with one; its weights are read from the run.

    Returns:
        The scores. Of the test part, they and all tables of the task are also written to the run's folder.

    Raises:
        RunError: the run did not finish, was trained on other data, or its split has no such part.
        DataError, ModelError: what is stored is damaged; no table is written.
    """
    scored = part_of(run, cohort, part, model)
    result = tasks.of(scored.recipe.TASK).evaluate(scored, again)
    if part == "test":
        if "threshold" in result.facts:
            saved.decide(run.path, result.facts["threshold"])
        scoring.write(result.tables, run.path)
        run.update(scored=now(), **result.facts)
    return result.tables[scoring.SCORES]


def run_folder(recipe: Recipe, store: Store, own: OwnCode = NONE) -> RunFolder:
    """The folder of a recipe's run on these data in this home, whether it is there or not.

    Its name says what a person looks for first, then a hash of all that decides the run: the recipe, the content of its split,
    the data and, where masks are learnt, how they are resized. Neither the path of a split's file nor what the file calls itself
    is part of it: a run on the same patients is taken under the name that it has.
    """
    split = make_split(recipe, store)
    choices = {name: value for name, value in identity(recipe).items() if name not in BY_CONTENT}
    decisive = [recipe.TASK, choices, content(recipe, store, split), *([own.facts()] if own.facts() else [])]
    digest = files.sha256_json(decisive)[:8]
    stem = re.sub(r"[^\w-]+", "-", split.name)  # a file may call its split anything
    ending = f"{recipe.model}-{recipe.size}-seed{recipe.seed}-{digest}"
    path = runs_folder() / f"{store.cohort.name}-{stem}-{ending}"
    same = sorted(runs_folder().glob(f"{glob.escape(store.cohort.name)}-*-{glob.escape(ending)}"))
    return RunFolder(path if path.exists() or not same else same[0])


def content(recipe: Recipe, store: Store, split: splits.Split | None) -> dict[str, Any]:
    """What a run, or without a split a cross-validation, learns from, by content.

    Raises:
        DataError: masks are learnt, and the cohort's images have labels only.
    """
    if recipe.LEARNS_MASKS and not store.cohort.outlined:
        labels = f"the cohort {store.cohort.name} labels its images and has no masks"
        raise DataError(
            f"{labels}, so {recipe.TASK} cannot be learnt from it; a slice classifier can: brain-tumor train classification"
        )
    preparation = {"preparation": recipe.PREPARATION} if recipe.PREPARATION else {}
    return {"data_hash": store.data_hash} | ({"split_hash": split.hash} if split else {}) | preparation


def make_split(recipe: Recipe, store: Store) -> splits.Split:
    """The recipe's split: read where it names a JSON file, else made by name."""
    if recipe.split.endswith(".json"):
        owners.check_patients(store.cases, recipe.split)
        return splits.load(Path(recipe.split))
    return splits.named(recipe.split, store.cases, store.slices, recipe.validation, recipe.split_seed)


def build(recipe: Recipe, sequences: int = 3, regions: int = 1) -> keras.Model:
    """The untrained network of a recipe, for a cohort of so many sequences and regions."""
    return saved.build(saved.describe(recipe.model, **recipe.network_arguments(sequences, regions)))


def split_of(recipe: Recipe, cohort: Cohort) -> splits.Split:
    """Which slices of the cohort a run of this recipe trains on, validates on and is tested on."""
    return make_split(recipe, open_store(cohort))


def finished_recipe(run: RunFolder) -> Recipe:
    """The recipe of a finished run.

    Raises:
        RunError: it did not finish.
    """
    if run.status != "finished":
        raise RunError(f"{run.path}: the run is {run.status}, not finished; train it again to resume")
    return tasks.recipe_from_json(run.facts("recipe")["recipe"])


def stored_split(run: RunFolder) -> splits.Split:
    """The split in a run's folder.

    Raises:
        RunError: the file is damaged, or not the split that the run was trained on.
    """
    path = run.path / SPLIT
    try:
        split = splits.load(path)
    except SplitError as error:
        raise RunError(f"{error}; {ANEW}") from None
    if split.hash != run.description.get("split_hash", split.hash):
        raise RunError(f"{path}: another split than the run was trained on; {ANEW}")
    return split


def on(recipe: Recipe, cohort: Cohort) -> Recipe:
    """The recipe with the name of the cohort that it is trained on, whatever it said."""
    return replace(recipe, cohort=name_of(cohort))


def trained_cohort(run: RunFolder) -> Cohort:
    """The cohort of this home that a run was trained on, as :func:`cohort_of` has it.

    Raises:
        RunError: the run's description is damaged.
    """
    return cohort_of(run.facts(*TRAINED))


def cohort_of(facts: dict) -> Cohort:
    """The cohort of this home that a run or cross-validation is of.

    It is the one that the run's recipe names, unless that holds other data: earlier versions wrote what the recipe said, so a run
    on the phantom may say ``lgg``.

    Raises:
        DataError: the cohort is not here.
    """
    named = facts["recipe"]["cohort"]
    refusals, opened = [], []
    for name in dict.fromkeys((named, *(COHORTS if facts["phantom"] else ()))):
        try:
            cohort = open_cohort(name)
        except DataError as error:
            refusals.append(error)
            continue
        if cohort.phantom == facts["phantom"] and open_store(cohort).data_hash == facts["data_hash"]:
            return cohort
        opened.append(cohort)
    if not opened:
        raise refusals[0]
    return opened[0]


def part_of(run: RunFolder, cohort: Cohort, name: str, model: keras.Model | None = None) -> Part:
    """A part of a finished run's split, ready to be scored.

    Raises:
        RunError: the run did not finish, was trained on other data, or its split has no such part.
    """
    recipe = finished_recipe(run)
    store = open_store(cohort)
    split = stored_split(run)
    check_content(run, content(recipe, store, split))
    part = Part(run, cohort, recipe, store, split, name, model)
    if not len(part.rows):
        raise RunError(f"{run.path}: the {name} part of its split is empty")
    return part


def check_content(run: RunFolder, facts: dict[str, Any]) -> None:
    """Refuse a run that was begun on other data, another split, other weights or otherwise prepared masks.

    Raises:
        RunError: naming what differs.
    """
    for name, value in facts.items():
        earlier = run.description.get(name)
        if earlier != value:
            begun = f"begun with {name} {str(earlier)[:12]}, now {str(value)[:12]}"
            raise RunError(f"{run.path}: {begun}; remove the folder to train anew")


def _predictor(recipe: Recipe, cohort: Cohort) -> dict[str, Any]:
    """How the model's inputs are prepared and its answer is decided (:class:`brain_tumor.inference.predictor.Predictor`)."""
    values = recipe.to_json()
    prepared = {name: values[name] for name in ("normalisation", "channels", "flip_tta", "threshold")}
    if recipe.rotation_tta:
        prepared["rotation_tta"] = recipe.rotation_tta
    if recipe.LEARNS_REGIONS:
        prepared |= {"size": recipe.size, "regions": list(cohort.regions)}
    facts = {"cohort": cohort.name, "sequences": list(cohort.sequences), "reference": cohort.reference}
    return prepared | facts | {"from_feet": cohort.radiological}


def _part_size(split: splits.Split, part: str, store: Store) -> dict[str, int]:
    slices = store.slices.iloc[split.rows(part, store.slices)]
    return {"patients": int(slices.case_id.nunique()), "slices": len(slices), "tumour_slices": int((slices.tumour_px > 0).sum())}
