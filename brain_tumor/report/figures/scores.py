"""Figures of training and scores, drawn from the tables that runs leave behind: no pixel of any exam."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from brain_tumor.evaluation import overlap, wording
from brain_tumor.report.figures.drawing import BLUE, GREY, INK, PALE, RED, SERIES, Drawing, logarithmic, patient_label, tidy

if TYPE_CHECKING:
    from brain_tumor.training.finder import Sweep

RUN_COLUMNS = ("epoch", "stage", "loss", "learning_rate", "seconds")  # of every history; other columns are a task's measures
IN_WORDS = {"dice": "pooled Dice", "accuracy": "accuracy"}  # measures from 0 to 1
WINDOWS = 8  # a running median spans an eighth of the slices, and at least as many


def plot_history(histories: Mapping[str, pd.DataFrame]) -> Drawing:
    """Loss, what training watched and learning rate by epoch; dashed on the validation part; upright lines where a stage begins.

    The middle panel shows what the network's task watches: the pooled Dice of an epoch, the accuracy, or a measure of a task of
    your own. A task that watches nothing has no such panel.

    Args:
        histories: a run's label -> its history (:attr:`brain_tumor.training.runs.RunFolder.history`).
    """
    last = ", ".join(f"{label}: {table.loss.iloc[-1]:.3f}" for label, table in histories.items())
    measures = watched(next(iter(histories.values())))[:1]
    titles = {name: measure_in_words(name) for name in measures}
    drawing = Drawing(3.1, f"Training {' and '.join(['loss', *titles.values()])} by epoch. Last loss {last}.")
    columns = {"loss": "loss", **titles, "learning_rate": "learning rate"}
    panels = drawing.subplots(1, len(columns), width_ratios=(*(1.2 for _ in ("loss", *titles)), 0.8))
    for axes, (column, title) in zip(panels, columns.items(), strict=True):
        tidy(axes, "epoch", title=title)
        for (label, table), colour in zip(histories.items(), SERIES, strict=False):
            marker = "o" if len(table) < 3 else None
            axes.plot(table.epoch, table[column], color=colour, linewidth=1.8, marker=marker, label=label)
            if f"validation_{column}" in table:
                values = table[f"validation_{column}"]
                axes.plot(table.epoch, values, color=colour, linewidth=1.4, linestyle="--", label=f"{label}, validation")
        for table in histories.values():
            for begin in table.epoch[table.stage.ne(table.stage.shift())].iloc[1:]:
                axes.axvline(begin - 0.5, color=GREY, linewidth=0.8, linestyle=":")
        axes.xaxis.get_major_locator().set_params(integer=True)
    panels[0].set_ylim(0)
    for measure, axes in zip(measures, panels[1:], strict=False):
        axes.set_ylim(0, 1 if measure in IN_WORDS else None)
    panels[-1].ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    handles, labels = panels[0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside lower center", frameon=False, fontsize=8.5, ncols=4)
    return drawing


def plot_rates(sweep: "Sweep") -> Drawing:
    """The loss at each learning rate of a finder, its moving mean, and the rate that it suggests."""
    drawing = Drawing(3.1, f"Loss by learning rate; suggested {sweep.suggestion:.1e}, where the loss falls fastest.")
    axes = tidy(drawing.subplots(), "learning rate", title="loss of a batch")
    axes.plot(sweep.rates, sweep.losses, color=PALE, linewidth=1.0, label="each batch")
    axes.plot(sweep.rates, sweep.smoothed, color=BLUE, linewidth=1.8, label="moving mean")
    axes.axvline(sweep.suggestion, color=RED, linewidth=1.2, linestyle="--", label=f"suggested: {sweep.suggestion:.1e}")
    axes.set_xscale("log")
    axes.set_ylim(min(0, sweep.smoothed.min()), 1.5 * sweep.smoothed[0])
    axes.legend(frameon=False, fontsize=8.5)
    return drawing


def watched(history: pd.DataFrame) -> list[str]:
    """The columns of a history that hold what the task watches beside the loss."""
    return [name for name in history if name not in RUN_COLUMNS and not name.startswith("validation_")]


def measure_in_words(name: str) -> str:
    """``dice`` -> ``pooled Dice``."""
    return IN_WORDS.get(name, name.replace("_", " "))


def plot_protocols(scores: Mapping[str, pd.DataFrame]) -> Drawing:
    """Every Dice by its name: a dot with its 95 % interval a network, and a grey bar at its floor, which reads no image.

    Args:
        scores: a network's label -> its rows of one size (:func:`brain_tumor.evaluation.protocols.score`).
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
