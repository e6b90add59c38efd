"""A prediction drawn over its slice, for a person to judge: one sequence in grey, the predicted outline in colour."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from brain_tumor import files

OUTLINE = (255, 194, 10)  # amber: told from grey by any eye
COLUMNS = 6
SHEET_WIDTH = 1536  # pixels; a contact sheet of a whole case stays within a screen or two


def outlined(image: np.ndarray, mask: np.ndarray, channel: int) -> np.ndarray:
    """``image (H, W, C)`` uint8 and ``mask (H, W)`` in {0, 1} as ``(H, W, 3)`` uint8: that channel with the mask's outline."""
    picture = np.ascontiguousarray(np.repeat(image[..., channel, None], 3, axis=-1))
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(picture, contours, -1, OUTLINE, 1)


def contact_sheet(images: np.ndarray, masks: np.ndarray, numbers: np.ndarray, channel: int) -> np.ndarray:
    """All slices of a case, ``(Z, H, W, C)`` and ``(Z, H, W)``, in rows of six with their numbers, in that channel."""
    tiles = []
    for image, mask, number in zip(images, masks, numbers, strict=True):
        tile = outlined(image, mask, channel)
        cv2.putText(tile, str(number), (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 1, cv2.LINE_AA)
        tiles.append(tile)
    columns = min(COLUMNS, len(tiles))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    sheet = np.concatenate([np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)])
    shrink = min(1.0, SHEET_WIDTH / sheet.shape[1])
    return cv2.resize(sheet, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)


def save_picture(picture: np.ndarray, path: Path) -> None:
    """Write uint8 pixels as PNG, TIFF or JPEG by the file's ending, atomically."""
    with files.atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary)
