"""Where the base fails: its worst patients out of fold, and what is wrong with them."""

from pathlib import Path

import numpy as np
import pandas as pd

from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.evaluation import components, overlap
from brain_tumor.experiments import run as experiment, segmentation
from brain_tumor.paths import runs_folder
from brain_tumor.studies.ingredients import screening
from brain_tumor.training.runs import RunFolder


def table(folder: Path, cohort: Cohort, name: str = "base", seed: int = 0) -> pd.DataFrame:
    """A row a patient that was predicted out of fold, the worst first.

    Args:
        folder: the screening's; its runs must be in this home.

    Returns:
        ``case_id, site, lacks, dice, tumour_px`` (of all slices), ``missed`` and ``false`` (slices), ``pieces`` (components
        predicted), ``false_pieces`` (those without a tumour pixel) and ``within`` (the Dice of the slices that have both).
    """
    store = open_store(cohort)
    costs = screening.read_costs(folder)
    rows = []
    for run_name in costs[(costs.ingredient == name) & (costs.seed == seed)].run:
        part = experiment.part_of(RunFolder(runs_folder() / run_name), cohort, "test")
        for prediction, own, _ in segmentation.predictions(part):
            truth, mask = store.masks[own], prediction.masks(part.recipe.threshold)
            rows.append({"case_id": prediction.case_id, **_of_case(mask, truth)})
    cases = store.cases[["site", "missing"]].rename(columns={"missing": "lacks"})
    return pd.DataFrame(rows).join(cases, on="case_id").sort_values("dice", ignore_index=True)


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
