"""A cohort of your own, read from pairs of files: an image and its mask, or an image and its label.

A slice is a picture of one to four channels; an exam may be a NIfTI volume instead, of which every axial plane is a slice.
Nothing is asked of names and folders: a table says what belongs together (:mod:`brain_tumor.data.readers.pair_tables`).

Intensities beyond 8 bits are windowed to 0..255 (:mod:`brain_tumor.data.readers.volume`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brain_tumor.data import intensity, nifti
from brain_tumor.data.cohort import Case, Spacing, Volume
from brain_tumor.data.fingerprints import slice_digests
from brain_tumor.data.picture import MODES, read_picture
from brain_tumor.data.readers.volume import images_of, read_volume
from brain_tumor.errors import DataError

FITS = ("pad", "resample")
BINARY = ({0, 1}, {0, 255})


@dataclass(frozen=True)
class Pair:
    """An image with its mask or label.

    Attributes:
        image: a picture, or a NIfTI volume.
        mask: likewise; None where the image has a label.
        label: ``""`` where it has a mask.
        patient: ``""`` where nobody says whose it is.
        case: the exam's name, which may be a file's.
        slice: the picture's number in its exam; None: a volume.
        site: ``""`` where not known.
        spacing_mm: None where neither table nor file says it.
        depth: how many slices a volume has, once it was read.
    """

    image: Path
    mask: Path | None
    label: str
    patient: str
    case: str
    slice: int | None
    site: str = ""
    spacing_mm: Spacing | None = None
    depth: int = 0

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files."""
        return (self.image,) if self.mask is None else (self.image, self.mask)


@dataclass(frozen=True)
class Choices:
    """How the files are read; said once, when a cohort is added, and stored with it.

    Attributes:
        sequences: the names of the channels.
        labels: the values of a mask that are tumour; none: masks hold 0 and 1, or 0 and 255.
        positive: the labels of images that mean tumour.
        fit: what becomes of slices of unlike sizes: ``pad`` (background around), ``resample`` (padded to a square and resized),
            or ``""`` where all are alike.
        shape: height and width that slices are brought to; None without ``fit``.
    """

    sequences: tuple[str, ...]
    labels: tuple[int, ...] = ()
    positive: tuple[str, ...] = ()
    fit: str = ""
    shape: tuple[int, int] | None = None


@dataclass(frozen=True)
class Planes:
    """The slices of one pair before they are fitted.

    Attributes:
        images: ``(Z, H, W, C)`` uint8.
        masks: ``(Z, H, W)`` uint8 in {0, 1}.
        values: those that the mask holds, as stored.
        spacing_mm: as the file says it.
        windowed: its intensities were beyond 8 bits.
    """

    images: np.ndarray
    masks: np.ndarray
    values: frozenset[int]
    spacing_mm: Spacing | None = None
    windowed: bool = False

    def digests(self) -> list[tuple[str, str]]:
        """The SHA-256 of each slice's image and mask, in order."""
        return slice_digests(self.images, self.masks)


@dataclass(frozen=True)
class PairReader:
    """Reads one case: the reader of :class:`brain_tumor.data.cohort.Case`.

    Attributes:
        pairs: its pictures in the order of their slices, or its one volume.
        choices: how they are read.
    """

    pairs: tuple[Pair, ...]
    choices: Choices

    def __call__(self, case: Case) -> Volume:
        """``images (Z, H, W, C) uint8`` and ``masks (Z, H, W) uint8 in {0, 1}``, fitted as was chosen."""
        parts = [read_pair(pair, self.choices) for pair in self.pairs]
        for pair, part in zip(self.pairs, parts, strict=True):
            if not self.choices.fit and part.masks.shape[1:] != parts[0].masks.shape[1:]:
                raise DataError(
                    f"{pair.image}: {_size(part.masks)} pixels, but the case's first slice has {_size(parts[0].masks)}"
                )
        fitted = [(fit(part.images, self.choices), fit(part.masks, self.choices)) for part in parts]
        images, masks = (np.concatenate(planes) for planes in zip(*fitted, strict=True))
        return images, masks

    def digests(self) -> Iterator[list[tuple[str, str]] | DataError]:
        """Of each pair the digests of its slices, or why it cannot be read."""
        for pair in self.pairs:
            try:
                yield read_pair(pair, self.choices).digests()
            except DataError as error:
                yield error


def read_pair(pair: Pair, choices: Choices) -> Planes:
    """The slices of one pair.

    Raises:
        DataError: a file is missing or damaged, of another number of channels, a mask is of another size or grid than its image,
            or holds other values than are expected.
    """
    volume = None
    if pair.slice is None:
        volume = read_volume(pair.image)
        images = images_of(volume)
    else:
        images = _picture(pair.image, len(choices.sequences))[None]
    if images.shape[-1] != len(choices.sequences):
        expected = f"{len(choices.sequences)} ({', '.join(choices.sequences)})"
        raise DataError(
            f"{pair.image}: {_count(images.shape[-1])}, the cohort has {expected}; {_remedy(images.shape[-1], choices)}"
        )
    if pair.mask is None:
        masks = np.full(images.shape[:3], pair.label in choices.positive, np.uint8)
        return Planes(images, masks, frozenset())
    masks, values = _mask(pair, volume, images.shape[:3], choices.labels)
    stated = volume.spacing_mm if volume else None
    return Planes(images, masks, values, stated, windowed=bool(volume and not volume.is_byte))


def channels_of(path: Path) -> int:
    """How many channels an image has, transparency left out."""
    if nifti.is_nifti(path):
        return read_volume(path).planes.shape[-1]
    pixels = read_picture(path, MODES)
    return 1 if pixels.ndim == 2 or pixels.shape[2] == 2 else 3


def fit(planes: np.ndarray, choices: Choices) -> np.ndarray:
    """Images ``(Z, H, W, C)`` or masks ``(Z, H, W)`` brought to the shape that was chosen; as they are where none was."""
    if choices.shape is None:
        return planes
    if choices.fit == "resample":
        resize = intensity.resize_images if planes.ndim == 4 else intensity.resize_masks
        return resize(intensity.pad_to_square(planes), choices.shape[0])
    return intensity.pad_to(planes, choices.shape)


def fitted_spacing(spacing_mm: Spacing | None, shape: tuple[int, int], choices: Choices) -> Spacing | None:
    """The spacing of slices of ``shape`` once they are fitted."""
    if spacing_mm is None or choices.shape is None or choices.fit != "resample":
        return spacing_mm
    factor = max(shape) / choices.shape[0]
    return spacing_mm[0], spacing_mm[1] * factor, spacing_mm[2] * factor


def _picture(path: Path, channels: int) -> np.ndarray:
    """``(H, W, C)``. Transparency is left out unless it is asked for as a sequence; a grey picture may be stored in colours."""
    pixels = read_picture(path, MODES)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.shape[2] in (2, 4) and pixels.shape[2] != channels:
        pixels = pixels[..., :-1]
    if channels == 1 and pixels.shape[2] == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., :1]
    return np.ascontiguousarray(pixels)


def _mask(
    pair: Pair, volume: nifti.Volume | None, shape: tuple[int, ...], labels: tuple[int, ...]
) -> tuple[np.ndarray, frozenset[int]]:
    """``(Z, H, W)`` uint8 in {0, 1} on the image's grid, and the values that the file holds."""
    assert pair.mask is not None
    stored = _volume_mask(pair.mask, volume) if volume else _picture(pair.mask, 1)[None]
    if stored.shape[-1] != 1:
        raise DataError(f"{pair.mask}: {_count(stored.shape[-1])}, expected a mask with one number a pixel; save it as grey")
    stored = stored[..., 0]
    if stored.shape != shape:
        raise DataError(f"{pair.mask}: mask of {_size(stored)} pixels for an image of {_size_of(shape)}: {pair.image}")
    distinct = np.unique(stored)
    values = frozenset(int(value) for value in distinct if np.isfinite(value) and value == np.rint(value))
    strange = next((value for value in distinct.tolist() if value not in values), None)
    if not labels and strange is None and not any(values <= binary for binary in BINARY):
        strange = next((value for value in sorted(values) if value not in (0, 1)), 1)
    if strange is not None:
        advice = (
            ""
            if isinstance(strange, float) and strange not in values
            else f"; say which values are tumour, such as --label {strange}"
        )
        expected = "whole numbers" if labels else "only 0 and 1, or 0 and 255"
        raise DataError(f"{pair.mask}: mask holds the value {strange:g}, expected {expected}{advice}")
    return (np.isin(stored, labels) if labels else stored > 0).astype(np.uint8), values


def _volume_mask(path: Path, image: nifti.Volume) -> np.ndarray:
    mask = read_volume(path)
    if (mask.grid is None) != (image.grid is None):
        raise DataError(
            f"{path}: of image and mask only one says how its voxels lie; write the mask with the header of its image"
        )
    if mask.planes.shape[:3] == image.planes.shape[:3] and not mask.lies_like(image):
        raise DataError(f"{path}: lies elsewhere than its image (their affines differ); resample the mask onto the image")
    return mask.planes


def _remedy(channels: int, choices: Choices) -> str:
    if len(choices.sequences) == 1:
        return "its colours differ: save it as grey"
    if channels == 1:
        return "where pictures in colours are grey too, --sequences image reads all as one channel"
    return "save all images alike, or name their channels with --sequences"


def _count(channels: int) -> str:
    return f"{channels} channel{'s' * (channels > 1)}"


def _size(planes: np.ndarray) -> str:
    return _size_of(planes.shape)


def _size_of(shape: tuple[int, ...]) -> str:
    return f"{shape[2]} x {shape[1]}" + (f" x {shape[0]}" if shape[0] > 1 else "")
