"""Where a recipe fails: its worst patients out of fold, and what is wrong with them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import RunError
from brain_tumor.evaluation import components, overlap, storage
from brain_tumor.experiments import run as experiment, segmentation
from brain_tumor.inference.predict import Prediction
from brain_tumor.paths import runs_folder
from brain_tumor.studies.ingredients import answers
from brain_tumor.training.runs import RunFolder

ERRORS = "errors of {}, seed {}.csv"


def read(folder: Path, cohort: Cohort, name: str, seed: int = 0) -> pd.DataFrame:
    """The table of errors, from the folder, or made where the runs are at hand."""
    path = folder / ERRORS.format(name, seed)
    if not path.is_file():
        files.write_text(path, table(folder, cohort, name, seed).to_csv(index=False))
    return storage.read_table(path).fillna({"lacks": ""})


def table(folder: Path, cohort: Cohort, name: str, seed: int = 0) -> pd.DataFrame:
    """A row a patient that was predicted out of fold, the worst first.

    Args:
        folder: a screening's; its runs must be in this home.
        name: the ingredient whose predictions are looked at.

    Returns:
        ``case_id, site, lacks, dice, tumour_px`` (of all slices), ``missed`` and ``false`` (slices), ``pieces`` (components
        predicted), ``false_pieces`` (those without a tumour pixel) and ``within`` (the Dice of the slices that have both).

    Raises:
        RunError: a fold's run is not in this home.
    """
    store = open_store(cohort)
    folders, folds = runs(folder, name, seed), files.read_json(folder / answers.DESCRIPTION)["folds"]
    if len(folders) < folds:
        raise RunError(f"{folder}: {len(folders)} of {folds} runs of {name!r} are in this home; its errors need all of them")
    rows = []
    for run in folders:
        part = experiment.part_of(run, cohort, "test")
        for prediction, own, _ in segmentation.predictions(part):
            truth, mask = store.masks[own], prediction.masks(part.recipe.threshold)
            rows.append({"case_id": prediction.case_id, **_of_case(mask, truth)})
    cases = store.cases[["site", "missing"]].rename(columns={"missing": "lacks"})
    return pd.DataFrame(rows).join(cases, on="case_id").sort_values("dice", ignore_index=True)


def runs(folder: Path, name: str, seed: int = 0) -> list[RunFolder]:
    """The runs of an ingredient's folds that are in this home."""
    costs = answers.read_costs(folder)
    folders = [RunFolder(runs_folder() / run) for run in costs[(costs.ingredient == name) & (costs.seed == seed)].run]
    return [run for run in folders if run.exists]


def predictions(folder: Path, cohort: Cohort, name: str, cases: Sequence[str], seed: int = 0) -> dict[str, Prediction]:
    """What was predicted of some patients out of fold; of those whose runs are in this home."""
    answered: dict[str, Prediction] = {}
    for run in runs(folder, name, seed):
        part = experiment.part_of(run, cohort, "test")
        answered |= {each.case_id: each for each, _, _ in segmentation.predictions(part) if each.case_id in cases}
    return answered


def _of_case(mask: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    counts = overlap.count(mask * np.uint8(255), truth)
    per_case = overlap.per_case(counts.assign(case_id="case", slice=np.arange(len(counts)), size=mask.shape[1])).iloc[0]
    box, labels, volumes = components.labelled(mask)
    hit = set(np.unique(labels[truth[box] > 0])) - {0}
    both = counts[counts.tp > 0]
    return {
        "dice": per_case.dice,
        "tumour_px": int(truth.sum()),
        "missed": int(per_case.missed_slices),
        "false": int(per_case.false_alarm_slices),
        "pieces": len(volumes),
        "false_pieces": len(volumes) - len(hit),
        "within": float(overlap.dice(both.tp.sum(), both.fp.sum(), both.fn.sum())) if len(both) else np.nan,
    }
