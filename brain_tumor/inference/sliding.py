"""A network of volumes over a whole exam, patch beside patch.

Patches overlap by half; where several answer for a voxel, their probabilities are averaged with weights that fall from a patch's
middle to its edge as a Gaussian does, since a network sees less around a voxel at its edge (nnU-Net, Isensee 2021). Memory holds
the probabilities of one exam, and one patch.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from brain_tumor.data.intensity import normalise
from brain_tumor.models import decision, settings

OVERLAP = 0.5
SIGMA = 1 / 8  # of a patch's side
LEAST = 1e-3  # of the weight at the middle: no voxel is left without one
Network = Callable[[np.ndarray], np.ndarray]  # volumes (B, D, H, W, C) float32 -> logits


@settings.fixed()
def probabilities(
    network: Network,
    images: np.ndarray,
    scaling: np.ndarray,
    patch: tuple[int, int, int],
    flip_tta: bool = False,
    step: Callable[[], None] | None = None,
) -> np.ndarray:
    """Run a network over a volume of any size.

    Args:
        network: takes patches of one size, one at a time.
        images: ``(Z, H, W, C)`` uint8.
        scaling: ``(4, C)`` float32.
        patch: its planes, height and width. A volume that is smaller is padded with background.
        flip_tta: run each patch as it is and mirrored, and take the mean.
        step: called after each patch, :func:`passes` times.

    Returns:
        ``(Z, H, W, R)`` float32 in [0, 1].
    """
    extent = images.shape[:3]
    padded = np.pad(images, [*((0, max(0, side - length)) for side, length in zip(patch, extent, strict=True)), (0, 0)])
    weights = gaussian(patch)[..., None]
    total: np.ndarray | None = None
    norm = np.zeros((*padded.shape[:3], 1), np.float32)
    for corner in _corners(extent, patch):
        place = tuple(slice(start, start + side) for start, side in zip(corner, patch, strict=True))
        volume = normalise(padded[place][None], scaling)
        answer = decision.probabilities(network(volume))[0]
        if flip_tta:
            answer = (answer + decision.probabilities(network(volume[..., ::-1, :]))[0][..., ::-1, :]) / 2
        if total is None:
            total = np.zeros((*padded.shape[:3], answer.shape[-1]), np.float32)
        total[place] += weights * answer
        norm[place] += weights
        if step:
            step()
    assert total is not None
    return (total / norm)[tuple(slice(length) for length in extent)]


def passes(extent: Sequence[int], patch: Sequence[int]) -> int:
    """How many patches :func:`probabilities` runs over a volume of these planes, height and width."""
    return len(_corners(extent, patch))


def _corners(extent: Sequence[int], patch: Sequence[int]) -> list[tuple[int, ...]]:
    return list(itertools.product(*(positions(length, side) for length, side in zip(extent, patch, strict=True))))


def positions(length: int, side: int, overlap: float = OVERLAP) -> list[int]:
    """Where patches of ``side`` begin along an axis: the first at 0, the last at the end, with at least ``overlap`` in common."""
    if length <= side:
        return [0]
    count = math.ceil((length - side) / (side * (1 - overlap))) + 1
    return sorted({round(place) for place in np.linspace(0, length - side, count)})


def gaussian(patch: Sequence[int]) -> np.ndarray:
    """``patch`` float32: the weight of each voxel of a patch, 1 in its middle."""
    weights = np.ones(patch, np.float32)
    for axis, side in enumerate(patch):
        places = (np.arange(side) - (side - 1) / 2) / (side * SIGMA)
        along = np.exp(-0.5 * places**2)
        weights = weights * np.expand_dims(along, [other for other in range(len(patch)) if other != axis])
    return np.maximum(weights / weights.max(), LEAST).astype(np.float32)
