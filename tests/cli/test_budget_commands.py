"""`find-rate`, `ladder`, `grid segmentation`, `pretrain --task reconstruct` and `predict --flair-run` as a person types them."""

import re

import pytest

from brain_tumor.data.cache import open_store
from brain_tumor.experiments import ladder, run as experiment
from brain_tumor.studies.ingredients import screening, table

SMALL = ["--cohort", "phantom", "--split", "ratio-33", "--model", "resunet", "--size", "32", "--precision", "float32"]
FILTERS = ["--model-argument", "filters=2,4", "--batchnorm-momentum", "0.9"]
OPTIONS = {"model": "resunet", "size": 32, "batchnorm_momentum": 0.9, "model_arguments": (("filters", (4,)),)}


@pytest.fixture(autouse=True)
def small(small_phantom, home):
    """A fresh home, whose phantom is of six patients."""


@pytest.fixture
def untrained(monkeypatch):
    """Networks stay as they are drawn: what a command asks of them, and not what they learn, is of interest."""
    monkeypatch.setattr(experiment, "train_stages", lambda *_arguments, **_options: [])


def test_a_rate_is_suggested_with_its_plot_and_nothing_else_is_left(command, home, tmp_path):
    answer = command("find-rate", "segmentation", *SMALL, *FILTERS, "--plot", tmp_path / "rates.svg")
    assert answer.code == 0, answer.err
    assert re.search(r"suggestion, where the loss falls fastest: --max-lr \d\.\de[+-]\d\d", answer.out)
    assert (tmp_path / "rates.svg").read_text().startswith("<?xml")
    assert not (home / "runs").exists()


def test_a_rung_trains_and_scores_in_one_command(command, monkeypatch):
    rung = ladder.Rung("ladder-15m", 8, OPTIONS | {"precision": "float32"}, "a moment")
    monkeypatch.setitem(ladder.RUNGS, "ladder-15m", rung)
    answer = command("ladder", "ladder-15m", "--cohort", "phantom", "--split", "ratio-33")
    assert answer.code == 0, answer.err
    for words in ("ladder-15m: a moment", "finished in", "PHANTOM data, not patients", "patient mean", "floor"):
        assert words in answer.out
    assert command("ladder", "ladder-2h").code == 2


def test_ingredients_are_screened_and_told(untrained, command, monkeypatch):
    base = OPTIONS | {"epochs": 1, "model_arguments": {"filters": (4,)}}
    monkeypatch.setattr(screening, "PLAN", table.Plan(base, 2, (0,)))
    monkeypatch.setattr(table, "INGREDIENTS", (table.INGREDIENTS[0], table.Ingredient("focal loss", {"loss": "focal-dice"})))
    answer = command("grid", "segmentation", "--cohort", "phantom", "--workers", "1")
    assert answer.code == 0, answer.err
    assert "4 of 4: focal loss, seed 0, fold 2" in answer.out and "P false" in answer.out
    assert command("grid", "segmentation", "--ingredients", "salt").refuses("ingredient 'salt'")


def test_weights_from_reconstruction_begin_a_training(command):
    answer = command(
        "pretrain", "--task", "reconstruct", "--name", "filled", *SMALL, *FILTERS[:2], "--epochs", "1", "--batch-size", "4"
    )
    assert answer.code == 0, answer.err
    name = re.search(r"--weights (filled-\S+\.npz) --split ratio-33", answer.out)[1]
    trained = command("train", "segmentation", *SMALL, *FILTERS, "--epochs", "1", "--weights", name)
    assert trained.code == 0, trained.err
    assert f"layers from {name}" in trained.out
    assert command("pretrain", "--name", "mine").refuses("to classify it needs --data")


def test_the_network_of_flair_answers_where_sequences_are_missing(untrained, command, home, phantom_cohort, tmp_path):
    runs = {}
    for channels in ("sequences", "neighbours"):
        answer = command("train", "segmentation", *SMALL, *FILTERS, "--epochs", "1", "--channels", channels)
        runs[channels] = re.search(r"run (\S+)", answer.out)[1]
    lacking = open_store(phantom_cohort).cases.missing
    for case_id, missing in ((lacking.index[lacking == ""][0], ""), (lacking.index[lacking != ""][0], "some")):
        answer = command("predict", runs["sequences"], case_id, "--out", tmp_path / "out.png", "--flair-run", runs["neighbours"])
        assert answer.code == 0, answer.err
        assert f"{runs['neighbours' if missing else 'sequences']} answers" in answer.out
