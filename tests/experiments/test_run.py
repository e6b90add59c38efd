"""What a recipe says arrives where it acts: at the network, at its batches, at its training; and in the run's record.

A run is known by the content of its recipe, split and data; no path and no spelling makes another run of it.
"""

from dataclasses import replace

import keras
import numpy as np
import pytest

from brain_tumor import files
from brain_tumor.data import splits
from brain_tumor.data.cache import open_store
from brain_tumor.data.opening import open_cohort
from brain_tumor.data.phantom import write_phantom
from brain_tumor.errors import DataError, ModelError
from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.recipe import ClassificationRecipe, SegmentationRecipe
from brain_tumor.models import weights
from brain_tumor.models.backbones import INPUT_BATCHNORM
from brain_tumor.models.classifier import classifier
from brain_tumor.training import losses
from brain_tumor.training.augment import NONE, Augmentation
from brain_tumor.training.plan import Stage
from brain_tumor.training.runs import RunFolder

BCE = np.log(2)  # of an undecided network
HEAD = Stage("frozen", 1, part="head")
RECIPE = ClassificationRecipe(
    cohort="phantom", split="ratio-33", model="plain", size=32, stages=(HEAD,), batch_size=4, normalisation="unit",
    augmentation=NONE, flip_tta=False, precision="float32",
)  # fmt: skip
SEGMENTATION = SegmentationRecipe(cohort="phantom", split="ratio-33", model="resunet", size=32)


@pytest.fixture
def begun(home, phantom_cohort, monkeypatch):
    """What :func:`brain_tumor.training.stages.train` is given, which itself trains nothing, and the run's record."""

    def begin(**changes):
        given = {}

        def stand_in(model, stages, epoch_batches, loss, run, validation, metrics, on_features, **_options):
            given.update(model=model, stages=stages, batches=epoch_batches(0), loss=loss, on_features=on_features)

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
    given, facts = begun(model="resnet18", weights="mri4")
    for name, values in pretrained.items():
        for array, expected in zip(given["model"].get_layer(name).get_weights(), values, strict=True):
            np.testing.assert_array_equal(array, expected, err_msg=name)
    assert facts["encoder"]["file"] == "mri4-resnet18-32-unit.weights.h5"
    assert facts["encoder_hash"] == facts["encoder"]["sha256"] and facts["encoder"]["scalars"] > 10**7


def test_random_weights_are_other_ones(begun, pretrained):
    given, facts = begun(model="resnet18", weights="none")
    assert facts["encoder"] is None
    assert not np.array_equal(given["model"].get_layer("conv0").get_weights()[0], pretrained["conv0"][0])


@pytest.mark.parametrize("present", [True, False])
def test_the_first_batchnorm_is_there_or_not(begun, present):
    given, _ = begun(model="resnet18", input_batchnorm=present)
    assert bool(given["model"].get_layer(INPUT_BATCHNORM).weights) is present


def test_classes_weigh_the_same_where_that_is_asked_and_the_run_says_how_much(begun, phantom_cohort):
    given, facts = begun(balance="weights")
    held = open_store(phantom_cohort).slices.tumour_px.to_numpy()[given["batches"].arrays.rows] > 0
    expected = [len(held) / (2 * np.count_nonzero(held == tumour)) for tumour in (False, True)]
    assert facts["class_weights"] == pytest.approx(expected)
    assert _losses_of_each_class(given["loss"]) == pytest.approx([weight * BCE for weight in expected])


def test_without_balance_nothing_is_weighed(begun):
    given, facts = begun()
    assert facts["class_weights"] is None
    assert given["loss"] is losses.bce and _losses_of_each_class(given["loss"]) == pytest.approx([BCE, BCE])


def _losses_of_each_class(loss):
    """The loss of a slice without tumour and of one with tumour, on which the network is undecided."""
    logit = keras.ops.zeros((1, 1))
    return [float(loss(keras.ops.full((1, 1), float(label)), logit)) for label in (0, 1)]


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
        begun(stages=(HEAD, Stage("upper", 1, part="stage4")))
    assert not (home / "runs").exists()


@pytest.fixture
def store(phantom_cohort):
    return open_store(phantom_cohort)


@pytest.fixture
def split_files(store, tmp_path, monkeypatch):
    """In the working folder: ``a.json``, a copy of it named ``b.json``, and ``c.json``, which names the same split but tests
    another patient.
    """
    monkeypatch.chdir(tmp_path)
    split = splits.named("ratio-33", store.cases, store.slices)
    for name in ("a.json", "b.json"):
        split.save(tmp_path / name)
    moved = replace(split, train=(*split.train[1:], split.test[0]), test=(split.train[0], *split.test[1:]))
    moved.save(tmp_path / "c.json")
    return tmp_path


def test_a_split_is_known_by_its_content_not_by_its_path(store, split_files):
    def folder(path, recipe=RECIPE):
        return experiment.run_folder(replace(recipe, split=str(path)), store)

    for recipe in (RECIPE, SEGMENTATION):
        one = folder("a.json", recipe)
        assert one == folder("./a.json", recipe) == folder(split_files / "a.json", recipe) == folder("b.json", recipe)
        assert one == folder("ratio-33", recipe), "the same patients, drawn by name"
        other = folder("c.json", recipe)
        assert other != one and other.path.name.split("-seed")[0] == one.path.name.split("-seed")[0]


def test_a_run_is_not_trained_again_for_another_path_of_its_split(begun, split_files, home):
    given, facts = begun(split="a.json", cohort="lgg")
    again, same = begun(split=str(split_files / "b.json"))
    assert given and not again
    assert same == facts
    (model,) = (home / "runs").glob("phantom-ratio-33-*/model.json")
    assert files.read_json(model)["predictor"]["cohort"] == "phantom", "where the predictor looks up a case by name"
    other, _ = begun(split="c.json")
    assert other


@pytest.mark.parametrize("recipe", [RECIPE, SEGMENTATION], ids=["classification", "segmentation"])
def test_a_split_by_another_name_is_no_other_run(store, split_files, home, recipe):
    first = experiment.run_folder(replace(recipe, split="a.json"), store)
    first.path.mkdir(parents=True)
    for number, name in ((1, "another"), (2, "ratio-33-mine")):
        replace(splits.load(split_files / "a.json"), name=name).save(split_files / f"{number}.json")
        assert experiment.run_folder(replace(recipe, split=f"{number}.json"), store) == first
    replace(splits.load(split_files / "c.json"), name="another").save(split_files / "3.json")
    assert experiment.run_folder(replace(recipe, split="3.json"), store) != first


def test_the_name_of_a_splits_file_leads_out_of_no_folder(store, split_files, home):
    split = splits.load(split_files / "a.json")
    replace(split, name="../../away of/ratio 33").save(split_files / "a.json")
    folder = experiment.run_folder(replace(RECIPE, split="a.json"), store)
    assert folder.path.resolve().parent == (home / "runs").resolve()


@pytest.mark.parametrize("recipe", [RECIPE, SEGMENTATION], ids=["classification", "segmentation"])
def test_a_run_on_the_phantom_is_named_after_it_whatever_its_recipe_says(store, recipe):
    of_lgg = experiment.run_folder(replace(recipe, cohort="lgg"), store)
    assert of_lgg.path.name.startswith("phantom-ratio-33-")
    assert of_lgg == experiment.run_folder(recipe, store), "the data say whose exams they are"


def test_a_run_says_what_it_was_trained_on_and_is_scored_on_that(begun, home, small_phantom):
    _, facts = begun(cohort="lgg")
    assert facts["recipe"]["cohort"] == "phantom"
    (path,) = (home / "runs").iterdir()
    run = RunFolder(path)
    for written in ("phantom", "lgg"):  # as earlier versions wrote it
        run.update(recipe=facts["recipe"] | {"cohort": written})
        cohort = experiment.trained_cohort(run)
        assert cohort.phantom and open_store(cohort).data_hash == facts["data_hash"]
        assert experiment.on(RECIPE, cohort) == RECIPE
    run.update(phantom=False)
    with pytest.raises(DataError, match="the LGG data is not here"):
        experiment.trained_cohort(run)


def test_a_phantom_in_the_place_of_the_patients_is_opened_by_their_name(home):
    write_phantom(home / "data" / "kaggle_3m", patients=6, slices=(8, 8), size=64)
    cohort = open_cohort("lgg")
    assert cohort.name == "phantom" and experiment.on(RECIPE, cohort).cohort == "lgg"


@pytest.mark.parametrize(
    ("recipe", "learns_masks"), [(RECIPE, False), (SEGMENTATION, True)], ids=["classification", "segmentation"]
)
def test_other_data_are_another_run_and_so_are_masks_that_were_prepared_otherwise(store, monkeypatch, recipe, learns_masks):
    one = experiment.run_folder(recipe, store)
    assert experiment.run_folder(recipe, replace(store, data_hash="e" * 64)) != one
    assert bool(recipe.PREPARATION) is learns_masks, "labels of slices come from native masks"
    monkeypatch.setattr(type(recipe), "PREPARATION", 99)
    assert experiment.run_folder(recipe, store) != one
