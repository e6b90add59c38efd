"""Which sequence a file of an exam holds, told by the words of its name as the field writes them.

``t1``, ``t1n``, ``t1w``, ``pre``; ``t1ce``, ``t1c``, ``t1gd``, ``post``; ``t2``, ``t2w``; ``flair``, ``fla``, ``t2f``.
"""

import re
from collections.abc import Iterable

from brain_tumor.data import nifti
from brain_tumor.data.cohort import FLAIR
from brain_tumor.data.memory import File

SPELLINGS = {
    "t1": ("t1", "t1n", "t1w", "pre"),
    "t1ce": ("t1ce", "t1c", "t1gd", "t1post", "post"),
    "t2": ("t2", "t2w"),
    FLAIR: (FLAIR, "fla", "t2f", "t2flair"),
}
LABELS = ("seg", "mask", "label")  # how words begin that name a segmentation
TRUTH = "ot"  # BraTS 2012 to 2016: "observed truth"
WORD = re.compile(r"[a-z0-9]+")


def words(file: File) -> list[str]:
    """The words of a file's name, in small letters, its ending left out."""
    return WORD.findall(nifti.stem(file).lower())


def kind_of(name: str) -> str | None:
    """The sequence that a word means, ``t1`` for ``pre``; None where it means none."""
    return next((kind for kind, spellings in SPELLINGS.items() if name.lower() in spellings), None)


def kind_of_file(file: File) -> str | None:
    """The sequence that a file's name says, by its last word that says one."""
    return next((kind for word in reversed(words(file)) if (kind := kind_of(word))), None)


def is_labels(file: File) -> bool:
    """Whether a file's name says that it holds labels and no picture."""
    return any(word.startswith(LABELS) or word == TRUTH for word in words(file))


def spelt(names: Iterable[str], kind: str) -> str | None:
    """The one of these names of sequences, such as a network's, that means ``kind``; None where none does."""
    return next((name for name in names if kind_of(name) == kind or name == kind), None)
