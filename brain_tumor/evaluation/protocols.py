"""Every Dice by its name. "Dice of two empty masks" has five answers in the field, and most slices of this data are empty.

Each protocol says what is averaged over what and what an empty slice counts, and is printed with the number of empty slices
and with the score of the all-empty prediction, which reads no image.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from brain_tumor.evaluation import intervals, overlap


@dataclass(frozen=True)
class Protocol:
    """One way to turn slice counts into one Dice.

    Attributes:
        name: its short name, used in tables and sidecars.
        means: the definition in words.
        per_patient: slice counts -> ``(patients, k)``, what the bootstrap draws.
        summarise: ``(patients, k)`` -> the score.
    """

    name: str
    means: str
    per_patient: Callable[[pd.DataFrame], np.ndarray]
    summarise: Callable[[np.ndarray], float]


def _all_slices(counts: pd.DataFrame) -> np.ndarray:
    scores = pd.Series(overlap.dice(counts.tp, counts.fp, counts.fn), counts.case_id.to_numpy())
    return scores.groupby(level=0).agg(["sum", "count"]).to_numpy(float)


def _tumour_slices(counts: pd.DataFrame) -> np.ndarray:
    return _all_slices(counts[counts.tp + counts.fn > 0])


def _pixel_counts(counts: pd.DataFrame) -> np.ndarray:
    return overlap.per_case(counts)[["tp", "fp", "fn"]].to_numpy(float)


def _patient_dice(counts: pd.DataFrame) -> np.ndarray:
    return overlap.per_case(counts)[["dice"]].to_numpy(float)


def _mean_of_sums(totals: np.ndarray) -> float:
    return float(totals[:, 0].sum() / totals[:, 1].sum()) if len(totals) else float("nan")


def _dice_of_sums(totals: np.ndarray) -> float:
    return float(overlap.dice(*totals.sum(axis=0)))


def _mean(scores: np.ndarray) -> float:
    return float(scores.mean())


def _median(scores: np.ndarray) -> float:
    return float(np.median(scores))


PROTOCOLS = (
    Protocol(
        "slice, empty = 1",
        "mean over all slices; a slice that is empty in truth and prediction counts 1 (source 004, fastai 1.x)",
        _all_slices,
        _mean_of_sums,
    ),
    Protocol("tumour slices", "mean over the slices whose truth holds tumour", _tumour_slices, _mean_of_sums),
    Protocol("pooled", "all pixels of all patients counted together", _pixel_counts, _dice_of_sums),
    Protocol("patient mean", "Dice of each patient's volume, mean over patients", _patient_dice, _mean),
    Protocol("patient median", "Dice of each patient's volume, median over patients", _patient_dice, _median),
)


def score(counts: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """All protocols at all sizes of a ``counts`` table.

    Returns:
        A row a protocol and size: ``protocol, size, dice, low, high`` (95 % over patients), ``floor`` (the all-empty
        prediction), ``patients, slices, empty_slices``.
    """
    rows = []
    for size, at_size in counts.groupby("size"):
        nothing = overlap.all_empty(at_size)
        for protocol in PROTOCOLS:
            table = protocol.per_patient(at_size)
            low, high = intervals.bootstrap(table, protocol.summarise, seed)
            rows.append(
                {
                    "protocol": protocol.name,
                    "size": int(size),
                    "dice": protocol.summarise(table),
                    "low": low,
                    "high": high,
                    "floor": protocol.summarise(protocol.per_patient(nothing)),
                    "patients": int(at_size.case_id.nunique()),
                    "slices": len(at_size),
                    "empty_slices": int((at_size.tp + at_size.fn == 0).sum()),
                }
            )
    return pd.DataFrame(rows)


def means(name: str) -> str:
    """A protocol's definition in words."""
    return next(protocol.means for protocol in PROTOCOLS if protocol.name == name)
