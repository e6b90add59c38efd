"""Nested regions: their colours, what a network scores in each, and how far several segmentations agree."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from brain_tumor.data import labels
from brain_tumor.report.figures.drawing import GREY, INK, ORANGE, PURPLE, SERIES, SKY, Drawing, tidy

COLOURS = (SKY, ORANGE, PURPLE)  # of regions, the outermost first
OPACITY = 0.65


def coloured(depths: np.ndarray, opacity: float = OPACITY) -> np.ndarray:
    """``(H, W, 4)`` float: the colour of the innermost region of each pixel of ``depths (H, W)``; clear where there is none."""
    colours = [(*(part / 255 for part in bytes.fromhex(colour[1:])), opacity) for colour in COLOURS]
    return np.array([(0.0,) * 4, *colours])[np.minimum(depths, len(COLOURS))]


def plot_regions(scores: Mapping[str, pd.DataFrame], measure: str = "Dice, patient mean") -> Drawing:
    """One measure of every region with its interval, a colour a network, and the floor of each.

    Args:
        scores: a network's label -> its ``region_scores.csv``.
    """
    tables = {label: table[table.measure == measure].set_index("region") for label, table in scores.items()}
    regions = list(next(iter(tables.values())).index)
    words = "; ".join(
        f"{label}: " + ", ".join(f"{name} {rows.value[name]:.2f}" for name in regions) for label, rows in tables.items()
    )
    drawing = Drawing(2.8, f"{measure} of each region. {words}.")
    axes = tidy(drawing.add_subplot(), "", measure)
    for place, (label, rows) in enumerate(tables.items()):
        x = np.arange(len(regions)) + 0.16 * (place - (len(tables) - 1) / 2)
        below, above = rows.value - rows.low, rows.high - rows.value
        axes.errorbar(x, rows.value, [below, above], fmt="o", color=SERIES[place], capsize=3, label=label)
    for place, name in enumerate(regions):
        floor = next(iter(tables.values())).floor[name]
        axes.plot([place - 0.3, place + 0.3], [floor, floor], color=GREY, linewidth=2.5, label="" if place else "floor")
    axes.set_xticks(range(len(regions)), [f"{name}\n{labels.TITLES.get(name, name)}" for name in regions])
    axes.set_ylim(-0.02, 1.02)
    axes.legend(frameon=False, fontsize=8.5)
    return drawing


def plot_agreement(table: pd.DataFrame, region: str) -> Drawing:
    """How alike several segmentations of one exam are: the Dice of each pair, as a grid of shades with its numbers.

    Args:
        table: square, names along both axes.
    """
    names: Sequence[str] = list(table.index)
    apart = table.to_numpy()[~np.eye(len(names), dtype=bool)]
    drawing = Drawing(
        3.4, f"{region}: Dice of pairs of {len(names)} segmentations, {apart.min():.2f} to {apart.max():.2f}.", width=5.0
    )
    axes = drawing.add_subplot()
    axes.imshow(table.to_numpy(), cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*table.shape):
        value = table.iat[row, column]
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color="white" if value > 0.6 else INK)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_title(f"{region}, {labels.TITLES.get(region, region)}", fontsize=9, color=INK)
    return drawing
