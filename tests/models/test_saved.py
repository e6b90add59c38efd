"""A model on disk comes back exactly, or is refused in one line."""

import json

import keras
import numpy as np
import pytest

from brain_tumor.errors import ModelError
from brain_tumor.models import saved

DESCRIPTION = saved.describe("resunet", size=16, filters=[4, 8])


@pytest.fixture
def folder(small_resunet, tmp_path):
    saved.save(small_resunet, DESCRIPTION, tmp_path)
    return tmp_path


@pytest.mark.backend
@pytest.mark.parametrize("number_format", ["float32", "mixed_bfloat16"])
def test_a_saved_model_comes_back_exactly_in_its_own_number_format(tmp_path, small_resunet, number_format):
    saved.save(small_resunet, DESCRIPTION | {"precision": number_format}, tmp_path)
    keras.utils.set_random_seed(1)
    again = saved.load(tmp_path)
    assert {layer.dtype_policy.name for layer in again.layers if layer.name.startswith("encoder1")} == {number_format}
    assert again.layers[-1].dtype_policy.name == "float32"
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
    assert "model.json: describes no network that fits model.weights.h5" in refusal(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"widths": (4, 8)}, "network 'resunet' cannot be built with size=16, widths=.* 'widths'"),
        ({"batchnorm_momentum": "fast"}, "network 'resunet' cannot be built with size=16, batchnorm_momentum='fast'"),
        ({"filters": 8}, "filters 8, expected the width of each level"),
    ],
)
def test_arguments_that_no_network_takes_are_refused_in_one_line(changes, words):
    with pytest.raises(ModelError, match=words) as refusal:
        saved.build(saved.describe("resunet", size=16, **changes))
    assert "\n" not in str(refusal.value)


@pytest.mark.backend
def test_a_chosen_threshold_is_kept_with_the_model_and_changes_nothing_else(small_resunet, tmp_path):
    saved.save(small_resunet, DESCRIPTION | {"predictor": {"normalisation": "unit", "threshold": 0.5}}, tmp_path)
    before = saved.load_described(tmp_path)[1]
    saved.decide(tmp_path, 0.3)
    model, after = saved.load_described(tmp_path)
    assert after == before | {"predictor": {"normalisation": "unit", "threshold": 0.3}}
    for one, other in zip(small_resunet.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
