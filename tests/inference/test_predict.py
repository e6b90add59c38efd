"""A slice gets the same answer alone and in its series; a stored prediction comes back exactly, or is refused."""

import keras
import numpy as np
import pytest

from brain_tumor.data import intensity
from brain_tumor.errors import DataError
from brain_tumor.inference import predict
from brain_tumor.models import backend, saved


def of_the_networks_size(images):
    return intensity.resize_images(images, 16), intensity.scaling(images, "unit")


@pytest.mark.parametrize("number_format", [pytest.param("float32", marks=pytest.mark.backend), "mixed_bfloat16"])
@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        pytest.param("unet-resnet18", {}, marks=pytest.mark.long),
        ("resunet", {"filters": (16, 32, 64, 128)}),  # on JAX narrower ones agree without padding too
    ],
)
def test_a_slice_alone_and_in_its_series_gives_the_same_bits(architecture, arguments, number_format):
    keras.utils.set_random_seed(0)
    model = backend.frozen(saved.build(saved.describe(architecture, size=32, **arguments), number_format))
    images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8)
    scaling = intensity.scaling(images, "unit")
    together = predict.probabilities(model, images, scaling)
    for number in (0, 7, 15, 16, 19):
        np.testing.assert_array_equal(predict.probabilities(model, images[number : number + 1], scaling)[0], together[number])


@pytest.mark.backend
def test_probabilities_are_those_of_the_network(network, images):
    inputs, scaling = of_the_networks_size(images)
    answer = predict.probabilities(backend.frozen(network), inputs, scaling)
    assert (answer.shape, answer.dtype) == ((20, 16, 16), np.float32)
    logits = network(inputs.astype(np.float32) / 255, training=False)
    plainly = keras.ops.convert_to_numpy(keras.ops.sigmoid(logits))[..., 0]
    np.testing.assert_allclose(answer, plainly, atol=1e-5)


@pytest.mark.backend
def test_averaged_flips_do_not_tell_left_from_right(network, images):
    inputs, scaling = of_the_networks_size(images)
    answer = predict.probabilities(backend.frozen(network), inputs, scaling, flip_tta=True)
    mirrored = predict.probabilities(backend.frozen(network), inputs[:, :, ::-1], scaling, flip_tta=True)
    np.testing.assert_array_equal(answer, mirrored[:, :, ::-1])
    assert not np.array_equal(answer, predict.probabilities(backend.frozen(network), inputs, scaling))


@pytest.fixture
def stored(network, images, tmp_path):
    inputs, scaling = of_the_networks_size(images)
    working = predict.probabilities(backend.frozen(network), inputs, scaling)
    native, numbers = predict.at_native_size(working, images.shape[1:3]), np.arange(1, len(images) + 1)
    prediction = predict.Prediction("TCGA_CS_0001_20000101", numbers, native, predict.to_bytes(working))
    prediction.save(tmp_path / "predictions")
    return prediction, tmp_path / "predictions" / "TCGA_CS_0001_20000101.npz"


@pytest.mark.backend
def test_a_stored_prediction_comes_back_exactly(stored):
    prediction, path = stored
    again = predict.load_prediction(path)
    assert again.case_id == "TCGA_CS_0001_20000101"
    for name in ("slice_numbers", "native", "working"):
        actual, expected = getattr(again, name), getattr(prediction, name)
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)
    with np.load(path, allow_pickle=False) as arrays:
        assert sorted(arrays) == ["native", "slice_numbers", "working"]


def damage_middle(content):
    half = len(content) // 2
    return content[:half] + bytes(byte ^ 255 for byte in content[half : half + 200]) + content[half + 200 :]


DAMAGES = {
    "empty": lambda content: b"",
    "two bytes": lambda content: content[:2],
    "beginning only": lambda content: content[:100],
    "end cut off": lambda content: content[:-50],
    "middle turned over": damage_middle,
    "something else": lambda content: b"x" * 500,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_refused(stored, damage):
    _, path = stored
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"TCGA_CS_0001_20000101.npz: not a stored prediction") as refusal:
        predict.load_prediction(path)
    assert "\n" not in str(refusal.value)


def test_a_file_that_lacks_an_array_or_is_absent_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", native=np.zeros(3))
    np.save(tmp_path / "b.npy", np.zeros(3))
    for name in ("a.npz", "b.npy", "c.npz"):
        with pytest.raises(DataError, match=f"{name}: not a stored prediction"):
            predict.load_prediction(tmp_path / name)
