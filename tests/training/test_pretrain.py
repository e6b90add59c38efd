"""Pretraining: what is learnt and what is held out, a run that resumes, and weights whose record says where they come from."""

import shutil
from dataclasses import replace

import cv2
import keras
import numpy as np
import pytest
from PIL import Image

from brain_tumor.data import intensity
from brain_tumor.data.phantom import write_phantom
from brain_tumor.errors import DataError, ModelError
from brain_tumor.models import saved, weights
from brain_tumor.paths import runs_folder
from brain_tumor.training import losses, pretrain, stages
from brain_tumor.training.pretrain import Pretraining, gather
from brain_tumor.training.runs import RunFolder, all_runs

RECIPE = Pretraining("drawn", size=32, epochs=2, batch_size=4, batchnorm_momentum=0.9, precision="float32")


def drawing(seed, disc):
    """Soft shapes of 40 px, with a bright disc or without."""
    generator = np.random.default_rng(seed)
    shapes = cv2.GaussianBlur(generator.standard_normal((40, 40)).astype(np.float32), (0, 0), 3)
    picture = (40 + 100 * (shapes - shapes.min()) / np.ptp(shapes)).astype(np.uint8)
    if disc:
        cv2.circle(picture, tuple(map(int, generator.integers(12, 28, 2))), 6, 250, -1)
    return picture


def write_set(root, train=6, test=3):
    """Two classes, ``disc`` and ``none``, in two halves; no two pictures are alike."""
    for part, numbers in (("Training", range(train)), ("Testing", range(100, 100 + test))):
        for name in ("disc", "none"):
            for number in numbers:
                path = root / part / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(drawing(number + 1000 * (name == "disc"), name == "disc")).save(path)
    return root


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory):
    """A home of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("BRAIN_TUMOR_HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def material(shared_home, tmp_path_factory):
    return gather(RECIPE, [write_set(tmp_path_factory.mktemp("set"))])


@pytest.fixture(scope="module")
def stopped(shared_home, material):
    """What Ctrl-C just after two epochs of a ResNet18 at 32 px leaves: its description, its history, and no weights."""

    def interrupted(*_arguments):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(saved, "save", interrupted)
        pretrain.pretrain(RECIPE, material)
    run = RunFolder(runs_folder() / "pretraining" / pretrain.run_id(RECIPE, material))
    return run.description, run.history, RECIPE.weights_file.exists()


@pytest.fixture(scope="module")
def trained(stopped, material):
    """The same run, resumed by the same call."""
    return pretrain.pretrain(RECIPE, material)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "My Set"}, "name 'My Set'"),
        ({"name": "imagenet"}, "--weights imagenet means others"),
        ({"name": "none"}, "--weights none means others"),
        ({"seed": 2**32}, "seed 4294967296, expected 0 to 4294967295"),
        ({"backbone": "vgg16"}, "unknown backbone 'vgg16', expected one of resnet18"),
        ({"size": 100}, "size 100 is not a multiple of 32"),
        ({"size": 0}, "size 0 is not a multiple of 32"),
        ({"normalisation": "none"}, "unknown normalisation 'none'"),
        ({"precision": "half"}, "unknown precision 'half'"),
        ({"epochs": 0}, "0 epochs in batches of 4"),
    ],
)
def test_a_recipe_that_cannot_be_trained_is_refused(changes, said):
    with pytest.raises(ModelError, match=said):
        replace(RECIPE, **changes)


def test_a_known_name_needs_the_known_classes(material):
    with pytest.raises(DataError, match="classes disc, none; 'mri4' is Kaggle's masoudnickparvar/brain-tumor-mri-dataset"):
        gather(replace(RECIPE, name="mri4"), material.folders.roots)


def test_too_few_pictures_are_refused(material):
    with pytest.raises(DataError, match=r"without copies the train part has disc 6, none 6; .*16 or more for a batch"):
        gather(replace(RECIPE, batch_size=16), material.folders.roots)


def test_a_set_without_a_part_to_learn_from_is_refused(material, tmp_path):
    shutil.copytree(material.folders.roots[0] / "Testing", tmp_path / "set" / "Testing")
    with pytest.raises(DataError, match="set: nothing to learn from, only test pictures"):
        gather(RECIPE, [tmp_path / "set"])


def test_pictures_are_compared_with_the_cohort_where_it_is_here(home, material):
    assert material.to_json()["compared_with"] is None
    write_phantom(home / "data" / "kaggle_3m", patients=3, slices=(8, 8), size=64)
    facts = gather(RECIPE, material.folders.roots).to_json()
    assert facts["compared_with"]["phantom"] and facts["compared_with"]["slices"] == 24


def test_a_picture_is_shown_three_times_with_a_window_of_its_own(material):
    parts = pretrain.arrays(material, "volume")
    assert {part: len(arrays.rows) for part, arrays in parts.items()} == {"train": 12, "validation": 0, "test": 6}
    images, labels, scalings = parts["train"].take(parts["train"].rows[:2])
    assert images.shape == (2, 32, 32, 3) and (images == images[..., :1]).all()
    assert labels.tolist() == [0, 0]
    for image, scaling in zip(images, scalings, strict=True):
        assert np.array_equal(scaling, intensity.scaling(image[None], "volume"))
    assert not np.array_equal(*scalings)


def test_a_run_is_named_by_recipe_and_pictures(material):
    name = pretrain.run_id(RECIPE, material)
    assert name.startswith("drawn-resnet18-32-volume-seed0-")
    fewer = replace(material, fates=np.where(np.arange(len(material.fates)) == 0, "near", material.fates))
    assert len({name, pretrain.run_id(replace(RECIPE, epochs=3), material), pretrain.run_id(RECIPE, fewer)}) == 3


def test_a_finished_run_leaves_its_facts_and_no_checkpoint(trained, material):
    facts = trained.description
    assert trained.path.parent == runs_folder() / "pretraining"
    assert facts["status"] == "finished" and facts["pictures"] == material.to_json()
    assert saved.read(trained.path)["precision"] == facts["precision"] == "float32", "in which number format it is built again"
    assert [row["epoch"] for row in trained.history.to_dict("records")] == [1, 2]
    assert {"loss", "accuracy"} <= set(trained.history.columns)
    assert not list(trained.path.glob("checkpoint*"))
    assert all_runs() == [], "it is no run of a recipe, which could be evaluated on a cohort"


def test_the_record_says_where_the_weights_come_from(trained):
    record = weights.read_record(RECIPE.weights_file)
    assert RECIPE.weights_file.name == "drawn-resnet18-32-volume.weights.h5"
    assert record["run"] == trained.path.name and record["name"] == "drawn"
    assert record["kaggle"] is None and record["licence"] is None
    assert record["pictures"]["left"]["train"] == {"disc": 6, "none": 6}
    assert (record["epochs"], record["seed"], record["precision"]) == (2, 0, "float32")
    assert record["held_out"] == trained.description["held_out"]
    assert {"minutes", "environment", "scaling", "recipe"} <= record.keys()


def test_the_weights_are_those_that_were_trained(trained):
    model, fresh = saved.load(trained.path), saved.build(saved.describe("resnet18", size=32))
    facts = weights.load_encoder(fresh, str(RECIPE.weights_file), "volume")
    assert facts["layers"] > 0
    for layer in ("conv0", "stage4_unit2_conv2", "bn1"):
        for weight, twin in zip(fresh.get_layer(layer).get_weights(), model.get_layer(layer).get_weights(), strict=True):
            np.testing.assert_array_equal(weight, twin)


def test_a_finished_run_is_taken_as_it_is_and_lost_weights_are_written_again(trained, material, monkeypatch):
    monkeypatch.setattr(stages, "train", lambda *_: pytest.fail("trained again"))
    written = RECIPE.weights_file.stat().st_mtime_ns
    assert pretrain.pretrain(RECIPE, material) == trained
    assert RECIPE.weights_file.stat().st_mtime_ns == written
    RECIPE.weights_file.write_bytes(b"damaged")
    pretrain.pretrain(RECIPE, material)
    assert weights.read_record(RECIPE.weights_file)["run"] == trained.path.name, "whole again"


def test_an_interrupted_run_goes_on_where_it_was(stopped, trained):
    facts, history, weights_there = stopped
    assert facts["status"] == "stopped" and "held_out" not in facts and not weights_there
    assert history.epoch.tolist() == [1, 2]
    assert trained.history.equals(history), "no epoch was trained again"
    assert trained.description["started"] == facts["started"]
    assert trained.description["training_seconds"] > facts["training_seconds"]


class Answers:
    """A network whose logits say given classes, batch by batch."""

    def __init__(self, classes):
        self.left = list(classes)

    def predict_on_batch(self, images):
        classes, self.left = self.left[: len(images)], self.left[len(images) :]
        return 9 * np.eye(3, dtype=np.float32)[classes]


def parts_of(train, test):
    labels = np.array([*train, *test], np.int32)
    images, scalings = np.zeros((len(labels), 4, 4, 3), np.uint8), np.ones((len(labels), 4, 3), np.float32)
    arrays = pretrain.SliceArrays(images, labels, scalings, np.arange(len(train)), reference=0)
    return {"train": arrays, "test": replace(arrays, rows=np.arange(len(train), len(labels)))}


def test_the_held_out_figures_are_counted_right():
    parts = parts_of(train=[0, 0, 1], test=[0, 0, 0, 1, 1])
    found = pretrain.held_out(Answers([0, 0, 1, 1, 2]), parts, ("a", "b", "c"), batch_size=2)
    assert found == {
        "pictures": 5,
        "accuracy": 0.6,
        "floor": 0.6,
        "always": "a",
        "recall": {"a": 0.6667, "b": 0.5, "c": None},
        "meaning": pretrain.UPPER_BOUND,
    }


def test_without_a_test_part_there_is_no_held_out_figure():
    assert pretrain.held_out(Answers([]), parts_of(train=[0, 1], test=[]), ("a", "b"), 2) is None


@pytest.mark.backend
def test_the_loss_of_several_classes_is_ours():
    truth, probability = np.array([[0.0], [2.0]], np.float32), np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], np.float32)
    logits = keras.ops.convert_to_tensor(np.log(probability))
    value = keras.ops.convert_to_numpy(losses.make(pretrain.LOSS)(truth, logits))
    np.testing.assert_allclose(value, -(np.log(0.5) + np.log(0.8)) / 2, rtol=1e-5)
