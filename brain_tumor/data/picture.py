"""Bounded decoding of any picture a stranger hands us: size and bits a sample are checked before a pixel is decoded.

A picture comes out upright, as people see it: the orientation that a camera or scanner notes in EXIF (JPEG, PNG, WebP) or in
TIFF's tag 274 is applied. What holds 8 bits in another form (a palette, CMYK, one bit) becomes grey or RGB.
"""

import contextlib
import threading
import warnings
from collections.abc import Callable
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from brain_tumor.data.memory import File, MemoryFile
from brain_tumor.errors import DataError

MAX_PIXELS = 4096 * 4096  # an MRI plane is at most 1024 x 1024; beyond this it is a mistake or an attack
PICTURES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".mpo", ".bmp", ".webp", ".gif")
MODES = ("L", "RGB", "LA", "RGBA")
MASK_MODES = ("L",)
FORMATS = ("TIFF", "PNG", "JPEG", "BMP", "GIF", "WEBP")  # an MPO is a JPEG with further pictures behind it
OF_UPLOADS = FORMATS[:3]  # what lies in memory comes from a stranger, so fewer decoders are asked
CONVERSIONS = {"1": "L", "CMYK": "RGB", "YCbCr": "RGB", "La": "LA", "RGBa": "RGBA"}  # Pillow loses nothing that is to be seen
PALETTES = ("P", "PA")
# Where Pillow keeps an orientation; reading EXIF costs more than looking whether there is any.
ORIENTATION_IN = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}
BITS, CHANNELS, SAMPLE_FORMAT = 258, 277, 339  # TIFF tags
SIGNED = 2  # of the sample format
PNG_DEPTH = 24  # place of the bit depth in a PNG file: signature, then IHDR's length, name, width and height
ADVICE = "scale the grey values to 0..255, all slices of an exam alike, and save them with 8 bits"
_WARNINGS = threading.Lock()


class BadPictures:
    """Pictures that cannot be read: the first one ends the work, or all are left out and listed.

    Args:
        skip: leave them out.

    Attributes:
        lines: why, by the key that the picture was read under.
    """

    def __init__(self, skip: bool) -> None:
        self.skip = skip
        self.lines: dict[int, str] = {}

    def read(self, key: int, load: Callable[[], np.ndarray]) -> np.ndarray | None:
        """The pixels that ``load`` gives; None where the picture cannot be read and is left out.

        Raises:
            DataError: it cannot be read, and such pictures are not left out.
        """
        try:
            return load()
        except DataError as error:
            if not self.skip:
                raise DataError(self.refusal(str(error))) from None
            self.lines[key] = str(error)
            return None

    @staticmethod
    def refusal(line: str) -> str:
        """Why a picture cannot be read, and what to do."""
        return f"{line} (--skip-bad leaves such pictures out and lists them)"


def read_picture(path: File, modes: tuple[str, ...]) -> np.ndarray:
    """Decode a picture file whole, upright; palettes, CMYK and one bit become grey or RGB where ``modes`` take that.

    Args:
        path: TIFF, PNG, JPEG (of an MPO the first picture), and of a file on a disk also BMP, GIF or WebP.
        modes: the Pillow modes accepted, such as ``("RGB",)`` for three 8-bit channels or ``("L",)`` for one.

    Returns:
        ``(H, W)`` or ``(H, W, C)`` uint8.

    Raises:
        DataError: missing, truncated, undecodable, too large, of several pages, of more than 8 bits a sample, or of another
            mode; the message names the file.
    """
    return _read(path, modes, as_stored=False)


def opaque(pixels: np.ndarray) -> np.ndarray:
    """Without transparency, the last of two or four channels: how much shines through is no part of an exam."""
    if pixels.ndim == 2 or pixels.shape[2] not in (2, 4):
        return pixels
    return pixels[..., :3] if pixels.shape[2] == 4 else pixels[..., 0]


def read_mask(path: File) -> np.ndarray:
    """Decode a mask file, ``(H, W)`` uint8 as stored: its values are labels, so nothing is converted. Raises as above."""
    return _read(path, MASK_MODES, as_stored=True)


def _read(path: File, modes: tuple[str, ...], as_stored: bool) -> np.ndarray:
    formats = OF_UPLOADS if isinstance(path, MemoryFile) else FORMATS
    try:
        with path.open("rb") as stream:
            depth = _png_depth(stream)
            # Pillow warns about damaged tags and about sizes that are refused below: a person gets the refusal only. Filters
            # are the interpreter's, not the thread's, so two readers must not swap them at once.
            with _WARNINGS, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                picture = Image.open(stream, formats=formats)
                pages = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
            if picture.width * picture.height > MAX_PIXELS:
                raise DataError(f"{path}: {picture.width} x {picture.height} pixels, more than the {MAX_PIXELS} allowed")
            if pages > 1:
                raise DataError(f"{path}: holds {pages} pictures, expected one; save each as a file of its own")
            _check_samples(path, picture, depth, modes)
            mode = "RGB" if picture.mode in PALETTES else CONVERSIONS.get(picture.mode, picture.mode)
            if mode not in modes or (as_stored and mode != picture.mode):
                advice = "; save it as grey or RGB" if mode not in MODES else ""
                raise DataError(f"{path}: pixel type {picture.mode!r}, expected {_names(modes)}{advice}")
            picture.load()
            _turn_upright(picture)
            if picture.mode in PALETTES:
                return _look_up(picture, modes)
            return np.asarray(picture if picture.mode == mode else picture.convert(mode), dtype=np.uint8)
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise DataError(f"{path}: not a picture that can be read, expected {', '.join(formats)} of 8 bits") from None
    except Exception as error:  # a damaged file can make a decoder raise anything: TypeError, KeyError, struct.error, ...
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{path}: damaged or truncated picture ({reason})") from None


def _png_depth(stream: IO[bytes]) -> int:
    """The bit depth of a PNG, which Pillow does not tell; 0 of another file."""
    header = stream.read(PNG_DEPTH + 1)
    stream.seek(0)
    return header[PNG_DEPTH] if header.startswith(b"\x89PNG") and len(header) > PNG_DEPTH else 0


def _check_samples(path: File, picture: Image.Image, depth: int, modes: tuple[str, ...]) -> None:
    """Refuse what Pillow would turn into 8 bits, or into fewer channels, without a word."""
    bits, channels, signed = depth, 0, False
    if picture.format == "TIFF":
        tags = picture.tag_v2  # type: ignore[attr-defined]
        bits, channels = max(tags.get(BITS, (1,))), tags.get(CHANNELS, 1)
        signed = SIGNED in tags.get(SAMPLE_FORMAT, ())
    bands = picture.getbands()
    if bits > 8:
        kind = picture.mode if len(bands) == 1 else f"{picture.mode};{bits}"
        raise DataError(f"{path}: pixel type {kind!r}, expected {_names(modes)}; it holds {bits} bits a sample: {ADVICE}")
    if signed:
        raise DataError(f"{path}: signed samples, expected {_names(modes)} from 0 to 255: {ADVICE}")
    if channels > len(bands):
        raise DataError(f"{path}: {channels} channels, expected {_names(modes)}; save the sequences as pictures of their own")


def _turn_upright(picture: Image.Image) -> None:
    """Apply the orientation that the file notes; Pillow does so itself while it loads a TIFF."""
    if picture.format == "TIFF" or ORIENTATION_IN.isdisjoint(picture.info):
        return
    # Damaged EXIF is no orientation: viewers then show the picture as it is stored.
    with _WARNINGS, warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        ImageOps.exif_transpose(picture, in_place=True)


def _look_up(picture: Image.Image, modes: tuple[str, ...]) -> np.ndarray:
    """A palette's colours, without its transparency: ``(H, W, 3)``, or ``(H, W)`` where all are grey and ``modes`` take that."""
    entries = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
    palette = np.zeros((256, 3), np.uint8)  # a shorter one goes on in black, as browsers have it
    palette[: len(entries)] = entries
    places = np.asarray(picture, dtype=np.uint8)
    pixels = palette[places if places.ndim == 2 else places[..., 0]]
    grey = "L" in modes and (pixels == pixels[..., :1]).all()
    return np.ascontiguousarray(pixels[..., 0]) if grey else pixels


def _names(modes: tuple[str, ...]) -> str:
    return f"{' or '.join(map(repr, modes))} (8 bit)"
