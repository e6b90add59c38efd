"""Figures of what a split is worth: floors beside what others report, a leak measure by measure, curves that do not show it.

All are drawn from tables of :mod:`brain_tumor.studies.leaks.leaks`: no pixel of any exam.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from brain_tumor.evaluation import wording
from brain_tumor.report.figures.drawing import BLUE, GREY, INK, ORANGE, RED, Drawing, tidy
from brain_tumor.report.figures.training import measure_in_words, watched
from brain_tumor.studies.leaks import leaks
from brain_tumor.studies.leaks.published import CLAIMS, PATIENTS, SLICES, UNSTATED, PublishedScore

COLOURS = {SLICES: RED, UNSTATED: ORANGE, PATIENTS: BLUE}
SPLITS = {"source-002": SLICES, "ratio-15": PATIENTS}  # the random splits whose floors are drawn, and what they deal out
FLOORED = {"accuracy": ("accuracy",), "Dice": ("pooled", "slice, empty = 1")}
TITLES = {"accuracy": "accuracy over slices", "Dice": "Dice, reported by several definitions"}
ROW = 0.27  # inches
LEAST = 0.0  # where the axis of scores begins


def plot_claims(spread: pd.DataFrame, claims: Sequence[PublishedScore] = CLAIMS) -> Drawing:
    """What reading no image reaches on a random split, as bars over its draws, and what others report, as dots coloured by split.

    Args:
        spread: of ``source-002`` and ``ratio-15`` (:func:`brain_tumor.studies.leaks.leaks.floor_spread`).
    """
    panels = {
        panel: (
            pd.concat([_best(spread, measure) for measure in measures], ignore_index=True),
            sorted((claim for claim in claims if claim.measure == panel), key=_order),
        )
        for panel, measures in FLOORED.items()
    }
    heights = [len(floor) + len(points) for floor, points in panels.values()]
    words = "; ".join(
        f"{row.measure} over {SPLITS[row.split]} {row['mean']:.3f}" for floor, _ in panels.values() for _, row in floor.iterrows()
    )
    alt = f"What reading no image reaches: {words}. Beside it, {len(claims)} reported scores."
    drawing = Drawing(1.5 + ROW * sum(heights), alt)
    places = drawing.subplots(len(panels), 1, height_ratios=heights, sharex=True)
    for axes, (panel, (floor, points)) in zip(places, panels.items(), strict=True):
        tidy(axes, title=TITLES[panel], grid="x")
        _plot_floors(axes, floor)
        for y, claim in enumerate(points, len(floor)):
            axes.plot(claim.value, y, "o", color=COLOURS[claim.split], markersize=7)
        several = floor.measure.nunique() > 1
        names = [f"no image, {SPLITS[row.split]}{f': {row.measure}' if several else ''}" for row in floor.itertuples()]
        axes.set_yticks(range(len(floor) + len(points)), [*names, *(claim.who for claim in points)], color=INK, fontsize=8.5)
        axes.invert_yaxis()
        axes.set_xlim(LEAST, 1)
    for split, colour in COLOURS.items():
        places[0].plot([], [], "o", color=colour, markersize=7, label=f"reported, split {_over(split)}")
    places[0].plot([], [], color=GREY, linewidth=6, label="reads no image, random split: lowest to highest draw, and mean")
    drawing.legend(*places[0].get_legend_handles_labels(), loc="outside upper center", frameon=False, fontsize=8.5, ncols=2)
    return drawing


def plot_leak(table: pd.DataFrame) -> Drawing:
    """The difference of two predictors, measure by measure: a dot and its 95 % interval for all, small rings for single draws.

    Args:
        table: :func:`brain_tumor.studies.leaks.leaks.comparison_table`, of one task or several put together.
    """
    whole, draws = table[table.on == leaks.ALL].reset_index(drop=True), table[table.on != leaks.ALL]
    words = "; ".join(f"{row.measure} {wording.change(row)}" for row in whole.itertuples())
    drawing = Drawing(1.1 + 0.42 * len(whole), f"leaky - clean, all draws together with 95 % interval: {words}.")
    axes = tidy(drawing.add_subplot(), "difference in score, leaky - clean", grid="x")
    axes.axvline(0, color=GREY, linewidth=1.4)
    rows = np.arange(len(whole))
    axes.hlines(rows, whole.low, whole.high, color=BLUE, linewidth=3, alpha=0.55, label="95 % interval over patients")
    for number, (_, single) in enumerate(draws.groupby("on", sort=False)):
        differences = single.set_index("measure").difference.reindex(whole.measure)
        label = "a draw alone" if number == 0 else None
        axes.plot(differences, rows + 0.22, "o", color=GREY, markersize=5, fillstyle="none", label=label)
    axes.plot(whole.difference, rows, "o", color=BLUE, markersize=7, label="all draws together")
    axes.set_yticks(rows, [f"Dice, {name}" if name in leaks.OUTLINES else name for name in whole.measure], color=INK)
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=8.5, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return drawing


def plot_curves(panels: Mapping[str, Mapping[str, pd.DataFrame]]) -> Drawing:
    """Dice or accuracy of the training part by epoch, a panel a network: red where the split leaks, blue where it does not.

    Args:
        panels: a network's name -> a split's name -> its run's history.
    """
    ends = "; ".join(
        f"{name} {split} {_trained(table).iloc[-1]:.3f}" for name, of in panels.items() for split, table in of.items()
    )
    drawing = Drawing(3.2, f"Score of the training part by epoch; at the end: {ends}.")
    for axes, (name, histories) in zip(np.atleast_1d(drawing.subplots(1, len(panels))), panels.items(), strict=True):
        labels = set()
        for split, table in histories.items():
            kind, score = split.split("-")[0], _trained(table)
            colour = RED if kind == "leaky" else BLUE if kind == "clean" else GREY
            marker = "o" if len(table) < 3 else None
            axes.plot(table.epoch, score, color=colour, linewidth=1.6, marker=marker, label="" if kind in labels else kind)
            labels.add(kind)
        tidy(axes, "epoch", f"{measure_in_words(score.name)}, training part", name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False, fontsize=8.5, loc="lower right")
    return drawing


def _plot_floors(axes: Axes, floor: pd.DataFrame) -> None:
    """A bar from the lowest draw to the highest, its mean as a line; a line down the panel where slices are dealt out."""
    rows = np.arange(len(floor))
    axes.hlines(rows, floor.lowest, floor.highest, color=GREY, linewidth=8, alpha=0.6)
    axes.vlines(floor["mean"], rows - 0.35, rows + 0.35, color=INK, linewidth=1.6)
    for y, row in enumerate(floor.itertuples()):
        left = row.mean > 0.5  # of the bar, where there is room
        place, side = (row.lowest - 0.012, "right") if left else (row.highest + 0.012, "left")
        axes.text(place, y, row.floor, ha=side, va="center", color=GREY, fontsize=8)
        if SPLITS[row.split] == SLICES:
            axes.axvline(row.mean, color=GREY, linewidth=1, linestyle="--", zorder=0)


def _best(spread: pd.DataFrame, measure: str) -> pd.DataFrame:
    best = leaks.best_floors(spread)
    return best[(best.measure == measure) & best.split.isin(SPLITS)]


def _order(claim: PublishedScore) -> tuple[int, float]:
    return list(COLOURS).index(claim.split), -claim.value


def _over(split: str) -> str:
    return split if split == UNSTATED else f"over {split}"


def _trained(history: pd.DataFrame) -> pd.Series:
    return history[watched(history)[0]]
