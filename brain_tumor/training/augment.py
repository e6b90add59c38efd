"""Flip, rotate and zoom, drawn once from a seed and applied to image and mask together (rows 000.04-06).

Drawing and doing are apart: :func:`draw` makes affine matrices from a generator, :func:`apply` is deterministic. The image is
sampled linearly, the mask by nearest neighbour, so no new label can appear.
"""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Augmentation:
    """How far slices may move.

    Attributes:
        flip: mirror left and right, every second slice.
        rotation_degrees: turn by up to this angle either way.
        zoom: enlarge or shrink by up to this share.
    """

    flip: bool = True
    rotation_degrees: float = 15.0
    zoom: float = 0.1


NONE = Augmentation(flip=False, rotation_degrees=0.0, zoom=0.0)


def draw(augmentation: Augmentation, n: int, size: int, generator: np.random.Generator) -> np.ndarray:
    """``(n, 2, 3)`` float32 affine matrices that map a source pixel to its new place, about the centre of the slice."""
    angle = np.deg2rad(generator.uniform(-1, 1, n) * augmentation.rotation_degrees)
    scale = np.exp(generator.uniform(-1, 1, n) * np.log1p(augmentation.zoom))
    mirror = np.where(augmentation.flip & (generator.random(n) < 0.5), -1.0, 1.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    linear = scale[:, None, None] * turn * np.stack([mirror, np.ones(n)], axis=1)[:, None, :]
    centre = np.full(2, (size - 1) / 2)
    return np.concatenate([linear, (centre - linear @ centre)[..., None]], axis=2).astype(np.float32)


def apply(images: np.ndarray, masks: np.ndarray, matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move ``images (n, S, S, C)`` and ``masks (n, S, S)`` by the same matrices; what comes from outside is 0."""
    size = images.shape[2], images.shape[1]
    moved, moved_masks = np.empty_like(images), np.empty_like(masks)
    for i, matrix in enumerate(matrices):
        moved[i] = cv2.warpAffine(images[i], matrix, size, flags=cv2.INTER_LINEAR).reshape(images.shape[1:])
        moved_masks[i] = cv2.warpAffine(masks[i], matrix, size, flags=cv2.INTER_NEAREST)
    return moved, moved_masks
