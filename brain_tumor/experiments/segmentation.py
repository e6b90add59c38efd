"""From a recipe to a finished, scored run: the place where cohort, split, model, training, inference and evaluation meet."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.data import splits
from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import RunError
from brain_tumor.evaluation import overlap, protocols
from brain_tumor.experiments.recipe import SegmentationRecipe, from_json
from brain_tumor.inference.predict import Prediction, load_prediction, predict_case
from brain_tumor.models import freezing, precision, saved
from brain_tumor.paths import runs_folder
from brain_tumor.progress import tracked
from brain_tumor.training.batches import SliceArrays, TrainingBatches
from brain_tumor.training.runs import RunFolder, environment, now
from brain_tumor.training.stages import train as train_stages

SPLIT, COUNTS, CASES, SCORES, PREDICTIONS = "split.json", "counts.csv", "cases.csv", "scores.csv", "predictions"


def train(recipe: SegmentationRecipe, cohort: Cohort, on_start: Callable[[RunFolder], None] | None = None) -> RunFolder:
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
        _same_data(run, identity)
        if run.status == "finished":
            return run
    description = saved.describe(recipe.model, size=recipe.size, batchnorm_momentum=recipe.batchnorm_momentum)
    number_format = run.description["precision"] if run.exists else precision.resolve(recipe.precision)
    keras.utils.set_random_seed(recipe.seed)
    model = saved.build(description, number_format)
    for stage in recipe.stages:
        freezing.train_only(model, stage.part)  # a part that this network lacks is refused now, not when its stage begins
    store = open_store(cohort, recipe.size)
    windows = store.slice_windows(recipe.normalisation)
    parts = {part: SliceArrays(store.images, store.masks, windows, split.rows(part, store.slices)) for part in splits.PARTS}

    def epoch_batches(epoch: int) -> TrainingBatches:
        return TrainingBatches(parts["train"], recipe.batch_size, recipe.augmentation, recipe.seed, epoch)

    epoch_batches(0)  # a train part too small for one batch is refused now
    run.update(
        status="running",
        started=run.description["started"] if run.exists else now(),
        recipe=asdict(recipe),
        precision=number_format,
        parameters=model.count_params(),
        phantom=cohort.phantom,
        parts={part: _part_size(split, part, store) for part in splits.PARTS},
        environment=environment(),
        **identity,
    )
    split.save(run.path / SPLIT)
    if on_start:
        on_start(run)
    begun = time.monotonic()
    earlier = run.description.get("training_seconds", 0.0)
    ending = "failed"
    try:
        train_stages(model, recipe.stages, epoch_batches, recipe.loss, run, parts["tune"] if len(parts["tune"].rows) else None)
        saved.save(model, description, run.path)
        ending = "finished"
    except KeyboardInterrupt:
        ending = "stopped"
        raise
    finally:
        run.update(status=ending, ended=now(), training_seconds=round(earlier + time.monotonic() - begun, 1))
    run.drop_checkpoints()
    return run


def evaluate(run: RunFolder, cohort: Cohort, part: str = "test", again: bool = False) -> pd.DataFrame:
    """Predict and score one part of the run's split: predictions are written once, counts once, then every Dice by name.

    Args:
        part: ``test``, or ``tune`` while choosing.
        again: predict anew even where predictions are stored.

    Returns:
        The scores (:func:`brain_tumor.evaluation.protocols.score`), also written to ``scores.csv`` of the run (test part).

    Raises:
        RunError: the run did not finish, was trained on other data, or its split has no such part.
        DataError, ModelError: a stored prediction or the model is damaged.
    """
    recipe = finished_recipe(run)
    store = open_store(cohort)
    split = splits.load(run.path / SPLIT)
    _same_data(run, {"data_hash": store.data_hash, "split_hash": split.hash})
    rows = split.rows(part, store.slices)
    if not len(rows):
        raise RunError(f"{run.path}: the {part} part of its split is empty")
    model = saved.load(run.path, run.description["precision"])
    counts, seconds = [], []
    by_case = store.slices.iloc[rows].groupby("case_id").slice
    for case_id, numbers in tracked(by_case, f"scoring {part}", by_case.ngroups):
        prediction = None if again else _stored_prediction(run, str(case_id), numbers.to_numpy())
        if prediction is None:
            begun = time.monotonic()
            images = store.images[store.rows_of(case_id)]
            prediction = predict_case(model, images, recipe.normalisation, str(case_id), numbers, recipe.average_flips)
            seconds.append(time.monotonic() - begun)
            prediction.save(run.path / PREDICTIONS)
        counts.append(_count(prediction, store, recipe))
    counts = pd.concat(counts, ignore_index=True)[list(overlap.COLUMNS)]
    scores = protocols.score(counts)
    if part == "test":
        native = counts[counts["size"] == store.size]
        for name, table in ((COUNTS, counts), (CASES, overlap.per_case(native).reset_index()), (SCORES, scores)):
            with files.atomic_path(run.path / name) as temporary:
                table.to_csv(temporary, index=False)
        timing = {"inference_seconds": round(sum(seconds), 1)} if len(seconds) == by_case.ngroups else {}  # reading is none
        run.update(scored=now(), **timing)
    return scores


def read_scores(run: RunFolder) -> pd.DataFrame | None:
    """The scores that :func:`evaluate` wrote; None where the run has not been scored."""
    path = run.path / SCORES
    return pd.read_csv(path) if path.is_file() else None


def make_split(recipe: SegmentationRecipe, store: Store) -> splits.Split:
    """The recipe's split: read where it names a JSON file, else made by name."""
    if recipe.split.endswith(".json"):
        return splits.load(Path(recipe.split))
    return splits.named(recipe.split, store.cases, store.slices, recipe.tune, recipe.split_seed)


def finished_recipe(run: RunFolder) -> SegmentationRecipe:
    """The recipe of a finished run.

    Raises:
        RunError: it did not finish.
    """
    if run.status != "finished":
        raise RunError(f"{run.path}: the run is {run.status}, not finished; train it again to resume")
    return from_json(run.description["recipe"])


def _stored_prediction(run: RunFolder, case_id: str, numbers: np.ndarray) -> Prediction | None:
    """The stored prediction where there is one of just these slices."""
    path = run.path / PREDICTIONS / f"{case_id}.npz"
    prediction = load_prediction(path) if path.is_file() else None
    return prediction if prediction is not None and np.array_equal(prediction.slice_numbers, numbers) else None


def _count(prediction: Prediction, store: Store, recipe: SegmentationRecipe) -> pd.DataFrame:
    """Counts at native and at working size, both from what the network said at that size."""
    truth = {store.size: store.masks, recipe.size: open_store(store.cohort, recipe.size).masks}
    rows = store.rows_of(prediction.case_id).start + prediction.slice_numbers - 1
    tables = []
    for size, probability in {recipe.size: prediction.working, store.size: prediction.native}.items():
        counts = overlap.count(probability, truth[size][rows], recipe.threshold)
        tables.append(counts.assign(case_id=prediction.case_id, slice=prediction.slice_numbers, size=size))
    return pd.concat(tables)


def _same_data(run: RunFolder, identity: dict) -> None:
    for key, value in identity.items():
        found = run.description.get(key)
        if found != value:
            raise RunError(f"{run.path}: begun with {key} {str(found)[:12]}, now {value[:12]}; remove the folder to train anew")


def _part_size(split: splits.Split, part: str, store: Store) -> dict[str, int]:
    slices = store.slices.iloc[split.rows(part, store.slices)]
    return {"patients": int(slices.case_id.nunique()), "slices": len(slices), "tumour_slices": int((slices.tumour_px > 0).sum())}
