"""Every Dice by its name. "Dice of two empty masks" has five answers in the field, and most slices of this data are empty.

Each protocol says what is averaged over what and what an empty slice counts, and is printed with the number of empty slices and
with its floor: the best score of predictors that read no image, the all-empty prediction among them. All of them are arithmetic
on one ``counts`` table (:mod:`brain_tumor.evaluation.overlap`), so that one prediction can be read in everybody's words.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from brain_tumor.errors import DataError
from brain_tumor.evaluation import intervals, overlap

ALL_EMPTY = "all empty"
BATCH = 16
KEYS, PIXELS = overlap.KEYS, ("tp", "fp", "fn")
RANGE = "max - min"


@dataclass(frozen=True)
class Protocol:
    """One way to turn slice counts into one Dice.

    Attributes:
        name: its short name, used in tables and sidecars.
        means: the definition in words.
        per_patient: slice counts -> ``(patients, k)``, what the bootstrap draws: a row for every patient, ordered by ``case_id``.
        summarise: ``(..., patients, k)`` -> the score, ``(...)``; NaN where nothing counts.
    """

    name: str
    means: str
    per_patient: Callable[[pd.DataFrame], np.ndarray]
    summarise: Callable[[np.ndarray], np.ndarray]


def _slice_sums(counts: pd.DataFrame, empty: float = 1.0, tumour_only: bool = False) -> np.ndarray:
    """Each patient's sum of slice Dice and number of slices that count: those whose Dice is not NaN."""
    tp, fp, fn = (counts[name].to_numpy() for name in PIXELS)
    scores = overlap.dice(tp, fp, fn, empty)
    if tumour_only:
        scores = np.where(tp + fn > 0, scores, np.nan)
    return overlap.sums_by_case(counts.case_id, [np.nan_to_num(scores), ~np.isnan(scores)])[1]


def _pixel_counts(counts: pd.DataFrame) -> np.ndarray:
    return overlap.sums_by_case(counts.case_id, [counts[name] for name in PIXELS])[1]


def _patient_dice(counts: pd.DataFrame) -> np.ndarray:
    return overlap.dice(*_pixel_counts(counts).T)[:, None]


def _running_counts(counts: pd.DataFrame) -> np.ndarray:
    """Each patient's hits, errors and slices summed up to each slice, from none to all: ``(patients, 3 * (most slices + 1))``.

    Any run of slices is then one sum minus another, whoever lies before the patient in a draw.
    """
    patient, names = pd.factorize(counts.case_id, sort=True)
    order = np.lexsort((counts["slice"].to_numpy(), patient))
    tp, fp, fn = (counts[name].to_numpy()[order] for name in PIXELS)
    patient, slices = patient[order], np.bincount(patient, minlength=len(names))
    place = np.arange(1, len(order) + 1) - (slices.cumsum() - slices)[patient]  # of a slice in its patient, from 1
    running = np.zeros((len(names), slices.max(initial=0) + 1, 3))
    running[patient, place] = np.stack([tp, fp + fn, np.ones(len(order))], axis=1)
    return running.cumsum(axis=1).reshape(len(names), -1)


def _mean_of_sums(totals: np.ndarray) -> np.ndarray:
    total, slices = np.moveaxis(totals.sum(axis=-2), -1, 0)
    return np.divide(total, slices, out=np.full(np.shape(total), np.nan), where=slices > 0)


def _dice_of_sums(totals: np.ndarray) -> np.ndarray:
    return overlap.dice(*np.moveaxis(totals.sum(axis=-2), -1, 0))


def _mean(scores: np.ndarray) -> np.ndarray:
    return scores[..., 0].mean(axis=-1)


def _median(scores: np.ndarray) -> np.ndarray:
    return np.median(scores[..., 0], axis=-1)


def _mean_of_batches(running: np.ndarray, batch: int) -> np.ndarray:
    """Lays the slices of all patients end to end, cuts every ``batch`` of them, and averages the pieces' Dice by their size."""
    *draws, patients, k = running.shape
    running = running.reshape(-1, patients, k // 3, 3)
    totals = running[:, :, -1]
    after = totals.cumsum(axis=1)  # hits, errors and slices up to and with each patient
    slices = after[:, -1, 2]
    cuts = np.minimum(np.arange(0, slices.max() + batch, batch), slices[:, None])
    draw = np.arange(len(running))[:, None]
    # The patient in whom a cut falls; draws are put one behind the other so that one search serves all.
    apart = draw * (slices.max() + 1)
    at = np.searchsorted((after[..., 2] + apart).ravel(), (cuts + apart).ravel()).reshape(cuts.shape) - draw * patients
    before = after[draw, at] - totals[draw, at]
    summed = before + running[draw, at, (cuts - before[..., 2]).astype(int)]
    hits, errors, sizes = np.moveaxis(np.diff(summed, axis=1), -1, 0)
    scores = (overlap.dice(hits, errors, 0) * sizes).sum(axis=-1) / slices
    return scores.reshape(draws)


def batch_pooled(batch: int = BATCH) -> Protocol:
    """What a metric called once a batch reports; it depends on the batch size and on the order of the slices."""
    return Protocol(
        f"batches of {batch}",
        f"pixels of {batch} consecutive slices, in the order of cases, counted together; mean over batches, by their size; an "
        "empty batch counts 1 (early fastai 1.0, metrics of many Keras projects); for its interval, drawn patients are cut anew",
        _running_counts,
        partial(_mean_of_batches, batch=batch),
    )


PROTOCOLS = (
    Protocol(
        "slice, empty = 1",
        "mean over all slices; a slice that is empty in truth and prediction counts 1 (source 004, fastai 1.x)",
        _slice_sums,
        _mean_of_sums,
    ),
    Protocol(
        "slice, empty = 0",
        "mean over all slices; a slice that is empty in truth and prediction counts 0 (a small constant in the denominator only)",
        partial(_slice_sums, empty=0.0),
        _mean_of_sums,
    ),
    Protocol(
        "slice, NaN-mean",
        "mean over the slices that are not empty in both; a false alarm on an empty slice counts 0 (nnU-Net)",
        partial(_slice_sums, empty=np.nan),
        _mean_of_sums,
    ),
    Protocol(
        "tumour slices",
        "mean over the slices whose truth holds tumour",
        partial(_slice_sums, tumour_only=True),
        _mean_of_sums,
    ),
    batch_pooled(),
    Protocol("pooled", "all pixels of all patients counted together", _pixel_counts, _dice_of_sums),
    Protocol("patient mean", "Dice of each patient's volume, mean over patients", _patient_dice, _mean),
    Protocol("patient median", "Dice of each patient's volume, median over patients", _patient_dice, _median),
)


def named(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        DataError: there is none.
    """
    matches = [protocol for protocol in PROTOCOLS if protocol.name == name]
    if not matches:
        raise DataError(f"no Dice is named {name!r}, expected one of: {'; '.join(protocol.name for protocol in PROTOCOLS)}")
    return matches[0]


def means(name: str) -> str:
    """A protocol's definition in words."""
    return named(name).means


def dice(protocol: Protocol, counts: pd.DataFrame) -> float:
    """One protocol's score of the rows of one size."""
    return float(protocol.summarise(protocol.per_patient(counts))) if len(counts) else float("nan")


def floor(protocol: Protocol, floors: Mapping[str, pd.DataFrame]) -> tuple[float, str]:
    """The highest score that reading no image reaches, and whose it is; ``floors`` as of :func:`floors_on`, or rows of each."""
    best, best_name = float("nan"), ALL_EMPTY
    for name, table in floors.items():
        value = dice(protocol, table)
        if value > best or (np.isnan(best) and not np.isnan(value)):
            best, best_name = value, name
    return best, best_name


def floors_on(counts: pd.DataFrame, floor_counts: Mapping[str, pd.DataFrame] | None) -> dict[str, pd.DataFrame]:
    """What predictors that read no image score on the slices of ``counts`` (rows of one size), row by row as they lie there.

    Args:
        floor_counts: a predictor's name -> its counts on the same slices; one without rows of that size is left out.

    Returns:
        A predictor's name -> its counts; the prediction that calls no pixel is always among them, and first.

    Raises:
        DataError: a floor was counted on other slices.
    """
    at_size = {name: table[table["size"].isin(counts["size"])] for name, table in (floor_counts or {}).items()}
    aligned = {name: _aligned(counts, table, f"floor {name!r}") for name, table in at_size.items() if len(table)}
    return {ALL_EMPTY: overlap.all_empty(counts), **aligned}


def score(counts: pd.DataFrame, floor_counts: Mapping[str, pd.DataFrame] | None = None) -> pd.DataFrame:
    """All protocols at all sizes of a ``counts`` table.

    Args:
        floor_counts: a predictor that reads no image -> its ``counts`` on the same slices (:func:`floors_on`).

    Returns:
        A row a protocol and size: ``protocol, size, dice, low, high`` (95 % over patients), ``floor`` and ``floor_name``
        (:func:`floor`), ``patients, slices, empty_slices``. A score below its floor is worth nothing.

    Raises:
        DataError: a floor was counted on other slices.
    """
    rows = []
    for size, at_size in counts.groupby("size"):
        floors, empty = floors_on(at_size, floor_counts), int((at_size.tp + at_size.fn == 0).sum())
        about = {"patients": at_size.case_id.nunique(), "slices": len(at_size), "empty_slices": empty}
        for protocol in PROTOCOLS:
            table = protocol.per_patient(at_size)
            value, (low, high) = protocol.summarise(table), intervals.bootstrap(table, protocol.summarise, vectorised=True)
            row = {"protocol": protocol.name, "size": int(size), "dice": float(value), "low": low, "high": high}
            best, best_name = floor(protocol, floors)
            rows.append(row | {"floor": best, "floor_name": best_name} | about)
    return pd.DataFrame(rows)


def compare(counts: pd.DataFrame, against: pd.DataFrame, margin: float | None = None) -> pd.DataFrame:
    """Two predictions of the same slices under every protocol, paired by patient (:func:`intervals.paired`).

    Args:
        margin: the loss in Dice that would still be accepted, stated beforehand; None asks only which is better.

    Returns:
        A row a protocol and size: ``protocol, size, difference, low, high, verdict, half_width, patients_needed`` (missing where
        it is decided, or a million would not do), ``p_value, patients``.

    Raises:
        DataError: the two were counted on other slices, or the margin is not above 0.
    """
    against = _aligned(counts, against, "the other prediction")
    other = dict(iter(against.groupby("size")))
    rows = []
    for size, at_size in counts.groupby("size"):
        for protocol in PROTOCOLS:
            tables = protocol.per_patient(at_size), protocol.per_patient(other[size])
            comparison = intervals.paired(*tables, protocol.summarise, margin=margin, vectorised=True)
            facts = {fact: getattr(comparison, fact) for fact in intervals.TOLD}
            rows.append({"protocol": protocol.name, "size": int(size)} | facts)
    return pd.DataFrame(rows).astype({"patients_needed": "Int64"})


def spread(counts_by_variant: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """How far apart the numbers lie that one prediction can be given.

    Args:
        counts_by_variant: what was done to the prediction (another threshold, the largest component only) -> its ``counts``; a
            variant of several sizes becomes a column a size.

    Returns:
        A row a protocol and a column a variant; the last column and the last row, both ``max - min``, are the range over variants
        and over protocols, and their corner that of the whole table.
    """
    columns = {name: [dice(protocol, rows) for protocol in PROTOCOLS] for name, rows in _variants(counts_by_variant)}
    table = pd.DataFrame(columns, index=pd.Index([protocol.name for protocol in PROTOCOLS], name="protocol"))
    ranges = (table.max() - table.min()).rename(RANGE).to_frame().T
    ranges[RANGE] = np.nanmax(table.to_numpy()) - np.nanmin(table.to_numpy())
    table[RANGE] = table.max(axis=1) - table.min(axis=1)
    return pd.concat([table, ranges]).rename_axis("protocol")


def _variants(counts_by_variant: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, pd.DataFrame]]:
    for name, counts in counts_by_variant.items():
        sizes = list(counts.groupby("size"))
        for size, rows in sizes:
            yield (f"{name}, {size} px" if len(sizes) > 1 else name), rows


def _aligned(counts: pd.DataFrame, other: pd.DataFrame, what: str) -> pd.DataFrame:
    """The other's rows in the order of ``counts``.

    Raises:
        DataError: they are of other slices.
    """
    if len(counts) == len(other) and all((counts[key].to_numpy() == other[key].to_numpy()).all() for key in KEYS):
        return other
    differing = pd.concat([counts[KEYS], other[KEYS]]).drop_duplicates(keep=False)
    if len(differing) or len(counts) != len(other):
        extra = f"{len(differing)} differ, first {tuple(differing.iloc[0])}" if len(differing) else "some are doubled"
        raise DataError(f"{what}: {len(other)} slices, expected the same {len(counts)} ({extra})")
    return counts[KEYS].merge(other, on=KEYS)
