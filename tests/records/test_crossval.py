"""A cross-validation's record holds what its page and its repetition need, and nothing that may not leave the machine."""

import json
import shlex
import shutil
from dataclasses import replace
from html import unescape

import pandas as pd
import pytest

from brain_tumor import files
from brain_tumor.data import opening, splits
from brain_tumor.errors import RunError
from brain_tumor.experiments import crossval, out_of_fold, run as experiment, tasks
from brain_tumor.experiments.crossval import cross_validate
from brain_tumor.models import saved
from brain_tumor.records import crossval as crossval_record, lookup, records
from brain_tumor.report.pages import crossval as crossval_page, index, page, readme

SITES = {"CS": [3, 2, 5], "DU": [4, 4], "EZ": [3]}
BOTH = {"crossval.json", "history.csv", "floors.csv", "cases.csv", "scores.csv", "fold_scores.csv", "subgroups.csv"}
FILES = {"segmentation": BOTH | {"counts.csv", "ceiling.csv"}, "classification": BOTH | {"slices.csv"}}


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
    of_task = tasks.of(task)
    names = (of_task.main, "floors.csv", *(["ceiling.csv"] if task == "segmentation" else []))
    tables = {name: pd.read_csv(record / name) for name in names}
    assert "all empty" not in set(tables["floors.csv"].floor)
    scores = out_of_fold.score(tables, of_task), stored(folder)
    again, before = (table.drop(columns=["low", "high"]) for table in scores)
    pd.testing.assert_frame_equal(again, before, rtol=1e-4)


@pytest.mark.parametrize("dealt", [{"folds": 3}, {"unit": "slice", "folds": 2}, {"unit": "site"}], ids=str)
@pytest.mark.parametrize("task", ["segmentation", "classification"])
def test_the_recorded_command_repeats_all_of_it(validated, reports, stubs, command, monkeypatch, task, dealt):
    folder = validated(task, seed=3, flip_tta=False, **dealt)
    record = crossval_record.commit_crossval(folder)
    store, repeated = stubs.table_store(SITES, phantom=False), []
    monkeypatch.chdir(reports.parent)
    monkeypatch.setattr(opening, "open_cohort", lambda name: name)

    def repeat(recipe, cohort, unit, folds, *_more):
        repeated.append(crossval.crossval_name(recipe, unit, folds, store))
        names = splits.fold_names(unit, folds, store.cases, store.slices)
        repeated.extend(experiment.run_folder(replace(recipe, split=name), store).path.name for name in names)
        raise RunError("that was enough")

    monkeypatch.setattr(crossval, "cross_validate", repeat)
    words = shlex.split(records.retrain_command(record))
    assert words == ["brain-tumor", "crossval", "--recipe", f"reports/records/{folder.name}/crossval.json"]
    assert command(*words[1:]).refuses("that was enough")
    assert repeated == [folder.name, *(fold["run"] for fold in lookup.crossval_facts(record)["runs"])]


@pytest.mark.parametrize("task", ["segmentation", "classification"])
def test_a_record_is_found_by_recipe_unit_and_folds(validated, task):
    record = crossval_record.commit_crossval(validated(task, folds=2))
    recipe, facts = lookup.fold_recipes(record)[0], lookup.crossval_facts(record)
    assert lookup.find_crossval(recipe, "patient", 2, data_hash=facts["data_hash"]) == record
    for other in ((recipe, "slice", 2), (recipe, "patient", 3), (replace(recipe, seed=9), "patient", 2)):
        assert lookup.find_crossval(*other, data_hash=facts["data_hash"]) is None
    assert lookup.find_crossval(recipe, "patient", 2, data_hash="0" * 64) is None


def test_where_the_number_of_folds_is_left_open_it_is_the_cohorts(validated, stubs, monkeypatch):
    record = crossval_record.commit_crossval(validated(unit="site"))
    store = stubs.table_store(SITES, phantom=False)
    recipe = replace(stubs.RECIPES["segmentation"], cohort=store.cohort.name)
    monkeypatch.setattr(crossval_record, "open_store", lambda _cohort: store)
    for folds, expected in ((None, record), (len(SITES), record)):
        assert crossval_record.recorded_on(recipe, store.cohort, "site", folds) == expected
    assert crossval_record.recorded_on(recipe, store.cohort, "patient", 2) is None


def test_a_cross_validation_of_today_comes_before_an_older_one(validated):
    record = crossval_record.commit_crossval(validated(folds=2))
    recipe, facts = lookup.fold_recipes(record)[0], lookup.crossval_facts(record)
    assert "prepared otherwise" not in crossval_page.publish(record).read_text()
    for name in ("an-older-one", "zz-another"):
        older = shutil.copytree(record, record.with_name(name))
        files.write_json(older / "crossval.json", {field: value for field, value in facts.items() if field != "preparation"})
        assert lookup.find_crossval(recipe, "patient", 2) == record
    shutil.rmtree(record)
    assert lookup.find_crossval(recipe, "patient", 2).name == "an-older-one"
    assert "inputs were prepared otherwise for training (preparation 1)" in crossval_page.publish(older).read_text()


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


@pytest.mark.parametrize("task", ["segmentation", "classification"])
def test_on_a_new_machine_it_goes_on_from_the_records_of_its_folds(stubs, tmp_path, reports, monkeypatch, task):
    store = stubs.table_store(SITES, phantom=False)
    recipe = replace(stubs.RECIPES[task], cohort="lgg")
    homes = [tmp_path / name for name in ("whole", "first", "second")]
    with stubs.stubbed(store, homes[0]):
        whole = cross_validate(recipe, store.cohort, folds=3)
        names = [fold["run"] for fold in crossval.read(whole)["runs"]]
    with stubs.stubbed(store, homes[1]) as made, monkeypatch.context() as patch:
        train = crossval.train

        def stop(of_fold, *more, **named):
            if of_fold.split == "fold-3-of-3":
                raise KeyboardInterrupt
            return train(of_fold, *more, **named)

        patch.setattr(crossval, "train", stop)
        patch.setattr(saved, "read", lambda _folder: {})  # stubs have no model
        with pytest.raises(KeyboardInterrupt):
            cross_validate(recipe, store.cohort, folds=3)
        for run in (homes[1] / "runs").glob("*/run.json"):
            for name in tasks.of(task).tables:  # the stubs leave out what cross-validations do not read
                if not (run.parent / name).is_file():
                    (run.parent / name).write_text("case_id,slice\n")
            (run.parent / "pixels.csv").write_text("case_id,level\n")
        folds = crossval_record.commit_folds(homes[1] / "runs" / whole.name)
    assert [path.name for path in folds] == names[:2]
    assert not any((path / "pixels.csv").exists() for path in folds), "nothing gathers it"
    with stubs.stubbed(store, homes[2]) as made:
        untouched = {path: path.stat().st_mtime_ns for path in (reports / "records").rglob("*")}
        again = cross_validate(recipe, store.cohort, folds=3, record=crossval_record.fold_record)
        assert made == ["fold-3-of-3"]
        assert [fold["status"] for fold in crossval.read(again)["runs"]] == ["scored"] * 3
        assert untouched == {path: path.stat().st_mtime_ns for path in (reports / "records").rglob("*")}
        for name in (tasks.of(task).main, "floors.csv", "scores.csv", "fold_scores.csv"):
            pd.testing.assert_frame_equal(pd.read_csv(again / name), pd.read_csv(whole / name), atol=1e-6)
        assert not (again / "predictions.npz").exists()
        made.clear()
        assert cross_validate(recipe, store.cohort, folds=3, record=crossval_record.fold_record) == again
        record = crossval_record.commit_crossval(again)
    assert made == []
    assert sorted(path.name for path in (reports / "records").iterdir()) == [record.name], "records of its folds stayed"
    assert crossval_record.histories(record).keys() == {"fold-1-of-3", "fold-2-of-3", "fold-3-of-3"}


def test_a_fold_that_was_prepared_otherwise_is_trained_again(stubs, tmp_path, reports):
    store = stubs.table_store(SITES, phantom=False)
    folder = reports / "records" / "older"
    recipe = replace(stubs.RECIPES["segmentation"], cohort="lgg", split="fold-1-of-2")
    facts = {"recipe": recipe.to_json(), "data_hash": store.data_hash, "status": "finished", "phantom": False}
    files.write_json(folder / "run.json", facts)
    assert records.recorded(recipe, store.data_hash).path == folder
    assert crossval_record.fold_record(recipe, store.data_hash) is None


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
        f"brain-tumor crossval --recipe reports/records/{record.name}/crossval.json",
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
    assert index.write().read_text().count(record.name) >= 1


@pytest.mark.parametrize("task", ["segmentation", "classification"])
def test_the_same_recipe_by_another_unit_stands_beside_it(validated, task):
    first = crossval_record.commit_crossval(validated(task, folds=2))
    crossval_record.commit_crossval(validated(task, unit="slice", folds=3))
    crossval_record.commit_crossval(validated(task, unit="slice", folds=3, seed=1))
    assert set(crossval_record.other_units(first, lookup.crossval_facts(first))) == {"slice, 3 folds"}
    html = unescape(crossval_page.publish(first).read_text())
    assert "By unit of the folds" in html
    assert html.count("<th>slice, 3 folds</th>") == 2, "two main scores"
    assert crossval_page.LEAKS in html and crossval_page.SELECTED not in html


def test_a_recipe_that_was_chosen_on_these_patients_is_said_to_be(validated, monkeypatch):
    record = crossval_record.commit_crossval(validated("segmentation", folds=2))
    monkeypatch.setattr(crossval_page.ladder, "is_selected", lambda recipe: recipe["model"] == "resunet")
    assert crossval_page.SELECTED in unescape(crossval_page.publish(record).read_text())


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
