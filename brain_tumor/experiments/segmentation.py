"""From a trained segmentation run to its scores: predictions once, counts once, then every Dice by name."""

import time

import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.data import splits
from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import RunError
from brain_tumor.evaluation import floors, overlap, protocols
from brain_tumor.experiments.recipe import SegmentationRecipe
from brain_tumor.experiments.training import SPLIT, check_data, finished_recipe
from brain_tumor.inference.predict import Prediction, load_prediction, predict_case
from brain_tumor.models import saved
from brain_tumor.progress import tracked
from brain_tumor.training.runs import RunFolder, now

COUNTS, CASES, SCORES, FLOORS, PREDICTIONS = "counts.csv", "cases.csv", "scores.csv", "floors.csv", "predictions"


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
    check_data(run, {"data_hash": store.data_hash, "split_hash": split.hash})
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
    floor_counts = image_free(store, recipe.size, split.rows("train", store.slices), rows)
    scores = protocols.score(counts, floor_counts=dict(list(floor_counts.groupby("floor"))))
    if part == "test":
        cases = overlap.per_case(counts[counts["size"] == store.size]).reset_index()
        for name, table in ((COUNTS, counts), (CASES, cases), (FLOORS, floor_counts), (SCORES, scores)):
            with files.atomic_path(run.path / name) as temporary:
                table.to_csv(temporary, index=False)
        timing = {"inference_seconds": round(sum(seconds), 1)} if len(seconds) == by_case.ngroups else {}  # reading is none
        run.update(scored=now(), **timing)
    return scores


def image_free(store: Store, size: int, train: np.ndarray, rows: np.ndarray) -> pd.DataFrame:
    """The counts of every floor that applies, on the rows that are scored, at native size and at ``size``."""
    sizes = (store, open_store(store.cohort, size))
    tables = [floors.segmentation_counts(store.slices, at_size.masks, train, rows) for at_size in sizes]
    return pd.concat(tables, ignore_index=True)


def read_scores(run: RunFolder) -> pd.DataFrame | None:
    """The scores that :func:`evaluate` wrote; None where the run has not been scored."""
    path = run.path / SCORES
    return pd.read_csv(path) if path.is_file() else None


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
