"""Figures of one prediction looked at closely: they draw what their tables hold and say it in words."""

import numpy as np
import pandas as pd
import pytest

from brain_tumor.report import figures
from brain_tumor.studies import definitions


@pytest.fixture
def scores():
    rows = [(threshold, name, value) for name, values in {"pooled": (0.5, 0.7, 0.6), "patient mean": (0.4, 0.5, 0.55)}.items()
            for threshold, value in zip((0.25, 0.5, 0.75), values, strict=True)]  # fmt: skip
    return pd.DataFrame(rows, columns=["threshold", "protocol", "dice"])


@pytest.fixture
def outlines():
    rows = {"hd95": [0.0, 3.0, 360.0, 8.0], "nsd": [1.0, 0.8, 0.0, 0.5]}
    return pd.DataFrame(rows).assign(missed=[False, False, True, False], invented=False)


def test_thresholds_mark_what_was_fixed_and_what_would_be_selected(scores):
    drawing = figures.plot_thresholds(scores, 0.5)
    axes = drawing.axes[0]
    fixed, pooled, pooled_top, _, mean_top = axes.lines[:5]
    assert set(fixed.get_xdata()) == {0.5}
    assert pooled.get_ydata().tolist() == [0.5, 0.7, 0.6]
    assert (pooled_top.get_xdata()[0], pooled_top.get_ydata()[0]) == (0.5, 0.7)
    assert (mean_top.get_xdata()[0], mean_top.get_ydata()[0]) == (0.75, 0.55)
    assert "patient mean 0.500, highest 0.550 at 0.75" in drawing.alt
    assert drawing.encoded()


def test_outlines_rise_to_one_and_name_their_misses(outlines):
    drawing = figures.plot_boundary({"patients, 3-D": outlines, "none missed": outlines.drop(index=2)})
    far, near = drawing.axes
    np.testing.assert_allclose(far.lines[0].get_xdata(), [0, 0, 3, 8, 360])
    np.testing.assert_allclose(far.lines[0].get_ydata(), [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(near.lines[0].get_xdata(), [0, 0, 0.5, 0.8, 1])
    assert [text.get_text() for text in far.texts] == [text.get_text() for text in near.texts] == ["1 missed"]
    assert "patients, 3-D, 4: median HD95 5.5 px, NSD 0.65, 1 missed, 0 invented" in drawing.alt
    assert drawing.encoded()


def test_perfect_outlines_can_be_drawn(outlines):
    assert figures.plot_boundary({"perfect": outlines.iloc[:1]}).encoded()


def test_lost_dice_is_stacked_to_one_worst_last():
    wrong = pd.DataFrame([[0.5, 0.1, 0.2, 0.2, 0.0], [0.9, 0.0, 0.1, 0.0, 0.0]], columns=["dice", *definitions.WRONG])
    drawing = figures.plot_lost_dice(wrong.set_axis(["TCGA_DU_1_1", "TCGA_HT_2_1"], axis=0))
    axes = drawing.axes[0]
    tops = [bar.get_y() + bar.get_height() for bar in axes.containers[-1]]
    np.testing.assert_allclose(tops, [1, 1])
    assert [bar.get_height() for bar in axes.containers[0]] == [0.9, 0.5]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["HT 2", "DU 1"]
    assert "missed slices 0.050" in drawing.alt
    assert drawing.encoded()
