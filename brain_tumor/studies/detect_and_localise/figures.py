"""The figures of notebook 11."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from brain_tumor.data.cache import Store
from brain_tumor.evaluation import explanations
from brain_tumor.inference.intake import Exam
from brain_tumor.report.figures.drawing import BLUE, GREY, INK, SERIES, Drawing, patient_label, tidy
from brain_tumor.studies.detect_and_localise.maps import CONTROLS, forgotten


def plot_detection(scores: Mapping[str, pd.DataFrame], measures: tuple[str, ...] = ("AUC", "accuracy")) -> Drawing:
    """Dots with 95 % intervals, a panel a measure; the grey line is the best that reads no image.

    Args:
        scores: a network's name -> ``measure, value, low, high, floor``.
    """
    rows = {name: table.set_index("measure") for name, table in scores.items()}
    words = "; ".join(f"{name} {measure} {table.value[measure]:.3f}" for name, table in rows.items() for measure in measures)
    drawing = Drawing(1.0 + 0.42 * len(rows), f"Detection of slices with tumour: {words}.")
    panels = drawing.subplots(1, len(measures), sharey=True, squeeze=False)[0]
    for axes, measure in zip(panels, measures, strict=True):
        tidy(axes, measure, grid="x")
        for place, (table, colour) in enumerate(zip(rows.values(), SERIES, strict=False)):
            axes.hlines(place, table.low[measure], table.high[measure], color=colour, linewidth=2.2, alpha=0.55)
            axes.plot(table.value[measure], place, "o", color=colour, markersize=6)
        floor = next(iter(rows.values())).floor[measure]
        axes.axvline(floor, color=GREY, linewidth=2.5)
        axes.text(floor, len(rows) - 0.55, " floor", color=GREY, fontsize=8.5, va="center")
    panels[0].set_yticks(range(len(rows)), list(rows), color=INK)
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    return drawing


def plot_maps(summary: pd.DataFrame) -> Drawing:
    """How well maps point at the tumour, a panel a measure; controls in grey.

    Args:
        summary: of :func:`brain_tumor.evaluation.explanations.summary`.
    """
    names = list(dict.fromkeys(summary["map"]))
    rows = summary.set_index(["map", "measure"])
    words = "; ".join(f"{name} {rows.loc[(name, 'auprc'), 'mean']:.2f}" for name in names)
    drawing = Drawing(1.0 + 0.36 * len(names), f"AUPRC of maps on the tumour: {words}.")
    panels = drawing.subplots(1, len(explanations.MEASURES), sharey=True, squeeze=False)[0]
    for axes, (measure, title) in zip(panels, explanations.MEASURES.items(), strict=True):
        tidy(axes, title, grid="x")
        for place, name in enumerate(names):
            row, colour = rows.loc[(name, measure)], GREY if name in CONTROLS else BLUE
            axes.hlines(place, row.low, row.high, color=colour, linewidth=2.2, alpha=0.6)
            axes.plot(row["mean"], place, "o", color=colour, markersize=6)
        axes.set_xlim(-0.03, 1.03)
    panels[0].set_yticks(range(len(names)), names, color=INK)
    panels[0].set_ylim(len(names) - 0.4, -0.6)
    return drawing


def plot_randomisation(tables: Mapping[str, pd.DataFrame]) -> Drawing:
    """How alike maps stay to those of the trained network while layers forget, a line a network."""
    words = "; ".join(f"{name} {forgotten(table)[0]:.2f}" for name, table in tables.items())
    drawing = Drawing(2.8, f"Correlation of maps with those of the trained network as layers are made random; of all: {words}.")
    axes = tidy(drawing.add_subplot(), "share of layers with random weights, from the output", "rank correlation")
    for (name, table), colour in zip(tables.items(), SERIES, strict=False):
        means = table.groupby("share").correlation.mean()
        axes.plot(means.index, means, "o-", color=colour, label=name)
    axes.axhline(0, color=GREY, linewidth=1)
    axes.set_ylim(-0.3, 1.05)
    axes.legend(frameon=False, fontsize=8.5)
    return drawing


def show_maps(store: Store, exams: list[tuple[Exam, np.ndarray]], maps: Mapping[str, Mapping[str, np.ndarray]]) -> Drawing:
    """A column an exam: its slice of largest tumour with the expert's outline, and below it the map of each network.

    Args:
        exams: with the masks of the slices that were asked for.
        maps: a network's name -> case -> ``(n, H, W)`` float in [0, 1].
    """
    phantom = store.cohort.phantom
    lines = 1 + len(maps)
    words = f"Where networks look in {len(exams)} patients."
    drawing = Drawing(
        0.3 + 1.75 * lines, ("Phantom, not a patient. " if phantom else "") + words, "phantom" if phantom else "patients"
    )
    panels = drawing.subplots(lines, len(exams), squeeze=False)
    for column, (exam, masks) in enumerate(exams):
        z = int(masks.sum(axis=(1, 2)).argmax())
        plane = exam.images[exam.rows][z, ..., store.cohort.reference]
        for line, axes in enumerate(panels[:, column]):
            axes.set_axis_off()
            axes.imshow(plane, cmap="gray", vmin=0, vmax=255)
            if line:
                axes.imshow(list(maps.values())[line - 1][exam.name][z], cmap="magma", alpha=0.6, vmin=0, vmax=1)
                axes.set_title(list(maps)[line - 1] if not column else "", fontsize=8.5, color=INK, loc="left")
            else:
                axes.set_title(f"{patient_label(exam.name)}, slice {exam.asked[z]}", fontsize=8.5, color=INK)
            axes.contour(masks[z].astype(float), levels=[0.5], colors=[BLUE], linewidths=1.0)
    return drawing
