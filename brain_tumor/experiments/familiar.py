"""What a run's training slices look like, learnt from them where its folder does not say so yet."""

from brain_tumor.data import owners
from brain_tumor.data.cohort import Cohort
from brain_tumor.experiments import run as experiment
from brain_tumor.inference import familiarity
from brain_tumor.inference.familiarity import Familiarity
from brain_tumor.training.runs import RunFolder


def of(run: RunFolder, cohort: Cohort) -> Familiarity:
    """Read it from the run's folder, or learn it and write it there; some twenty seconds of the LGG data.

    Raises:
        RunError: the run did not finish, or was trained on other data.
    """
    stored = familiarity.load(run.path)
    if stored is None:
        part = experiment.part_of(run, cohort, "train")
        patients = part.store.slices.case_id.map(owners.patient_of(part.store.cases)).to_numpy()
        stored = familiarity.fit(part.store.images[part.rows], patients[part.rows])
        stored.save(run.path)
    return stored
