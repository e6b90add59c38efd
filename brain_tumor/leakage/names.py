"""Whose slice a name means: a patient, a series and a number, by a declared pattern; and where that slice lies in a cohort.

The pattern has the groups ``patient`` and, perhaps, ``slice``: that of TCGA (``TCGA_CS_4941_19960909_12``, with ``-`` too,
without the date too) unless another is given. Nothing is guessed: a name that the pattern does not fit is of an unknown patient.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.opening import lgg_folder, open_cohort
from brain_tumor.errors import SplitError

TCGA = r"(?P<patient>TCGA[-_][A-Z]{2}[-_][A-Z0-9]{4})([-_]\d{8})?([-_](?P<slice>\d{1,4})(?!\d))?"


@dataclass(frozen=True)
class ImageRecord:
    """A slice that a split names.

    Attributes:
        name: ``case_id/number``, a path, or an identifier, as the split writes it.
        patient: None where the name does not tell.
        series: what slices of one exam share; None where the slice number is unknown.
        number: the slice's number in its series.
        source: a file, a row of the cohort's store, or None where the pixels are not at hand.
    """

    name: str
    patient: str | None = None
    series: str | None = None
    number: int | None = None
    source: Path | int | None = None


def pattern_of(text: str | None) -> re.Pattern:
    """The pattern a person gave, or that of TCGA.

    Raises:
        SplitError: not a regular expression, or without the group ``patient``.
    """
    try:
        pattern = re.compile(text or TCGA)
    except re.error as error:
        raise SplitError(f"pattern '{text}': not a regular expression ({error})") from None
    if "patient" not in pattern.groupindex:
        raise SplitError(f"pattern '{text}': the group (?P<patient>...) is missing")
    return pattern


def identify(name: str, pattern: re.Pattern) -> tuple[str | None, str | None, int | None]:
    """Patient, series and slice number as a file's name tells them. The series is all that was matched, less the number."""
    match = pattern.search(Path(name).name)
    if not match or not match["patient"]:
        return None, None, None
    patient, number = match["patient"].replace("-", "_"), match.groupdict().get("slice")
    if number is None or not number.isdecimal():
        return patient, None, None
    start, end = (place - match.start() for place in match.span("slice"))
    return patient, (match[0][:start] + match[0][end:]).replace("-", "_"), int(number)


def pictures_of(store: Store, rows: Iterable[int]) -> tuple[ImageRecord, ...]:
    """Slices of a cohort, called ``case_id/number``."""
    patients = {case.case_id: case.patient for case in store.cohort}
    slices = store.slices.iloc[list(rows)]
    return tuple(
        ImageRecord(f"{case_id}/{number}", patients[case_id], case_id, int(number), int(row))
        for row, case_id, number in zip(slices.index, slices.case_id, slices.slice, strict=True)
    )


class SliceIndex:
    """Finds slices of a cohort by TCGA names. It opens the cohort when first asked; without LGG data it finds nothing.

    Attributes:
        store: the cohort's native store, once opened.
    """

    def __init__(self, cohort: str):
        self.cohort = cohort
        self.store: Store | None = None
        self._pictures: dict[str, dict[int, ImageRecord]] | None = None  # patient -> slice number -> picture

    def find(self, name: str) -> tuple[ImageRecord, ...]:
        """The slice of that name, or all slices of a case; none for a patient who is not in the cohort.

        Raises:
            SplitError: a patient of the cohort, but a slice number that it lacks.
        """
        patient, _, number = identify(name, re.compile(TCGA))
        if patient is None:
            return ()
        if self._pictures is None:
            self._pictures = self._open()
        pictures = self._pictures.get(patient, {})
        if not pictures or number is None:
            return tuple(pictures.values())
        if number not in pictures:
            raise SplitError(f"{name!r}: {patient} has slices {min(pictures)} to {max(pictures)} in the cohort {self.cohort!r}")
        return (pictures[number],)

    def _open(self) -> dict[str, dict[int, ImageRecord]]:
        if self.cohort == "lgg" and not lgg_folder().is_dir():
            return {}
        self.store = open_store(open_cohort(self.cohort))
        pictures: dict[str, dict[int, ImageRecord]] = {}
        for picture in pictures_of(self.store, range(len(self.store.slices))):
            assert picture.patient is not None and picture.number is not None
            pictures.setdefault(picture.patient, {})[picture.number] = picture
        return pictures
