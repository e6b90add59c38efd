"""Errors that a person can act on: one line each, naming the file or value, what was found and what was expected.

The command line prints them without a traceback and exits with code 2. Anything else that escapes is a bug of ours.
"""

from collections.abc import Iterable

LARGEST_SEED = 2**32 - 1


class BrainTumorError(Exception):
    """Base of every refusal made at one of the package's doors."""


class DataError(BrainTumorError):
    """A dataset, picture or table is not what its reader expects."""


class UnfamiliarError(DataError):
    """An exam looks unlike what a network was trained on, so that its answer would mean nothing."""


class DataWarning(UserWarning):
    """What a reader passes over, or reads in a way that a person should know of; the work goes on."""


class SplitError(BrainTumorError):
    """A split names unknown cases, repeats a case, or leaves a part empty."""


class ModelError(BrainTumorError):
    """A model, weight file or input size does not fit."""


class RunError(BrainTumorError):
    """A run folder is missing, unfinished, or belongs to another experiment."""


class RunWarning(UserWarning):
    """What a run does otherwise than it was asked; the work goes on."""


class FileError(BrainTumorError, ValueError):
    """A file that this package wrote is gone, empty, cut short, or holds something else (:func:`brain_tumor.files.damaged`).

    It is a ValueError too: a reader that knows what the file is for catches it, and says what to do next.

    Attributes:
        reason: what is wrong, without the file's name.
    """

    reason = ""


def check_word(name: str, word: str, known: Iterable[str]) -> None:
    """Refuse a word that names nothing.

    Raises:
        ModelError: it is not among ``known``.
    """
    if word not in known:
        raise ModelError(f"unknown {name} {word!r}, expected one of {', '.join(known)}")


def check_seed(name: str, seed: int) -> None:
    """Refuse a seed that the generators of NumPy and Keras do not take.

    Raises:
        ModelError: it is below 0, or above 32 bits.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise ModelError(f"{name} {seed}, expected 0 to {LARGEST_SEED}")
