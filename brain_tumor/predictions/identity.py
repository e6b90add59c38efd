"""Whose a file is: its case, patient, slice number, site and spacing, from a cohort, a table or the file's own name.

Nothing is guessed. Where nobody says who the patient is, the patient is unknown, and scores then have no interval.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import DataError
from brain_tumor.leakage.names import TCGA
from brain_tumor.predictions import pairing

BLANK = {"", "na", "n/a", "nan", "-", "none"}
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
        self.pattern, self.given = _compiled(pattern), pattern

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
                number = int(float(row["slice"])) if row.get("slice") else by_name.number
                case_id = row.get("case") or (patient if number is not None and patient else by_name.case_id)
                return Identity(case_id, patient, number, row.get("site") or None, _spacing(row.get("spacing", ""), self.table))
        return by_name

    def _by_name(self, key: str) -> Identity:
        match = self.pattern.search(key)
        while match and not self.given and (later := self.pattern.search(key, match.end())):
            match = later  # a folder may carry the patient's name too; the file's own says the slice
        if not match or not match["patient"]:
            return Identity(key)
        groups = match.groupdict()
        patient = match["patient"].replace("-", "_") if not self.given else match["patient"]
        number = groups.get("slice")
        if number is None or not number.isdecimal():
            return Identity(
                groups.get("case") or (key if self.given else match[0].replace("-", "_")), patient, None, groups.get("site")
            )
        start, end = (place - match.start() for place in match.span("slice"))
        series = (match[0][:start].rstrip("-_") + match[0][end:]).replace("-", "_")
        return Identity(groups.get("case") or series, patient, int(number), groups.get("site"))


def _compiled(pattern: str | None) -> re.Pattern:
    try:
        compiled = re.compile(pattern or TCGA)
    except re.error as error:
        raise DataError(f"pattern '{pattern}': not a regular expression ({error})") from None
    if "patient" not in compiled.groupindex:
        raise DataError(f"pattern '{pattern}': the group (?P<patient>...) is missing")
    return compiled


def _read_table(path: Path) -> Mapping[str, dict[str, str]]:
    """Rows by the key of the file that they name."""
    rows: dict[str, dict[str, str]] = {}
    for line, row in read_rows(path):
        column = next((name for name in FILE_COLUMNS if row.get(name)), None)
        if column is None:
            raise DataError(f"{path}, line {line}: names no file; expected the columns {COLUMNS}")
        if row.get("slice") and not re.fullmatch(r"\d+(\.0+)?", row["slice"]):
            raise DataError(f"{path}, line {line}: slice {row['slice']!r}, expected a whole number")
        _spacing(row.get("spacing", ""), path)
        name = row[column].replace("\\", "/")
        for key in (pairing.key_of(name), pairing.key_of(name).rsplit("/", 1)[-1]):
            rows.setdefault(key, row)
    return rows


def read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Each line's number and its cells by the column's name in lower case; blanks, ``NA`` and ``-`` are empty.

    Raises:
        DataError: not readable as CSV.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        lines = text.splitlines()
        header = lines[0] if lines else ""
        reader = csv.DictReader(lines, delimiter=max(",;\t", key=header.count))
        reader.fieldnames = [column.strip().lower() for column in reader.fieldnames or ()]
        rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not readable as CSV ({getattr(error, 'strerror', None) or error})") from None
    if not rows:
        raise DataError(f"{path}: no rows")
    return [
        (line, {name: "" if (cell or "").strip().lower() in BLANK else cell.strip() for name, cell in row.items() if name})
        for line, row in rows
    ]


def _spacing(text: str, source: Path | None) -> tuple[float, float, float] | None:
    """``5 0.9 0.9``, ``5x0.9x0.9`` or one number for all three axes, in mm, slice distance first."""
    if not text:
        return None
    try:
        lengths = [float(part) for part in re.split(r"[\sx*/;,]+", text.strip("()[] "))]
    except ValueError:
        lengths = []
    lengths = lengths * 3 if len(lengths) == 1 else lengths
    if len(lengths) != 3 or not all(0 < length < 1000 for length in lengths):
        raise DataError(f"{source}: spacing {text!r}, expected slice distance, height and width in mm, such as 5 0.9 0.9")
    return lengths[0], lengths[1], lengths[2]
