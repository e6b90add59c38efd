"""`train --recipe FILE`: a recipe, or the ``run.json`` of a run or record, trains just what it says; old options name the new."""

import json
from dataclasses import replace

import pytest

from brain_tumor import files
from brain_tumor.cli.main import RENAMED
from brain_tumor.data import opening
from brain_tumor.errors import RunError
from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.recipe import ClassificationRecipe, SegmentationRecipe
from brain_tumor.paths import CHECKOUT
from brain_tumor.records import lookup
from brain_tumor.training.plan import Stage

COMMITTED = sorted(path.parent for path in (CHECKOUT / "reports" / "records").glob(f"*/{lookup.RUN}"))
STAGES = (Stage("decoder alone", 2, part="decoder"), Stage("all", 3, 1e-4, layer_decay=0.5))
RECIPE = SegmentationRecipe(
    cohort="phantom", model="resunet", stages=STAGES, threshold=0.4, model_arguments=(("filters", (8, 16)),)
)


@pytest.fixture
def trained(home, monkeypatch):
    """The recipes that would be trained; nothing is."""
    recipes = []

    def stop(recipe, cohort, on_start):
        recipes.append(recipe)
        raise RunError(f"that was enough of {cohort}")

    monkeypatch.setattr(opening, "open_cohort", lambda name: name)
    monkeypatch.setattr(experiment, "train", stop)
    return recipes


@pytest.mark.parametrize("recipe", [RECIPE, ClassificationRecipe(input_batchnorm=False, seed=4)], ids=lambda recipe: recipe.TASK)
@pytest.mark.parametrize("as_run", [False, True], ids=["recipe", "run"])
def test_a_recipe_file_trains_what_it_says(command, trained, tmp_path, recipe, as_run):
    """Own stages and a network's arguments too, which no option can say."""
    path = tmp_path / "run.json"
    files.write_json(path, {"status": "finished", "recipe": recipe.to_json()} if as_run else recipe.to_json())
    assert command("train", "--recipe", path).refuses(f"that was enough of {recipe.cohort}")
    assert trained == [recipe]


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.name)
def test_a_committed_record_trains_the_recipe_by_which_it_is_found(command, trained, folder, monkeypatch):
    """Its file may have the words of an earlier version."""
    monkeypatch.setenv("BRAIN_TUMOR_REPORTS", str(CHECKOUT / "reports"))
    assert command("train", "--recipe", folder / lookup.RUN).refuses("that was enough of lgg")
    assert trained == [lookup.recipe_of(folder)]


def test_a_split_that_is_gone_is_taken_from_beside_the_file(command, trained, tmp_path):
    path, here, beside = tmp_path / "run.json", tmp_path / "mine.json", tmp_path / "split.json"
    recipe = replace(RECIPE, split=str(here))
    files.write_json(path, {"recipe": recipe.to_json()})
    for split in (here, beside):
        split.write_text("{}")
    assert command("train", "--recipe", path).code == 2
    here.unlink()
    assert command("train", "--recipe", path).code == 2
    beside.unlink()
    assert command("train", "--recipe", path).code == 2
    assert trained == [recipe, replace(recipe, split=str(beside)), recipe], "the file that is named, the one beside, neither"


def changed(**values):
    return json.dumps(RECIPE.to_json() | values)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ["mine.json"]),
        ("{", ["mine.json", "no recipe in JSON"]),
        ("[1, 2]", ["mine.json", "no recipe in JSON"]),
        ('{"recipe": 7}', ["mine.json", "no recipe in JSON"]),
        (changed(task="horoscope"), ["horoscope", "segmentation"]),
        (changed(size=99), ["99", "multiple"]),
        (changed(batch_size=0), ["batch_size"]),
        (changed(stages=[]), ["without an epoch"]),
        (changed(flux=1), ["another version", "flux"]),
    ],
    ids=["absent", "cut", "list", "number", "task", "size", "batch", "stages", "field"],
)
def test_a_broken_file_is_refused_in_one_line(command, trained, tmp_path, text, words):
    path = tmp_path / "mine.json"
    if text is not None:
        path.write_text(text)
    assert command("train", "--recipe", path).refuses(*words)
    assert not trained


def test_a_file_and_a_task_are_too_many(command, trained, tmp_path):
    path = tmp_path / "mine.json"
    files.write_json(path, RECIPE.to_json())
    assert command("train", "--recipe", path, "segmentation").refuses("--recipe", "leave out")
    assert not trained


def test_train_alone_prints_its_help(command, trained):
    answer = command("train")
    assert answer.code == 0 and "--recipe" in answer.out and "segmentation" in answer.out
    assert not trained


@pytest.mark.parametrize(("old", "new"), RENAMED.items(), ids=RENAMED)
@pytest.mark.parametrize("written", ["{} 0.1", "{}=0.1"], ids=["apart", "joined"])
def test_an_old_option_answers_with_the_present_one(command, trained, old, new, written):
    assert command("train", "segmentation", *written.format(old).split()).refuses(f"{old} is now {new}")
    assert not trained


def test_what_old_options_are_now_is_an_option(command):
    """Else the answer would send people from one refusal to the next."""
    listed = command("train", "segmentation", "--help").out
    assert [new for new in RENAMED.values() if new not in listed] == []
