"""Ingredients of prediction, judged on what the base predicted out of fold: nothing is trained, no test patient is looked at."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from brain_tumor import files
from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import RunError
from brain_tumor.evaluation import components, overlap, storage
from brain_tumor.experiments import run as experiment, segmentation
from brain_tumor.paths import runs_folder
from brain_tumor.progress import tracked
from brain_tumor.studies.ingredients import answers
from brain_tumor.training.runs import RunFolder

RULES_TABLE = "rules on {}.csv"
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


def without_holes(planes: np.ndarray) -> np.ndarray:
    """Each slice's mask with its holes filled: experts outline a cavity with the tumour around it."""
    return np.stack([ndimage.binary_fill_holes(plane) for plane in planes > HALF * 255])


RULES: Mapping[str, Rule] = {
    "as it is": threshold(HALF),
    "threshold 0.4": threshold(0.4),
    "threshold 0.6": threshold(0.6),
    "without holes": without_holes,
    "no piece under 2 %": pieces(0.02),
    "no piece under 10 %": pieces(0.1),
    "no piece in one slice": pieces(0.0, 2),
    "largest piece alone": pieces(1.0),
}


def read(folder: Path, cohort: Cohort, name: str) -> pd.DataFrame:
    """What every rule predicts, from the folder, or counted where the runs are at hand.

    Args:
        folder: a screening's.
        name: the ingredient whose predictions are judged.

    Returns:
        ``rule, seed`` (a number, or ``mean`` of all seeds), ``case_id, tp, fp, fn``, at native size.
    """
    path = folder / RULES_TABLE.format(name)
    if not path.is_file():
        files.write_text(path, count(folder, cohort, name).to_csv(index=False))
    return storage.read_table(path).astype({"seed": str})


def count(folder: Path, cohort: Cohort, name: str) -> pd.DataFrame:
    """Count every rule on each seed's predictions, and on the mean of all seeds; as :func:`read`.

    Raises:
        RunError: a run is not in this home.
    """
    store, costs = open_store(cohort), answers.read_costs(folder)
    runs = costs[costs.ingredient == name].set_index(["fold", "seed"]).run.sort_index()
    if absent := [run for run in runs if not RunFolder(runs_folder() / run).exists]:
        raise RunError(f"{folder}: {absent[0]} is not in this home; rules are judged on what all runs of {name!r} predict")
    rows = []
    for _, of_fold in tracked(runs.groupby(level="fold"), "rules", runs.index.get_level_values("fold").nunique()):
        planes = [_predictions(RunFolder(runs_folder() / run), cohort) for run in of_fold]
        seeds = [str(seed) for seed in of_fold.index.get_level_values("seed")]
        for case_id in planes[0]:
            native = dict(zip(seeds, (of_seed[case_id] for of_seed in planes), strict=True))
            native["mean"] = np.rint(np.mean(list(native.values()), axis=0)).astype(np.uint8)
            truth = store.masks[store.rows_of(case_id)]
            for rule, mask in RULES.items():
                for seed, probability in native.items():
                    counts = overlap.count(mask(probability) * np.uint8(255), truth)[["tp", "fp", "fn"]].sum()
                    rows.append({"rule": rule, "seed": seed, "case_id": case_id, **counts})
    return pd.DataFrame(rows)


def scores(counts: pd.DataFrame) -> pd.DataFrame:
    """The mean Dice of patients under each rule, of the seeds alone and of their mean: ``rule, alone, together``."""
    dice = counts.assign(dice=overlap.dice(counts.tp, counts.fp, counts.fn))
    means = dice.groupby(["rule", "seed"], sort=False).dice.mean().unstack()
    return pd.DataFrame({"alone": means.drop(columns="mean").mean(axis=1), "together": means["mean"]}).reindex(list(RULES))


def _predictions(run: RunFolder, cohort: Cohort) -> dict[str, np.ndarray]:
    part = experiment.part_of(run, cohort, "test")
    return {prediction.case_id: prediction.native for prediction, _, _ in segmentation.predictions(part)}
