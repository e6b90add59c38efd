"""The screening in words: what each ingredient is worth."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from brain_tumor.evaluation import intervals, wording
from brain_tumor.report import tables
from brain_tumor.report.pages.sections import Section
from brain_tumor.studies.ingredients import screening
from brain_tumor.studies.ingredients.table import Ingredient

HELP = (
    "Dice out of fold at native size, the mean of two seeds. The difference is paired by patient, with its 95 % interval (t over "
    "patients). P false is the probability that its sign is wrong. Two seeds of one recipe differ by about 0.03, so an "
    "ingredient is kept only where both seeds agree."
)
TITLES = {screening.PROTOCOLS[0]: "Patient mean", screening.PROTOCOLS[1]: "Slices, empty = 1"}


def of_folder(folder: Path, ingredients: Sequence[Ingredient]) -> list[Section]:
    """A table for each Dice."""
    answers = screening.answers(folder, ingredients)
    return [
        Section(title, answer_table(answers[answers.protocol == protocol]), HELP)
        for protocol, title in TITLES.items()
        if len(answers)
    ]


def answer_table(answers: pd.DataFrame) -> pd.DataFrame:
    """A row an ingredient: its Dice, its gain, each seed's, how sure that is, and what it costs."""
    seeds = [column for column in answers if column.startswith("seed ")]
    return tables.worded(
        {
            "ingredient": row["ingredient"],
            "Dice": wording.score(row["dice"]),
            "difference": _difference(row),
            **{seed: "–" if row["ingredient"] == "base" or pd.isna(row[seed]) else f"{row[seed]:+.3f}" for seed in seeds},
            "P false": intervals.p_in_words(row["p_false"]),
            "missed": f"{row['missed']:.0f}",
            "false": f"{row['false']:.0f}",
            "minutes": f"{row['minutes']:.1f}",
        }
        for _, row in answers.iterrows()
    )


def _difference(row: pd.Series) -> str:
    if row["ingredient"] == "base":
        return "–"
    return f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
