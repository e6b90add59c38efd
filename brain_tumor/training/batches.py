"""NumPy batches made by threads while the network computes; each epoch is a pure function of seed and epoch number.

No `tf.data`: it would need TensorFlow on machines that have only JAX. Because nothing carries over from one epoch to the
next, a resumed run sees the very batches it would have seen.
"""

import functools
import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from brain_tumor.data.intensity import normalise
from brain_tumor.errors import DataError
from brain_tumor.training import augment, brightness, copy_paste

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
        reference: the channel that stands for a missing one in ``sequence_dropout``; of several planes, in the first.
        sequences: how many of the first channels are MRI; None for all.
        planes: of how many neighbouring slices an image has the sequences.
        owners: ``(N,)``, the patient of each row; needed for ``copy_paste``.
    """

    images: Images
    targets: np.ndarray
    scalings: np.ndarray
    rows: np.ndarray
    reference: int
    sequences: int | None = None
    planes: int = 1
    owners: np.ndarray | None = None

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """``(N,)``, the class of each slice; of masks, whether it shows tumour."""
        if self.targets.ndim == 1:
            return self.targets
        return np.array([target.any() for target in self.targets]).astype(np.uint8)

    @functools.cached_property
    def donors(self) -> np.ndarray:
        """The rows whose lesions :mod:`brain_tumor.training.copy_paste` takes."""
        return copy_paste.donors(self)

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.images[rows], self.targets[rows], self.scalings[rows]


class Draw(NamedTuple):
    """What chance decides of one batch.

    Attributes:
        rows: ``(B,)``, in ascending order.
        matrices, warp: how each slice is moved.
        intensity: how its brightness changes.
        lesions: ``(B,)``, the row whose lesion it gets, -1 for none; None where no slice gets one.
    """

    rows: np.ndarray
    matrices: np.ndarray
    intensity: brightness.IntensityChanges
    warp: augment.Warp | None = None
    lesions: np.ndarray | None = None


def _of(drawn: Any, rows: slice) -> Any:
    """What was drawn for some slices of a batch: of each array these rows; numbers hold for all."""
    if isinstance(drawn, np.ndarray):
        return drawn[rows]
    return type(drawn)(*(_of(part, rows) for part in drawn)) if isinstance(drawn, tuple) else drawn


class TrainingBatches:
    """One epoch: shuffled, augmented, whole batches only (what is left over changes with every epoch); made ahead of use.

    Args:
        balance: ``sampling`` draws every class equally often, to within one slice, in as many batches: of a large class some
            slices stay out this epoch, those of a small one come again. Of masks the classes are slices with and without tumour.
            ``none`` and ``weights`` draw each slice at most once.
        own: an augmentation of the user's, called after ours (:class:`brain_tumor.experiments.own.OwnCode`).
        share: which part of each batch is made, and of how many parts (:mod:`brain_tumor.training.parallel`). All parts together
            are the batch, whatever their number.

    Raises:
        DataError: too few slices for one batch; or ``sampling`` of a part that holds a single class.
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
        share: tuple[int, int] = (0, 1),
    ):
        if len(arrays.rows) < batch_size:
            raise DataError(f"{len(arrays.rows)} training slices do not fill one batch of {batch_size}")
        if balance not in BALANCES:
            raise DataError(f"unknown balance {balance!r}, expected one of {', '.join(BALANCES)}")
        self.arrays, self.batch_size, self.augmentation = arrays, batch_size, augmentation
        self.seed, self.epoch, self.own, self.share = seed, epoch, own, share
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
        sequences = (channels if self.arrays.sequences is None else self.arrays.sequences) // self.arrays.planes
        generator = np.random.default_rng([self.seed, self.epoch, index])
        matrices = augment.draw(self.augmentation, len(rows), size, generator)
        intensity = brightness.draw(self.augmentation, len(rows), sequences, generator, self.arrays.reference, self.arrays.planes)
        warp = augment.draw_warp(self.augmentation, len(rows), generator)
        lesions = None
        if self.augmentation.copy_paste:
            assert self.arrays.owners is not None
            lesions = copy_paste.draw(self.augmentation.copy_paste, rows, self.arrays.donors, self.arrays.owners, generator)
        return Draw(rows, matrices, intensity, warp, lesions)

    def _make(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        part, parts = self.share
        size = self.batch_size // parts
        draw = _of(self.draw(index), slice(part * size, (part + 1) * size)) if parts > 1 else self.draw(index)
        images, targets, scalings = self.arrays.take(draw.rows)
        if draw.lesions is not None:
            images, targets = copy_paste.apply(images, targets, scalings, draw.lesions, self.arrays)
        images, targets = augment.apply(images, targets, draw.matrices, draw.warp)
        images = brightness.apply(images, draw.intensity)
        if self.augmentation.rescale_copies:
            scalings = brightness.rescaled(scalings, draw.intensity)
        if self.own:
            images, targets = self.own(images, targets, np.random.default_rng([self.seed, self.epoch, index, 1]))
        return normalise(images, scalings), targets[..., None].astype(np.float32)


def _balanced(arrays: SliceArrays, count: int, generator: np.random.Generator) -> np.ndarray:
    """``count`` rows, every class equally often, within a class every row as often as any other, to within one."""
    labels = arrays.labels[arrays.rows]
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
