"""Anything that a person hands us, as an exam: a picture, a volume, an exam's folder or zip, an array, or a case of a cohort.

The size of a picture or volume is checked before a pixel is decoded (:mod:`brain_tumor.data.picture`,
:mod:`brain_tumor.data.nifti`). What lies in memory is read there, and never written to a disk.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from brain_tumor.data import archive, nifti, tree
from brain_tumor.data.cache import SMALLEST
from brain_tumor.data.cohort import Case, Spacing, reference_of, title_of
from brain_tumor.data.fingerprints import is_blank
from brain_tumor.data.memory import File, MemoryFile
from brain_tumor.data.picture import MODES, PICTURES, opaque, read_picture
from brain_tumor.data.readers import lgg, metaimage
from brain_tumor.data.sequences import is_labels
from brain_tumor.errors import DataError
from brain_tumor.inference import volumes

GREY = "one channel, taken as {} and given to all {}, as the LGG data does for missing sequences"
EXPECTED = "pictures named exam_1.png, exam_2.png, ..., or NIfTI volumes named exam_flair.nii.gz"
LARGEST = 2048  # pixels a side of a slice; MRI has 1024 at most, and all are padded to squares
ALONE = "a slice without its exam, which this network takes into account: trust the answer less"
MOST_FILES, MOST_BYTES = 2000, 1 << 29  # of a zip in memory; an exam of the LGG data has 88 slices at most, and 17 MB


@dataclass(frozen=True)
class Exam:
    """An exam, or as much of it as there is.

    Attributes:
        name: a case's id, or what a folder or file is called.
        images: ``(Z, H, W, C)`` uint8, all slices that are known: their scaling is taken from all of them.
        slice_numbers: ``(Z,)`` int, the number of each slice.
        rows: ``(n,)`` int, the places of the slices that are asked for.
        notes: what a person should know of the answer, a line each.
        scaling: ``(4, C)`` float32 where the images were changed since it was measured (padded), or ``(n, 4, C)`` where each
            slice that is asked for has its own; None: measured from the images.
        spacing_mm: the size of a voxel, slice distance first; None where the source does not tell.
        grid: how a NIfTI volume lay before its slices were turned; None of anything else.
        alone: one slice of an exam whose others are not known.
    """

    name: str
    images: np.ndarray
    slice_numbers: np.ndarray
    rows: np.ndarray
    notes: tuple[str, ...] = ()
    scaling: np.ndarray | None = None
    spacing_mm: Spacing | None = None
    grid: nifti.Grid | None = field(default=None, kw_only=True)
    alone: bool = field(default=False, kw_only=True)

    @property
    def asked(self) -> np.ndarray:
        """``(n,)``: the numbers of the slices that are asked for."""
        return self.slice_numbers[self.rows]


def exam(
    source: str | File | np.ndarray | Case,
    by_exam: bool = False,
    name: str = "array",
    sequences: Sequence[str] = lgg.SEQUENCES,
    radiological: bool = True,
    resample_to: str = "",
) -> Exam:
    """Read an exam.

    A lone slice of one channel stands for every sequence of a network that takes several, and so does a lone volume. Otherwise
    the number of channels is the source's own; :meth:`brain_tumor.inference.predictor.Predictor.predict` refuses another than its
    network's.

    Args:
        source: a picture file; a NIfTI or MetaImage file; a folder of one exam's slices or of such a file a sequence, or its zip;
            any such file in memory but MetaImage; ``(H, W)``, ``(H, W, C)`` or ``(Z, H, W, C)`` uint8; or a case.
        by_exam: the network's answer for a slice depends on its whole exam (normalisation ``volume``, or neighbours), so
            the other slices are read too where they lie beside a picture.
        name: what to call an array.
        sequences: those that the network takes. Of a slice with one or three channels and another behind them, the last one is
            taken for transparency and left out, unless there are as many sequences.
        radiological: the network was trained on slices seen from the feet, the face above, as the LGG data has them: a volume's
            slices are turned so.
        resample_to: the sequence on whose grid an exam's volumes are brought; ``""``: other grids are refused.

    Raises:
        DataError: a file is missing, damaged, too small or blank, or an array is of another shape or type.
    """
    if isinstance(source, Case):
        return _whole(source.case_id, source.load()[0], np.array(source.slice_numbers), source.spacing_mm)
    if isinstance(source, np.ndarray):
        return _array(source, by_exam, name, sequences)
    file = source if isinstance(source, MemoryFile) else archive.unpacked(Path(source))
    if isinstance(file, Path) and file.is_dir():
        contents, walked = tree.contents(file), tree.walk(file)
        if not any(map(_is_volume, contents)):  # BraTS 2013 has each file in a folder of its own
            contents += filter(metaimage.is_one, walked.files)
        exam = _of_files(file.resolve(), contents, sequences, radiological, resample_to)
        return replace(exam, notes=(*walked.notes, *exam.notes))
    if file.suffix.lower() == archive.ENDING and isinstance(file, MemoryFile):
        return _of_files(file, archive.members(file, MOST_FILES, MOST_BYTES), sequences, radiological, resample_to)
    if _is_volume(file):
        if is_labels(file):
            raise DataError(f"{file}: its name says labels, expected the picture that they belong to")
        return _volumes(file, [file], sequences, radiological, resample_to)
    if file.suffix.lower() not in PICTURES:
        raise DataError(f"{file}: no folder, no NIfTI volume, and no picture ({', '.join(PICTURES)})")
    image = _opaque(read_picture(file, MODES), len(sequences))
    _check(image, str(file))
    if image.ndim == 3 and by_exam and isinstance(file, Path) and lgg.has_its_exam(file):
        images, numbers = lgg.read_images(file.parent)
        return Exam(file.stem, images, numbers, np.flatnonzero(numbers == int(file.stem.rpartition("_")[2])))
    return _slice(image, by_exam, file.stem, str(file), sequences)


def is_exam_folder(path: Path) -> bool:
    """Whether a path is a whole exam's: a folder, a zip of one, or a volume."""
    return path.is_dir() or archive.is_archive(path) or _is_volume(path)


def _is_volume(file: File) -> bool:
    return nifti.is_nifti(file) or metaimage.is_one(file)


def _of_files(source: File, contents: Sequence[File], sequences: Sequence[str], radiological: bool, resample_to: str) -> Exam:
    """An exam that lies in several files: a NIfTI volume a sequence, or a picture a slice."""
    scans = [file for file in contents if _is_volume(file) and not is_labels(file)]
    if scans:
        return _volumes(source, scans, sequences, radiological, resample_to)
    if not any(file.suffix.lower() in PICTURES for file in contents):
        if isinstance(source, Path) and any(map(_is_volume, tree.walk(source).files)):
            raise DataError(f"{source}: its volumes lie in folders below, expected the folder of one exam")
        raise DataError(f"{source}: no slices ({EXPECTED}); DICOM is not read, dcm2niix makes NIfTI of it")
    images, numbers = lgg.read_images(source, contents)
    _check_size(images[0], str(source))
    name = source.stem if isinstance(source, MemoryFile) else source.name
    if images.ndim == 4:
        return _whole(name, images, numbers)
    notes = (f"{source}: {grey_note(sequences)}",) if len(sequences) > 1 else ()
    return replace(_whole(name, _given_to_all(images, sequences), numbers), notes=notes)


def _volumes(source: File, scans: Sequence[File], sequences: Sequence[str], radiological: bool, resample_to: str) -> Exam:
    """An exam of NIfTI volumes, one of all sequences or one a sequence."""
    volume = volumes.read(scans, sequences, str(source), resample_to)
    images, notes = volume.images, []
    if images.shape[-1] == 1 and len(sequences) > 1:
        notes.append(f"{source}: {grey_note(sequences)}")
        images = _given_to_all(images[..., 0], sequences)
    if volume.channels:
        notes.append(f"{source}: its channels are taken for {', '.join(map(title_of, volume.channels))}, in this order")
    if volume.missing:
        names = " and ".join(title_of(name) for name in volume.missing)
        notes.append(f"{source}: no {names}; {title_of(sequences[reference_of(sequences)])} stands in, as in the LGG data")
    if volume.grid.affine is None:
        notes.append(
            f"{source}: it does not say where it lies, so its slices are taken as they are stored; check that they are upright"
        )
    turned = radiological and volume.grid.affine is not None
    if turned:
        images = np.ascontiguousarray(images[:, ::-1, ::-1])
    _check_size(images[0], str(source))
    exam = _whole(nifti.stem(source), images, np.arange(1, len(images) + 1), volume.spacing_mm)
    return replace(exam, notes=tuple(notes), grid=replace(volume.grid, turned=turned))


def _whole(name: str, images: np.ndarray, numbers: np.ndarray, spacing_mm: Spacing | None = None) -> Exam:
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
    images = _given_to_all(image, sequences) if grey else image
    return Exam(name, images[None], np.array([1]), np.array([0]), tuple(notes), alone=True)


def _given_to_all(images: np.ndarray, sequences: Sequence[str]) -> np.ndarray:
    """Grey ``(..., H, W)`` as ``(..., H, W, C)``: one channel stands for every sequence."""
    return np.repeat(images[..., None], len(sequences), axis=-1)


def grey_note(sequences: Sequence[str]) -> str:
    """What is said of a grey slice that is given to a network of several sequences."""
    return GREY.format(title_of(sequences[reference_of(sequences)]), len(sequences))


def _opaque(image: np.ndarray, sequences: int) -> np.ndarray:
    """Without its last channel where that is transparency, which it is unless a network takes as many sequences."""
    return image if image.ndim == 3 and image.shape[2] == sequences else opaque(image)


def _check_size(image: np.ndarray, source: str) -> None:
    size = f"{source}: {image.shape[1]} x {image.shape[0]} pixels"
    if min(image.shape[:2]) < SMALLEST:
        raise DataError(f"{size}, expected at least {SMALLEST} x {SMALLEST}")
    if max(image.shape[:2]) > LARGEST:
        raise DataError(f"{size}, expected at most {LARGEST} x {LARGEST}")


def _check(image: np.ndarray, source: str) -> None:
    _check_size(image, source)
    if is_blank(image):
        raise DataError(f"{source}: a picture of nearly one grey value: there is nothing to see on it")
