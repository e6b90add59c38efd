"""The recipe that the ingredients led to: each rung on test patients, all patients out of fold, and each hospital left out."""

import math
from collections.abc import Callable, Collection, Mapping

import numpy as np
import pandas as pd

from brain_tumor.data import intensity
from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.evaluation import intervals, overlap, protocols, scoring, wording
from brain_tumor.evaluation.intervals import Comparison
from brain_tumor.experiments import run as experiment, segmentation
from brain_tumor.face import Folds, Run
from brain_tumor.records import lookup
from brain_tumor.report import tables
from brain_tumor.studies.ingredients import answers
from brain_tumor.training.runs import RunFolder

AT_SIZE = "counts_at_{}.csv"  # beside a run's other tables, so that its record has it too
PATIENTS, SLICES = answers.PROTOCOLS  # ours, and source 004's Dice
ALL, SCREENED, APART = "all patients", "in the screening", "not in the screening"


def worst_tenth(dice: pd.Series | np.ndarray) -> float:
    """The mean of the tenth of patients who have the lowest Dice; of 95 patients, of ten."""
    return float(np.sort(dice)[: math.ceil(len(dice) / 10)].mean())


def patients(folds: Folds, store: Store) -> pd.DataFrame:
    """The patients of a cross-validation at native size, the worst first.

    Args:
        store: of the cohort, at native size.

    Returns:
        ``case_id, site, dice, tumour_px`` (of all slices), and what else ``cases.csv`` has.
    """
    cases = folds.read(scoring.CASES)
    more = {"site": cases.case_id.map(store.cases.site), "tumour_px": cases.tp + cases.fn}
    return cases.assign(**more).sort_values("dice", ignore_index=True)


def groups(cases: pd.DataFrame, apart: Collection[str]) -> pd.DataFrame:
    """The Dice of all patients, and of those apart who were in no part of the screening.

    Args:
        cases: ``case_id, dice``, out of fold.
        apart: the cases that were not in the screening.

    Returns:
        A row a group, indexed by its name: ``patients``, and ``mean, median, worst`` (:func:`worst_tenth`), each with an interval
        as ``mean_low, mean_high``; groups without patients are left out.
    """
    cases = cases.sort_values("case_id")  # as evaluation draws them, so that both name the same interval
    not_screened = cases.case_id.isin(set(apart))
    measures: dict[str, Callable[[np.ndarray], float]] = {"mean": np.mean, "median": np.median, "worst": worst_tenth}
    rows: dict[str, dict[str, float]] = {}
    for name, rows_of in {ALL: cases, SCREENED: cases[~not_screened], APART: cases[not_screened]}.items():
        if len(rows_of):
            dice = rows_of.dice.to_numpy()
            rows[name] = {"patients": len(dice)}
            for measure, statistic in measures.items():
                bounds = dict(zip((f"{measure}_low", f"{measure}_high"), intervals.bootstrap(dice, statistic), strict=True))
                rows[name] |= {measure: float(statistic(dice))} | bounds
    return pd.DataFrame.from_dict(rows, orient="index")


def group_table(of_groups: pd.DataFrame) -> pd.DataFrame:
    """:func:`groups` in words."""
    return tables.worded(
        {
            "patients": f"{name}, {row.patients:.0f}",
            **{
                title: f"{row[measure]:.3f} ({row[f'{measure}_low']:.3f} to {row[f'{measure}_high']:.3f})"
                for title, measure in {"mean Dice": "mean", "median": "median", "worst tenth": "worst"}.items()
            },
        }
        for name, row in of_groups.iterrows()
    )


def counts_at(run: RunFolder, cohort: Cohort, size: int) -> pd.DataFrame:
    """The test part's counts at another size than the network's, such as the 128 px at which source 004 counts.

    Returns:
        A ``counts`` table (:data:`brain_tumor.evaluation.overlap.COLUMNS`), read where it was counted before.
    """
    name = AT_SIZE.format(size)
    if not (run.path / name).is_file():
        part, masks = experiment.part_of(run, cohort, "test"), open_store(cohort, size).masks
        counted = []
        for prediction, rows, _ in segmentation.predictions(part):
            planes = intensity.resize_probabilities(prediction.native, size)
            where = {"case_id": prediction.case_id, "slice": prediction.slice_numbers, "size": size}
            counted.append(overlap.count(planes, masks[rows], part.recipe.threshold).assign(**where))
        scoring.write({name: pd.concat(counted)[list(overlap.COLUMNS)]}, run.path)
    return scoring.read_counts(run.path, name)


def rung_scores(runs: Mapping[str, Run], size: int) -> pd.DataFrame:
    """What each rung reaches on its test part: the Dice over slices at ``size``, and the patient mean at native size.

    Args:
        runs: what to call it -> the run, or its record.
        size: at which slices are counted.

    Returns:
        Two rows a run: ``run, protocol, size, dice, low, high, floor, minutes``, minutes of training.
    """
    rows = []
    for name, run in runs.items():
        native = run.evaluate().values
        scores = {
            SLICES: protocols.score(counts_at(run.folder, run.cohort, size)),
            PATIENTS: native[native["size"] == native["size"].max()],
        }
        about = {"run": name, "minutes": run.facts["training_seconds"] / 60}
        rows += [table[table.protocol == protocol].assign(**about) for protocol, table in scores.items()]
    return pd.concat(rows, ignore_index=True)[["run", "protocol", "size", "dice", "low", "high", "floor", "minutes"]]


def rung_table(scores: pd.DataFrame) -> pd.DataFrame:
    """:func:`rung_scores` in words, a row a run."""
    return tables.worded(
        {
            "rung": name,
            "minutes": f"{rows.minutes.iloc[0]:.0f}",
            **{
                f"{row.protocol}, {row.size} px": f"{row.dice:.3f} ({tables.interval(row)}), floor {row.floor:.3f}"
                for row in rows.itertuples()
            },
        }
        for name, rows in scores.groupby("run", sort=False)
    )


def times_scored(cohort: Cohort, split: str) -> int:
    """How many recorded runs were scored on the test part of a split: the more, the less unseen it is.

    Benchmarks, and folds of a cross-validation that hold the same patients, come on top.
    """
    facts = [lookup.run_facts(path) for path in lookup.all_records()]
    return sum((each["recipe"]["cohort"], each["recipe"]["split"]) == (cohort.name, split) for each in facts)


def gap(within: pd.DataFrame, left_out: pd.DataFrame) -> Comparison:
    """What a patient loses when no patient of the same hospital was learnt from: left out minus within, paired.

    Args:
        within: ``case_id, dice`` over folds of patients.
        left_out: the same over folds of hospitals. Patients of either alone are left aside.
    """
    both = within.merge(left_out, on="case_id", suffixes=("", "_left_out"))
    return intervals.paired(both.dice_left_out.to_numpy(), both.dice.to_numpy(), np.mean)


def gap_table(within: pd.DataFrame, left_out: pd.DataFrame) -> pd.DataFrame:
    """:func:`gap` in words, of all patients and hospital by hospital.

    Args:
        within, left_out: ``case_id, site, dice``.
    """
    rows = []
    for name, seen in {ALL: within, **dict(list(within.groupby("site")))}.items():
        unseen, change = left_out[left_out.case_id.isin(seen.case_id)], gap(seen, left_out)
        rows.append(
            {
                "hospital": name,
                "patients": change.patients,
                "seen": f"{seen.dice.mean():.3f}",
                "left out": f"{unseen.dice.mean():.3f}",
                "left out minus seen": wording.change(change),
            }
        )
    return tables.worded(rows)
