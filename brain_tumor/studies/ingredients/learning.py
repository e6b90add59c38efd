"""The learning curve: what one recipe reaches when it learns from more patients.

Fewer folds leave fewer patients to learn from. The recipe takes the same number of steps each time, so that patients are all that
differs; every patient is scored out of fold each time, so that the differences are paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from brain_tumor.evaluation import intervals
from brain_tumor.studies.ingredients import answers
from brain_tumor.studies.ingredients.table import Plan


def plan(of: Plan, folds: int, epochs: int) -> Plan:
    """The plan on another number of folds, with as many epochs as give as many steps.

    Args:
        epochs: of the recipe on the folds of ``of``.
    """
    learnt = (folds - 1) / folds, (of.folds - 1) / of.folds  # shares of the patients
    return replace(of, base={**of.base, "epochs": round(epochs * learnt[1] / learnt[0])}, folds=folds)


def curve(folders: Mapping[int, Path], name: str, seeds: Sequence[int] = (0, 1)) -> pd.DataFrame:
    """A row a number of folds: how many patients a network learnt from, and what it reached.

    Args:
        folders: number of folds -> its screening.
        name: the ingredient.

    Returns:
        ``folds, learnt_from, dice, low, high``, fewest patients first; of those patients whom every screening scored.
    """
    dice = pd.DataFrame({folds: answers.case_dice(folder, name, seeds) for folds, folder in folders.items()}).dropna()
    rows = []
    for folds in sorted(dice):
        low, high = intervals.bootstrap(dice[folds].to_numpy(), np.mean)
        rows.append((folds, len(dice) * (folds - 1) / folds, dice[folds].mean(), low, high))
    return pd.DataFrame(rows, columns=["folds", "learnt_from", "dice", "low", "high"])


def per_doubling(folders: Mapping[int, Path], name: str, seeds: Sequence[int] = (0, 1)) -> intervals.Comparison:
    """What twice as many patients add, paired by patient, from the fewest folds to the most."""
    fewest, most = min(folders), max(folders)
    dice = pd.DataFrame({folds: answers.case_dice(folders[folds], name, seeds) for folds in (fewest, most)}).dropna()
    doublings = np.log2((most - 1) / most / ((fewest - 1) / fewest))
    return intervals.paired(dice[most].to_numpy() / doublings, dice[fewest].to_numpy() / doublings, np.mean)
