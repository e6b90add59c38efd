"""`search` prints every trial, best first, and the command that scores the best."""

from brain_tumor import files
from brain_tumor.experiments import run as experiment, tasks
from brain_tumor.training.runs import find_run

SMALL = ("--cohort", "phantom", "--split", "ratio-33", "--size", "32", "--batch-size", "4", "--epochs", "1", "--model", "plain")


def test_it_needs_patients_to_choose_on(home, small_phantom, command):
    assert command("search", "classification", *SMALL).refuses("validation part")
    assert not (home / "runs").exists()


def test_it_ends_with_the_best_and_its_command(home, small_phantom, command, monkeypatch):
    words = (*SMALL, "--validation", "0.5", "--trials", "2", "--vary", "max_lr", "--precision", "float32")
    answer = command("search", "classification", *words)
    assert answer.code == 0, answer.err
    assert answer.out.count("of 2: run phantom-ratio-33-plain-32") == 2
    lines = answer.out.splitlines()
    best = next(line for line in lines if line.startswith("next: ")).split()[-1]
    assert (home / "runs" / best / "history.csv").is_file()
    again = next(line for line in lines if line.startswith("train it again: ")).removeprefix("train it again: ").split()
    assert again[:3] == ["brain-tumor", "train", "--recipe"]
    recipe = tasks.recipe_from_json(files.read_json(home / "runs" / best / "run.json")["recipe"])
    monkeypatch.setattr(experiment, "train", lambda recipe, *_more, **_named: asked.append(recipe) or find_run(best))
    asked = []
    assert command(*again[1:]).code == 0
    assert asked == [recipe] and recipe.validation == 0.5
