"""What both sides are fed: the slices of one cohort, and this project's batches of them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brain_tumor.data import splits
from brain_tumor.data.cache import open_store
from brain_tumor.data.readers.lgg import read_cohort
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.batches import SliceArrays, TrainingBatches

SIZE, BATCH, SPLIT = 128, 16, "source-004"
DTYPES = {"float32": "float32", "mixed_bfloat16": "bfloat16"}  # of a run -> of its matrix products
SIDES = (1024, 2048, 4096)  # of the matrix products that show what the machine can do


@dataclass(frozen=True)
class Material:
    """Slices at one size, as training takes them, normalised as by the default recipe.

    Attributes:
        arrays: all slices of the cohort.
        slices: a row a slice: ``case_id, slice, tumour_px``.
        cases: a row an exam.
    """

    arrays: SliceArrays
    slices: object
    cases: object

    def of(self, rows: np.ndarray) -> SliceArrays:
        """The slices of these rows alone."""
        return replace(self.arrays, rows=np.asarray(rows))

    def rows(self, part: str, validation: float, split: str = SPLIT) -> np.ndarray:
        """The rows of a part of a split."""
        return splits.named(split, self.cases, self.slices, validation).rows(part, self.slices)

    def endless(self, batch: int = BATCH) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
        """``batch_of(number)``: augmented training batches without end."""
        epochs: dict[int, TrainingBatches] = {}

        def batch_of(number: int) -> tuple[np.ndarray, np.ndarray]:
            epoch, index = divmod(number, len(self.arrays.rows) // batch)
            if epoch not in epochs:
                epochs.clear()
                epochs[epoch] = TrainingBatches(self.arrays, batch, Augmentation(), 0, epoch)
            return epochs[epoch][index]

        return batch_of


def open_material(root: str, size: int = SIZE) -> Material:
    """The slices of a cohort's folder; its caches are written to ``BRAIN_TUMOR_HOME``."""
    store = open_store(read_cohort(Path(root)), size)
    arrays = SliceArrays(
        store.images, store.masks, store.slice_scalings("volume"), np.arange(len(store.slices)), reference=store.cohort.reference
    )
    return Material(arrays, store.slices, store.cases)


def seconds(action: Callable) -> float:
    """How long ``action()`` takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
