"""Who is in which part, however the split is written: ours, a CSV, nnU-Net's folds, or a tree of folders."""

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brain_tumor.data import splits, tree
from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.opening import open_cohort
from brain_tumor.data.picture import MODES, PICTURES, read_picture
from brain_tumor.errors import SplitError
from brain_tumor.leakage.names import ImageRecord, SliceIndex, identify, pattern_of, pictures_of


@dataclass(frozen=True)
class SplitManifest:
    """What was read.

    Attributes:
        name: the split's name, or where it was read.
        pictures: each once.
        folds: a fold's name -> the part of each picture, ``""`` where the fold leaves it out. A single split is the fold ``""``.
        store: the cohort's store, where pictures are rows of it.
        notes: what a person should know of a tree that was read, a line each.
    """

    name: str
    pictures: tuple[ImageRecord, ...]
    folds: dict[str, tuple[str, ...]]
    store: Store | None = None
    notes: tuple[str, ...] = ()

    def pixels(self, picture: ImageRecord) -> np.ndarray:
        """``(H, W)`` or ``(H, W, C)`` uint8; a damaged file is refused by name."""
        if isinstance(picture.source, Path):
            return read_picture(picture.source, MODES)
        assert self.store is not None
        return self.store.images[picture.source]


def read(what: str, cohort: str = "lgg", pattern: str | None = None) -> SplitManifest:
    """Read a split.

    Args:
        what: the name of a split of the cohort (``source-002``); our JSON; nnU-Net's ``splits_final.json``; a CSV with the
            columns ``file`` (from the CSV's folder) and ``part``, and perhaps ``patient`` and ``slice``; or a folder that holds
            folders such as ``Training`` and ``Testing``. Files called ``..._mask`` are passed over.
        cohort: ``lgg`` or ``phantom``: whose split it is, and where slices are looked up that are only named.
        pattern: see :mod:`brain_tumor.leakage.names`; None: that of TCGA.

    Raises:
        SplitError: unreadable, a name in two parts, an empty part, one part only, or names that are nowhere.
        DataError: the cohort is not here or damaged.
    """
    compiled = pattern_of(pattern)
    path = Path(what)
    if path.is_dir():
        return _read_tree(path, compiled)
    if path.suffix.lower() == ".csv":
        return _read_csv(path, compiled, SliceIndex(cohort))
    if path.suffix.lower() == ".json":
        return _read_json(path, compiled, cohort)
    if path.exists() or os.sep in what:
        raise SplitError(f"{path}: {'expected' if path.exists() else 'no such file or folder; expected'} a folder, .json or .csv")
    store = open_store(open_cohort(cohort))
    return of_cohort(splits.named(what, store.cases, store.slices), store)


def of_cohort(split: splits.Split, store: Store, name: str | None = None) -> SplitManifest:
    """A split of a cohort whose native store is open. Raises SplitError where it names keys that the cohort lacks."""
    parts = np.full(len(store.slices), "", dtype="U10")
    for part in splits.PARTS:
        parts[split.rows(part, store.slices)] = part
    rows = np.flatnonzero(parts != "")
    return SplitManifest(name or split.name, pictures_of(store, rows), {"": tuple(parts[rows].tolist())}, store)


def _read_json(path: Path, pattern: re.Pattern, cohort: str) -> SplitManifest:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SplitError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise SplitError(f"{path}: not JSON ({error})") from None
    if (
        isinstance(content, list)
        and content
        and all(isinstance(fold, dict) and {"train", "val"} <= fold.keys() for fold in content)
    ):
        return _read_nnunet(path, content, pattern, SliceIndex(cohort))
    if not isinstance(content, dict) or not {"name", "unit", "train", "test"} <= content.keys():
        raise SplitError(
            f"{path}: neither a split (name, unit, train, validation, test) nor nnU-Net's splits_final.json "
            "(a list of train and val)"
        )
    split = splits.load(path)
    store = open_store(open_cohort(cohort))
    try:
        return of_cohort(split, store, str(path))
    except SplitError as error:  # it names keys that the cohort lacks
        raise SplitError(f"{path}: {error}") from None


def _read_nnunet(path: Path, content: list[dict], pattern: re.Pattern, index: SliceIndex) -> SplitManifest:
    """Identifiers are names of slices or of whole cases; those of the cohort get its pixels, others are judged by name alone."""
    pictures: dict[str, ImageRecord] = {}
    folds = []
    for number, fold in enumerate(content):
        parts: dict[str, str] = {}
        for part in ("train", "val"):
            names = fold[part]
            if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
                raise SplitError(f"{path}: fold {number}: the {part} part is empty or not a list of names")
            for name in names:
                for picture in _look_up(str(path), name, index) or [ImageRecord(name, *identify(name, pattern))]:
                    if picture.name in parts:
                        raise SplitError(f"{path}: fold {number}: {name!r} is there twice, in {parts[picture.name]} and {part}")
                    parts[picture.name] = part
                    pictures[picture.name] = picture
        folds.append(parts)
    if all(picture.patient is None for picture in pictures.values()):
        raise SplitError(f"{path}: names such as {next(iter(pictures))!r} tell no patient, and their pictures are not at hand")
    named = {f"fold {number}": tuple(parts.get(name, "") for name in pictures) for number, parts in enumerate(folds)}
    return SplitManifest(str(path), tuple(pictures.values()), named, index.store)


def _read_csv(path: Path, pattern: re.Pattern, index: SliceIndex) -> SplitManifest:
    pictures: list[ImageRecord] = []
    parts: dict[str, str] = {}
    for line, row in _read_rows(path):
        where = f"{path}, line {line}"
        name, part = row["file"], row["part"].lower()
        if not name or not part:
            raise SplitError(f"{where}: the {'part' if name else 'file'} is empty")
        if name in parts:
            raise SplitError(f"{where}: {name!r} is there twice, in {parts[name]} and {part}")
        if not tree.is_mask(Path(name)):
            pictures.append(_listed(where, path.parent / name, row, index, pattern))
            parts[name] = part
    _check_parts(path, parts.values())
    return SplitManifest(str(path), tuple(pictures), {"": tuple(parts.values())}, index.store)


def _read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Each line's number and its file, part, patient and slice; ``,`` or ``;`` separated."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        header = lines[0] if lines else ""
        reader = csv.DictReader(lines, delimiter=";" if header.count(";") > header.count(",") else ",")
        reader.fieldnames = [column.strip().lower() for column in reader.fieldnames or ()]
        rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SplitError(f"{path}: not readable as CSV ({getattr(error, 'strerror', None) or error})") from None
    if not {"file", "part"} <= set(reader.fieldnames):
        names = ", ".join(reader.fieldnames) or "none"
        raise SplitError(f"{path}: columns {names}; expected file and part, and perhaps patient and slice")
    columns = ("file", "part", "patient", "slice")
    return [(line, {column: (row.get(column) or "").strip() for column in columns}) for line, row in rows]


def _listed(where: str, path: Path, row: dict[str, str], index: SliceIndex, pattern: re.Pattern) -> ImageRecord:
    """The picture of one line; a column that is filled goes before the name."""
    patient, series, number = identify(row["file"], pattern)
    if row["slice"]:
        if not row["slice"].isdecimal():
            raise SplitError(f"{where}: slice {row['slice']!r}, expected a whole number")
        number = int(row["slice"])
    if row["patient"]:
        patient = series = row["patient"]
    if path.is_file():
        return ImageRecord(row["file"], patient, series or patient, number, path)
    slices = _look_up(where, row["file"], index)
    if len(slices) != 1:
        raise SplitError(f"{where}: no file {path}, nor is it a slice of the cohort {index.cohort!r}")
    return ImageRecord(row["file"], patient, series or patient, number, slices[0].source)


def _look_up(where: str, name: str, index: SliceIndex) -> tuple[ImageRecord, ...]:
    try:
        return index.find(name)
    except SplitError as error:
        raise SplitError(f"{where}: {error}") from None


def _read_tree(root: Path, pattern: re.Pattern) -> SplitManifest:
    """Every picture below the part folders, hidden folders included: those who train on the tree read them too."""
    pictures, parts, sources = [], [], []
    whole = tree.walk(root)
    place = tree.innermost(whole, root, _is_part)
    for folder in filter(_is_part, tree.contents(place)):
        sources.append(tree.walk(folder, hidden=True))  # each part apart: a folder that two parts share is a leak, not a copy
        paths = sources[-1].below(folder)
        if not paths:
            raise SplitError(f"{folder}: no pictures in this part ({', '.join(sorted(PICTURES))})")
        pictures += [ImageRecord(path.relative_to(root).as_posix(), *identify(path.name, pattern), path) for path in paths]
        parts += [folder.name] * len(paths)
    _check_parts(root, parts)
    beside = {folder: len(whole.below(folder)) for folder in whole.subfolders(place) if not _is_part(folder)}
    lines = [f"{folder}: {n:,} pictures beside the parts, not audited" for folder, n in beside.items() if n]
    litter = Counter({kind: n for kind, n in whole.litter.items() if not kind.startswith(tree.HIDDEN)})
    again, broken = (tuple(path for source in sources for path in getattr(source, kind)) for kind in ("again", "broken"))
    notes = (*replace(whole, litter=litter, again=again, broken=broken).notes, *lines)
    return SplitManifest(str(root), tuple(pictures), {"": tuple(parts)}, notes=notes)


def _is_part(folder: Path) -> bool:
    return folder.is_dir() and splits.side(folder.name) < len(splits.SIDES)


def _check_parts(path: Path, parts: Iterable[str]) -> None:
    distinct = sorted(set(parts))
    if len(distinct) < 2:
        only = f"only the part {distinct[0]!r}" if distinct else "no parts"
        raise SplitError(f"{path}: {only}; expected two or more, such as Training and Testing, or train, val and test")
