"""The entry point itself: help comes at once because nothing heavy is imported, and mistakes end with exit code 2."""

import subprocess
import sys

import pytest

# NumPy, OpenCV and Pillow come with the recipe, whose fields are the options: a fifth of a second. The rest takes seconds.
HEAVY = {"keras", "tensorflow", "jax", "pandas", "matplotlib", "scipy", "sklearn", "segmentation_models"}


def run(*arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    command = [sys.executable, *options, "-m", "brain_tumor.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("arguments", [("--help",), ("data", "--help"), ("train", "--help")], ids=" ".join)
def test_help_imports_nothing_heavy(arguments):
    # What is imported decides, not the clock: -X importtime lists every module on standard error.
    answer = run(*arguments, options=("-X", "importtime"))
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in answer.stderr.splitlines() if "|" in line}
    assert answer.returncode == 0
    assert "typer" in imported
    assert not imported & HEAVY


def test_help_names_every_group_of_verbs():
    told = run("--help").stdout
    for verb in ("data", "audit", "pretrain", "train", "crossval", "grid", "evaluate", "predict", "runs", "report", "demo"):
        assert verb in told


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
