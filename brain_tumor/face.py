"""What ``import brain_tumor as bt`` offers: from a cohort to a trained, scored and applied network in six lines.

.. code-block:: python

    cohort = bt.open_cohort("lgg")
    run = bt.train(bt.Segmentation(split="source-004", model="resunet", epochs=12), cohort)
    run.evaluate().table()
    run.predict(cohort.cases[0]).show()

Run folders, tables and arrays below stay plain. This is the only module that may import every room.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brain_tumor.data.cohort import Case, Cohort
from brain_tumor.errors import RunError
from brain_tumor.evaluation import scoring
from brain_tumor.experiments import crossval, out_of_fold, run as experiment, tasks
from brain_tumor.experiments.own import OwnCode
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.experiments.segmentation import PREDICTIONS
from brain_tumor.inference import intake, predict as stored
from brain_tumor.inference.predictor import Predictor
from brain_tumor.records import crossval as crossval_record, lookup, records
from brain_tumor.report import figures, tables
from brain_tumor.report.figures import overlay
from brain_tumor.report.pages import views
from brain_tumor.training.runs import RunFolder


def train(recipe: Recipe, cohort: Cohort, **own: Any) -> "Run":
    """Train a recipe; a finished run of this home is returned as it is, an interrupted one resumed.

    Args:
        own: ``model``, ``loss``, ``augmentation`` or ``callbacks`` of your own (:class:`brain_tumor.experiments.own.OwnCode`).

    Raises:
        BrainTumorError: the recipe does not fit the cohort.
    """
    code = OwnCode(**own)
    return Run(experiment.train(recipe, cohort, own=code), cohort, code.model)


def cross_validate(
    recipe: Recipe, cohort: Cohort, unit: str = "patient", folds: int | None = None, workers: int | None = None
) -> "Folds":
    """Train and score every fold, then gather what was predicted out of fold; what is there, or recorded, is not trained again.

    Args:
        unit: ``patient``, ``slice`` (to measure the leak) or ``site``.
        folds: how many; None for 5, or for as many as there are sites.
        workers: how many are trained side by side; None for as many as cores and memory hold.
    """
    record = crossval_record.recorded_on(recipe, cohort, unit, folds)
    return Folds(
        record or crossval.cross_validate(recipe, cohort, unit, folds, workers=workers, record=crossval_record.fold_record)
    )


def open_run(recipe: Recipe, cohort: Cohort) -> "Run | None":
    """The finished run of this recipe on this cohort: of this home, else its record, else None."""
    folder = records.finished(recipe, cohort)
    return Run(folder, cohort) if folder else None


class Shown:
    """What Jupyter shows as its table."""

    table: Any  # the method that gives the few numbers that matter

    def _repr_html_(self) -> str:
        return self.table().to_html(border=0)


class Run(Shown):
    """A trained network with its folder; of a record, everything but the network and its predictions is there."""

    def __init__(self, folder: RunFolder, cohort: Cohort, model: Any = None):
        self.folder, self.cohort, self.model = folder, cohort, model
        self.path, self.name = folder.path, folder.path.name

    @property
    def facts(self) -> dict[str, Any]:
        """``run.json``, in the present words."""
        return lookup.run_facts(self.path)

    @cached_property
    def recipe(self) -> Recipe:
        """What was trained."""
        return tasks.recipe_from_json(self.facts["recipe"])

    @property
    def history(self) -> pd.DataFrame:
        """A row an epoch."""
        return lookup.history(self.path)

    @property
    def recorded(self) -> bool:
        """Whether this is a record: its numbers are there, its network is not."""
        return isinstance(self.folder, lookup.Record)

    @cached_property
    def predictor(self) -> Predictor:
        """The network, ready to predict."""
        return Predictor.load(self.path, self.model)

    def read(self, name: str = scoring.COUNTS) -> pd.DataFrame:
        """A table of the run's folder, such as ``counts.csv``."""
        return records.read_counts(self.path, name)

    def prediction(self, case_id: str) -> stored.Prediction:
        """What evaluation stored of one case: probabilities at native and working size."""
        return stored.load_prediction(self.path / PREDICTIONS / f"{case_id}.npz")

    def evaluate(self, part: str = "test", again: bool = False) -> "Scores":
        """Predict and score one part of the run's split; of a record, its scores computed anew from its counts."""
        anew = None if self.recorded else experiment.evaluate(self.folder, self.cohort, part, again, self.model)
        return Scores(records.scores_of(self.path) if anew is None else anew, self.recipe.TASK)

    def predict(self, source: str | Path | np.ndarray | Case) -> "Prediction":
        """Predict a case, a folder or picture file, or an array.

        Raises:
            RunError: this is a record, whose network is not there.
            DataError: the source cannot be read.
        """
        if self.recorded:
            raise RunError(f"{self.name}: a record holds no network; train it again: {records.retrain_command(self.path)}")
        return Prediction(self.predictor, self.predictor.exam(source), self.cohort)

    def table(self) -> pd.DataFrame:
        """What the run cost, in a row."""
        return tables.cost_table({self.name: self.facts})


class Folds(Shown):
    """A cross-validation, of this home or a record: what networks predicted that never saw the slices in question."""

    def __init__(self, path: Path):
        self.path, self.name, self.facts = path, path.name, lookup.crossval_facts(path)
        self.task = tasks.of(self.facts["recipe"]["task"])

    @cached_property
    def tables(self) -> scoring.Tables:
        """The main table, the floors and, where there is one, the ceiling, each with a column ``fold``."""
        more = [scoring.CEILING] * (self.path / scoring.CEILING).is_file()
        return {name: records.read_counts(self.path, name) for name in (self.task.main, scoring.FLOORS, *more)}

    @property
    def histories(self) -> dict[str, pd.DataFrame]:
        """Each fold's history: its split -> a row an epoch."""
        return crossval_record.histories(self.path)

    def read(self, name: str) -> pd.DataFrame:
        """A table of the folder, such as ``cases.csv``."""
        return records.read_counts(self.path, name)

    def evaluate(self) -> "Scores":
        """The scores of all folds together."""
        return Scores(out_of_fold.score(self.tables, self.task), self.task.name)

    def table(self) -> pd.DataFrame:
        """The scores of all folds together, in words."""
        return self.evaluate().table()


class Scores(Shown):
    """Scores with interval and floor."""

    def __init__(self, values: pd.DataFrame, task: str):
        self.values, self.task = values, task

    def table(self) -> pd.DataFrame:
        """The scores in words."""
        return views.of(self.task).scores(self.values)


class Prediction(Shown):
    """What a network says of an exam. Research use only: not for diagnosis."""

    def __init__(self, predictor: Predictor, exam: intake.Exam, cohort: Cohort):
        self.predictor, self.exam, self.cohort = predictor, exam, cohort
        self.answer = predictor.predict(exam)

    @property
    def masks(self) -> np.ndarray:
        """``(n, H, W)`` uint8 in {0, 1}: where tumour is called."""
        return self.answer.masks(self.predictor.threshold)

    def table(self) -> pd.DataFrame:
        """A row a slice: its probability, and what is called tumour."""
        return self.answer.table(self.predictor.threshold)

    def show(self) -> Any:
        """The outlines over FLAIR, slice by slice; of a classifier, the table."""
        if not self.predictor.outlines:
            return self.table()
        images, numbers = self.exam.images[self.exam.rows], self.answer.slice_numbers
        sheet = overlay.contact_sheet(images, self.masks, numbers, self.predictor.reference)
        return figures.show_picture(sheet, f"{self.exam.name}: outlines predicted", self.cohort.phantom)
