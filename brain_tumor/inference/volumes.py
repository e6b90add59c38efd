"""NIfTI volumes as an exam's sequences, in the order of a network's, told by their names.

The names are those that the field gives: ``t1``, ``t1n``, ``pre``; ``t1ce``, ``t1c``, ``t1gd``, ``post``; ``t2``, ``t2w``;
``flair``, ``fla``, ``t2f``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brain_tumor.data import nifti
from brain_tumor.data.cohort import FLAIR, Spacing, reference_of, title_of
from brain_tumor.data.memory import File
from brain_tumor.data.readers.volume import read_volume, to_bytes
from brain_tumor.errors import DataError

MOST_VOXELS = 1 << 27  # some ten times a BraTS exam's; more is a mistake or an attack
NAMES = {
    "pre": ("pre", "t1", "t1n", "t1w"),
    "post": ("post", "t1c", "t1ce", "t1gd", "t1post"),
    FLAIR: (FLAIR, "fla", "t2f", "t2flair"),
    "t2": ("t2", "t2w"),
}
LABELS = ("seg", "mask", "label")  # how words of such a name begin
WORD = re.compile(r"[a-z0-9]+")
GRID_MM = 0.01  # how far two affines may lie apart


@dataclass(frozen=True)
class Scans:
    """What the files of an exam hold.

    Attributes:
        images: ``(Z, H, W, C)`` uint8: all sequences, or one channel where one file was handed over.
        missing: sequences that no file holds; the reference stands in for them.
        spacing_mm: None where the files do not tell.
        grid: how the voxels lie in the files.
    """

    images: np.ndarray
    missing: tuple[str, ...]
    spacing_mm: Spacing | None
    grid: nifti.Grid


def read(files: Sequence[File], sequences: Sequence[str], source: str) -> Scans:
    """Read volumes on one grid.

    Args:
        files: one volume of one channel or of all sequences; or a volume a sequence.
        sequences: those that a network takes.
        source: what refusals name.

    Raises:
        DataError: a file is damaged or too large; a name says another sequence than the network needs, or none; the reference is
            missing; or the grids differ.
    """
    reference = sequences[reference_of(sequences)]
    if len(files) == 1:
        volume = read_volume(files[0], MOST_VOXELS)
        said = sequence_of(files[0])
        if volume.planes.shape[-1] == 1 and said and reference == FLAIR and said != FLAIR:
            raise DataError(f"{files[0]}: its name says {said}, and this network needs {title_of(FLAIR)}")
        return Scans(_bytes(volume), (), volume.spacing_mm, _grid(volume))
    named: dict[str, File] = {}
    for file in files:
        sequence = sequence_of(file)
        if sequence is None or sequence in named:
            twice = f"a second volume of {sequence}" if sequence else "its name says no sequence"
            raise DataError(f"{file}: {twice}, expected one each of {', '.join(NAMES)}, as in exam_t1ce.nii.gz")
        named[sequence] = file
    if reference not in named:
        raise DataError(f"{source}: volumes of {', '.join(named)}; this network needs {title_of(reference)}")
    chosen = {name: read_volume(named[name], MOST_VOXELS) for name in sequences if name in named}
    first = chosen[reference]
    for name, volume in chosen.items():
        if volume.planes.shape[-1] != 1:
            raise DataError(f"{named[name]}: {volume.planes.shape[-1]} channels, expected one")
        if not _same_grid(volume, first):
            raise DataError(f"{named[name]}: {_size(volume)} lies on another grid than {named[reference]}: {_size(first)}")
    images = [_bytes(chosen.get(name, first))[..., 0] for name in sequences]
    missing = tuple(name for name in sequences if name not in named)
    return Scans(np.stack(images, axis=-1), missing, first.spacing_mm, _grid(first))


def sequence_of(file: File) -> str | None:
    """Which sequence a file's name says, by its last word that says one."""
    words = WORD.findall(nifti.stem(file).lower())
    return next((name for word in reversed(words) for name, spellings in NAMES.items() if word in spellings), None)


def is_labels(file: File) -> bool:
    """Whether a file's name says that it holds labels and no picture."""
    return any(word.startswith(LABELS) for word in WORD.findall(nifti.stem(file).lower()))


def _bytes(volume: nifti.Volume) -> np.ndarray:
    return volume.planes if volume.is_byte else to_bytes(volume.planes)


def _grid(volume: nifti.Volume) -> nifti.Grid:
    return nifti.Grid(volume.planes.shape[:3], volume.affine, volume.spacing_mm)


def _same_grid(volume: nifti.Volume, other: nifti.Volume) -> bool:
    if volume.planes.shape[:3] != other.planes.shape[:3] or (volume.affine is None) != (other.affine is None):
        return False
    return volume.affine is None or other.affine is None or np.allclose(volume.affine, other.affine, rtol=1e-4, atol=GRID_MM)


def _size(volume: nifti.Volume) -> str:
    return " x ".join(map(str, volume.planes.shape[2::-1])) + " voxels"
