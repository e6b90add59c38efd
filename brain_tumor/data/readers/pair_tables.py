"""Which files belong together: a table of images with masks or labels.

It (:mod:`brain_tumor.data.text`) has the columns ``image``, ``mask`` and ``patient``, or ``image``, ``label`` and ``patient``,
and perhaps ``slice``, ``case``, ``site`` and ``spacing``, in any case of letters. Paths go from the table's folder.
``spacing`` is in mm: one number, or that within a slice and the distance of slices, ``0.9 x 5``.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from brain_tumor.data import nifti, patients, text
from brain_tumor.data.cohort import Spacing
from brain_tumor.data.picture import PICTURES
from brain_tumor.data.readers.pairs import Pair
from brain_tumor.errors import DataError

COLUMNS = ("image", "mask", "label", "patient", "slice", "case", "site", "spacing")
EXPECTED = "expected image, mask and patient (or image, label and patient), and perhaps slice, case, site, spacing"
LOSSY = (".jpg", ".jpeg", ".jfif", ".jpe", ".mpo", ".webp")
UNSAFE = re.compile(r"[^\w.+-]+")  # in a case's name, which becomes a file's
PARTED = re.compile(r"[x×*;]", re.IGNORECASE)
DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class PairTable:
    """What belongs together, before a pixel is read.

    Attributes:
        source: the table, or the folder of images.
        pairs: sorted by case, then slice; whoever spells a patient two ways is one.
        patients_known: somebody says whose each image is.
        notes: what a person should know, a line each.
    """

    source: Path
    pairs: tuple[Pair, ...]
    patients_known: bool
    notes: tuple[str, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether images have labels instead of masks."""
        return self.pairs[0].mask is None


def alone(table: PairTable) -> PairTable:
    """The table with each image as a patient of its own.

    Raises:
        DataError: the table says whose images are, or which belong together.
    """
    several = Counter(pair.case for pair in table.pairs).most_common(1)[0]
    if table.patients_known or several[1] > 1:
        known = "whose its images are" if table.patients_known else f"that {several[1]} images are of the case {several[0]!r}"
        raise DataError(f"{table.source}: --each-image-a-patient, but it says {known}; leave that out")
    return replace(table, pairs=tuple(replace(pair, patient=pair.case) for pair in table.pairs), patients_known=True)


@dataclass
class TableRow:
    """What one line says, before it is compared with others.

    Attributes:
        where: what a refusal begins with.
        image, mask: files that are there; no mask where the image has a label.
        cells: column -> text; what nobody said is not there.
        name: of the image, below its folder.
    """

    where: str
    image: Path
    mask: Path | None
    cells: dict[str, str]
    name: str


def read_table(path: Path) -> PairTable:
    """Read a table.

    Raises:
        DataError: unreadable or empty, a column missing or one too many, a blank cell, a file that is not there, a picture named
            twice, or cells that contradict each other; with the line.
    """
    table = text.read_table(path)
    columns = {name.casefold(): name for name in table.columns}
    if "image" not in columns or not {"mask", "label"} & columns.keys():
        missing = "image" if "image" not in columns else "mask"
        raise DataError(f"{path}: no column {missing!r}, columns {', '.join(table.columns) or 'none'}; {EXPECTED}")
    if {"mask", "label"} <= columns.keys():
        raise DataError(f"{path}: a column 'mask' and a column 'label'; a set has masks or labels: leave one column out")
    if not table.rows:
        raise DataError(f"{path}: no line below the header; expected one for each image")
    rows = []
    for row in table.rows:
        where = f"{path}, line {row.line}"
        if row.surplus:
            raise DataError(f"{where}: more cells than columns; put quotes around a cell with {table.delimiter!r}")
        cells = {name: row.cells[columns[name]] for name in COLUMNS if name in columns}
        blank = next((name for name, cell in cells.items() if not cell and name not in ("site", "spacing", "slice")), None)
        if blank:
            raise DataError(f"{where}: {blank} is blank; fill it in every line{_advice(blank)}")
        image = _file(where, "image", cells["image"], path.parent)
        mask = _file(where, "mask", cells["mask"], path.parent) if "mask" in cells else None
        if "spacing" in cells:
            cells["spacing"] = cells["spacing"].replace(",", ".") if table.delimiter != "," else cells["spacing"]
        rows.append(TableRow(where, image, mask, cells, text.posix(cells["image"])))
    others = [name for name in table.columns if name.casefold() not in COLUMNS]
    notes = [f"columns passed over: {', '.join(others)}"] if others else []
    return joined(path, rows, notes)


def joined(source: Path, rows: list[TableRow], notes: list[str]) -> PairTable:
    """Rows as pairs, once they agree with each other.

    Raises:
        DataError: a picture is there twice, or cells contradict each other.
    """
    _check_twice(rows)
    known = "patient" in rows[0].cells
    spelt = patients.united(row.cells["patient"] for row in rows) if known else {}
    notes += [note] if (note := patients.in_words(spelt)) else []
    names = _case_names(rows, spelt)
    pairs = []
    for row, case in zip(rows, names, strict=True):
        if row.mask and (row.mask.suffix.lower() in LOSSY):
            raise DataError(
                f"{row.where}: the mask {row.mask.name} is {row.mask.suffix}, lossy: it invents values; expected PNG or TIFF"
            )
        volume = nifti.is_nifti(row.image)
        if row.mask and nifti.is_nifti(row.mask) != volume:
            raise DataError(
                f"{row.where}: {row.image.name} and {row.mask.name}: a picture has a picture for its mask, a volume a volume"
            )
        if volume and (row.cells.get("label") or row.cells.get("slice")):
            kind = "label" if row.cells.get("label") else "slice"
            raise DataError(f"{row.where}: a {kind} of a whole volume, {row.image.name}; expected slices as pictures")
        patient = spelt.get(row.cells.get("patient", ""), "")
        number = None if volume else _number(row)
        cells = row.cells.get("label", ""), patient, case, number, row.cells.get("site", ""), _spacing(row)
        pairs.append(Pair(row.image, row.mask, *cells))
    order, numbered = _numbered(rows, pairs)
    if numbered:
        notes.append(f"no slice numbers: the pictures of a case are numbered in the order of their names, such as {numbered}")
    return PairTable(source, tuple(sorted(order, key=lambda pair: (pair.case, pair.slice or 0))), known, tuple(notes))


def _check_twice(rows: Iterable[TableRow]) -> None:
    earlier: dict[Path, TableRow] = {}
    for row in rows:
        first = earlier.setdefault(row.image.resolve(), row)
        if first is not row:
            both = f"first as {first.where}"
            if first.cells.get("patient") != row.cells.get("patient"):
                both += f", of patient {first.cells['patient']!r} and now of {row.cells['patient']!r}"
            elif first.mask != row.mask:
                both += f", with the mask {first.mask and first.mask.name} and now with {row.mask and row.mask.name}"
            raise DataError(f"{row.where}: {row.image} is there twice, {both}; expected each image once")


def _case_names(rows: list[TableRow], spelt: dict[str, str]) -> list[str]:
    """A case's name a row: the column's, else the patient's, else the image's; safe as the name of a file, and each its own."""
    if "case" in rows[0].cells:
        owners: dict[str, set[str]] = {}
        for row in rows:
            owners.setdefault(patients.key(row.cells["case"]), set()).add(spelt.get(row.cells.get("patient", ""), ""))
        shared = any(len(of_case) > 1 for of_case in owners.values())  # exams are numbered anew for each patient
        first = patients.united(row.cells["case"] for row in rows)
        named = [(f"{spelt[row.cells['patient']]}_" if shared else "") + first[row.cells["case"]] for row in rows]
    elif spelt:
        named = [spelt[row.cells["patient"]] for row in rows]
    else:
        stems = [nifti.stem(Path(row.name)) for row in rows]
        unique = max(Counter(map(patients.key, stems)).values()) == 1
        named = stems if unique else [str(Path(row.name).with_name(stem)) for row, stem in zip(rows, stems, strict=True)]
    safe = {name: UNSAFE.sub("_", name).strip("._") or "case" for name in named}
    taken: dict[str, str] = {}
    for name, file in safe.items():
        other = taken.setdefault(patients.key(file), name)
        if other != name:
            raise DataError(f"{rows[0].where}: the cases {other!r} and {name!r} would both be called {file!r}; name them apart")
    return [safe[name] for name in named]


def _number(row: TableRow) -> int | None:
    cell = row.cells.get("slice")
    if not cell:
        return None
    try:
        return text.whole(cell)
    except ValueError:
        raise DataError(f"{row.where}: slice {cell!r}, expected a whole number such as 12") from None


def _numbered(rows: list[TableRow], pairs: list[Pair]) -> tuple[list[Pair], str]:
    """Each picture with its number in its case, and an example where names had to tell the order."""
    cases: dict[str, list[tuple[TableRow, Pair]]] = {}
    for row, pair in zip(rows, pairs, strict=True):
        cases.setdefault(pair.case, []).append((row, pair))
    numbered: list[Pair] = []
    example = ""
    for case, members in cases.items():
        for row, pair in members:
            first = members[0][1]
            if (pair.patient, pair.site) != (first.patient, first.site) or pair.spacing_mm != first.spacing_mm:
                raise DataError(f"{row.where}: another patient, site or spacing than other lines of the case {case!r} have")
            if nifti.is_nifti(pair.image) and len(members) > 1:
                advice = "say which exam each is in a column 'case'"
                raise DataError(f"{row.where}: the case {case!r} has a volume and {len(members) - 1} more; {advice}")
        if nifti.is_nifti(members[0][1].image):
            numbered += [pair for _, pair in members]
            continue
        blank = [row for row, pair in members if pair.slice is None]
        if blank and len(blank) < len(members):
            raise DataError(f"{blank[0].where}: slice is blank; fill it in every line of the case {case!r}, or in none")
        if blank:
            members.sort(key=lambda member: _natural(member[0].name))
            example = example or (Path(members[0][0].name).name if len(members) > 1 else "")
            numbered += [replace(pair, slice=number) for number, (_, pair) in enumerate(members, 1)]
            continue
        seen: dict[int | None, TableRow] = {}
        for row, pair in members:
            if seen.setdefault(pair.slice, row) is not row:
                raise DataError(
                    f"{row.where}: slice {pair.slice} of the case {case!r} is there twice, first as {seen[pair.slice].where}"
                )
        numbered += [pair for _, pair in members]
    return numbered, example


def _spacing(row: TableRow) -> Spacing | None:
    cell = row.cells.get("spacing")
    if not cell:
        return None
    try:
        sizes = [float(part) for part in PARTED.split(cell)]
        if not (1 <= len(sizes) <= 2 and all(0 < size < 1000 for size in sizes)):
            raise ValueError
    except ValueError:
        raise DataError(
            f"{row.where}: spacing {cell!r}, expected mm: one number, or within a slice and between slices, 0.9 x 5"
        ) from None
    return sizes[-1], sizes[0], sizes[0]


def _file(where: str, column: str, cell: str, folder: Path) -> Path:
    for name in (cell, text.posix(cell)):  # a name may hold the \\ itself, unzipped on Linux
        path = folder / Path(name).expanduser()
        if path.is_file():
            break
    else:
        raise DataError(f"{where}: {column} {path}: no such file; paths go from the table's folder")
    if path.suffix.lower() not in PICTURES and not nifti.is_nifti(path):
        raise DataError(f"{where}: {column} {path.name}: neither a picture ({', '.join(PICTURES)}) nor a NIfTI volume")
    return path.absolute()


def _natural(name: str) -> list[tuple[int, str]]:
    """By numbers as numbers: ``a_2`` before ``a_10``."""
    return [(int(part), "") if part.isdecimal() else (0, part.casefold()) for part in DIGITS.split(name)]


def _advice(column: str) -> str:
    if column == "mask":
        return ": an image without tumour has a mask of zeros, which several may share"
    return ", or leave the column out" if column in ("patient", "case") else ""
