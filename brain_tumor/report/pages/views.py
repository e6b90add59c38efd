"""What pages show of each task. A task that has no view of its own gets :data:`PLAIN`: its scores, and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import pandas as pd

from brain_tumor.experiments import tasks
from brain_tumor.records import lookup
from brain_tumor.report import tables
from brain_tumor.report.figures.drawing import Drawing
from brain_tumor.report.pages import classification, plain, segmentation, volumes
from brain_tumor.report.pages.sections import Section


def _nothing(folder: Path, facts: dict) -> list:
    return []


def _no_figures(folder: Path, facts: dict) -> dict[str, list[Drawing]]:
    return {}


@dataclass(frozen=True)
class View:
    """How the pages of one task look; what has a default, not every task has.

    Attributes:
        of_run: a run's or record's folder and its facts -> its sections.
        of_scores: the same -> its scores as numbers of a sidecar.
        answer: those numbers, the recipe and the size of the test part -> the page's first sentence.
        scores, cases: a table as it was written -> the table in words.
        drawings: a run's or record's folder and its facts -> the figures of each section.
        pictures: the same -> pictures of patients, where predictions and data are on this machine.
        of_folds: a cross-validation's folder and facts -> its sections besides patients, scores and folds.
        fold_drawings: the same -> figures of each section.
    """

    of_run: Callable[[Path, dict], list[Section]]
    of_scores: Callable[[Path, dict], list[dict]]
    answer: Callable[[list[dict], dict, dict], str]
    scores: Callable[[pd.DataFrame], pd.DataFrame]
    cases: Callable[[pd.DataFrame], pd.DataFrame]
    drawings: Callable[[Path, dict], dict[str, list[Drawing]]] = _no_figures
    pictures: Callable[[Path, dict], list[Drawing]] = _nothing
    of_folds: Callable[[Path, dict], list[Section]] = _nothing
    fold_drawings: Callable[[Path, dict], dict[str, list[Drawing]]] = _no_figures


def _view(module: ModuleType, scores: Callable, cases: Callable) -> View:
    names = ("of_run", "of_scores", "answer", "drawings", "pictures", "of_folds", "fold_drawings")
    return View(**{name: getattr(module, name) for name in names if hasattr(module, name)}, scores=scores, cases=cases)


PLAIN = _view(plain, tables.plain_table, plain.in_words)
OUTLINES = _view(segmentation, tables.score_table, tables.case_table)
VIEWS: dict[str, View] = {
    tasks.SEGMENTATION.name: OUTLINES,
    tasks.VOLUMES.name: replace(OUTLINES, of_run=volumes.of_run, of_folds=volumes.of_folds),
    tasks.CLASSIFICATION.name: _view(classification, tables.measure_table, tables.detection_case_table),
}


def of(task: str) -> View:
    """The view of a task."""
    return VIEWS.get(task, PLAIN)


def sections_of(folder: Path) -> list[Section]:
    """The sections of a scored run's or record's folder."""
    facts = lookup.run_facts(folder)
    return of(facts["recipe"]["task"]).of_run(folder, facts)
