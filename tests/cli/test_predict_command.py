"""`predict` with a classifier: a probability a slice, and one line where it cannot be asked that."""

import numpy as np
import pytest
from PIL import Image

from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.recipe import ClassificationRecipe


@pytest.fixture
def classifier(home, phantom_cohort, monkeypatch):
    """``classifier(channels="flair")`` gives the name of a finished run whose network is left as it was drawn."""
    monkeypatch.setattr(experiment, "train_stages", lambda *_arguments, **_options: [])

    def train(**changes):
        recipe = ClassificationRecipe(
            cohort="phantom", split="ratio-33", model="plain", size=32, batch_size=4, precision="float32", **changes
        )
        return experiment.train(recipe, phantom_cohort).path.name

    return train


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
