"""The screening in words: what each ingredient is worth."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from brain_tumor.evaluation import intervals, overlap, wording
from brain_tumor.report import tables
from brain_tumor.report.figures.drawing import patient_label
from brain_tumor.report.pages.sections import Section
from brain_tumor.studies.ingredients import after, answers
from brain_tumor.studies.ingredients.table import Ingredient, Plan

HELP = (
    "Dice out of fold at native size, the mean of the seeds. The difference from the recipe under *onto* is paired by patient, "
    "with its 95 % interval over patients and seeds. P false is the probability that its sign is wrong, not corrected for the "
    "number of questions. Minutes are the median of a training on one core; other work ran beside some, so they do not say what "
    "an ingredient costs."
)
TITLES = {answers.PROTOCOLS[0]: "Patient mean", answers.PROTOCOLS[1]: "Slices, empty = 1"}


def of_folder(folder: Path, ingredients: Sequence[Ingredient]) -> list[Section]:
    """A table for each Dice."""
    gains = answers.answers(folder, ingredients)
    return [
        Section(title, gain_table(gains[gains.protocol == protocol]), HELP) for protocol, title in TITLES.items() if len(gains)
    ]


def gain_table(gains: pd.DataFrame) -> pd.DataFrame:
    """A row an ingredient: its Dice, its gain, each seed's, how sure that is, and what it costs."""
    seeds = [column for column in gains if column.startswith("seed ")]
    return tables.worded(
        {
            "ingredient": row["ingredient"],
            "onto": row["onto"] or "–",
            "Dice": wording.score(row["dice"]),
            "difference": _difference(row),
            **{seed: "–" if not row["onto"] or pd.isna(row[seed]) else f"{row[seed]:+.3f}" for seed in seeds},
            "P false": intervals.p_in_words(row["p_false"]),
            "missed": f"{row['missed']:.0f}",
            "false": f"{row['false']:.0f}",
            "minutes": f"{row['minutes']:.1f}",
        }
        for _, row in gains.iterrows()
    )


def _difference(row: pd.Series) -> str:
    return wording.change(row) if row["onto"] else "–"


def base_in_words(plan: Plan) -> str:
    """The recipe that ingredients are laid onto."""
    return f"The base: {_in_words(plan.base)}."


def plan_table(ingredients: Sequence[Ingredient]) -> pd.DataFrame:
    """A row an ingredient: what it changes, what it is laid onto, where it comes from."""
    return tables.worded(
        {
            "ingredient": item.name,
            "onto": item.onto or "–",
            "changes": (_in_words(item.changes) or f"{item.reconstructs} epochs of filling in") if item.onto else "–",
            "where it comes from": item.source or "–",
        }
        for item in ingredients
    )


def error_table(errors: pd.DataFrame) -> pd.DataFrame:
    """A row a patient (:func:`brain_tumor.studies.ingredients.errors.table`), in words."""
    return tables.worded(
        {
            "patient": patient_label(row.case_id),
            "site": row.site,
            "lacks": row.lacks or "–",
            "Dice": wording.score(row.dice),
            "where both outline": wording.score(row.within),
            "tumour px": f"{row.tumour_px}",
            "missed slices": f"{row.missed}",
            "false slices": f"{row.false}",
            "pieces": f"{row.pieces}",
            "false pieces": f"{row.false_pieces}",
        }
        for row in errors.itertuples()
    )


def beside(folder: Path, names: Sequence[str], seed: int) -> pd.DataFrame:
    """Each patient's Dice and missed slices under several ingredients, the worst under the first one first."""
    cases = {name: overlap.per_case(answers.counts_of(folder, name, seed)) for name in names}
    return tables.worded(
        {
            "patient": patient_label(case_id),
            **{f"Dice, {name}": wording.score(table.dice[case_id]) for name, table in cases.items()},
            **{f"missed slices, {name}": f"{table.missed_slices[case_id]}" for name, table in cases.items()},
        }
        for case_id in cases[names[0]].dice.sort_values().index
    )


def rule_table(of_rules: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What each rule of prediction gives (:func:`brain_tumor.studies.ingredients.after.scores`), in words.

    Args:
        of_rules: the ingredient on whose predictions it was judged -> the counts under every rule.
    """
    rows: dict[str, dict[str, str]] = {}
    for name, counts in of_rules.items():
        for rule, row in after.scores(counts).iterrows():
            words = {"one seed": wording.score(row["one seed"]), "mean of seeds": wording.score(row["mean of seeds"])}
            words["difference"] = "–" if rule == after.PLAIN else wording.change(row)
            rows.setdefault(str(rule), {"rule": str(rule)}).update({f"{name}: {title}": word for title, word in words.items()})
    return tables.worded(rows.values())


def _in_words(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_in_words(value) if isinstance(value, Mapping) else value}" for name, value in changes.items())
