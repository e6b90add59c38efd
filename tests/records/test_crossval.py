"""A cross-validation's record holds what its page and its repetition need, and nothing that may not leave the machine."""

import json
import shlex
from dataclasses import replace
from html import unescape

import pandas as pd
import pytest

from brain_tumor.data import opening
from brain_tumor.errors import RunError
from brain_tumor.experiments import crossval, out_of_fold, run as experiment
from brain_tumor.experiments.crossval import cross_validate
from brain_tumor.records import crossval as crossval_record, records
from brain_tumor.report.pages import crossval as crossval_page, page, readme

SITES = {"CS": [3, 2, 5], "DU": [4, 4], "EZ": [3]}
BOTH = {"crossval.json", "history.csv", "floors.csv", "cases.csv", "scores.csv", "fold_scores.csv"}
FILES = {"segmentation": BOTH | {"counts.csv", "ceiling.csv"}, "classification": BOTH | {"slices.csv", "subgroups.csv"}}


@pytest.fixture
def validated(stubs, tmp_path, reports):
    """``validated("segmentation", folds=2)``: a finished cross-validation of stubbed runs of patients, or of the phantom."""

    def validate(task="segmentation", phantom=False, unit="patient", folds=None, **changes):
        store = stubs.table_store(SITES, phantom=phantom)
        recipe = replace(stubs.RECIPES[task], cohort=store.cohort.name, **changes)
        with stubs.stubbed(store, tmp_path):
            return cross_validate(recipe, store.cohort, unit, folds)

    return validate


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """The home in which those lie."""
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path))


@pytest.mark.parametrize("task", ["segmentation", "classification"])
def test_a_record_holds_tables_and_json_and_nothing_else(validated, reports, tmp_path, task):
    folder = validated(task, folds=2)
    record = crossval_record.commit_crossval(folder)
    assert record == reports / "records" / folder.name
    assert {path.name for path in record.iterdir()} == FILES[task]
    assert str(tmp_path) not in "".join(path.read_text() for path in record.iterdir()), "a path of this machine"
    history = pd.read_csv(record / "history.csv")
    assert history.fold.tolist() == [1, 2]
    assert crossval_record.all_records() == [record]


def stored(folder):
    return pd.read_csv(folder / "scores.csv", keep_default_na=False, na_values=[""]).fillna({"floor_name": ""})


@pytest.mark.parametrize("task", ["segmentation", "classification"])
def test_scores_follow_from_the_recorded_tables(validated, task):
    folder = validated(task, folds=2)
    record = crossval_record.commit_crossval(folder)
    found, floors = (pd.read_csv(record / name) for name in (out_of_fold.MAIN[task], "floors.csv"))
    assert "all empty" not in set(floors.floor)
    ceilings = pd.read_csv(record / "ceiling.csv") if task == "segmentation" else None
    scores = out_of_fold.score(found, floors, ceilings), stored(folder)
    again, before = (table.drop(columns=["low", "high"]) for table in scores)
    pd.testing.assert_frame_equal(again, before, rtol=1e-4)


@pytest.mark.parametrize("asked", [{"folds": 3}, {"unit": "slice", "folds": 2}, {"unit": "site"}], ids=str)
@pytest.mark.parametrize("task", ["segmentation", "classification"])
def test_the_recorded_commands_repeat_all_of_it_or_one_fold(validated, command, monkeypatch, task, asked):
    folder = validated(task, seed=3, flip_tta=False, **asked)
    facts = json.loads((crossval_record.commit_crossval(folder) / "crossval.json").read_text())
    repeated, trained = [], []
    monkeypatch.setattr(opening, "open_cohort", lambda name: name)

    def repeat(recipe, cohort, unit, folds, on_fold):
        repeated.append(crossval.crossval_name(recipe, unit, folds or 3))
        raise RunError("that was enough")

    def train(recipe, cohort, on_start):
        trained.append(recipe.run_id)
        raise RunError("that was enough")

    monkeypatch.setattr(crossval, "cross_validate", repeat)
    monkeypatch.setattr(experiment, "train", train)
    for line in [facts["command"], *(fold["command"] for fold in facts["runs"])]:
        assert command(*shlex.split(line)[1:]).refuses("that was enough")
    assert repeated == [folder.name]
    assert trained == [fold["run"] for fold in facts["runs"]]


def test_the_phantom_and_the_unfinished_are_never_recorded(validated, reports):
    with pytest.raises(RunError, match="on the phantom, which is never published"):
        crossval_record.commit_crossval(validated(phantom=True))
    folder = validated(folds=2)
    facts = json.loads((folder / "crossval.json").read_text())
    (folder / "scores.csv").unlink()
    with pytest.raises(RunError, match=r"no scores\.csv; give its command again"):
        crossval_record.commit_crossval(folder)
    (folder / "crossval.json").write_text(json.dumps(facts | {"status": "stopped"}))
    with pytest.raises(RunError, match="the cross-validation is stopped, only finished ones are recorded"):
        crossval_record.commit_crossval(folder)
    with pytest.raises(RunError, match="is stopped, not finished"):
        crossval_page.local_page(folder)
    (folder / "crossval.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        crossval_record.commit_crossval(folder)
    assert not reports.exists()


def test_a_page_tells_scores_folds_and_who_was_never_tested(validated, reports):
    record = crossval_record.commit_crossval(validated(folds=2))
    path = crossval_page.publish(record)
    assert path == reports / "runs" / f"{record.name}.html"
    html, content = path.read_text(), json.loads(path.with_suffix(".json").read_text())
    assert page.external_requests(html) == []
    for words in (
        "18 slices of 5 patients, each predicted once",
        "Always in training, so never predicted: TCGA_EZ_0000",
        "fold-2-of-2",
        "95 % interval",
        "floor",
        "brain-tumor crossval segmentation",
        "TCGA_DU_0001",
    ):
        assert words in html, words
    assert "By unit of the folds" not in html, "there is nothing to set beside it"
    assert (content["patients"], content["slices"], content["phantom"]) == (5, 18, False)
    assert [number["name"] for number in content["numbers"] if number["headline"]] == [
        "resunet Dice, slice, empty = 1",
        "resunet Dice, patient mean",
    ]
    assert "5 patients, 2 folds by patient, after 2 minutes" in content["answer"]
    assert page.write_index().read_text().count(record.name) >= 1


@pytest.mark.parametrize("task", ["segmentation", "classification"])
def test_the_same_recipe_by_another_unit_stands_beside_it(validated, task):
    first = crossval_record.commit_crossval(validated(task, folds=2))
    crossval_record.commit_crossval(validated(task, unit="slice", folds=3))
    crossval_record.commit_crossval(validated(task, unit="slice", folds=3, seed=1))
    assert set(crossval_record.other_units(first, crossval.read(first))) == {"slice, 3 folds"}
    html = unescape(crossval_page.publish(first).read_text())
    assert "By unit of the folds" in html
    assert html.count("<th>slice, 3 folds</th>") == 2, "two main scores"
    assert crossval_page.LEAKS in html


def test_the_page_of_ones_own_stays_at_home(validated, reports):
    path = crossval_page.local_page(validated(phantom=True, unit="site"))
    assert path.parent == reports / "local"
    assert path.name.endswith(".phantom.html")
    assert "<title>PHANTOM" in path.read_text()


def test_they_are_found_by_the_beginning_of_their_name(validated, at_home, reports):
    folder = validated(folds=2)
    assert crossval_record.find(folder.name[:-3]) == folder
    assert crossval_record.find(str(folder)) == folder
    validated(folds=3)
    with pytest.raises(RunError, match="2 such cross-validations"):
        crossval_record.find("lgg-crossval")
    with pytest.raises(RunError, match="no such cross-validation"):
        crossval_record.find("lgg-crossval-9")
    assert crossval_record.is_crossval("lgg-crossval")
    assert not crossval_record.is_crossval("lgg-fold-1"), "a run"
    assert not crossval_record.is_crossval("lgg"), "the beginning of runs too"
    assert not crossval_record.is_crossval("no such thing")


def test_report_shows_and_publishes_a_cross_validation(validated, at_home, reports, command, tmp_path, monkeypatch):
    monkeypatch.setattr(readme, "README", tmp_path / "README.md")
    readme.README.write_text(f"{readme.BEGIN}\n{readme.END}\n")
    folder = validated(folds=2)
    assert f"local/{folder.name}.html" in command("report", "lgg-crossval-2").out
    assert not (reports / "records").exists()
    answer = command("report", folder.name, "--publish")
    assert answer.code == 0, answer.err
    assert f"records/{folder.name}" in answer.out
    assert (reports / "runs" / f"{folder.name}.html").is_file()
    assert folder.name in (reports / "index.html").read_text()
    folder.rename(tmp_path / "elsewhere")
    assert command("report", "lgg-crossval-2", "--publish").code == 0, "from its record alone"
    assert command("report", "lgg-crossval-2").refuses("no such cross-validation")
    assert records.all_records() == [], "records of runs are others"
