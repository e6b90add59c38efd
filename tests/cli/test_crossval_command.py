"""`crossval` as a person types it: every option of `train` but the split, each fold told, scores with floors at the end."""

import json

import pytest

from brain_tumor import files
from brain_tumor.data import opening
from brain_tumor.errors import RunError
from brain_tumor.experiments import crossval
from brain_tumor.experiments.recipe import SegmentationRecipe
from brain_tumor.paths import CHECKOUT
from brain_tumor.records import lookup

COMMITTED = sorted(path.parent for path in (CHECKOUT / "reports" / "records").glob(f"*/{lookup.CROSSVAL}"))
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
    train = crossval.train

    def stop(recipe, *more, **named):
        if recipe.split == "slice-fold-2-of-2":
            raise KeyboardInterrupt
        return train(recipe, *more, **named)

    words = ("crossval", "segmentation", "--unit", "slice", "--folds", "2", *SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(crossval, "train", stop)
        stopped = command(*words)
    assert stopped.code == 130
    assert "the same command resumes" in stopped.err
    assert "Traceback" not in stopped.err
    answer = command(*words)
    assert answer.code == 0, answer.err
    assert "finished before" in answer.out
    assert made == ["slice-fold-1-of-2", "slice-fold-2-of-2"]


def test_a_classifier_is_left_without_one_site_after_the_other(command, made):
    answer = command("crossval", "classification", "--unit", "site", "--cohort", "phantom", "--model", "plain", "--size", "16")
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
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(command, made, tmp_path, options, words):
    assert command("crossval", "segmentation", *SMALL, *options).refuses(*words)
    assert not (tmp_path / "runs").exists()


def test_a_network_of_another_task_is_named_with_those_that_there_are(command, made, tmp_path):
    answer = command("crossval", "segmentation", *SMALL, "--model", "resnet18")
    assert answer.code == 2 and "Traceback" not in answer.err
    assert all(word in answer.err for word in ("--model", "'resnet18'", "'resunet'"))
    assert not (tmp_path / "runs").exists()


def test_there_is_no_split_to_choose(command, made):
    answer = command("crossval", "segmentation", "--split", "source-004")
    assert answer.code == 2
    assert "No such option" in answer.err


@pytest.fixture
def asked_for(monkeypatch):
    """What is cross-validated, as ``(recipe, unit, folds, workers)``; nothing is trained."""
    calls = []

    def stop(recipe, cohort, unit, folds, on_fold, workers, record):
        calls.append((recipe, unit, folds, workers))
        raise RunError("that was enough")

    monkeypatch.setattr(opening, "open_cohort", lambda name: name)
    monkeypatch.setattr(crossval, "cross_validate", stop)
    return calls


def test_a_recipe_file_is_cross_validated(command, asked_for, tmp_path):
    recipe = SegmentationRecipe(cohort="phantom", model="resunet", size=16, threshold=0.4)
    path = tmp_path / "mine.json"
    files.write_json(path, recipe.to_json())
    assert command("crossval", "--recipe", path, "--folds", "2", "--unit", "slice").refuses("that was enough")
    assert command("crossval", "--recipe", path, "--workers", "3").refuses("that was enough")
    assert asked_for == [(recipe, "slice", 2, None), (recipe, "patient", None, 3)]


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.name)
def test_a_committed_cross_validation_is_asked_for_again_by_its_file(command, asked_for, folder, monkeypatch):
    """Also the records from before the present words; unit and folds are the record's."""
    monkeypatch.setenv("BRAIN_TUMOR_REPORTS", str(CHECKOUT / "reports"))
    assert command("crossval", "--recipe", folder / lookup.CROSSVAL).refuses("that was enough")
    ((recipe, unit, folds, workers),) = asked_for
    assert workers is None
    assert lookup.find_crossval(recipe, unit, folds, recipe.cohort) == folder


def test_a_file_and_a_task_are_too_many(command, asked_for, tmp_path):
    path = tmp_path / "mine.json"
    files.write_json(path, SegmentationRecipe().to_json())
    assert command("crossval", "--recipe", path, "segmentation").refuses("--recipe", "leave out")
    path.write_text("{")
    assert command("crossval", "--recipe", path).refuses(path, "no recipe in JSON")
    assert command("crossval", "--recipe", tmp_path / "none.json").refuses("none.json", "no recipe in JSON")
    assert not asked_for
