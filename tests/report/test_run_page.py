"""The page of a run, of either task and of any version: every figure has words, every number its floor."""

import json

import pandas as pd
import pytest

from brain_tumor.data.profile import profile
from brain_tumor.experiments import run as experiment
from brain_tumor.records import records
from brain_tumor.report.pages import page, run as run_page, run_content


def published(run):
    path = run_page.publish_record(records.commit_record(run))
    return path.read_text(), json.loads(path.with_suffix(".json").read_text())


def test_a_segmentation_shows_boundary_subgroups_detection_and_calibration(make_run, reports):
    html, content = published(make_run(phantom=False))
    for title in ("Patients", "Scores", "One prediction, many numbers", "Boundary", "By site", "By tumour area", "Calibration"):
        assert f"<h2>{title}</h2>" in html
    for alt in ("Dice of one prediction under", "Dice by subgroup", "ROC curves", "Precision against", "Share of tumour against"):
        assert f'alt="{alt}' in html
    assert "mean mask at position" in html and page.external_requests(html) == []
    assert "10.0 minutes on 1 thread of 2 cores, x86_64" in html
    names = {number["name"] for number in content["numbers"]}
    assert {"resunet HD95 mean, cases, 3-D", "resunet slices with tumour, AUC", "resunet ECE of pixels"} <= names
    assert all(number["floor"] is not None for number in content["numbers"] if "Dice" in number["name"])


def test_a_classifier_has_a_page_without_a_picture(make_classifier, reports):
    html, content = published(make_classifier(phantom=False, validation=0.4))
    for title in ("Patients", "Scores", "Calibration", "Worst slices", "Training"):
        assert f"<h2>{title}</h2>" in html
    for alt in ("ROC curves", "Precision against", "Share of tumour against", "Training loss and accuracy by epoch"):
        assert f'alt="{alt}' in html
    assert "data:image/jpeg" not in html and "<h2>Pictures</h2>" not in html
    assert f"brain-tumor train --recipe reports/records/{content['runs'][0]}/run.json" in html
    assert [number["name"] for number in content["numbers"] if number["headline"]] == [
        "resnet18 slices with tumour, accuracy",
        "resnet18 slices with tumour, AUC",
    ]
    assert content["answer"].startswith("resnet18 told slices with tumour from slices without with an AUC of 0.")
    assert "temperature" in html


def test_a_classifiers_own_page_stays_at_home(make_classifier, reports, phantom_cohort, monkeypatch):
    monkeypatch.setattr(run_page, "trained_cohort", lambda _run: phantom_cohort)
    path = run_page.run_page(make_classifier())
    assert path.parent == reports / "local" and "<title>PHANTOM" in path.read_text()


def test_a_record_of_an_earlier_version_still_has_its_page(make_run, reports):
    html, content = published(make_run(phantom=False, earlier=True))
    assert "<h2>Scores</h2>" in html and "<h2>Boundary</h2>" not in html
    assert all("Dice" in number["name"] for number in content["numbers"])


@pytest.mark.parametrize(("dice", "words"), [(0.9, "0.900 ("), (0.1, "0.100, below its floor (")])
def test_an_answer_owns_up_to_its_floor(make_run, dice, words):
    run = make_run()
    scores = pd.read_csv(run.path / "scores.csv")
    scores.assign(dice=dice, floor=0.5).to_csv(run.path / "scores.csv", index=False)
    assert words in run_content.content(run.path, run.description)["answer"]
    assert "floor 0.500" in run_content.content(run.path, run.description)["answer"]


def test_the_demo_shows_its_cohort_and_then_the_same_sections(make_run, reports, phantom_cohort, store, monkeypatch):
    for module in (run_page, experiment):
        monkeypatch.setattr(module, "trained_cohort", lambda _run: phantom_cohort)
    html = run_page.demo_page(make_run(), profile(store)).read_text()
    places = [
        html.index(f"<h2>{title}</h2>") for title in ("The cohort", "Patients", "Scores", "Boundary", "Pictures", "Training")
    ]
    assert places == sorted(places)
