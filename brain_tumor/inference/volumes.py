"""NIfTI volumes as an exam's sequences, in the order of a network's, told by their names (:mod:`brain_tumor.data.sequences`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brain_tumor.data import nifti, resampling, sequences as names
from brain_tumor.data.cohort import FLAIR, Spacing, reference_of, title_of
from brain_tumor.data.memory import File
from brain_tumor.data.readers.brats_files import IMAGES, OF_DECATHLON as CHANNELS
from brain_tumor.data.readers.volume import images_of, read_scan
from brain_tumor.errors import DataError

OF_DECATHLON = (IMAGES, "imagesTs")  # folders whose files hold its channels
MOST_VOXELS = 1 << 27  # some ten times a BraTS exam's; more is a mistake or an attack


@dataclass(frozen=True)
class Scans:
    """What the files of an exam hold.

    Attributes:
        images: ``(Z, H, W, C)`` uint8: all sequences, or one channel where one file was handed over.
        missing: sequences that no file holds; the reference stands in for them.
        spacing_mm: None where the files do not tell.
        grid: how the voxels lie in the files.
        channels: of one file that holds several, the sequences that its channels were taken for.
    """

    images: np.ndarray
    missing: tuple[str, ...]
    spacing_mm: Spacing | None
    grid: nifti.Grid
    channels: tuple[str, ...] = ()


def read(files: Sequence[File], sequences: Sequence[str], source: str, resample_to: str = "") -> Scans:
    """Read volumes on one grid.

    Args:
        files: one volume of one channel or of all sequences; or a volume a sequence.
        sequences: those that a network takes.
        source: what refusals name.
        resample_to: the sequence on whose grid the others are brought; ``""``: other grids are refused.

    Raises:
        DataError: a file is damaged or too large; a name says another sequence than the network needs, or none; the reference is
            missing; or the grids differ.
    """
    reference = sequences[reference_of(sequences)]
    if len(files) == 1:
        volume = read_scan(files[0], MOST_VOXELS)
        said = names.kind_of_file(files[0])
        if volume.planes.shape[-1] == 1 and said and reference == FLAIR and said != FLAIR:
            raise DataError(f"{files[0]}: its name says {said}, and this network needs {title_of(FLAIR)}")
        images, stored = images_of(volume), _stored(files[0], sequences)
        several = images.shape[-1] == len(sequences) > 1
        if several and stored:
            images = images[..., [stored.index(name) for name in sequences]]
        channels = (stored or tuple(sequences)) if several else ()
        return Scans(images, (), volume.spacing_mm, _grid(volume), channels)
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
    chosen = {name: read_scan(named[name], MOST_VOXELS) for name in sequences if name in named}
    onto = names.spelt(chosen, names.kind_of(resample_to) or resample_to) if resample_to else reference
    if onto is None:
        raise DataError(f"{source}: no {resample_to}, to whose grid the others are to be brought")
    on_grid: dict[str, np.ndarray] = {}
    for name, volume in chosen.items():
        if volume.planes.shape[-1] != 1:
            raise DataError(f"{named[name]}: {volume.planes.shape[-1]} channels, expected one")
        if not (resample_to or volume.lies_like(chosen[onto])):
            raise DataError(
                f"{named[name]}: {volume.extent} lies on another grid than {named[onto]}: {chosen[onto].extent}; "
                f"--resample-to {reference} brings all onto one"
            )
        on_grid[name] = resampling.images_onto(volume, chosen[onto], named[name])[..., 0]
    missing = tuple(name for name in sequences if name not in named)
    planes = np.stack([on_grid.get(name, on_grid[reference]) for name in sequences], axis=-1)
    return Scans(planes, missing, chosen[onto].spacing_mm, _grid(chosen[onto]))


def _stored(file: File, sequences: Sequence[str]) -> tuple[str, ...]:
    """The order of a network's sequences in a file of the Decathlon; of any other file, nothing."""
    kinds = {names.kind_of(name) or name: name for name in sequences}
    ours = isinstance(file, Path) and file.parent.name in OF_DECATHLON and set(kinds) == set(CHANNELS)
    return tuple(kinds[kind] for kind in CHANNELS) if ours else ()


def _grid(volume: nifti.Volume) -> nifti.Grid:
    return nifti.Grid(volume.planes.shape[:3], volume.affine, volume.spacing_mm)
