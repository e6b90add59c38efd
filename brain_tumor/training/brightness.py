"""Brightness: what training images are put through and their masks are not (rows 000.05, 000.08, 000.09).

The functions here are not given the mask. Scanners differ, so each sequence has a brightness curve of its own; whatever is drawn
for a slice holds for its neighbours too where a network is given those. Curves keep black and white, since in between them lies
all that a scan shows; brightness and contrast act on the logit of a level, as in fastai 1, which sources 000 and 004 use.
"""

from typing import NamedTuple

import cv2
import numpy as np

from brain_tumor.data.intensity import look_up
from brain_tumor.training.augment import Augmentation

FIELD = 4  # points of a bias field's coarse grid, a side


class IntensityChanges(NamedTuple):
    """Changes of brightness to the first ``T`` channels of ``n`` slices.

    Attributes:
        gammas: ``(n, T)`` float64 exponents.
        copied: ``(n, T)`` bool, the channels that the one at ``reference`` of the same plane replaces.
        reference: a channel of the first plane.
        slopes, shifts: ``(n, T)`` float64, of the logits of levels: contrast and brightness.
        field: ``(n, F, F)`` float32, logarithms of a factor at the points of a coarse grid; None without one.
        planes: of how many slices an image has sequences; each has ``T / planes`` channels.
    """

    gammas: np.ndarray
    copied: np.ndarray
    reference: int
    slopes: np.ndarray
    shifts: np.ndarray
    field: np.ndarray | None = None
    planes: int = 1


def draw(
    augmentation: Augmentation, n: int, sequences: int, generator: np.random.Generator, reference: int, planes: int = 1
) -> IntensityChanges:
    """Draw for ``n`` slices or volumes of so many sequences a plane; the one at ``reference`` is never replaced.

    Args:
        reference: the sequence, counted within a plane.
        planes: how many slices each image shows, all of them changed alike.
    """
    gammas = np.exp(generator.uniform(-1, 1, (n, sequences)) * np.log1p(augmentation.gamma))
    if augmentation.gamma_probability < 1:  # drawn only where asked for: other trainings stay what they are, bit for bit
        gammas = np.where(generator.random(n)[:, None] < augmentation.gamma_probability, gammas, 1.0)
    others = np.arange(sequences) != reference
    copied = (generator.random((n, sequences)) < 0.5) & others
    copied[~copied.any(axis=1)] = others  # a slice whose turn it is lacks at least one sequence
    copied &= (generator.random(n) < augmentation.sequence_dropout)[:, None]
    steep, bright, uneven = (
        generator.random(n) < share
        for share in (
            augmentation.contrast_probability,
            augmentation.brightness_probability,
            augmentation.bias_field_probability,
        )
    )
    slopes = np.exp(generator.uniform(-1, 1, (n, sequences)) * -np.log1p(-augmentation.contrast) * steep[:, None])
    shifts = _logit((1 + generator.uniform(-1, 1, (n, sequences)) * augmentation.brightness * bright[:, None]) / 2)
    field = None
    if augmentation.bias_field:
        field = generator.uniform(-1, 1, (n, FIELD, FIELD)) * np.log1p(augmentation.bias_field) * uneven[:, None, None]
        field = field.astype(np.float32)
    gammas, copied, slopes, shifts = (np.tile(values, (1, planes)) for values in (gammas, copied, slopes, shifts))
    return IntensityChanges(gammas, copied, reference, slopes, shifts, field, planes)


def apply(images: np.ndarray, changes: IntensityChanges) -> np.ndarray:
    """``images (n, ..., C)`` uint8 with other brightness and copied sequences.

    Channels beyond those that were drawn for stay as they are.
    """
    changed, levels, drawn = images.copy(), curves(changes), changes.copied.shape[1]
    for place, image, of_channel, tables in zip(changed, images, sources(changes), levels, strict=True):
        place[..., :drawn] = look_up(image[None, ..., of_channel], tables[of_channel].T)[0]
    if changes.field is not None:
        for place, field in zip(changed, changes.field, strict=True):
            size = place.shape[-2], place.shape[-3]
            factor = np.exp(cv2.resize(field, size, interpolation=cv2.INTER_CUBIC))[..., None]
            place[..., :drawn] = np.rint(np.clip(place[..., :drawn] * factor, 0, 255))
    return changed


def curves(changes: IntensityChanges) -> np.ndarray:
    """``(n, T, 256)`` uint8, the new level of each level of a channel."""
    levels = (np.arange(256) / 255) ** changes.gammas[..., None]
    bent = (changes.slopes != 1) | (changes.shifts != 0)
    slopes, shifts = changes.slopes[bent, None], changes.shifts[bent, None]
    levels[bent] = 1 / (1 + np.exp(-(slopes * _logit(levels[bent]) + shifts)))
    return np.rint(255 * levels).astype(np.uint8)


def sources(changes: IntensityChanges) -> np.ndarray:
    """``(n, T)`` int, the channel that each channel is taken from, with its curve."""
    channel = np.arange(changes.copied.shape[1])
    sequences = len(channel) // changes.planes
    return np.where(changes.copied, channel // sequences * sequences + changes.reference, channel)


def rescaled(scalings: np.ndarray, changes: IntensityChanges) -> np.ndarray:
    """``scalings (n, 4, C)`` with which a copied sequence is brought to the scale of the one that it is a copy of."""
    changed, drawn = scalings.copy(), changes.copied.shape[1]
    changed[..., :drawn] = np.take_along_axis(scalings[..., :drawn], sources(changes)[:, None], axis=2)
    return changed


def _logit(shares: np.ndarray) -> np.ndarray:
    """The logits of numbers from 0 to 1, both included."""
    with np.errstate(divide="ignore"):
        return np.log(shares) - np.log1p(-shares)
