"""Whose a file is: its case, patient, slice number, site and spacing, from a cohort, a table or the file's own name.

Nothing is guessed. Where nobody says who the patient is, the patient is unknown, and scores then have no interval.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from brain_tumor.data import text
from brain_tumor.data.cohort import Cohort
from brain_tumor.data.text import Table
from brain_tumor.errors import DataError
from brain_tumor.leakage import names
from brain_tumor.predictions import pairing

FILE_COLUMNS = ("file", "mask", "image", "case", "case_id")  # of a table: the first of them that it has names the file
COLUMNS = "file (or mask, image, case), and perhaps patient, case, slice, site, spacing"


@dataclass(frozen=True)
class Identity:
    """Whose a file is.

    Attributes:
        case_id: the exam.
        patient: None where nobody says.
        number: the slice's number in its exam; None of a volume, or where nobody says.
        site: None where nobody says.
        spacing_mm: slice distance, height and width; None where nobody says.
    """

    case_id: str
    patient: str | None = None
    number: int | None = None
    site: str | None = None
    spacing_mm: tuple[float, float, float] | None = None


class Identities:
    """Finds whose a key is.

    Args:
        cohort: whose cases the files are of; their names are ``CASE`` or ``CASE_NUMBER``.
        table: a CSV with a row a file or a case.
        pattern: a regular expression for the path, with ``(?P<patient>...)`` and perhaps ``case``, ``slice`` and ``site``; None:
            that of TCGA.
        each_file_a_patient: every file is a patient of its own.
    """

    def __init__(
        self,
        cohort: Cohort | None = None,
        table: Path | None = None,
        pattern: str | None = None,
        each_file_a_patient: bool = False,
    ):
        self.cases = {case.case_id: case for case in cohort} if cohort else {}
        self.cohort, self.table, self.each_file_a_patient = cohort, table, each_file_a_patient
        self.rows = _read_table(table) if table else {}
        self.pattern, self.given = names.pattern_of(pattern), pattern

    def of(self, key: str) -> Identity:
        """Whose the file of that key is (:mod:`brain_tumor.predictions.pairing`)."""
        if self.each_file_a_patient:
            return Identity(key, key)
        if self.cases:
            return self._in_cohort(key)
        if self.rows:
            return self._in_table(key)
        return self._by_name(key)

    def check(self, keys: Iterable[str]) -> None:
        """Refuse a cohort, table or pattern that does not say whose each file is.

        Raises:
            DataError: naming a file that it does not know.
        """
        keys = list(keys)
        unknown = [key for key in keys if self.of(key).patient is None]
        source = self.table or (f"cohort {self.cohort.name!r}" if self.cohort else self.given and f"pattern '{self.given}'")
        if unknown and source and (self.given or self.cohort or len(unknown) == len(keys)):
            raise DataError(f"{source}: says nothing of {len(unknown)} of {len(keys)} files, such as {unknown[0]}")

    def _in_cohort(self, key: str) -> Identity:
        for name in reversed(key.split("/")):
            numbered = re.fullmatch(r"(.+?)[-_](\d+)", name)
            if name in self.cases:
                case, number = self.cases[name], None
            elif numbered and numbered[1] in self.cases:
                case, number = self.cases[numbered[1]], int(numbered[2])
            else:
                continue
            return Identity(case.case_id, case.patient, number, case.site or None, case.spacing_mm)
        return Identity(key)

    def _in_table(self, key: str) -> Identity:
        by_name = self._by_name(key)
        for name in (key, key.rsplit("/", 1)[-1], by_name.case_id):
            if row := self.rows.get(name):
                patient = row.get("patient") or by_name.patient
                number = text.whole(row["slice"]) if row.get("slice") else by_name.number
                case_id = row.get("case") or (patient if number is not None and patient else by_name.case_id)
                return Identity(case_id, patient, number, row.get("site") or None, _spacing(row.get("spacing", ""), self.table))
        return by_name

    def _by_name(self, key: str) -> Identity:
        patient, series, number = names.identify(key, self.pattern)
        if patient is None:
            return Identity(key)
        matches = [match for match in self.pattern.regex.finditer(key) if match["patient"]]
        groups = {name: value for match in matches for name, value in match.groupdict().items() if value}
        case_id = groups.get("case") or (series or "").strip("-_/")
        if not case_id:
            case_id = key if self.pattern.own else matches[-1][0].replace("-", "_")
        return Identity(case_id, patient, number, groups.get("site"))


def _read_table(path: Path) -> Mapping[str, dict[str, str]]:
    """Rows by the key of the file that they name."""
    rows: dict[str, dict[str, str]] = {}
    for line, row in read_rows(path)[1]:
        column = next((name for name in FILE_COLUMNS if row.get(name)), None)
        if column is None:
            raise DataError(f"{path}, line {line}: names no file; expected the columns {COLUMNS}")
        if row.get("slice") and not text.WHOLE.fullmatch(row["slice"]):
            raise DataError(f"{path}, line {line}: slice {row['slice']!r}, expected a whole number")
        _spacing(row.get("spacing", ""), path)
        name = text.posix(row[column])
        for key in (pairing.key_of(name), pairing.key_of(name).rsplit("/", 1)[-1]):
            rows.setdefault(key, row)
    return rows


def read_rows(path: Path) -> tuple[Table, list[tuple[int, dict[str, str]]]]:
    """A CSV, and each line's number with its cells by the column's name in lower case.

    Raises:
        DataError: not readable as CSV, or without rows.
    """
    table = text.read_table(path)
    if not table.rows:
        raise DataError(f"{path}: no rows")
    return table, [(row.line, {name.casefold(): cell for name, cell in row.cells.items()}) for row in table.rows]


def _spacing(cell: str, source: Path | None) -> tuple[float, float, float] | None:
    """``5 0.9 0.9``, ``5x0.9x0.9`` or one number for all three axes, in mm, slice distance first."""
    if not cell:
        return None
    try:
        lengths = [float(part) for part in re.split(r"[\sx*/;,]+", cell.strip("()[] "))]
    except ValueError:
        lengths = []
    lengths = lengths * 3 if len(lengths) == 1 else lengths
    if len(lengths) != 3 or not all(0 < length < 1000 for length in lengths):
        raise DataError(f"{source}: spacing {cell!r}, expected slice distance, height and width in mm, such as 5 0.9 0.9")
    return lengths[0], lengths[1], lengths[2]
