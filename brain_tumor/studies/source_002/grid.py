"""What is trained for each cell of :mod:`brain_tumor.studies.source_002.cells`, on which splits, and what that may cost."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from brain_tumor import files
from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import ModelError
from brain_tumor.experiments import grid
from brain_tumor.experiments.recipe import ClassificationRecipe
from brain_tumor.paths import runs_folder
from brain_tumor.studies.source_002.cells import CELLS, CLAIMS, QUESTIONS, WITHOUT_INPUT_BATCHNORM, Cell
from brain_tumor.training.augment import NONE, Augmentation
from brain_tumor.training.plan import Stage
from brain_tumor.training.runs import RunFolder

EPOCHS, BATCH = 30, 8  # as the source trained (rows 002.18 and 002.17)
SOURCE_SPLIT = "source-002"  # over slices: what the source would have seen, so of its own cells alone
PRECISION = "mixed_bfloat16"  # of all cells alike: a format that is measured may differ from one cell to the next


@dataclass(frozen=True)
class Budget:
    """How much a grid may cost.

    Attributes:
        name: what to call it.
        size: slice height and width in pixels.
        epochs: of each run. SGD's rate is multiplied by 30 / epochs, so that it can go as far as in the source's thirty.
        splits: on which every cell is trained; those of our own not on :data:`SOURCE_SPLIT`.
        folds: on which the cells of the claims are trained again, and judged together; may be empty.
        weights: where the encoders begin (:mod:`brain_tumor.models.weights`).
        cost: what to expect, in words.
        every: whether all claims are asked on the folds, or those alone that are to be asked ``again``.
    """

    name: str
    size: int
    epochs: int
    splits: tuple[str, ...]
    folds: tuple[str, ...]
    weights: str
    cost: str
    every: bool = True


BUDGETS = {
    "cpu": Budget(
        "cpu", 128, 4, ("ratio-15", SOURCE_SPLIT), tuple(f"fold-{fold}-of-3" for fold in (1, 2, 3)), "mri4",
        "some five hours on two quiet cores, with two workers", every=False,
    ),
    "full": Budget(
        "full", 224, EPOCHS, (SOURCE_SPLIT,), tuple(f"fold-{fold}-of-5" for fold in range(1, 6)), "imagenet",
        "about a day on one GPU or ten on two quiet cores with two workers (neither tried: reckoned from the other's times)",
    ),
}  # fmt: skip


def recipe(cell: Cell, budget: Budget, split: str, cohort: str) -> ClassificationRecipe:
    """What is trained for a cell on a split; equal cells have equal recipes."""
    affine = "raw" if budget.weights == "imagenet" else "unit"  # the range in which the encoder's weights were learnt
    if cell.momentum is None:
        plan = Stage(cell.strategy, budget.epochs, cell.max_lr)
    else:
        rate = cell.max_lr * EPOCHS / budget.epochs
        sgd: dict[str, Any] = {"optimiser": "sgd", "momentum": cell.momentum, "schedule": "constant"}
        plan = Stage(cell.strategy, budget.epochs, rate, cell.part, 0.0, **sgd)
    return ClassificationRecipe(
        cohort=cohort,
        split=split,
        model=cell.model,
        size=budget.size,
        normalisation=affine if cell.normalised_anyway else cell.normalisation,
        augmentation=Augmentation(**asdict(NONE) | {"flip": cell.flip}),
        stages=(plan,),
        batch_size=BATCH,
        flip_tta=False,
        precision=PRECISION,
        weights=budget.weights if cell.input_batchnorm and cell.model != "plain" else "none",
        input_batchnorm=cell.input_batchnorm,
    )


def cells(names: tuple[str, ...] = ()) -> tuple[Cell, ...]:
    """The cells of these names, or all, in the order of the table, each once.

    Raises:
        ModelError: there is none of that name.
    """
    known = {cell.name: cell for cell in (*CELLS, *WITHOUT_INPUT_BATCHNORM)}
    for name in names:
        if name not in known:
            raise ModelError(f"no cell {name!r}, expected some of {', '.join(known)}")
    return tuple(cell for name, cell in known.items() if name in names or not names)


def plan(budget: Budget, chosen: tuple[Cell, ...]) -> Iterator[tuple[str, Cell]]:
    """Every split and cell, in the order in which they are trained: all cells once before any again."""
    judged = {name for claim in (*CLAIMS, *QUESTIONS) if claim.again or budget.every for name in (claim.one, claim.other)}
    for split in budget.splits:
        yield from ((split, cell) for cell in chosen if split != SOURCE_SPLIT or cell in CELLS)
    for fold in budget.folds:
        yield from ((fold, cell) for cell in chosen if cell.name in judged)


def recipes(budget: Budget, chosen: tuple[Cell, ...], cohort: str) -> dict[tuple[str, str], ClassificationRecipe]:
    """What is trained for every split and cell of :func:`plan`, in its order."""
    return {(split, cell.name): recipe(cell, budget, split, cohort) for split, cell in plan(budget, chosen)}


def train(
    budget: Budget,
    cohort: Cohort,
    names: tuple[str, ...] = (),
    on_run: Callable[[int, int, RunFolder], None] | None = None,
    record: Path | None = None,
    workers: int | None = None,
) -> Path:
    """Train and score every cell on every split that is not yet: :func:`brain_tumor.experiments.grid.train`.

    Args:
        names: cells by name; all where none is given.
        on_run, record, workers: as there, and so is what it raises.

    Returns:
        The grid's folder.
    """
    chosen = cells(names)
    facts = {"budget": asdict(budget), "cells": [asdict(cell) for cell in chosen]}
    folder, trainings = runs_folder() / grid_name(budget, cohort, chosen), recipes(budget, chosen, cohort.name)
    return grid.train(folder, trainings, cohort, facts, on_run, record, workers)


def grid_name(budget: Budget, cohort: Cohort, chosen: tuple[Cell, ...]) -> str:
    """The folder's name: what a person looks for first, then a hash of all that decides it, the data too."""
    described = [asdict(replace(cell, stated="")) for cell in chosen]  # words decide nothing
    identity = [asdict(replace(budget, cost="")), described, open_store(cohort).data_hash]
    digest = files.sha256_json(identity)[:8]
    return f"{cohort.name}-grid-{budget.name}-{digest}"
