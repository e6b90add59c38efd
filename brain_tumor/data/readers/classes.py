"""Which folders of a tree are classes and which are parts, as sets of labelled pictures are really handed on.

A place holds ``CLASS/*.jpg``; a tree is one place, or ``Training/`` and ``Testing/`` that are a place each. Archives wrap places
in further folders, and some hold their set twice: ``yes/``, ``no/`` and again ``set/yes``, ``set/no``. Such a copy is told by its
names, and its pictures by their bytes: a picture that is in the class already is not a second one.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from brain_tumor import files
from brain_tumor.data import tree
from brain_tumor.data.readers.lgg import CASE_FOLDER
from brain_tumor.data.splits import side
from brain_tumor.errors import DataError

PARTS = ("train", "test", "validation")  # in the order of brain_tumor.data.splits.SIDES; a root without parts is all train
EXPECTED = "expected CLASS/*.jpg, or Training/CLASS/*.jpg and Testing/CLASS/*.jpg"
IMAGES = re.compile(r"(image|img|scan)s?", re.IGNORECASE)
MASKS = re.compile(r"(mask|label|segmentation|annotation)s?|ground_truth|gt", re.IGNORECASE)


@dataclass
class Place:
    """A folder of classes.

    Attributes:
        folder: where it lies.
        part: ``train``, ``test`` or ``validation``.
        classes: a class's name, as its folder writes it -> its pictures, sorted; an empty class has none.
    """

    folder: Path
    part: str
    classes: dict[str, list[Path]]


def read_places(root: Path) -> tuple[list[Place], tuple[str, ...]]:
    """The places of a tree in order, each picture once, and what a person should know of the tree, a line each.

    Raises:
        DataError: no such folder, or one that is no tree of classes; the line says what it is instead.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; {EXPECTED}")
    source = tree.walk(root)
    lost = next((path for path in source.broken if not path.suffix and source.subfolders(path.parent)), None)
    if lost:
        raise DataError(f"{lost}: a class, or another folder, that is a link to nowhere; mend the link or remove it")
    patient = next((path for path in source.folders if CASE_FOLDER.match(path.name)), None)
    if patient:
        advice = f"get them with: brain-tumor data get lgg --from {root}"
        raise DataError(f"{patient}: the folder of a patient, not of a class; {advice}")
    notes = list(source.notes)
    places: list[Place] = []
    for folder, part in _parts(source):
        for place in _places(source, folder, part, notes):
            first = next((earlier for earlier in places if earlier.part == part and _is_copy(place, earlier)), None)
            if first:
                _merge(place, first, notes)
            else:
                places.append(place)
    return places, tuple(notes)


def _is_part(folder: Path) -> bool:
    return side(folder.name) < len(PARTS)


def _parts(source: tree.Tree) -> list[tuple[Path, str]]:
    """The folders that hold classes, with their part: those of parts, then their copies, or one for all."""
    top = tree.innermost(source, source.root, _is_part)
    folders = [folder for folder in source.subfolders(top) if _is_part(folder) or source.below(folder)]
    parts, copies = [folder for folder in folders if _is_part(folder)], []
    for folder in folders:
        inside = [path for path in source.subfolders(tree.innermost(source, folder, _is_part)) if _is_part(path)]
        if parts and folder not in parts and not inside:
            raise DataError(f"{top}: the part {parts[0].name!r} and the class {folder.name!r} side by side; {EXPECTED}")
        if inside and not parts:
            names = " and ".join(path.name for path in inside)
            raise DataError(
                f"{top}: {folder.name!r} holds the parts {names}, and lies beside other folders; {EXPECTED}, one set at a time"
            )
        copies += inside if folder not in parts else []
    return [(folder, PARTS[side(folder.name)]) for folder in parts + copies] or [(top, PARTS[0])]


def _places(source: tree.Tree, folder: Path, part: str, notes: list[str]) -> Iterator[Place]:
    """The place that ``folder`` is, or wraps; then the copies of it that lie among its classes."""
    folder = tree.innermost(source, folder)
    folders = source.subfolders(folder)
    _refuse_others(source, folder, folders)
    names = {path.name.casefold() for path in folders}
    copies = []
    classes: dict[str, list[Path]] = {}
    for path in folders:
        inside = source.subfolders(tree.innermost(source, path))
        if inside and {other.name.casefold() for other in inside} <= names - {path.name.casefold()} and source.below(path):
            copies.append(path)
            continue
        name = next((name for name in classes if name.casefold() == path.name.casefold()), path.name)
        if name in classes:
            notes.append(f"{path}: taken for the class {name!r}, which is spelt with other capitals")
        within = [picture for picture in source.below(path) if path.name in picture.relative_to(path).parts[:-1]]
        outer = [picture for picture in source.below(path) if picture not in set(within)]
        classes[name] = sorted([*classes.get(name, ()), *outer, *_new(path, within, path, outer, notes)])
    yield Place(folder, part, classes)
    for path in copies:
        yield from _places(source, path, part, notes)


def _is_copy(place: Place, first: Place) -> bool:
    """Whether a place is the same set again, by its classes."""
    return {name.casefold() for name in place.classes} <= {name.casefold() for name in first.classes}


def _merge(place: Place, first: Place, notes: list[str]) -> None:
    """Add to ``first`` what a second copy of it has more."""
    spelling = {name.casefold(): name for name in first.classes}
    for other, again in place.classes.items():
        name = spelling[other.casefold()]
        pictures = first.classes[name]
        first.classes[name] = sorted(pictures + _new(place.folder / other, again, first.folder / name, pictures, notes))


def _new(folder: Path, again: Sequence[Path], first: Path, pictures: Sequence[Path], notes: list[str]) -> list[Path]:
    """The pictures of ``again`` whose bytes are not among ``pictures``; only those of equal size are read."""
    sizes = {path.stat().st_size for path in again}
    digests = {files.sha256_file(path) for path in pictures if path.stat().st_size in sizes}
    others = [path for path in again if not digests or files.sha256_file(path) not in digests]
    if len(others) < len(again):
        more = (
            f"; {tree.number(len(others), 'other picture')} in it {'is' if len(others) == 1 else 'are'} read too"
            if others
            else ""
        )
        copies = tree.number(len(again) - len(others), "picture")
        notes.append(f"{folder}: {copies} that {first} holds already, taken once{more}")
    return others


def _refuse_others(source: tree.Tree, folder: Path, folders: Sequence[Path]) -> None:
    """Refuse what looks like a tree of classes and is another thing."""
    images = [path for path in folders if IMAGES.fullmatch(path.name)]
    masks = [path for path in folders if MASKS.fullmatch(path.name)]
    if images and (masks or len(images) == len(folders)):
        inside = [path.name for path in source.subfolders(images[0]) if source.below(path)]
        advice = f"give {images[0]}, if {', '.join(inside)} are the classes" if len(inside) > 1 else EXPECTED
        names = " and ".join(path.name for path in images + masks)
        raise DataError(f"{folder}: {names} are pictures and their masks, no classes; {advice}")
