"""Tumours in one piece: keeping the largest component, what that can cost, and whether a tumour's slices follow one another.

Nearly every tumour of the LGG data is one piece, so the authors of its first U-Net drop all but the largest component (Buda
2019, arXiv 1906.03720). Whether to do so is chosen inside the training patients; :func:`ceiling` says what it could cost on
the truth itself. Neighbours touch by a face, an edge or a corner: 26 in 3-D, 8 in a plane.
"""

import numpy as np

from brain_tumor.evaluation import overlap


def keep_largest(mask: np.ndarray) -> np.ndarray:
    """A new mask that holds the largest component only; of two equally large, the first in slice, row and column order.

    Args:
        mask: ``(Z, H, W)``, a volume, or ``(H, W)``, a plane; bool or {0, 1}.

    Returns:
        The same shape and dtype; empty where ``mask`` is.
    """
    largest = np.zeros_like(mask)
    box, labels, sizes = labelled(mask)
    if len(sizes):
        largest[box] = labels == np.argmax(sizes) + 1
    return largest


def keep_largest_probability(probability: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """The same for probabilities: a pixel called tumour outside the largest component becomes 0, all others stay.

    At ``threshold``, the result is called tumour exactly on ``keep_largest(probability > threshold * 255)``.

    Args:
        probability: ``(Z, H, W)`` or ``(H, W)`` uint8, 255 = 1.
        threshold: a pixel is called tumour where its probability is above this.
    """
    positive = probability > threshold * 255
    return np.where(positive & ~keep_largest(positive), 0, probability).astype(probability.dtype)


def ceiling(truth: np.ndarray) -> float:
    """Dice of the truth's own largest component with the truth: the best score that keeping one component leaves possible.

    Args:
        truth: ``(Z, H, W)`` or ``(H, W)``, bool or {0, 1}. An empty one gives 1.
    """
    largest, all_of_it = np.count_nonzero(keep_largest(truth)), np.count_nonzero(truth)
    return float(overlap.dice(largest, 0, all_of_it - largest))


def per_case(mask: np.ndarray) -> dict:
    """How one case's mask ``(Z, H, W)``, true or predicted, lies in space.

    Returns:
        ``components``; ``largest_share`` of its voxels that the largest one holds (NaN of an empty mask); ``tumour_slices``;
        ``gaps``, the empty slices between the first and the last of them; ``contiguous``, no gaps.
    """
    _, _, sizes = labelled(mask)
    planes = np.flatnonzero(mask.any(axis=(1, 2)))
    gaps = int(planes[-1] - planes[0] + 1 - len(planes)) if len(planes) else 0
    return {
        "components": len(sizes),
        "largest_share": float(sizes.max() / sizes.sum()) if len(sizes) else float("nan"),
        "tumour_slices": len(planes),
        "gaps": gaps,
        "contiguous": gaps == 0,
    }


def labelled(mask: np.ndarray) -> tuple[tuple[slice, ...], np.ndarray, np.ndarray]:
    """A mask's components: the box that holds all of it, every voxel's component in that box, from 1 (0: none), and the sizes in
    voxels.
    """
    from scipy import ndimage

    boxes = ndimage.find_objects((mask > 0).view(np.uint8))
    box = boxes[0] if boxes else (slice(0),) * mask.ndim
    labels, _ = ndimage.label(mask[box], np.ones((3,) * mask.ndim, int))
    return box, labels, np.bincount(labels.ravel())[1:]
