"""What phantoms are drawn with: smooth noise, soft edges, and tissues blended over each other."""

import cv2
import numpy as np


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cells: int, layers: int) -> np.ndarray:
    """``(Z, S, S)`` float32 of mean 0 and deviation 1, changing over ``1 / cells`` of a plane and ``1 / layers`` of the depth."""
    n, size = shape
    coarse = rng.standard_normal((layers + 1, cells + 3, cells + 3), dtype=np.float32)
    planes = np.stack([cv2.resize(plane, (size, size), interpolation=cv2.INTER_CUBIC) for plane in coarse])
    place = np.linspace(0, layers, n, dtype=np.float32)[:, None, None]
    below = np.minimum(place.astype(int), layers - 1)
    share = place - below.astype(np.float32)
    field = planes[below.ravel()] * (1 - share) + planes[below.ravel() + 1] * share
    field /= np.hypot(1 - share, share)  # else noise would fade between two layers
    return (field - field.mean()) / field.std()


def soft_edge(depth: np.ndarray, width: float) -> np.ndarray:
    """Membership 0 to 1 of a signed depth, half at the boundary."""
    return np.clip(depth / width + 0.5, 0, 1)


def paint(images: np.ndarray, member: np.ndarray, colour: tuple[float, ...], texture: np.ndarray | None = None) -> None:
    """Blend a tissue into ``images (Z, S, S, C)`` in place, where it is at all: most tissues fill little of the volume."""
    place = np.flatnonzero(member)
    pixels = images.reshape(-1, images.shape[-1])
    colours = np.array(colour, np.float32) * (1 if texture is None else texture.ravel()[place, None])
    before = pixels[place]
    pixels[place] = before + member.ravel()[place, None] * (colours - before)
