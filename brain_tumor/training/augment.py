"""What training slices or volumes are put through, drawn once from a seed (rows 000.04-06, 000.08).

Spatial changes (flip, rotate, zoom) go to image and mask together, the image sampled linearly, the mask by nearest neighbour, so
no new label can appear. Intensity changes (gamma, sequence dropout) go to the image alone: their function is not given the mask.
A volume is moved within its planes, all of them alike, as nnU-Net does where planes lie far apart (Isensee 2021, doi
10.1038/s41592-020-01008-z). An image's first channels are its sequences; what follows, such as a predicted mask, changes only in
space.
Drawing and doing are apart: the ``draw`` functions use a generator, the ``apply`` functions are deterministic.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from brain_tumor.data.intensity import look_up
from brain_tumor.training.fields import check, setting


@dataclass(frozen=True)
class Augmentation:
    """How far slices may be changed.

    Attributes:
        flip: mirror left and right, every second slice.
        rotation_degrees: turn by up to this angle either way.
        zoom: enlarge or shrink by up to this share.
        gamma: bend each sequence's brightness curve by a gamma of up to 1 + this, either way (scanners differ).
        sequence_dropout: share of slices in which pre, post or both become copies of FLAIR, as the LGG data itself has where a
            sequence was not taken; of any cohort, all but its reference sequence. Of a lone sequence nothing can be missing.
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
    """Changes of brightness to the first ``T`` channels: ``gammas (n, T)`` float64 exponents, and ``copied (n, T)`` bool, those
    that the channel ``reference`` replaces.
    """

    gammas: np.ndarray
    copied: np.ndarray
    reference: int


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
    """Move images and masks by the same matrices; what comes from outside is 0.

    Args:
        images: slices ``(n, S, S, C)``, or volumes ``(n, Z, S, S, C)``, whose planes all move alike.
        targets: masks ``(n, S, S)`` or ``(n, Z, S, S)``; or labels ``(n,)``, which stay as they are: a moved tumour is still a
            tumour.
        matrices: ``(n, 2, 3)``, of :func:`draw`.
    """
    moved = _warp(images, matrices, cv2.INTER_LINEAR, images.shape[-3:])
    masks = targets.ndim == images.ndim - 1
    return moved, _warp(targets, matrices, cv2.INTER_NEAREST, targets.shape[-2:]) if masks else targets


def _warp(planes: np.ndarray, matrices: np.ndarray, sampling: int, of_plane: tuple[int, ...]) -> np.ndarray:
    """Each plane, of the shape ``of_plane`` (height, width and perhaps channels), by the matrix of its slice or volume."""
    moved, size = np.empty_like(planes), (of_plane[1], of_plane[0])
    for matrix, source, target in zip(matrices, planes, moved, strict=True):
        for plane, place in zip(source.reshape(-1, *of_plane), target.reshape(-1, *of_plane), strict=True):
            place[...] = cv2.warpAffine(plane, matrix, size, flags=sampling).reshape(of_plane)
    return moved


def draw_intensity(
    augmentation: Augmentation, n: int, sequences: int, generator: np.random.Generator, reference: int
) -> IntensityChanges:
    """Draw intensity changes for ``n`` slices or volumes of so many sequences; the one at ``reference`` is never replaced."""
    gammas = np.exp(generator.uniform(-1, 1, (n, sequences)) * np.log1p(augmentation.gamma))
    others = np.arange(sequences) != reference
    copied = (generator.random((n, sequences)) < 0.5) & others
    copied[~copied.any(axis=1)] = others  # a slice whose turn it is lacks at least one sequence
    copied &= (generator.random(n) < augmentation.sequence_dropout)[:, None]
    return IntensityChanges(gammas, copied, reference)


def apply_intensity(images: np.ndarray, intensity: IntensityChanges) -> np.ndarray:
    """``images (n, ..., C)`` uint8 with other brightness curves and copied sequences; black and white stay what they are.

    Channels beyond those that were drawn for stay as they are.
    """
    changed, levels = images.copy(), curves(intensity)
    for place, image, of_channel, tables in zip(changed, images, sources(intensity), levels, strict=True):
        place[..., : len(of_channel)] = look_up(image[None, ..., of_channel], tables[of_channel].T)[0]
    return changed


def curves(intensity: IntensityChanges) -> np.ndarray:
    """``(n, T, 256)`` uint8, the new level of each level of a channel."""
    return np.rint(255 * (np.arange(256) / 255) ** intensity.gammas[..., None]).astype(np.uint8)


def sources(intensity: IntensityChanges) -> np.ndarray:
    """``(n, T)`` int, the channel that each channel is taken from, with its curve."""
    return np.where(intensity.copied, intensity.reference, np.arange(intensity.copied.shape[1]))
