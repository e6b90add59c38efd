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

SMALL = ["--cohort", "lgg", "--split", "ratio-34", "--model", "resunet", "--size", "64", "--batchnorm-momentum", "0.9"]


def brain_tumor(home, *words, **options):
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "brain_tumor.cli.main", *map(str, words)]
    environment = {
        **os.environ,
        "BRAIN_TUMOR_HOME": str(home),
        "BRAIN_TUMOR_QUIET": "1",
        "COLUMNS": "200",
        "CUDA_VISIBLE_DEVICES": "",
    }
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home, timeout=300, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A home with six patients and one finished, scored run of one epoch."""
    home = tmp_path_factory.mktemp("home")
    write_phantom(home / "data" / "kaggle_3m", patients=6, slices=(8, 10), size=64, seed=1)
    done = brain_tumor(home, "train", "segmentation", *SMALL, "--epochs", "1")
    assert done.returncode == 0, done.stderr
    scored = brain_tumor(home, "evaluate", "lgg-ratio-34")
    assert scored.returncode == 0, scored.stderr
    return home, done, scored


def refused(result, *words):
    """Exit code 2 and one line on standard error that holds all ``words``."""
    assert result.returncode == 2, result.stdout + result.stderr
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    assert all(str(word) in lines[0] for word in words), lines[0]
    return True


def test_training_names_its_run_and_the_next_step(trained):
    home, done, _ = trained
    run = next((home / "runs").glob("lgg-ratio-34-resunet-64-seed0-*"))
    facts = json.loads((run / "run.json").read_text())
    assert f"brain-tumor evaluate {run.name}" in done.stdout
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
        assert words in scored.stdout


def test_runs_lists_the_run_with_its_scores(trained):
    home, _, _ = trained
    listed = brain_tumor(home, "runs")
    assert listed.returncode == 0
    assert "finished" in listed.stdout
    assert "floor" in listed.stdout


def test_frozen_means_all_but_the_encoder_trains():
    assert recipe_options.segmentation(strategy="frozen").stages[0].part == "decoder"
    assert recipe_options.classification(strategy="frozen").stages[0].part == "head"


def test_a_frozen_encoder_of_random_weights_is_told(trained):
    home, _, _ = trained
    words = ["--cohort", "phantom", "--split", "ratio-34", "--size", "32", "--epochs", "1"]
    frozen = brain_tumor(home, "train", "classification", *words, "--strategy", "frozen")
    assert frozen.returncode == 0, frozen.stderr
    assert "random and stay so" in frozen.stdout


def test_the_same_command_again_trains_nothing(trained):
    home, _, _ = trained
    weights = next((home / "runs").glob("lgg-*/model.weights.h5"))
    before = weights.stat().st_mtime_ns
    assert brain_tumor(home, "train", "segmentation", *SMALL, "--epochs", "1").returncode == 0
    assert weights.stat().st_mtime_ns == before


def test_predict_takes_a_slice_a_folder_and_a_case_name(trained, tmp_path):
    home, _, _ = trained
    case = sorted(path for path in (home / "data" / "kaggle_3m").iterdir() if path.is_dir())[0]
    grey = tmp_path / "grey.png"
    Image.fromarray(np.tile(np.arange(80, dtype=np.uint8), (80, 1))).save(grey)
    images_only = tmp_path / "my_exam"
    images_only.mkdir()
    for number in (1, 2, 10):
        (images_only / f"my_exam_{number}.tif").write_bytes((case / f"{case.name}_1.tif").read_bytes())
    for number, what in enumerate((case / f"{case.name}_1.tif", grey, case, images_only, case.name)):
        out = tmp_path / f"overlay{number}.png"
        result = brain_tumor(home, "predict", "lgg-ratio", what, "--out", out, "--mask", tmp_path / f"mask{number}.png")
        assert result.returncode == 0, result.stderr
        assert "research use only" in result.stdout
        assert Image.open(out).mode == "RGB"
    assert set(np.unique(Image.open(tmp_path / "mask1.png"))) <= {0, 255}
    assert Image.open(tmp_path / "mask1.png").size == (80, 80)
    assert sorted(path.name for path in (tmp_path / "mask3.png").iterdir()) == [
        f"my_exam_{number}_mask.tif" for number in (10, 1, 2)
    ]


def test_predict_refuses_in_one_line(trained, tmp_path):
    home, _, _ = trained
    note = tmp_path / "note.png"
    note.write_text("not a picture")
    out = tmp_path / "overlay.png"
    assert refused(brain_tumor(home, "predict", "lgg-ratio", note, "--out", out), note)
    assert refused(brain_tumor(home, "predict", "lgg-ratio", tmp_path / "none.tif", "--out", out), "none.tif")
    assert refused(brain_tumor(home, "predict", "lgg-ratio", "TCGA_XX_0000", "--out", out), "TCGA_XX_0000")
    assert refused(brain_tumor(home, "predict", "no-such-run", note, "--out", out), "no-such-run")
    assert refused(brain_tumor(home, "predict", "lgg-ratio", note, "--out", tmp_path / "overlay.txt"), "overlay.txt")
    assert not list(tmp_path.glob("overlay*"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "vgg16"], ["vgg16", "resunet"]),
        (["--model", "unet-resnet99"], ["resnet99"]),
        (["--size", "100"], ["100", "multiple"]),
        (["--split", "source-004"], ["source-004", "15"]),
        (["--split", "halves"], ["halves"]),
        (["--split", "nowhere.json"], ["nowhere.json"]),
        (["--batch-size", "5000"], ["5000"]),
        (["--cohort", "mars"], ["mars"]),
    ],
)
def test_training_refuses_what_does_not_fit_and_writes_nothing(trained, options, words):
    home, _, _ = trained
    before = sorted((home / "runs").iterdir())
    assert refused(brain_tumor(home, "train", "segmentation", *SMALL, "--seed", "9", *options), *words)
    assert sorted((home / "runs").iterdir()) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "vgg16"], ["vgg16", "resnet18"]),
        (["--size", "100"], ["100", "multiple of 32"]),
        (["--batch-size", "5000"], ["5000"]),
        (["--weights", "nowhere.weights.h5"], ["nowhere.weights.h5"]),
    ],
)
def test_a_classifier_refuses_in_one_line_and_writes_nothing(home, command, options, words):
    assert command("train", "classification", "--cohort", "phantom", "--split", "ratio-33", *options).refuses(*words)
    assert not (home / "runs").exists()


def test_ctrl_c_marks_the_run_stopped_and_an_unfinished_run_is_not_scored(trained):
    home, _, _ = trained
    command = [*SMALL, "--seed", "3", "--epochs", "200"]
    environment = {**os.environ, "BRAIN_TUMOR_HOME": str(home), "BRAIN_TUMOR_QUIET": "1"}
    arguments = [sys.executable, "-m", "brain_tumor.cli.main", "train", "segmentation", *command]
    process = subprocess.Popen(
        arguments, env=environment, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
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
    assert refused(brain_tumor(home, "evaluate", run.name), "stopped")
