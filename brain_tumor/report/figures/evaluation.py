"""Figures of what a score is worth: beside its floor, by subgroup, calibrated or not, in everybody's words, paired by patient.

All are drawn from the tables of :mod:`brain_tumor.evaluation`: no pixel of any exam. Floors are grey, whatever they floor.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from brain_tumor.evaluation import detection, overlap, protocols, wording
from brain_tumor.evaluation.intervals import Comparison
from brain_tumor.report.figures.drawing import BLUE, GREY, INK, PALE, RED, SERIES, Drawing, patient_label, tidy

FLOOR_STYLES = ("--", ":", "-.", (0, (1, 3)))
LARGEST_DOT, SMALLEST_DOT = 160, 9  # points squared, of all and of next to nothing
NAMED_PATIENTS = 40  # of more, names would be illegible


def plot_reliability(tables: Mapping[str, pd.DataFrame]) -> Drawing:
    """Of all that got a probability, how much was tumour: on the diagonal, a probability means what it says.

    Args:
        tables: what was judged (``slices``, ``pixels``) -> :func:`brain_tumor.evaluation.calibration.reliability`; a panel each,
            a dot a bin, its area growing with what the bin holds.
    """
    errors = {label: _calibration_error(table) for label, table in tables.items()}
    words = "; ".join(f"{label}, {wording.score(error)}" for label, error in errors.items())
    drawing = Drawing(3.4, f"Share of tumour against predicted probability. Mean distance from the diagonal (ECE): {words}.")
    panels = np.atleast_1d(drawing.subplots(1, len(tables), sharey=True))
    for axes, (label, table) in zip(panels, tables.items(), strict=True):
        tidy(axes, "predicted probability", title=f"{label}, ECE {wording.score(errors[label])}")
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1.2, linestyle="--")
        axes.plot(table.mean_probability, table.tumour_share, color=BLUE, linewidth=1.2, alpha=0.6)
        area = SMALLEST_DOT + (LARGEST_DOT - SMALLEST_DOT) * table.weight / max(table.weight.sum(), 1)
        axes.scatter(table.mean_probability, table.tumour_share, s=area, color=BLUE, linewidth=0)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    panels[0].set_ylabel("share that is tumour", color=INK, fontsize=10)
    return drawing


def plot_roc(slices: Mapping[str, pd.DataFrame], floors: Mapping[str, pd.DataFrame] | None = None) -> Drawing:
    """Sensitivity against the rate of false alarms over all thresholds, floors in grey.

    Args:
        slices: a network's label -> a row a slice, ``tumour`` (bool) and ``probability``.
        floors: a floor's name -> the same.
    """
    areas = {label: detection.auc(table.tumour, table.probability) for label, table in _all(slices, floors).items()}
    drawing = Drawing(3.9, f"ROC curves. Area under them: {_told(areas)}.")
    axes = tidy(drawing.add_subplot(), "false alarms (1 - specificity)", "sensitivity", grid="both")
    _plot_curves(axes, slices, floors, areas, "AUC", lambda table: _roc(table).set_index("false_alarm_rate").sensitivity)
    return drawing


def plot_precision_recall(slices: Mapping[str, pd.DataFrame], floors: Mapping[str, pd.DataFrame] | None = None) -> Drawing:
    """Precision against sensitivity over all thresholds, floors in grey; by chance, precision is the share of tumour slices.

    Args:
        slices, floors: as in :func:`plot_roc`.
    """
    areas = {label: detection.auprc(table.tumour, table.probability) for label, table in _all(slices, floors).items()}
    drawing = Drawing(3.9, f"Precision against sensitivity. Average precision: {_told(areas)}.")
    axes = tidy(drawing.add_subplot(), "sensitivity (recall)", "precision", grid="both")
    _plot_curves(axes, slices, floors, areas, "AUPRC", lambda table: _recall(table).set_index("sensitivity").precision)
    return drawing


def plot_spread(spread: pd.DataFrame) -> Drawing:
    """The numbers that one prediction can be given: a row a named Dice, a dot a variant of the prediction.

    Args:
        spread: :func:`brain_tumor.evaluation.protocols.spread`.
    """
    table = spread.drop(index=protocols.RANGE, columns=protocols.RANGE)
    low, high = np.nanmin(table.to_numpy()), np.nanmax(table.to_numpy())
    words = f"Dice of one prediction under {len(table)} definitions and {len(table.columns)} variants ({', '.join(table)})"
    drawing = Drawing(1.1 + 0.42 * len(table), f"{words}: from {low:.3f} to {high:.3f}.")
    axes = tidy(drawing.add_subplot(), "Dice", grid="x")
    rows = np.arange(len(table))
    axes.hlines(rows, table.min(axis=1), table.max(axis=1), color=PALE, linewidth=5)
    for variant, colour in zip(table, _colours(len(table.columns)), strict=True):
        axes.plot(table[variant], rows, "o", color=colour, markersize=6, label=variant)
    axes.set_yticks(rows, table.index, color=INK)
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=8.5, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return drawing


def plot_dice_iou(counts: pd.DataFrame) -> Drawing:
    """Dice and IoU rise together: ``D = 2J / (1 + J)``, with the slices on the curve (row 004.51).

    Args:
        counts: rows of one size of a ``counts`` table; slices that are empty in truth and prediction are left out.
    """
    rows = counts[counts.tp + counts.fp + counts.fn > 0]
    iou, dice = (measure(rows.tp, rows.fp, rows.fn) for measure in (overlap.iou, overlap.dice))
    drawing = Drawing(3.6, f"Dice against IoU: one curve, and {len(rows)} slices on it; Dice is never the lower of the two.")
    axes = tidy(drawing.add_subplot(), "IoU (Jaccard index, J)", "Dice (D)", grid="both")
    j = np.linspace(0, 1, 200)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="D = J")
    axes.plot(j, 2 * j / (1 + j), color=INK, linewidth=1.2, label="D = 2J / (1 + J)")
    axes.scatter(iou, dice, s=22, color=BLUE, alpha=0.35, linewidth=0, label="a slice", zorder=3)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    axes.legend(frameon=False, fontsize=8.5, loc="lower right")
    return drawing


def plot_subgroups(tables: pd.DataFrame) -> Drawing:
    """Dice of each subgroup: a dot with its 95 % interval, none of one patient, and a grey bar at its floor.

    Args:
        tables: :func:`brain_tumor.evaluation.subgroups.tables`; groups without a slice are left out.
    """
    held = tables[tables.slices > 0].reset_index(drop=True)
    names = [f"{row.by} {row.group}" for row in held.itertuples()]
    words = "; ".join(f"{name} {wording.score(row.dice, 2)}" for name, row in zip(names, held.itertuples(), strict=True))
    drawing = Drawing(0.9 + 0.34 * len(held), f"Dice by subgroup with 95 % interval and floor: {words}.")
    axes = tidy(drawing.add_subplot(), "Dice", grid="x")
    first_of = held.by.ne(held.by.shift()).cumsum() - 1
    rows = np.arange(len(held)) + 0.6 * first_of.to_numpy()  # a gap between one field and the next
    for number, colour in zip(range(first_of.max() + 1), _colours(first_of.max() + 1), strict=True):
        mine = (first_of == number).to_numpy()
        axes.hlines(rows[mine], held.low[mine], held.high[mine], color=colour, linewidth=2.2, alpha=0.55)
        axes.plot(held.dice[mine], rows[mine], "o", color=colour, markersize=6, zorder=4)
    axes.vlines(held.floor, rows - 0.35, rows + 0.35, color=GREY, linewidth=3, label="floor: reads no image")
    sizes = [f"{_many(row.patients, 'patient')}, {_many(row.slices, 'slice')}" for row in held.itertuples()]
    labels = [f"{name}\n{size}" for name, size in zip(names, sizes, strict=True)]
    axes.set_yticks(rows, labels, color=INK, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(-0.02, 1.02)
    axes.legend(frameon=False, fontsize=8.5, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return drawing


def plot_differences(differences: pd.Series, measure: str = "difference in Dice", whole: Comparison | None = None) -> Drawing:
    """Each patient's own difference of two predictors, sorted; with the difference of all and its interval as a band.

    Args:
        differences: first minus second, indexed by ``case_id``; NaN is left out.
        measure: what was measured, the label of the axis.
        whole: the paired comparison of the two (:func:`brain_tumor.evaluation.intervals.paired`).
    """
    table = differences.dropna().sort_values(ascending=False)
    above, below = int((table > 0).sum()), int((table < 0).sum())
    summary = f" {str(whole)[0].upper()}{str(whole)[1:]}." if whole else ""
    drawing = Drawing(3.3, f"{measure} of {len(table)} patients, sorted: above 0 in {above}, below in {below}.{summary}")
    axes = tidy(drawing.add_subplot(), "patients, sorted", measure)
    if whole:
        band = "no interval" if np.isnan(whole.low) else f"{whole.low:+.3f} to {whole.high:+.3f}"
        axes.axhspan(whole.low, whole.high, color=PALE, alpha=0.6, linewidth=0)
        axes.axhline(
            whole.difference, color=INK, linewidth=1.4, label=f"all: {wording.score(whole.difference, signed=True)} ({band})"
        )
        axes.legend(frameon=False, fontsize=8.5, loc="upper right")
    x = np.arange(len(table))
    axes.bar(x, table, color=np.where(table > 0, BLUE, RED), width=0.7)
    axes.axhline(0, color=GREY, linewidth=1)
    named = len(table) <= NAMED_PATIENTS
    axes.set_xticks(x if named else [], [patient_label(case) for case in table.index] if named else [], rotation=60, ha="right")
    return drawing


def _calibration_error(table: pd.DataFrame) -> float:
    """The ECE of a reliability table: it is all that its bins hold."""
    return float(np.average((table.mean_probability - table.tumour_share).abs(), weights=table.weight)) if len(table) else np.nan


def _plot_curves(axes: Axes, slices: Mapping, floors: Mapping | None, areas: dict, area: str, curve: Callable) -> None:
    """One line a network, in colour, and one a floor, in grey; a curve is a series of y indexed by x."""
    for (label, table), style in zip((floors or {}).items(), FLOOR_STYLES, strict=False):
        line, label_here = curve(table), f"floor: {label}, {area} {wording.score(areas[label])}"
        marker = "o" if line.notna().sum() < 2 else None  # a constant answer has one point
        axes.plot(line.index, line, color=GREY, linewidth=1.4, linestyle=style, marker=marker, label=label_here)
    for (label, table), colour in zip(slices.items(), _colours(len(slices)), strict=True):
        line = curve(table)
        axes.plot(line.index, line, color=colour, linewidth=2, label=f"{label}, {area} {wording.score(areas[label])}")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.02, 0.5))


def _roc(table: pd.DataFrame) -> pd.DataFrame:
    return detection.roc_curve(table.tumour, table.probability)


def _recall(table: pd.DataFrame) -> pd.DataFrame:
    return detection.precision_recall_curve(table.tumour, table.probability)


def _all(slices: Mapping, floors: Mapping | None) -> dict:
    return {**slices, **(floors or {})}


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _told(areas: Mapping[str, float]) -> str:
    return "; ".join(f"{label} {wording.score(area)}" for label, area in areas.items())


def _colours(number: int) -> list[str]:
    """As many of the series' colours, over again where they run out."""
    return [SERIES[i % len(SERIES)] for i in range(number)]
