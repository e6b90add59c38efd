"""The resolution ceiling: the score of the truth itself, resized to the network's working size and back.

A network that works at 128 px cannot draw an outline of 256 px exactly. The ceiling is what a perfect prediction at the working
size reaches at native size; a score that comes near it has nothing left to win but a larger working size.
"""

import numpy as np
import pandas as pd

from brain_tumor.errors import DataError
from brain_tumor.evaluation import overlap, protocols

COLUMNS = (*overlap.KEYS, "tp", "fp", "fn")


def count(returned: np.ndarray, truth: np.ndarray) -> pd.DataFrame:
    """Count the pixels of the truth that came back, of slices with tumour only: an empty mask comes back empty.

    Args:
        returned: ``(Z, H, W)`` uint8, 255 = 1: the truth resized to the working size and back, as a prediction is.
        truth: ``(Z, H, W)`` in {0, 1}.

    Returns:
        ``tp, fp, fn``, a row a plane with tumour, indexed by plane.
    """
    counts = overlap.count(returned, truth)[["tp", "fp", "fn"]]
    return counts[counts.tp + counts.fn > 0]


def beside(scores: pd.DataFrame, counts: pd.DataFrame, ceiling: pd.DataFrame | None) -> pd.DataFrame:
    """The scores with a column ``ceiling``: the same protocol of the truth that came back.

    Args:
        scores: :func:`brain_tumor.evaluation.protocols.score` of ``counts``.
        ceiling: rows of :func:`count` with :data:`overlap.KEYS`; None of a run that was scored before there were ceilings,
            whose scores stay as they are.

    Returns:
        The column is NaN at a size that ``ceiling`` does not speak of.

    Raises:
        DataError: ``ceiling`` is of other slices.
    """
    if ceiling is None:
        return scores
    values: dict[tuple, float] = {}
    for size, at_size in counts.groupby("size"):
        rows = ceiling[ceiling["size"] == size]
        if len(rows):
            returned = _on_the_slices_of(at_size, rows)
            values |= {(protocol.name, size): protocols.dice(protocol, returned) for protocol in protocols.PROTOCOLS}
    column = [values.get(key, np.nan) for key in zip(scores.protocol, scores["size"], strict=True)]
    with_ceiling = scores.copy()
    with_ceiling.insert(scores.columns.get_loc("floor_name") + 1, "ceiling", column)
    return with_ceiling


def _on_the_slices_of(counts: pd.DataFrame, ceiling: pd.DataFrame) -> pd.DataFrame:
    """The ceiling's counts on the same slices; the ones without tumour hold no pixel."""
    merged = counts[overlap.KEYS].merge(ceiling[list(COLUMNS)], how="left", on=overlap.KEYS)
    tumour = (counts.tp + counts.fn).to_numpy()
    came_back = (merged.tp + merged.fn).fillna(0).to_numpy()
    if len(merged) != len(counts) or not np.array_equal(tumour, came_back) or merged.tp.notna().sum() != len(ceiling):
        raise DataError(f"the ceiling is of other slices, or of another truth, than the {len(counts)} that were counted")
    returned = merged.fillna({"tp": 0, "fp": 0, "fn": 0}).astype({"tp": int, "fp": int, "fn": int})
    pixels = (counts.tp + counts.fp + counts.fn + counts.tn).to_numpy()
    return returned.assign(tn=pixels - returned.tp - returned.fp - returned.fn)
