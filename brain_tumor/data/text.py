"""Text from elsewhere: tables and JSON as people have them, read one way at every door.

What is taken: UTF-8 with or without a byte order mark; UTF-16 in either order, also without a mark; else Latin-1, with a warning.
Tables are separated by ``,``, ``;`` or a tab. Cells that mean "nothing" (:data:`BLANKS`) are empty. Paths may have ``\\``.
"""

import csv
import io
import json
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brain_tumor.errors import DataError, DataWarning

BLANKS = {"", "na", "n/a", "#n/a", "nan", "-", "–"}  # in any case of letters; #N/A is how Excel writes it
DELIMITERS = (",", ";", "\t")
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
NULS = 0.2  # of UTF-16 without a mark: Latin letters are half NUL bytes, all of them on one side
CONTROLS = re.compile("[\0-\x08\x0e-\x19\x1c-\x1f]")  # text has none of these
NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
WHOLE = re.compile(r"(\d+)([.,]0*)?", re.ASCII)


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        line: its number in the file, the header being line 1.
        cells: column -> text without blanks around it, ``""`` for any of :data:`BLANKS` and where the line is short.
        surplus: cells beyond the header, as an unquoted comma leaves them.
    """

    line: int
    cells: dict[str, str]
    surplus: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of text, its blank lines left out.

    Attributes:
        path: where it was read.
        columns: the header, without blanks around names and without nameless columns.
        rows: in the file's order.
        delimiter: what parts its cells.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    delimiter: str

    def number(self, cell: str) -> float:
        """A cell as a number; the decimals may stand behind a comma.

        Raises:
            ValueError: no number, or one such as ``1,234`` where commas part the cells: thousands, or three decimals?
        """
        if self.delimiter == "," and THOUSANDS.fullmatch(cell):
            raise ValueError(f"{cell!r} may be {cell.replace(',', '')} or {cell.replace(',', '.')}")
        if not NUMBER.fullmatch(cell):
            raise ValueError(f"{cell!r} is no number")
        return float(cell.replace(",", "."))


def read(path: Path) -> str:
    """A file's text. Warns where it is read as Latin-1.

    Raises:
        DataError: it cannot be opened, or is no text.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        text = content.decode(_encoding(content))
    except UnicodeDecodeError:
        text = content.decode("latin-1")
        if not CONTROLS.search(text):
            warnings.warn(f"{path}: not UTF-8, read as Latin-1; look at names with accents", DataWarning, stacklevel=2)
    if CONTROLS.search(text):
        raise DataError(f"{path}: not text; expected CSV or JSON, in UTF-8")
    return text


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        DataError: it cannot be opened, or is no JSON.
    """
    try:
        return json.loads(read(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error})") from None


def read_table(path: Path) -> Table:
    """A CSV, whatever parts its cells: of ``,``, ``;`` and tab, the one that the header has most of.

    Raises:
        DataError: it cannot be opened, is no text or no CSV, or names a column twice.
    """
    text = read(path)
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=header.count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise DataError(f"{path}: not readable as CSV ({error})") from None
    lines = [(number, cells) for number, cells in lines if any(cells)]
    names = lines[0][1] if lines else []
    columns = [name for name in names if name]
    folded = [name.casefold() for name in columns]
    twice = next((name for name in columns if folded.count(name.casefold()) > 1), None)
    if twice:
        raise DataError(f"{path}: the column {twice!r} is there twice; expected each once")
    rows = []
    for number, cells in lines[1:]:
        padded = [*cells, *[""] * (len(names) - len(cells))]
        by_name = {name: "" if is_blank(cell) else cell for name, cell in zip(names, padded, strict=False) if name}
        rows.append(Row(number, by_name, tuple(cell for cell in cells[len(names) :] if cell)))
    return Table(Path(path), tuple(columns), tuple(rows), delimiter)


def is_blank(cell: str) -> bool:
    """Whether a cell means "nothing"."""
    return cell.strip().casefold() in BLANKS


def whole(cell: str) -> int:
    """``12``, ``012`` and ``12.0`` as the whole number that they are.

    Raises:
        ValueError: anything else.
    """
    match = WHOLE.fullmatch(cell)
    if not match:
        raise ValueError(f"{cell!r} is no whole number")
    return int(match[1])


def posix(name: str) -> str:
    """A path with ``/``, also where it was written on Windows."""
    return name.replace("\\", "/")


def _encoding(content: bytes) -> str:
    if content.startswith(UTF_16):
        return "utf-16"
    share = NULS * len(content)
    low, high = content[1::2].count(0), content[::2].count(0)  # of Latin letters, which byte of a pair is NUL
    if low > share and not high:
        return "utf-16-le"
    if high > share and not low:
        return "utf-16-be"
    return "utf-8-sig"
