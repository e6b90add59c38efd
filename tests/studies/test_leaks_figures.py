"""What a split is worth, drawn and told: figures and tables hold what the comparison says, its doubts included."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from brain_tumor.data.splits import leak_pair
from brain_tumor.evaluation import floors, intervals
from brain_tumor.records.sidecar import Sidecar
from brain_tumor.report.figures import drawing
from brain_tumor.studies.leaks import figures as figures_leaks, leaks, published as claims, tables as tables_leaks

SPLITS = {"source-002": "slices", "ratio-15": "patients"}


@pytest.fixture
def spread() -> pd.DataFrame:
    rows = [
        ("source-002", floors.NEAREST, "accuracy", 0.94), ("source-002", floors.POSITION, "accuracy", 0.77),
        ("ratio-15", floors.POSITION, "accuracy", 0.78), ("source-002", floors.INTERPOLATION, "pooled", 0.84),
        ("ratio-15", floors.MEAN_MASK, "pooled", 0.25), ("source-002", floors.INTERPOLATION, "slice, empty = 1", 0.86),
        ("ratio-15", floors.ALL_EMPTY, "slice, empty = 1", 0.63),
    ]  # fmt: skip
    draws = [
        (split, seed, floor, measure, value + step)
        for split, floor, measure, value in rows
        for seed, step in enumerate((0, 0.02))
    ]
    return leaks.floor_spread(pd.DataFrame(draws, columns=["split", "seed", "floor", "measure", "value"]))


@pytest.fixture
def table() -> pd.DataFrame:
    """Decided over all draws, undecided in the only one."""
    rows = [
        {"measure": "patient mean", "on": leaks.ALL, "difference": 0.05, "low": 0.02, "high": 0.08, "verdict": intervals.BETTER},
        {"measure": "patient mean", "on": "draw 1", "difference": 0.01, "low": -0.03, "high": 0.06, "verdict": "not decidable"},
    ]
    scores = {"one": 0.7, "one_low": 0.6, "one_high": 0.8, "one_floor": 0.75, "one_floor_name": floors.INTERPOLATION}
    others = {"other": 0.65, "other_low": 0.5, "other_high": 0.7, "other_floor": 0.2, "other_floor_name": floors.MEAN_MASK}
    counts = {"p_value": 0.0001, "patients": 30, "slices": 1200, "empty_slices": 800}
    table = pd.DataFrame(rows).assign(**scores, **others, **counts)
    return table.assign(patients_needed=pd.array([None, 250], dtype="Int64"))


def test_claims_stand_beside_the_floors_in_the_colour_of_their_split(spread):
    figure = figures_leaks.plot_claims(spread)
    accuracy, dice = figure.axes
    drawn = [line for axes in (accuracy, dice) for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert sorted((line.get_xdata()[0], to_hex(line.get_color())) for line in drawn) == sorted(
        (claim.value, to_hex(figures_leaks.COLOURS[claim.split])) for claim in claims.CLAIMS
    )
    names = [text.get_text() for text in accuracy.get_yticklabels()]
    assert names[:2] == ["no image, slices", "no image, patients"]
    assert len(names) == 2 + sum(claim.measure == "accuracy" for claim in claims.CLAIMS)
    dashed = [line.get_xdata()[0] for line in dice.lines if line.get_linestyle() == "--"]
    assert dashed == pytest.approx([0.85, 0.87])
    assert "accuracy over slices 0.950" in figure.alt
    assert figure.encoded()


def test_every_claim_says_its_split_and_where_it_stands():
    shown = claims.table()
    assert len(shown) == len(claims.CLAIMS)
    assert set(shown["split over"]) == {claims.SLICES, claims.PATIENTS, claims.UNSTATED}
    assert shown["where it stands"].str.len().min() > 0


def test_the_leak_is_drawn_with_its_interval_and_every_draw(table):
    axes = figures_leaks.plot_leak(table).axes[0]
    segment = axes.collections[0].get_segments()[0]
    assert segment[:, 0].tolist() == [0.02, 0.08]
    rings, dots = axes.lines[1:]
    assert (rings.get_xdata()[0], dots.get_xdata()[0]) == (0.01, 0.05)
    assert [text.get_text() for text in axes.get_yticklabels()] == ["Dice, patient mean"]


def test_curves_are_told_apart_by_leak():
    epochs = np.arange(1, 4)
    outlines = {
        name: pd.DataFrame({"epoch": epochs, "dice": epochs / 4}) for name in ("clean-1-of-2", "leaky-1-of-2", "leaky-2-of-2")
    }
    calls = {"clean-1-of-2": pd.DataFrame({"epoch": epochs, "accuracy": epochs / 4})}
    left, right = figures_leaks.plot_curves({"U-Net": outlines, "ResNet": calls}).axes
    assert [line.get_color() for line in left.lines] == [drawing.BLUE, drawing.RED, drawing.RED]
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["clean", "leaky"]
    assert right.get_ylabel() == "accuracy, training part"


def test_a_difference_is_told_with_its_doubt(table):
    decided, undecided = table.itertuples()
    assert tables_leaks.difference(decided) == "+0.050 (95 % interval +0.020 to +0.080)"
    assert tables_leaks.difference(undecided).endswith("to +0.060), not decidable; 250 patients would decide it")


def test_a_score_below_its_floor_is_marked(table):
    shown = tables_leaks.comparison(table, "leaky", "clean").iloc[0]
    assert shown.leaky == "0.700 (0.600 to 0.800), below its floor 0.750 (shape interpolation)"
    assert shown.clean == "0.650 (0.500 to 0.700), floor 0.200 (mean mask at position)"
    assert (shown["p"], shown["slices (empty)"]) == ("< 0.001", "1,200 (800)")


def test_floors_say_where_they_do_not_apply_and_what_they_are_on_all_patients(spread):
    shown = tables_leaks.floor_table(spread, SPLITS)
    nearest = shown.loc[("accuracy", floors.NEAREST)]
    assert nearest.slices == "0.950 ± 0.014 (0.940 to 0.960)"
    assert nearest.patients == "not applicable"
    assert nearest["slices, 110 patients"] == "0.944 ± 0.006"
    assert list(shown.index.get_level_values("measure").unique()) == ["accuracy", "slice, empty = 1", "pooled"]


def test_the_split_table_counts_the_leak(store):
    clean, leaky = leak_pair(store.cases, store.slices, 1, 2)
    shown = tables_leaks.split_table({"clean": clean, "leaky": leaky}, store, "HT")
    assert shown["patients in both"].tolist() == [0, shown.loc["leaky", "of test patients"]]
    assert shown["training slices"].nunique() == 1
    train = store.slices.iloc[clean.rows("train", store.slices)]
    assert shown.loc["clean", "of them of HT"] == train[train.site == "HT"].case_id.nunique()


def test_what_travels_with_the_report(phantom_cohort, table, spread):
    sidecar = Sidecar(phantom_cohort)
    tables_leaks.declare(sidecar, table, "unet", "leaky", "clean", headlines=["patient mean"])
    tables_leaks.declare_floors(sidecar, spread, SPLITS, headlines=["accuracy"])
    numbers = {(number.name, number.protocol.split(":")[0]): number for number in sidecar.numbers}
    leak = numbers["unet, Dice, patient mean: leaky - clean", leaks.ALL]
    assert (leak.value, leak.low, leak.high, leak.floor, leak.headline) == (0.05, 0.02, 0.08, None, True)
    leaky = numbers["unet, Dice, patient mean, leaky", leaks.ALL]
    assert (leaky.value, leaky.floor, leaky.headline) == (0.7, 0.75, False)
    assert not numbers["unet, Dice, patient mean: leaky - clean", "draw 1"].headline
    quoted = {number.name: number.value for number in sidecar.numbers if number.headline and "no image" in number.name}
    assert quoted == pytest.approx({"no image read, slices, accuracy": 0.95, "no image read, patients, accuracy": 0.79})
