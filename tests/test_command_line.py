"""The entry point itself: help comes at once because nothing heavy is imported, and mistakes end with exit code 2."""

import importlib.util
import json
import re
import subprocess
import sys

import pytest

from brain_tumor.cli import main

HEAVY = {
    "keras", "tensorflow", "jax", "pandas", "matplotlib", "scipy", "sklearn", "segmentation_models", "nibabel", "cv2", "numpy",
}  # fmt: skip
OF_RECIPES = {"cv2", "numpy"}  # come with the recipe, whose fields are the options: a tenth of a second; the rest takes seconds
# Runs commands in one fresh interpreter, and prints after each its exit code and the top names of what is loaded by then.
LOADED = """
import json, sys
from brain_tumor.cli.main import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["brain-tumor", *words]
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    print(json.dumps([code, sorted({name.split(".")[0] for name in sys.modules})]))
"""


def run(*arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    command = [sys.executable, *options, "-m", "brain_tumor.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_help_loads_nothing_heavy_and_train_little():
    # What is loaded decides, not the clock.
    asked = [["--help"], ["data", "--help"], ["data", "add", "--help"], ["audit", "--help"], ["train", "segmentation", "--help"]]
    answer = subprocess.run([sys.executable, "-c", LOADED, json.dumps(asked)], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    *light, train = [json.loads(line) for line in answer.stdout.splitlines() if line.startswith("[")]
    assert [(code, "typer" in loaded, HEAVY & set(loaded)) for code, loaded in light] == [(0, True, set())] * 4
    assert (train[0], HEAVY & set(train[1])) == (0, OF_RECIPES)


def test_help_names_every_verb_and_each_is_there(command):
    listed = command("--help").out
    assert re.findall(r"^│ (\w[\w-]*)  +\w", listed, re.MULTILINE) == list(main.VERBS)
    for verb in main.VERBS:
        answer = command(verb, "--help")
        assert answer.code == 0 and re.search(rf"Usage: .* {verb} \[OPTIONS\]", answer.out), answer.err


def test_a_verb_that_needs_keras_says_so_where_keras_is_not_installed(command, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert command("train", "segmentation", "--size", "64").refuses("train needs Keras, which is not installed")
    assert command("data", "--help").code == 0
    assert command("--help").out.count("Needs the extra train") == len(main.VERBS) - len(main.WITHOUT_KERAS)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(("fly",), "fly"), (("data", "fly"), "fly"), (("train", "segmentation", "--size", "big"), "--size")],
    ids=["verb", "verb of a group", "value"],
)
def test_an_unknown_word_exits_with_2(arguments, named):
    answer = run(*arguments)
    assert answer.returncode == 2
    assert named in answer.stderr
    assert "Traceback" not in answer.stderr
