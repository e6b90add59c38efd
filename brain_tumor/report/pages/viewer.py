"""A volume's slices for the viewer of a page: one picture of all of them, which ``viewer.js`` cuts, colours and steps through.

Red holds the slice, green the probability of tumour and blue the map of where the network looked, each from 0 to 255. So one file
is enough for the picture, what lies over it, and every opacity and threshold that a reader chooses.
"""

import io
import math
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

LARGEST_TILE = 256  # pixels a side
MOST_TILES = 400
COMPRESSION = 3  # of PNG: a third of the time of the strongest, a tenth more bytes


@dataclass(frozen=True)
class Sprite:
    """A picture of all slices.

    Attributes:
        png: the file.
        columns: slices side by side.
        width, height: of a slice in it, in pixels.
        count: how many slices.
    """

    png: bytes
    columns: int
    width: int
    height: int
    count: int


def sprite(images: np.ndarray, probabilities: np.ndarray, maps: np.ndarray | None = None) -> Sprite:
    """Lay slices side by side.

    Args:
        images: ``(n, H, W)`` uint8, one sequence.
        probabilities: ``(n, H, W)`` uint8, 255 = 1.
        maps: ``(n, H, W)`` float in [0, 1], where the network looked; None: not asked.
    """
    if len(images) > MOST_TILES:
        raise ValueError(f"{len(images)} slices, a viewer takes {MOST_TILES}")
    third = np.zeros_like(images) if maps is None else np.rint(np.clip(maps, 0, 1) * 255).astype(np.uint8)
    planes = np.stack([images, probabilities, third], axis=-1)
    height, width = planes.shape[1:3]
    shrink = min(1.0, LARGEST_TILE / max(height, width))
    if shrink < 1:
        height, width = round(height * shrink), round(width * shrink)
        planes = np.stack([cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA) for plane in planes])
    columns = math.ceil(math.sqrt(len(planes)))
    stream = io.BytesIO()
    Image.fromarray(sheet(planes, columns)).save(stream, "PNG", compress_level=COMPRESSION)
    return Sprite(stream.getvalue(), columns, width, height, len(planes))


def sheet(planes: np.ndarray, columns: int) -> np.ndarray:
    """All ``planes (n, H, W, ...)`` in rows of so many, black behind the last."""
    (number, height, width), colours = planes.shape[:3], planes.shape[3:]
    rows = math.ceil(number / columns)
    padded = np.zeros((rows * columns, height, width, *colours), planes.dtype)
    padded[:number] = planes
    return padded.reshape(rows, columns, height, width, *colours).swapaxes(1, 2).reshape(rows * height, columns * width, *colours)
