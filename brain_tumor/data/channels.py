"""What a network is shown of a slice: its three sequences, FLAIR alone or with its neighbours, or a mask beside them.

Channels are chosen when slices are read, so one cache serves every choice. A copied FLAIR keeps its place in the middle: the
augmentation that replaces sequences by FLAIR then replaces a neighbour by the slice itself.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from brain_tumor.data.readers.lgg import FLAIR
from brain_tumor.errors import DataError

if TYPE_CHECKING:
    from brain_tumor.data.cache import Store

CHANNELS = ("sequences", "flair", "neighbours", "sequences+mask")
SEQUENCES = 3  # what a slice has, and a network is given some of
COUNTS = {"sequences": 3, "flair": 3, "neighbours": 3, "sequences+mask": 4}
IN_WORDS = {
    "sequences": "three sequences",
    "flair": "FLAIR alone",
    "neighbours": "FLAIR with its neighbours",
    "sequences+mask": "three sequences and an out-of-fold mask",
}
MASK_SCALING = np.array([[0], [255], [0], [1 / 255]], np.float32)  # low, high, offset, scale: 0-255 to 0-1 whatever the method


@dataclass(frozen=True)
class SliceInputs:
    """The slices of a store as a network takes them; read by rows, as an array is.

    Attributes:
        images: ``(N, S, S, 3)`` uint8 of the store.
        channels: a name of :data:`CHANNELS`: ``sequences`` (pre, FLAIR, post), ``flair`` (FLAIR three times, as source 003 has
            it), ``neighbours`` (the FLAIR of the slice before, of the slice and of the one after; at either end of an exam the
            slice itself stands in) or ``sequences+mask`` (a fourth channel, tumour probability, 255 = 1; row 003.11).
        before: ``(N,)`` int, the row of the slice before; ``after`` likewise.
        masks: ``(N, S, S)`` uint8 for ``sequences+mask``.
    """

    images: np.ndarray
    channels: str
    before: np.ndarray
    after: np.ndarray
    masks: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, S, S, C)``."""
        return *self.images.shape[:3], COUNTS[self.channels]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """``(n, S, S, C)`` uint8 of the rows, in their order."""
        if self.channels == "sequences":
            return self.images[rows]
        if self.channels == "flair":
            return np.repeat(self.images[rows][..., FLAIR : FLAIR + 1], 3, axis=-1)
        if self.channels == "neighbours":
            return np.stack([self.images[near][..., FLAIR] for near in (self.before[rows], rows, self.after[rows])], axis=-1)
        assert self.masks is not None
        return np.concatenate([self.images[rows], self.masks[rows][..., None]], axis=-1)


def slice_inputs(store: "Store", channels: str, masks: np.ndarray | None = None) -> SliceInputs:
    """A store's slices with the channels of that name.

    Args:
        masks: ``(N, S, S)`` uint8 probabilities, 255 = 1, at the store's size; for ``sequences+mask`` alone.

    Raises:
        DataError: masks are missing, or of another shape than the slices.
    """
    if channels == "sequences+mask" and (masks is None or masks.shape != store.masks.shape):
        given = "none" if masks is None else " x ".join(map(str, masks.shape))
        expected = " x ".join(map(str, store.masks.shape))
        raise DataError(f"{store.folder}: channels {channels} need masks of {expected}, found {given}")
    return SliceInputs(store.images, channels, *_neighbours(store.slices.case_id.to_numpy()), masks)


def exam_inputs(images: np.ndarray, channels: str) -> SliceInputs:
    """One exam's ``(Z, H, W, 3)`` uint8 with the channels of that name.

    Raises:
        DataError: ``sequences+mask``: its masks are there for a cohort, out of fold, and for no other exam.
    """
    if channels == "sequences+mask":
        raise DataError(
            f"channels {channels} need out-of-fold masks, which there are only for the cohort that they were made for"
        )
    return SliceInputs(images, channels, *_neighbours(np.zeros(len(images))))


def slice_scalings(store: "Store", channels: str, normalisation: str) -> np.ndarray:
    """``(N, 4, C)`` float32: the scaling that go with :func:`slice_inputs`."""
    return arranged(store.slice_scalings(normalisation), channels)


def arranged(scalings: np.ndarray, channels: str) -> np.ndarray:
    """Scalings ``(..., 4, 3)`` of the sequences as scalings ``(..., 4, C)`` of the channels."""
    if channels == "sequences":
        return scalings
    if channels == "sequences+mask":
        return np.concatenate([scalings, np.broadcast_to(MASK_SCALING, (*scalings.shape[:-1], 1))], axis=-1)
    return np.repeat(scalings[..., FLAIR : FLAIR + 1], 3, axis=-1)


def _neighbours(exam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The row before and the row after each, or the row itself where its exam ends; the rows of an exam lie together."""
    row, change = np.arange(len(exam)), exam[1:] != exam[:-1]
    return row - ~np.append(True, change), row + ~np.append(change, True)
