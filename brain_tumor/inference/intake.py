"""Anything that a person hands us, as an exam: a picture, an exam's folder or zip, an array, or a case of a cohort.

The size of a picture is checked before a pixel is decoded (:mod:`brain_tumor.data.picture`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brain_tumor.data import tree
from brain_tumor.data.archive import is_archive, unpacked
from brain_tumor.data.cache import SMALLEST
from brain_tumor.data.cohort import Case, reference_of, title_of
from brain_tumor.data.fingerprints import is_blank
from brain_tumor.data.picture import MODES, PICTURES, read_picture
from brain_tumor.data.readers import lgg
from brain_tumor.errors import DataError

GREY = "one channel, taken as {} and given to all {}, as the LGG data does for missing sequences"
ALONE = "a slice without its exam, which this network takes into account: trust the answer less"


@dataclass(frozen=True)
class Exam:
    """An exam, or as much of it as there is.

    Attributes:
        name: a case's id, or what a folder or file is called.
        images: ``(Z, H, W, C)`` uint8, all slices that are known: their scaling is taken from all of them.
        slice_numbers: ``(Z,)`` int, the number of each slice.
        rows: ``(n,)`` int, the places of the slices that are asked for.
        notes: what a person should know of the answer, a line each.
        scaling: ``(4, C)`` float32 where the images were changed since it was measured (padded); None: measured from them.
        spacing_mm: the size of a voxel, slice distance first; None where the source does not tell.
    """

    name: str
    images: np.ndarray
    slice_numbers: np.ndarray
    rows: np.ndarray
    notes: tuple[str, ...] = ()
    scaling: np.ndarray | None = None
    spacing_mm: tuple[float, float, float] | None = None

    @property
    def asked(self) -> np.ndarray:
        """``(n,)``: the numbers of the slices that are asked for."""
        return self.slice_numbers[self.rows]


def exam(
    source: str | Path | np.ndarray | Case,
    by_exam: bool = False,
    name: str = "array",
    sequences: Sequence[str] = lgg.SEQUENCES,
) -> Exam:
    """Read an exam.

    A lone slice of one channel stands for every sequence of a network that takes several. Otherwise the number of channels is
    the source's own; :meth:`brain_tumor.inference.predictor.Predictor.predict` refuses another than its network's.

    Args:
        source: a picture file; a folder of one exam's slices, or its zip; ``(H, W)``, ``(H, W, C)`` or ``(Z, H, W, C)`` uint8;
            or a case.
        by_exam: the network's answer for a slice depends on its whole exam (normalisation ``volume``, or neighbours), so
            the other slices are read too where they lie beside a picture.
        name: what to call an array.
        sequences: those that the network takes. Of a slice with one or three channels and another behind them, the last one is
            taken for transparency and left out, unless there are as many sequences.

    Raises:
        DataError: a file is missing, damaged, too small or blank, or an array is of another shape or type.
    """
    if isinstance(source, Case):
        return _whole(source.case_id, source.load()[0], np.array(source.slice_numbers), source.spacing_mm)
    if isinstance(source, np.ndarray):
        return _array(source, by_exam, name, sequences)
    path = unpacked(Path(source))
    if path.is_dir():
        images, numbers = lgg.read_images(path)
        return replace(_whole(path.resolve().name, images, numbers), notes=tree.walk(path).notes)
    if path.suffix.lower() not in PICTURES:
        raise DataError(f"{path}: no folder, and no picture ({', '.join(PICTURES)})")
    image = _opaque(read_picture(path, MODES), len(sequences))
    _check(image, str(path))
    if image.ndim == 3 and by_exam and lgg.has_its_exam(path):
        images, numbers = lgg.read_images(path.parent)
        return Exam(path.stem, images, numbers, np.flatnonzero(numbers == int(path.stem.rsplit("_", 1)[1])))
    return _slice(image, by_exam, path.stem, str(path), sequences)


def is_exam_folder(path: Path) -> bool:
    """Whether a path is a whole exam's: a folder, or a zip of one."""
    return path.is_dir() or is_archive(path)


def _whole(name: str, images: np.ndarray, numbers: np.ndarray, spacing_mm: tuple[float, float, float] | None = None) -> Exam:
    return Exam(name, images, numbers, np.arange(len(images)), spacing_mm=spacing_mm)


def _array(source: np.ndarray, by_exam: bool, name: str, sequences: Sequence[str]) -> Exam:
    if source.dtype != np.uint8:
        raise DataError(f"{name}: an array of {source.dtype}, expected uint8")
    if source.ndim == 4 and len(source):
        _check_size(source[0], name)  # a slice of a whole exam may well be black
        return _whole(name, source, np.arange(1, len(source) + 1))
    if source.ndim not in (2, 3):
        raise DataError(f"{name}: an array of shape {source.shape}, expected (H, W), (H, W, C) or (Z, H, W, C)")
    image = _opaque(source, len(sequences))
    _check(image, name)
    return _slice(image, by_exam, name, name, sequences)


def _slice(image: np.ndarray, by_exam: bool, name: str, source: str, sequences: Sequence[str]) -> Exam:
    """A lone slice; a grey one stands for all sequences."""
    grey = image.ndim == 2
    notes = [f"{source}: {grey_note(sequences)}"] if grey and len(sequences) > 1 else []
    notes += [f"{source}: {ALONE}"] if by_exam else []
    images = np.repeat(image[..., None], len(sequences), axis=-1) if grey else image
    return Exam(name, images[None], np.array([1]), np.array([0]), tuple(notes))


def grey_note(sequences: Sequence[str]) -> str:
    """What is said of a grey slice that is given to a network of several sequences."""
    return GREY.format(title_of(sequences[reference_of(sequences)]), len(sequences))


def _opaque(image: np.ndarray, sequences: int) -> np.ndarray:
    """Without its last channel where that is transparency: how much of a screenshot shines through is no part of an exam."""
    if image.ndim == 3 and image.shape[2] in (2, 4) and image.shape[2] != sequences:
        return image[..., :3] if image.shape[2] == 4 else image[..., 0]
    return image


def _check_size(image: np.ndarray, source: str) -> None:
    if min(image.shape[:2]) < SMALLEST:
        raise DataError(f"{source}: {image.shape[1]} x {image.shape[0]} pixels, expected at least {SMALLEST} x {SMALLEST}")


def _check(image: np.ndarray, source: str) -> None:
    _check_size(image, source)
    if is_blank(image):
        raise DataError(f"{source}: a picture of nearly one grey value: there is nothing to see on it")
