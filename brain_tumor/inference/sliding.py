"""A network of volumes over a whole exam, tile beside tile.

A network learns from patches and is asked about tiles of several patches, as large as memory holds (:func:`tile`): most
exams of the LGG data are one tile, and fewer voxels lie near an edge. Tiles overlap by half. Where several answer for a
voxel, their probabilities are averaged; the weights fall from a tile's middle to its edge as a Gaussian does, since a network
sees less around a voxel at its edge (nnU-Net, Isensee 2021). Memory holds the probabilities of one exam, and one tile.

27 LGG patients whom a network with BatchNorm had not learnt from were answered by patches (16 x 96 x 96) and whole: the whole
exam took a third of the time, and the patient mean changed by +0.007 (-0.008 to +0.020). A network with GroupNorm needs
patches: it normalises by the mean of all that it is given, and on 12 of these patients 0.66 became 0.58.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from brain_tumor.data.intensity import normalise
from brain_tumor.models import decision, settings

OVERLAP = 0.5
MOST_VOXELS = 2_400_000  # of a tile: some 64 planes of 192 x 192
SIGMA = 1 / 8  # of a tile's side
LEAST = 1e-3  # of the weight at the middle: no voxel is left without one
Network = Callable[[np.ndarray], np.ndarray]  # volumes (B, D, H, W, C) float32 -> logits


@settings.fixed()
def probabilities(
    network: Network,
    images: np.ndarray,
    scaling: np.ndarray,
    tile: tuple[int, int, int],
    flip_tta: bool = False,
    step: Callable[[], None] | None = None,
) -> np.ndarray:
    """Run a network over a volume of any size.

    Args:
        network: takes tiles of one size, one at a time.
        images: ``(Z, H, W, C)`` uint8.
        scaling: ``(4, C)`` float32.
        tile: its planes, height and width. A volume that is smaller is padded with background.
        flip_tta: run each tile as it is and mirrored, and take the mean.
        step: called after each tile, :func:`passes` times.

    Returns:
        ``(Z, H, W, R)`` float32 in [0, 1].
    """
    extent = images.shape[:3]
    padded = np.pad(images, [*((0, max(0, side - length)) for side, length in zip(tile, extent, strict=True)), (0, 0)])
    weights = gaussian(tile)[..., None]
    total: np.ndarray | None = None
    norm = np.zeros((*padded.shape[:3], 1), np.float32)
    for corner in _corners(extent, tile):
        place = tuple(slice(start, start + side) for start, side in zip(corner, tile, strict=True))
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


def tile(patch: Sequence[int], extent: Sequence[int]) -> tuple[int, int, int]:
    """The tile for a volume: of those of up to :data:`MOST_VOXELS` voxels the one by which fewest are computed.

    Args:
        patch: the planes, height and width that the network learnt from; a tile's are multiples.
        extent: the volume's.
    """
    sides_of_axes = (range(side, most + 1, side) for side, most in zip(patch, whole(patch, extent), strict=True))
    tiles = list(itertools.product(*sides_of_axes))
    fitting = [sides for sides in tiles if math.prod(sides) <= MOST_VOXELS] or tiles[:1]
    planes, height, width = min(fitting, key=lambda sides: (passes(extent, sides) * math.prod(sides), -math.prod(sides)))
    return planes, height, width


def whole(patch: Sequence[int], extent: Sequence[int]) -> tuple[int, int, int]:
    """The smallest multiples of a patch's planes, height and width that hold a volume."""
    planes, height, width = (math.ceil(length / side) * side for length, side in zip(extent, patch, strict=True))
    return planes, height, width


def passes(extent: Sequence[int], tile: Sequence[int]) -> int:
    """How many tiles :func:`probabilities` runs over a volume of these planes, height and width."""
    return len(_corners(extent, tile))


def _corners(extent: Sequence[int], tile: Sequence[int]) -> list[tuple[int, ...]]:
    return list(itertools.product(*(positions(length, side) for length, side in zip(extent, tile, strict=True))))


def positions(length: int, side: int, overlap: float = OVERLAP) -> list[int]:
    """Where tiles of ``side`` begin along an axis: the first at 0, the last at the end, with at least ``overlap`` in common."""
    if length <= side:
        return [0]
    count = math.ceil((length - side) / (side * (1 - overlap))) + 1
    return sorted({round(place) for place in np.linspace(0, length - side, count)})


def gaussian(tile: Sequence[int]) -> np.ndarray:
    """``tile`` float32: the weight of each voxel of a tile, 1 in its middle."""
    weights = np.ones(tile, np.float32)
    for axis, side in enumerate(tile):
        places = (np.arange(side) - (side - 1) / 2) / (side * SIGMA)
        along = np.exp(-0.5 * places**2)
        weights = weights * np.expand_dims(along, [other for other in range(len(tile)) if other != axis])
    return np.maximum(weights / weights.max(), LEAST).astype(np.float32)
