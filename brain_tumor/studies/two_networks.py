"""One network for all sequences and one for FLAIR alone: what each loses where sequences are missing (rows 004.24-25).

Every patient is predicted out of fold with every pattern of sequences taken away, by networks that never saw the patient. Some
really lack a sequence; the pixels tell which (:mod:`brain_tumor.inference.route`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.evaluation import overlap
from brain_tumor.experiments import crossval, run as experiment
from brain_tumor.inference import route
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.predictor import Predictor
from brain_tumor.models import settings
from brain_tumor.paths import runs_folder
from brain_tumor.progress import tracked
from brain_tumor.training.runs import RunFolder

ROUTED, NOTHING = "routed", "nothing"  # a network's name in tables, and the pattern in which no sequence is taken away
COUNTS = "patterns.csv"


def count(folds: Mapping[str, Path], cohort: Cohort) -> pd.DataFrame:
    """Count what networks predict with sequences taken away.

    Args:
        folds: a network's name -> the folder of its cross-validation, whose runs must be in this home; all on the same folds.

    Returns:
        A row a network, pattern and case: ``network, pattern, case_id, tp, fp, fn``, at native size.
    """
    store = open_store(cohort)
    described = {name: crossval.read(folder)["runs"] for name, folder in folds.items()}
    rows = []
    for number in range(len(next(iter(described.values())))):
        runs = {name: RunFolder(runs_folder() / fold[number]["run"]) for name, fold in described.items()}
        predictors = {name: Predictor.load(run.path) for name, run in runs.items()}
        cases = sorted({key.split("/")[0] for key in experiment.stored_split(next(iter(runs.values()))).test})
        for case_id in tracked(cases, f"patterns, fold {number + 1}", len(cases)):
            own = store.rows_of(case_id)
            exam = Exam(case_id, store.images[own], store.slices.slice.to_numpy()[own], np.arange(own.stop - own.start))
            for pattern in route.patterns(cohort.sequences):
                lacking = route.without(exam, cohort.sequences, pattern, cohort.reference)
                for name, predictor in predictors.items():
                    counts = overlap.count(predictor.predict(lacking).native, store.masks[own], predictor.threshold)
                    sums = counts[["tp", "fp", "fn"]].sum().to_dict()
                    rows.append({"network": name, "pattern": pattern_in_words(pattern), "case_id": case_id, **sums})
        settings.clear_session()
    return pd.DataFrame(rows)


def routed(counts: pd.DataFrame, complete: str, reference: str, lacking: pd.Series) -> pd.DataFrame:
    """The counts of both networks together: the one of the reference answers where a sequence is missing.

    Args:
        complete, reference: the networks' names.
        lacking: indexed by ``case_id``: whether the exam itself lacks a sequence (``missing`` of a store's cases).
    """
    missing = (counts.pattern != NOTHING) | counts.case_id.map(lacking)
    chosen = (counts.network == reference) & missing | (counts.network == complete) & ~missing
    return counts[chosen].assign(network=ROUTED)


def scores(counts: pd.DataFrame) -> pd.DataFrame:
    """The mean Dice of patients: a row a pattern, a column a network."""
    dice = overlap.dice(counts.tp, counts.fp, counts.fn)
    table = counts.assign(dice=dice).groupby(["pattern", "network"], sort=False).dice.mean().unstack()
    return table.reindex(counts.pattern.unique())[list(counts.network.unique())]


def losses(counts: pd.DataFrame) -> pd.DataFrame:
    """What each pattern costs a network: its mean patient Dice minus that with nothing taken away."""
    table = scores(counts)
    return table - table.loc[NOTHING]


def pattern_in_words(pattern: Sequence[str]) -> str:
    """``nothing``, ``pre``, ``flair and post``."""
    return " and ".join(pattern) or NOTHING
