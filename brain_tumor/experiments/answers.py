"""What a grid answers: every cell with its interval and floor, and every claim paired by patient. Read from its tables alone."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.errors import RunError
from brain_tumor.evaluation import detection, intervals
from brain_tumor.experiments.cells import CLAIMS, QUESTIONS, Claim
from brain_tumor.experiments.grid import COSTS, DESCRIPTION, KEYS

MEASURES = ("AUC", "accuracy", "sensitivity", "specificity")
JUDGED_BY = "accuracy"  # the source's only measure (002.22)
THRESHOLD = 0.5  # fixed before training, as there
CONFIRMED, REFUTED, NOT_DECIDABLE = "confirmed", "refuted", "not decidable"


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
        ``case_id, slice, tumour`` and a column a cell; and the same slices with ``floor`` and ``probability``.
    """
    found, floors = (
        pd.concat([pd.read_csv(folder / f"{kind}-{split}.csv", dtype={"case_id": str}) for split in splits], ignore_index=True)
        for kind in ("slices", "floors")
    )
    everywhere = floors.groupby("floor").size() == len(found)  # a floor that does not apply to one of the folds is left out
    return found, floors[floors.floor.isin(everywhere.index[everywhere])]


def scores(folder: Path, splits: tuple[str, ...]) -> pd.DataFrame:
    """Every cell that was trained on all of these splits.

    Returns:
        A row a cell and measure: ``cell`` and the columns of :func:`brain_tumor.evaluation.detection.score_with_floors`, with
        ``minutes`` of training over these splits.
    """
    found, floors = slices(folder, splits)
    costs = pd.read_csv(folder / COSTS, dtype={"cell": str})
    minutes = costs[costs.split.isin(splits)].groupby("cell").seconds.sum() / 60
    tables = []
    for cell in found.columns.difference(KEYS, sort=False):
        if found[cell].isna().any():
            continue
        table = detection.score_with_floors(found[KEYS].assign(probability=found[cell]), floors, THRESHOLD)
        tables.append(table[table.measure.isin(MEASURES)].assign(cell=cell, minutes=minutes.get(cell, np.nan)))
    return pd.concat(tables, ignore_index=True)


def answers(folder: Path, splits: tuple[str, ...], claims: tuple[Claim, ...] = (*CLAIMS, *QUESTIONS)) -> pd.DataFrame:
    """Each claim against these slices, paired by patient; claims about cells that are not there are left out.

    Returns:
        A row a claim: ``row, claim, one, other, said`` (points, NaN where only the better is named), ``difference, low, high``
        of the accuracy, ``patients, patients_needed``, and ``verdict``: ``confirmed`` or ``refuted`` where the interval lies on
        one side of 0, else ``not decidable``.
    """
    found, _ = slices(folder, splits)
    rows = []
    for claim in claims:
        if not {claim.one, claim.other} <= set(found):
            continue
        one, other = (found[KEYS].assign(probability=found[name]) for name in (claim.one, claim.other))
        compared = detection.compare(one, other, THRESHOLD, THRESHOLD).set_index("measure").loc[JUDGED_BY]
        rows.append(
            {
                "row": claim.row,
                "claim": claim.text,
                "one": claim.one,
                "other": claim.other,
                "said": claim.points / 100 if claim.points else np.nan,
                **compared[["difference", "low", "high", "patients", "patients_needed"]].to_dict(),
                "verdict": verdict(claim, compared.verdict),
            }
        )
    return pd.DataFrame(rows)


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
    return found.sort_values("claim", key=lambda texts: texts.map(order), kind="stable", ignore_index=True)


def verdict(claim: Claim, compared: str) -> str:
    """What a comparison of the two cells (:class:`brain_tumor.evaluation.intervals.Comparison`) says of a claim's direction."""
    if compared not in (intervals.BETTER, intervals.WORSE):
        return NOT_DECIDABLE
    return CONFIRMED if (compared == intervals.BETTER) == (claim.points >= 0) else REFUTED
