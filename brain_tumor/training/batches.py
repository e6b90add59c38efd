"""NumPy batches made by threads while the network computes; each epoch is a pure function of seed and epoch number.

No `tf.data`: it would need TensorFlow on machines that have only JAX. Because nothing carries over from one epoch to the
next, a resumed run sees the very batches it would have seen.
"""

import functools
import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from brain_tumor.data.intensity import normalise
from brain_tumor.errors import DataError
from brain_tumor.training import augment

WORKERS, AHEAD = 2, 8
# What is done about classes of unlike size: nothing, weights in the loss (brain_tumor.training.losses), or another draw.
BALANCES = ("none", "weights", "sampling")


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(WORKERS, thread_name_prefix="batches")


class Images(Protocol):
    """An array, or anything that gives slices by their rows: a view that assembles channels as they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, S, S, C)``, or ``(N, Z, S, S, C)`` of volumes."""

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """uint8, as many as there are rows; a row may be asked for twice."""


@dataclass(frozen=True)
class SliceArrays:
    """What batches are cut from.

    Attributes:
        images: slices ``(N, S, S, C)`` or volumes ``(N, Z, S, S, C)``, uint8, memory-mapped or not, or a view that behaves so.
        targets: what is learnt, uint8: masks ``(N, S, S)`` or ``(N, Z, S, S)`` in {0, 1}, which are moved with their images, or
            labels ``(N,)``, class numbers from 0.
        scalings: ``(N, 4, C)`` float32, one scaling a slice (:func:`brain_tumor.data.intensity.scaling`).
        rows: the rows of these arrays that belong to this part of the split.
        sequences: how many of the first channels are MRI; None for all.
        reference: the channel that stands for a missing one in ``sequence_dropout``.
    """

    images: Images
    targets: np.ndarray
    scalings: np.ndarray
    rows: np.ndarray
    sequences: int | None = None
    reference: int = 0

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.images[rows], self.targets[rows], self.scalings[rows]


class Draw(NamedTuple):
    """What chance decides of one batch: ``rows (B,)`` in ascending order, how each is moved, and its intensity."""

    rows: np.ndarray
    matrices: np.ndarray
    intensity: augment.IntensityChanges


class TrainingBatches:
    """One epoch: shuffled, augmented, whole batches only (what is left over changes with every epoch); made ahead of use.

    Args:
        balance: ``sampling`` draws every class of labels equally often, to within one slice, in as many batches: of a large
            class some slices stay out this epoch, those of a small one come again. ``none`` and ``weights`` draw each slice
            at most once.
        own: an augmentation of the user's, called after ours (:class:`brain_tumor.experiments.own.OwnCode`).

    Raises:
        DataError: too few slices for one batch; or ``sampling`` of masks, or of a part that holds a single class.
    """

    def __init__(
        self,
        arrays: SliceArrays,
        batch_size: int,
        augmentation: augment.Augmentation,
        seed: int,
        epoch: int,
        balance: str = "none",
        own: Callable | None = None,
    ):
        if len(arrays.rows) < batch_size:
            raise DataError(f"{len(arrays.rows)} training slices do not fill one batch of {batch_size}")
        if balance not in BALANCES:
            raise DataError(f"unknown balance {balance!r}, expected one of {', '.join(BALANCES)}")
        self.arrays, self.batch_size, self.augmentation = arrays, batch_size, augmentation
        self.seed, self.epoch, self.own = seed, epoch, own
        generator = np.random.default_rng([seed, epoch])
        if balance == "sampling":
            self.order = _balanced(arrays, len(arrays.rows) // batch_size * batch_size, generator)
        else:
            self.order = generator.permutation(arrays.rows)
        self._ahead: dict[int, Future] = {}

    def __len__(self) -> int:
        return len(self.order) // self.batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Images ``(B, S, S, C)``, normalised, and masks ``(B, S, S, 1)`` or labels ``(B, 1)``, float32; volumes with their Z."""
        for near in range(index, min(index + AHEAD, len(self))):
            if near not in self._ahead:
                self._ahead[near] = _threads().submit(self._make, near)
        return self._ahead.pop(index).result()

    def draw(self, index: int) -> Draw:
        """Which slices make a batch, and what becomes of each."""
        rows = np.sort(self.order[index * self.batch_size : (index + 1) * self.batch_size])
        size, channels = self.arrays.images.shape[-2:]
        sequences = channels if self.arrays.sequences is None else self.arrays.sequences
        generator = np.random.default_rng([self.seed, self.epoch, index])
        matrices = augment.draw(self.augmentation, len(rows), size, generator)
        intensity = augment.draw_intensity(self.augmentation, len(rows), sequences, generator, self.arrays.reference)
        return Draw(rows, matrices, intensity)

    def _make(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows, matrices, intensity = self.draw(index)
        images, targets, scalings = self.arrays.take(rows)
        images, targets = augment.apply(images, targets, matrices)
        images = augment.apply_intensity(images, intensity)
        if self.own:
            images, targets = self.own(images, targets, np.random.default_rng([self.seed, self.epoch, index, 1]))
        return normalise(images, scalings), targets[..., None].astype(np.float32)


def _balanced(arrays: SliceArrays, count: int, generator: np.random.Generator) -> np.ndarray:
    """``count`` rows, every class equally often, within a class every row as often as any other, to within one."""
    if arrays.targets.ndim != 1:
        raise DataError(f"balance 'sampling' needs a label a slice, found targets of shape {arrays.targets.shape}")
    labels = arrays.targets[arrays.rows]
    classes = generator.permutation(np.unique(labels))  # where they do not divide evenly, chance says who gets one more
    if len(classes) < 2:
        raise DataError(f"balance 'sampling' needs two classes, all {len(labels)} training slices are of class {classes[0]}")
    drawn = []
    for place, number in enumerate(classes):
        own = arrays.rows[labels == number]
        share = (count - place + len(classes) - 1) // len(classes)
        drawn += [generator.permutation(own) for _ in range(share // len(own))]
        drawn.append(generator.permutation(own)[: share % len(own)])
    return generator.permutation(np.concatenate(drawn))


class ValidationBatches:
    """The validation part in order, untouched, the last batch possibly smaller."""

    def __init__(self, arrays: SliceArrays, batch_size: int):
        self.arrays, self.batch_size = arrays, batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.arrays.rows) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`TrainingBatches.__getitem__`."""
        rows = self.arrays.rows[index * self.batch_size : (index + 1) * self.batch_size]
        images, targets, scalings = self.arrays.take(rows)
        return normalise(images, scalings), targets[..., None].astype(np.float32)
