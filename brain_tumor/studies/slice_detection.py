"""Notebooks 03 and 04: is there tumour in this slice? One network, from pretrained and from random weights, out of fold."""

from collections.abc import Mapping

import pandas as pd

from brain_tumor.data.cache import Store
from brain_tumor.evaluation import classification, detection, scoring, wording
from brain_tumor.evaluation.storage import read_table
from brain_tumor.face import Folds
from brain_tumor.records.sidecar import Sidecar
from brain_tumor.report.pages.crossval import never_tested
from brain_tumor.studies.leaks import published

HEADLINES = ("AUC", "accuracy", "sensitivity")
AT_HALF = ("accuracy", "sensitivity")


def tested(folds: Folds, patients: int) -> str:
    """How many of the cohort's patients are scored, and why the others are not."""
    return f"{folds.facts['patients']} of {patients} patients are scored.{never_tested(folds.facts)}"


def slices(folds: Folds) -> pd.DataFrame:
    """Every slice, predicted out of fold: ``case_id, slice, tumour, probability, threshold, fold``."""
    return folds.tables[scoring.SLICES]


def scores_at_half(folds: Folds) -> pd.DataFrame:
    """The scores where slices are called tumour above one half (:func:`brain_tumor.evaluation.detection.score_with_floors`)."""
    return detection.score_with_floors(slices(folds), folds.tables[scoring.FLOORS], 0.5)


def gain(folds: Folds, other: Folds) -> pd.DataFrame:
    """The first minus the second, paired by patient, each slice called by its own fold's threshold."""
    return classification.compare_folds(slices(folds), slices(other))


def gain_at_half(folds: Folds, other: Folds) -> pd.DataFrame:
    """The same where slices are called tumour above one half."""
    return detection.compare(slices(folds), slices(other), 0.5, 0.5)


def thresholds(folds: Mapping[str, Folds]) -> pd.DataFrame:
    """The threshold that each fold has chosen on its validation part, a row a cross-validation."""
    return pd.DataFrame(
        {name: slices(each).groupby("fold").threshold.first().map("{:.2f}".format) for name, each in folds.items()}
    ).T


def confusion(folds: Folds) -> pd.DataFrame:
    """How many slices with and without tumour are called so."""
    table = slices(folds)
    calls = (table.probability > table.threshold).map({True: "called tumour", False: "called none"})
    return pd.crosstab(table.tumour.map({True: "tumour", False: "none"}).rename("truth"), calls.rename("call"), margins=True)


def subgroups(folds: Folds) -> dict[str, pd.DataFrame]:
    """The scores of groups of slices, by kind of group."""
    table = read_table(folds.path / scoring.SUBGROUPS)
    return dict(list(table.groupby("by", sort=False)))


def worst_rows(folds: Folds, store: Store, count: int) -> list[int]:
    """The rows of the store whose probability lies farthest from the truth, the worst first."""
    table = slices(folds)
    order = (table.tumour.astype(float) - table.probability).abs().sort_values(ascending=False, kind="stable").index[:count]
    row_of = store.slices.reset_index().set_index(["case_id", "slice"])["index"]
    return [int(row_of.loc[key]) for key in table.loc[order, ["case_id", "slice"]].itertuples(index=False, name=None)]


def reported_by_patient() -> pd.DataFrame:
    """What others report of this task on these data where patients were split."""
    table = published.table().loc[["accuracy"]]
    return table[table["split over"] == published.PATIENTS]


def costs(folds: Mapping[str, Folds]) -> pd.DataFrame:
    """Folds and minutes of training and inference, a row a cross-validation."""
    return pd.DataFrame(
        {name: [each.facts["folds"], f"{each.facts['seconds'] / 60:.1f}"] for name, each in folds.items()}, ["folds", "minutes"]
    ).T


def declare(sidecar: Sidecar, model: str, folds: Mapping[str, Folds], over_slices: pd.DataFrame) -> None:
    """Every number of the report: out of fold, on the split over slices, at one half, and the gains of the first over the second.

    Args:
        folds: what a network began with -> its cross-validation; the main one first.
        over_slices: the scores of the same network on the split over slices of source 002, which leaks.
    """
    (main, first), (_, second) = folds.items()
    for name, each in folds.items():
        for row in each.evaluate().values.itertuples():
            protocol = f"{row.slices} slices of {row.patients} patients, threshold chosen on each fold's validation part"
            headline = name == main and row.measure in HEADLINES
            sidecar.add(f"{model} {name}, {row.measure}", row.value, row.low, row.high, row.floor, "", protocol, headline)
    for row in over_slices[over_slices.measure.isin(HEADLINES)].itertuples():
        protocol = f"split source-002 over slices, which leaks: {row.slices} slices of {row.patients} patients, threshold 0.5"
        sidecar.add(f"{model} on a slice split, {row.measure}", row.value, row.low, row.high, row.floor, "", protocol)
    half = scores_at_half(first)
    for row in half[half.measure.isin(AT_HALF)].itertuples():
        protocol = f"{row.slices} slices of {row.patients} patients, threshold 0.5, fixed before training"
        sidecar.add(f"{model} {main}, {row.measure} at 0.5", row.value, row.low, row.high, row.floor, "", protocol, True)
    for rule, table in (("each fold's threshold", gain(first, second)), ("threshold 0.5", gain_at_half(first, second))):
        for row in table[table.measure.isin(HEADLINES)].itertuples():
            sidecar.add(f"gain {main}, {row.measure}, {rule}", row.difference, row.low, row.high, protocol="paired by patient")


def answer(model: str, folds: Mapping[str, Folds], over_slices: pd.DataFrame) -> str:
    """The report's opening: AUC and accuracy on new patients with floors, what the first weights add, a slice split's score."""
    (main, first), (other, second) = folds.items()
    more = gain(first, second).set_index("measure").loc["AUC"]
    scores = first.evaluate().values.set_index("measure")
    area, right = scores.loc["AUC"], scores.loc["accuracy"]
    leak = over_slices.set_index("measure").loc["accuracy"]
    return (
        f"On patients it has never seen, {model} {main} separates slices with tumour from slices without with an AUC of "
        f"{wording.score(area.value)} ({area.low:.3f} to {area.high:.3f}) and an accuracy of {right.value:.3f} "
        f"({right.low:.3f} to {right.high:.3f}). Reading no image reaches {wording.score(area.floor)} and {right.floor:.3f}. "
        f"Beginning {main} instead of {other}, each with a schedule of its own, changes the AUC by {wording.change(more)}. "
        f"On the field's usual split over slices the same network scores an accuracy of {leak.value:.3f}, and reading no image "
        f"{leak.floor:.3f}."
    )
