"""A split as a table: a line a picture, with its file and part, and perhaps its patient and slice."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from brain_tumor.data import patients, text, tree
from brain_tumor.errors import DataError, SplitError
from brain_tumor.leakage.names import ImageRecord, NamePattern, SliceIndex, identify

COLUMNS = ("file", "part", "patient", "slice")


def read(path: Path, pattern: NamePattern, index: SliceIndex) -> tuple[list[ImageRecord], list[str], list[str], tuple[str, ...]]:
    """Pictures, the part of each, what of each name patterns were looked for in, and doubts about patients.

    A patient or slice that a line states goes before what the file's name tells.

    Raises:
        SplitError: no such table, a file that is nowhere, there twice or without a part, or two names of one patient.
    """
    rows = _rows(path)
    parts: dict[str, str] = {}
    for row in rows:
        where = f"{path}, line {row.line}"
        name, part = text.posix(row.cells["file"]), row.cells["part"].lower()
        if row.surplus:
            raise SplitError(f"{where}: more cells than columns, such as {row.surplus[0]!r}; put a name with commas in quotes")
        if not name or not part:
            raise SplitError(f"{where}: the {'part' if name else 'file'} is empty")
        if name in parts:
            raise SplitError(f"{where}: {name!r} is there twice, in {parts[name]} and {part}")
        parts[name] = part
    used = [(row, name) for row, name in zip(rows, parts, strict=True) if not tree.is_mask(Path(name))]
    names = _below_all([name for _, name in used])
    read_off = [identify(name, pattern) for name in names]
    owners, doubts = _owners(path, [row for row, _ in used], [patient for patient, *_ in read_off])
    pictures = [
        _picture(path, row, name, owner, whose, index) for (row, name), owner, whose in zip(used, owners, read_off, strict=True)
    ]
    return pictures, [parts[name] for _, name in used], names, doubts


def _rows(path: Path) -> list[text.Row]:
    """Each line with all of :data:`COLUMNS`, empty where the table lacks one."""
    try:
        table = text.read_table(path)
    except DataError as error:
        raise SplitError(str(error)) from None
    columns = {name.lower(): name for name in table.columns}
    if not {"file", "part"} <= columns.keys():
        raise SplitError(f"{path}: columns {', '.join(columns) or 'none'}; expected file and part, and perhaps patient and slice")
    return [replace(row, cells={name: row.cells.get(columns.get(name, ""), "") for name in COLUMNS}) for row in table.rows]


def _below_all(names: list[str]) -> list[str]:
    """Absolute paths without the folders that all of them lie in: those tell a disk, not a patient. Others as they are."""
    if not names or not all(name.startswith("/") or name[1:2] == ":" for name in names):
        return names
    common = len(os.path.commonpath([str(PurePosixPath(name).parent) for name in names]))
    return [name[common:].lstrip("/") for name in names]


def _owners(path: Path, rows: Sequence[text.Row], names: Sequence[str | None]) -> tuple[list[str | None], tuple[str, ...]]:
    """Whose each picture is: as its line says; else as other lines call the patient of its name; else as the name does.

    Returns:
        The patients, and a doubt where the column knows some, the names others, and no line links the two.
    """
    columns = [row.cells["patient"] for row in rows]
    links: dict[str, dict[str, str]] = {}  # key of the name's patient -> key of the column's -> as the column writes it
    for column, name in zip(columns, names, strict=True):
        if column and name:
            links.setdefault(patients.key(name), {}).setdefault(patients.key(column), column)
    owners: list[str | None] = []
    for row, column, name in zip(rows, columns, names, strict=True):
        others = list(links.get(patients.key(name or ""), {}).values())
        if not column and len(others) > 1:
            raise SplitError(
                f"{path}, line {row.line}: the patient is empty, and other lines call {name!r} both {others[0]!r} and "
                f"{others[1]!r}; fill the column in every line"
            )
        owners.append(column or next(iter(others), name))
    stated = {patients.key(column) for column in columns if column}
    read_off = {patients.key(name) for column, name in zip(columns, names, strict=True) if name and not column}
    if links or not stated or not read_off or stated & read_off:
        return owners, ()
    doubt = (
        f"patients are known by the column ({len(stated):,}) or by file names alone ({len(read_off):,}), and no line has both: "
        "one person may be there under two names"
    )
    return owners, (doubt,)


def _picture(path: Path, row: text.Row, name: str, owner: str | None, read_off: tuple, index: SliceIndex) -> ImageRecord:
    """The picture of one line.

    Args:
        read_off: patient, series and number as the name tells them.
    """
    where, (patient, series, number) = f"{path}, line {row.line}", read_off
    if row.cells["slice"]:
        try:
            number = text.whole(row.cells["slice"])
        except ValueError:
            raise SplitError(f"{where}: slice {row.cells['slice']!r}, expected a whole number such as 12") from None
    if owner and patients.key(owner) != patients.key(patient or ""):
        series = f"{owner} {series}" if series else owner
    for file in (path.parent / row.cells["file"], path.parent / name):  # a name may hold the \\ itself, unzipped on Linux
        if file.is_file():
            return ImageRecord(name, owner, series or owner, number, file)
    slices = index.find(name, where)
    if len(slices) != 1:
        raise SplitError(f"{where}: no file {path.parent / name}, nor is it a slice of the cohort {index.cohort!r}")
    return ImageRecord(name, owner, series or owner, number, slices[0].source)
