"""A cohort of this home by its name, or any folder in the LGG data's layout."""

import warnings
from dataclasses import replace
from pathlib import Path

from brain_tumor.data import phantom, phantom_brats, register
from brain_tumor.data.cohort import COHORTS, Cohort
from brain_tumor.data.readers import lgg
from brain_tumor.errors import DataError, DataWarning
from brain_tumor.paths import data_folder


def lgg_folder() -> Path:
    """Where the LGG data lies in this home."""
    return data_folder() / "kaggle_3m"


def open_cohort(name: str) -> Cohort:
    """The cohort ``lgg``, ``phantom``, ``phantombrats`` or one of your own of this home; phantoms are drawn on first use.

    Warns where splits and scores of the cohort have to be taken with caution (:attr:`brain_tumor.data.cohort.Cohort.caution`).

    Raises:
        DataError: another name; LGG data that is not here yet or damaged; your own, whose files are not where they were.
    """
    if name in COHORTS:
        return {"lgg": open_lgg, "phantom": phantom.open_phantom, phantom_brats.NAME: phantom_brats.open_phantom}[name]()
    cohort = register.open_registered(name)
    if cohort.caution:
        warnings.warn(cohort.caution, DataWarning, stacklevel=2)
    return cohort


def name_of(cohort: Cohort) -> str:
    """The name that opens this cohort: ``lgg`` of whatever lies in the place of the LGG data, a phantom too."""
    return "lgg" if cohort.root.resolve().is_relative_to(lgg_folder().resolve()) else cohort.name


def open_lgg() -> Cohort:
    """The LGG data of this home; refuses, and says how to get it, where it is missing."""
    if not lgg_folder().is_dir():
        raise DataError(f"{lgg_folder()}: the LGG data is not here; get it with: brain-tumor data get lgg --from FOLDER")
    return open_folder(lgg_folder())


def open_or_phantom(name: str) -> tuple[Cohort, str]:
    """The cohort of that name, or the phantom where ``lgg`` or ``brats`` is not here; and a sentence that says which."""
    absent = name == "lgg" and not lgg_folder().is_dir()
    without_exams = name == "brats" and name not in register.names()
    cohort = open_cohort("phantom" if absent else phantom_brats.NAME if without_exams else name)
    size = f"{len(cohort)} patients, {cohort.n_slices:,} slices"
    if not cohort.phantom:
        return cohort, f"Cohort {cohort.name}: {size}."
    why = "the LGG data is not here (brain-tumor data get lgg --from FOLDER), so " if absent else ""
    why = "no BraTS exams are here (brain-tumor data add brats --brats FOLDER), so " if without_exams else why
    return cohort, f"PHANTOM, not patients: {why}everything below is synthetic, {size}."


def open_folder(folder: Path) -> Cohort:
    """Any ``kaggle_3m`` tree. A phantom is known by its patient codes, so it can never pass for patients."""
    cohort = lgg.read_cohort(folder)
    return replace(cohort, name="phantom", phantom=True) if phantom.is_phantom(cohort) else cohort
