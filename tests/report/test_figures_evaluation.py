"""Figures of what a score is worth: they show what their tables hold, floors in grey, and say it in words."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from brain_tumor.evaluation import calibration, detection, intervals, overlap, protocols
from brain_tumor.records import records
from brain_tumor.report import figures
from brain_tumor.report.figures.drawing import GREY


@pytest.fixture
def run(make_run):
    return make_run().path


@pytest.fixture
def slices(make_classifier):
    """A noisy classifier's slices, and those of its floors."""
    folder = make_classifier().path
    return records.read_slices(folder), dict(list(records.read_slice_floors(folder).groupby("floor")))


def lines_of(axes):
    return {line.get_label(): line for line in axes.lines}


def test_reliability_draws_a_panel_each_and_states_the_error(slices):
    table, _ = slices
    bins = calibration.reliability(table.tumour, table.probability)
    figure = figures.plot_reliability({"slices": bins, "twice": pd.concat([bins, bins])})
    error = calibration.ece(table.tumour, table.probability)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [f"slices, ECE {error:.3f}", f"twice, ECE {error:.3f}"]
    np.testing.assert_allclose(figure.axes[0].collections[0].get_offsets(), bins[["mean_probability", "tumour_share"]])
    assert f"slices, {error:.3f}" in figure.alt
    sizes = figure.axes[0].collections[0].get_sizes()
    assert sizes.argmax() == bins.weight.to_numpy().argmax()


def test_roc_goes_from_corner_to_corner_with_floors_in_grey(slices):
    table, floors = slices
    figure = figures.plot_roc({"a network": table}, floors)
    lines = lines_of(figure.axes[0])
    area = detection.auc(table.tumour, table.probability)
    mine = lines.pop(f"a network, AUC {area:.3f}")
    assert (mine.get_xdata()[0], mine.get_ydata()[0], mine.get_xdata()[-1], mine.get_ydata()[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(mine.get_ydata(), mine.get_xdata()) == pytest.approx(area)
    assert len(lines) == len(floors) and {to_hex(line.get_color()) for line in lines.values()} == {GREY}
    assert all(name in figure.alt for name in floors)


def test_precision_recall_marks_the_floor_that_has_one_point(slices):
    table, floors = slices
    axes = figures.plot_precision_recall({"a network": table}, floors).axes[0]
    always_no = next(line for label, line in lines_of(axes).items() if label.startswith("floor: always no"))
    assert always_no.get_marker() == "o"
    assert always_no.get_ydata()[-1] == pytest.approx(table.tumour.mean()), "chance"
    assert figures.plot_roc({"a network": table}).axes[0].lines[0].get_label().startswith("a network")


def test_spread_has_a_row_a_definition_and_a_dot_a_variant(run):
    variants = {"as predicted": records.read_counts(run), "largest": records.read_counts(run, "counts_largest.csv")}
    spread = protocols.spread(variants)
    figure = figures.plot_spread(spread)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [one.name for one in protocols.PROTOCOLS]
    lines = lines_of(figure.axes[0])
    assert len(lines) == 4
    for name, line in lines.items():
        np.testing.assert_allclose(line.get_xdata(), spread[name].drop(protocols.RANGE))


def test_every_slice_lies_on_the_curve_of_dice_and_iou(run):
    counts = records.read_counts(run)
    native = counts[counts["size"] == 64]
    axes = figures.plot_dice_iou(native).axes[0]
    iou, dice = np.asarray(axes.collections[0].get_offsets()).T
    np.testing.assert_allclose(dice, 2 * iou / (1 + iou))
    assert len(iou) == (native.tp + native.fp + native.fn > 0).sum()
    j, d = lines_of(axes)["D = 2J / (1 + J)"].get_data()
    assert (d >= j).all()


def test_subgroups_keep_their_order_and_leave_empty_ones_out(run):
    groups = pd.read_csv(run / "subgroups.csv", dtype={"group": str})
    groups.loc[0, "slices"] = 0
    figure = figures.plot_subgroups(groups)
    held = groups[groups.slices > 0]
    labels = [label.get_text().split("\n")[0] for label in figure.axes[0].get_yticklabels()]
    assert labels == [f"{row.by} {row.group}" for row in held.itertuples()]
    dots = np.concatenate([line.get_xdata() for line in figure.axes[0].lines])
    np.testing.assert_allclose(dots, held.dice)
    assert f"1 patient, {held.slices[held.patients == 1].iloc[0]} slice" in str(
        [label.get_text() for label in figure.axes[0].get_yticklabels()]
    )


def test_differences_are_sorted_and_counted(make_run):
    counts = [records.read_counts(make_run(seed=seed, shift=seed + 1).path) for seed in (0, 1)]
    one, other = (overlap.per_case(table[table["size"] == 64]).dice for table in counts)
    patient_mean = protocols.named("patient mean")
    tables = [patient_mean.per_patient(table[table["size"] == 64]) for table in counts]
    whole = intervals.paired(*tables, patient_mean.summarise, vectorised=True)
    figure = figures.plot_differences(one - other, "difference in Dice", whole)
    bars = [bar.get_height() for bar in figure.axes[0].patches if bar.get_height() and bar.get_width() < 1]
    assert bars == sorted(one - other, reverse=True)
    assert f"above 0 in {(one > other).sum()}, below in {(one < other).sum()}" in figure.alt
    assert "Not decidable: difference +" in figure.alt
    alone = figures.plot_differences(one - other)
    assert len(alone.axes[0].patches) == len(one) and "decidable" not in alone.alt


def test_no_figure_here_holds_a_pixel(slices, run):
    table, floors = slices
    for figure in (figures.plot_roc({"a": table}, floors), figures.plot_dice_iou(records.read_counts(run))):
        assert figure.pixels == "" and figure.encoded()[:4] == b"\x89PNG"
