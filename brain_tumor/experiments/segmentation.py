"""Which pixels are tumour? From a trained run to its scores: predictions once, counts once, then every Dice by name.

The tables that this leaves in the run's folder are named in :mod:`brain_tumor.evaluation.scoring`, and made in
:mod:`brain_tumor.evaluation.segmentation`.
"""

import time
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.cohort import Cohort, Spacing
from brain_tumor.evaluation import ceiling, classification, floors, scoring, segmentation
from brain_tumor.evaluation.scoring import Tables
from brain_tumor.evaluation.segmentation import PIXELS_APART, CaseFloors
from brain_tumor.experiments.part import Part, Result, check_prediction, whole_cases
from brain_tumor.experiments.recipe import Recipe, SegmentationRecipe
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.predict import Prediction, at_native_size, load_prediction
from brain_tumor.inference.predictor import Predictor
from brain_tumor.progress import tracked

PREDICTIONS = "predictions"


def masks(recipe: Recipe, store: Store) -> np.ndarray:
    """What is learnt: ``(N, S, S)`` uint8 masks in {0, 1} at the recipe's size."""
    return open_store(store.cohort, recipe.size).masks


def evaluate(part: Part, again: bool) -> Result:
    """Predict, count and score one part of the run's split; each case's prediction is written once.

    Of the test part there are also the tables of :mod:`brain_tumor.evaluation.scoring`; those in 3-D, and of the largest
    component, only where the part is of whole exams.

    Raises:
        DataError, ModelError: a stored prediction or the model is damaged.
    """
    recipe, store = part.recipe, part.store
    truth = {size: open_store(part.cohort, size).masks for size in (recipe.size, store.size)}
    whole = whole_cases(store, part.rows)
    cases, seconds = [], []
    spacing_of, unit = spacings(part.cohort)
    for prediction, rows, spent in predictions(part, again):
        seconds.append(spent)
        masks_of_case = {size: of_size[rows] for size, of_size in truth.items()}
        predicted = {recipe.size: prediction.working, store.size: prediction.native}
        tables = segmentation.of_case(
            prediction.case_id,
            prediction.slice_numbers,
            predicted,
            masks_of_case,
            recipe.threshold,
            whole,
            spacing_of[prediction.case_id],
        )
        if prediction.of_slices is not None:
            tables = _told_by_slices(tables, prediction)
        cases.append(tables | {scoring.CEILING: _ceiling(prediction, masks_of_case[recipe.size], masks_of_case[store.size])})
    tables = scoring.stack(cases)
    train = part.train_rows
    tables[scoring.FLOORS], floor_masks = _floors(store, recipe.size, train, part.rows)
    tables[scoring.SCORES] = segmentation.score(tables, recipe.threshold)
    if part.name == "test":
        tables[scoring.SLICE_FLOORS] = classification.image_free(store.slices, train, part.rows)
        boundaries = segmentation.floor_boundaries(_floors_by_case(floor_masks, store, part.rows, spacing_of), whole)
        tables |= segmentation.judge(tables, boundaries, part.cohort.fields, store.size, recipe.threshold, unit)
        if whole:
            outlines = [rows.assign(floor=name) for name, rows in boundaries[scoring.BOUNDARY].items()]
            tables[scoring.BOUNDARY_FLOORS] = pd.concat(outlines, ignore_index=True)
    facts = {"inference_seconds": round(sum(filter(None, seconds)), 1)} if None not in seconds else {}  # reading is none
    return Result(tables, facts)


def _told_by_slices(tables: Tables, prediction: Prediction) -> Tables:
    """The tables of a case with what the network itself says of whole slices, in place of their most probable pixel."""
    of_slices = pd.Series(prediction.slice_probability, prediction.slice_numbers)
    names = [name for name in (scoring.COUNTS, scoring.LARGEST) if name in tables]
    return tables | {name: tables[name].assign(slice_probability=tables[name].slice.map(of_slices)) for name in names}


def predictions(part: Part, again: bool = False) -> Iterator[tuple[Prediction, np.ndarray, float | None]]:
    """Each case's prediction, its rows in the store, and how long it took; None where it was stored before and is read.

    Raises:
        DataError, ModelError: a stored prediction or the model is damaged.
    """
    predictor = Predictor.load(part.run.path, part.model)
    for exam in tracked(exams(part), f"scoring {part.name}", part.store.slices.iloc[part.rows].case_id.nunique()):
        prediction, spent = None if again else _stored_prediction(part, exam.name, exam.asked), None
        if prediction is None:
            begun = time.monotonic()
            prediction = predictor.predict(exam)
            spent = time.monotonic() - begun
            prediction.save(part.run.path / PREDICTIONS)
        yield prediction, part.store.rows_of(exam.name).start + exam.rows, spent


def exams(part: Part) -> Iterator[Exam]:
    """Each case of a part, whole, with the slices that are asked for."""
    store = part.store
    for case_id, numbers in store.slices.iloc[part.rows].groupby("case_id").slice:
        rows = store.rows_of(case_id)
        scaling = store.scalings[part.recipe.normalisation][store.cases.index.get_loc(case_id)]
        of_case = store.slices.slice.to_numpy()[rows]
        yield Exam(str(case_id), store.images[rows], of_case, (numbers.index - rows.start).to_numpy(), scaling=scaling)


def fold_tables(tables: Tables, store: Store) -> Tables:
    """What a cross-validation has besides: boundary in 3-D, subgroups and slice detection, as far as the folds have them."""
    return segmentation.judge_folds(tables, store.cohort.fields, SegmentationRecipe().threshold, spacings(store.cohort)[1])


def image_free(store: Store, size: int, train: np.ndarray, rows: np.ndarray) -> pd.DataFrame:
    """The counts of every floor that applies, on the rows that are scored, at native size and at ``size``."""
    return _floors(store, size, train, rows)[0]


def _floors(store: Store, size: int, train: np.ndarray, rows: np.ndarray) -> tuple[pd.DataFrame, dict[str, np.ndarray | None]]:
    """Counts of the floors at both sizes, and their masks at native size."""
    truth = {store.size: store.masks, size: open_store(store.cohort, size).masks}
    predicted = {at: floors.segmentation(store.slices, of_size, train, rows) for at, of_size in truth.items()}
    tables = [floors.count(predicted[at], store.slices, of_size, rows) for at, of_size in truth.items()]
    return pd.concat(tables, ignore_index=True), predicted[store.size]


def spacings(cohort: Cohort) -> tuple[dict[str, Spacing], str]:
    """Each case's spacing and the unit of boundary distances: mm where it is known of all, else pixels."""
    known = all(case.spacing_mm for case in cohort)
    return {case.case_id: (known and case.spacing_mm) or PIXELS_APART for case in cohort}, "mm" if known else "px"


def _floors_by_case(
    predicted: dict[str, np.ndarray | None], store: Store, rows: np.ndarray, spacings: Mapping[str, Spacing]
) -> Iterator[CaseFloors]:
    """Of each case that is scored: what the floors predicted, the truth and its spacing."""
    for case_id, places in pd.Series(np.arange(len(rows))).groupby(store.slices.case_id.to_numpy()[rows]):
        of_case = {name: None if masks is None else masks[places] for name, masks in predicted.items()}
        yield str(case_id), of_case, store.masks[rows[places]], spacings[str(case_id)]


def _ceiling(prediction: Prediction, working: np.ndarray, native: np.ndarray) -> pd.DataFrame:
    """The counts of the truth that was resized to the working size and is brought back as a prediction is."""
    counts = ceiling.count(at_native_size(working.astype(np.float32), native.shape[1:]), native)
    where = {"case_id": prediction.case_id, "slice": prediction.slice_numbers[counts.index], "size": native.shape[1]}
    return counts.assign(**where)[list(ceiling.COLUMNS)]


def _stored_prediction(part: Part, case_id: str, numbers: np.ndarray) -> Prediction | None:
    """The stored prediction where there is one of just these slices."""
    path = part.run.path / PREDICTIONS / f"{case_id}.npz"
    prediction = load_prediction(path) if path.is_file() else None
    if prediction is None or not np.array_equal(prediction.slice_numbers, numbers):
        return None
    check_prediction(prediction, path, part.store.size, part.recipe.size)
    return prediction
