"""Records found by content: each record is read, brought to the present words, and compared with what is asked for.

A record keeps the folder name of its commit, which hashes the field names of that time, so no name that is computed now can
find it. A record is the right one where its recipe equals the recipe that is asked for, field by field.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from brain_tumor.errors import ModelError, RunError
from brain_tumor.evaluation.storage import read_table
from brain_tumor.experiments import crossval, grid, tasks
from brain_tumor.paths import reports_folder
from brain_tumor.records import upgrade
from brain_tumor.training.runs import HISTORY, RunFolder

if TYPE_CHECKING:
    from brain_tumor.experiments.recipe import Recipe

RUN, CROSSVAL, GRID = "run.json", crossval.DESCRIPTION, grid.DESCRIPTION
WORDS_ALONE = {"cost", "stated"}  # fields of a budget and of a cell that explain it and decide nothing


def records_folder() -> Path:
    """The folder of all records: a folder a run, cross-validation or grid, and ``weights/``."""
    return reports_folder() / "records"


class Record(RunFolder):
    """A record read like a run, in the present words: its tables and facts are there, its model is not."""

    @property
    def description(self) -> dict:
        """``run.json``."""
        return upgrade.description(super().description)

    @property
    def history(self) -> pd.DataFrame:
        """``history.csv``."""
        return history(self.path)


def history(folder: Path) -> pd.DataFrame:
    """The ``history.csv`` of a run or record, or of a cross-validation's record.

    Raises:
        FileError: it is gone or damaged.
    """
    table = read_table(folder / HISTORY)
    return table.set_axis(upgrade.history(list(table.columns)), axis="columns")


def all_records(description: str = RUN) -> list[Path]:
    """The folders of all records of one kind, by name.

    Args:
        description: the file that describes the kind: :data:`RUN`, :data:`CROSSVAL` or :data:`GRID`.
    """
    return sorted(path.parent for path in records_folder().glob(f"*/{description}"))


def run_facts(folder: Path) -> dict:
    """The ``run.json`` of a run or record in the present words.

    Raises:
        RunError: there is none, or it is damaged.
    """
    return upgrade.description(RunFolder(folder).facts("recipe"))


def crossval_facts(folder: Path) -> dict:
    """The ``crossval.json`` of a cross-validation or record in the present words."""
    return upgrade.description(crossval.read(folder))


def grid_facts(folder: Path) -> dict:
    """The ``grid.json`` of a grid or record in the present words."""
    return upgrade.grid(grid.read(folder))


def is_current(facts: dict) -> bool:
    """Whether a run or cross-validation prepared its inputs as this version does; one that learnt no masks always did."""
    return "preparation" not in facts or facts["preparation"] == tasks.of(facts["recipe"]["task"]).recipe.PREPARATION


def recipe_of(folder: Path) -> "Recipe | None":
    """The recipe of a run's record; None where it holds a field or word that this version does not know."""
    return _recipe(run_facts(folder)["recipe"])


def fold_recipes(folder: Path) -> "list[Recipe | None]":
    """The recipe of every fold of a cross-validation's record, in the order of the folds; None as in :func:`recipe_of`."""
    facts = crossval_facts(folder)
    return [_recipe(facts["recipe"] | {"split": fold["split"]}) for fold in facts["runs"]]


def find(recipe: "Recipe", cohort_name: str | None = None, data_hash: str | None = None) -> Path | None:
    """The record of the run whose recipe equals this one.

    Of several, the one whose inputs were prepared as they are today comes first (:func:`is_current`).

    Args:
        cohort_name, data_hash: the cohort and the data that the run must have used; None for any.

    Returns:
        The record's folder; None where there is no such record.
    """
    matches = {}
    for folder in all_records(RUN):
        facts = run_facts(folder)
        if _is_on(facts, cohort_name, data_hash) and _recipe(facts["recipe"]) == recipe:
            matches[folder] = is_current(facts)
    return max(matches, key=matches.__getitem__, default=None)  # the first of the current ones, else of all


def find_crossval(
    recipe: "Recipe", unit: str, folds: int, cohort_name: str | None = None, data_hash: str | None = None
) -> Path | None:
    """The record of the cross-validation of this recipe, whatever its ``split`` says, over so many folds of this unit.

    Of several, a current one comes first, as in :func:`find`.

    Args:
        cohort_name, data_hash: as in :func:`find`.
    """
    matches = {}
    for folder in all_records(CROSSVAL):
        facts = crossval_facts(folder)
        expected = [replace(recipe, split=fold["split"]) for fold in facts["runs"]]
        same_folds = (facts["unit"], facts["folds"]) == (unit, folds)
        if same_folds and _is_on(facts, cohort_name, data_hash) and fold_recipes(folder) == expected:
            matches[folder] = is_current(facts)
    return max(matches, key=matches.__getitem__, default=None)


def find_grid(budget: Any, cells: Sequence[Any], cohort_name: str, data_hash: str) -> Path | None:
    """The record of the grid of this budget and of these cells.

    Args:
        budget, cells: dataclass instances; all of their fields count but for :data:`WORDS_ALONE`.
        cohort_name, data_hash: as in :func:`find`.
    """
    expected = [_deciding(asdict(part)) for part in (budget, *cells)]
    for folder in all_records(GRID):
        facts = grid_facts(folder)
        recorded = [_deciding(part) for part in (facts["budget"], *facts["cells"])]
        if (facts["cohort"], facts["data_hash"]) == (cohort_name, data_hash) and recorded == expected:
            return folder
    return None


def _recipe(values: dict) -> "Recipe | None":
    try:
        return tasks.recipe_from_json(values)
    except (RunError, ModelError):
        return None


def _is_on(facts: dict, cohort_name: str | None, data_hash: str | None) -> bool:
    """Whether a record is of a run on this cohort and on these data; None stands for any."""
    return cohort_name in (None, facts["recipe"]["cohort"]) and data_hash in (None, facts["data_hash"])


def _deciding(part: dict) -> dict:
    """The fields of a budget or cell that decide what is trained, as JSON values."""
    return json.loads(json.dumps({name: value for name, value in part.items() if name not in WORDS_ALONE}))
