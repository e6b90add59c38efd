"""Errors that a person can act on: one line each, naming the file or value, what was found and what was expected.

The command line prints them without a traceback and exits with code 2. Anything else that escapes is a bug of ours.
"""


class BrainTumorError(Exception):
    """Base of every refusal made at one of the package's doors."""


class DataError(BrainTumorError):
    """A dataset, picture or table is not what its reader expects."""


class SplitError(BrainTumorError):
    """A split names unknown cases, repeats a case, or leaves a part empty."""


class ModelError(BrainTumorError):
    """A model, weight file or input size does not fit."""


class RunError(BrainTumorError):
    """A run folder is missing, unfinished, or belongs to another experiment."""
