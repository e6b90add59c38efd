"""From a trained classification run to its scores: a probability a slice, then every figure of detection with its floor."""

import time

import numpy as np
import pandas as pd

from brain_tumor.data.cache import Store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import DataError
from brain_tumor.evaluation import calibration, detection, detection_groups, floors
from brain_tumor.experiments import scoring
from brain_tumor.experiments.inputs import network_inputs
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.inference.predict import slice_probabilities
from brain_tumor.models import saved
from brain_tumor.progress import tracked
from brain_tumor.training.runs import RunFolder, now

SLICES = "slices.csv"
CRITERION = "accuracy"  # by which the threshold is chosen on the validation part, where there is one
DECIMALS = 6  # of a probability in the tables


def evaluate(run: RunFolder, cohort: Cohort, part: str = "test", again: bool = False) -> pd.DataFrame:
    """Predict and score one part of the run's split; every slice's probability is written once.

    A slice is called tumour above the threshold that is best on the validation part, or above the recipe's where the split has
    none. A temperature is fitted on the validation part too. It changes no rank and no call: the tables show the calibration
    with it and without it.

    Args:
        part: ``test``, or ``validation`` while choosing.
        again: predict anew even where probabilities are stored.

    Returns:
        The scores (:func:`brain_tumor.evaluation.detection.score_with_floors`). Of the test part, they, ``floors.csv``,
        ``cases.csv``, ``subgroups.csv`` and ``calibration.csv`` are also written to the run's folder, threshold and temperature
        to its description.

    Raises:
        RunError: the run did not finish, was trained on other data, or its split has no such part.
        DataError, ModelError: stored probabilities or the model are damaged; no table is written.
    """
    recipe, store, split, rows = scoring.scored_part(run, cohort, part)
    begun = time.monotonic()
    slices, predicted = _slices(run, recipe, store, part, rows, again)
    timing = {"inference_seconds": round(time.monotonic() - begun, 1)} if predicted else {}  # reading is none
    threshold, temperature = recipe.threshold, None
    if split.validation:
        validation_rows, _ = _slices(run, recipe, store, "validation", split.rows("validation", store.slices), again)
        threshold = detection.choose_threshold(validation_rows.tumour, validation_rows.probability, CRITERION)
        temperature = calibration.fit_temperature(validation_rows.tumour, validation_rows.probability)
    floor_table = image_free(store, split.rows("train", store.slices), rows)
    scores = detection.score_with_floors(slices, floor_table, threshold)
    if part == "test":
        tables = {
            scoring.FLOORS: floor_table,
            scoring.SCORES: scores,
            scoring.CASES: detection.per_case(slices, threshold).reset_index(),
            scoring.SUBGROUPS: subgroup_table(slices.assign(threshold=threshold), floor_table, store),
            scoring.CALIBRATION: _calibration(slices, floor_table, temperature),
        }
        scoring.write(tables, run)
        run.update(scored=now(), threshold=threshold, temperature=temperature, **timing)
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


def subgroup_table(slices: pd.DataFrame, floor_table: pd.DataFrame, store: Store) -> pd.DataFrame:
    """:func:`brain_tumor.evaluation.detection_groups.tables` of ``case_id, slice, tumour, probability, threshold``."""
    area = store.slices.set_index(["case_id", "slice"]).tumour_px
    keys = pd.MultiIndex.from_frame(slices[["case_id", "slice"]])
    called = slices.assign(called=slices.probability > slices.threshold, tumour_px=area.loc[keys].to_numpy())
    return detection_groups.tables(called, floor_table, scoring.case_fields(store.cohort))


def _calibration(slices: pd.DataFrame, floor_table: pd.DataFrame, temperature: float | None) -> pd.DataFrame:
    """As predicted, and with the validation part's temperature where there is one."""
    tables = [scoring.slice_calibration(slices, floor_table).assign(of="slices")]
    if temperature is not None:
        cooled = slices.assign(probability=calibration.apply_temperature(slices.probability, temperature))
        tables.append(scoring.slice_calibration(cooled, floor_table).assign(of=f"slices, temperature {temperature:.2f}"))
    return pd.concat(tables, ignore_index=True)


def _truth(store: Store, rows: np.ndarray) -> pd.DataFrame:
    """``case_id, slice, tumour``: whether the expert's mask, at native size, holds a pixel."""
    slices = store.slices.iloc[rows].reset_index(drop=True)
    return slices.assign(tumour=slices.tumour_px > 0)[["case_id", "slice", "tumour"]]


def _slices(run: RunFolder, recipe: Recipe, store: Store, part: str, rows: np.ndarray, again: bool) -> tuple[pd.DataFrame, bool]:
    """``case_id, slice, tumour, probability`` of one part, and whether it was predicted now, and stored, or read."""
    path = run.path / (SLICES if part == "test" else f"{part}-{SLICES}")
    truth = _truth(store, rows)
    if path.is_file() and not again:
        stored = _read_slices(path)
        if stored[["case_id", "slice"]].equals(truth[["case_id", "slice"]]):
            return truth.assign(probability=stored.probability), False
    model = saved.load(run.path, run.description["precision"])
    inputs, scalings = network_inputs(recipe, store)
    found = np.empty(len(rows))
    by_case = truth.groupby("case_id").groups
    for places in tracked(by_case.values(), f"scoring {part}", len(by_case)):
        of_case = rows[places]
        found[places] = slice_probabilities(model, inputs[of_case], scalings[of_case[0]], recipe.flip_tta)
    calibration.check_probabilities(found, f"{run.path.name}, {part} part")  # before anything is written
    table = truth.assign(probability=found.round(DECIMALS))
    scoring.write({path.name: table}, run)
    return table, True


def _read_slices(path) -> pd.DataFrame:
    """The door for probabilities that lie on disk."""
    try:
        table = pd.read_csv(path, dtype={"case_id": str})[["case_id", "slice", "probability"]]
    except (ValueError, KeyError) as error:
        raise DataError(f"{path}: no table of slices (case_id, slice, probability): {error}") from None
    calibration.check_probabilities(table.probability, str(path))
    return table
