"""What a grid answers: every cell with its interval and floor, and every claim paired by patient. Read from its tables alone."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.errors import RunError
from brain_tumor.evaluation import detection, intervals
from brain_tumor.studies.source_002.cells import CLAIMS, QUESTIONS, Claim
from brain_tumor.studies.source_002.grid import COSTS, DESCRIPTION, KEYS

MEASURES = ("AUC", "accuracy", "sensitivity", "specificity")
JUDGED_BY = "accuracy"  # the source's only measure (002.22)
THRESHOLD = 0.5  # fixed before training, as there
CONFIRMED, REFUTED, NOT_DECIDABLE = "confirmed", "refuted", intervals.NOT_DECIDABLE
VOID = "void by construction"  # both cells are the same training
DISAGREE = "not decidable: the folds do not agree"  # one training a fold: patients alone would decide, the trainings do not


def read(folder: Path) -> dict:
    """``grid.json``.

    Raises:
        RunError: there is none, or it is damaged.
    """
    try:
        return files.read_json(folder / DESCRIPTION)
    except FileNotFoundError:
        raise RunError(f"{folder}: no such grid (no {DESCRIPTION})") from None
    except ValueError as error:
        raise RunError(f"{folder / DESCRIPTION}: damaged ({error})") from None


def slices(folder: Path, splits: tuple[str, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The slices of one split, or of folds that share no patient, and what reading no image says of them.

    Returns:
        ``split, case_id, slice, tumour`` and a column a cell that was trained on all of them; and the same slices with ``floor``
        and ``probability``.
    """
    found, floors = (
        pd.concat(
            [pd.read_csv(folder / f"{kind}-{split}.csv", dtype={"case_id": str}).assign(split=split) for split in splits],
            ignore_index=True,
        )
        for kind in ("slices", "floors")
    )
    everywhere = floors.groupby("floor").size() == len(found)  # a floor that does not apply to one of the folds is left out
    found = found.dropna(axis="columns")  # a cell that is not yet trained on all of them
    return found, floors[floors.floor.isin(everywhere.index[everywhere])]


def trained_on(folder: Path, splits: tuple[str, ...]) -> bool:
    """Whether at least one cell was trained on all of these splits."""
    held = [set(cells) for _, cells in _costs(folder, splits).groupby("split").cell]
    return len(held) == len(splits) and bool(set.intersection(*held))


def scores(folder: Path, splits: tuple[str, ...]) -> pd.DataFrame:
    """Every cell that was trained on all of these splits.

    Returns:
        A row a cell and measure: ``cell`` and the columns of :func:`brain_tumor.evaluation.detection.score_with_floors`, with
        ``minutes`` of training over these splits, and ``equal_to``, an earlier cell that is the same training, or "".
    """
    found, floors = slices(folder, splits)
    costs = _costs(folder, splits)
    minutes, trainings = costs.groupby("cell").seconds.sum() / 60, _trainings(costs)
    first: dict = {}
    tables = []
    for cell in found.columns.difference(["split", *KEYS], sort=False):
        equal = first.setdefault(trainings[cell], cell)
        table = detection.score_with_floors(found[KEYS].assign(probability=found[cell]), floors, THRESHOLD)
        told = {"cell": cell, "minutes": minutes[cell], "equal_to": "" if equal == cell else equal}
        tables.append(table[table.measure.isin(MEASURES)].assign(**told))
    return pd.concat(tables, ignore_index=True)


def answers(folder: Path, splits: tuple[str, ...], claims: tuple[Claim, ...] = (*CLAIMS, *QUESTIONS)) -> pd.DataFrame:
    """Each claim against these slices, paired by patient; claims about cells that are not there are left out.

    Returns:
        A row a claim: ``row, claim, asked, one, other, said`` (a share, NaN where only the better is named), ``difference, low,
        high`` of the accuracy, ``patients, patients_needed, p_value`` (:class:`brain_tumor.evaluation.intervals.Comparison`);
        ``each``, the difference on every split by itself; ``verdict`` on the direction alone (:func:`verdict`), or ``void by
        construction`` where both cells are one training; ``excluded``, whether the interval leaves out the size that is said
        and every fold lies on the same side of it; ``below_floor``, how many of the two cells are less accurate than
        reading no image; ``trainings`` of the contrast; ``same_as``, an earlier claim that they answer too, or ""; and
        ``p_holm`` (:func:`adjusted`).
    """
    found, floors = slices(folder, splits)
    trainings = _trainings(_costs(folder, splits))
    right = found.drop(columns=["split", *KEYS]).gt(THRESHOLD).eq(found.tumour, axis="index")  # a column a cell
    floor = (floors.probability.gt(THRESHOLD) == floors.tumour).groupby(floors.floor).mean().max()
    rows = []
    for claim in claims:
        if not {claim.one, claim.other} <= set(found):
            continue
        one, other = (found[KEYS].assign(probability=found[name]) for name in (claim.one, claim.other))
        compared = detection.compare(one, other, THRESHOLD, THRESHOLD).set_index("measure").loc[JUDGED_BY]
        said = claim.points / 100 if claim.points else np.nan
        each = tuple((right[claim.one].astype(int) - right[claim.other]).groupby(found.split, sort=False).mean())
        void = trainings[claim.one] == trainings[claim.other]
        judged = VOID if void else verdict(claim, compared.verdict, each)
        rows.append(
            {
                "row": claim.row,
                "claim": claim.text,
                "asked": claim.asked,
                "one": claim.one,
                "other": claim.other,
                "said": said,
                **compared[["difference", "low", "high", "patients", "patients_needed", "p_value"]].to_dict(),
                "each": each,
                "verdict": judged,
                "excluded": not void and _excluded(said, compared, each),
                "below_floor": sum(right[name].mean() < floor for name in (claim.one, claim.other)),
                "trainings": f"{trainings[claim.one]} - {trainings[claim.other]}",
            }
        )
    return adjusted(pd.DataFrame(rows)) if rows else pd.DataFrame()


def _excluded(said: float, compared: pd.Series, each: tuple[float, ...]) -> bool:
    """Whether a size cannot be, for all that these patients and trainings show; False of none, and of too few patients."""
    outside = said < compared.low or compared.high < said
    one_side = len({value > said for value in each}) == 1
    return bool(outside and one_side and compared.patients >= intervals.FEWEST_PAIRS)


def adjusted(answered: pd.DataFrame) -> pd.DataFrame:
    """With ``same_as``, and ``p_holm``: p-values raised for so many questions (Holm 1979, Scandinavian Journal of Statistics 6).

    A contrast counts once, whatever it is asked for; NaN stands where both cells are one training.
    """
    firsts = answered.drop_duplicates("trainings").set_index("trainings")
    asked = firsts[firsts.verdict != VOID].sort_values("p_value")
    raised = (asked.p_value * np.arange(len(asked), 0, -1)).cummax().clip(upper=1)
    first = answered.trainings.map(firsts.claim)
    return answered.assign(same_as=first.where(answered.trainings.duplicated(), ""), p_holm=answered.trainings.map(raised))


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
    found = pd.concat(tables, ignore_index=True).drop_duplicates(["row", "claim"])
    order = {claim.text: place for place, claim in enumerate((*CLAIMS, *QUESTIONS))}
    return adjusted(found.sort_values("claim", key=lambda texts: texts.map(order), kind="stable", ignore_index=True))


def verdict(claim: Claim, compared: str, each: tuple[float, ...]) -> str:
    """What a comparison of the two cells (:class:`brain_tumor.evaluation.intervals.Comparison`) says of a claim's direction.

    The interval is over patients, given these trainings. That another training might say otherwise is seen where there are
    several: unless each fold by itself points the same way, nothing is confirmed or refuted.

    Args:
        each: the difference on every split by itself.
    """
    if compared not in (intervals.BETTER, intervals.WORSE):
        return NOT_DECIDABLE
    if not (all(value > 0 for value in each) or all(value < 0 for value in each)):
        return DISAGREE
    return CONFIRMED if (compared == intervals.BETTER) == (claim.points >= 0) else REFUTED


def _costs(folder: Path, splits: tuple[str, ...]) -> pd.DataFrame:
    costs = pd.read_csv(folder / COSTS, dtype={"cell": str})
    return costs[costs.split.isin(splits)]


def _trainings(costs: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """The runs that each cell's probabilities come from: equal cells have equal ones."""
    return {cell: tuple(rows.sort_values("split").run) for cell, rows in costs.groupby("cell")}
