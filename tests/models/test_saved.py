"""A model on disk comes back exactly, or is refused in one line."""

import json

import keras
import numpy as np
import pytest

from brain_tumor.errors import ModelError
from brain_tumor.models import saved

pytestmark = pytest.mark.backend

DESCRIPTION = saved.describe("resunet", size=16, filters=[4, 8])


@pytest.fixture
def folder(small_resunet, tmp_path):
    saved.save(small_resunet, DESCRIPTION, tmp_path)
    return tmp_path


@pytest.mark.parametrize("number_format", ["float32", "mixed_bfloat16"])
def test_a_saved_model_comes_back_exactly(folder, small_resunet, number_format):
    keras.utils.set_random_seed(1)
    again = saved.load(folder, number_format)
    for one, other in zip(small_resunet.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    if number_format == "float32":
        images = np.random.default_rng(0).random((2, 16, 16, 3), dtype=np.float32)
        np.testing.assert_array_equal(again.predict_on_batch(images), small_resunet.predict_on_batch(images))


def test_the_folder_holds_two_plain_files(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.weights.h5"]
    description = json.loads((folder / "model.json").read_text())
    assert description["constructor"] == "resunet"
    assert description["arguments"] == {"size": 16, "filters": [4, 8]}
    assert len(description["weights_sha256"]) == 64


def test_a_unet_comes_back_exactly_too(resnet18_unet, tmp_path):
    saved.save(resnet18_unet, saved.describe("unet-resnet18", size=32), tmp_path)
    for one, other in zip(resnet18_unet.get_weights(), saved.load(tmp_path).get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def refusal(folder):
    with pytest.raises(ModelError) as found:
        saved.load(folder)
    assert "\n" not in str(found.value)
    return str(found.value)


def test_truncated_weights_are_refused(folder):
    path = folder / "model.weights.h5"
    path.write_bytes(path.read_bytes()[:-1000])
    assert "model.weights.h5: SHA-256" in refusal(folder)


def test_another_models_weights_are_refused(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    saved.save(saved.build(DESCRIPTION), DESCRIPTION, other)
    (other / "model.weights.h5").replace(folder / "model.weights.h5")
    assert "the file is damaged or another's" in refusal(folder)


@pytest.mark.parametrize("name", ["model.json", "model.weights.h5"])
def test_a_missing_file_is_refused(folder, name):
    (folder / name).unlink()
    assert refusal(folder) == f"{folder / name}: no such file; is the run finished?"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"constructor": "resunet", "arguments": {}}'])
def test_a_damaged_description_is_refused(folder, content):
    (folder / "model.json").write_text(content)
    assert "model.json: not a model description" in refusal(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"constructor": "os.system"},
        {"constructor": None},
        {"arguments": {"command": "ls"}},
        {"arguments": {}},
        {"arguments": {"size": 32, "filters": [4, 8, 16]}},
    ],
)
@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_a_description_that_fits_no_constructor_or_not_these_weights_is_refused(folder, changes):
    description = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(description | changes))
    assert "model.json" in refusal(folder)
