"""A NIfTI or MetaImage volume of a stranger: bounded before it is read, and brought to 8 bits.

Intensities beyond 8 bits, which a volume may have, are windowed to 0..255: from the 0.5th percentile of the volume and channel to
the 99.5th, the bounds at which nnU-Net clips CT (Isensee et al. 2021, doi 10.1038/s41592-020-01008-z). The darkest voxels do not
count in this: four of five voxels of a skull-stripped volume are exactly 0. A volume of 8 bits stays as it is. Voxels that are no
finite number are taken for background.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from brain_tumor.data import nifti
from brain_tumor.data.cohort import Spacing
from brain_tumor.data.memory import File
from brain_tumor.data.readers import metaimage
from brain_tumor.errors import DataError

BYTE_PERCENTILES = (0.5, 99.5)
MAX_VOXELS = 1 << 28  # 256 slices of 1024 x 1024; an MRI volume has some ten million
MAX_SIDE, MAX_CHANNELS = 4096, 4


def read_volume(path: File, most: int = MAX_VOXELS) -> nifti.Volume:
    """A volume of one to four channels; its size is checked in the header before a voxel is read.

    Args:
        most: voxels that are read.

    Raises:
        DataError: missing, damaged, no NIfTI, too large, of other axes, or of colours or complex numbers.
    """

    def check_size(shape: Sequence[int]) -> None:
        if not shape or min(shape) < 1:
            raise DataError(f"{path}: no voxels, its shape is {' x '.join(map(str, shape)) or 'empty'}")
        if math.prod(map(int, shape)) > most or max(shape) > MAX_SIDE:
            size = " x ".join(map(str, shape))
            raise DataError(f"{path}: {size} voxels, more than the {most:,}, or {MAX_SIDE} a side, that are read")

    try:
        if isinstance(path, Path) and path.name.lower().endswith(metaimage.ENDING):
            return metaimage.read(path, check_size)
        return nifti.read(path, check_size, channels=MAX_CHANNELS)
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except Exception as error:  # a damaged file can make nibabel raise anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        kind = "MetaImage" if path.name.lower().endswith(metaimage.ENDING) else "NIfTI"
        raise DataError(f"{path}: no {kind} volume, or a damaged one ({reason})") from None


def read_extent(path: Path) -> tuple[int, Spacing | None]:
    """How many axial slices a volume has, and its spacing, from its header alone.

    Raises:
        DataError: missing, damaged, or no volume.
    """
    try:
        read = metaimage.read_extent if path.name.lower().endswith(metaimage.ENDING) else nifti.read_extent
        return read(path)
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except Exception as error:  # a damaged file can make nibabel raise anything
        raise DataError(f"{path}: no volume, or a damaged one ({(str(error) or type(error).__name__).splitlines()[0]})") from None


def read_scan(path: File, most: int = MAX_VOXELS) -> nifti.Volume:
    """A volume of images: as of :func:`read_volume`, and there is something to see on every channel.

    Raises:
        DataError: all voxels of a channel are alike, or none is a number.
    """
    volume = read_volume(path, most)
    for channel in np.moveaxis(volume.planes, -1, 0):
        finite = channel[np.isfinite(channel)]
        if not finite.size or finite.min() == finite.max():
            what = f"every voxel is {finite.flat[0]:g}" if finite.size else "no voxel is a number"
            raise DataError(f"{path}: {what}, so there is nothing to see; leave the file out")
    return volume


def images_of(volume: nifti.Volume) -> np.ndarray:
    """``(Z, H, W, C)`` uint8: the planes of a volume that was read with channels."""
    return volume.planes if volume.is_byte else to_bytes(volume.planes)


def to_bytes(voxels: np.ndarray) -> np.ndarray:
    """``(Z, H, W, C)`` of any numbers to uint8, each channel from its 0.5th percentile to its 99.5th."""
    channels = []
    for channel in np.moveaxis(voxels, -1, 0):
        finite = np.isfinite(channel)
        darkest = channel[finite].min() if finite.any() else 0.0
        tissue = channel[finite & (channel > darkest)]
        low, high = np.percentile(tissue, BYTE_PERCENTILES) if tissue.size else (darkest, darkest)
        scale = 255 / (high - low) if high > low else 0.0
        scaled = (np.clip(np.where(finite, channel, low), low, high) - low) * scale
        channels.append(np.rint(scaled).astype(np.uint8))
    return np.stack(channels, axis=-1)
