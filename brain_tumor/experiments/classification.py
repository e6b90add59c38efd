"""Is there tumour in this slice? From a trained run to a probability a slice, and to every figure of detection with its floor."""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from brain_tumor.data.cache import Store
from brain_tumor.errors import DataError, FileError
from brain_tumor.evaluation import calibration, detection, detection_groups, floors
from brain_tumor.experiments import scoring
from brain_tumor.experiments.inputs import network_inputs
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.experiments.scoring import Part, Result, Tables
from brain_tumor.inference.predict import probabilities
from brain_tumor.models import saved
from brain_tumor.progress import tracked
from brain_tumor.training import storage

CRITERION = "accuracy"  # by which the threshold is chosen on the validation part, where there is one
DECIMALS = 6  # of a probability in the tables
RANKS = ("AUC", "AUPRC")  # measures that no threshold decides


def labels(recipe: Recipe, store: Store) -> np.ndarray:
    """What is learnt: ``(N,)`` uint8, 1 where the expert's mask, at native size, holds a pixel."""
    return (store.slices.tumour_px > 0).to_numpy(np.uint8)


def evaluate(part: Part, again: bool) -> Result:
    """Predict and score one part of the run's split; every slice's probability is written once.

    A slice is called tumour above the threshold that is best on the validation part, or above the recipe's where the split has
    none. A temperature is fitted on the validation part too. It changes no rank and no call: the tables give the calibration
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
        threshold = detection.choose_threshold(validation.tumour, validation.probability, CRITERION)
        temperature = calibration.fit_temperature(validation.tumour, validation.probability)
    tables = {scoring.SLICES: slices, scoring.FLOORS: image_free(part.store, part.train_rows, part.rows)}
    tables[scoring.SCORES] = score(tables, threshold)
    if part.name == "test":
        decisions = slices.assign(threshold=threshold)
        tables |= {
            scoring.CASES: per_case(decisions, part.store.size).reset_index(),
            scoring.SUBGROUPS: subgroup_table(decisions, tables[scoring.FLOORS], part.store),
            scoring.CALIBRATION: _calibration(slices, tables[scoring.FLOORS], temperature),
        }
    return Result(tables, facts | {"threshold": threshold, "temperature": temperature})


def score(tables: Mapping[str, pd.DataFrame], threshold: float) -> pd.DataFrame:
    """The scores of ``slices.csv`` with its ``floors.csv``.

    Where the slices come from folds with a threshold each, a measure that calls slices uses each fold's own and its ``threshold``
    is NaN. AUC and AUPRC then rank slices of different networks against each other, which can lower them against the mean of
    the folds' own (Forman & Scholz 2010, SIGKDD Explorations 12(1)).

    Returns:
        As :func:`brain_tumor.evaluation.detection.score_with_floors`.
    """
    slices, floor_table = tables[scoring.SLICES], tables[scoring.FLOORS]
    if "threshold" not in slices:
        return detection.score_with_floors(slices, floor_table, threshold)
    scores = detection.score_with_floors(slices, floor_table, float(slices.threshold.iloc[0]))
    if slices.threshold.nunique() == 1:
        return scores
    by_call = detection.score_with_floors(_called(slices), floor_table, 0.5).assign(threshold=np.nan)
    return by_call.where(scores.threshold.notna(), scores)


def per_case(slices: pd.DataFrame, size: int) -> pd.DataFrame:
    """A row a case, indexed by ``case_id``, each slice called by its own ``threshold``."""
    return detection.per_case(slices, slices.threshold)


def compare(
    tables: Mapping[str, pd.DataFrame],
    others: Mapping[str, pd.DataFrame],
    thresholds: tuple[float, float],
    margin: float | None = None,
) -> pd.DataFrame:
    """Two runs on the same slices, paired by patient: as :func:`brain_tumor.evaluation.detection.compare`."""
    return detection.compare(tables[scoring.SLICES], others[scoring.SLICES], *thresholds, margin=margin)


def compare_folds(slices: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Two cross-validations of one cohort, paired by patient, each slice called by the threshold of its own fold.

    Args:
        slices, others: ``case_id, slice, tumour, probability, threshold`` of either.

    Returns:
        As :func:`brain_tumor.evaluation.detection.compare`.
    """
    by_rank = detection.compare(slices, others, 0.5, 0.5)
    by_call = detection.compare(_called(slices), _called(others), 0.5, 0.5)
    return by_rank.where(by_rank.measure.isin(RANKS), by_call)


def as_slices(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """``case_id, slice, tumour, probability``."""
    return tables[scoring.SLICES]


def fold_tables(slices: pd.DataFrame, floor_table: pd.DataFrame, store: Store) -> Tables:
    """What a cross-validation has besides: the scores of groups of slices."""
    return {scoring.SUBGROUPS: subgroup_table(slices, floor_table, store)}


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
    decisions = slices.assign(called=slices.probability > slices.threshold, tumour_px=area.loc[keys].to_numpy())
    return detection_groups.tables(decisions, floor_table, scoring.case_fields(store.cohort))


def _called(slices: pd.DataFrame) -> pd.DataFrame:
    """With the call of each slice, 0 or 1, in place of its probability."""
    return slices.assign(probability=(slices.probability > slices.threshold).astype(float))


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


def _slices(part: Part, again: bool) -> tuple[pd.DataFrame, bool]:
    """``case_id, slice, tumour, probability`` of one part, and whether it was predicted now, and stored, or read."""
    path = part.run.path / (scoring.SLICES if part.name == "test" else f"{part.name}-{scoring.SLICES}")
    truth = _truth(part.store, part.rows)
    if path.is_file() and not again:
        stored = _read_slices(path)
        if stored[["case_id", "slice"]].equals(truth[["case_id", "slice"]]):
            return truth.assign(probability=stored.probability), False
    model = saved.load(part.run.path, part.model)
    inputs, scalings = network_inputs(part.recipe, part.store)
    probability = np.empty(len(part.rows))
    by_case = truth.groupby("case_id").groups
    for places in tracked(by_case.values(), f"scoring {part.name}", len(by_case)):
        rows = part.rows[places]
        probability[places] = probabilities(model, inputs[rows], scalings[rows[0]], part.recipe.flip_tta)
    calibration.check_probabilities(probability, f"{part.run.path.name}, {part.name} part")  # before anything is written
    table = truth.assign(probability=probability.round(DECIMALS))
    scoring.write({path.name: table}, part.run)
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
