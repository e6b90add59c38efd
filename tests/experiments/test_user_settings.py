"""From Python, in a process with Keras settings of its own, a recipe gives the same bits: weights, history and scores."""

import numpy as np
import pytest

from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.recipe import ClassificationRecipe
from brain_tumor.models import saved
from brain_tumor.training.plan import Stage

pytestmark = pytest.mark.backend

RECIPE = ClassificationRecipe(
    cohort="phantom", split="ratio-33", model="plain", size=32, stages=(Stage("all", 1),), batch_size=8, precision="float32"
)


def test_a_run_is_the_same_whatever_the_user_has_set(phantom_cohort, users_settings, tmp_path, monkeypatch):
    def run(home):
        monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path / home))
        folder = experiment.train(RECIPE, phantom_cohort)
        return folder, saved.load(folder.path).get_weights(), experiment.evaluate(folder, phantom_cohort)

    folder, values, scores = run("defaults")
    read = users_settings()
    before = read()
    theirs, others, their_scores = run("theirs")
    assert theirs.path.name == folder.path.name
    for value, other in zip(values, others, strict=True):
        np.testing.assert_array_equal(value, other)
    assert theirs.history.drop(columns="seconds").equals(folder.history.drop(columns="seconds"))
    assert their_scores.equals(scores)
    assert read() == before == ("mixed_float16", "float16", "channels_first", 1e-3)
