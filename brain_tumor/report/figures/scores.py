"""Figures of scores, drawn from the tables that runs leave behind: no pixel of any exam."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from brain_tumor.evaluation import overlap, wording
from brain_tumor.report.figures.drawing import BLUE, GREY, INK, PALE, RED, SERIES, Drawing, logarithmic, patient_label, tidy

WINDOWS = 8  # a running median spans an eighth of the slices, and at least as many


def plot_protocols(scores: Mapping[str, pd.DataFrame], marks: Mapping[str, tuple[str, float]] | None = None) -> Drawing:
    """Every Dice by its name: a dot with its 95 % interval a network, and a grey bar at its floor, which reads no image.

    Args:
        scores: a network's label -> its rows (:func:`brain_tumor.evaluation.protocols.score`), the same protocols for each.
        marks: a protocol -> who else reports such a number, and the number.
    """
    first = next(iter(scores.values()))
    words = "; ".join(
        f"{label} {row.protocol} {wording.score(row.dice)}" for label, table in scores.items() for row in table.itertuples()
    )
    drawing = Drawing(1.0 + 0.5 * len(first), f"Dice by protocol with 95 % interval and floor: {words}.")
    axes = tidy(drawing.add_subplot(), "Dice", grid="x")
    offsets = np.linspace(-0.16, 0.16, len(scores)) if len(scores) > 1 else [0.0]
    for (label, table), offset, colour in zip(scores.items(), offsets, SERIES, strict=False):
        y = np.arange(len(table)) + offset
        axes.hlines(y, table.low, table.high, color=colour, linewidth=2.2, alpha=0.55)
        axes.plot(table.dice, y, "o", color=colour, markersize=6, label=label)
    rows = np.arange(len(first))
    axes.vlines(first.floor, rows - 0.3, rows + 0.3, color=GREY, linewidth=3, label="floor: reads no image")
    for row, protocol in enumerate(first.protocol):
        if marks and protocol in marks:
            who, value = marks[protocol]
            axes.plot(value, row, "D", color=INK, markersize=5)
            axes.annotate(
                f"{who}, {value:.3f}", (value, row), (-7, 0), textcoords="offset points", ha="right", va="center", fontsize=8
            )
    axes.set_yticks(range(len(first)), first.protocol, color=INK)
    axes.invert_yaxis()
    axes.set_xlim(-0.02, 1.02)
    axes.legend(frameon=False, fontsize=8.5, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(scores) + 1)
    return drawing


def plot_case_scores(cases: Mapping[str, pd.DataFrame], floor: float = 0.0) -> Drawing:
    """Dice of each patient's volume, best first: one dot a network, and the floor as a line.

    Args:
        cases: a network's label -> a row a case with ``case_id`` and ``dice``.
        floor: the mean volume Dice of a prediction that reads no image.
    """
    table = pd.DataFrame({label: rows.set_index("case_id").dice for label, rows in cases.items()})
    table = table.loc[table.mean(axis=1).sort_values(ascending=False).index]
    means = table.mean(axis=1)
    drawing = Drawing(3.3, f"Dice of {len(table)} patients, {means.max():.2f} down to {means.min():.2f}; floor {floor:.2f}.")
    axes = tidy(drawing.add_subplot(), "patients, best first", "Dice of the patient's volume")
    x = np.arange(len(table))
    axes.vlines(x, table.min(axis=1), table.max(axis=1), color=PALE, linewidth=2)
    for label, colour in zip(table, SERIES, strict=False):
        axes.plot(x, table[label], "o", color=colour, markersize=6, label=f"{label}, mean {wording.score(table[label].mean())}")
    axes.axhline(floor, color=GREY, linewidth=2.5)
    axes.text(0.995, floor + 0.02, f"floor {floor:.2f}", transform=axes.get_yaxis_transform(), ha="right", color=GREY, fontsize=9)
    axes.set_ylim(min(-0.03, floor - 0.03), 1.02)
    named = len(table) <= 40
    axes.set_xticks(x if named else [], [patient_label(case) for case in table.index] if named else [], rotation=60, ha="right")
    axes.legend(frameon=False, fontsize=8.5, loc="lower left", bbox_to_anchor=(0, 0.08))
    return drawing


def plot_dice_by_area(counts: pd.DataFrame) -> Drawing:
    """Dice of each tumour slice against its tumour area; with a running median where there are slices enough.

    Args:
        counts: rows of one size of a ``counts`` table.
    """
    rows = counts[counts.tp + counts.fn > 0]
    area = (rows.tp + rows.fn).to_numpy()
    dice = overlap.dice(rows.tp, rows.fp, rows.fn)
    drawing = Drawing(3.2, f"Dice of {len(area)} tumour slices against their tumour area.")
    axes = tidy(drawing.add_subplot(), "tumour area (pixels, logarithmic)", "Dice of the slice")
    axes.scatter(area, dice, s=14, color=BLUE, alpha=0.45, linewidth=0, label="a slice")
    window = len(area) // WINDOWS
    if window >= WINDOWS:
        order = np.argsort(area)
        median = pd.Series(dice[order]).rolling(window, center=True, min_periods=window // 2 + 1).median()
        axes.plot(area[order], median, color=RED, linewidth=2, label=f"running median of {window} slices")
    axes.set_xscale("log")
    logarithmic(axes.xaxis)
    axes.set_ylim(-0.02, 1.02)
    axes.legend(frameon=False, fontsize=8.5, loc="lower right")
    return drawing
