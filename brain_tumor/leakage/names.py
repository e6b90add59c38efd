"""Whose slice a name means: a patient, a series and a number, by a declared pattern; and where that slice lies in a cohort.

The pattern has the groups ``patient`` and, perhaps, ``slice``: that of TCGA (``TCGA_CS_4941_19960909_12``, with ``-`` too,
without the date too) unless another is given. Nothing is guessed: a name that the pattern does not fit is of an unknown patient.

A name is a path below the part: ``glioma/p07/t1_12.png``. A pattern of one's own is looked for in all of it, and the first fit
counts, so that the patient may stand in a folder's name. TCGA's is looked for in the file's own name first.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from brain_tumor.data import patients, text
from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.cohort import COHORTS
from brain_tumor.data.opening import lgg_folder, open_cohort
from brain_tumor.errors import SplitError

NUMBERED = re.compile(r"(?:^|/)(?P<case>[^/]+)[/_-](?P<number>\d+)(?:\.\w+)*$")
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


@dataclass(frozen=True)
class NamePattern:
    """What of a name is the patient, and what the slice.

    Attributes:
        regex: with the group ``patient``.
        own: True where a person gave it.
    """

    regex: re.Pattern
    own: bool


def pattern_of(pattern: str | None) -> NamePattern:
    """The pattern a person gave, or that of TCGA, in any case of letters.

    Raises:
        SplitError: not a regular expression, or without the group ``patient``.
    """
    if not pattern:
        return NamePattern(re.compile(TCGA, re.IGNORECASE), own=False)
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise SplitError(f"pattern '{pattern}': not a regular expression ({error})") from None
    if "patient" not in regex.groupindex:
        raise SplitError(
            f"pattern '{pattern}': the group (?P<patient>...) is missing; expected one such as {advice('BRATS_001')}"
        )
    return NamePattern(regex, own=True)


def advice(name: str) -> str:
    """The option that reads the first number of a name as the patient, for a person to make their own of."""
    match = re.search(r"([^/\d]*)\d", text.posix(name))
    group = r"(?P<patient>\d+)" if match else "(?P<patient>...)"
    before = re.escape(match[1]).replace(r"\-", "-") if match else ""
    return f"--pattern '{before}{group}'"


def identify(name: str, pattern: NamePattern) -> tuple[str | None, str | None, int | None]:
    """Patient, series and slice number as a path below a part tells them.

    The series is all that was matched, less the number. The patient may stand in a folder's name, and again, with the number, in
    the file's.
    """
    name = text.posix(name)
    places = (name, PurePosixPath(name).name)
    for place in places if pattern.own else reversed(places):
        matches = [match for match in pattern.regex.finditer(place) if patients.key(match["patient"] or "")]
        if matches:
            return _read_match(matches)
    return None, None, None


def _read_match(matches: list[re.Match]) -> tuple[str, str | None, int | None]:
    """The first match; of that patient's, the first with a slice number gives series and number."""
    patient = matches[0]["patient"].replace("-", "_")
    for match in matches:
        number = match.groupdict().get("slice")
        if number and number.isdecimal() and patients.key(match["patient"]) == patients.key(patient):
            start, end = (place - match.start() for place in match.span("slice"))
            return patient, (match[0][:start] + match[0][end:]).replace("-", "_"), int(number)
    return patient, None, None


def pictures_of(store: Store, rows: Iterable[int]) -> tuple[ImageRecord, ...]:
    """Slices of a cohort, called ``case_id/number``."""
    of_case = {case.case_id: case.patient for case in store.cohort}
    slices = store.slices.iloc[list(rows)]
    return tuple(
        ImageRecord(f"{case_id}/{number}", of_case[case_id] or None, case_id, int(number), int(row))
        for row, case_id, number in zip(slices.index, slices.case_id, slices.slice, strict=True)
    )


class SliceIndex:
    """Finds slices of a cohort by TCGA names, or by the names of your own cases.

    It opens the cohort when first asked; without LGG data it finds nothing.

    Attributes:
        store: the cohort's native store, once opened.
    """

    def __init__(self, cohort: str):
        self.cohort = cohort
        self.store: Store | None = None
        self._pictures: dict[str, dict[int, ImageRecord]] | None = None  # key of the patient, or case -> slice number -> picture

    def find(self, name: str, where: str = "") -> tuple[ImageRecord, ...]:
        """The slice of that name, or all slices of a case; none for a patient who is not in the cohort.

        Args:
            where: the file, and perhaps the line, that a refusal names.

        Raises:
            SplitError: a patient of the cohort, but a slice number that it lacks.
        """
        if self.cohort not in COHORTS:
            return self._find_own(name, where)
        patient, _, number = identify(name, pattern_of(None))
        if patient is None:
            return ()
        if self._pictures is None:
            self._pictures = self._open()
        pictures = self._pictures.get(patients.key(patient), {})
        if not pictures or number is None:
            return tuple(pictures.values())
        if number not in pictures:
            said = f"{where}: {name!r}" if where else repr(name)
            raise SplitError(f"{said}: {patient} has slices {min(pictures)} to {max(pictures)} in the cohort {self.cohort!r}")
        return (pictures[number],)

    def _find_own(self, name: str, where: str) -> tuple[ImageRecord, ...]:
        """By the names of cases: ``CASE``, ``CASE/12`` or ``CASE_12``, perhaps with an ending."""
        if self._pictures is None:
            self._pictures = self._open()
        name = text.posix(name)
        file = PurePosixPath(name).name
        for case in (name, file, file.split(".")[0]):
            if pictures := self._pictures.get(patients.key(case)):
                return tuple(pictures.values())
        match = NUMBERED.search(name)
        pictures = self._pictures.get(patients.key(match["case"]), {}) if match else {}
        number = int(match["number"]) if match else 0
        if pictures and number not in pictures:
            said = f"{where}: {name!r}" if where else repr(name)
            raise SplitError(f"{said}: the case has slices {min(pictures)} to {max(pictures)} in the cohort {self.cohort!r}")
        return (pictures[number],) if pictures else ()

    def _open(self) -> dict[str, dict[int, ImageRecord]]:
        if self.cohort == "lgg" and not lgg_folder().is_dir():
            return {}
        self.store = open_store(open_cohort(self.cohort))
        pictures: dict[str, dict[int, ImageRecord]] = {}
        for picture in pictures_of(self.store, range(len(self.store.slices))):
            assert picture.series is not None and picture.number is not None
            owner = picture.patient if self.cohort in COHORTS and picture.patient else picture.series
            pictures.setdefault(patients.key(owner), {})[picture.number] = picture
        return pictures
