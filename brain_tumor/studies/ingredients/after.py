"""Ingredients of prediction, judged out of fold on what was trained: nothing is trained anew, no test patient is looked at.

A *rule* changes stored probabilities. A *view* asks the trained networks again, of slices mirrored or turned.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from brain_tumor import files
from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import RunError
from brain_tumor.evaluation import components, intervals, overlap, storage
from brain_tumor.experiments import run as experiment, segmentation
from brain_tumor.experiments.part import Part
from brain_tumor.inference.predictor import Predictor
from brain_tumor.paths import runs_folder
from brain_tumor.progress import tracked
from brain_tumor.studies.ingredients import answers
from brain_tumor.training.runs import RunFolder

RULES_TABLE = "rules on {}.csv"
HALF = 0.5
PLAIN = "as it is"  # mirrored too, as recipes have it
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
    PLAIN: threshold(HALF),
    "threshold 0.3": threshold(0.3),
    "threshold 0.4": threshold(0.4),
    "threshold 0.6": threshold(0.6),
    "without holes": without_holes,
    "no piece under 2 %": pieces(0.02),
    "no piece under 10 %": pieces(0.1),
    "no piece in one slice": pieces(0.0, 2),
    "largest piece alone": pieces(1.0),
}
# A name -> what changes of the predictor.
VIEWS: Mapping[str, Mapping[str, Any]] = {"not mirrored": {"flip_tta": False}, "turned by 10° too": {"rotation_tta": 10.0}}


def read(folder: Path, cohort: Cohort, name: str) -> pd.DataFrame:
    """What every rule and view predicts, from the folder, or counted where the runs are at hand.

    Args:
        folder: a screening's.
        name: the ingredient whose predictions are judged.

    Returns:
        ``rule, seed`` (a number, or ``mean`` of all seeds), ``case_id, tp, fp, fn``, at native size. A table of an earlier
        version, whose runs are gone, lacks the rules that came later.

    Raises:
        RunError: there is no table, and a run is not in this home.
    """
    path = folder / RULES_TABLE.format(name)
    counts = storage.read_table(path).astype({"seed": str}) if path.is_file() else None
    if counts is None or ({*RULES, *VIEWS} - set(counts.rule) and not _absent(folder, name)):
        counts = count(folder, cohort, name)
        files.write_text(path, counts.to_csv(index=False))
    return counts


def count(folder: Path, cohort: Cohort, name: str) -> pd.DataFrame:
    """Count every rule and view, for each seed and for the mean of all seeds; as :func:`read`.

    Raises:
        RunError: a run is not in this home.
    """
    store, runs = open_store(cohort), _runs(folder, name)
    if absent := _absent(folder, name):
        raise RunError(f"{folder}: {absent[0]} is not in this home; rules are judged on what all runs of {name!r} predict")
    rows: list[dict] = []
    for _, of_fold in tracked(runs.groupby(level="fold"), "rules", runs.index.get_level_values("fold").nunique()):
        seeds = [str(seed) for seed in of_fold.index.get_level_values("seed")]
        parts = [experiment.part_of(RunFolder(runs_folder() / run), cohort, "test") for run in of_fold]
        for view in ("", *VIEWS):
            planes = [_predicted(part, VIEWS[view]) if view else _stored(part) for part in parts]
            for case_id in planes[0]:
                native = dict(zip(seeds, (of_seed[case_id] for of_seed in planes), strict=True))
                native["mean"] = np.rint(np.mean(list(native.values()), axis=0)).astype(np.uint8)
                truth = store.masks[store.rows_of(case_id)]
                for rule, mask in ({view: RULES[PLAIN]} if view else RULES).items():
                    for seed, probability in native.items():
                        counts = overlap.count(mask(probability) * np.uint8(255), truth)[["tp", "fp", "fn"]].sum()
                        rows.append({"rule": rule, "seed": seed, "case_id": case_id, **counts})
    return pd.DataFrame(rows)


def scores(counts: pd.DataFrame) -> pd.DataFrame:
    """The mean Dice of patients under each rule, and what it gains with the mean of seeds.

    Returns:
        Indexed by rule: ``one seed`` (the mean of them), ``mean of seeds``, and of the latter ``difference, low, high``: less
        that of :data:`PLAIN`, paired by patient.
    """
    dice = _case_dice(counts)
    means = dice.mean().unstack("seed")[list(counts.seed.unique())]
    rows = {}
    for rule in counts.rule.unique():
        gain = intervals.paired(dice[rule, "mean"].to_numpy(), dice[PLAIN, "mean"].to_numpy(), np.mean)
        rows[rule] = {
            "one seed": means.loc[rule].drop("mean").mean(), "mean of seeds": means.loc[rule, "mean"],
            "difference": gain.difference, "low": gain.low, "high": gain.high,
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")


def averaging(counts: pd.DataFrame) -> intervals.Comparison:
    """What the mean of seeds gains over one seed, as it is: the difference from the mean of each alone, paired by patient."""
    dice = _case_dice(counts)[PLAIN]
    return intervals.paired(dice["mean"].to_numpy(), dice.drop(columns="mean").mean(axis=1).to_numpy(), np.mean)


def _case_dice(counts: pd.DataFrame) -> pd.DataFrame:
    """A row a patient, a column a rule and seed."""
    dice = counts.assign(dice=overlap.dice(counts.tp, counts.fp, counts.fn))
    return dice.pivot(index="case_id", columns=["rule", "seed"], values="dice")


def _runs(folder: Path, name: str) -> pd.Series:
    """The names of an ingredient's runs, indexed by fold and seed."""
    costs = answers.read_costs(folder)
    return costs[costs.ingredient == name].set_index(["fold", "seed"]).run.sort_index()


def _absent(folder: Path, name: str) -> list[str]:
    return [run for run in _runs(folder, name) if not RunFolder(runs_folder() / run).exists]


def _stored(part: Part) -> dict[str, np.ndarray]:
    return {prediction.case_id: prediction.native for prediction, _, _ in segmentation.predictions(part)}


def _predicted(part: Part, changes: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What a changed predictor says of each case."""
    predictor = replace(Predictor.load(part.run.path), **changes)
    exams = segmentation.exams(part)
    return {exam.name: predictor.predict(exam).native for exam in exams}
