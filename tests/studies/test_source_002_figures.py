"""A grid's figures say what its tables say: each cell at its score, each claim in the colour of its verdict."""

import pandas as pd
import pytest
from matplotlib.colors import to_hex

from brain_tumor.report.figures import drawing
from brain_tumor.studies.source_002 import answers, figures as figures_grid


@pytest.fixture
def scores() -> pd.DataFrame:
    rows = [("1", "accuracy", 0.8), ("1", "AUC", 0.9), ("2", "accuracy", 0.7), ("2", "AUC", 0.85)]
    table = pd.DataFrame(rows, columns=["cell", "measure", "value"])
    return table.assign(low=table.value - 0.05, high=table.value + 0.04, floor=0.75)


def test_cells_stand_at_their_scores_beside_the_floor(scores):
    figure = figures_grid.plot_cells(scores, {"1": "1: resnet50, head", "2": "2: resnet50, all"})
    (axes,) = figure.axes
    dots = next(line for line in axes.lines if line.get_marker() == "o")
    assert dots.get_xdata().tolist() == [0.8, 0.7]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["1: resnet50, head", "2: resnet50, all"]
    assert any(line.get_linestyle() == "--" and line.get_xdata()[0] == 0.75 for line in axes.lines)
    assert "2 0.700 (0.650 to 0.740)" in figure.alt and figure.encoded()


def test_claims_have_the_colour_of_their_verdict():
    verdicts = [answers.CONFIRMED, answers.REFUTED, answers.DISAGREE, answers.NOT_DECIDABLE]
    table = pd.DataFrame(
        {
            "claim": list("abcd"), "difference": [0.1, -0.1, 0.0, 0.0], "low_corrected": [0.05, -0.2, -0.1, -0.1],
            "high_corrected": [0.15, -0.05, 0.1, 0.1], "low": 0.0, "high": 0.0,
            "said": [0.02, 0.01, float("nan"), 0.0], "verdict": verdicts,
            "each": [(0.08, 0.12), (-0.1, -0.1), (0.0,), (0.0,)],
        }
    )  # fmt: skip
    figure = figures_grid.plot_answers(table)
    (axes,) = figure.axes
    drawn = {line.get_label(): to_hex(line.get_color()) for line in axes.lines if line.get_marker() == "o"}
    colours = (drawing.GREEN, drawing.RED, drawing.ORANGE, drawing.GREY)
    assert drawn == {verdict: to_hex(colour) for verdict, colour in zip(verdicts, colours, strict=True)}
    ticks = next(line for line in axes.lines if line.get_marker() == "|")
    assert list(zip(ticks.get_xdata(), ticks.get_ydata(), strict=True)) == [(0.08, 0), (0.12, 0), (-0.1, 1), (-0.1, 1)]
    assert "b: -0.100 (-0.200 to -0.050), refuted" in figure.alt and figure.encoded()
