"""What the numbers of a folder's files mean: a mask, labels, or probabilities. Decided for all files at once, and said.

One file alone can mislead: a nearly empty prediction of 8 bits holds 0 and 1 as a mask does. What two readings fit is refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brain_tumor.errors import DataError

MANY = 17  # distinct numbers: more than a label map of this field holds
FULL = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}  # what stands for 1 in a picture of that type


@dataclass(frozen=True)
class Levels:
    """How the numbers of a folder are read.

    Attributes:
        full: the number that stands for a probability of 1; 0 of masks and labels.
        labels: those that are tumour; empty: every number above 0.
    """

    full: float = 0.0
    labels: tuple[int, ...] = ()

    @property
    def hard(self) -> bool:
        """Masks, which hold no probabilities."""
        return not self.full

    def __str__(self) -> str:
        if not self.hard:
            return "probabilities from 0 to 1" if self.full == 1 else f"probabilities, {self.full:g} = 1"
        return f"masks, tumour where the label is {' or '.join(map(str, self.labels))}" if self.labels else "masks"

    def tumour(self, planes: np.ndarray) -> np.ndarray:
        """The mask of planes ``(Z, H, W)``: uint8 in {0, 1}."""
        return (np.isin(planes, self.labels) if self.labels else planes > 0).astype(np.uint8)

    def probability(self, planes: np.ndarray, threshold: float) -> np.ndarray:
        """Planes ``(Z, H, W)`` as uint8, 255 = 1; each pixel stays on the side of the threshold on which its own number lies."""
        if self.hard:
            return self.tumour(planes) * np.uint8(255)
        if planes.dtype == np.uint8 and self.full == 255:
            return planes
        share = planes.astype(np.float64) / self.full
        rounded = np.rint(share * 255)
        highest_below = np.floor(threshold * 255)
        rounded = np.where(share > threshold, np.maximum(rounded, highest_below + 1), np.minimum(rounded, highest_below))
        return rounded.astype(np.uint8)


@dataclass(frozen=True)
class Numbers:
    """What stands in one file: its distinct numbers where they are few, its bounds, its type, and what it says of itself."""

    distinct: tuple[float, ...]  # of more than MANY, only those bounds
    many: bool
    whole: bool
    dtype: np.dtype
    bytes_of_one: bool


def numbers(planes: np.ndarray, bytes_of_one: bool, source: Path) -> Numbers:
    """Look at a file's numbers.

    Raises:
        DataError: a number that is none, or below 0.
    """
    distinct = np.unique(planes)
    low, high = float(distinct[0]), float(distinct[-1])
    if not np.isfinite([low, high]).all() or low < 0:
        raise DataError(f"{source}: numbers from {low:g} to {high:g}, expected a mask, labels, or probabilities from 0 to 1")
    many = len(distinct) >= MANY
    whole = distinct.dtype.kind in "bui" or bool((distinct == np.rint(distinct)).all())
    return Numbers((low, high) if many else tuple(map(float, distinct)), many, whole, planes.dtype, bytes_of_one)


def of_truth(files: Iterable[Numbers], root: Path, labels: tuple[int, ...]) -> Levels:
    """How masks are read.

    Raises:
        DataError: they hold probabilities, or several labels of which none was named.
    """
    looked_at = list(files)
    positive = _positive(looked_at)
    if not all(each.whole for each in looked_at) or any(each.bytes_of_one for each in looked_at):
        raise DataError(f"{root}: holds probabilities, expected masks: 0 and 1, 0 and 255, or labels")
    return _masks(looked_at, positive, root, labels)


def of_predictions(files: Iterable[Numbers], root: Path, labels: tuple[int, ...], probabilities: bool) -> Levels:
    """How predictions are read.

    Args:
        labels: those that are tumour, where the files are label maps.
        probabilities: the files' integers are probabilities, 255 = 1 (of 16 bits: 65535 = 1).

    Raises:
        DataError: numbers above 1 that are not whole, files of several kinds, or integers that may be labels or probabilities.
    """
    looked_at = list(files)
    positive = _positive(looked_at)
    types = {each.dtype for each in looked_at}
    if any(each.bytes_of_one for each in looked_at):
        if not all(each.bytes_of_one for each in looked_at):
            raise DataError(f"{root}: some volumes hold probabilities, others do not; expected one kind")
        return Levels(255)
    if not all(each.whole for each in looked_at):
        if positive and max(positive) > 1:
            raise DataError(f"{root}: numbers up to {max(positive):g}, expected probabilities from 0 to 1")
        return Levels(1.0)
    full = FULL.get(next(iter(types))) if len(types) == 1 else None
    if probabilities:
        if full is None:
            raise DataError(f"{root}: --probabilities is of 8 or 16 bits, these files hold {', '.join(sorted(map(str, types)))}")
        return Levels(full)
    if full and any(each.many for each in looked_at) and max(positive) > full / 2:
        return Levels(full)
    return _masks(looked_at, positive, root, labels)


def _positive(files: list[Numbers]) -> set[float]:
    return {number for each in files for number in each.distinct if number > 0}


def _masks(files: list[Numbers], positive: set[float], root: Path, labels: tuple[int, ...]) -> Levels:
    if labels:
        strange = positive - set(labels)
        if positive and strange == positive and any(each.many for each in files):
            raise DataError(f"{root}: many numbers up to {max(positive):g}, expected labels such as {labels[0]}")
        return Levels(labels=labels)
    if len(positive) > 1 or any(each.many for each in files):
        several = ", ".join(f"{number:g}" for number in sorted(positive)[:6])
        raise DataError(
            f"{root}: numbers {several}{' ...' if len(positive) > 6 or any(each.many for each in files) else ''}; say which are "
            "tumour (--label 1 --label 2), or of predictions that 255 is a probability of 1 (--probabilities)"
        )
    return Levels()
