"""Masked reconstruction: it learns to fill in, from training patients alone, and a network begins with what it learnt."""

import keras
import numpy as np
import pytest

from brain_tumor.errors import ModelError
from brain_tumor.experiments import reconstruct, run as experiment
from brain_tumor.experiments.recipe import SegmentationRecipe
from brain_tumor.models import saved, transfer, weights
from brain_tumor.training.augment import NONE
from brain_tumor.training.batches import TrainingBatches
from brain_tumor.training.plan import Stage
from brain_tumor.training.runs import RunFolder

SMALL = {"cohort": "phantom", "split": "ratio-33", "model": "resunet", "size": 32, "precision": "float32", "batch_size": 8}
FILTERS = (("filters", (4,)),)


def recipe(epochs=1, **options):
    return SegmentationRecipe(**{**SMALL, "stages": (Stage("all", epochs, 1e-2),), "model_arguments": FILTERS} | options)


@pytest.fixture
def learnt(home, phantom_cohort):
    """The file of weights that a short pretraining leaves."""
    return reconstruct.pretrain(recipe(epochs=4), phantom_cohort, "filled")[0]


def test_hidden_patches_are_black_and_what_is_behind_them_is_asked_for(phantom_cohort, home):
    from brain_tumor.data.cache import open_store
    from brain_tumor.experiments import prepare

    store = open_store(phantom_cohort)
    split = experiment.make_split(recipe(), store)
    arrays = prepare._parts(recipe(), store, split)(0)["train"]
    plain = TrainingBatches(arrays, 8, NONE, 0, 0)[1][0]
    images, truth = reconstruct.HiddenBatches(TrainingBatches(arrays, 8, NONE, 0, 0))[1]
    hidden = truth[..., 3:]
    np.testing.assert_array_equal(truth[..., :3], plain)
    np.testing.assert_array_equal(images, np.where(hidden > 0, 0, plain))
    assert 0.5 < hidden.mean() < 0.7
    blocks = hidden.reshape(8, 16, 2, 16, 2)
    assert (blocks.max(axis=(2, 4)) == blocks.min(axis=(2, 4))).all()


def test_only_hidden_pixels_count():
    truth = np.zeros((1, 4, 4, 2), np.float32)
    truth[0, 0, 0, 1], truth[0, 0, 0, 0] = 1, 3.0
    filled = np.full((1, 4, 4, 1), 5.0, np.float32)
    error = reconstruct.hidden_error(keras.ops.convert_to_tensor(truth), keras.ops.convert_to_tensor(filled))
    assert float(error) == pytest.approx(4.0 / 2), "one pixel of 16, and the one that keeps it finite"


def test_it_learns_to_fill_in_and_takes_a_finished_run_as_it_is(learnt, phantom_cohort):
    run = RunFolder(next((learnt.parents[2] / "runs" / "pretraining").iterdir()))
    assert run.status == "finished" and run.history.loss.iloc[-1] < run.history.loss.iloc[0]
    before = learnt.stat().st_mtime_ns
    assert reconstruct.pretrain(recipe(epochs=4), phantom_cohort, "filled")[0] == learnt
    assert learnt.stat().st_mtime_ns == before


def test_a_network_begins_with_all_layers_but_its_head(learnt, phantom_cohort, monkeypatch):
    monkeypatch.setattr(experiment, "train_stages", lambda *_arguments, **_options: [])
    run = experiment.train(recipe(weights=learnt.name), phantom_cohort)
    assert run.description["encoder"]["file"] == learnt.name
    begun = saved.load(run.path)
    with np.load(learnt) as arrays:
        assert {f"{layer.name}/{variable.name}" for layer in begun.layers for variable in layer.weights} - set(arrays.files) == {
            "final_conv/kernel", "final_conv/bias",
        }  # fmt: skip
        for layer in begun.layers:
            for variable in layer.weights:
                if layer.name != "final_conv":
                    np.testing.assert_array_equal(np.asarray(variable), arrays[f"{layer.name}/{variable.name}"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"split": "fold-1-of-3"}, "learnt from images of .* held-out patients, such as TCGA_"),
        ({"normalisation": "unit"}, "expects inputs normalised as 'volume', not 'unit'"),
        ({"model_arguments": (("filters", (8,)),)}, "of another network than 'resunet'"),
    ],
    ids=["patients", "normalisation", "network"],
)
def test_weights_that_would_leak_or_do_not_fit_are_refused(learnt, phantom_cohort, changes, words):
    with pytest.raises(ModelError, match=words):
        experiment.train(recipe(weights=learnt.name, **changes), phantom_cohort)


def test_damaged_or_absent_weights_are_refused(learnt, phantom_cohort):
    learnt.write_bytes(learnt.read_bytes()[:-1])
    with pytest.raises(ModelError, match="SHA-256 .* the file is another's"):
        experiment.train(recipe(weights=learnt.name), phantom_cohort)
    transfer.record_file(learnt).unlink()
    with pytest.raises(ModelError, match="No such file or directory; expected weights and their record"):
        experiment.train(recipe(weights=str(weights.folder() / learnt.name)), phantom_cohort)
