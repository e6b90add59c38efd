"""Bounded decoding of any picture a stranger hands us: the size is checked before a pixel is decoded."""

import threading
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from brain_tumor.errors import DataError

MAX_PIXELS = 4096 * 4096  # an MRI plane is at most 1024 x 1024; beyond this it is a mistake or an attack
PICTURES = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif"}
MODES = ("L", "RGB", "LA", "RGBA")
_WARNINGS = threading.Lock()


def read_picture(path: Path, modes: tuple[str, ...]) -> np.ndarray:
    """Decode a picture file whole.

    Args:
        path: TIFF, PNG, JPEG or any format Pillow reads.
        modes: the Pillow modes accepted, such as ``("RGB",)`` for three 8-bit channels or ``("L",)`` for one.

    Returns:
        ``(H, W)`` or ``(H, W, 3)`` uint8.

    Raises:
        DataError: missing, truncated, undecodable, too large, or of another mode; the message names the file.
    """
    try:
        with open(path, "rb") as stream:
            # Pillow warns about damaged tags and about sizes that are refused below: a person gets the refusal only. Filters
            # are the interpreter's, not the thread's, so two readers must not swap them at once.
            with _WARNINGS, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                picture = Image.open(stream)
                pages = getattr(picture, "n_frames", 1)
            if picture.width * picture.height > MAX_PIXELS:
                raise DataError(f"{path}: {picture.width} x {picture.height} pixels, more than the {MAX_PIXELS} allowed")
            if pages > 1:
                raise DataError(f"{path}: holds {pages} pictures, expected one")
            if picture.mode not in modes:
                raise DataError(f"{path}: pixel type {picture.mode!r}, expected {' or '.join(map(repr, modes))} (8 bit)")
            return np.asarray(picture, dtype=np.uint8)
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise DataError(f"{path}: not a picture that can be read") from None
    except Exception as error:  # a damaged file can make a decoder raise anything: TypeError, KeyError, struct.error, ...
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{path}: damaged or truncated picture ({reason})") from None
