"""A run in sections: patients first, means after, nothing without floor and interval; the same in Markdown and in HTML."""

import pandas as pd
import pytest

from brain_tumor.errors import RunError
from brain_tumor.records import records
from brain_tumor.report.pages import classification, page, sections, views


def titles(folder):
    return [section.title for section in views.sections_of(folder)]


def test_patients_come_before_means(make_run):
    assert titles(make_run().path) == [
        "Patients", "Scores", "One prediction, many numbers", "Boundary", "By site", "By grade code", "By RNASeq cluster",
        "By tumour area", "Slices found", "Calibration",
    ]  # fmt: skip


def test_a_classifier_has_sections_of_its_own(make_classifier):
    groups = ["By site", "By grade code", "By RNASeq cluster", "By tumour area"]
    assert titles(make_classifier().path) == ["Patients", "Scores", *groups, "Calibration", "Worst slices"]


def test_what_an_earlier_run_lacks_is_left_out(make_run):
    found = views.sections_of(make_run(earlier=True).path)
    assert [section.title for section in found] == ["Patients", "Scores"]
    assert found[1].table.floor.str.endswith("all empty").all()


def test_a_score_below_its_floor_is_marked_and_so_is_an_error_above(make_run):
    run = make_run()
    for name, column, worse in (
        ("detection.csv", "value", -1.0),
        ("calibration.csv", "value", 2.0),
        ("subgroups.csv", "dice", -1.0),
    ):
        table = pd.read_csv(run.path / name)
        table.assign(**{column: worse}).to_csv(run.path / name, index=False)
    boundary = pd.read_csv(run.path / "boundary_scores.csv")
    boundary.assign(value=boundary.measure.str.startswith("HD") * 1000.0 - 1).to_csv(
        run.path / "boundary_scores.csv", index=False
    )
    found = {section.title: section.table for section in views.sections_of(run.path)}
    detected = found["Slices found"].score
    assert detected[["accuracy", "AUC", "sensitivity"]].str.endswith(", below its floor").all()
    assert found["Calibration"].error.str.endswith(", worse than its floor").all()
    assert found["By site"].Dice.str.endswith(", below its floor").all()
    far = found["Boundary"].measure.str.startswith("HD")
    assert found["Boundary"].score[far].str.endswith(", worse than its floor").all()
    assert found["Boundary"].score[~far].str.endswith(", below its floor").all()


def test_boundaries_say_what_a_pixel_is_and_what_was_missed(make_run):
    boundary = next(section for section in views.sections_of(make_run().path) if section.title == "Boundary")
    assert "no spacing" in boundary.text and "pixels" in boundary.text
    assert boundary.table["missed, invented"].str.fullmatch(r"\d+, \d+ of \d+").all()
    assert set(boundary.table.index) == {"cases, 3-D", "tumour slices, 2-D"}


def test_one_patient_has_no_interval_and_an_empty_range_no_score(make_run):
    run = make_run()
    groups = next(section for section in views.sections_of(run.path) if section.title == "By tumour area").table
    assert (groups.Dice[groups.patients == 0] == "–").all()
    assert (groups["95 % interval"][groups.patients == 1] == "–").all()
    assert groups.patients.sum() > 0 and "< 50 px" in groups.index


def test_a_tuned_threshold_and_temperature_are_shown(make_classifier):
    run = make_classifier(validation=0.4)
    facts = run.description
    found = {section.title: section for section in views.sections_of(run.path)}
    assert f"{facts['threshold']:g}" in found["Patients"].text
    assert f"slices, temperature {facts['temperature']:.2f}" in found["Calibration"].table.index
    plain = make_classifier()
    assert plain.description["temperature"] is None and plain.description["threshold"] == 0.5
    assert set(pd.read_csv(plain.path / "calibration.csv").of) == {"slices"}


def test_floors_of_sensitivity_are_told_of_where_the_run_has_them(make_classifier):
    run = make_classifier()
    scores = pd.read_csv(run.path / "scores.csv").set_index("measure")
    assert scores.floor[["sensitivity", "specificity", "precision"]].notna().all()
    told = {section.title: section.text for section in views.sections_of(run.path)}
    assert sections.FLOORS in told[sections.SCORES]
    scores.loc[["sensitivity", "specificity", "precision"], "floor"] = float("nan")
    scores.to_csv(run.path / "scores.csv")
    told = {section.title: section.text for section in views.sections_of(run.path)}
    assert "constant answer brings to 1 have no floor" in told[sections.SCORES]


def test_the_worst_slices_are_the_farthest_from_the_truth(make_classifier):
    run = make_classifier()
    worst = views.sections_of(run.path)[-1].table
    off = (records.read_slices(run.path).tumour - records.read_slices(run.path).probability).abs().sort_values(ascending=False)
    shown = (worst.truth == "tumour") - worst.probability.astype(float)
    assert shown.abs().tolist() == pytest.approx(off.tolist()[: classification.WORST_SLICES], abs=1e-4)


def test_markdown_holds_every_cell(make_run):
    found = views.sections_of(make_run().path)
    text = sections.markdown("a run", found)
    assert text.startswith("# a run\n\n## Patients\n")
    lines = text.splitlines()
    for section in found:
        first = lines.index(f"## {section.title}") + 4
        rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[first : first + len(section.table) + 2]]
        assert rows[0] == [section.table.columns.name, *section.table.columns]
        assert rows[2:] == [[str(cell) for cell in row] for row in section.table.itertuples()]


def test_a_bar_in_a_cell_does_not_end_it():
    table = pd.DataFrame({"b": ["x|y"]}, index=["z"]).rename_axis(columns="a")
    assert "| z | x\\|y |" in sections.Section("t", table, "").markdown()


def test_html_holds_the_same_and_asks_for_nothing(make_run, reports, tmp_path):
    found = views.sections_of(make_run().path)
    path = sections.save_html("a <run>", found, tmp_path / "evaluation.html", phantom=True)
    html = path.read_text()
    assert page.external_requests(html) == []
    assert "<title>PHANTOM" in html and "a &lt;run&gt;" in html and "&lt; 50 px" in html
    assert [html.index(f"<h2>{section.title}</h2>") for section in found] == sorted(
        html.index(f"<h2>{section.title}</h2>") for section in found
    )
    with pytest.raises(RunError, match="not published"):
        sections.save_html("a run", found, reports / "evaluation.html", phantom=True)
