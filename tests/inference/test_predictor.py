"""One predictor for command line, Python and evaluation: the same bits from a model's folder alone, at an exam's own size."""

import json
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from brain_tumor.data import intensity
from brain_tumor.data.readers import lgg
from brain_tumor.errors import DataError, ModelError
from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.recipe import ClassificationRecipe, SegmentationRecipe
from brain_tumor.inference import intake, predict
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.predictor import Predictor
from brain_tumor.models import backend, saved

pytestmark = pytest.mark.backend

SMALL = {"cohort": "phantom", "split": "ratio-33", "size": 32, "batch_size": 4, "precision": "float32"}
RECIPES = {
    "segmentation": SegmentationRecipe(model="resunet", model_arguments=(("filters", (4,)),), **SMALL),
    "classification": ClassificationRecipe(model="plain", validation=0.5, **SMALL),
}


def exam_of(images, numbers=None, name="A"):
    """An exam of these slices, of which those numbers, from 1, are asked for."""
    every = np.arange(1, len(images) + 1)
    return Exam(name, images, every, np.arange(len(images)) if numbers is None else np.array(numbers) - 1)


def as_logits(fractions):
    """A layer whose probabilities are these fractions again."""
    inside = keras.ops.clip(fractions, 1e-6, 1 - 1e-6)
    return keras.ops.log(inside / (1 - inside))


@pytest.fixture(scope="module")
def mirror():
    """A network that answers with the first channel that it is given, and so shows which slices those were."""
    inputs = keras.Input((128, 128, 3), name="image")
    return keras.Model(inputs, keras.layers.Lambda(lambda x: as_logits(x[..., :1]), name="first_channel")(inputs), name="mirror")


def test_a_case_returns_at_its_own_size(network, images):
    answer = Predictor(network, "unit").predict(exam_of(images))
    assert (answer.native.shape, answer.native.dtype) == ((20, 24, 24), np.uint8)
    assert (answer.working.shape, answer.working.dtype) == ((20, 16, 16), np.uint8)
    assert answer.slice_numbers.tolist() == list(range(1, 21)) and answer.case_id == "A"
    straight = predict.probabilities(
        backend.frozen(network), intensity.resize_images(images, 16), intensity.scaling(images, "unit")
    )
    assert np.abs(answer.working / 255 - straight).max() <= 0.5 / 255 + 1e-6
    assert np.abs(answer.native.mean() - answer.working.mean()) < 5, "only resized"


@pytest.mark.parametrize("shape", [(200, 400), (400, 200), (201, 128)])
def test_a_disc_stays_round_for_the_network_and_comes_back_to_its_place(mirror, shape):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    disc = np.hypot(rows - 0.6 * shape[0], columns - 0.4 * shape[1]) <= 40
    images = np.repeat(disc[None, ..., None] * np.uint8(255), 3, axis=-1)
    prediction = Predictor(mirror, "unit").predict(exam_of(images))
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


@pytest.fixture
def batches(monkeypatch):
    """What a network is given; the one that keeps it here answers 0.5 everywhere."""
    given = []

    def network(batch):
        given.append(batch)
        return np.zeros((*batch.shape[:3], 1), np.float32)

    monkeypatch.setattr(backend, "frozen", lambda model: network)
    return given


def test_padding_changes_no_normalisation(mirror, batches):
    """``volume`` takes the mean of the exam: black margins would draw it down."""
    images = np.random.default_rng(0).integers(60, 200, (3, 128, 64, 3), np.uint8)
    Predictor(mirror, "volume").predict(exam_of(images))
    expected = intensity.normalise(images, intensity.scaling(images, "volume"))
    np.testing.assert_allclose(batches[0][:3, :, 32:96], expected, atol=1e-6)


def test_every_call_has_one_shape_so_that_a_network_is_compiled_once(mirror, batches):
    predictor = Predictor(mirror, "unit", flip_tta=True)
    for slices in (1, 16, 19):
        predictor.predict(exam_of(np.full((slices, 40, 60, 3), 7, np.uint8)))
    assert {batch.shape for batch in batches} == {(predict.BATCH, 128, 128, 3)}


def test_a_measured_scaling_is_used_as_it_is(mirror):
    """Evaluation hands over padded slices with the scaling of the slices before they were padded."""
    images = np.random.default_rng(0).integers(60, 200, (3, 128, 64, 3), np.uint8)
    padded = exam_of(intensity.pad_to_square(images))
    measured = Exam(padded.name, padded.images, padded.slice_numbers, padded.rows, scaling=intensity.scaling(images, "volume"))
    predictor = Predictor(mirror, "volume")
    narrow = predictor.predict(exam_of(images))
    np.testing.assert_array_equal(predictor.predict(measured).working, narrow.working)
    assert not np.array_equal(predictor.predict(padded).working, narrow.working)


def test_a_classifier_is_given_slices_that_are_not_square_padded():
    inputs = keras.Input((64, 64, 3), name="image")
    mean = keras.layers.GlobalAveragePooling2D(name="mean")(inputs[..., :1])
    network = keras.Model(inputs, keras.layers.Lambda(as_logits, name="logit")(mean))
    answer = Predictor(network, "unit").predict(exam_of(np.full((2, 32, 64, 3), 255, np.uint8)))
    np.testing.assert_allclose(answer.probability, 0.5, atol=1e-3)
    assert answer.slice_numbers.tolist() == [1, 2] and answer.case_id == "A"


def test_only_the_slices_asked_for_are_predicted_but_all_are_measured(network, images):
    """The scaling of ``volume`` comes from the whole exam, whichever slices are asked for."""
    predictor = Predictor(network, "volume")
    whole, some = predictor.predict(exam_of(images)), predictor.predict(exam_of(images, [3, 17]))
    assert some.slice_numbers.tolist() == [3, 17]
    np.testing.assert_array_equal(some.native, whole.native[[2, 16]])
    np.testing.assert_array_equal(some.working, whole.working[[2, 16]])


def test_neighbours_come_from_the_whole_exam(network, images):
    predictor = Predictor(network, "unit", "neighbours")
    whole, some = predictor.predict(exam_of(images)), predictor.predict(exam_of(images, [3, 17]))
    np.testing.assert_array_equal(some.working, whole.working[[2, 16]])
    alone = predictor.predict(exam_of(images[2:3]))
    assert not np.array_equal(alone.working[0], whole.working[2])


@pytest.mark.parametrize("normalisation", intensity.NORMALISATIONS)
@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels_than_the_network_knows_are_refused(network, normalisation, channels):
    with pytest.raises(DataError, match=f"A: {channels} channels?, the network was trained on 3"):
        Predictor(network, normalisation).predict(exam_of(np.zeros((2, 16, 16, channels), np.uint8)))


def test_masks_of_a_cross_validation_are_there_for_no_other_exam(network, images):
    with pytest.raises(DataError, match="sequences\\+mask need out-of-fold masks"):
        Predictor(network, "unit", "sequences+mask").predict(exam_of(images))


def test_a_network_that_answers_nan_is_refused_not_stored_as_no_tumour(images):
    broken = saved.build(saved.describe("resunet", size=16, filters=(4, 8)))
    broken.set_weights([np.full_like(weight, np.nan) for weight in broken.get_weights()])
    with pytest.raises(DataError, match="A: the network's answer: expected probabilities from 0 to 1"):
        Predictor(broken, "unit").predict(exam_of(images))


def test_a_prediction_is_the_same_whatever_the_user_has_set(images, users_settings):
    def ask():
        keras.utils.set_random_seed(0)
        network = saved.build(saved.describe("resunet", size=16, filters=(4, 8)))
        return Predictor(network, "unit", flip_tta=True).predict(exam_of(images))

    expected = ask()
    read = users_settings()
    before = read()
    np.testing.assert_array_equal(ask().working, expected.working)
    assert read() == before


@pytest.mark.parametrize(
    ("normalisation", "channels", "by_exam"),
    [("unit", "sequences", False), ("volume", "sequences", True), ("raw", "neighbours", True), ("imagenet", "flair", False)],
)
def test_it_says_whether_an_answer_depends_on_the_exam(network, normalisation, channels, by_exam):
    assert Predictor(network, normalisation, channels).by_exam == by_exam


@pytest.fixture(scope="module")
def place(tmp_path_factory, phantom_cohort):
    """A scored run of each task in one home; the networks are left as they were drawn."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAIN_TUMOR_HOME", str(home))
        patch.setattr(experiment, "train_stages", lambda *_arguments, **_options: [])
        runs = {name: experiment.train(recipe, phantom_cohort) for name, recipe in RECIPES.items()}
        for run in runs.values():
            experiment.evaluate(run, phantom_cohort)
    return SimpleNamespace(home=home, runs=runs, cohort=phantom_cohort)


@pytest.fixture
def runs(place, monkeypatch):
    """The runs, seen from their own home."""
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(place.home))
    return place.runs


@pytest.fixture(scope="module")
def tested(place):
    """A case of the test part."""
    path = sorted((place.runs["segmentation"].path / "predictions").glob("*.npz"))[0]
    return place.cohort[path.stem]


def test_an_outline_has_the_same_bits_through_every_door(runs, tested, command, tmp_path):
    run = runs["segmentation"]
    stored = predict.load_prediction(run.path / "predictions" / f"{tested.case_id}.npz")
    predictor = Predictor.load(run.path)
    folder = tested.sources[0].parent
    images, _ = tested.load()
    for source in (tested, folder, str(folder), images):
        answer = predictor.predict(intake.exam(source, predictor.by_exam))
        np.testing.assert_array_equal(answer.native, stored.native)
        np.testing.assert_array_equal(answer.working, stored.working)
        assert answer.slice_numbers.tolist() == stored.slice_numbers.tolist() == list(tested.slice_numbers)

    reply = command("predict", run.path.name, folder, "--out", tmp_path / "overlay.png", "--mask", tmp_path / "masks")
    assert reply.code == 0, reply.err
    expected = stored.native > 0.5 * 255
    assert expected.any() and not expected.all(), "or nothing would be compared"
    assert len(list((tmp_path / "masks").iterdir())) == len(expected)
    for number, mask in zip(stored.slice_numbers, expected, strict=True):
        written = np.asarray(Image.open(tmp_path / "masks" / f"{tested.case_id}_{number}_mask.tif"))
        np.testing.assert_array_equal(written, mask * np.uint8(255))


def test_a_picture_has_the_bits_that_it_has_in_its_exam(runs, tested, command, tmp_path):
    run = runs["segmentation"]
    stored = predict.load_prediction(run.path / "predictions" / f"{tested.case_id}.npz")
    predictor = Predictor.load(run.path)
    number = tested.slice_numbers[2]
    picture = tested.sources[0].parent / f"{tested.case_id}_{number}.tif"
    answer = predictor.predict(intake.exam(picture, predictor.by_exam))
    assert answer.slice_numbers.tolist() == [number]
    np.testing.assert_array_equal(answer.native[0], stored.native[2])
    reply = command("predict", run.path.name, picture, "--out", tmp_path / "overlay.png", "--mask", tmp_path / "mask.png")
    assert reply.code == 0, reply.err
    written = np.asarray(Image.open(tmp_path / "mask.png"))
    np.testing.assert_array_equal(written, (stored.native[2] > 0.5 * 255) * np.uint8(255))


def test_a_classifier_answers_the_same_through_every_door(runs, tested, command):
    run = runs["classification"]
    table = pd.read_csv(run.path / "slices.csv")
    stored = table[table.case_id == tested.case_id]
    predictor = Predictor.load(run.path)
    assert predictor.threshold == run.description["threshold"], "the one that was chosen on validation"
    folder = tested.sources[0].parent
    whole = predictor.predict(intake.exam(tested, predictor.by_exam))
    np.testing.assert_array_equal(predictor.predict(intake.exam(folder, predictor.by_exam)).probability, whole.probability)
    assert whole.slice_numbers.tolist() == stored.slice.tolist()
    np.testing.assert_allclose(whole.probability, stored.probability, rtol=0, atol=0.51e-6, err_msg="six decimals are stored")
    reply = command("predict", run.path.name, folder)
    assert reply.code == 0, reply.err
    lines = [line.split() for line in reply.out.splitlines() if line.startswith("slice ")]
    assert [words[2] for words in lines] == [f"{probability:.3f}" for probability in whole.probability]
    assert [words[3:] == ["tumour"] for words in lines] == (whole.probability > predictor.threshold).tolist()


def test_the_command_says_what_was_assumed_of_a_lone_grey_slice(runs, command, tmp_path):
    grey = tmp_path / "grey.png"
    Image.fromarray(np.tile(np.arange(80, dtype=np.uint8), (80, 1))).save(grey)
    reply = command("predict", runs["classification"].path.name, grey).out
    assert f"{grey}: {intake.grey_note(lgg.SEQUENCES)}" in reply and f"{grey}: {intake.ALONE}" in reply


@pytest.mark.parametrize("task", RECIPES)
def test_the_models_folder_alone_predicts(runs, tested, home, tmp_path, task):
    """Two files, in another place, in a home without runs and data."""
    folder = tmp_path / "given away"
    folder.mkdir()
    for name in (saved.DESCRIPTION, saved.WEIGHTS):
        shutil.copy(runs[task].path / name, folder)
    predictor, original = Predictor.load(folder), Predictor.load(runs[task].path)
    settings = ("normalisation", "channels", "flip_tta", "threshold", "cohort")
    assert [getattr(predictor, name) for name in settings] == [getattr(original, name) for name in settings]
    exam = intake.exam(tested)
    answer, expected = predictor.predict(exam), original.predict(exam)
    for name in ("native", "working") if predictor.outlines else ("probability",):
        np.testing.assert_array_equal(getattr(answer, name), getattr(expected, name))
    assert predictor.outlines == (task == "segmentation")


@pytest.fixture
def folder(runs, tmp_path):
    """A copy of a model's folder, to be damaged."""
    for name in (saved.DESCRIPTION, saved.WEIGHTS):
        shutil.copy(runs["segmentation"].path / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize("change", [{"predictor": None}, {"predictor": {"zoom": 2}}, {"predictor": "unit"}, {}])
def test_a_model_that_does_not_say_how_inputs_are_prepared_is_refused(folder, change):
    description = json.loads((folder / saved.DESCRIPTION).read_text())
    del description["predictor"]
    (folder / saved.DESCRIPTION).write_text(json.dumps(description | change))
    with pytest.raises(ModelError, match="model.json: does not say how inputs are prepared") as refusal:
        Predictor.load(folder)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", [saved.DESCRIPTION, saved.WEIGHTS])
def test_a_folder_that_lacks_a_file_is_refused(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"{name}: no such file"):
        Predictor.load(folder)
