"""Lesions of other training patients, pasted into training slices where they lay in their own.

On small sets this gained two to seven points of Dice (CarveMix, Zhang 2021, arXiv 2108.06883; TumorCP, Yang 2021, doi
10.1007/978-3-030-87193-2_55). A lesion keeps its place and shape: heads lie alike in these slices. Its brightness is carried over
by both exams' scalings, its edge is blended, and its mask joins the slice's own. Donors are rows of the training part, so nothing
crosses from one part of a split to another.
"""

from typing import TYPE_CHECKING

import cv2
import numpy as np

from brain_tumor.data.intensity import normalise

if TYPE_CHECKING:
    from brain_tumor.training.batches import SliceArrays

SMALLEST = 30 / 128**2  # of a slice's area: fewer pixels are the rim of a lesion
BLUR = 0.008  # of the side: the deviation of the blended edge, one pixel at 128
INSIDE = 0.9  # of a lesion's pixels that must lie in the head that it is pasted into


def donors(arrays: "SliceArrays") -> np.ndarray:
    """The training rows whose lesion may be pasted into others."""
    rows = np.unique(arrays.rows)
    area = np.array([np.count_nonzero(arrays.targets[row]) for row in rows])
    return rows[area >= SMALLEST * np.prod(arrays.targets.shape[1:])]


def draw(share: float, rows: np.ndarray, donors: np.ndarray, owners: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """``(n,)`` int: the row whose lesion each of ``rows`` gets, -1 for none; never one of the same patient.

    Args:
        owners: ``(N,)``, the patient of each row.
    """
    chosen = generator.random(len(rows)) < share
    candidates = generator.choice(donors, len(rows))
    return np.where(chosen & (owners[candidates] != owners[rows]), candidates, -1)


def apply(
    images: np.ndarray, masks: np.ndarray, scalings: np.ndarray, lesions: np.ndarray, arrays: "SliceArrays"
) -> tuple[np.ndarray, np.ndarray]:
    """``images (n, S, S, C)`` and ``masks (n, S, S)`` uint8 with the lesions of the rows of :func:`draw`."""
    images, masks = images.copy(), masks.copy()
    for place in np.flatnonzero(lesions >= 0):
        image, mask, scaling = (part[0] for part in arrays.take(lesions[place : place + 1]))
        if _fits(images[place], mask, scalings[place], image, arrays):
            images[place] = _blended(images[place], scalings[place], image, scaling, mask)
            masks[place] = np.maximum(masks[place], mask)
    return images, masks


def _fits(image: np.ndarray, mask: np.ndarray, scaling: np.ndarray, donor: np.ndarray, arrays: "SliceArrays") -> bool:
    """Whether the lesion lies in the head, and both slices lack the same sequences, which are copies of the reference."""
    head = image[..., arrays.reference] > scaling[0, arrays.reference]
    sequences = arrays.sequences or image.shape[-1]
    lacking = [
        [np.array_equal(of[..., channel], of[..., arrays.reference]) for channel in range(sequences)] for of in (image, donor)
    ]
    return lacking[0] == lacking[1] and bool(head[mask > 0].mean() >= INSIDE)


def _blended(image: np.ndarray, scaling: np.ndarray, donor: np.ndarray, of_donor: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The slice with the donor's pixels where its mask is, at the brightness that they would have in this exam."""
    low, high, offset, scale = scaling
    seen = normalise(donor, of_donor)
    weight = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), BLUR * mask.shape[-1])[..., None]
    weight = np.maximum(weight, mask[..., None] * 0.5)
    mixed = image + weight * (np.clip(seen / scale + offset, low, high) - image)
    return np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)
