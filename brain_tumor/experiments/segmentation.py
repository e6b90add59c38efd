"""Which pixels are tumour? From a trained run to its scores: predictions once, counts once, then every Dice by name.

The tables that this leaves in the run's folder are named, and made, in :mod:`brain_tumor.experiments.scoring`.
"""

import time
from collections.abc import Mapping

import numpy as np
import pandas as pd

from brain_tumor.data.cache import Store, open_store
from brain_tumor.errors import DataError
from brain_tumor.evaluation import ceiling, floors, overlap, protocols
from brain_tumor.experiments import classification, scoring
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.experiments.scoring import Part, Result
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.predict import Prediction, load_prediction
from brain_tumor.inference.predictor import Predictor
from brain_tumor.progress import tracked

PREDICTIONS = "predictions"


def masks(recipe: Recipe, store: Store) -> np.ndarray:
    """What is learnt: ``(N, S, S)`` uint8 masks in {0, 1} at the recipe's size."""
    return open_store(store.cohort, recipe.size).masks


def evaluate(part: Part, again: bool) -> Result:
    """Predict, count and score one part of the run's split; each case's prediction is written once.

    Of the test part there are also the tables of :mod:`brain_tumor.experiments.scoring`; those in 3-D, and of the largest
    component, only where the part is of whole exams.

    Raises:
        DataError, ModelError: a stored prediction or the model is damaged.
    """
    recipe, store = part.recipe, part.store
    truth = {size: open_store(part.cohort, size).masks for size in (recipe.size, store.size)}
    predictor = Predictor.load(part.run.path, part.model)
    whole = scoring.whole_cases(store, part.rows)
    cases, seconds = [], []
    by_case = store.slices.iloc[part.rows].groupby("case_id").slice
    for case_id, numbers in tracked(by_case, f"scoring {part.name}", by_case.ngroups):
        prediction = None if again else _stored_prediction(part, str(case_id), numbers.to_numpy())
        if prediction is None:
            begun = time.monotonic()
            images = store.images[store.rows_of(case_id)]
            scaling = store.scalings[recipe.normalisation][store.cases.index.get_loc(case_id)]
            places = numbers.to_numpy() - 1
            exam = Exam(str(case_id), images, np.arange(1, len(images) + 1), places, scaling=scaling)
            prediction = predictor.predict(exam)
            seconds.append(time.monotonic() - begun)
            prediction.save(part.run.path / PREDICTIONS)
        cases.append(
            scoring.of_case(
                prediction, {size: of_size[numbers.index] for size, of_size in truth.items()}, recipe.threshold, whole
            )
        )
    tables = scoring.stack(cases)
    train = part.train_rows
    tables[scoring.FLOORS], floor_masks = _floors(store, recipe.size, train, part.rows)
    tables[scoring.SCORES] = score(tables, recipe.threshold)
    if part.name == "test":
        tables[scoring.SLICE_FLOORS] = classification.image_free(store, train, part.rows)
        boundaries = scoring.floor_boundaries(floor_masks, store, part.rows, whole)
        tables |= scoring.judge(tables, boundaries, part.cohort, store.size, recipe.threshold)
    facts = {"inference_seconds": round(sum(seconds), 1)} if len(seconds) == by_case.ngroups else {}  # reading is none
    return Result(tables, facts)


def score(tables: Mapping[str, pd.DataFrame], threshold: float) -> pd.DataFrame:
    """The scores of ``counts.csv`` with its ``floors.csv`` and, where there is one, its ``ceiling.csv``.

    Returns:
        As :func:`brain_tumor.evaluation.protocols.score`, with the resolution ceiling beside the scores at native size.
    """
    counts, floor_table = tables[scoring.COUNTS], tables.get(scoring.FLOORS)
    floor_counts = {} if floor_table is None else scoring.by_floor(floor_table)
    return ceiling.beside(protocols.score(counts, floor_counts=floor_counts), counts, tables.get(scoring.CEILING))


def per_case(counts: pd.DataFrame, size: int) -> pd.DataFrame:
    """A row a case at one size, indexed by ``case_id``: as :func:`brain_tumor.evaluation.overlap.per_case`."""
    return overlap.per_case(counts[counts["size"] == size])


def compare(
    tables: Mapping[str, pd.DataFrame],
    others: Mapping[str, pd.DataFrame],
    thresholds: tuple[float, float],
    margin: float | None = None,
) -> pd.DataFrame:
    """Two runs on the same slices, paired by patient, at every size that both were counted at.

    Returns:
        As :func:`brain_tumor.evaluation.protocols.compare`.

    Raises:
        DataError: no size in common.
    """
    pair = [tables[scoring.COUNTS], others[scoring.COUNTS]]
    shared = set(pair[0]["size"]) & set(pair[1]["size"])
    if not shared:
        raise DataError("the two runs were counted at no size in common")
    ours, theirs = (counts[counts["size"].isin(shared)] for counts in pair)
    return protocols.compare(ours, theirs, margin=margin)


def as_slices(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """``case_id, slice, tumour, probability`` from the counts at native size."""
    counts = tables[scoring.COUNTS]
    return overlap.as_slices(counts[counts["size"] == counts["size"].max()])


def image_free(store: Store, size: int, train: np.ndarray, rows: np.ndarray) -> pd.DataFrame:
    """The counts of every floor that applies, on the rows that are scored, at native size and at ``size``."""
    return _floors(store, size, train, rows)[0]


def _floors(store: Store, size: int, train: np.ndarray, rows: np.ndarray) -> tuple[pd.DataFrame, dict[str, np.ndarray | None]]:
    """Counts of the floors at both sizes, and their masks at native size."""
    truth = {store.size: store.masks, size: open_store(store.cohort, size).masks}
    predicted = {at: floors.segmentation(store.slices, of_size, train, rows) for at, of_size in truth.items()}
    tables = [floors.count(predicted[at], store.slices, of_size, rows) for at, of_size in truth.items()]
    return pd.concat(tables, ignore_index=True), predicted[store.size]


def _stored_prediction(part: Part, case_id: str, numbers: np.ndarray) -> Prediction | None:
    """The stored prediction where there is one of just these slices."""
    path = part.run.path / PREDICTIONS / f"{case_id}.npz"
    prediction = load_prediction(path) if path.is_file() else None
    if prediction is None or not np.array_equal(prediction.slice_numbers, numbers):
        return None
    scoring.check_prediction(prediction, path, part.store.size, part.recipe.size)
    return prediction
