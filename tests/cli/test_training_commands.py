"""`train`, `evaluate`, `runs` and `predict` as a person types them, on a small phantom standing where the real tree would."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from brain_tumor.cli import recipe_options
from brain_tumor.data.phantom import write_phantom
from brain_tumor.experiments.recipe import ClassificationRecipe, SegmentationRecipe

SMALL = ["--cohort", "lgg", "--split", "ratio-34", "--model", "resunet", "--size", "64", "--batchnorm-momentum", "0.9"]
SMALL += ["--model-argument", "filters=4,8"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, shared_command):
    """A home with six patients and one finished, scored run of one epoch."""
    home = tmp_path_factory.mktemp("home")
    write_phantom(home / "data" / "kaggle_3m", patients=6, slices=(8, 10), size=64, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAIN_TUMOR_HOME", str(home))
        done = shared_command("train", "segmentation", *SMALL, "--epochs", "1")
        assert done.code == 0, done.err
        scored = shared_command("evaluate", "phantom-ratio-34")
        assert scored.code == 0, scored.err
    return home, done, scored


@pytest.fixture
def trained_home(trained, monkeypatch):
    """That home, where the commands of a test find it."""
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(trained[0]))
    return trained[0]


def test_training_names_its_run_and_the_next_step(trained):
    home, done, _ = trained
    run = next((home / "runs").glob("phantom-ratio-34-resunet-64-seed0-*"))
    facts = json.loads((run / "run.json").read_text())
    assert f"brain-tumor evaluate {run.name}" in done.out
    assert facts["status"] == "finished"
    assert facts["precision"] in ("float32", "mixed_bfloat16")
    assert {"recipe", "split_hash", "data_hash", "environment", "training_seconds"} <= facts.keys()
    assert not list(run.glob("checkpoint*"))


def test_every_score_comes_with_interval_floor_and_meaning(trained):
    _, _, scored = trained
    for words in (
        "slice, empty = 1",
        "tumour slices",
        "pooled",
        "patient mean",
        "patient median",
        "95 % interval",
        "floor",
        "all empty",
    ):
        assert words in scored.out


def test_runs_lists_the_run_with_its_scores(trained_home, command):
    listed = command("runs")
    assert listed.code == 0
    assert "finished" in listed.out
    assert "floor" in listed.out


def test_frozen_means_all_but_the_encoder_trains():
    for kind, part in ((SegmentationRecipe, "decoder"), (ClassificationRecipe, "head")):
        values = {item.name: item.default for item in recipe_options.options(kind)}
        assert recipe_options.make(kind, values).stages == kind().stages
        assert recipe_options.make(kind, values | {"strategy": "frozen"}).stages[0].part == part


def test_a_frozen_encoder_of_random_weights_is_told(trained_home, small_phantom, command):
    words = ["--cohort", "phantom", "--split", "ratio-34", "--size", "32", "--epochs", "1"]
    frozen = command("train", "classification", *words, "--strategy", "frozen")
    assert frozen.code == 0, frozen.err
    assert "random and stay so" in frozen.out


def test_the_same_command_again_trains_nothing(trained_home, command):
    weights = next((trained_home / "runs").glob("phantom-*/model.weights.h5"))
    before = weights.stat().st_mtime_ns
    assert command("train", "segmentation", *SMALL, "--epochs", "1").code == 0
    assert weights.stat().st_mtime_ns == before


def test_predict_takes_a_slice_a_folder_and_a_case_name(trained_home, command, tmp_path):
    case = sorted(path for path in (trained_home / "data" / "kaggle_3m").iterdir() if path.is_dir())[0]
    grey = tmp_path / "grey.png"
    Image.fromarray(np.tile(np.arange(80, dtype=np.uint8), (80, 1))).save(grey)
    images_only = tmp_path / "my_exam"
    images_only.mkdir()
    for number in (1, 2, 10):
        (images_only / f"my_exam_{number}.tif").write_bytes((case / f"{case.name}_1.tif").read_bytes())
    for number, what in enumerate((case / f"{case.name}_1.tif", grey, case, images_only, case.name)):
        out = tmp_path / f"overlay{number}.png"
        mask = tmp_path / f"mask{number}{'.png' if number < 2 else ''}"  # a case's is a folder
        result = command("predict", "phantom-ratio-34-resunet", what, "--out", out, "--mask", mask)
        assert result.code == 0, result.err
        assert "research use only" in result.out
        assert Image.open(out).mode == "RGB"
    assert set(np.unique(Image.open(tmp_path / "mask1.png"))) <= {0, 255}
    assert Image.open(tmp_path / "mask1.png").size == (80, 80)
    assert sorted(path.name for path in (tmp_path / "mask3").iterdir()) == [f"my_exam_{number}_mask.tif" for number in (10, 1, 2)]


def test_predict_refuses_in_one_line(trained_home, command, tmp_path):
    note = tmp_path / "note.png"
    note.write_text("not a picture")
    out = tmp_path / "overlay.png"
    assert command("predict", "phantom-ratio-34-resunet", note, "--out", out).refuses(note)
    assert command("predict", "phantom-ratio-34-resunet", tmp_path / "none.tif", "--out", out).refuses("none.tif")
    assert command("predict", "phantom-ratio-34-resunet", "TCGA_XX_0000", "--out", out).refuses("TCGA_XX_0000")
    assert command("predict", "no-such-run", note, "--out", out).refuses("no-such-run")
    assert command("predict", "phantom-ratio-34-resunet", note, "--out", tmp_path / "overlay.txt").refuses("overlay.txt")
    assert not list(tmp_path.glob("overlay*"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--size", "99"], ["99", "multiple"]),
        (["--cohort", "mars"], ["'mars'", "lgg, phantom or phantombrats", "data add mars"]),
        (["--split", "source-004"], ["source-004", "15"]),
        (["--split", "halves"], ["halves"]),
        (["--split", "nowhere.json"], ["nowhere.json"]),
        (["--batch-size", "5000"], ["5000"]),
    ],
)
def test_training_refuses_what_does_not_fit_and_writes_nothing(trained_home, command, options, words):
    before = sorted((trained_home / "runs").iterdir())
    assert command("train", "segmentation", *SMALL, "--seed", "9", *options).refuses(*words)
    assert sorted((trained_home / "runs").iterdir()) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--size", "100"], ["100", "multiple of 32"]),
        (["--batch-size", "5000"], ["5000"]),
        (["--weights", "nowhere.weights.h5"], ["nowhere.weights.h5"]),
    ],
)
def test_a_classifier_refuses_in_one_line_and_writes_nothing(home, small_phantom, command, options, words):
    assert command("train", "classification", "--cohort", "phantom", "--split", "ratio-33", *options).refuses(*words)
    assert not (home / "runs").exists()


@pytest.mark.parametrize(
    ("task", "options", "words"),
    [
        ("segmentation", ["--model", "vgg16"], ["'vgg16'", "'resunet'"]),
        ("segmentation", ["--model", "unet-resnet99"], ["'unet-resnet99'", "'unet-resnet18'"]),
        ("segmentation", ["--batch-size", "0"], ["expected a whole number from 1, or auto"]),
        ("classification", ["--model", "vgg16"], ["'vgg16'", "'resnet18'"]),
        ("classification", ["--threshold", "7"], ["less than or equal to 1"]),
    ],
)
def test_a_word_or_number_beyond_an_options_limits_is_refused_with_what_there_is(home, command, task, options, words):
    """The limits are the recipe's; the parser names the option and what it takes."""
    answer = command("train", task, *options)
    assert answer.code == 2 and "Traceback" not in answer.err
    assert all(word in answer.err for word in (options[0], *words)), answer.err
    assert not (home / "runs").exists()


def test_ctrl_c_marks_the_run_stopped_and_an_unfinished_run_is_not_scored(trained_home, command):
    home, options = trained_home, [*SMALL, "--seed", "3", "--epochs", "200"]
    arguments = [sys.executable, "-m", "brain_tumor.cli.main", "train", "segmentation", *options]
    process = subprocess.Popen(
        arguments, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}, cwd=home,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored by whatever a shell starts in the background
    )  # fmt: skip
    deadline = time.monotonic() + 240
    while not list((home / "runs").glob("*seed3*/checkpoint-*/state.json")) and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    run = next((home / "runs").glob("*seed3*"))
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert json.loads((run / "run.json").read_text())["status"] == "stopped"
    assert command("evaluate", run.name).refuses("stopped")
