"""Is there tumour in this slice? From a trained run to a probability a slice; the scores follow from that table alone."""

import time
from pathlib import Path

import numpy as np
import pandas as pd

from brain_tumor.data.cache import Store
from brain_tumor.errors import DataError, FileError
from brain_tumor.evaluation import calibration, classification, detection, scoring, storage
from brain_tumor.evaluation.scoring import Tables
from brain_tumor.experiments.inputs import network_inputs
from brain_tumor.experiments.part import Part, Result
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.inference.predict import probabilities
from brain_tumor.models import backend, saved
from brain_tumor.progress import tracked


def labels(recipe: Recipe, store: Store) -> np.ndarray:
    """What is learnt: ``(N,)`` uint8, 1 where the expert's mask, at native size, holds a pixel."""
    return (store.slices.tumour_px > 0).to_numpy(np.uint8)


def evaluate(part: Part, again: bool) -> Result:
    """Predict and score one part of the run's split; every slice's probability is written once.

    A slice is called tumour above the threshold of best accuracy on the validation part, or above the recipe's where the split
    has none. A temperature is fitted on the validation part too. It changes no rank and no call: the tables give the calibration
    with it and without it.

    Raises:
        DataError, ModelError: stored probabilities or the model are damaged.
    """
    begun = time.monotonic()
    slices, predicted = _slices(part, again)
    facts = {"inference_seconds": round(time.monotonic() - begun, 1)} if predicted else {}  # reading is none
    threshold, temperature = part.recipe.threshold, None
    if part.split.validation:
        validation, _ = _slices(part.other("validation"), again)
        threshold = detection.choose_threshold(validation.tumour, validation.probability)
        temperature = calibration.fit_temperature(validation.tumour, validation.probability)
    store = part.store
    tables = {scoring.SLICES: slices, scoring.FLOORS: classification.image_free(store.slices, part.train_rows, part.rows)}
    tables[scoring.SCORES] = classification.score(tables, threshold)
    if part.name == "test":
        tables |= classification.judge(slices, tables[scoring.FLOORS], _area(store), part.cohort.fields, threshold, temperature)
    return Result(tables, facts | {"threshold": threshold, "temperature": temperature})


def fold_tables(tables: Tables, store: Store) -> Tables:
    """What a cross-validation has besides: the scores of groups of slices."""
    slices, floors = tables[scoring.SLICES], tables[scoring.FLOORS]
    return {scoring.SUBGROUPS: classification.subgroup_table(slices, floors, _area(store), store.cohort.fields)}


def _area(store: Store) -> pd.Series:
    """Tumour pixels of each slice, indexed by ``case_id, slice``; NaN where slices have labels only."""
    area = store.slices.set_index(["case_id", "slice"]).tumour_px
    return area if store.cohort.outlined else area * np.nan


def _slices(part: Part, again: bool) -> tuple[pd.DataFrame, bool]:
    """``case_id, slice, tumour, probability`` of one part, and whether it was predicted now, and stored, or read."""
    path = part.run.path / (scoring.SLICES if part.name == "test" else f"{part.name}-{scoring.SLICES}")
    truth = classification.labelled(part.store.slices, part.rows)
    if path.is_file() and not again:
        stored = _read_slices(path)
        if stored[["case_id", "slice"]].equals(truth[["case_id", "slice"]]):
            return truth.assign(probability=stored.probability), False
    network = backend.frozen(saved.load(part.run.path, part.model))
    inputs, scalings = network_inputs(part.recipe, part.store)
    probability = np.empty(len(part.rows))
    by_case = truth.groupby("case_id").groups
    for places in tracked(by_case.values(), f"scoring {part.name}", len(by_case)):
        rows = part.rows[places]
        probability[places] = probabilities(network, inputs[rows], scalings[rows[0]], part.recipe.flip_tta)
    calibration.check_probabilities(probability, f"{part.run.path.name}, {part.name} part")  # before anything is written
    table = truth.assign(probability=probability.round(classification.DECIMALS))
    scoring.write({path.name: table}, part.run.path)
    return table, True


def _read_slices(path: Path) -> pd.DataFrame:
    """The door for probabilities that lie on disk."""
    try:
        table = storage.read_table(path)[["case_id", "slice", "probability"]]
    except (FileError, KeyError) as error:
        reason = getattr(error, "reason", error)
        raise DataError(
            f"{path}: no table of slices (case_id, slice, probability): {reason}; remove it, and scoring predicts them anew"
        ) from None
    calibration.check_probabilities(table.probability, str(path))
    return table
