"""Records: all that is needed to score a run again, and nothing that may not leave the machine."""

import shlex
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_runs import CLASSIFIER, RECIPE

from brain_tumor import files
from brain_tumor.data import intensity, opening, splits
from brain_tumor.errors import RunError
from brain_tumor.evaluation import protocols, seeds
from brain_tumor.experiments import run as experiment, tasks
from brain_tumor.records import lookup, records
from brain_tumor.training.augment import NONE
from brain_tumor.training.plan import Stage

# Tables that runs scored by earlier versions lack, and some that only whole exams give.
MORE = {"floors.csv", "slice_floors.csv", "counts_largest.csv", "boundary.csv", "boundary_slices.csv", "boundary_scores.csv",
        "pixels.csv", "subgroups.csv", "detection.csv", "calibration.csv", "ceiling.csv",
        "localisation.csv", "boundary_floors.csv"}  # fmt: skip


def recipe_of(run):
    return tasks.recipe_from_json(run.description["recipe"])


def test_a_record_holds_tables_and_json_and_nothing_else(make_run, reports):
    run = make_run(phantom=False)
    folder = records.commit_record(run)
    assert folder == reports / "records" / run.path.name
    assert {path.name for path in folder.iterdir()} == {*records.FILES, *tasks.SEGMENTATION.tables, *MORE}
    text = "".join(path.read_text() for path in folder.iterdir())
    assert str(run.path.parent.parent) not in text, "a path of this machine"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 100_000


def test_scores_follow_from_the_recorded_counts(make_run, reports):
    run = make_run(phantom=False)
    folder = records.commit_record(run)
    pd.testing.assert_frame_equal(records.scores_of(folder), pd.read_csv(run.path / "scores.csv"), rtol=1e-4)
    of_run, of_record = (set(pd.read_csv(path / "floors.csv").floor) for path in (run.path, folder))
    assert of_run - of_record == {"all empty"}, "it follows from the counts"


def test_a_run_of_an_earlier_version_is_recorded_with_what_it_has(make_run, reports):
    folder = records.commit_record(make_run(phantom=False, earlier=True))
    assert {path.name for path in folder.iterdir()} == {*records.FILES, *tasks.SEGMENTATION.tables}
    assert records.read_floors(folder) == {} and records.read_slice_floors(folder) is None
    assert set(records.scores_of(folder).floor_name) == {"all empty"}


def test_a_classifier_is_recorded_with_its_slices(make_classifier, reports):
    run = make_classifier(phantom=False)
    folder = records.commit_record(run)
    assert {path.name for path in folder.iterdir()} == {*records.FILES, *tasks.CLASSIFICATION.tables, "subgroups.csv"}
    assert [lookup.run_facts(path)["recipe"]["task"] for path in (folder, run.path)] == ["classification", "classification"]
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
    first = reports / "records" / "weights" / source.name
    assert first.read_text() == source.read_text()
    files.write_json(source, {"name": "mri4", "sha256": "c" * 64, "pictures": {"read": 20}})
    run.update(encoder={"file": "mri4-resnet18-32-volume.weights.h5", "sha256": "c" * 64})
    records.commit_record(run)
    assert first.read_text() != source.read_text(), "earlier runs began with those"
    assert first.with_stem(f"{first.stem}-{'c' * 8}").read_text() == source.read_text()
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
# What no option of the command line can say.
UNSPOKEN = [{"threshold": 0.4}, {"stages": (Stage("all", 2), Stage("head", 1))}, {"model_arguments": (("filters", (8, 16)),)}]


@pytest.fixture
def repeat(reports, command, monkeypatch):
    """``repeat(folder)``: give the command of a record from above ``reports/``; the recipes that it would train."""

    def train(folder):
        words = shlex.split(records.retrain_command(folder))
        trained = []
        monkeypatch.chdir(reports.parent)
        monkeypatch.setattr(opening, "open_cohort", lambda name: None)
        monkeypatch.setattr(experiment, "train", lambda recipe, *_more, **_named: trained.append(recipe) or lookup.Record(folder))
        assert words == ["brain-tumor", "train", "--recipe", f"reports/records/{folder.name}/run.json"]
        assert command(*words[1:]).code == 0
        return trained

    return train


@pytest.mark.parametrize("changes", [{}, SPOKEN, {"augmentation": NONE}, *UNSPOKEN], ids=str)
def test_the_recorded_command_trains_the_same_recipe(make_run, repeat, changes):
    run = make_run(phantom=False, **changes)
    assert repeat(records.commit_record(run)) == [replace(RECIPE, **changes)] == [recipe_of(run)]


def test_the_command_of_a_classifier_trains_a_classifier(make_classifier, repeat):
    run = make_classifier(phantom=False, seed=2, size=64)
    assert repeat(records.commit_record(run)) == [replace(CLASSIFIER, seed=2, size=64)] == [recipe_of(run)]


@pytest.mark.parametrize("absent", ["flip_tta", "task"])
def test_a_recipe_of_another_version_is_refused(make_run, reports, absent):
    run = make_run(phantom=False)
    recipe = run.description["recipe"]
    del recipe[absent]
    run.update(recipe=recipe)
    with pytest.raises(RunError, match={"flip_tta": r"another version.*flip_tta", "task": "unknown task"}[absent]):
        records.commit_record(run)
    assert not reports.exists()


def test_a_split_that_was_a_file_is_taken_from_the_record(make_run, repeat, store, tmp_path):
    path = tmp_path / "mine.json"
    splits.named("ratio-50", store.cases, store.slices).save(path)
    run = make_run(phantom=False, split=str(path))
    folder = records.commit_record(run)
    assert str(tmp_path) not in (folder / "run.json").read_text()
    path.unlink()
    (recipe,) = repeat(folder)
    assert recipe == replace(RECIPE, split=f"reports/records/{folder.name}/split.json")
    assert splits.load(folder / "split.json").hash == run.description["split_hash"]


def test_records_like_a_recipe_differ_in_seed_only(make_run, reports):
    runs = [make_run(phantom=False, seed=seed) for seed in (0, 1)] + [make_run(phantom=False, batch_size=8)]
    for run in runs:
        records.commit_record(run)
    recipe, data_hash = recipe_of(runs[0]), runs[0].description["data_hash"]
    assert len(records.records_like(recipe, "resunet", data_hash)) == 2
    assert records.records_like(recipe, "unet-resnet18", data_hash) == []
    assert records.records_like(recipe, "resunet", "other data") == []


def test_a_recorded_recipe_need_not_be_trained_again(make_run, reports):
    run = make_run(phantom=False)
    recipe, data_hash = recipe_of(run), run.description["data_hash"]
    assert records.recorded(recipe, data_hash) is None
    record = records.commit_record(run)
    found = records.recorded(recipe, data_hash)
    assert found.path == record
    assert found.description["training_seconds"] == run.description["training_seconds"]
    assert records.recorded(recipe, "other data") is None
    assert records.recorded(replace(recipe, seed=recipe.seed + 1), data_hash) is None


def test_a_record_of_today_comes_before_an_older_one(make_run, reports):
    """A record of preparation 1 may have a name that comes first; once its run was trained again, it is not what is found."""
    run = make_run(phantom=False)
    recipe, record = recipe_of(run), records.commit_record(run)
    facts = lookup.run_facts(record)
    assert facts["preparation"] == intensity.PREPARATION
    for name in ("an-older-one", "zz-another"):
        older = shutil.copytree(record, record.with_name(name))
        files.write_json(older / "run.json", {field: value for field, value in facts.items() if field != "preparation"})
        assert lookup.run_facts(older)["preparation"] == 1
        assert lookup.find(recipe) == record
    shutil.rmtree(record)
    assert lookup.find(recipe).name == "an-older-one"
    assert not lookup.is_current(lookup.run_facts(older))


def test_a_classifier_has_no_preparation_and_stays_current(make_classifier, reports):
    folder = records.commit_record(make_classifier(phantom=False))
    assert "preparation" not in lookup.run_facts(folder) and lookup.is_current(lookup.run_facts(folder))


def test_mean_of_seeds_is_the_mean_and_its_interval_holds_it(make_run):
    counts = [records.read_counts(make_run(seed=seed, shift=seed + 1).path) for seed in (0, 1)]
    each = [protocols.score(table) for table in counts]
    mean = seeds.mean_scores(counts)
    np.testing.assert_allclose(mean.dice, (each[0].dice + each[1].dice) / 2)
    assert ((mean.low <= mean.dice + 1e-9) & (mean.dice <= mean.high + 1e-9)).all()
    assert (mean.lowest <= mean.dice).all()
    assert (mean.dice <= mean.highest).all()
    assert (mean.floor == each[0].floor).all()
    floors = seeds.mean_scores(counts, floor_counts={"itself": counts[0]})
    assert (floors.floor == np.maximum(each[0].dice, each[0].floor)).all()


def test_one_seed_is_its_own_mean(make_run):
    counts = records.read_counts(make_run().path)
    pd.testing.assert_frame_equal(seeds.mean_scores([counts]).drop(columns=["lowest", "highest"]), protocols.score(counts))


def test_records_are_found_by_the_beginning_of_their_name(make_run, reports):
    folder = records.commit_record(make_run(phantom=False))
    assert records.find_record(folder.name[:-3]) == folder
    with pytest.raises(RunError, match="no such record"):
        records.find_record("nothing")
