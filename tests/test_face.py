"""The six lines of ``import brain_tumor as bt``, and a researcher's own code through ``bt.train``."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import brain_tumor as bt
from brain_tumor.errors import ModelError, RunError
from brain_tumor.records import records
from brain_tumor.report.figures.drawing import PIXELS_MIME

SMALL = {
    "cohort": "phantom", "split": "ratio-33", "size": 32, "epochs": 1, "batch_size": 8, "precision": "float32",
    "batchnorm_momentum": 0.9,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory, phantom_cohort):
    """A small segmentation run, trained through the face."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAIN_TUMOR_HOME", str(tmp_path_factory.mktemp("face")))
        recipe = bt.Segmentation(model="resunet", model_arguments=(("filters", (4, 8)),), **SMALL)
        trained = bt.train(recipe, phantom_cohort)
        trained.evaluate()
        yield trained


def test_options_are_those_of_the_command_line():
    recipe = bt.Segmentation(epochs=7, max_lr=1e-4, strategy="frozen", gamma=0.0, seed=3)
    assert [(stage.epochs, stage.max_lr, stage.part) for stage in recipe.stages] == [(7, 1e-4, "decoder")]
    assert recipe.augmentation.gamma == 0 and recipe.seed == 3
    assert bt.Classification() == bt.Classification(epochs=12)
    with pytest.raises(ModelError, match="unknown option 'tune' of a segmentation recipe"):
        bt.Segmentation(tune=0.1)


def test_scores_come_as_a_table_in_words_and_as_numbers(run):
    scores = run.evaluate()
    assert {"patient mean", "pooled"} <= set(scores.values.protocol)
    assert list(scores.table().columns[:4]) == ["size", "score", "95 % interval", "floor"]
    assert scores._repr_html_().startswith("<table")


def test_a_case_is_predicted_and_drawn_as_pixels(run, phantom_cohort):
    case = phantom_cohort.cases[0]
    prediction = run.predict(case)
    assert prediction.masks.shape == case.load()[1].shape
    assert list(prediction.table().index) == list(case.slice_numbers)
    assert prediction.show()._repr_mimebundle_()[0][PIXELS_MIME] == {"pixels": "phantom"}
    predictor = bt.Predictor.load(run.path)
    again = predictor.predict(prediction.exam)
    np.testing.assert_array_equal(again.native, prediction.answer.native)


def test_an_open_run_is_that_of_this_home_else_none(run, phantom_cohort):
    assert bt.open_run(run.recipe, phantom_cohort).path == run.path
    other = bt.Segmentation(model="resunet", model_arguments=(("filters", (4, 8)),), seed=9, **SMALL)
    assert bt.open_run(other, phantom_cohort) is None


def test_a_record_gives_its_numbers_and_says_how_to_train_it(run, phantom_cohort, monkeypatch, tmp_path):
    monkeypatch.setenv("BRAIN_TUMOR_REPORTS", str(tmp_path / "reports"))
    facts = run.folder.description
    run.folder.update(phantom=False)
    try:
        record = records.commit_record(run.folder)
    finally:
        run.folder.update(**facts)
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path / "empty"))
    recorded = bt.open_run(run.recipe, phantom_cohort)
    assert recorded.recorded and recorded.path == record
    values = recorded.evaluate().values
    np.testing.assert_allclose(values.dice, run.evaluate().values.dice, atol=1e-6)
    with pytest.raises(RunError, match="a record holds no network; train it again: brain-tumor train --recipe"):
        recorded.predict(phantom_cohort.cases[0])


def own_network(channels=1):
    inputs = keras.Input((32, 32, 3), name="image")
    return keras.Model(inputs, keras.layers.Conv2D(channels, 3, padding="same", name="mine")(inputs), name="mine")


def squared(truth, logits):
    return keras.ops.mean(keras.ops.square(truth - keras.ops.sigmoid(logits)))


def darker(images, targets, generator):
    assert images.dtype == np.uint8
    return images // 2, targets


class Steps(keras.callbacks.Callback):
    """Counts what ``fit`` would call."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def on_train_begin(self, logs=None):
        self.calls.append("begin")

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append(logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(f"epoch {epoch}")


def test_a_network_loss_augmentation_and_callback_of_ones_own(run, phantom_cohort):
    steps, network = Steps(), own_network()
    before = [np.array(weight) for weight in network.get_weights()]
    own = bt.train(run.recipe, phantom_cohort, model=network, loss=squared, augmentation=darker, callbacks=[steps])
    assert own.name != run.name
    assert {part: code["name"] for part, code in own.facts["own_code"].items()} == {
        "model": "mine", "loss": "squared", "augmentation": "darker", "callback 1": "Steps",
    }  # fmt: skip
    assert steps.calls[0] == "begin" and steps.calls[-1] == "epoch 0" and len(steps.calls) > 3
    assert any(not np.array_equal(one, other) for one, other in zip(before, network.get_weights(), strict=True))
    assert set(own.evaluate().values.protocol) == set(run.evaluate().values.protocol)
    with pytest.raises(ModelError, match="holds weights of the own network 'mine'; none was given"):
        bt.Predictor.load(own.path)
    assert bt.Predictor.load(own.path, own_network()).outlines


def test_a_network_of_other_shapes_is_refused(run, phantom_cohort):
    with pytest.raises(ModelError, match=r"your network 'mine' takes .* expected .*32, 32, 1"):
        bt.train(run.recipe, phantom_cohort, model=own_network(channels=2))


def test_the_face_is_loaded_when_it_is_first_used():
    program = "import sys, brain_tumor as bt; assert 'train' in dir(bt); print('keras' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        bt.tarin  # noqa: B018
