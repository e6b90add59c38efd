"""What a network must know of itself before strangers ask it: learnt once from the data of its run, and kept in its folder.

What its training slices look like (``familiarity.npz``); what it loses on a slice that comes without its exam (``alone.csv``);
and how well its maps point at the tumour (``explanations.csv``), both on its test patients.
"""

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.data import channels, intensity, owners
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import DataError, RunError
from brain_tumor.evaluation import explanations, overlap
from brain_tumor.experiments import run as experiment, segmentation
from brain_tumor.inference import explain, familiarity
from brain_tumor.inference.familiarity import Familiarity
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.predictor import Predictor
from brain_tumor.progress import tracked
from brain_tumor.training.runs import DESCRIPTION, RunFolder

ALONE, EXPLANATIONS = "alone.csv", "explanations.csv"
NETWORK = "network"  # whose maps the others are controls of


def load(folder: Path, whole: bool = False) -> Predictor:
    """The predictor in a run's or a packed model's folder, which knows what is unlike its training slices.

    Of a run that is asked for the first time this is learnt now: some twenty seconds on the LGG data. The predictor does without
    it where the data are not here, and where they are drawn, unless all is asked for.

    Args:
        whole: learn the other two as well; a minute or two more.

    Raises:
        ModelError, RunError: a file is missing or damaged, or the run did not finish.
    """
    if (folder / DESCRIPTION).is_file():
        run = RunFolder(folder)
        experiment.finished_recipe(run)
        with contextlib.suppress(DataError, RunError):  # the training data are not here, or others are
            _learn(run, whole)
    return Predictor.load(folder)


def _learn(run: RunFolder, whole: bool) -> None:
    absent = [name for name in (familiarity.FILE, ALONE, EXPLANATIONS) if not (run.path / name).is_file()]
    if not absent or (not whole and (familiarity.FILE not in absent or run.facts("phantom")["phantom"])):
        return
    cohort = experiment.trained_cohort(run)
    if familiarity.FILE in absent:
        learn_looks(run, cohort)
    if whole and len(absent) > absent.count(familiarity.FILE):
        predictor = Predictor.load(run.path)
        if predictor.outlines and not predictor.of_volumes:  # which look at no slice alone
            measure(run, cohort, predictor)


def learn_looks(run: RunFolder, cohort: Cohort) -> Familiarity:
    """Learn what training slices look like, and write it into the run's folder.

    Raises:
        RunError: the run did not finish, or was trained on other data.
    """
    part = experiment.part_of(run, cohort, "train")
    patients = part.store.slices.case_id.map(owners.patient_of(part.store.cases)).to_numpy()
    looks = familiarity.fit(part.store.images[part.rows], patients[part.rows])
    looks.save(run.path)
    return looks


def measure(run: RunFolder, cohort: Cohort, predictor: Predictor) -> None:
    """Measure on the test patients what a slice loses alone, and how well maps point, and write both into the run's folder.

    Raises:
        RunError: the run was trained on other data.
    """
    part = experiment.part_of(run, cohort, "test")
    alone, scores = [], []
    cases = part.store.slices.iloc[part.rows].case_id.nunique()
    for exam in tracked(segmentation.exams(part), "measuring slices that come alone, and where the network looks", cases):
        masks = part.store.masks[part.store.rows_of(exam.name).start + exam.rows]
        alone.append(_alone(predictor, exam, masks))
        scores.append(_explained(predictor, exam, masks))
    for name, table in ((ALONE, pd.DataFrame(alone)), (EXPLANATIONS, pd.concat(scores))):
        with files.atomic_path(run.path / name) as temporary:
            table.to_csv(temporary, index=False)


def _alone(predictor: Predictor, exam: Exam, masks: np.ndarray) -> dict[str, object]:
    """The Dice of a case whose slices come together, and of the same slices one by one."""
    together = predictor.predict(exam).native
    if predictor.channels in channels.WITH_NEIGHBOURS:  # which a slice alone has not
        lone = [Exam(exam.name, exam.images[[row]], exam.slice_numbers[[row]], np.array([0]), alone=True) for row in exam.rows]
        alone = np.concatenate([predictor.predict(one).native for one in lone])
    else:
        own = np.stack([intensity.scaling(exam.images[[row]], predictor.normalisation) for row in exam.rows])
        alone = predictor.predict(replace(exam, scaling=own)).native
    counts = {
        name: overlap.count(native, masks, predictor.threshold) for name, native in (("together", together), ("alone", alone))
    }
    return {"case_id": exam.name} | {
        name: float(overlap.dice(*table[["tp", "fp", "fn"]].sum())) for name, table in counts.items()
    }


def _explained(predictor: Predictor, exam: Exam, masks: np.ndarray) -> pd.DataFrame:
    """The scores of the network's maps and of the controls on a case's slices with tumour."""
    tumour = masks.any(axis=(1, 2))
    some = replace(exam, rows=exam.rows[tumour])
    maps = {NETWORK: explain.explain(predictor, some).maps, **explain.controls(exam.images[some.rows], predictor.reference)}
    tables = [
        explanations.score(of_map, masks[tumour]).assign(map=name, case_id=exam.name, slice=some.asked)
        for name, of_map in maps.items()
    ]
    return pd.concat(tables)[["map", *explanations.COLUMNS]]
