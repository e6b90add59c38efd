"""From a trained classification run to its scores: a probability a slice, then every figure of detection with its floor."""

import time

import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.data import splits
from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import RunError
from brain_tumor.evaluation import detection, floors
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.experiments.training import SPLIT, check_data, finished_recipe
from brain_tumor.inference.predict import slice_probabilities
from brain_tumor.models import saved
from brain_tumor.progress import tracked
from brain_tumor.training.runs import RunFolder, now

SLICES, SCORES, FLOORS = "slices.csv", "scores.csv", "floors.csv"
CRITERION = "accuracy"  # by which the threshold is chosen on the tune part, where there is one
DECIMALS = 6  # of a probability in the tables


def evaluate(run: RunFolder, cohort: Cohort, part: str = "test", again: bool = False) -> pd.DataFrame:
    """Predict and score one part of the run's split; every slice's probability is written once.

    A slice is called tumour above the threshold that is best on the tune part, or above the recipe's where the split has none.

    Args:
        part: ``test``, or ``tune`` while choosing.
        again: predict anew even where probabilities are stored.

    Returns:
        The scores (:func:`brain_tumor.evaluation.detection.score_with_floors`), also written to ``scores.csv`` (test part).

    Raises:
        RunError: the run did not finish, was trained on other data, or its split has no such part.
        ModelError: the model is damaged.
    """
    recipe = finished_recipe(run)
    store = open_store(cohort)
    split = splits.load(run.path / SPLIT)
    check_data(run, {"data_hash": store.data_hash, "split_hash": split.hash})
    rows = split.rows(part, store.slices)
    if not len(rows):
        raise RunError(f"{run.path}: the {part} part of its split is empty")
    begun = time.monotonic()
    slices = _slices(run, recipe, store, part, rows, again)
    seconds = time.monotonic() - begun
    threshold = recipe.threshold
    if split.tune:
        tuned = _slices(run, recipe, store, "tune", split.rows("tune", store.slices), again)
        threshold = detection.choose_threshold(tuned.tumour, tuned.probability, CRITERION)
    floor_table = image_free(store, split.rows("train", store.slices), rows)
    scores = detection.score_with_floors(slices, floor_table, threshold)
    if part == "test":
        for name, table in ((FLOORS, floor_table), (SCORES, scores)):
            _write(table, run, name)
        run.update(scored=now(), threshold=threshold, inference_seconds=round(seconds, 1))
    return scores


def image_free(store: Store, train: np.ndarray, rows: np.ndarray) -> pd.DataFrame:
    """What every floor that applies says of the slices that are scored: ``floor, case_id, slice, tumour, probability``."""
    answers = floors.classification(store.slices, train, rows)
    tables = [
        _truth(store, rows).assign(floor=name, probability=np.round(probability, DECIMALS))
        for name, probability in answers.items()
        if probability is not None
    ]
    return pd.concat(tables, ignore_index=True)[["floor", "case_id", "slice", "tumour", "probability"]]


def _truth(store: Store, rows: np.ndarray) -> pd.DataFrame:
    """``case_id, slice, tumour``: whether the expert's mask, at native size, holds a pixel."""
    slices = store.slices.iloc[rows].reset_index(drop=True)
    return slices.assign(tumour=slices.tumour_px > 0)[["case_id", "slice", "tumour"]]


def _slices(run: RunFolder, recipe: Recipe, store: Store, part: str, rows: np.ndarray, again: bool) -> pd.DataFrame:
    """``case_id, slice, tumour, probability`` of one part: stored, or predicted and stored."""
    path = run.path / (SLICES if part == "test" else f"{part}-{SLICES}")
    if path.is_file() and not again:
        return pd.read_csv(path, dtype={"case_id": str})
    model = saved.load(run.path, run.description["precision"])
    working = open_store(store.cohort, recipe.size)
    table = _truth(store, rows)
    found = np.empty(len(rows))
    by_case = table.groupby("case_id").groups
    for case_id, places in tracked(by_case.items(), f"scoring {part}", len(by_case)):
        window = store.windows[recipe.normalisation][store.cases.index.get_loc(case_id)]
        found[places] = slice_probabilities(model, working.images[rows[places]], window, recipe.average_flips)
    table = table.assign(probability=found.round(DECIMALS))
    _write(table, run, path.name)
    return table


def _write(table: pd.DataFrame, run: RunFolder, name: str) -> None:
    with files.atomic_path(run.path / name) as temporary:
        table.to_csv(temporary, index=False)
