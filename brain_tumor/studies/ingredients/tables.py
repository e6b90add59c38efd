"""The screening in words: what each ingredient is worth."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from brain_tumor.evaluation import intervals, wording
from brain_tumor.report import tables
from brain_tumor.report.figures.drawing import patient_label
from brain_tumor.report.pages.sections import Section
from brain_tumor.studies.ingredients import answers
from brain_tumor.studies.ingredients.table import Ingredient, Plan

HELP = (
    "Dice out of fold at native size, the mean of the seeds. The difference from the recipe under *onto* is paired by patient, "
    "with its 95 % interval (t over patients). P false is the probability that its sign is wrong, not corrected for the number "
    "of questions. Two seeds of one recipe may differ by 0.02, so an ingredient is kept only where both seeds agree. Minutes "
    "are the median of a training on one core; other work ran beside some."
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
    if not row["onto"]:
        return "–"
    return f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"


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


def _in_words(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_in_words(value) if isinstance(value, Mapping) else value}" for name, value in changes.items())
