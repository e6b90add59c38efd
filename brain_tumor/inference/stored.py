"""What was predicted out of fold for a whole cohort, in one file: how other work than the cross-validation reads it.

``predictions.npz`` holds, a case, its probabilities ``(Z, H, W)`` uint8 at native size, 255 = 1, under its name, and its slice
numbers ``(Z,)`` under the name followed by ``.slices``.
"""

from pathlib import Path

import numpy as np

from brain_tumor.errors import DataError, FileError
from brain_tumor.evaluation import storage

PREDICTIONS = "predictions.npz"
NUMBERS = ".slices"


def cases(folder: Path) -> set[str]:
    """The cases that a cross-validation predicted."""
    with storage.arrays(folder / PREDICTIONS) as arrays:
        return {name for name in arrays.files if not name.endswith(NUMBERS)}


def load(folder: Path, case_id: str) -> tuple[np.ndarray, np.ndarray]:
    """One case of a cross-validation's predictions: slice numbers ``(Z,)`` and probabilities ``(Z, H, W)`` uint8, 255 = 1.

    Raises:
        DataError: there are no predictions, they are damaged, or this case is not among them.
    """
    path = folder / PREDICTIONS
    try:
        with storage.arrays(path) as arrays:
            if case_id not in arrays:
                raise DataError(f"{path}: no case {case_id!r} among its {len(arrays.files) // 2}: never tested, or unknown")
            return arrays[f"{case_id}{NUMBERS}"], arrays[case_id]
    except FileError as error:
        raise DataError(
            f"{path}: no out-of-fold predictions ({error.reason}); copy it again, or remove it and give the cross-validation's "
            "command again"
        ) from None
