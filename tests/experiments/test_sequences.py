"""Cohorts of one, two and four sequences are cached, trained on, scored and predicted, with no word of LGG's three."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from brain_tumor import face
from brain_tumor.data import profile
from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Case, Cohort
from brain_tumor.data.readers import lgg
from brain_tumor.errors import DataError, ModelError
from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.inputs import network_inputs
from brain_tumor.experiments.recipe import ClassificationRecipe, SegmentationRecipe
from brain_tumor.inference import intake
from brain_tumor.inference.predictor import Predictor
from brain_tumor.models import saved, weights
from brain_tumor.report import figures
from brain_tumor.report.pages import run_content
from brain_tumor.training.plan import Stage

SEQUENCES = {1: ("grey",), 2: ("t2", "flair"), 4: ("t1", "t1ce", "t2", "flair")}
REFERENCES = {1: 0, 2: 1, 4: 3}
WORDS = {1: "one sequence", 2: "two sequences", 4: "four sequences"}
SMALL = {
    "cohort": "phantom", "split": "ratio-50", "size": 16, "batch_size": 4, "precision": "float32", "stages": (Stage("all", 1),),
}  # fmt: skip
SEGMENTATION = SegmentationRecipe(model="resunet", model_arguments=(("filters", (4,)),), **SMALL)
CLASSIFICATION = ClassificationRecipe(model="plain", **SMALL)


def read(case):
    """Slices of noise, of other brightness in every sequence, with a bright square that is the tumour."""
    stored = np.load(case.sources[0])
    return stored["images"], stored["masks"]


def write_cohort(root, number, sequences=None):
    """Five patients of one site, of four slices of 24 x 20 pixels each."""
    root.mkdir()
    cases = []
    for patient in range(5):
        generator = np.random.default_rng(patient)
        images = generator.integers(0, 60, (4, 24, 20, number), np.uint8) + 40 * np.arange(number, dtype=np.uint8)
        masks = np.zeros((4, 24, 20), np.uint8)
        masks[1:3, 8:14, 6:12] = 1
        images[masks == 1] += 70
        np.savez(root / f"{patient}.npz", images=images, masks=masks)
        cases.append(Case(f"P{patient}", f"P{patient}", "A", (1, 2, 3, 4), (root / f"{patient}.npz",), {}, read))
    return Cohort(f"own{number}", root, sequences or SEQUENCES[number], tuple(cases), phantom=True)


def one_batch(model, _stages, epoch_batches, loss, *_rest, **_options):
    """In place of a training, which one of the cohorts has: what it would begin with fits network and loss."""
    images, targets = epoch_batches(0)[0]
    assert np.isfinite(float(loss(targets, model(images))))


@pytest.fixture(scope="module", params=[1, 2, 4])
def place(request, tmp_path_factory):
    """A scored run of each task on such a cohort, in a home of its own; those of four sequences are trained."""
    number, home = request.param, tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAIN_TUMOR_HOME", str(home))
        if number < 4:
            patch.setattr(experiment, "train_stages", one_batch)
        cohort = write_cohort(home / "own", number)
        runs = [experiment.train(recipe, cohort) for recipe in (SEGMENTATION, CLASSIFICATION)]
        scores = [experiment.evaluate(run, cohort) for run in runs]
        predictors = [Predictor.load(run.path) for run in runs]
        yield SimpleNamespace(number=number, cohort=cohort, runs=runs, scores=scores, predictors=predictors)


def test_a_network_takes_as_many_channels_as_the_cohort_has(place):
    assert open_store(place.cohort, 16).images.shape == (20, 16, 16, place.number)
    for run, scores, predictor in zip(place.runs, place.scores, place.predictors, strict=True):
        assert len(scores) and run.status == "finished"
        assert predictor.model.input_shape == (None, 16, 16, place.number)
        assert (tuple(predictor.sequences), predictor.reference) == (SEQUENCES[place.number], REFERENCES[place.number])
        assert run_content.shown(run.description) == WORDS[place.number]


def test_a_case_is_predicted_as_it_was_scored_and_drawn_in_its_reference(place):
    run = face.Run(place.runs[0], place.cohort)
    run.predictor = place.predictors[0]
    case = next(case for case in place.cohort if (run.path / "predictions" / f"{case.case_id}.npz").is_file())
    prediction = run.predict(case)
    stored = run.prediction(case.case_id)
    np.testing.assert_array_equal(prediction.answer.working, stored.working)
    assert prediction.answer.native.shape == (4, 24, 20)
    assert prediction.show().pixels == "phantom"
    store = open_store(place.cohort)
    drawing = figures.show_gallery(store, [1])
    np.testing.assert_array_equal(drawing.axes[0].images[0].get_array(), store.images[1, ..., REFERENCES[place.number]])
    assert ("FLAIR" if place.number > 1 else "grey") in drawing.alt


def test_a_lone_slice_fits_the_network_or_is_refused_by_name(place, tmp_path):
    """A grey picture goes into every network, one of colours only where there are three sequences."""
    grey, colours = tmp_path / "grey.png", tmp_path / "colours.png"
    pixels = np.random.default_rng(0).integers(0, 255, (20, 24, 3), np.uint8)
    Image.fromarray(pixels[..., 0]).save(grey)
    Image.fromarray(pixels).save(colours)
    for predictor in place.predictors:
        exam = intake.exam(grey, sequences=predictor.sequences)
        np.testing.assert_array_equal(exam.images, np.repeat(pixels[None, ..., :1], place.number, axis=-1))
        assert len(exam.notes) == (place.number > 1)
        assert len(predictor.predict(exam).slice_numbers) == 1
        names = ", ".join(predictor.sequences)
        with pytest.raises(DataError, match=f"^colours: 3 channels, the network was trained on {place.number} \\({names}\\)$"):
            predictor.predict(intake.exam(colours, sequences=predictor.sequences))


def test_one_sequence_three_times_is_what_pretrained_encoders_take(place):
    """``flair`` is of three channels whatever the cohort; the reference's, as its scaling is."""
    recipe = ClassificationRecipe(model="resnet18", channels="flair", **SMALL | {"size": 32})
    assert "channels" not in recipe.network_arguments(place.number)
    inputs, scalings = network_inputs(recipe, open_store(place.cohort))
    images = open_store(place.cohort, 32).images
    assert (inputs.sequences, inputs.stand_in, scalings.shape) == (3, 1, (20, 4, 3))
    np.testing.assert_array_equal(inputs[np.arange(20)], np.repeat(images[..., [REFERENCES[place.number]]], 3, axis=-1))


def test_the_facts_of_a_cohort_name_its_own_sequences(place):
    facts = profile.profile(open_store(place.cohort))
    reference = SEQUENCES[place.number][REFERENCES[place.number]]
    others = [name for name in SEQUENCES[place.number] if name != reference]
    assert facts["missing_sequences"] == {name: [] for name in (*others, f"all_but_{reference}")}
    if others:  # of a single sequence nothing else can be missing
        words = "FLAIR" if reference == "flair" else reference
        assert dict(profile.table(facts))[f"all but {words} missing"] == "none"


def test_a_run_of_before_sequences_were_said_has_those_of_lgg(place, tmp_path, monkeypatch):
    written = {"normalisation": "unit", "channels": "flair", "flip_tta": True, "threshold": 0.5, "cohort": "lgg"}
    monkeypatch.setattr(saved, "load_described", lambda *_: (None, {"predictor": written}))
    predictor = Predictor.load(tmp_path)
    assert (predictor.sequences, predictor.reference) == (("pre", "flair", "post"), lgg.FLAIR)
    assert run_content.shown({"recipe": {"channels": "flair", "weights": "none"}}) == "FLAIR alone"


def test_a_reader_that_gives_other_channels_than_the_cohort_says_is_refused(home, tmp_path):
    cohort = write_cohort(tmp_path / "own", 2, lgg.SEQUENCES)
    with pytest.raises(DataError, match="0.npz: 2 channels, the cohort own2 has 3 \\(pre, flair, post\\)"):
        open_store(cohort)


@pytest.mark.parametrize("number", [1, 2])
def test_weights_of_three_channels_are_refused_where_there_are_fewer(tmp_path, number):
    values = {"conv0": {"kernel": np.zeros((7, 7, 3, 64), np.float32)}}
    with pytest.raises(ModelError, match=f"weights of 3 input channels, expected {number} or fewer: ask for --channels flair"):
        weights._widen(values, number, tmp_path / "mri4.weights.h5")
