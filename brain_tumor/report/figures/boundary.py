"""Figures of one prediction looked at closely: over all thresholds, at its outline, and where its Dice was lost."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from brain_tumor.evaluation import wording
from brain_tumor.report.figures.drawing import GREY, INK, ORANGE, PALE, PURPLE, RED, SERIES, SKY, Drawing, patient_label, tidy

STYLES = ("-", "--")  # when the colours have run out once
WRONG_COLOURS = (RED, ORANGE, SKY, PURPLE)
NAMED_PATIENTS = 40  # of more, names would be illegible
FAR_TICKS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500)


def plot_thresholds(scores: pd.DataFrame, fixed: float = 0.5) -> Drawing:
    """Every named Dice over all thresholds: the one that was fixed as a line, and a ring where each curve is highest.

    Args:
        scores: rows of one size of :func:`brain_tumor.studies.definitions.threshold_scores`.
        fixed: the threshold of the recipe.
    """
    table = scores.pivot(index="threshold", columns="protocol", values="dice")[scores.protocol.unique()]
    at_fixed = table.iloc[np.abs(table.index - fixed).argmin()]
    words = "; ".join(
        f"{name} {at_fixed[name]:.3f}, highest {table[name].max():.3f} at {table[name].idxmax():g}" for name in table
    )
    drawing = Drawing(4.4, f"Dice over thresholds. At {fixed:g}: {words}.")
    axes = tidy(drawing.add_subplot(), "a pixel is called tumour above this probability", "Dice")
    axes.axvline(fixed, color=GREY, linewidth=1.4)
    axes.text(
        fixed,
        1.01,
        f"fixed before training: {fixed:g}",
        color=GREY,
        fontsize=9,
        ha="center",
        transform=axes.get_xaxis_transform(),
    )
    for number, name in enumerate(table):
        colour, style = SERIES[number % len(SERIES)], STYLES[number // len(SERIES) % len(STYLES)]
        axes.plot(table.index, table[name], color=colour, linestyle=style, linewidth=1.8, label=name)
        axes.plot(table[name].idxmax(), table[name].max(), "o", color=colour, markersize=7, fillstyle="none")
    axes.plot([], [], "o", color=INK, markersize=7, fillstyle="none", label="highest: would be selected")
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.02))
    axes.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return drawing


def plot_boundary(rows: dict[str, pd.DataFrame]) -> Drawing:
    """How far outlines lie apart: the share of exams, or of slices, within a distance; and the share of those below an NSD.

    Args:
        rows: what was compared (``patients, 3-D``) -> ``hd95, nsd, missed, invented``, a row a case or slice
            (:mod:`brain_tumor.evaluation.surface`). Those missed or invented are one cross, at the penalty.
    """
    words = "; ".join(
        f"{label}, {len(table)}: median HD95 {wording.score(table.hd95.median(), 1)} px, "
        f"NSD {wording.score(table.nsd.median(), 2)}, {int(table.missed.sum())} missed, {int(table.invented.sum())} invented"
        for label, table in rows.items()
    )
    drawing = Drawing(3.6, f"Distance of outlines. {words}.")
    far, near = drawing.subplots(1, 2, sharey=True)
    tidy(far, "HD95 (pixels), at most", "share", title="low is good: curves to the left")
    tidy(near, "NSD, at most", title="high is good: curves to the right")
    for (label, table), colour in zip(rows.items(), SERIES, strict=False):
        _shares(far, table, "hd95", colour, f"{label} ({len(table)})")
        _shares(near, table, "nsd", colour, f"{label} ({len(table)})")
    far.set_xscale("symlog", linthresh=1, linscale=0.5)
    highest = max(table.hd95.max() for table in rows.values())
    far.set_xlim(0, max(1.0, highest) * 1.15)
    far.set_xticks([tick for tick in FAR_TICKS if tick <= far.get_xlim()[1]], minor=False)
    far.xaxis.set_major_formatter(lambda value, _position: f"{value:g}")
    far.minorticks_off()
    near.set_xlim(-0.02, 1.02)
    far.set_ylim(0, 1.02)
    handles, labels = far.get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside lower center", frameon=False, fontsize=8.5, ncols=len(rows))
    return drawing


def plot_lost_dice(wrong: pd.DataFrame) -> Drawing:
    """Each patient's Dice, best first, and on top of it what the missing part was lost to.

    Args:
        wrong: :func:`brain_tumor.studies.definitions.wrong_pixels`.
    """
    table = wrong.sort_values("dice", ascending=False)
    kinds = table.columns.drop("dice")
    lost = "; ".join(f"{kind} {table[kind].mean():.3f}" for kind in kinds)
    drawing = Drawing(
        3.5, f"What {len(table)} patients' Dice was lost to, on the mean: {lost}; mean Dice {table.dice.mean():.3f}."
    )
    axes = tidy(drawing.add_subplot(), "patients, best first", "share of 2 TP + FP + FN")
    x = np.arange(len(table))
    axes.bar(x, table.dice, color=PALE, width=0.8, label="Dice")
    top = table.dice.to_numpy()
    for kind, colour in zip(kinds, WRONG_COLOURS, strict=True):
        axes.bar(x, table[kind], bottom=top, color=colour, width=0.8, label=kind)
        top = top + table[kind].to_numpy()
    named = len(table) <= NAMED_PATIENTS
    axes.set_xticks(x if named else [], [patient_label(case) for case in table.index] if named else [], rotation=60, ha="right")
    axes.set_ylim(0, 1)
    axes.legend(frameon=False, fontsize=8.5, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(kinds) + 1)
    return drawing


def _shares(axes: Axes, table: pd.DataFrame, column: str, colour: str, label: str) -> None:
    """A step at each row, from 0 to 1; rows that a penalty decided are one cross with their number."""
    ordered = table.sort_values(column, ignore_index=True)
    share = (np.arange(len(ordered)) + 1) / max(len(ordered), 1)
    axes.step(np.append(0, ordered[column]), np.append(0, share), where="post", color=colour, linewidth=1.8, label=label)
    absent = (ordered.missed | ordered.invented).to_numpy(bool)
    if not absent.any():
        return
    x, y = ordered[column][absent].median(), share[absent].mean()
    axes.plot(x, y, "x", color=colour, markersize=7, markeredgewidth=2)
    to_the_right = column == "nsd"
    place: dict[str, Any] = {"xytext": (8 if to_the_right else -8, 0), "ha": "left" if to_the_right else "right"}
    place["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    words = ", ".join(f"{int(ordered[kind].sum())} {kind}" for kind in ("missed", "invented") if ordered[kind].any())
    axes.annotate(words, (x, y), textcoords="offset points", va="center", color=colour, fontsize=8.5, **place)
