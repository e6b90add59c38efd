"""What pages show of each task. A task that has no view of its own gets :data:`PLAIN`: its scores, and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pandas as pd

from brain_tumor.experiments import tasks
from brain_tumor.records import lookup
from brain_tumor.report import tables
from brain_tumor.report.figures.drawing import Drawing
from brain_tumor.report.pages import classification, plain, segmentation, volumes
from brain_tumor.report.pages.sections import Section


@dataclass(frozen=True)
class View:
    """How the pages of one task look.

    Attributes:
        of_run: a run's or record's folder and its facts -> its sections.
        drawings: the same -> the figures of each section.
        pictures: the same -> pictures of patients, where predictions and data are on this machine.
        of_scores: the same -> its scores as numbers of a sidecar.
        answer: those numbers, the recipe and the size of the test part -> the page's first sentence.
        of_folds: a cross-validation's folder and facts -> its sections besides patients, scores and folds.
        fold_drawings: the same -> figures of each section.
        scores, cases: a table as it was written -> the table in words.
    """

    of_run: Callable[[Path, dict], list[Section]]
    drawings: Callable[[Path, dict], dict[str, list[Drawing]]]
    pictures: Callable[[Path, dict], list[Drawing]]
    of_scores: Callable[[Path, dict], list[dict]]
    answer: Callable[[list[dict], dict, dict], str]
    of_folds: Callable[[Path, dict], list[Section]]
    fold_drawings: Callable[[Path, dict], dict[str, list[Drawing]]]
    scores: Callable[[pd.DataFrame], pd.DataFrame]
    cases: Callable[[pd.DataFrame], pd.DataFrame]


def _view(module: ModuleType, scores: Callable, cases: Callable) -> View:
    names = ("of_run", "drawings", "pictures", "of_scores", "answer", "of_folds", "fold_drawings")
    return View(**{name: getattr(module, name) for name in names}, scores=scores, cases=cases)


PLAIN = _view(plain, tables.plain_table, plain.in_words)
VIEWS: dict[str, View] = {
    tasks.SEGMENTATION.name: _view(segmentation, tables.score_table, tables.case_table),
    tasks.VOLUMES.name: _view(volumes, tables.score_table, tables.case_table),
    tasks.CLASSIFICATION.name: _view(classification, tables.measure_table, tables.detection_case_table),
}


def of(task: str) -> View:
    """The view of a task."""
    return VIEWS.get(task, PLAIN)


def sections_of(folder: Path) -> list[Section]:
    """The sections of a scored run's or record's folder."""
    facts = lookup.run_facts(folder)
    return of(facts["recipe"]["task"]).of_run(folder, facts)
