"""A predictor that knows what its training slices look like: learnt from them where its folder does not say so yet."""

import contextlib
from pathlib import Path

from brain_tumor.data import owners
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import DataError, RunError
from brain_tumor.experiments import run as experiment
from brain_tumor.inference import familiarity
from brain_tumor.inference.familiarity import Familiarity
from brain_tumor.inference.predictor import Predictor
from brain_tumor.training.runs import DESCRIPTION, RunFolder


def load(folder: Path) -> Predictor:
    """The predictor in a run's or a packed model's folder.

    It takes some twenty seconds on the LGG data when a run's folder is asked for the first time. Where the training data are not
    here, the predictor cannot tell what is unlike them.

    Raises:
        ModelError, RunError: a file is missing or damaged, or the run did not finish.
    """
    if (folder / DESCRIPTION).is_file() and not (folder / familiarity.FILE).is_file():
        run = RunFolder(folder)
        experiment.finished_recipe(run)
        with contextlib.suppress(DataError, RunError):  # the training data are not here, or others are
            learn(run, experiment.trained_cohort(run))
    return Predictor.load(folder)


def learn(run: RunFolder, cohort: Cohort) -> Familiarity:
    """Learn it from the run's training slices, and write it into the run's folder.

    Raises:
        RunError: the run did not finish, or was trained on other data.
    """
    part = experiment.part_of(run, cohort, "train")
    patients = part.store.slices.case_id.map(owners.patient_of(part.store.cases)).to_numpy()
    looks = familiarity.fit(part.store.images[part.rows], patients[part.rows])
    looks.save(run.path)
    return looks
