"""A grid in words: its cells with their scores, and what each claim came to; and its record, which git keeps."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.evaluation import detection, intervals, wording
from brain_tumor.experiments.grid import COSTS, DESCRIPTION, done
from brain_tumor.paths import runs_folder
from brain_tumor.records import lookup, records, study
from brain_tumor.report import tables
from brain_tumor.report.pages.sections import INTERVAL, Section
from brain_tumor.studies.source_002 import answers, grid
from brain_tumor.studies.source_002.cells import LEVELS, Cell
from brain_tumor.studies.source_002.grid import EPOCHS

MARK = "-grid-"  # in the name of every grid, and of no run
JUDGED = (
    "Accuracy of the first cell minus that of the second on the same slices, paired by patient, and on each fold by itself. "
    "Interval, p-value and verdict come from the same bootstrap over patients and are corrected for the number of questions "
    "(Holm); 2000 draws resolve a p-value of 0.001 before that correction. The verdict is on the direction: confirmed or refuted "
    "where the corrected p-value is below 0.05, so that the interval lies on one side of 0, and every fold points the same way; "
    "not decidable otherwise, with the number of patients that would decide it if they differed as these do; void where both "
    "cells are the same training by construction. A size that is said is excluded where the interval leaves it out and every "
    "fold lies on the same side of it. Each cell was trained once a split: what another training would say shows only in how the "
    "folds differ. Cells below the floor are less accurate than reading no image: they have learnt too little to say anything "
    "about networks that have. "
)
PLAN = (
    f"SGD's rates are trained at {EPOCHS} / epochs times what is shown, since the source trained for {EPOCHS}. Stated is what "
    "the source's text says of a cell; all else is reconstructed. "
)
CELLS = (
    "The first row is the floor: the best that reading no image reaches on these slices; sensitivity is held against the best "
    "at that cell's specificity, and the other way round. * is below its floor. Where the first BatchNorm takes its statistics "
    "from the batch, cells that differ only in an affine normalisation of the input are equal by construction: one was trained, "
    "the other is named in its place. "
)
WHOLE = [measure for measure in answers.MEASURES if measure not in detection.MATCHED]  # whose floor is one for all cells
ABOVE, BELOW = "above", "below"  # what is said


def of_folder(folder: Path) -> list[Section]:
    """Every split's cells and claims as sections; what is not trained yet is left out."""
    facts = lookup.grid_facts(folder)
    sections = [Section("Cells", plan_table(_cells(facts)), PLAN)]
    for title, splits in parts(folder):
        sections.append(Section(f"Scores, {title}", cell_table(facts, answers.scores(folder, splits)), CELLS + INTERVAL))
        answered = answers.answers(folder, splits)
        if len(answered):
            sections.append(Section(f"Claims, {title}", answer_table(answered), JUDGED))
    return sections


def parts(folder: Path) -> list[tuple[str, tuple[str, ...]]]:
    """What a grid can be judged on: each split, and all folds together; a title and the splits of each."""
    budget = lookup.grid_facts(folder)["budget"]
    candidates = [(f"split {split}", (split,)) for split in budget["splits"]]
    if budget["folds"]:
        candidates.append((f"{len(budget['folds'])} patient folds together", tuple(budget["folds"])))
    return [(title, splits) for title, splits in candidates if answers.trained_on(folder, splits)]


def plan_table(cells: Iterable[Cell]) -> pd.DataFrame:
    """A row a cell: what is trained, and what of it the source says."""
    return tables.worded(
        {
            "cell": cell.name,
            "network": cell.model,
            "trains": cell.part,
            "rate": f"{cell.max_lr:g}, " + ("AdamW" if cell.momentum is None else f"momentum {cell.momentum:g}"),
            "normalisation": "none" if cell.normalisation == "unit" else cell.normalisation,
            "flip": "yes" if cell.flip else "no",
            "first BatchNorm": _batchnorm(cell),
            "stated": cell.stated or "–",
        }
        for cell in cells
    )


def cell_table(facts: dict, scores: pd.DataFrame) -> pd.DataFrame:
    """A row a cell: its minutes, and each measure with its interval; above them what reading no image reaches."""
    named = labels(facts)
    floors = {row.measure: row for row in scores.drop_duplicates("measure").itertuples()}
    rows = [{"cell": "floor", "minutes": "–"} | {measure: _floor(floors[measure]) for measure in WHOLE}]
    for name, cell_rows in scores.groupby("cell", sort=False):
        by_measure = cell_rows.set_index("measure")
        minutes = f"= cell {cell_rows.equal_to.iloc[0]}" if cell_rows.equal_to.iloc[0] else f"{cell_rows.minutes.iloc[0]:.1f}"
        scored = {measure: _score(by_measure.loc[measure]) for measure in answers.MEASURES}
        rows.append({"cell": named[name], "minutes": minutes} | scored)
    return tables.worded(rows).fillna("–")


def labels(facts: dict) -> dict[str, str]:
    """A cell's name -> what to call it where its row of :func:`plan_table` is not in sight."""
    return {cell.name: cell.label for cell in _cells(facts)}


def answer_table(answered: pd.DataFrame) -> pd.DataFrame:
    """A row a claim: what is said, what was found, the verdict and what it rests on; a column that says nothing is left out."""
    table = tables.worded(
        {
            "claim": f"{row.row} {row.claim} ({row.one} - {row.other})",
            "said": "–" if pd.isna(row.said) else f"{row.said:+.2f}",
            "found": f"{wording.score(row.difference, signed=True)}, {row.low_corrected:+.3f} to {row.high_corrected:+.3f}",
            "p, Holm": intervals.p_in_words(row.p_holm),
            "verdict": row.verdict,
            "on": getattr(row, "on", ""),
            "patients": str(row.patients),
            "would decide": tables.patients_needed(row) if row.verdict == answers.NOT_DECIDABLE else "–",
            "each fold": ", ".join(f"{value:+.3f}" for value in row.each) if _has_folds(row) else "–",
            "below floor": ("–", "one cell", "both cells")[row.below_floor],
            "note": "; ".join(_notes(row)) or "–",
        }
        for row in answered.itertuples()
    )
    return table.loc[:, ~table.isin(["–", ""]).all()]


def _has_folds(row: Any) -> bool:
    return len(row.each) > 1 and row.verdict != answers.VOID


def _notes(row: Any) -> list[str]:
    excluded = ["excludes what is said"] if row.excluded else []
    return excluded + [f"same trainings as “{row.same_as}”"] * bool(row.same_as) + [row.asked] * bool(row.asked)


def level_table(scores: pd.DataFrame) -> pd.DataFrame:
    """A row an accuracy that the source says, beside what that cell reached here.

    Args:
        scores: :func:`brain_tumor.studies.source_002.answers.scores` of one split; cells that are not there are left out.
    """
    by_cell = scores[scores.measure == answers.JUDGED_BY].set_index("cell")
    rows = []
    for level in LEVELS:
        if level.cell not in by_cell.index:
            continue
        row, said = by_cell.loc[level.cell], level.percent / 100
        seen = ABOVE if row.low > said else BELOW if row.high < said else "as said"
        rows.append(
            {
                "row": level.row,
                "what": level.text,
                "cell": f"{level.cell} (= {row.equal_to})" if row.equal_to else level.cell,
                "said": f"{said:.2f}",
                "found": _score(row),
                "found is": seen,
                "floor": _floor(row),
            }
        )
    return tables.worded(rows) if rows else pd.DataFrame()


def commit(folder: Path) -> Path:
    """Keep a grid's tables as its record, as far as it has come: from there it goes on, here or elsewhere.

    Raises:
        RunError: it is of the phantom.
    """
    facts = lookup.grid_facts(folder)
    record = study.commit(folder, DESCRIPTION, [folder / COSTS, *sorted(folder.glob("*-*.csv"))])
    for name, digest in facts.get("encoders", {}).items():
        records.keep_weights({"file": name, "sha256": digest})
    return record


def find(name: str) -> Path | None:
    """A grid by its name, or the beginning of it (:func:`brain_tumor.records.study.find`)."""
    return study.find(name, DESCRIPTION, done)


def stored(budget: grid.Budget, cohort: Cohort, cells: Sequence[Cell]) -> Path | None:
    """The folder here of this grid or its record, whichever has come further; None if there is neither."""
    record = lookup.find_grid(budget, cells, cohort.name, open_store(cohort).data_hash)
    folders = [record, runs_folder() / grid.grid_name(budget, cohort, tuple(cells))]
    return max((path for path in folders if path and done(path)), key=done, default=None)


def _score(row: Any) -> str:
    return f"{wording.score(row.value)}{'*' if row.value < row.floor else ''}, {tables.interval(row)}"


def _floor(row: Any) -> str:
    return "–" if pd.isna(row.floor) else f"{row.floor:.3f}, {row.floor_name}"


def _cells(facts: dict) -> list[Cell]:
    return [Cell(**values) for values in facts["cells"]]


def _batchnorm(cell: Cell) -> str:
    if not cell.input_batchnorm:
        return "removed"
    return "statistics frozen" if cell.strategy == "frozen" else "statistics of the batch"
