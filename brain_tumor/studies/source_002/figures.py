"""A grid drawn: every cell with its interval and the floor of its slices, and every claim with what was found."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from brain_tumor.evaluation import wording
from brain_tumor.report.figures.drawing import BLUE, GREEN, GREY, INK, ORANGE, RED, Drawing, tidy
from brain_tumor.studies.source_002 import answers

VERDICTS = {
    answers.CONFIRMED: GREEN,
    answers.REFUTED: RED,
    answers.NOT_DECIDABLE: GREY,
    answers.DISAGREE: ORANGE,
    answers.VOID: INK,
}


def plot_cells(scores: pd.DataFrame, labels: Mapping[str, str], measure: str = "accuracy") -> Drawing:
    """A row a cell: its score with 95 % interval over patients; dashed, the best that reading no image reaches.

    Args:
        scores: :func:`brain_tumor.studies.source_002.answers.scores`.
        labels: a cell's name -> what to call it.
    """
    ordered = scores[scores.measure == measure].reset_index(drop=True)
    words = "; ".join(f"{row.cell} {row.value:.3f} ({row.low:.3f} to {row.high:.3f})" for row in ordered.itertuples())
    floor = ordered.floor.iloc[0]
    drawing = Drawing(1.0 + 0.26 * len(ordered), f"{measure} of each cell: {words}; floor {floor:.3f}.")
    axes = tidy(drawing.add_subplot(), measure, grid="x")
    rows = np.arange(len(ordered))
    axes.hlines(rows, ordered.low, ordered.high, color=BLUE, linewidth=3, alpha=0.5)
    axes.plot(ordered.value, rows, "o", color=BLUE, markersize=6, label="95 % interval over patients")
    if not np.isnan(floor):
        axes.axvline(floor, color=GREY, linewidth=1.2, linestyle="--", label="floor: no image read")
    axes.set_yticks(rows, ordered.cell.map(labels), color=INK)
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=8.5, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return drawing


def plot_answers(answered: pd.DataFrame) -> Drawing:
    """A row a claim: its difference and corrected interval, in the colour of its verdict; ticks, each fold; a cross where said.

    Args:
        answered: :func:`brain_tumor.studies.source_002.answers.answers`.
    """
    bounds = answered[["low_corrected", "high_corrected"]].set_axis(["low", "high"], axis=1)
    drawn = answered.assign(**bounds)
    words = "; ".join(f"{row.claim}: {wording.change(row)}, {row.verdict}" for row in drawn.itertuples())
    drawing = Drawing(1.0 + 0.36 * len(drawn), f"Difference in accuracy, intervals corrected for all claims. {words}.")
    axes = tidy(drawing.add_subplot(), "difference in accuracy", grid="x")
    axes.axvline(0, color=GREY, linewidth=1.4)
    rows = np.arange(len(drawn))
    for verdict, colour in VERDICTS.items():
        here = (drawn.verdict == verdict).to_numpy()
        if not here.any():
            continue
        axes.hlines(rows[here], drawn.low[here], drawn.high[here], color=colour, linewidth=3, alpha=0.55)
        axes.plot(drawn.difference[here], rows[here], "o", color=colour, markersize=6, label=verdict)
    folds = [(value, row) for row, each in zip(rows, drawn.each, strict=True) if len(each) > 1 for value in each]
    if folds:
        axes.plot(*zip(*folds, strict=True), "|", color=INK, markersize=9, label="each fold")
    axes.plot(drawn.said, rows, "x", color=INK, markersize=6, label="as said")
    axes.set_yticks(rows, drawn.claim, color=INK, fontsize=8.5)
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=8.5, loc="lower center", bbox_to_anchor=(0.3, 1.0), ncols=3)
    return drawing
