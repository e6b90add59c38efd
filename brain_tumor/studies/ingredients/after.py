"""Ingredients of prediction, judged on what the base predicted out of fold: nothing is trained, no test patient is looked at."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.evaluation import components, overlap
from brain_tumor.experiments import run as experiment, segmentation
from brain_tumor.paths import runs_folder
from brain_tumor.progress import tracked
from brain_tumor.studies.ingredients import screening
from brain_tumor.training.runs import RunFolder

HALF = 0.5
Rule = Callable[[np.ndarray], np.ndarray]  # probabilities (Z, H, W) uint8 -> mask, bool


def threshold(value: float) -> Rule:
    """Tumour where the probability is above ``value``."""
    return lambda planes: planes > value * 255


def pieces(least: float, slices: int = 1) -> Rule:
    """Without pieces of less than a share of the largest one's volume, or in fewer slices; the largest one always stays."""

    def rule(planes: np.ndarray) -> np.ndarray:
        mask = planes > HALF * 255
        box, labels, volumes = components.labelled(mask)
        if len(volumes) < 2:
            return mask
        heights = np.array([box[0].stop - box[0].start for box in ndimage.find_objects(labels)])
        stay = (volumes >= least * volumes.max()) & (heights >= slices)
        stay[volumes.argmax()] = True
        mask[box] = np.append(False, stay)[labels]
        return mask

    return rule


RULES: Mapping[str, Rule] = {
    "as it is": threshold(HALF),
    "threshold 0.4": threshold(0.4),
    "threshold 0.6": threshold(0.6),
    "no piece under 2 %": pieces(0.02),
    "no piece under 10 %": pieces(0.1),
    "no piece in one slice": pieces(0.0, 2),
    "largest piece alone": pieces(1.0),
}


def count(folder: Path, cohort: Cohort, name: str = "base", seeds: Sequence[int] = (0, 1)) -> pd.DataFrame:
    """Count every rule on each seed's predictions, and on the mean of all seeds.

    Args:
        folder: the screening's; its runs must be in this home.

    Returns:
        ``rule, seed`` (a number, or ``mean``), ``case_id, slice, tp, fp, fn``, at native size.
    """
    store, costs = open_store(cohort), screening.read_costs(folder)
    runs = costs[costs.ingredient == name].set_index(["fold", "seed"]).run
    tables = []
    for fold in tracked(sorted(costs.fold.unique()), "rules", costs.fold.nunique()):
        by_seed = {}
        for seed in seeds:
            part = experiment.part_of(RunFolder(runs_folder() / runs[fold, seed]), cohort, "test")
            by_seed[seed] = {prediction.case_id: (prediction, rows) for prediction, rows, _ in segmentation.predictions(part)}
        for case_id, (first, rows) in by_seed[seeds[0]].items():
            planes = {str(seed): of_seed[case_id][0].native for seed, of_seed in by_seed.items()}
            planes["mean"] = np.rint(np.mean(list(planes.values()), axis=0)).astype(np.uint8)
            for rule, mask in RULES.items():
                for which, native in planes.items():
                    counts = overlap.count(mask(native) * np.uint8(255), store.masks[rows])[["tp", "fp", "fn"]]
                    tables.append(counts.assign(rule=rule, seed=which, case_id=case_id, slice=first.slice_numbers))
    return pd.concat(tables, ignore_index=True)


def scores(counts: pd.DataFrame) -> pd.DataFrame:
    """The mean Dice of patients under each rule, of the seeds alone and of their mean: ``rule, alone, together``."""
    cases = counts.groupby(["rule", "seed", "case_id"], sort=False)[["tp", "fp", "fn"]].sum()
    dice = (
        pd.Series(overlap.dice(cases.tp, cases.fp, cases.fn), cases.index).groupby(["rule", "seed"], sort=False).mean().unstack()
    )
    return pd.DataFrame({"alone": dice.drop(columns="mean").mean(axis=1), "together": dice["mean"]})
