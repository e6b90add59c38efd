"""A slice gets the same answer alone and in its series, at its own size; what does not fit is refused."""

import keras
import numpy as np
import pytest

from brain_tumor.data import intensity
from brain_tumor.errors import DataError
from brain_tumor.inference import predict
from brain_tumor.models import saved

pytestmark = pytest.mark.backend

NUMBERS = np.arange(1, 21)


def of_the_networks_size(exam):
    return intensity.resize_images(exam, 16), intensity.scaling(exam, "unit")


@pytest.mark.parametrize("number_format", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(("architecture", "size"), [("unet-resnet18", 32), ("resunet", 32)])
def test_a_slice_alone_and_in_its_series_gives_the_same_bits(architecture, size, number_format):
    keras.utils.set_random_seed(0)
    model = saved.build(saved.describe(architecture, size=size), number_format)
    images = np.random.default_rng(0).integers(0, 256, (20, size, size, 3), np.uint8)
    scaling = intensity.scaling(images, "unit")
    together = predict.probabilities(model, images, scaling)
    for number in (0, 7, 15, 16, 19):
        np.testing.assert_array_equal(predict.probabilities(model, images[number : number + 1], scaling)[0], together[number])


def test_probabilities_are_those_of_the_network(network, exam):
    images, scaling = of_the_networks_size(exam)
    found = predict.probabilities(network, images, scaling)
    assert (found.shape, found.dtype) == ((20, 16, 16), np.float32)
    logits = network(images.astype(np.float32) / 255, training=False)
    plainly = keras.ops.convert_to_numpy(keras.ops.sigmoid(logits))[..., 0]
    np.testing.assert_allclose(found, plainly, atol=1e-5)


def test_averaged_flips_do_not_tell_left_from_right(network, exam):
    images, scaling = of_the_networks_size(exam)
    found = predict.probabilities(network, images, scaling, flip_tta=True)
    mirrored = predict.probabilities(network, images[:, :, ::-1], scaling, flip_tta=True)
    np.testing.assert_array_equal(found, mirrored[:, :, ::-1])
    assert not np.array_equal(found, predict.probabilities(network, images, scaling))


def test_a_case_returns_at_its_own_size(network, exam):
    found = predict.predict_case(network, exam, "unit", "A", NUMBERS)
    assert (found.native.shape, found.native.dtype) == ((20, 24, 24), np.uint8)
    assert (found.working.shape, found.working.dtype) == ((20, 16, 16), np.uint8)
    straight = predict.probabilities(network, *of_the_networks_size(exam))
    assert np.abs(found.working / 255 - straight).max() <= 0.5 / 255 + 1e-6
    assert np.abs(found.native.mean() - found.working.mean()) < 5, "only resized"


@pytest.fixture(scope="module")
def mirror():
    """A network that answers with the first channel that it is given, and shows which slices those were."""
    inputs = keras.Input((128, 128, 3), name="image")
    return keras.Model(inputs, keras.layers.Lambda(lambda x: x[..., :1], name="first_channel")(inputs), name="mirror")


@pytest.mark.parametrize("shape", [(200, 400), (400, 200), (201, 128)])
def test_a_disc_stays_round_for_the_network_and_comes_back_to_its_place(mirror, shape):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    disc = np.hypot(rows - 0.6 * shape[0], columns - 0.4 * shape[1]) <= 40
    images = np.repeat(disc[None, ..., None] * np.uint8(255), 3, axis=-1)
    prediction = predict.predict_case(mirror, images, "unit", "A", np.array([1]))
    seen = prediction.working[0].astype(float)
    spread = [np.sqrt(np.average((np.arange(128) - centre) ** 2, weights=mass)) for centre, mass in axes_of(seen)]
    assert spread[0] / spread[1] == pytest.approx(1, abs=0.02)
    assert prediction.native.shape == (1, *shape)
    mask = prediction.native[0] > 127
    assert [centre for centre, _ in axes_of(mask)] == pytest.approx([centre for centre, _ in axes_of(disc)], abs=0.1)
    assert 2 * (mask & disc).sum() / (mask.sum() + disc.sum()) > 0.97


def axes_of(plane):
    """The centre of mass along each axis, and the mass of each row or column."""
    masses = plane.sum(axis=1, dtype=float), plane.sum(axis=0, dtype=float)
    return [(np.average(np.arange(len(mass)), weights=mass), mass) for mass in masses]


def test_padding_changes_no_normalisation(mirror):
    """``volume`` takes the mean of the exam: black margins would draw it down."""
    exam = np.random.default_rng(0).integers(60, 200, (3, 128, 64, 3), np.uint8)
    given = []

    class Spy:
        input_shape, output_shape = mirror.input_shape, mirror.output_shape

        def predict_on_batch(self, batch):
            given.append(batch)
            return np.zeros((*batch.shape[:3], 1), np.float32)

    predict.predict_case(Spy(), exam, "volume", "A", np.array([1, 2, 3]))
    expected = intensity.normalise(exam, intensity.scaling(exam, "volume"))
    np.testing.assert_allclose(given[0][:3, :, 32:96], expected, atol=1e-6)


def test_a_classifier_is_given_slices_that_are_not_square_padded():
    inputs = keras.Input((64, 64, 3), name="image")
    mean = keras.layers.GlobalAveragePooling2D(name="mean")(inputs[..., :1])
    images = np.full((2, 32, 64, 3), 255, np.uint8)
    probabilities = predict.classify_case(keras.Model(inputs, mean), images, "unit", "A", np.array([1, 2]))
    np.testing.assert_allclose(probabilities, 0.5, atol=1e-3)


def test_only_the_planes_asked_for_are_predicted_but_all_are_measured(network, exam):
    """The scaling of ``volume`` comes from the whole exam, whichever planes are wanted."""
    whole = predict.predict_case(network, exam, "volume", "A", NUMBERS)
    some = predict.predict_case(network, exam, "volume", "A", np.array([3, 17]))
    assert some.slice_numbers.tolist() == [3, 17]
    np.testing.assert_array_equal(some.native, whole.native[[2, 16]])
    np.testing.assert_array_equal(some.working, whole.working[[2, 16]])


@pytest.mark.parametrize("normalisation", intensity.NORMALISATIONS)
@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels_than_the_network_knows_are_refused(network, normalisation, channels):
    images = np.zeros((2, 16, 16, channels), np.uint8)
    with pytest.raises(DataError, match=f"A: {channels} channels, the network was trained on 3"):
        predict.predict_case(network, images, normalisation, "A", np.array([1, 2]))


@pytest.fixture
def stored(network, exam, tmp_path):
    prediction = predict.predict_case(network, exam, "unit", "TCGA_CS_0001_20000101", NUMBERS)
    prediction.save(tmp_path / "predictions")
    return prediction, tmp_path / "predictions" / "TCGA_CS_0001_20000101.npz"


def test_a_stored_prediction_comes_back_exactly(stored):
    prediction, path = stored
    again = predict.load_prediction(path)
    assert again.case_id == "TCGA_CS_0001_20000101"
    for name in ("slice_numbers", "native", "working"):
        found, expected = getattr(again, name), getattr(prediction, name)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
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


def test_a_network_that_answers_nan_is_refused_not_stored_as_no_tumour(exam):
    broken = saved.build(saved.describe("resunet", size=16))
    broken.set_weights([np.full_like(weight, np.nan) for weight in broken.get_weights()])
    with pytest.raises(DataError, match="A: the network's answer: expected probabilities from 0 to 1"):
        predict.predict_case(broken, exam, "unit", "A", NUMBERS)


def test_a_prediction_is_the_same_whatever_the_user_has_set(exam, users_settings):
    def ask():
        keras.utils.set_random_seed(0)
        return predict.predict_case(saved.build(saved.describe("resunet", size=16)), exam, "unit", "A", NUMBERS, True)

    expected = ask()
    read = users_settings()
    before = read()
    np.testing.assert_array_equal(ask().working, expected.working)
    assert read() == before
