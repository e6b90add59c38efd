"""What each ingredient gains, Adam at work, and the final recipe beside others, drawn."""

import numpy as np
import pandas as pd

from brain_tumor.report.figures.drawing import BLUE, GREY, PALE, RED, SERIES, Drawing, logarithmic, patient_label, tidy
from brain_tumor.studies.ingredients.peers import PATIENT_MEANS


def plot_gains(answers: pd.DataFrame) -> Drawing:
    """Each ingredient's difference from what it is laid onto with its interval, and each seed's: right of the line is better.

    Args:
        answers: of :func:`brain_tumor.studies.ingredients.answers.answers`, for one protocol.
    """
    rows = answers[answers.onto != ""].sort_values("difference")
    best = rows.iloc[-1]
    alt = f"What each ingredient adds to the recipe without it. The largest is {best.ingredient}, {best.difference:+.3f}."
    drawing = Drawing(1.2 + 0.3 * len(rows), alt)
    axes = tidy(drawing.subplots(), "difference in Dice from the recipe without it", grid="x")
    places = np.arange(len(rows))
    axes.axvline(0, color=GREY, linewidth=1)
    axes.hlines(places, rows.low, rows.high, color=PALE, linewidth=6, label="95 % interval, patients and seeds")
    for seed, colour in zip([name for name in rows if name.startswith("seed ")], SERIES[1:], strict=False):
        axes.plot(rows[seed], places, "|", color=colour, markersize=11, markeredgewidth=2, label=seed)
    axes.plot(rows.difference, places, "o", color=BLUE, label="mean of the seeds")
    axes.set_yticks(places, rows.ingredient)
    drawing.legend(loc="outside lower center", frameon=False, fontsize=8.5, ncols=4)
    return drawing


def plot_errors(failures: pd.DataFrame, named: int = 5) -> Drawing:
    """Each patient's Dice by the size of the tumour, a colour a hospital; the worst are named.

    Args:
        failures: of :func:`brain_tumor.studies.ingredients.errors.table`.
    """
    worst = failures.head(named)
    label = ", ".join(f"{patient_label(row.case_id)} {row.dice:.2f}" for row in worst.itertuples())
    drawing = Drawing(3.4, f"Dice of {len(failures)} patients by the size of their tumour. Worst: {label}.")
    axes = tidy(drawing.subplots(), "tumour of all slices, pixels", "Dice of the patient's volume")
    for (site, rows), colour in zip(failures.groupby("site"), SERIES, strict=False):
        axes.plot(rows.tumour_px, rows.dice, "o", color=colour, label=f"{site}, mean {rows.dice.mean():.2f}")
    for row in worst.itertuples():
        axes.annotate(patient_label(row.case_id), (row.tumour_px, row.dice), (5, 3), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    logarithmic(axes.xaxis)
    axes.set_ylim(-0.03, 1)
    axes.legend(frameon=False, fontsize=8.5, loc="lower right")
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


def plot_peers(ours: dict[str, pd.DataFrame]) -> Drawing:
    """The patient mean of others and ours with its interval; the higher, the farther right.

    Args:
        ours: what to call it -> a row of :func:`brain_tumor.studies.ingredients.final.groups`.
    """
    others = sorted(PATIENT_MEANS, key=lambda peer: peer.mean)
    first = next(iter(ours.values()))
    reached = f"ours {first['mean']:.3f} ({first.mean_low:.3f} to {first.mean_high:.3f})"
    alt = f"Mean Dice of patients: {reached} beside {len(others)} that others report."
    drawing = Drawing(1.3 + 0.3 * (len(others) + len(ours)), alt)
    axes = tidy(drawing.subplots(), "mean Dice of patients", grid="x")
    for kind, colour in zip(dict.fromkeys(peer.kind for peer in PATIENT_MEANS), (GREY, *SERIES[1:]), strict=False):
        places = [place for place, peer in enumerate(others) if peer.kind == kind]
        axes.plot([others[place].mean for place in places], places, "D", color=colour, markersize=6, label=kind)
    for place, row in enumerate(ours.values(), len(others)):
        axes.hlines(place, row.mean_low, row.mean_high, color=PALE, linewidth=6)
        axes.plot(row["mean"], place, "o", color=BLUE, label="ours, with 95 % interval" if place == len(others) else None)
    axes.set_yticks(range(len(others) + len(ours)), [*(peer.who for peer in others), *ours])
    drawing.legend(loc="outside lower center", frameon=False, fontsize=8.5, ncols=3)
    return drawing


def plot_gap(within: pd.DataFrame, left_out: pd.DataFrame) -> Drawing:
    """Each patient twice: with and without other patients of the hospital in training. Below the line they helped.

    Args:
        within, left_out: ``case_id, site, dice``.
    """
    both = within.merge(left_out[["case_id", "dice"]], on="case_id", suffixes=("", "_left_out"))
    change = (both.dice_left_out - both.dice).mean()
    drawing = Drawing(3.6, f"Dice of {len(both)} patients with and without their hospital in training: {change:+.3f} on average.")
    axes = tidy(drawing.subplots(), "Dice, hospital seen in training", "Dice, hospital left out")
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    for (site, rows), colour in zip(both.groupby("site"), SERIES, strict=False):
        axes.plot(
            rows.dice, rows.dice_left_out, "o", color=colour, label=f"{site}, mean {(rows.dice_left_out - rows.dice).mean():+.3f}"
        )
    axes.set_aspect("equal")
    axes.legend(frameon=False, fontsize=8.5, loc="lower right")
    return drawing
