"""The final recipe out of fold: groups of patients, the gap of a hospital left out, and what others report."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from brain_tumor import face
from brain_tumor.evaluation import intervals
from brain_tumor.records import lookup
from brain_tumor.report.figures import plot_protocols
from brain_tumor.studies.ingredients import figures, final, peers


@pytest.fixture
def cases():
    dice = np.linspace(0.4, 0.95, 12)
    return pd.DataFrame({"case_id": [f"P{number}" for number in range(12)], "site": ["CS", "DU"] * 6, "dice": dice})


def test_the_worst_tenth_is_of_ten_among_ninety_five():
    dice = pd.Series(np.arange(95) / 100).sample(frac=1, random_state=0)
    assert final.worst_tenth(dice) == pytest.approx(np.arange(10).mean() / 100)


def test_patients_who_were_not_in_the_screening_stand_apart(cases):
    of_groups = final.groups(cases, ["P0", "P1"])
    assert of_groups.patients.tolist() == [12, 10, 2]
    assert of_groups.loc[final.ALL, "mean"] == pytest.approx(cases.dice.mean())
    assert of_groups.loc[final.APART, "mean"] == pytest.approx(cases.dice[:2].mean())
    low, high = intervals.bootstrap(cases.sort_values("case_id").dice.to_numpy(), np.mean)
    assert tuple(of_groups.loc[final.ALL, ["mean_low", "mean_high"]]) == (low, high)
    assert list(final.groups(cases, []).index) == [final.ALL, final.SCREENED]
    assert final.group_table(of_groups).loc["not in the screening, 2", "worst tenth"].startswith("0.400 (")
    assert (of_groups.worst_low <= of_groups.worst).all() and (of_groups["median"] <= of_groups.median_high).all()


def test_patients_of_folds_have_their_site_and_the_size_of_their_tumour(cases):
    folds = SimpleNamespace(read={"cases.csv": cases.drop(columns="site").assign(tp=[*range(12)], fn=1)}.get)
    patients = final.patients(folds, SimpleNamespace(cases=cases.set_index("case_id")))
    assert patients.case_id.tolist() == cases.sort_values("dice").case_id.tolist()
    assert patients.tumour_px.tolist() == list(range(1, 13))
    assert patients.set_index("case_id").site.to_dict() == cases.set_index("case_id").site.to_dict()


def test_the_gap_is_paired_by_patient(cases):
    left_out = cases.assign(dice=cases.dice - 0.1).sample(frac=1, random_state=1)
    gap = final.gap(cases, left_out.iloc[:-1])
    assert gap.patients == 11
    assert (gap.difference, gap.low, gap.high) == pytest.approx((-0.1, -0.1, -0.1))


def test_the_gap_is_told_hospital_by_hospital(cases):
    change = cases.site.map({"CS": -0.2, "DU": 0.1})
    table = final.gap_table(cases, cases.assign(dice=cases.dice + change).sample(frac=1, random_state=1))
    assert table.index.tolist() == [final.ALL, "CS", "DU"] and table.patients.tolist() == [12, 6, 6]
    assert [text[:6] for text in table["left out minus seen"]] == ["-0.050", "-0.200", "+0.100"]
    assert table.loc["CS", "seen"] == f"{cases[cases.site == 'CS'].dice.mean():.3f}"
    assert float(table.loc["CS", "left out"]) == pytest.approx(float(table.loc["CS", "seen"]) - 0.2, abs=0.0011)


def test_ours_stands_beside_all_others(cases):
    table = peers.table({"once": {"ours": cases.dice}, "selected": {"ours, folds": cases.dice}})
    assert len(table) == 2 + len(peers.PEERS) and list(table.index[:2]) == ["ours", "ours, folds"]
    assert table["how measured"].iloc[:2].tolist() == ["once", "selected"]
    assert table.loc["Buda 2019, U-Net", ["mean", "median", "patients"]].tolist() == ["0.820", "0.850", "110"]
    drawing = figures.plot_peers({"ours": final.groups(cases, []).loc[final.ALL]})
    labels = [label.get_text() for label in drawing.axes[0].get_yticklabels()]
    assert labels[-1] == "ours" and set(labels[:-1]) == {peer.who for peer in peers.PATIENT_MEANS}


def test_each_patient_is_drawn_with_and_without_the_hospital(cases):
    drawing = figures.plot_gap(cases, cases.assign(dice=cases.dice - 0.1))
    assert "-0.100" in drawing.alt
    assert [text.get_text() for text in drawing.axes[0].get_legend().get_texts()] == ["CS, mean -0.100", "DU, mean -0.100"]


def test_rungs_are_told_from_their_records_without_data_or_network():
    paths = {path.name: path for path in lookup.all_records() if (path / final.AT_SIZE.format(128)).is_file()}
    runs = {name: face.Run(lookup.Record(path), None) for name, path in paths.items()}
    scores = final.rung_scores(runs, 128)
    assert runs and scores.run.tolist() == [name for name in runs for _ in range(2)]
    for name, path in paths.items():
        of_slices, of_patients = (row for _, row in scores[scores.run == name].iterrows())
        assert (of_slices.protocol, of_slices["size"]) == (final.SLICES, 128)
        assert (of_patients.protocol, of_patients["size"]) == (final.PATIENTS, 256)
        assert of_patients.dice == pytest.approx(pd.read_csv(path / "cases.csv").dice.mean())
        working = pd.read_csv(path / "scores.csv").set_index(["protocol", "size"]).loc[(final.SLICES, 192)]
        assert of_slices.dice == pytest.approx(working.dice, abs=0.01)  # another size, the same masks
        assert of_slices.floor == pytest.approx(working.floor)  # no slice becomes empty or full by being resized
    assert final.times_scored(SimpleNamespace(name="lgg"), "source-004") >= len(runs)
    assert final.times_scored(SimpleNamespace(name="lgg"), "no such split") == 0
    table = final.rung_table(scores)
    assert list(table.index) == list(runs)
    drawing = plot_protocols(dict(list(scores.groupby("run", sort=False))), {final.SLICES: ("source 004", 0.868)})
    assert f"{scores.dice[scores.protocol == final.PATIENTS].max():.3f}" in drawing.alt
    assert "source 004, 0.868" in [text.get_text() for text in drawing.axes[0].texts]
