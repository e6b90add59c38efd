"""A part of a run's split that is scored, and what evaluation gives: every task is given a :class:`Part` and returns a
:class:`Result`.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import keras
import numpy as np

from brain_tumor.data import splits
from brain_tumor.data.cache import Store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import DataError
from brain_tumor.evaluation import calibration
from brain_tumor.evaluation.scoring import Tables
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.inference.predict import Prediction
from brain_tumor.training.runs import RunFolder


@dataclass(frozen=True)
class Part:
    """A part of a finished run's split: ``test``, or ``validation`` while choosing.

    Attributes:
        run: the run.
        cohort: whose slices are scored; those that the run was trained on.
        recipe: the run's.
        store: the cohort at native size.
        split: the run's.
        name: which part.
        model: the caller's own network, where the run was trained with one.
    """

    run: RunFolder
    cohort: Cohort
    recipe: Recipe
    store: Store
    split: splits.Split
    name: str
    model: keras.Model | None = None

    @cached_property
    def rows(self) -> np.ndarray:
        """Its rows in the store's table of slices, ascending."""
        return self.split.rows(self.name, self.store.slices)

    @cached_property
    def train_rows(self) -> np.ndarray:
        """The rows of the training part, from which image-free predictors learn."""
        return self.split.rows("train", self.store.slices)

    def other(self, name: str) -> "Part":
        """Another part of the same split."""
        return replace(self, name=name)


@dataclass(frozen=True)
class Result:
    """What evaluation gives: tables by file name, ``scores.csv`` among them, and facts for the run's description."""

    tables: Tables
    facts: dict[str, Any]


def whole_cases(store: Store, rows: np.ndarray) -> bool:
    """Whether these rows are whole exams: of single slices, no surface or component in 3-D can be told."""
    counts = store.slices.iloc[rows].case_id.value_counts()
    return bool((counts == store.cases.slices.reindex(counts.index)).all())


def check_prediction(prediction: Prediction, source: object, size: int, working_size: int) -> None:
    """The door for predictions that lie on disk.

    Raises:
        DataError: naming ``source``: planes of another size, or values that are no probabilities from 0 to 255.
    """
    planes = {size: prediction.native, working_size: prediction.working}
    for expected, array in planes.items():
        if array.shape != (len(prediction.slice_numbers), expected, expected):
            raise DataError(
                f"{source}: a prediction of {' x '.join(map(str, array.shape))}, expected "
                f"{len(prediction.slice_numbers)} slices of {expected} x {expected}"
            )
        if array.dtype != np.uint8:
            calibration.check_probabilities(array, str(source))
            raise DataError(f"{source}: probabilities of type {array.dtype}, expected uint8 with 255 for 1")
