"""What training slices are put through, drawn once from a seed (rows 000.04-06, 000.08).

Spatial changes (flip, rotate, zoom) go to image and mask together, the image sampled linearly, the mask by nearest neighbour, so
no new label can appear. Intensity changes (gamma, sequence dropout) go to the image alone: their function is not given the mask.
Of an image with more than three channels the first three are MRI; the others, such as a predicted mask, change only in space.
Drawing and doing are apart: the ``draw`` functions use a generator, the ``apply`` functions are deterministic.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from brain_tumor.data.readers.lgg import FLAIR
from brain_tumor.training.fields import check, setting

MRI_CHANNELS = 3  # the first channels of an image, which are MRI


@dataclass(frozen=True)
class Augmentation:
    """How far slices may be changed.

    Attributes:
        flip: mirror left and right, every second slice.
        rotation_degrees: turn by up to this angle either way.
        zoom: enlarge or shrink by up to this share.
        gamma: bend each sequence's brightness curve by a gamma of up to 1 + this, either way (scanners differ).
        sequence_dropout: share of slices in which pre, post or both become copies of FLAIR, as the dataset itself has where a
            sequence was not taken.
    """

    flip: bool = setting(True, "Mirror every second training slice.")
    rotation_degrees: float = setting(15.0, "Turn training slices by up to this, either way.", low=0, high=180)
    zoom: float = setting(0.1, "Enlarge or shrink them by up to this share.", low=0, high=1)
    gamma: float = setting(0.2, "Bend brightness by a gamma of up to 1 + this, either way.", low=0, high=2)
    sequence_dropout: float = setting(0.15, "Share of slices in which sequences become copies of FLAIR.", low=0, high=1)

    def __post_init__(self) -> None:
        """Refuse a number beyond its limits."""
        check(self, "augmentation: ")


NONE = Augmentation(flip=False, rotation_degrees=0.0, zoom=0.0, gamma=0.0, sequence_dropout=0.0)


class IntensityChanges(NamedTuple):
    """Changes of brightness to the first ``T <= 3`` channels: ``gammas (n, T)`` float64 exponents, and ``copied (n, T)`` bool,
    channels replaced by FLAIR.
    """

    gammas: np.ndarray
    copied: np.ndarray


def draw(augmentation: Augmentation, n: int, size: int, generator: np.random.Generator) -> np.ndarray:
    """``(n, 2, 3)`` float32 affine matrices that map a source pixel to its new place, about the centre of the slice."""
    angle = np.deg2rad(generator.uniform(-1, 1, n) * augmentation.rotation_degrees)
    scale = np.exp(generator.uniform(-1, 1, n) * np.log1p(augmentation.zoom))
    mirror = np.where(augmentation.flip & (generator.random(n) < 0.5), -1.0, 1.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    linear = scale[:, None, None] * turn * np.stack([mirror, np.ones(n)], axis=1)[:, None, :]
    centre = np.full(2, (size - 1) / 2)
    return np.concatenate([linear, (centre - linear @ centre)[..., None]], axis=2).astype(np.float32)


def apply(images: np.ndarray, targets: np.ndarray, matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move ``images (n, S, S, C)`` and masks ``(n, S, S)`` by the same matrices; what comes from outside is 0.

    Labels ``(n,)`` in place of masks stay as they are: a moved tumour is still a tumour.
    """
    moved = _warp(images, matrices, cv2.INTER_LINEAR)
    return moved, _warp(targets, matrices, cv2.INTER_NEAREST) if targets.ndim == 3 else targets


def _warp(planes: np.ndarray, matrices: np.ndarray, sampling: int) -> np.ndarray:
    moved, size = np.empty_like(planes), (planes.shape[2], planes.shape[1])
    for i, matrix in enumerate(matrices):
        moved[i] = cv2.warpAffine(planes[i], matrix, size, flags=sampling).reshape(planes.shape[1:])
    return moved


def draw_intensity(augmentation: Augmentation, n: int, channels: int, generator: np.random.Generator) -> IntensityChanges:
    """Draw intensity changes for ``n`` slices of ``channels`` channels, the first three of them MRI; FLAIR is never replaced."""
    channels = min(channels, MRI_CHANNELS)
    gammas = np.exp(generator.uniform(-1, 1, (n, channels)) * np.log1p(augmentation.gamma))
    others = np.arange(channels) != FLAIR
    copied = (generator.random((n, channels)) < 0.5) & others
    copied[~copied.any(axis=1)] = others  # a slice whose turn it is lacks at least one sequence
    copied &= (generator.random(n) < augmentation.sequence_dropout)[:, None]
    return IntensityChanges(gammas, copied)


def apply_intensity(images: np.ndarray, intensity: IntensityChanges) -> np.ndarray:
    """``images (n, S, S, C)`` uint8 with other brightness curves and copied sequences; black and white stay what they are.

    Channels beyond those that were drawn for stay as they are.
    """
    levels = np.arange(256) / 255
    curves = np.rint(255 * levels ** intensity.gammas[..., None]).astype(np.uint8)
    changed, channels = np.empty_like(images), curves.shape[1]
    changed[..., channels:] = images[..., channels:]
    for i, image in enumerate(images):
        for channel in range(channels):
            source = FLAIR if intensity.copied[i, channel] else channel
            changed[i, ..., channel] = curves[i, source][image[..., source]]
    return changed
