"""`crossval` as a person types it: every option of `train` but the split, each fold told, scores with floors at the end."""

import json

import pytest

from brain_tumor.data import opening
from brain_tumor.experiments import run as experiment

SITES = {"CS": [3, 2, 5], "DU": [4, 4], "EZ": [3]}
SMALL = ["--cohort", "phantom", "--model", "resunet", "--size", "16"]


@pytest.fixture
def made(stubs, tmp_path, monkeypatch):
    """A home whose runs are stubbed; gives the splits of those that were made."""
    store = stubs.table_store(SITES)
    monkeypatch.setattr(opening, "open_cohort", lambda name: store.cohort)
    with stubs.stubbed(store, tmp_path) as names:
        yield names


def test_folds_are_told_and_scored_with_floors_and_intervals(command, made, tmp_path):
    answer = command("crossval", "segmentation", "--folds", "2", *SMALL, "--epochs", "3", "--no-flip", "--seed", "1")
    assert answer.code == 0, answer.err
    assert made == ["fold-1-of-2", "fold-2-of-2"]
    for words in (
        "fold 1 of 2: run phantom-fold-1-of-2-resunet-16-seed1",
        "PHANTOM data, not patients: phantom-crossval-2-patient-resunet-16-seed1",
        "never predicted: TCGA_EZ_0000",
        "95 % interval",
        "floor",
        "patient mean",
        "finished in 2.2 minutes",
        "next: brain-tumor report phantom-crossval-2-patient",
    ):
        assert words in answer.out, words
    facts = json.loads(next((tmp_path / "runs").glob("*/crossval.json")).read_text())
    assert facts["recipe"]["stages"][0]["epochs"] == 3
    assert facts["recipe"]["augmentation"]["flip"] is False


def test_the_same_command_goes_on_where_it_was_stopped(command, made, monkeypatch):
    train = experiment.train

    def stop(recipe, *more, **named):
        if recipe.split == "slice-fold-2-of-2":
            raise KeyboardInterrupt
        return train(recipe, *more, **named)

    words = ("crossval", "segmentation", "--unit", "slice", "--folds", "2", *SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(experiment, "train", stop)
        stopped = command(*words)
    assert stopped.code == 130
    assert "the same command resumes" in stopped.err
    assert "Traceback" not in stopped.err
    answer = command(*words)
    assert answer.code == 0, answer.err
    assert "finished before" in answer.out
    assert made == ["slice-fold-1-of-2", "slice-fold-2-of-2"]


def test_a_classifier_is_left_without_one_site_after_the_other(command, made):
    answer = command("crossval", "classification", "--unit", "site", "--cohort", "phantom", "--size", "16")
    assert answer.code == 0, answer.err
    assert made == ["site-CS", "site-DU", "site-EZ"]
    for words in ("AUC", "accuracy", "site-EZ", "always no"):
        assert words in answer.out, words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--folds", "1"], ["1 folds for 5 patients", "2 to 5"]),
        (["--folds", "6"], ["6 folds for 5 patients", "2 to 5"]),
        (["--folds", "22", "--unit", "slice"], ["22 folds for 21 slices"]),
        (["--folds", "5", "--unit", "site"], ["5 folds for 3 sites (CS, DU, EZ)"]),
        (["--unit", "voxel"], ["unit 'voxel'", "patient, site, slice"]),
        (["--model", "resnet18"], ["model 'resnet18'", "resunet"]),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(command, made, tmp_path, options, words):
    assert command("crossval", "segmentation", *SMALL, *options).refuses(*words)
    assert not (tmp_path / "runs").exists()


def test_there_is_no_split_to_choose(command, made):
    answer = command("crossval", "segmentation", "--split", "source-004")
    assert answer.code == 2
    assert "No such option" in answer.err
