"""What a page shows of a task that has no view of its own: its scores, as they were written."""

from pathlib import Path

import pandas as pd

from brain_tumor.evaluation import wording
from brain_tumor.evaluation.storage import read_table
from brain_tumor.experiments import tasks
from brain_tumor.report import tables
from brain_tumor.report.pages import numbers, sections
from brain_tumor.report.pages.sections import Section


def of_run(folder: Path, facts: dict) -> list[Section]:
    """Its scores."""
    scores = tables.plain_table(read_table(folder / "scores.csv"))
    return [Section(sections.SCORES, scores, f"{sections.test_part(facts)} {sections.INTERVAL}")]


def in_words(table: pd.DataFrame) -> pd.DataFrame:
    """Any table with its first column in front and three decimals."""
    words = table.map(lambda value: wording.score(value) if isinstance(value, float) else value)
    words = words.set_index(words.columns[0])
    return words.rename_axis(columns=words.index.name, index=None)


def of_scores(folder: Path, facts: dict) -> list[dict]:
    """Every score as a number of the sidecar."""
    recipe = facts["recipe"]
    task = tasks.of(recipe["task"])
    name, value = task.scored
    scores = read_table(folder / "scores.csv")
    return [
        numbers.number(row, f"{recipe['model']} {getattr(row, name)}", getattr(row, value), f"seed {recipe['seed']}",
                       headline=getattr(row, name) in task.headlines)
        for row in scores.itertuples()
    ]  # fmt: skip


def answer(listed: list[dict], recipe: dict, test: dict) -> str:
    """The page's first sentence."""
    main = next(number for number in reversed(listed) if number["headline"])
    return f"{main['name']}: {numbers.in_words(main)} on the {test['patients']} test patients of split {recipe['split']}"
