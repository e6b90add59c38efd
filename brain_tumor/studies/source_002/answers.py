"""What a grid answers: every cell with its interval and floor, and every claim paired by patient. Read from its tables alone."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from brain_tumor.evaluation import detection, intervals, scoring
from brain_tumor.experiments import grid
from brain_tumor.studies.source_002.cells import CLAIMS, QUESTIONS, Claim

MEASURES = ("AUC", "accuracy", "sensitivity", "specificity")
JUDGED_BY = "accuracy"  # the source's only measure (002.22)
THRESHOLD = 0.5  # fixed before training, as there
CONFIRMED, REFUTED, NOT_DECIDABLE = "confirmed", "refuted", intervals.NOT_DECIDABLE
VOID = "void by construction"  # both cells are the same training
DISAGREE = "not decidable: the folds do not agree"  # one training a fold: patients alone would decide, the trainings do not


def slices(folder: Path, splits: tuple[str, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The slices of one split, or of folds that share no patient, and what reading no image says of them.

    Returns:
        ``split, case_id, slice, tumour`` and a column a cell that was trained on all of them; and the same slices with ``floor``
        and ``probability``.
    """
    predictions, floors = (
        pd.concat([scoring.read_counts(folder, f"{kind}-{split}.csv").assign(split=split) for split in splits], ignore_index=True)
        for kind in ("slices", "floors")
    )
    everywhere = floors.groupby("floor").size() == len(predictions)  # a floor that does not apply to one of the folds is left out
    predictions = predictions.dropna(axis="columns")  # a cell that is not yet trained on all of them
    return predictions, floors[floors.floor.isin(everywhere.index[everywhere])]


def trained_on(folder: Path, splits: tuple[str, ...]) -> bool:
    """Whether at least one cell was trained on all of these splits."""
    return bool(_costs(folder, splits).groupby("cell").split.nunique().eq(len(splits)).any())


def scores(folder: Path, splits: tuple[str, ...]) -> pd.DataFrame:
    """Every cell that was trained on all of these splits.

    Returns:
        A row a cell and measure: ``cell`` and the columns of :func:`brain_tumor.evaluation.detection.score_with_floors`, with
        ``minutes`` of training over these splits, and ``equal_to``, an earlier cell that is the same training, or "".
    """
    predictions, floors = slices(folder, splits)
    costs = _costs(folder, splits)
    minutes, trainings = costs.groupby("cell").seconds.sum() / 60, _trainings(costs)
    first: dict[tuple[str, ...], str] = {}
    tables = []
    for cell in predictions.columns.difference(["split", *grid.KEYS], sort=False):
        equal = first.setdefault(trainings[cell], cell)
        table = detection.score_with_floors(predictions[grid.KEYS].assign(probability=predictions[cell]), floors, THRESHOLD)
        facts = {"cell": cell, "minutes": minutes[cell], "equal_to": "" if equal == cell else equal}
        tables.append(table[table.measure.isin(MEASURES)].assign(**facts))
    return pd.concat(tables, ignore_index=True)


def answers(folder: Path, splits: tuple[str, ...], claims: tuple[Claim, ...] = (*CLAIMS, *QUESTIONS)) -> pd.DataFrame:
    """Each claim against these slices, paired by patient; claims about cells that are not there are left out.

    Returns:
        A row a claim: ``row, claim, asked, one, other, said`` (a share, NaN where only the better is named), ``sign`` of what
        is said; ``difference, low, high`` of the accuracy and ``p_value``, each of this claim alone, and ``patients``
        (:class:`brain_tumor.evaluation.intervals.Comparison`, which stands in ``comparison``); ``each``, the difference on
        every split by itself; ``below_floor``, how many of the two cells are less accurate than reading no image;
        ``trainings`` of the contrast; and what :func:`adjusted` adds, the verdict among it.
    """
    table, floors = slices(folder, splits)
    trainings = _trainings(_costs(folder, splits))
    right = table.drop(columns=["split", *grid.KEYS]).gt(THRESHOLD).eq(table.tumour, axis="index")  # a column a cell
    floor = (floors.probability.gt(THRESHOLD) == floors.tumour).groupby(floors.floor).mean().max()
    hits, counts = right.groupby(table.case_id).sum(), table.groupby("case_id").size()
    rows = []
    for claim in claims:
        if not {claim.one, claim.other} <= set(table):
            continue
        one, other = (np.stack([hits[name], counts], axis=1) for name in (claim.one, claim.other))
        comparison = intervals.paired(one, other, _accuracy, vectorised=True)
        each = tuple((right[claim.one].astype(int) - right[claim.other]).groupby(table.split, sort=False).mean())
        row = {
            "row": claim.row, "claim": claim.text, "asked": claim.asked, "one": claim.one, "other": claim.other,
            "said": claim.points / 100 if claim.points else np.nan, "sign": 1 if claim.points >= 0 else -1,
            **{fact: getattr(comparison, fact) for fact in ("difference", "low", "high", "patients", "p_value")},
            "comparison": comparison, "each": each, "void": trainings[claim.one] == trainings[claim.other],
            "below_floor": sum(right[name].mean() < floor for name in (claim.one, claim.other)),
            "trainings": f"{trainings[claim.one]} - {trainings[claim.other]}",
        }  # fmt: skip
        rows.append(row)
    return adjusted(pd.DataFrame(rows)) if rows else pd.DataFrame()


def adjusted(answered: pd.DataFrame) -> pd.DataFrame:
    """With verdicts that hold for so many questions at once (Holm 1979, Scandinavian Journal of Statistics 6).

    A contrast counts once, whatever it is asked for. Contrasts are taken from the smallest p-value up, each corrected for
    itself and those that follow, until one is no longer below 0.05; that one and all that follow share its correction.

    Returns:
        The same rows and ``same_as``, an earlier claim that the same trainings answer, or ""; ``p_holm``, the corrected p-value
        (NaN where both cells are one training); ``low_corrected, high_corrected``, the interval that belongs to it, which leaves
        0 out where ``p_holm`` is below 0.05; ``verdict`` on the direction (:func:`verdict`) and ``patients_needed``, read from
        that interval; ``excluded``, whether that interval leaves out the size that is said and every fold lies on the same side
        of it. Tables and figures print this interval; ``low`` and ``high`` are of the claim alone.
    """
    firsts = answered.drop_duplicates("trainings").set_index("trainings")
    distinct = firsts[~firsts.void].sort_values("p_value")
    questions = np.arange(len(distinct), 0, -1)
    p_holm = (distinct.p_value * questions).cummax().clip(upper=1)
    decided = int((p_holm < 1 - intervals.LEVEL).sum())
    questions[decided:] = len(distinct) - decided
    questions = pd.Series(questions, distinct.index)
    rows = []
    for row in answered.itertuples():
        comparison = row.comparison if row.void else row.comparison.corrected(int(questions[row.trainings]))
        rows.append(
            {
                "p_holm": np.nan if row.void else p_holm[row.trainings],
                "low_corrected": comparison.low,
                "high_corrected": comparison.high,
                "verdict": VOID if row.void else verdict(comparison, row.sign, row.each),
                "patients_needed": comparison.patients_needed,
                "excluded": not row.void and _excluded(row.said, comparison, row.each),
            }
        )
    added = pd.DataFrame(rows, index=answered.index).astype({"patients_needed": "Int64"})
    first = answered.trainings.map(firsts.claim)
    return answered.assign(same_as=first.where(answered.trainings.duplicated(), ""), **added)


def _accuracy(hits_and_slices: np.ndarray) -> np.ndarray:
    hits, count = np.moveaxis(hits_and_slices.sum(axis=-2), -1, 0)
    return hits / count


def _excluded(said: float, comparison: intervals.Comparison, each: tuple[float, ...]) -> bool:
    """Whether a size cannot be, for all that these patients and trainings show; False of none, and of too few patients."""
    outside = said < comparison.low or comparison.high < said
    one_side = len({value > said for value in each}) == 1
    return bool(outside and one_side and comparison.patients >= intervals.FEWEST_PAIRS)


def where_first(answered: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Each claim once, as answered on the first of these that asks it, in the claims' own order.

    Args:
        answered: title -> :func:`answers`, the most telling first.

    Returns:
        The same columns and ``on``, the title.
    """
    tables = [table.assign(on=title) for title, table in answered.items() if len(table)]
    if not tables:
        return pd.DataFrame()
    claims = pd.concat(tables, ignore_index=True).drop_duplicates(["row", "claim"])
    order = {claim.text: place for place, claim in enumerate((*CLAIMS, *QUESTIONS))}
    return adjusted(claims.sort_values("claim", key=lambda texts: texts.map(order), kind="stable", ignore_index=True))


def verdict(comparison: intervals.Comparison, sign: int, each: tuple[float, ...]) -> str:
    """What the comparison of two cells says of a claim's direction.

    The comparison is over patients, given these trainings. That another training might say otherwise is seen where there are
    several: unless each fold by itself points the same way, nothing is confirmed or refuted.

    Args:
        comparison: paired by patient, corrected for the number of questions.
        sign: 1 where the claim says that the first cell is the better, -1 where it says the worse.
        each: the difference on every split by itself.
    """
    unresolved = not comparison.p_value < 1 - intervals.LEVEL  # too few draws or patients for so many questions
    if unresolved or comparison.verdict not in (intervals.BETTER, intervals.WORSE):
        return NOT_DECIDABLE
    if not (all(value > 0 for value in each) or all(value < 0 for value in each)):
        return DISAGREE
    return CONFIRMED if (comparison.difference > 0) == (sign > 0) else REFUTED


def _costs(folder: Path, splits: tuple[str, ...]) -> pd.DataFrame:
    costs = grid.costs(folder)
    return costs[costs.split.isin(splits)]


def _trainings(costs: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """The runs that each cell's probabilities come from: equal cells have equal ones."""
    return {cell: tuple(rows.sort_values("split").run) for cell, rows in costs.groupby("cell")}
