"""`pretrain` as a person types it: what was read, dropped and left, the held-out line, the weights; one line for bad input."""

import inspect
import json
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image

from brain_tumor.cli.pretrain import pretrain as verb
from brain_tumor.data.phantom import write_phantom
from brain_tumor.training import pretrain

SMALL = ["--name", "drawn", "--size", "32", "--epochs", "1", "--batch-size", "2", "--precision", "float32"]


def write(root, names):
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        coarse = np.random.default_rng(seed).integers(0, 256, (5, 5), dtype=np.uint8)
        Image.fromarray(coarse).resize((32, 32)).save(root / name)
    return root


@pytest.fixture
def folder(tmp_path):
    """Two classes in two halves; one picture of Testing is in Training too."""
    root = write(
        tmp_path / "set", [f"{part}/{name}/{n}.png" for part in ("Training", "Testing") for name in "ab" for n in (1, 2)]
    )
    (root / "Training" / "a" / "copy.png").write_bytes((root / "Testing" / "a" / "1.png").read_bytes())
    return root


def test_it_tells_what_it_read_and_leaves_weights(command, home, folder):
    write_phantom(home / "data" / "kaggle_3m", patients=2, slices=(8, 8), size=64)
    answer = command("pretrain", "--data", folder, *SMALL)
    assert answer.code == 0, answer.err
    path = home / "data" / "weights" / "drawn-resnet18-32-volume.weights.h5"
    run = next((home / "runs" / "pretraining").iterdir())
    for words in (
        "read 9 pictures of 2 classes; compared with 16 slices of a PHANTOM, not of patients",
        "dropped 1 exact copies\n",
        "left train 4 (a 2, b 2), test 4 (a 2, b 2)",
        f"run {run.name}",
        f"minutes: {run}",
        "held out: accuracy 0.",
        "of 4 pictures (always a: 0.500); recall a ",
        "pictures, not patients: the set names no patients, so this is an upper bound",
        f"weights: {path}",
        "next: brain-tumor train classification --weights ",
        "drawn-resnet18-32-volume.weights.h5 --model resnet18 --size 32 --normalisation volume",
    ):
        assert words in answer.out, words
    assert path.is_file()
    assert json.loads((home / "data" / "weights" / "drawn-resnet18-32-volume.json").read_text())["run"] == run.name


def test_without_lgg_data_it_says_that_no_patient_was_compared_and_ctrl_c_says_how_to_go_on(command, home, folder, monkeypatch):
    def interrupted(*_arguments, **_named):
        raise KeyboardInterrupt

    monkeypatch.setattr(pretrain, "pretrain", interrupted)
    answer = command("pretrain", "--data", folder, *SMALL)
    assert answer.code == 130
    assert "the LGG data is not here: the pictures were compared with no patient" in answer.out
    assert "the same command resumes" in answer.err and "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--backbone", "vgg16"], ["vgg16", "resnet18"]),
        (["--size", "100"], ["100", "multiple of 32"]),
        (["--name", "mri4"], ["classes a, b", "masoudnickparvar/brain-tumor-mri-dataset", "glioma"]),
        (["--name", "my/set"], ["my/set"]),
        (["--data", "nowhere"], ["nowhere: no such folder"]),
    ],
)
def test_bad_input_is_refused_in_one_line_and_nothing_is_written(command, home, folder, options, words):
    assert command("pretrain", "--data", folder, *SMALL, *options).refuses(*words)
    assert list(home.iterdir()) == []


def test_a_folder_of_one_class_is_refused_and_nothing_is_written(command, home, tmp_path):
    root = write(tmp_path / "set", ["a/1.png", "a/2.png"])
    assert command("pretrain", "--data", root, *SMALL).refuses(f"{root}: one class only, 'a'")
    assert list(home.iterdir()) == []


def test_a_picture_of_one_pixel_is_refused_and_no_cache_is_left(command, home, folder):
    Image.fromarray(np.zeros((1, 1), np.uint8)).save(folder / "Training" / "a" / "dot.png")
    assert command("pretrain", "--data", folder, *SMALL).refuses("dot.png: 1 x 1 pixels, expected at least 16 x 16")
    assert not (home / "runs").exists() and not list((home / "data" / "cache").glob("folders-*"))


def test_the_set_must_be_named(command, home, folder):
    answer = command("pretrain", "--data", folder)
    assert answer.code == 2 and "--name" in answer.err


def test_its_defaults_are_those_of_a_pretraining():
    shown = inspect.signature(verb).parameters
    kept = {item.name: item.default for item in fields(pretrain.Pretraining) if item.name in shown and item.name != "name"}
    told = {name: getattr(shown[name].default, "default", shown[name].default) for name in kept}
    assert told == kept
