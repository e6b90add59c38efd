"""Figures of training: losses and rates, drawn from the tables that runs leave behind."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from brain_tumor.report.figures.drawing import BLUE, GREY, PALE, RED, SERIES, Drawing, tidy

if TYPE_CHECKING:
    from brain_tumor.training.finder import Sweep
    from brain_tumor.training.plan import Stage

RUN_COLUMNS = ("epoch", "stage", "loss", "learning_rate", "seconds")  # of every history; other columns are a task's measures
IN_WORDS = {"dice": "pooled Dice", "accuracy": "accuracy"}  # measures from 0 to 1


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


def plot_cycle(stage: "Stage", steps: int) -> Drawing:
    """The learning rate and the momentum of a 1cycle, step by step (rows 000.13-15).

    Args:
        stage: whose rate follows one cycle.
        steps: an epoch.
    """
    from brain_tumor.training.schedules import OneCycle

    step = np.arange(stage.epochs * steps)
    cycle = OneCycle(stage.max_lr, len(step), stage.pct_start)
    rates, momenta = np.asarray(cycle(step)), np.asarray(cycle.momentum(step))
    peak = step[rates.argmax()]
    drawing = Drawing(
        2.6, f"The rate rises to {rates.max():.1e} at step {peak} of {len(step)}; momentum falls while the rate rises."
    )
    for axes, values, title, colour in zip(
        drawing.subplots(1, 2), (rates, momenta), ("learning rate", "momentum"), (BLUE, RED), strict=True
    ):
        tidy(axes, "step", title=title)
        axes.plot(step, values, color=colour, linewidth=1.8)
        axes.axvline(peak, color=GREY, linewidth=0.8, linestyle=":")
    return drawing


def watched(history: pd.DataFrame) -> list[str]:
    """The columns of a history that hold what the task watches beside the loss."""
    return [name for name in history if name not in RUN_COLUMNS and not name.startswith("validation_")]


def measure_in_words(name: str) -> str:
    """``dice`` -> ``pooled Dice``."""
    return IN_WORDS.get(name, name.replace("_", " "))
