"""Figures of a cohort: numbers of its slices and patients, never their pixels. Tables are those of an opened store."""

import numpy as np
import pandas as pd

from brain_tumor.report.figures.drawing import BLUE, GREY, INK, ORANGE, PALE, RED, SERIES, Drawing, logarithmic, tidy

SMALL_PX = 200  # the lowest band of published results by tumour size, and the worst


def plot_tumour_areas(slices: pd.DataFrame) -> Drawing:
    """Histogram of tumour area over the slices that hold any; the area axis is logarithmic."""
    areas = slices.tumour_px[slices.tumour_px > 0].to_numpy()
    median = float(np.median(areas))
    drawing = Drawing(3.0, f"Histogram of tumour area: {areas.min()} to {areas.max()} px, median {median:.0f} px.")
    axes = tidy(drawing.add_subplot(), "tumour area in a slice (pixels, logarithmic)", "slices")
    axes.hist(areas, bins=np.geomspace(areas.min(), areas.max() + 1, 33).tolist(), color=BLUE, edgecolor="white", linewidth=0.5)
    axes.set_xscale("log")
    axes.axvline(median, color=RED, linewidth=1.5)
    top = axes.get_ylim()[1]
    axes.text(median, top, f"median {median:,.0f} px ", ha="right", va="top", color=RED, fontsize=9)
    note = f"{(areas < SMALL_PX).sum()} of {len(areas):,} tumour slices under {SMALL_PX} px"
    axes.text(0.01, 0.98, note, transform=axes.transAxes, color=GREY, fontsize=9, va="top")
    logarithmic(axes.xaxis)
    return drawing


def plot_slices_by_site(cases: pd.DataFrame) -> Drawing:
    """A bar a patient, grouped by site: all slices, and those with tumour."""
    ordered = cases.sort_values(["site", "slices"], ascending=[True, False])
    drawing = Drawing(3.2, f"Slices of {len(cases)} patients at {cases.site.nunique()} sites; tumour slices in colour.")
    axes = tidy(drawing.add_subplot(), "patients, by site", "slices")
    gap = max(1.0, len(ordered) / 50)
    left, middles = 0.0, {}
    for site, group in ordered.groupby("site", sort=True):
        x = left + np.arange(len(group))
        axes.bar(x, group.slices, width=0.85, color=PALE, label="without tumour" if left == 0 else None)
        axes.bar(x, group.tumour_slices, width=0.85, color=RED, label="with tumour" if left == 0 else None)
        middles[f"{site}\n{len(group)}"] = x.mean()
        left = x[-1] + 1 + gap
    axes.set_xticks(list(middles.values()), list(middles), color=INK)
    axes.set_ylim(0, cases.slices.max() * 1.22)
    axes.legend(frameon=False, fontsize=9, loc="upper right", ncols=2)
    return drawing


def plot_tumour_position(slices: pd.DataFrame, bins: int = 20) -> Drawing:
    """Where along the exam tumour lies: a line a patient from first to last tumour slice, and the share of slices with tumour."""
    stacks = slices.groupby("case_id").slice
    places = (stacks.cumcount() + 0.5) / stacks.transform("size")
    table = slices.assign(place=places, tumour=slices.tumour_px > 0)
    extents = table[table.tumour].groupby("case_id").place.agg(["min", "max", "mean"]).sort_values("mean")
    share = table.groupby(pd.cut(table.place, np.linspace(0, 1, bins + 1)), observed=False).tumour.mean()
    drawing = Drawing(4.2, f"Position of the tumour along the exam; the share of tumour slices peaks at {share.max():.0%}.")
    top, bottom = drawing.subplots(2, 1, sharex=True, height_ratios=(1, 1.7))
    middles = (np.arange(bins) + 0.5) / bins
    tidy(top, y="slices with tumour")
    top.fill_between(middles, share.to_numpy(), color=BLUE, alpha=0.25, linewidth=0)
    top.plot(middles, share.to_numpy(), color=BLUE, linewidth=2)
    top.set_ylim(0)
    top.yaxis.set_major_formatter(lambda value, _position: f"{value:.0%}")
    tidy(bottom, "place in the exam (0 = first slice, 1 = last)", "patients", grid="x")
    bottom.hlines(np.arange(len(extents)), extents["min"], extents["max"], color=ORANGE, linewidth=min(4.0, 110 / len(extents)))
    bottom.set_yticks([])
    bottom.set_xlim(0, 1)
    return drawing


def plot_neighbour_overlap(overlaps: np.ndarray) -> Drawing:
    """Histogram of the Dice between the masks of neighbouring tumour slices of one patient."""
    median = float(np.median(overlaps))
    drawing = Drawing(2.8, f"Dice between neighbouring masks: median {median:.2f} over {len(overlaps)} pairs of slices.")
    axes = tidy(drawing.add_subplot(), "Dice between the masks of two neighbouring tumour slices", "pairs of slices")
    axes.hist(overlaps, bins=np.linspace(0, 1, 41).tolist(), color=BLUE, edgecolor="white", linewidth=0.5)
    axes.axvline(median, color=RED, linewidth=1.5)
    top = axes.get_ylim()[1]
    axes.text(median, top, f"median {median:.2f} ", ha="right", va="top", color=RED, fontsize=9)
    axes.set_xlim(0, 1)
    return drawing


def plot_volume_by_code(table: pd.DataFrame, field: str) -> Drawing:
    """Tumour volume of each patient, by the code of one clinical or genomic field; blanks are a group of their own.

    Args:
        table: a row a patient, with ``tumour_px`` and the ``field``.
        field: a column of the clinical table.
    """
    groups = [(f"{code:g}", rows) for code, rows in table.groupby(field)] + [("blank", table[table[field].isna()])]
    groups = [(label, rows.tumour_px.to_numpy()) for label, rows in groups if len(rows)]
    drawing = Drawing(3.2, f"Tumour volume by {field}: " + ", ".join(f"{label}: {len(v)} patients" for label, v in groups))
    axes = tidy(drawing.add_subplot(), f"{field} (code in the table)", "tumour volume (pixels, all slices)")
    for place, (label, volumes) in enumerate(groups):
        colour = GREY if label == "blank" else SERIES[place % len(SERIES)]
        spread = np.linspace(-0.25, 0.25, len(volumes)) if len(volumes) > 1 else np.zeros(1)
        axes.scatter(place + spread, np.sort(volumes), s=16, color=colour, alpha=0.8, linewidth=0)
        axes.hlines(np.median(volumes), place - 0.32, place + 0.32, color=INK, linewidth=1.8)
    axes.set_xticks(range(len(groups)), [f"{label}\n{len(volumes)} patients" for label, volumes in groups])
    axes.set_yscale("log")
    logarithmic(axes.yaxis)
    return drawing
