"""`predict` with a classifier, alone or before a network that outlines, and one line where it cannot be asked that."""

import re

import nibabel
import numpy as np
import pytest
from PIL import Image

from brain_tumor import files
from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.recipe import ClassificationRecipe, SegmentationRecipe

SHARED = {"cohort": "phantom", "split": "ratio-33", "size": 32, "batch_size": 4, "precision": "float32"}


@pytest.fixture
def untrained(home, phantom_cohort, monkeypatch):
    """``untrained(recipe)`` gives the folder of a finished run whose network is left as it was drawn."""
    monkeypatch.setattr(experiment, "train_stages", lambda *_arguments, **_options: [])
    return lambda recipe: experiment.train(recipe, phantom_cohort).path


@pytest.fixture
def classifier(untrained):
    """``classifier(channels="flair")`` gives the name of such a run that tells slices."""
    return lambda **changes: untrained(ClassificationRecipe(model="plain", **SHARED, **changes)).name


def exam(cohort):
    """The folder of its first case."""
    return cohort.cases[0].sources[0].parent


@pytest.mark.parametrize("channels", ["sequences", "flair", "neighbours"])
def test_every_slice_of_an_exam_has_its_probability(classifier, phantom_cohort, command, channels):
    answer = command("predict", classifier(channels=channels), exam(phantom_cohort))
    assert answer.code == 0, answer.err
    told = [line for line in answer.out.splitlines() if line.startswith("slice ")]
    assert len(told) == len(phantom_cohort.cases[0].slice_numbers)
    assert "research use only" in answer.out


def test_a_slice_is_told_as_in_its_exam(classifier, phantom_cohort, command):
    run = classifier(channels="neighbours")
    whole = command("predict", run, exam(phantom_cohort)).out.splitlines()
    case = phantom_cohort.cases[0]
    picture = exam(phantom_cohort) / f"{case.case_id}_{case.slice_numbers[2]}.tif"
    alone = command("predict", run, picture).out.splitlines()
    assert alone[0] == whole[2]


def test_what_it_cannot_do_is_refused(classifier, phantom_cohort, command, tmp_path):
    run = classifier()
    assert command("predict", run, exam(phantom_cohort), "--out", tmp_path / "overlay.png").refuses("--out", "outlines nothing")
    speck = tmp_path / "speck.png"
    Image.fromarray(np.zeros((1, 1), np.uint8)).save(speck)
    assert command("predict", run, speck).refuses(speck, "1 x 1 pixels", "at least 16")
    black = tmp_path / "black.png"
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(black)
    assert command("predict", run, black).refuses(black, "nothing to see")
    assert not (tmp_path / "overlay.png").exists()


def test_a_detector_decides_which_slices_are_outlined(untrained, phantom_cohort, command, tmp_path):
    detector = untrained(ClassificationRecipe(model="plain", **SHARED))
    outliner = untrained(SegmentationRecipe(model="resunet", model_arguments={"filters": (4,)}, **SHARED)).name
    slices = re.findall(r"slice (\d+): (0\.\d+)", command("predict", detector.name, exam(phantom_cohort)).out)
    median = sorted(float(probability) for _, probability in slices)[len(slices) // 2]
    model = files.read_json(detector / "model.json")
    files.write_json(detector / "model.json", model | {"threshold": median})

    def masks(name, *options):
        out = "--out", tmp_path / "overlay.png", "--mask", tmp_path / f"{name}.nii.gz"
        answer = command("predict", outliner, exam(phantom_cohort), *out, *options, "--anyway")
        assert answer.code == 0, answer.err
        return np.asarray(nibabel.load(tmp_path / f"{name}.nii.gz").dataobj).transpose(2, 1, 0), answer.out

    alone, gated, both = masks("alone"), masks("gated", "--detector", detector), masks("both", "--detector", detector, "--both")
    line = next(line for line in gated[1].splitlines() if line.startswith(f"slices called by {detector.name}: "))
    called = np.isin([int(number) for number, _ in slices], [int(number) for number in line.partition(": ")[2].split(", ")])
    assert line in both[1] and 0 < called.sum() < len(called)
    assert np.array_equal(both[0], alone[0]) and alone[0][~called].any()
    assert np.array_equal(gated[0], alone[0] * called[:, None, None])


def test_a_detector_needs_a_network_that_outlines(untrained, classifier, phantom_cohort, command, tmp_path):
    run = classifier()
    assert command("predict", run, exam(phantom_cohort), "--detector", run).refuses("outlines nothing", "--detector")
    outliner = untrained(SegmentationRecipe(model="resunet", model_arguments={"filters": (4,)}, **SHARED)).name
    out = "--out", tmp_path / "overlay.png", "--anyway"
    assert command("predict", outliner, exam(phantom_cohort), *out, "--both").refuses("--both", "--detector")
    assert command("predict", outliner, exam(phantom_cohort), *out, "--detector", outliner).refuses("a network that outlines")
    assert not (tmp_path / "overlay.png").exists()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_shines_through_a_screenshot_does_not_count(classifier, command, tmp_path, mode):
    run = classifier()
    plane = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    picture = Image.fromarray(plane).convert(mode[:-1])
    picture.save(tmp_path / "slice.png")
    opaque = command("predict", run, tmp_path / "slice.png").out
    picture.putalpha(100)
    assert picture.mode == mode
    picture.save(tmp_path / "slice.png")
    assert opaque and command("predict", run, tmp_path / "slice.png").out == opaque
