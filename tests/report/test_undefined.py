"""A test part without tumour: what its slices do not define is said in words, wherever a score is printed."""

import json
import re

import pytest

from brain_tumor import files
from brain_tumor.cli.evaluate import _listed
from brain_tumor.data import splits
from brain_tumor.evaluation import wording
from brain_tumor.report.pages import readme, run_content, sections, views


@pytest.fixture
def tumourless(store, tmp_path):
    """The JSON of a split whose test part is half of the slices without tumour."""
    tumour = store.slices.tumour_px > 0
    keys = store.slices.case_id + "/" + store.slices.slice.astype(str)
    healthy, ill = keys[~tumour].tolist(), keys[tumour].tolist()
    half = len(healthy) // 2
    train, validation = (*ill[4:], *healthy[half + 4 :]), (*ill[:4], *healthy[half : half + 4])
    split = splits.Split("tumourless", "slice", train, validation, tuple(healthy[:half]))
    split.save(tmp_path / "tumourless.json")
    return str(tmp_path / "tumourless.json")


@pytest.fixture(params=["make_run", "make_classifier"])
def run(request, tumourless):
    return request.getfixturevalue(request.param)(phantom=False, split=tumourless)


def test_no_page_table_or_line_says_nan(run, tmp_path):
    facts = run.description
    parts = views.sections_of(run.path)
    content = run_content.content(run.path, facts)
    files.write_json(tmp_path / "sidecar.json", content)  # JSON has no NaN
    alt = [drawing.alt for each in views.of(facts["recipe"]["task"]).drawings(run.path, facts).values() for drawing in each]
    texts = [sections.markdown("run", parts), *(part.html() for part in parts), content["answer"], json.dumps(content), *alt]
    texts += _listed(run, facts["recipe"])
    assert [
        match for text in texts for match in re.findall(r".{30}\bnan\b.{10}", text, re.IGNORECASE) if "NaN-mean" not in match
    ] == []
    assert "undefined" in texts[0] and texts[0].count(wording.MEANING) >= 2
    assert "Every patient of these data has a tumour" not in texts[0]


def test_a_classifier_without_an_auc_says_so(make_classifier, tumourless, monkeypatch):
    run = make_classifier(phantom=False, split=tumourless)
    content = run_content.content(run.path, run.description)
    assert "without with an undefined AUC and an accuracy of 0." in content["answer"]
    assert _listed(run, run.description["recipe"])[1] == "AUC undefined"
    scores = next(part for part in views.sections_of(run.path) if part.title == sections.SCORES)
    assert scores.table.score["AUC"] == scores.table.score["sensitivity"] == "undefined"
    assert re.search(r"(\d) of \1 patients have no slice with tumour here; these are figures of slices", scores.text)
    monkeypatch.setattr(readme.index, "all_reports", lambda: [content | {"page": "03_x.html", "date": "2026-01-01"}])
    assert "undefined" not in readme.results_block() and "nan" not in readme.results_block()
