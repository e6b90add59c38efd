"""Whose the cases of a cohort are, as its table says: what a split by patient or by site stands on."""

from collections.abc import Iterable

import pandas as pd

from brain_tumor.errors import SplitError


def check_patients(cases: pd.DataFrame, name: str) -> None:
    """Refuse to split a cohort that does not say whose its cases are: no one could tell whether a patient is on both sides.

    Raises:
        SplitError: a case is of nobody known.
    """
    unknown = cases.index[(patient_of(cases) == "").to_numpy()]
    if len(unknown):
        raise SplitError(
            f"split {name!r}: nobody says whose {len(unknown):,} cases are, such as {unknown[0]!r}, so one patient could be "
            "on both sides; add the cohort again with a column 'patient', or with --each-image-a-patient if that is true"
        )


def check_sites(cases: pd.DataFrame, name: str) -> None:
    """Refuse to split a cohort by site where a case is of none.

    Raises:
        SplitError: no sites are known, or not of every case.
    """
    unknown = cases.index[(cases.site == "").to_numpy()]
    if len(unknown):
        whose = "this cohort names no sites" if len(unknown) == len(cases) else f"no site is known of {len(unknown):,} cases"
        raise SplitError(f"split {name!r}: {whose}, such as of {unknown[0]!r}; a split by site needs one for each case")


def patient_of(cases: pd.DataFrame) -> pd.Series:
    """Whose each case is; a table that does not say so holds one case a patient, named as TCGA names them."""
    if "patient" in cases:
        return cases.patient
    return pd.Series(["_".join(case_id.split("_")[:3]) for case_id in cases.index], cases.index)


def one_a_patient(cases: pd.DataFrame) -> pd.DataFrame:
    """The first case of each patient: patients are dealt, not exams."""
    return cases[~patient_of(cases).duplicated().to_numpy()]


def all_of(chosen: Iterable[str], cases: pd.DataFrame) -> list[str]:
    """Every case of the patients of the chosen cases."""
    patients = patient_of(cases)
    return [str(case_id) for case_id in cases.index[patients.isin(patients[list(chosen)])]]
