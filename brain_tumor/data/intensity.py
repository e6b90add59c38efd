"""What happens to pixel values and sizes before a network sees them.

Image, mask and prediction lie on one grid: all are resized about pixel centres. What is not square is padded, never stretched.

Each normalisation is one clipped affine map a case and channel, ``(clip(x, low, high) - offset) * scale``, so a batch is
normalised in one expression whatever the method, and masks are never touched (source 000 normalised them too: row 000.09).
"""

import cv2
import numpy as np

NORMALISATIONS = ("unit", "imagenet", "volume", "tissue", "raw")
OF_VOLUMES = ("volume", "tissue")  # those that depend on the pixels
# Torchvision's statistics of ImageNet in [0, 1], as sources 002 and 004 apply them (002.13, 004.34).
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
# Percentiles that bound a volume before its z-score; the reference loader of Buda 2019 clips at 10 and 99.
VOLUME_PERCENTILES = (10.0, 99.0)
# Of `tissue`: what is brighter than so many times the head's median level, fat and skin mostly, is all the same; and the part of
# the median that counts 1.
TISSUE_LIMIT, TISSUE_UNIT = 2.5, 0.5
# The version of the grid that images and masks of a working size lie on. Raise it when :func:`resize_images` or
# :func:`resize_masks` give other pixels: caches of another version are made anew, and a run in which a mask is trained on is not
# continued. Version 1, until 0.2: masks by the nearest pixel, half a native pixel off their images. Version 2: masks by area.
PREPARATION = 2
HALF = 0.5 - 1e-4  # sums of float32 shares may come to just below a half


def scaling(volume: np.ndarray, method: str) -> np.ndarray:
    """The affine map of one case.

    Args:
        volume: ``(Z, H, W, C)`` uint8, the whole exam: statistics of a lone slice are not those of its volume.
        method: ``unit`` (0-255 to 0-1, row 000.03), ``imagenet`` (that, then ImageNet's mean and deviation; of another number
            of channels than three, each takes the mean of red, green and blue), ``raw`` (0-255 as it is, which the ImageNet
            weights of `image-classifiers` expect), ``volume`` (clip at the volume's percentiles, then zero mean and unit
            deviation), or ``tissue`` (0 is the median level of the head, which is what is brighter than the volume's mean, and
            1 half that level more). A bright scalp, or none where the skull was taken away, moves ``volume`` and not ``tissue``:
            over the training patients of ``source-004`` the brain's median FLAIR varies by 0.33 and by 0.08.

    Returns:
        ``(4, C)`` float32: rows low, high, offset, scale.
    """
    channels = volume.shape[-1]
    offset: np.ndarray
    scale: np.ndarray
    low, high = np.zeros(channels), np.full(channels, 255.0)
    if method == "unit":
        offset, scale = np.zeros(channels), np.full(channels, 1 / 255)
    elif method == "raw":
        offset, scale = np.zeros(channels), np.ones(channels)
    elif method == "imagenet":
        colours = IMAGENET_MEAN, IMAGENET_DEVIATION
        mean, deviation = colours if channels == 3 else (np.full(channels, values.mean()) for values in colours)
        offset, scale = 255 * mean, 1 / (255 * deviation)
    elif method in OF_VOLUMES:
        measure = {"volume": _volume_scaling, "tissue": _tissue_scaling}[method]
        low, high, offset, scale = np.transpose([measure(volume[..., channel]) for channel in range(channels)])
    else:
        raise ValueError(f"unknown normalisation {method!r}, expected one of {NORMALISATIONS}")
    return np.stack([low, high, offset, scale]).astype(np.float32)


def _volume_scaling(values: np.ndarray) -> tuple[float, float, float, float]:
    """Low, high, mean and 1 / deviation of one sequence, from its histogram: exact for 8 bit, and a hundred times quicker."""
    counts = np.bincount(values.ravel(), minlength=256)
    low, high = np.searchsorted(np.cumsum(counts), np.array(VOLUME_PERCENTILES) / 100 * counts.sum())
    levels = np.clip(np.arange(256), low, high)
    mean = np.average(levels, weights=counts)
    return low, high, mean, 1 / max(np.sqrt(np.average((levels - mean) ** 2, weights=counts)), 1e-3)


def _tissue_scaling(values: np.ndarray) -> tuple[float, float, float, float]:
    """Low, high, median of the head and the reciprocal of half of it, of one sequence, from its histogram."""
    counts = np.bincount(values.ravel(), minlength=256)
    levels = np.arange(256)
    head = np.where(levels > np.average(levels, weights=counts), counts, 0)
    if not head.any():  # one level everywhere
        return 0.0, 255.0, float(values.ravel()[0]), 1 / 255
    median = max(int(np.searchsorted(np.cumsum(head), head.sum() / 2)), 1)
    return 0.0, min(TISSUE_LIMIT * median, 255.0), float(median), 1 / (TISSUE_UNIT * median)


def normalise(images: np.ndarray, scalings: np.ndarray) -> np.ndarray:
    """Apply scalings ``(N, 4, C)`` or ``(4, C)`` to slices ``(N, H, W, C)`` or volumes ``(N, Z, H, W, C)`` uint8: float32.

    There are but 256 values, so each is worked out once a slice, not once a pixel.
    """
    levels = np.arange(256, dtype=np.float32)[:, None]
    low, high, offset, scale = np.moveaxis(scalings, -2, 0)[..., None, :]
    return look_up(images, ((np.clip(levels, low, high) - offset) * scale).astype(np.float32))


def look_up(images: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """Replace each value by that of a table: ``images (N, ..., C)`` uint8, ``tables (N, 256, C)``, or ``(256, C)`` for all."""
    answer, channels = np.empty(images.shape, tables.dtype), images.shape[-1]
    parts = zip(images, tables, answer, strict=True) if tables.ndim == 3 else [(images, tables, answer)]
    for image, table, place in parts:
        pixels = np.ascontiguousarray(image).reshape(1, -1, channels)
        place[...] = cv2.LUT(pixels, np.ascontiguousarray(table)[None]).reshape(image.shape)
    return answer


def pad_to_square(planes: np.ndarray) -> np.ndarray:
    """``(Z, H, W)`` or ``(Z, H, W, C)`` to ``(Z, S, S, ...)`` with ``S = max(H, W)``: as much background (0) on either side.

    Take normalisation statistics from the planes before they are padded.
    """
    side = max(planes.shape[1:3])
    return pad_to(planes, (side, side))


def pad_to(planes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """``(Z, H, W)`` or ``(Z, H, W, C)`` to ``(Z, *shape, ...)``, which is no smaller: as much background (0) on either side."""
    height, width = planes.shape[1:3]
    if (height, width) == shape:
        return planes
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    margins = (0, 0), (top, shape[0] - height - top), (left, shape[1] - width - left), *[(0, 0)] * (planes.ndim - 3)
    return np.pad(planes, margins)


def crop_back(planes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """``(Z, S, S, ...)`` to ``(Z, *shape, ...)``: the part that :func:`pad_to_square` was given planes of ``shape`` for."""
    (height, width), side = shape, planes.shape[1]
    top, left = (side - height) // 2, (side - width) // 2
    return planes[:, top : top + height, left : left + width]


def resize_images(images: np.ndarray, size: int) -> np.ndarray:
    """``(Z, S, S, C)`` uint8 to ``(Z, size, size, C)``: area means when shrinking, linear when growing."""
    return _resize(images, size)


def resize_masks(masks: np.ndarray, size: int) -> np.ndarray:
    """``(Z, S, S)`` uint8 labels to ``(Z, size, size)``, on the grid of :func:`resize_images`.

    A pixel is tumour where at least half of it is, and its label is the one with the largest share of it. So no new label can
    appear, and of equal shares the lowest label wins.
    """
    if masks.shape[1:] == (size, size):
        return masks
    tumour = _resize((masks > 0).astype(np.float32), size) > HALF
    labels = [label for label in np.unique(masks) if label > 0]
    if len(labels) < 2:
        return tumour * np.uint8(labels[0] if labels else 0)
    shares = np.stack([_resize((masks == label).astype(np.float32), size) for label in labels])
    return np.where(tumour, np.array(labels)[shares.round(4).argmax(axis=0)], 0).astype(np.uint8)


def resize_probabilities(probabilities: np.ndarray, size: int) -> np.ndarray:
    """``(Z, S, S)`` float32 to ``(Z, size, size)``, on the same grid: how a prediction returns to its native size."""
    return _resize(probabilities, size)


def _resize(planes: np.ndarray, size: int) -> np.ndarray:
    """OpenCV's area and linear sampling both go by pixel centres; its nearest neighbour does not, and is half a pixel off."""
    height, width = planes.shape[1:3]
    if height != width:
        raise ValueError(f"planes of {height} x {width} would be stretched to {size} x {size}: pad them to a square first")
    if height == size:
        return planes
    interpolation = cv2.INTER_AREA if size < height else cv2.INTER_LINEAR
    resized = np.empty((len(planes), size, size, *planes.shape[3:]), planes.dtype)
    for plane, target in zip(planes, resized, strict=True):
        target[...] = cv2.resize(plane, (size, size), interpolation=interpolation).reshape(target.shape)
    return resized
