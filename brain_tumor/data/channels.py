"""The channels that a network takes of a slice: its sequences, one of them alone, either with its neighbours, or a mask beside.

Channels are chosen when slices are read, so one cache serves every choice. The one sequence is the cohort's reference: FLAIR
where there is one (:func:`brain_tumor.data.cohort.reference_of`). At either end of an exam the slice itself stands in for the
neighbour that is not there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from brain_tumor.data.cohort import reference_of, title_of
from brain_tumor.errors import DataError

if TYPE_CHECKING:
    from brain_tumor.data.cache import Store

CHANNELS = ("sequences", "flair", "neighbours", "sequences+neighbours", "sequences+mask")
WITH_NEIGHBOURS = ("neighbours", "sequences+neighbours")
COPIES, MIDDLE = 3, 1  # of the reference, as ImageNet's encoders expect; which of them stands for the others
PLANES = 3  # the slice before, the slice, the slice after
NUMBERS = {1: "one sequence", 2: "two sequences", 3: "three sequences", 4: "four sequences"}
MASK_SCALING = np.array([[0], [255], [0], [1 / 255]], np.float32)  # low, high, offset, scale: 0-255 to 0-1 whatever the method


@dataclass(frozen=True)
class SliceInputs:
    """The slices of a store as a network takes them; read by rows, as an array is.

    Attributes:
        images: ``(N, S, S, n)`` uint8 of the store, a channel a sequence.
        channels: a name of :data:`CHANNELS`: ``sequences`` (all of them: pre, FLAIR, post), ``flair`` (the reference three times,
            as source 003 has FLAIR), ``neighbours`` (the reference of the slice before, of the slice and of the one after; row
            004.25), ``sequences+neighbours`` (all sequences of these three slices) or ``sequences+mask`` (one more channel,
            tumour probability, 255 = 1; row 003.11).
        before: ``(N,)`` int, the row of the slice before; ``after`` likewise.
        masks: ``(N, S, S)`` uint8 for ``sequences+mask``.
        reference: the channel of ``images`` that ``flair`` and ``neighbours`` are of.
    """

    images: np.ndarray
    channels: str
    before: np.ndarray
    after: np.ndarray
    masks: np.ndarray | None = None
    reference: int = field(kw_only=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, S, S, C)``."""
        return *self.images.shape[:3], count(self.channels, self.images.shape[-1])

    @property
    def sequences(self) -> int:
        """How many of the network's first channels are MRI; a mask behind them is none."""
        return self.images.shape[-1] if self.channels == "sequences+mask" else self.shape[-1]

    @property
    def planes(self) -> int:
        """Of how many slices the channels are."""
        return PLANES if self.channels in WITH_NEIGHBOURS else 1

    @property
    def stand_in(self) -> int:
        """The network's channel that may stand for another one of its plane, which is then missing."""
        return {"flair": MIDDLE, "neighbours": 0}.get(self.channels, self.reference)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """``(n, S, S, C)`` uint8 of the rows, in their order."""
        if self.channels == "sequences":
            return self.images[rows]
        if self.channels == "flair":
            return np.repeat(self.images[rows][..., [self.reference]], COPIES, axis=-1)
        if self.channels in WITH_NEIGHBOURS:
            near = [self.images[row] for row in (self.before[rows], rows, self.after[rows])]
            return np.concatenate([of[..., [self.reference]] for of in near] if self.channels == "neighbours" else near, axis=-1)
        assert self.masks is not None
        return np.concatenate([self.images[rows], self.masks[rows][..., None]], axis=-1)


def count(channels: str, sequences: int) -> int:
    """How many channels a network takes under that name, of slices with so many sequences."""
    numbers = {"sequences": sequences, "sequences+mask": sequences + 1, "sequences+neighbours": PLANES * sequences}
    return numbers.get(channels, COPIES)


def in_words(channels: str, sequences: Sequence[str]) -> str:
    """``three sequences``, ``FLAIR alone``: what a network was shown of slices with those sequences."""
    number = NUMBERS.get(len(sequences), f"{len(sequences)} sequences")
    reference = title_of(sequences[reference_of(sequences)])
    words = {
        "flair": f"{reference} alone",
        "neighbours": f"{reference} with its neighbours",
        "sequences+neighbours": f"{number} with their neighbours",
    }
    return words.get(channels, f"{number} and an out-of-fold mask" if channels == "sequences+mask" else number)


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
    near = _neighbours(store.slices.case_id.to_numpy())
    return SliceInputs(store.images, channels, *near, masks, reference=store.cohort.reference)


def exam_inputs(images: np.ndarray, channels: str, reference: int) -> SliceInputs:
    """One exam's ``(Z, H, W, n)`` uint8 with the channels of that name.

    Raises:
        DataError: ``sequences+mask``: its masks are there for a cohort, out of fold, and for no other exam.
    """
    if channels == "sequences+mask":
        raise DataError(
            f"channels {channels} need out-of-fold masks, which there are only for the cohort that they were made for"
        )
    return SliceInputs(images, channels, *_neighbours(np.zeros(len(images))), reference=reference)


def slice_scalings(store: "Store", channels: str, normalisation: str) -> np.ndarray:
    """``(N, 4, C)`` float32: the scalings that go with :func:`slice_inputs`."""
    return arranged(store.slice_scalings(normalisation), channels, store.cohort.reference)


def arranged(scalings: np.ndarray, channels: str, reference: int) -> np.ndarray:
    """Scalings ``(..., 4, n)`` of the sequences as scalings ``(..., 4, C)`` of the channels."""
    if channels == "sequences":
        return scalings
    if channels == "sequences+mask":
        return np.concatenate([scalings, np.broadcast_to(MASK_SCALING, (*scalings.shape[:-1], 1))], axis=-1)
    if channels == "sequences+neighbours":
        return np.concatenate([scalings] * PLANES, axis=-1)
    return np.repeat(scalings[..., [reference]], COPIES, axis=-1)


def _neighbours(exam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The row before and the row after each, or the row itself where its exam ends; the rows of an exam lie together."""
    row, change = np.arange(len(exam)), exam[1:] != exam[:-1]
    return row - ~np.append(True, change), row + ~np.append(change, True)
