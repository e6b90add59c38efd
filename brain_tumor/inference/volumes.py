"""NIfTI volumes as an exam's sequences, in the order of a network's, told by their names (:mod:`brain_tumor.data.sequences`)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brain_tumor.data import nifti, sequences as names
from brain_tumor.data.cohort import FLAIR, Spacing, reference_of, title_of
from brain_tumor.data.memory import File
from brain_tumor.data.readers.volume import images_of, read_volume
from brain_tumor.errors import DataError

MOST_VOXELS = 1 << 27  # some ten times a BraTS exam's; more is a mistake or an attack


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
        said = names.kind_of_file(files[0])
        if volume.planes.shape[-1] == 1 and said and reference == FLAIR and said != FLAIR:
            raise DataError(f"{files[0]}: its name says {said}, and this network needs {title_of(FLAIR)}")
        return Scans(images_of(volume), (), volume.spacing_mm, _grid(volume))
    named: dict[str, File] = {}
    for file in files:
        kind = names.kind_of_file(file)
        sequence = kind and (names.spelt(sequences, kind) or kind)
        if sequence is None or sequence in named:
            twice = f"a second volume of {sequence}" if sequence else "its name says no sequence"
            raise DataError(f"{file}: {twice}, expected one each of {', '.join(names.SPELLINGS)}, as in exam_t1ce.nii.gz")
        named[sequence] = file
    if reference not in named:
        raise DataError(f"{source}: volumes of {', '.join(named)}; this network needs {title_of(reference)}")
    chosen = {name: read_volume(named[name], MOST_VOXELS) for name in sequences if name in named}
    first = chosen[reference]
    for name, volume in chosen.items():
        if volume.planes.shape[-1] != 1:
            raise DataError(f"{named[name]}: {volume.planes.shape[-1]} channels, expected one")
        if not volume.lies_like(first):
            raise DataError(f"{named[name]}: {volume.extent} lies on another grid than {named[reference]}: {first.extent}")
    images = [images_of(chosen.get(name, first))[..., 0] for name in sequences]
    missing = tuple(name for name in sequences if name not in named)
    return Scans(np.stack(images, axis=-1), missing, first.spacing_mm, _grid(first))


def _grid(volume: nifti.Volume) -> nifti.Grid:
    return nifti.Grid(volume.planes.shape[:3], volume.affine, volume.spacing_mm)
