"""What each ingredient gains, and Adam at work, drawn."""

import numpy as np
import pandas as pd

from brain_tumor.report.figures.drawing import BLUE, GREY, PALE, RED, SERIES, Drawing, tidy


def plot_gains(answers: pd.DataFrame) -> Drawing:
    """Each ingredient's difference from the base with its interval, and each seed's: right of the line is better.

    Args:
        answers: of :func:`brain_tumor.studies.ingredients.screening.answers`, for one protocol.
    """
    rows = answers[answers.difference != 0].sort_values("difference")
    best = rows.iloc[-1]
    alt = f"Paired difference of each ingredient from the base. The largest is {best.ingredient}, {best.difference:+.3f}."
    drawing = Drawing(1.2 + 0.3 * len(rows), alt)
    axes = tidy(drawing.subplots(), "difference in Dice from the base", grid="x")
    places = np.arange(len(rows))
    axes.axvline(0, color=GREY, linewidth=1)
    axes.hlines(places, rows.low, rows.high, color=PALE, linewidth=6, label="95 % interval over patients")
    for seed, colour in zip([name for name in rows if name.startswith("seed ")], SERIES[1:], strict=False):
        axes.plot(rows[seed], places, "|", color=colour, markersize=11, markeredgewidth=2, label=seed)
    axes.plot(rows.difference, places, "o", color=BLUE, label="mean of the seeds")
    axes.set_yticks(places, rows.ingredient)
    drawing.legend(loc="outside lower center", frameon=False, fontsize=8.5, ncols=4)
    return drawing


def plot_adam(steps: pd.DataFrame) -> Drawing:
    """A weight's gradient with its moving averages, and the changes that Adam and AdamW make of them.

    Args:
        steps: of :func:`brain_tumor.studies.ingredients.adam.watch`.
    """
    drawing = Drawing(
        3.1, "One weight in training: its gradient, the moving averages of Adam, and the steps that follow from them."
    )
    left, right = drawing.subplots(1, 2)
    tidy(left, "step", title="gradient and its averages")
    spread = np.sqrt(steps.second)
    left.fill_between(steps.step, -spread, spread, color=PALE, label="root of the averaged square")
    left.plot(steps.step, steps.gradient, ".", color=GREY, markersize=3, label="gradient")
    left.plot(steps.step, steps["first"], color=BLUE, linewidth=1.8, label="averaged gradient")
    tidy(right, "step", title="what is added to the weight")
    right.plot(steps.step, steps.change, color=BLUE, linewidth=1.8, label="Adam: rate x average / root")
    right.plot(steps.step, steps.shrinkage, color=RED, linewidth=1.8, label="AdamW besides: shrinkage")
    right.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    for axes in (left, right):
        axes.axhline(0, color=GREY, linewidth=0.6)
        axes.legend(frameon=False, fontsize=8)
    return drawing
