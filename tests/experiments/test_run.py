"""What a recipe says arrives where it acts: at the network, at its batches, at its training; and in the run's record."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from brain_tumor.data.cache import open_store
from brain_tumor.errors import ModelError
from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.recipe import ClassificationRecipe
from brain_tumor.models import weights
from brain_tumor.models.backbones import INPUT_BATCHNORM
from brain_tumor.models.classifier import classifier
from brain_tumor.training.augment import NONE, Augmentation
from brain_tumor.training.plan import Stage

HEAD = Stage("frozen", 1, part="head")
RECIPE = ClassificationRecipe(
    cohort="phantom", split="ratio-33", size=32, stages=(HEAD,), batch_size=4, normalisation="unit", augmentation=NONE,
    flip_tta=False, precision="float32",
)  # fmt: skip


@pytest.fixture
def begun(home, phantom_cohort, monkeypatch):
    """What :func:`training.train_stages` is given, which itself trains nothing, and the run's record."""

    def begin(**changes):
        given = {}

        def stand_in(model, stages, epoch_batches, loss, run, validation, task, counted, on_features):
            given.update(model=model, stages=stages, batches=epoch_batches(0), counted=counted, on_features=on_features)

        monkeypatch.setattr(experiment, "train_stages", stand_in)
        run = experiment.train(replace(RECIPE, **changes), phantom_cohort)
        return given, run.description

    return begin


@pytest.fixture
def pretrained(home):
    """Weights named mri4, as `brain-tumor pretrain` would leave them, and what they hold."""
    keras.utils.set_random_seed(7)
    donor = classifier("resnet18", 32)
    path = weights.own_file("mri4", "resnet18", 32, "unit")
    path.parent.mkdir(parents=True)
    weights.save_encoder(donor, path, {"normalisation": "unit"})
    return {layer.name: layer.get_weights() for layer in donor.layers if layer.weights and not layer.name.startswith("head_")}


def test_the_encoder_begins_with_the_weights_that_are_asked_for(begun, pretrained):
    given, facts = begun(weights="mri4")
    for name, values in pretrained.items():
        for found, expected in zip(given["model"].get_layer(name).get_weights(), values, strict=True):
            np.testing.assert_array_equal(found, expected, err_msg=name)
    assert facts["encoder"]["file"] == "mri4-resnet18-32-unit.weights.h5"
    assert facts["encoder_hash"] == facts["encoder"]["sha256"] and facts["encoder"]["scalars"] > 10**7


def test_random_weights_are_other_ones(begun, pretrained):
    given, facts = begun(weights="none")
    assert facts["encoder"] is None
    assert not np.array_equal(given["model"].get_layer("conv0").get_weights()[0], pretrained["conv0"][0])


@pytest.mark.parametrize("kept", [True, False])
def test_the_first_batchnorm_is_there_or_not(begun, kept):
    given, _ = begun(input_batchnorm=kept)
    assert bool(given["model"].get_layer(INPUT_BATCHNORM).weights) is kept


def test_classes_weigh_the_same_where_that_is_asked_and_the_run_says_how_much(begun, phantom_cohort):
    given, facts = begun(balance="weights")
    held = open_store(phantom_cohort).slices.tumour_px.to_numpy()[given["batches"].arrays.rows] > 0
    expected = [len(held) / (2 * np.count_nonzero(held == tumour)) for tumour in (False, True)]
    assert facts["class_weights"] == list(given["counted"]) == pytest.approx(expected)


def test_without_balance_nothing_is_weighed(begun):
    given, facts = begun()
    assert given["counted"] is None and facts["class_weights"] is None


def test_sampling_draws_both_classes_alike(begun, phantom_cohort):
    given, _ = begun(balance="sampling")
    tumour = open_store(phantom_cohort).slices.tumour_px.to_numpy() > 0
    assert np.count_nonzero(tumour[given["batches"].order]) == pytest.approx(len(given["batches"].order) / 2, abs=1)


@pytest.mark.parametrize(("augmentation", "short"), [(replace(NONE, flip=True), True), (Augmentation(), False)])
def test_features_stand_for_slices_that_are_only_mirrored(begun, augmentation, short):
    given, _ = begun(augmentation=augmentation)
    assert given["on_features"] is short and given["batches"].augmentation == augmentation


def test_a_stage_that_names_no_layer_is_refused_before_anything_is_written(begun, home):
    with pytest.raises(ModelError, match="stage4"):
        begun(model="plain", stages=(HEAD, Stage("upper", 1, part="stage4")))
    assert not (home / "runs").exists()
