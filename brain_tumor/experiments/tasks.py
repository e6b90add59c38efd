"""What differs between tasks, in one table (DESIGN law 14): elsewhere no code asks which task it is.

A new task is a recipe class, its own module, and an entry in :data:`TASKS`; a task of your own is put into that dict before it is
used. Training, evaluation, cross-validation, records and reports then take it like any other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from brain_tumor.data.cache import Store
from brain_tumor.data.splits import Split
from brain_tumor.errors import RunError
from brain_tumor.evaluation import classification as labels, scoring, segmentation as outlines
from brain_tumor.evaluation.scoring import Tables
from brain_tumor.experiments import classification, recipe, segmentation, volumes
from brain_tumor.experiments.part import Part, Result
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.experiments.volumes_recipe import VolumesRecipe
from brain_tumor.training import losses
from brain_tumor.training.batches import SliceArrays


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        recipe: the class of its recipes, whose ``TASK`` is the task's name.
        targets: what is learnt of each slice: a recipe and the native store give masks ``(N, S, S)`` at the recipe's size, or a
            number a slice ``(N,)``; uint8 classes, or float32 quantities.
        losses: a name of the recipe's ``LOSSES`` -> the loss function of truth and logits; ``class_weights`` go into those that
            take them.
        metrics: what training watches beside the loss, a number a slice each.
        evaluate: predicts and counts one part of a run's split, then scores it.
        main: the table from which all scores follow.
        tables: the tables that a record must hold, ``main`` among them.
        scored: the columns of ``scores.csv`` that name a score and hold its value.
        headlines: the scores that a list or a fold is told by.
        score: tables and the run's threshold -> the scores; the same for runs, records and folds.
        per_case: the main table and the native size -> a row a case, indexed by ``case_id``.
        compare: two runs' tables and thresholds, and a margin -> the paired comparison; None where runs cannot be compared.
        slices: tables -> ``case_id, slice, tumour, probability``; None where a run says nothing of single slices.
        slice_floors: the table of what image-free predictors say of the same slices.
        gathered: tables that a cross-validation stacks besides, of those that every fold has.
        fold_tables: the stacked tables, with those floors alone that every fold has, and the native store -> tables that follow.
        predictions: a run stores what it predicted, case by case, which a cross-validation then merges.
        parts: recipe, native store and split -> a function of an epoch's number that gives what is learnt from in this epoch, of
            each part of the split; None: every slice with its target, in every epoch.
    """

    recipe: type[Recipe]
    targets: Callable[[Recipe, Store], np.ndarray]
    losses: Mapping[str, Callable[..., Any]]
    metrics: tuple[Callable[..., Any], ...]
    evaluate: Callable[[Part, bool], Result]
    main: str
    tables: tuple[str, ...]
    scored: tuple[str, str]
    headlines: tuple[str, ...]
    score: Callable[[Mapping[str, pd.DataFrame], float], pd.DataFrame]
    per_case: Callable[[pd.DataFrame, int], pd.DataFrame]
    compare: Callable[..., pd.DataFrame] | None = None
    slices: Callable[[Mapping[str, pd.DataFrame]], pd.DataFrame] | None = None
    slice_floors: str = ""
    gathered: tuple[str, ...] = ()
    fold_tables: Callable[[Tables, Store], Tables] | None = None
    predictions: bool = False
    parts: Callable[[Recipe, Store, Split], Callable[[int], dict[str, SliceArrays]]] | None = None

    @property
    def name(self) -> str:
        """What ``run.json`` and the command line call it."""
        return self.recipe.TASK


SEGMENTATION = Task(
    recipe=recipe.SegmentationRecipe,
    targets=segmentation.masks,
    losses=losses.LOSSES,
    metrics=(losses.dice_hits, losses.dice_area),
    evaluate=segmentation.evaluate,
    main=scoring.COUNTS,
    tables=(scoring.COUNTS, scoring.CASES, scoring.SCORES),
    scored=("protocol", "dice"),
    headlines=("slice, empty = 1", "patient mean"),
    score=outlines.score,
    per_case=outlines.per_case,
    compare=outlines.compare,
    slices=outlines.as_slices,
    slice_floors=scoring.SLICE_FLOORS,
    gathered=(scoring.CEILING, scoring.LOCALISATION, scoring.SLICE_FLOORS, scoring.BOUNDARY, scoring.BOUNDARY_FLOORS),
    fold_tables=segmentation.fold_tables,
    predictions=True,
)
CLASSIFICATION = Task(
    recipe=recipe.ClassificationRecipe,
    targets=classification.labels,
    losses=losses.LOSSES,
    metrics=(losses.accuracy,),
    evaluate=classification.evaluate,
    main=scoring.SLICES,
    tables=(scoring.SLICES, scoring.FLOORS, scoring.CASES, scoring.SCORES, scoring.CALIBRATION),
    scored=("measure", "value"),
    headlines=("accuracy", "AUC"),
    score=labels.score,
    per_case=labels.per_case,
    compare=labels.compare,
    slices=labels.as_slices,
    slice_floors=scoring.FLOORS,
    fold_tables=classification.fold_tables,
)
VOLUMES = replace(
    SEGMENTATION,
    recipe=VolumesRecipe,
    evaluate=volumes.evaluate,
    gathered=(*SEGMENTATION.gathered, scoring.REGIONS, scoring.REGION_CASES, scoring.REGION_FLOORS),
    fold_tables=volumes.fold_tables,
    parts=volumes.parts,
)
TASKS: dict[str, Task] = {task.name: task for task in (SEGMENTATION, CLASSIFICATION, VOLUMES)}


def of(name: str) -> Task:
    """The task of that name.

    Raises:
        RunError: there is none.
    """
    if name not in TASKS:
        raise RunError(f"unknown task {name!r}, expected one of {', '.join(TASKS)}")
    return TASKS[name]


def recipe_from_json(values: dict[str, Any]) -> Recipe:
    """The recipe that :meth:`Recipe.to_json` wrote.

    Raises:
        RunError: an unknown task, a field too many or too few.
        ModelError: a value is beyond its limits.
    """
    return recipe.from_json(of(str(values.get("task"))).recipe, values)
