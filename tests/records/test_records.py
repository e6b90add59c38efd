"""Records: all that is needed to score a run again, and nothing that may not leave the machine."""

import dataclasses
import json
import shlex

import numpy as np
import pandas as pd
import pytest

from brain_tumor import files
from brain_tumor.data import opening
from brain_tumor.errors import RunError
from brain_tumor.evaluation import protocols
from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.recipe import SegmentationRecipe, from_json
from brain_tumor.records import records
from brain_tumor.training.augment import NONE
from brain_tumor.training.plan import Stage


def test_a_record_holds_tables_and_json_and_nothing_else(make_run, reports):
    run = make_run(phantom=False)
    folder = records.commit_record(run)
    assert folder == reports / "records" / run.path.name
    assert {path.name for path in folder.iterdir()} == {*records.FILES, *records.TABLES["segmentation"], *records.LATER}
    text = "".join(path.read_text() for path in folder.iterdir())
    assert str(run.path.parent.parent) not in text, "a path of this machine"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 100_000


def test_scores_follow_from_the_recorded_counts(make_run, reports):
    run = make_run(phantom=False)
    folder = records.commit_record(run)
    pd.testing.assert_frame_equal(records.scores_of(folder), pd.read_csv(run.path / "scores.csv"), rtol=1e-4)


def test_a_run_of_an_earlier_version_is_recorded_with_what_it_has(make_run, reports):
    folder = records.commit_record(make_run(phantom=False, earlier=True))
    assert {path.name for path in folder.iterdir()} == {*records.FILES, *records.TABLES["segmentation"]}
    assert records.read_floors(folder) == {} and records.read_slice_floors(folder) is None
    assert set(records.scores_of(folder).floor_name) == {"all empty"}


def test_a_classifier_is_recorded_with_its_slices(make_classifier, reports):
    run = make_classifier(phantom=False)
    folder = records.commit_record(run)
    assert {path.name for path in folder.iterdir()} == {*records.FILES, *records.TABLES["classification"], "subgroups.csv"}
    assert (records.task_of(folder), records.task_of(run.path)) == ("classification", "classification")
    pd.testing.assert_frame_equal(records.read_slices(folder), records.read_slices(run.path))
    floors = records.read_slice_floors(folder)
    assert (floors.groupby("floor").size() == len(records.read_slices(folder))).all()
    pd.testing.assert_frame_equal(
        records.scores_of(folder).fillna({"floor_name": ""}),
        pd.read_csv(run.path / "scores.csv").fillna({"floor_name": ""}),
        rtol=1e-4,
    )


def test_the_record_of_pretrained_weights_is_kept_with_the_run_that_began_with_them(make_classifier, reports, home):
    source = home / "data" / "weights" / "mri4-resnet18-32-volume.json"
    files.write_json(source, {"name": "mri4", "sha256": "a" * 64, "pictures": {"read": 20}})
    run = make_classifier(phantom=False)
    run.update(encoder={"file": "mri4-resnet18-32-volume.weights.h5", "sha256": "b" * 64})
    records.commit_record(run)
    assert not (reports / "records" / "weights").exists(), "the file has been made anew since: that record is of other weights"
    run.update(encoder={"file": "mri4-resnet18-32-volume.weights.h5", "sha256": "a" * 64})
    records.commit_record(run)
    assert (reports / "records" / "weights" / source.name).read_text() == source.read_text()
    assert [path.name for path in records.all_records()] == [run.path.name]


def test_a_segmentation_read_as_a_detector(make_run):
    run = make_run()
    slices, floors = records.read_slices(run.path), records.read_slice_floors(run.path)
    keys = ["case_id", "slice", "tumour"]
    for _, rows in floors.groupby("floor"):
        pd.testing.assert_frame_equal(rows[keys].reset_index(drop=True), slices[keys])


def test_a_run_on_the_phantom_is_never_recorded(make_run, reports):
    with pytest.raises(RunError, match="phantom"):
        records.commit_record(make_run())
    assert not reports.exists()


def test_only_finished_and_scored_runs_are_recorded(make_run, reports):
    run = make_run(phantom=False)
    run.update(status="stopped")
    with pytest.raises(RunError, match="stopped"):
        records.commit_record(run)
    run.update(status="finished")
    (run.path / "scores.csv").unlink()
    with pytest.raises(RunError, match=r"scores\.csv.*brain-tumor evaluate"):
        records.commit_record(run)
    assert not reports.exists()


@pytest.mark.parametrize("absent", ["slices.csv", "floors.csv", "calibration.csv"])
def test_a_classifier_without_its_tables_is_not_recorded(make_classifier, reports, absent):
    run = make_classifier(phantom=False)
    (run.path / absent).unlink()
    with pytest.raises(RunError, match=rf"no {absent}; score the run first"):
        records.commit_record(run)
    assert not reports.exists()


SPOKEN = {"seed": 3, "flip_tta": False, "validation": 0.1, "split_seed": 2}


@pytest.mark.parametrize("changes", [{}, SPOKEN, {"augmentation": NONE}])
def test_the_recorded_command_trains_the_same_recipe(make_run, reports, command, monkeypatch, changes):
    run = make_run(phantom=False, **changes)
    words = shlex.split(json.loads((records.commit_record(run) / "run.json").read_text())["command"])
    trained = []
    monkeypatch.setattr(opening, "open_cohort", lambda name: None)
    monkeypatch.setattr(experiment, "train", lambda recipe, *_more, **_named: trained.append(recipe) or run)
    assert words[0] == "brain-tumor"
    assert command(*words[1:]).code == 0
    assert trained == [from_json(run.description["recipe"])]


def test_the_command_of_a_classifier_trains_a_classifier(make_classifier, reports, command, monkeypatch):
    run = make_classifier(phantom=False, seed=2, size=64)
    words = shlex.split(json.loads((records.commit_record(run) / "run.json").read_text())["command"])
    trained = []
    monkeypatch.setattr(opening, "open_cohort", lambda name: None)
    monkeypatch.setattr(experiment, "train", lambda recipe, *_more, **_named: trained.append(recipe) or run)
    assert words[:3] == ["brain-tumor", "train", "classification"]
    assert command(*words[1:]).code == 0
    assert trained == [from_json(run.description["recipe"])]


@pytest.mark.parametrize("change", [{"threshold": 0.4}, {"stages": (Stage("all", 2), Stage("head", 1))}])
def test_a_recipe_that_no_command_can_say_is_refused(make_run, reports, change):
    with pytest.raises(RunError, match="whole recipe"):
        records.commit_record(make_run(phantom=False, **change))


def test_a_recipe_of_another_version_is_refused(make_run, reports):
    run = make_run(phantom=False)
    recipe = run.description["recipe"]
    del recipe["flip_tta"]
    run.update(recipe=recipe)
    with pytest.raises(RunError, match=r"another version.*flip_tta"):
        records.commit_record(run)


def test_a_split_that_was_a_file_is_taken_from_the_record(tmp_path):
    recipe = json.loads(json.dumps(dataclasses.asdict(SegmentationRecipe(split=str(tmp_path / "mine.json")))))
    command = records.retrain_command(recipe, tmp_path / "some-run")
    assert "--split reports/records/some-run/split.json" in command
    assert str(tmp_path) not in command


def test_all_records_make_one_table(make_run, reports):
    assert records.read_records().empty
    for seed in (0, 1):
        records.commit_record(make_run(phantom=False, seed=seed, shift=seed + 1))
    table = records.read_records()
    assert len(table) == 2 * len(protocols.PROTOCOLS) * 2, "two runs, every protocol, two sizes"
    assert set(table.seed) == {0, 1}
    assert {"run", "model", "split", "protocol", "size", "dice", "low", "high", "floor"} <= set(table)
    assert records.read_records(data_hash="other data").empty


def test_records_of_classifiers_make_a_table_of_their_own(make_run, make_classifier, reports):
    assert records.read_records(task="classification").empty
    for run in (make_run(phantom=False), make_classifier(phantom=False)):
        records.commit_record(run)
    table = records.read_records(task="classification")
    assert set(table.model) == {"resnet18"} and "AUC" in set(table.measure)
    assert {"run", "measure", "value", "low", "high", "floor"} <= set(table)
    assert set(records.read_records().model) == {"resunet"}


def test_records_like_a_recipe_differ_in_seed_only(make_run, reports):
    runs = [make_run(phantom=False, seed=seed) for seed in (0, 1)] + [make_run(phantom=False, batch_size=8)]
    for run in runs:
        records.commit_record(run)
    recipe, data_hash = from_json(runs[0].description["recipe"]), runs[0].description["data_hash"]
    assert len(records.counts_like(recipe, "resunet", data_hash)) == 2
    assert records.counts_like(recipe, "unet-resnet18", data_hash) == []
    assert records.counts_like(recipe, "resunet", "other data") == []


def test_a_recorded_recipe_need_not_be_trained_again(make_run, reports):
    run = make_run(phantom=False)
    recipe, data_hash = from_json(run.description["recipe"]), run.description["data_hash"]
    assert records.recorded(recipe, data_hash) is None
    record = records.commit_record(run)
    found = records.recorded(recipe, data_hash)
    assert found.path == record
    assert found.description["training_seconds"] == run.description["training_seconds"]
    assert records.recorded(recipe, "other data") is None
    assert records.recorded(dataclasses.replace(recipe, seed=recipe.seed + 1), data_hash) is None


def test_mean_of_seeds_is_the_mean_and_its_interval_holds_it(make_run):
    counts = [records.read_counts(make_run(seed=seed, shift=seed + 1).path) for seed in (0, 1)]
    each = [protocols.score(table) for table in counts]
    mean = records.mean_scores(counts)
    np.testing.assert_allclose(mean.dice, (each[0].dice + each[1].dice) / 2)
    assert ((mean.low <= mean.dice + 1e-9) & (mean.dice <= mean.high + 1e-9)).all()
    assert (mean.lowest <= mean.dice).all()
    assert (mean.dice <= mean.highest).all()
    assert (mean.floor == each[0].floor).all()
    floors = records.mean_scores(counts, floor_counts={"itself": counts[0]})
    assert (floors.floor == np.maximum(each[0].dice, each[0].floor)).all()


def test_one_seed_is_its_own_mean(make_run):
    counts = records.read_counts(make_run().path)
    pd.testing.assert_frame_equal(records.mean_scores([counts]).drop(columns=["lowest", "highest"]), protocols.score(counts))


def test_records_are_found_by_the_beginning_of_their_name(make_run, reports):
    folder = records.commit_record(make_run(phantom=False))
    assert records.find_record(folder.name[:-3]) == folder
    with pytest.raises(RunError, match="no such record"):
        records.find_record("nothing")
