"""A folder per class, the layout of the popular four-class MRI sets: labelled pictures of nobody in particular.

A root holds ``CLASS/*.jpg``, or ``Training/CLASS/*.jpg`` and ``Testing/CLASS/*.jpg`` (:mod:`brain_tumor.data.readers.classes`
finds them); several roots are read as one set. Such sets name no patients, so no split of them can be made by patient: they are
for pretraining, not for honest scores.

Every picture is read once, as grey, padded with black to a square so that heads keep their shape, then resized. What is read is
cached as plain files, found again by the fingerprint of the sources: ``images.npy (N, S, S)``, ``thumbnails.npy (N, 32, 32)``,
both uint8, and ``meta.json``.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from brain_tumor import files
from brain_tumor.data import intensity
from brain_tumor.data.archive import unpacked
from brain_tumor.data.cache import built_once
from brain_tumor.data.fingerprints import THUMBNAIL, Fingerprints, fingerprint
from brain_tumor.data.picture import MODES, PICTURES, BadPictures, read_picture
from brain_tumor.data.readers.classes import EXPECTED, read_places
from brain_tumor.errors import DataError
from brain_tumor.progress import in_threads

MIN_SIDE = 16  # px; nothing anatomical is left of a head below
LAYOUT = 2  # raise when the cached files change meaning


@dataclass(frozen=True)
class KnownSet:
    """A public set: where it is published, under which licence, and the classes without which it is not that set."""

    kaggle: str
    licence: str
    classes: tuple[str, ...]


# Made of figshare 1512427, SARTAJ and Br35H, as its page on Kaggle says.
_MRI4 = KnownSet("masoudnickparvar/brain-tumor-mri-dataset", "CC0-1.0", ("glioma", "meningioma", "notumor", "pituitary"))
KNOWN_SETS = {"mri4": _MRI4}


@dataclass(frozen=True)
class Folders:
    """A set of labelled pictures, indexed and not yet read.

    Attributes:
        roots: the folders that were read, in the order given.
        classes: their names, sorted.
        paths: every picture, by root, part, class and name.
        labels: ``(N,)`` int32, places in ``classes``.
        parts: ``(N,)`` str, ``train``, ``test`` or ``validation``.
        notes: what a person should know of the folders, a line each.
    """

    roots: tuple[Path, ...]
    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: np.ndarray
    parts: np.ndarray
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def fingerprint(self) -> str:
        """Hex SHA-256 of every picture's path, class, part and :func:`brain_tumor.files.stamp`; no pixel is read."""
        stamps = [(str(path.absolute()), files.stamp(path)) for path in self.paths]
        return files.sha256_json([self.classes, self.labels.tolist(), self.parts.tolist(), stamps])


@dataclass(frozen=True)
class Pictures:
    """The pixels of a set.

    Attributes:
        folders: where they came from, without the pictures that could not be read.
        images: ``(N, size, size)`` uint8 memory map, grey.
        fingerprints: digests and thumbnails of the pictures as they lie on disk, for :mod:`brain_tumor.data.fingerprints`.
        data_hash: SHA-256 of all decoded pictures with their classes and parts, whatever the size. (Two JPEG decoders may
            differ in a grey level, and the hash then tells.)
        unreadable: a line for each picture that was left out because it cannot be read.
    """

    folders: Folders
    images: np.ndarray
    fingerprints: Fingerprints
    data_hash: str
    unreadable: tuple[str, ...] = ()


def read_folders(roots: Sequence[Path]) -> Folders:
    """Index one or several folders of classes, or zips of such. Files called ``..._mask`` and what is no data are passed over.

    Raises:
        DataError: no such folder, parts and classes side by side, no pictures, an empty class, one class only, a class that is in
            one root or part and not in another, or no classes at all, such as ``images/`` and ``masks/``.
    """
    roots = tuple(unpacked(Path(root)) for root in roots)
    pictures: list[tuple[Path, str, str]] = []  # picture, class, part
    notes: list[str] = []
    first: tuple[Path, dict[str, str]] | None = None  # a class without regard to capitals -> as it is spelt first
    for root in roots:
        places, lines = read_places(root)
        notes += lines
        for place in places:
            spelling = {name.casefold(): name for name in place.classes}
            if not any(place.classes.values()):
                raise DataError(f"{place.folder}: no pictures in folders of classes; {EXPECTED}")
            empty = next((name for name, paths in place.classes.items() if not paths), None)
            if empty:
                raise DataError(f"{place.folder / empty}: no pictures in this class (expected {', '.join(sorted(PICTURES))})")
            if len(spelling) < 2:
                raise DataError(f"{place.folder}: one class only, {next(iter(place.classes))!r}; expected two or more")
            first = first or (place.folder, spelling)
            missing = sorted(first[1].keys() ^ spelling.keys())
            if missing:
                here, there = (place.folder, first[0]) if missing[0] in spelling else (first[0], place.folder)
                name = {**first[1], **spelling}[missing[0]]
                raise DataError(f"{there}: no class {name!r}, which {here} has; expected the same classes everywhere")
            pictures += [(path, first[1][name], place.part) for name in spelling for path in place.classes[spelling[name]]]
    if first is None:
        raise DataError("no folder was given to read classes from")
    classes = tuple(sorted(first[1].values()))
    labels = np.array([classes.index(name) for _, name, _ in pictures], np.int32)
    parts = np.array([part for _, _, part in pictures])
    return Folders(roots, classes, tuple(path for path, _, _ in pictures), labels, parts, tuple(notes))


def check_name(name: str, folders: Folders) -> None:
    """Refuse to call a set by the name of a known one where its classes are others.

    Raises:
        DataError: naming both.
    """
    known = KNOWN_SETS.get(name)
    if known and known.classes != folders.classes:
        names, expected = ", ".join(folders.classes), ", ".join(known.classes)
        raise DataError(
            f"{folders.roots[0]}: classes {names}; {name!r} is Kaggle's {known.kaggle}, which has {expected}; give your own set "
            "another name"
        )


def open_pictures(folders: Folders, size: int, skip_bad: bool = False) -> Pictures:
    """The set's pixels at ``size``, read behind a bar where no cache of them is here.

    Args:
        skip_bad: leave out what cannot be read, and list it.

    Raises:
        DataError: a picture that is damaged, of an unknown kind or smaller than ``MIN_SIDE``, or a full disk; nothing is kept.
    """
    place = files.sha256_json([str(root.resolve()) for root in folders.roots])[:6]
    version = files.sha256_json([LAYOUT, folders.fingerprint()])[:12]
    folder = built_once(f"folders-{size}-{place}", version, lambda temporary: _read_all(folders, size, temporary, skip_bad))
    meta = files.read_json(folder / "meta.json")
    unreadable = {int(row): line for row, line in meta["unreadable"].items()}
    if unreadable and not skip_bad:  # who left them out before may ask for all of them now
        raise DataError(BadPictures.refusal(next(iter(unreadable.values()))))
    n = len(folders) - len(unreadable)
    fingerprints = Fingerprints(np.array(meta["digests"], dtype="U64"), np.load(folder / "thumbnails.npy")[:n])
    images = np.load(folder / "images.npy", mmap_mode="r")[:n]
    return Pictures(_without(folders, unreadable), images, fingerprints, meta["data_hash"], tuple(unreadable.values()))


def _without(folders: Folders, rows: Collection[int]) -> Folders:
    """The set without the pictures at ``rows``."""
    rest = np.delete(np.arange(len(folders)), list(rows))
    paths = tuple(folders.paths[row] for row in rest)
    return replace(folders, paths=paths, labels=folders.labels[rest], parts=folders.parts[rest])


def square_grey(pixels: np.ndarray) -> np.ndarray:
    """``(H, W)`` or ``(H, W, C)`` uint8 to grey ``(S, S)`` with ``S = max(H, W)``: black around the shorter side; alpha is
    left out, colours are weighed as Rec. 601 does, which leaves equal channels as they are.
    """
    if pixels.ndim == 3:
        colour = pixels.shape[-1] > 2
        pixels = cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_RGB2GRAY) if colour else pixels[..., 0]
    return intensity.pad_to_square(pixels[None])[0]


def _read_all(folders: Folders, size: int, folder: Path, skip_bad: bool) -> None:
    """Write the cache: a row a picture that can be read; rows of others are left over at the end of the arrays."""
    n = len(folders)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (n, size, size))
    thumbnails = np.zeros((n, THUMBNAIL, THUMBNAIL), np.uint8)
    digests: list[str] = []
    bad = BadPictures(skip_bad)

    def read(row: int) -> tuple[np.ndarray, str, np.ndarray] | None:
        pixels = bad.read(row, lambda: _pixels(folders.paths[row]))
        return pixels if pixels is None else (intensity.resize_images(square_grey(pixels)[None], size)[0], *fingerprint(pixels))

    for picture in in_threads(read, range(n), "reading pictures"):
        if picture is not None:
            images[len(digests)], digest, thumbnails[len(digests)] = picture
            digests.append(digest)
    images.flush()
    np.save(folder / "thumbnails.npy", thumbnails)
    rest = _without(folders, bad.lines)
    content = hashlib.sha256()
    for entry in zip(rest.parts.tolist(), (rest.classes[label] for label in rest.labels), digests, strict=True):
        content.update(json.dumps(entry).encode())
    unreadable = {str(row): bad.lines[row] for row in sorted(bad.lines)}
    meta = {"digests": digests, "data_hash": content.hexdigest(), "unreadable": unreadable, "layout": LAYOUT}
    (folder / "meta.json").write_text(json.dumps(meta))


def _pixels(path: Path) -> np.ndarray:
    pixels = read_picture(path, MODES)
    height, width = pixels.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise DataError(f"{path}: {width} x {height} pixels, expected at least {MIN_SIDE} x {MIN_SIDE}")
    return pixels
