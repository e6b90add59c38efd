"""From a trained segmentation run to its scores: predictions once, counts once, then every Dice by name and all beside it.

The tables that this leaves in the run's folder are named, and made, in :mod:`brain_tumor.experiments.scoring`.
"""

import time

import numpy as np
import pandas as pd

from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.evaluation import floors, protocols
from brain_tumor.experiments import classification, scoring
from brain_tumor.inference.predict import Prediction, load_prediction, predict_case
from brain_tumor.models import saved
from brain_tumor.progress import tracked
from brain_tumor.training.runs import RunFolder, now

PREDICTIONS = "predictions"


def evaluate(run: RunFolder, cohort: Cohort, part: str = "test", again: bool = False) -> pd.DataFrame:
    """Predict and score one part of the run's split: predictions are written once, counts once, then every Dice by name.

    Args:
        part: ``test``, or ``validation`` while choosing.
        again: predict anew even where predictions are stored.

    Returns:
        The scores (:func:`brain_tumor.evaluation.protocols.score`). Of the test part, they and the tables of
        :mod:`brain_tumor.experiments.scoring` are also written to the run's folder; those in 3-D, and of the largest component,
        only where the part is of whole exams.

    Raises:
        RunError: the run did not finish, was trained on other data, or its split has no such part.
        DataError, ModelError: a stored prediction or the model is damaged; no table is written.
    """
    recipe, store, split, rows = scoring.scored_part(run, cohort, part)
    truth = {size: open_store(cohort, size).masks for size in (recipe.size, store.size)}
    model = saved.load(run.path, run.description["precision"])
    whole = scoring.whole_cases(store, rows)
    cases, seconds = [], []
    by_case = store.slices.iloc[rows].groupby("case_id").slice
    for case_id, numbers in tracked(by_case, f"scoring {part}", by_case.ngroups):
        prediction = None if again else _stored_prediction(run, str(case_id), numbers.to_numpy(), store.size, recipe.size)
        if prediction is None:
            begun = time.monotonic()
            images = store.images[store.rows_of(case_id)]
            prediction = predict_case(model, images, recipe.normalisation, str(case_id), numbers, recipe.flip_tta)
            seconds.append(time.monotonic() - begun)
            prediction.save(run.path / PREDICTIONS)
        masks = {size: of_size[numbers.index] for size, of_size in truth.items()}
        cases.append(scoring.of_case(prediction, masks, recipe.threshold, whole))
    tables = scoring.stack(cases)
    train = split.rows("train", store.slices)
    tables[scoring.FLOORS], floor_masks = _floors(store, recipe.size, train, rows)
    floor_counts = scoring.by_floor(tables[scoring.FLOORS])
    tables[scoring.SCORES] = protocols.score(tables[scoring.COUNTS], floor_counts=floor_counts)
    if part == "test":
        tables[scoring.SLICE_FLOORS] = classification.image_free(store, train, rows)
        boundaries = scoring.floor_boundaries(floor_masks, store, rows, whole)
        scoring.write(tables | scoring.judge(tables, boundaries, cohort, store.size, recipe.threshold), run)
        timing = {"inference_seconds": round(sum(seconds), 1)} if len(seconds) == by_case.ngroups else {}  # reading is none
        run.update(scored=now(), **timing)
    return tables[scoring.SCORES]


def image_free(store: Store, size: int, train: np.ndarray, rows: np.ndarray) -> pd.DataFrame:
    """The counts of every floor that applies, on the rows that are scored, at native size and at ``size``."""
    return _floors(store, size, train, rows)[0]


def read_scores(run: RunFolder) -> pd.DataFrame | None:
    """The scores that :func:`evaluate` wrote; None where the run has not been scored."""
    path = run.path / scoring.SCORES
    return pd.read_csv(path) if path.is_file() else None


def _floors(store: Store, size: int, train: np.ndarray, rows: np.ndarray) -> tuple[pd.DataFrame, dict]:
    """Counts of the floors at both sizes, and their masks at native size."""
    masks = {store.size: store.masks, size: open_store(store.cohort, size).masks}
    predicted = {at: floors.segmentation(store.slices, truth, train, rows) for at, truth in masks.items()}
    tables = [floors.count(predicted[at], store.slices, truth, rows) for at, truth in masks.items()]
    return pd.concat(tables, ignore_index=True), predicted[store.size]


def _stored_prediction(run: RunFolder, case_id: str, numbers: np.ndarray, size: int, working_size: int) -> Prediction | None:
    """The stored prediction where there is one of just these slices."""
    path = run.path / PREDICTIONS / f"{case_id}.npz"
    prediction = load_prediction(path) if path.is_file() else None
    if prediction is None or not np.array_equal(prediction.slice_numbers, numbers):
        return None
    scoring.check_prediction(prediction, path, size, working_size)
    return prediction
