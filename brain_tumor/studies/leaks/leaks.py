"""How much of a score is the split? Floors over several draws of it, and two predictors paired by patient on the same slices.

Nothing here trains or predicts. Floors are drawn from labels and masks; comparisons read the tables that scored runs left behind.
The leak is the difference between a run that saw other slices of its test patients and one that did not
(:func:`brain_tumor.data.splits.leak_pair`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import pandas as pd

from brain_tumor.data import splits
from brain_tumor.data.cache import Store, open_store
from brain_tumor.errors import DataError
from brain_tumor.evaluation import detection, floors, overlap, protocols
from brain_tumor.evaluation.classification import image_free
from brain_tumor.evaluation.intervals import Comparison
from brain_tumor.evaluation.storage import read_table
from brain_tumor.progress import tracked

OUTLINES = ("patient mean", "slice, empty = 1", "tumour slices", "pooled")  # of a segmentation: Dice by these names
CALLS = ("accuracy", "AUC")  # of a classification
THRESHOLD = 0.5  # of a slice's probability, as in every recipe; fixed before training
ALL = "all draws"
KEYS = ["case_id", "slice"]
PAIRED = ["measure", "difference", "low", "high", "p_value", "verdict", "patients_needed", "patients"]


@dataclass(frozen=True)
class Scored(ABC):
    """The scored slices of a run, or of several that share no patient.

    Attributes:
        slices: a row a slice.
        floors: the same of every predictor that reads no image on the same split, told apart by a column ``floor``.
    """

    MEASURES: ClassVar[tuple[str, ...]]
    slices: pd.DataFrame
    floors: pd.DataFrame

    @abstractmethod
    def scores(self) -> pd.DataFrame:
        """``measure, score, low, high, floor, floor_name, patients, slices, empty_slices``, of more measures than these."""

    @abstractmethod
    def minus(self, other: Self) -> pd.DataFrame:
        """The paired comparison with the same slices of another run, with a column ``measure``."""

    @abstractmethod
    def by_patient(self) -> pd.Series:
        """A patient's own score, indexed by ``case_id``."""


class Outlines(Scored):
    """Of a segmentation: its slices are the ``counts`` of one size (:mod:`brain_tumor.evaluation.overlap`)."""

    MEASURES = OUTLINES

    def scores(self) -> pd.DataFrame:
        """Every Dice by its name."""
        table = protocols.score(self.slices, floor_counts=dict(list(self.floors.groupby("floor", sort=False))))
        return table.rename(columns={"protocol": "measure", "dice": "score"})

    def minus(self, other: Self) -> pd.DataFrame:
        """As :func:`brain_tumor.evaluation.protocols.compare`."""
        return protocols.compare(self.slices, other.slices).rename(columns={"protocol": "measure"})

    def by_patient(self) -> pd.Series:
        """Dice of the scored slices of the patient's volume."""
        return overlap.per_case(self.slices).dice


class Calls(Scored):
    """Of a classification: its slices are ``case_id, slice, tumour, probability``."""

    MEASURES = CALLS

    def scores(self) -> pd.DataFrame:
        """Every measure of detection."""
        table = detection.score_with_floors(self.slices, self.floors, THRESHOLD).rename(columns={"value": "score"})
        return table.assign(empty_slices=table.slices - table.tumour_slices)

    def minus(self, other: Self) -> pd.DataFrame:
        """As :func:`brain_tumor.evaluation.detection.compare`."""
        return detection.compare(self.slices, other.slices, THRESHOLD, THRESHOLD)

    def by_patient(self) -> pd.Series:
        """Accuracy over the patient's slices."""
        right = (self.slices.probability > THRESHOLD) == self.slices.tumour.astype(bool)
        return right.groupby(self.slices.case_id).mean()


def floor_draws(store: Store, split: str, seeds: Sequence[int], size: int) -> pd.DataFrame:
    """Every image-free predictor on several draws of a split, masks at ``size`` pixels.

    Args:
        store: at native size.
        split: a named split that is drawn, such as ``source-002`` or ``ratio-15``.

    Returns:
        A row a draw, predictor and measure: ``split, seed, floor, measure, value``. A predictor that is not applicable has none.
    """
    masks, tables = open_store(store.cohort, size).masks, []
    for seed in tracked(seeds, f"floors of {split}", len(seeds)):
        dealt = splits.named(split, store.cases, store.slices, seed=seed)
        train, test = (dealt.rows(part, store.slices) for part in ("train", "test"))
        calls, outlines = image_free(store.slices, train, test), floors.segmentation_counts(store.slices, masks, train, test)
        values = [(name, *value) for name, rows in calls.groupby("floor", sort=False) for value in _call_values(rows)]
        values += [(name, *value) for name, rows in outlines.groupby("floor", sort=False) for value in _outline_values(rows)]
        tables.append(pd.DataFrame(values, columns=["floor", "measure", "value"]).assign(split=split, seed=seed))
    return pd.concat(tables, ignore_index=True)[["split", "seed", "floor", "measure", "value"]]


def floor_spread(draws: pd.DataFrame) -> pd.DataFrame:
    """:func:`floor_draws` over its draws: ``measure, floor, split, mean, sd, lowest, highest, draws``, first met first."""
    kinds = draws.groupby(["measure", "floor", "split"], sort=False).value
    return kinds.agg(mean="mean", sd="std", lowest="min", highest="max", draws="count").reset_index()


def best_floors(spread: pd.DataFrame) -> pd.DataFrame:
    """The rows of :func:`floor_spread` whose predictor is the best on average of its split and measure."""
    return spread.loc[spread.groupby(["measure", "split"], sort=False)["mean"].idxmax()].reset_index(drop=True)


def read(folder: Path, size: int | None = None) -> Scored:
    """What a scored run left in its folder.

    Args:
        size: of a segmentation run, the size in pixels at which it was counted; None for a classification run.

    Raises:
        DataError: the run has not been scored, or not at that size.
    """
    names = ("slices.csv" if size is None else "counts.csv", "floors.csv")
    if absent := [folder / name for name in names if not (folder / name).is_file()]:
        raise DataError(f"{absent[0]}: not there; score the run first: brain-tumor evaluate {folder.name}")
    tables = [read_table(folder / name) for name in names]
    if size is not None:
        counted = sorted(set(tables[0]["size"]))
        if size not in counted:
            raise DataError(f"{folder / names[0]}: counted at {' and '.join(map(str, counted))} px, expected {size}")
        tables = [table[table["size"] == size].reset_index(drop=True) for table in tables]
    return (Calls if size is None else Outlines)(*tables)


def together(scored: Iterable[Scored]) -> Scored:
    """Runs that share no patient as one: each patient is scored by the run that held them out.

    A floor that is not applicable to one of them is left out.

    Raises:
        DataError: a patient is in two of them.
    """
    parts = list(scored)
    patients = pd.Series([case_id for part in parts for case_id in part.slices.case_id.unique()], dtype=str)
    doubled = sorted(patients[patients.duplicated()].unique())
    if doubled:
        raise DataError(f"{len(doubled)} patients are scored by several runs, such as {doubled[0]}; expected each by one")
    common = set.intersection(*(set(part.floors.floor) for part in parts))
    rows = pd.concat([part.floors for part in parts], ignore_index=True)
    slices = pd.concat([part.slices for part in parts], ignore_index=True)
    return type(parts[0])(slices, rows[rows.floor.isin(common)].reset_index(drop=True))


def shared(one: Scored, other: Scored) -> tuple[Scored, Scored]:
    """Both on those slices alone that both were scored on.

    Raises:
        DataError: there are none.
    """
    keys = one.slices[KEYS].merge(other.slices[KEYS], on=KEYS).sort_values(KEYS)
    if keys.empty:
        raise DataError("the two were scored on no slice in common")
    first, second = (
        type(scored)(*(keys.merge(table, on=KEYS) for table in (scored.slices, scored.floors))) for scored in (one, other)
    )
    return first, second


def leak_pairs(scored: Mapping[str, Scored]) -> dict[str, tuple[Scored, Scored]]:
    """The runs on ``leaky-I-of-K`` and ``clean-I-of-K``, paired: all draws together first, then each.

    Args:
        scored: a split's name -> its scored run; other splits are passed over.

    Raises:
        DataError: a draw has one of the two only, or there is no draw.
    """
    pairs = {}
    for clean in sorted(name for name in scored if name.startswith("clean-")):
        leaky = clean.replace("clean", "leaky", 1)
        if leaky not in scored:
            raise DataError(f"no run on {leaky}, expected one to set beside {clean}")
        pairs[f"draw {clean.split('-')[1]}"] = (scored[leaky], scored[clean])
    if not pairs:
        raise DataError("no run on a split such as clean-1-of-3, expected at least one")
    all_leaky, all_clean = zip(*pairs.values(), strict=True)
    return {ALL: (together(all_leaky), together(all_clean))} | pairs


def scores(scored: Scored) -> pd.DataFrame:
    """A row a measure: ``measure, score, low, high, floor, floor_name, patients, slices, empty_slices``.

    ``low, high`` are the 95 % interval over patients; an empty slice is one without tumour.
    """
    columns = ["measure", "score", "low", "high", "floor", "floor_name", "patients", "slices", "empty_slices"]
    return _measures_of(scored.scores(), scored)[columns]


def differences(one: Scored, other: Scored) -> pd.DataFrame:
    """The first's scores minus the second's, paired by patient.

    Returns:
        A row a measure: ``measure, difference, low, high`` (95 % over patients), ``p_value`` (from the same draws), ``verdict,
        patients_needed, patients``, as in :class:`brain_tumor.evaluation.intervals.Comparison`.

    Raises:
        DataError: the two were scored on other slices.
    """
    return _measures_of(one.minus(other), one)[PAIRED]


def comparison_table(pairs: Mapping[str, tuple[Scored, Scored]]) -> pd.DataFrame:
    """:func:`differences` of several pairs, with the :func:`scores` of both beside them.

    Args:
        pairs: what is paired, such as ``all draws`` or ``draw 1`` -> the two.

    Returns:
        A row a measure and pair: ``on``; the columns of :func:`differences`; ``one, other``, the scores, and for either
        ``one_low, one_high, one_floor, one_floor_name``; ``slices, empty_slices``.
    """
    tables = []
    for label, (one, other) in pairs.items():
        both = [
            scores(scored).rename(
                columns={"score": name} | {part: f"{name}_{part}" for part in ("low", "high", "floor", "floor_name")}
            )
            for name, scored in (("one", one), ("other", other))
        ]
        beside = both[1].drop(columns=["patients", "slices", "empty_slices"])
        paired = both[0].drop(columns="patients").merge(beside, on="measure")
        tables.append(differences(one, other).merge(paired, on="measure").assign(on=label))
    table = pd.concat(tables, ignore_index=True)
    rank = {measure: place for place, measure in enumerate((*OUTLINES, *CALLS))}
    return table.sort_values("measure", key=lambda names: names.map(rank), kind="stable", ignore_index=True)


def find(table: pd.DataFrame, measure: str, on: str = ALL) -> Comparison:
    """One row of a comparison table, as the comparison that it tells."""
    row = table[(table.measure == measure) & (table.on == on)].iloc[0]
    return Comparison(float(row.difference), float(row.low), float(row.high), int(row.patients), float(row.p_value))


def by_patient(one: Scored, other: Scored) -> pd.Series:
    """Each patient's own difference, indexed by ``case_id``: Dice of the volume's scored slices, or accuracy over them."""
    return one.by_patient() - other.by_patient()


def _measures_of(table: pd.DataFrame, scored: Scored) -> pd.DataFrame:
    return table[table.measure.isin(scored.MEASURES)].reset_index(drop=True)


def _call_values(slices: pd.DataFrame) -> list[tuple[str, float]]:
    table = detection.score(slices.case_id, slices.tumour, slices.probability, THRESHOLD, intervals_too=False)
    values = table.set_index("measure").value
    return [(measure, float(values[measure])) for measure in CALLS]


def _outline_values(counts: pd.DataFrame) -> list[tuple[str, float]]:
    return [(measure, protocols.dice(protocols.named(measure), counts)) for measure in OUTLINES]
