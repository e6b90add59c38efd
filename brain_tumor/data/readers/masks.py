"""A mask, or a map of probabilities, out of a PNG, TIFF or NIfTI file: one slice or a volume, slices first, in its own numbers.

What the numbers mean is decided for a whole folder (:mod:`brain_tumor.predictions.levels`): one file of a nearly empty prediction
cannot tell 1 of 255 from a label. The size of a file is checked before a pixel is decoded. JPEG is refused: it invents values.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence, UnidentifiedImageError

from brain_tumor.data import nifti
from brain_tumor.data.picture import MAX_PIXELS
from brain_tumor.errors import DataError

PICTURES, VOLUMES = (".png", ".tif", ".tiff"), nifti.ENDINGS
ENDINGS = (*VOLUMES, *PICTURES)
LOSSY = (".jpg", ".jpeg", ".jfif", ".webp")
MAX_VOXELS = 1 << 30  # 1024 slices of 1024 x 1024
# Pillow's modes with one number a pixel; of LA and RGBA the colour is read, of a palette the index.
NUMBERS = ("1", "L", "P", "I", "I;16", "I;16L", "I;16B", "F")
COLOURS = ("LA", "RGB", "RGBA")
Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class MaskFile:
    """What a file holds.

    Attributes:
        planes: ``(Z, H, W)`` of integers, floats or bool.
        bytes_of_one: the file itself says that its integers are probabilities, 255 = 1.
        affine: ``(4, 4)``, where the voxels lie; None where the file does not tell.
        spacing_mm: slice distance, height and width; None where the file does not tell.
    """

    planes: np.ndarray
    bytes_of_one: bool = False
    affine: np.ndarray | None = None
    spacing_mm: Spacing | None = None


def ending(path: Path) -> str:
    """``.nii.gz``, ``.png``, ...; empty for a file that can hold no mask."""
    name = path.name.lower()
    return next((end for end in ENDINGS if name.endswith(end)), "")


def read(path: Path, like: np.ndarray | None = None) -> MaskFile:
    """Read a mask or a map of probabilities.

    Args:
        like: the affine of the file's partner, by which a volume is turned that does not tell where its voxels lie.

    Raises:
        DataError: missing, damaged, too large, of several colours, or of a kind that holds no masks.
    """
    end = ending(path)
    if not end:
        why = "JPEG is lossy and invents values" if path.suffix.lower() in LOSSY else "not a kind that holds masks"
        raise DataError(f"{path}: {why}; expected {', '.join(ENDINGS)}")
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        return _read_volume(path, like) if end in VOLUMES else _read_picture(path)
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{path}: not a picture that can be read") from None
    except Exception as error:  # a damaged file can make a decoder raise anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{path}: damaged or truncated ({reason})") from None


def _read_picture(path: Path) -> MaskFile:
    with open(path, "rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture = Image.open(stream)
        pages = getattr(picture, "n_frames", 1)
        _check_size(path, (pages, picture.height, picture.width))
        planes = [_plane(path, page) for page in ImageSequence.Iterator(picture)]
    shapes = {plane.shape for plane in planes}
    if len(shapes) > 1:
        raise DataError(f"{path}: pages of {len(shapes)} sizes, expected one volume")
    return MaskFile(np.stack(planes))


def _plane(path: Path, page: Image.Image) -> np.ndarray:
    if page.mode in NUMBERS:
        return np.array(page)
    if page.mode not in COLOURS:
        raise DataError(f"{path}: pixel type {page.mode!r}, expected one channel of numbers")
    channels = np.array(page)[..., : 1 if page.mode == "LA" else 3]
    if (channels != channels[..., :1]).any():
        raise DataError(f"{path}: a picture in colours, expected a mask with one number a pixel")
    return channels[..., 0]


def _read_volume(path: Path, like: np.ndarray | None) -> MaskFile:
    volume = nifti.read(path, lambda shape: _check_size(path, shape), like)
    return MaskFile(volume.planes, volume.bytes_of_one, volume.affine, volume.spacing_mm)


def _check_size(path: Path, shape: Sequence[int]) -> None:
    voxels = math.prod(int(length) for length in shape)
    if not 0 < voxels <= MAX_VOXELS or (len(shape) == 3 and shape[0] == 1 and voxels > MAX_PIXELS):
        raise DataError(f"{path}: {' x '.join(map(str, shape))} voxels, expected 1 to {MAX_VOXELS:,}")
