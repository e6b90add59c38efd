"""What happens to pixel values and sizes before a network sees them.

Each normalisation is one clipped affine map a case and channel, ``(clip(x, low, high) - offset) * scale``, so a batch is
normalised in one expression whatever the method, and masks are never touched (source 000 normalised them too: row 000.09).
"""

import cv2
import numpy as np

NORMALISATIONS = ("unit", "imagenet", "volume", "raw")
# Torchvision's statistics of ImageNet in [0, 1], as sources 002 and 004 apply them (002.13, 004.34).
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
# Percentiles that bound a volume before its z-score; the reference loader of Buda 2019 clips at 10 and 99.
VOLUME_PERCENTILES = (10.0, 99.0)


def scaling(volume: np.ndarray, method: str) -> np.ndarray:
    """The affine map of one case.

    Args:
        volume: ``(Z, H, W, C)`` uint8, the whole exam: statistics of a lone slice are not those of its volume.
        method: ``unit`` (0-255 to 0-1, row 000.03), ``imagenet`` (that, then ImageNet's mean and deviation), ``raw`` (0-255 as it
            is, which the ImageNet weights of `image-classifiers` expect), or ``volume`` (clip at the volume's percentiles, then
            zero mean and unit deviation).

    Returns:
        ``(4, C)`` float32: rows low, high, offset, scale.
    """
    channels = volume.shape[-1]
    low, high = np.zeros(channels), np.full(channels, 255.0)
    if method == "unit":
        offset, scale = np.zeros(channels), np.full(channels, 1 / 255)
    elif method == "raw":
        offset, scale = np.zeros(channels), np.ones(channels)
    elif method == "imagenet":
        offset, scale = 255 * IMAGENET_MEAN[:channels], 1 / (255 * IMAGENET_DEVIATION[:channels])
    elif method == "volume":
        low, high, offset, scale = np.transpose([_volume_window(volume[..., channel]) for channel in range(channels)])
    else:
        raise ValueError(f"unknown normalisation {method!r}, expected one of {NORMALISATIONS}")
    return np.stack([low, high, offset, scale]).astype(np.float32)


def _volume_window(values: np.ndarray) -> tuple[float, float, float, float]:
    """Low, high, mean and 1 / deviation of one sequence, from its histogram: exact for 8 bit, and a hundred times quicker."""
    counts = np.bincount(values.ravel(), minlength=256)
    low, high = np.searchsorted(np.cumsum(counts), np.array(VOLUME_PERCENTILES) / 100 * counts.sum())
    levels = np.clip(np.arange(256), low, high)
    mean = np.average(levels, weights=counts)
    return low, high, mean, 1 / max(np.sqrt(np.average((levels - mean) ** 2, weights=counts)), 1e-3)


def normalise(images: np.ndarray, scalings: np.ndarray) -> np.ndarray:
    """Apply scalings: ``images (N, H, W, C) uint8`` and ``scalings (N, 4, C)`` or ``(4, C)`` give float32."""
    low, high, offset, scale = np.moveaxis(scalings[..., None, None, :], -4, 0)
    return (np.clip(images.astype(np.float32), low, high) - offset) * scale


def resize_images(images: np.ndarray, size: int) -> np.ndarray:
    """``(Z, H, W, C)`` uint8 to ``(Z, size, size, C)``: area means when shrinking, linear when growing."""
    if images.shape[1:3] == (size, size):
        return images
    shrinking = size < max(images.shape[1:3])
    return _each(images, size, cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)


def resize_masks(masks: np.ndarray, size: int) -> np.ndarray:
    """``(Z, H, W)`` labels to ``(Z, size, size)``, nearest neighbour: no new label can appear."""
    return masks if masks.shape[1:3] == (size, size) else _each(masks, size, cv2.INTER_NEAREST)


def resize_probabilities(probabilities: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """``(Z, h, w)`` float32 to ``(Z, *shape)``, linear: how a prediction returns to its native size."""
    if probabilities.shape[1:3] == shape:
        return probabilities
    return np.stack([cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_LINEAR) for plane in probabilities])


def _each(planes: np.ndarray, size: int, interpolation: int) -> np.ndarray:
    return np.stack([cv2.resize(plane, (size, size), interpolation=interpolation) for plane in planes])
