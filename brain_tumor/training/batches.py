"""NumPy batches made by threads while the network computes; each epoch is a pure function of seed and epoch number.

No `tf.data`: it would need TensorFlow on machines that have only JAX. Because nothing carries over from one epoch to the
next, a resumed run sees the very batches it would have seen.
"""

import functools
import math
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from brain_tumor.data.intensity import normalise
from brain_tumor.errors import DataError
from brain_tumor.training import augment

WORKERS, AHEAD = 2, 8


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(WORKERS, thread_name_prefix="batches")


@dataclass(frozen=True)
class SliceArrays:
    """What batches are cut from.

    Attributes:
        images: ``(N, S, S, C)`` uint8, memory-mapped or not.
        targets: what is learnt, uint8 in {0, 1}: masks ``(N, S, S)``, which are moved with their images, or labels ``(N,)``.
        windows: ``(N, 4, C)`` float32, one normalisation window a slice (:func:`brain_tumor.data.intensity.window`).
        rows: the rows of these arrays that belong to this part of the split.
    """

    images: np.ndarray
    targets: np.ndarray
    windows: np.ndarray
    rows: np.ndarray

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.images[rows], self.targets[rows], self.windows[rows]


class TrainingBatches:
    """One epoch: shuffled, augmented, whole batches only (what is left over changes with every epoch); made ahead of use."""

    def __init__(self, arrays: SliceArrays, batch_size: int, augmentation: augment.Augmentation, seed: int, epoch: int):
        if len(arrays.rows) < batch_size:
            raise DataError(f"{len(arrays.rows)} training slices do not fill one batch of {batch_size}")
        self.arrays, self.batch_size, self.augmentation = arrays, batch_size, augmentation
        self.seed, self.epoch = seed, epoch
        self.order = np.random.default_rng([seed, epoch]).permutation(arrays.rows)
        self._ahead: dict[int, Future] = {}

    def __len__(self) -> int:
        return len(self.order) // self.batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """``images (B, S, S, C)`` float32, normalised, and ``masks (B, S, S, 1)`` or ``labels (B, 1)`` float32."""
        for near in range(index, min(index + AHEAD, len(self))):
            if near not in self._ahead:
                self._ahead[near] = _threads().submit(self._make, near)
        return self._ahead.pop(index).result()

    def _make(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = np.sort(self.order[index * self.batch_size : (index + 1) * self.batch_size])
        images, targets, windows = self.arrays.take(rows)
        generator = np.random.default_rng([self.seed, self.epoch, index])
        matrices = augment.draw(self.augmentation, len(rows), images.shape[1], generator)
        images, targets = augment.apply(images, targets, matrices)
        images = augment.apply_tones(images, augment.draw_tones(self.augmentation, len(rows), images.shape[-1], generator))
        return normalise(images, windows), targets[..., None].astype(np.float32)


class TuneBatches:
    """The tune part in order, untouched, the last batch possibly smaller."""

    def __init__(self, arrays: SliceArrays, batch_size: int):
        self.arrays, self.batch_size = arrays, batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.arrays.rows) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`TrainingBatches.__getitem__`."""
        rows = self.arrays.rows[index * self.batch_size : (index + 1) * self.batch_size]
        images, targets, windows = self.arrays.take(rows)
        return normalise(images, windows), targets[..., None].astype(np.float32)
