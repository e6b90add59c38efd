"""Options that came for the segmentation recipe, in whole runs: sizes by stage, deep supervision, neighbours, pasted lesions."""

import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import special

from brain_tumor.data import intensity
from brain_tumor.errors import ModelError
from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.recipe import Segmentation, SegmentationRecipe
from brain_tumor.inference import predict
from brain_tumor.inference.predictor import Predictor
from brain_tumor.models import saved
from brain_tumor.training import loop
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.plan import Stage

SMALL = {"cohort": "phantom", "split": "ratio-33", "model": "resunet", "size": 32, "precision": "float32", "batch_size": 8}
FILTERS = (("filters", (4,)),)
PLAIN = {**SMALL, "stages": (Stage("all", 1),), "model_arguments": FILTERS}
GROWING = (Stage("small", 2, 1e-2, size=16), Stage("all", 1, 1e-3))


@pytest.fixture
def sizes(monkeypatch):
    """The size of the slices of every step."""
    steps, seen = loop.steps, []

    def watched(model, batches, callbacks, averages=None):
        for index, logs in enumerate(steps(model, batches, callbacks, averages)):
            seen.append(batches[index][0].shape[1])
            yield logs

    monkeypatch.setattr(loop, "steps", watched)
    return seen


def test_a_stage_at_another_size_takes_as_many_steps(home, phantom_cohort, sizes, monkeypatch, interrupted):
    recipe = SegmentationRecipe(**SMALL, stages=GROWING, model_arguments=FILTERS)
    run = experiment.train(recipe, phantom_cohort)
    an_epoch = len(sizes) // 3
    assert sizes == [16] * 2 * an_epoch + [32] * an_epoch
    assert run.history.stage.tolist() == ["small", "small", "all"]
    assert saved.load(run.path).input_shape[1:3] == (32, 32)
    weights = saved.load(run.path).get_weights()

    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(home / "stopped"))
    with interrupted(2):
        experiment.train(recipe, phantom_cohort)
    again = experiment.train(recipe, phantom_cohort)
    for one, other in zip(saved.load(again.path).get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_deep_supervision_adds_is_not_saved(home, phantom_cohort):
    deep = (("filters", (2, 4, 4)), ("deep_supervision", 1))
    run = experiment.train(SegmentationRecipe(**SMALL, stages=(Stage("all", 1),), model_arguments=deep), phantom_cohort)
    assert saved.load(run.path).output_shape == (None, 32, 32, 1)
    assert "deep_supervision" not in saved.read(run.path)["arguments"]
    assert set(experiment.evaluate(run, phantom_cohort).columns) >= {"protocol", "dice", "floor"}


def test_all_neighbours_train_and_are_predicted_as_in_training(home, phantom_cohort):
    recipe = SegmentationRecipe(**SMALL, stages=(Stage("all", 1),), channels="sequences+neighbours", model_arguments=FILTERS)
    run = experiment.train(recipe, phantom_cohort)
    predictor = Predictor.load(run.path)
    assert predictor.model.input_shape == (None, 32, 32, 9) and predictor.by_exam
    case = phantom_cohort.cases[0]
    prediction = predictor.predict(predictor.exam(case))
    assert prediction.native.shape == (len(prediction.slice_numbers), 64, 64)


@pytest.fixture(scope="module")
def plain(phantom_cohort, tmp_path_factory):
    """A run without any of the options."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAIN_TUMOR_HOME", str(tmp_path_factory.mktemp("plain")))
        yield experiment.train(SegmentationRecipe(**PLAIN), phantom_cohort)


@pytest.mark.parametrize(
    "changes",
    [
        {"augmentation": Augmentation(copy_paste=0.5, warp=0.1, elastic=0.02, brightness=0.2, contrast=0.2, bias_field=0.3)},
        {"balance": "sampling"},
        {"weight_average": 0.9},
        {"loss": "edge-dice"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_each_option_trains_and_is_another_run(plain, phantom_cohort, changes):
    other = experiment.train(SegmentationRecipe(**PLAIN, **changes), phantom_cohort)
    assert other.path != plain.path
    pairs = zip(saved.load(plain.path).get_weights(), saved.load(other.path).get_weights(), strict=True)
    assert any(not np.array_equal(one, another) for one, another in pairs)


def test_members_answer_together(home, phantom_cohort):
    run = experiment.train(SegmentationRecipe(**PLAIN, members=2), phantom_cohort)
    alone = [experiment.train(SegmentationRecipe(**PLAIN, seed=seed), phantom_cohort) for seed in (0, 1)]
    assert run.description["members"] == [member.path.name for member in alone]
    assert run.description["training_seconds"] == pytest.approx(sum(m.description["training_seconds"] for m in alone), abs=0.2)
    assert run.history.loss.iloc[0] == pytest.approx(np.mean([member.history.loss.iloc[0] for member in alone]))
    exam = Predictor.load(run.path).exam(phantom_cohort.cases[0])
    together, *apart = (Predictor.load(folder.path).predict(exam).working.astype(float) for folder in (run, *alone))
    assert np.abs(together - np.mean(apart, axis=0)).max() <= 1, "to a level of 255"
    assert not np.array_equal(*apart)
    assert len(experiment.evaluate(run, phantom_cohort))
    with pytest.raises(ModelError, match="holds 2 networks that answer together, not one"):
        saved.load(run.path)
    shutil.copytree(alone[1].path, run.path / "member-1", dirs_exist_ok=True)
    with pytest.raises(ModelError, match="holds other members than were saved"):
        Predictor.load(run.path)


def test_a_turned_slice_is_answered_where_it_lay(home, phantom_cohort):
    """A network that gives back its first channel: turned there and back, a smooth picture stays where it is."""
    y, x = np.mgrid[:64, :64]
    blob = np.exp(-((x - 40) ** 2 + (y - 20) ** 2) / 60)
    images = (blob * 200 + 20)[None, ..., None].repeat(3, axis=-1).round().astype(np.uint8)
    scaling = intensity.scaling(images, "unit")

    def network(batch):
        return special.logit(np.clip(batch[..., :1], 1e-4, 1 - 1e-4))

    plain = predict.probabilities(network, images, scaling)
    turned = predict.probabilities(network, images, scaling, flip_tta=True, rotation_tta=10)
    inner = (slice(None), slice(8, 56), slice(8, 56))
    assert np.abs(turned[inner] - plain[inner]).max() < 0.03
    assert not np.array_equal(turned, plain)
    symmetric = np.maximum(images, images[:, :, ::-1])
    one, both = (predict.probabilities(network, symmetric, scaling, flip_tta=flip) for flip in (False, True))
    np.testing.assert_allclose(one, both, atol=1e-6)


def test_lesions_are_not_pasted_where_neighbours_would_contradict_them():
    with pytest.raises(ModelError, match="copy_paste with channels 'neighbours'"):
        Segmentation(model="resunet", channels="neighbours", copy_paste=0.3)


def test_new_options_at_their_defaults_leave_a_recipes_identity():
    from brain_tumor.experiments.recipe import identity

    described = identity(SegmentationRecipe())
    assert not {"weight_average", "balance"} & described.keys()
    assert set(described["augmentation"]) == {"flip", "rotation_degrees", "zoom", "gamma", "sequence_dropout"}
    assert not {"size", "cycles"} & described["stages"][0].keys()


def test_a_network_with_a_slice_head_tells_slices_by_it(home, phantom_cohort):
    both = (*FILTERS, ("slice_head", True))
    recipe = SegmentationRecipe(**SMALL, stages=(Stage("all", 1),), model_arguments=both, flip_tta=True)
    run = experiment.train(recipe, phantom_cohort)
    experiment.evaluate(run, phantom_cohort)
    counts = pd.read_csv(run.path / "counts.csv")
    predictor = Predictor.load(run.path)
    case_id = counts.case_id.iloc[0]
    prediction = predictor.predict(predictor.exam(phantom_cohort[case_id]))
    assert prediction.of_slices is not None and prediction.of_slices.shape == prediction.slice_numbers.shape
    stored = predict.load_prediction(run.path / "predictions" / f"{case_id}.npz")
    np.testing.assert_array_equal(stored.of_slices, prediction.of_slices)
    table = counts[(counts.case_id == case_id) & (counts["size"] == counts["size"].max())].set_index("slice").slice_probability
    np.testing.assert_allclose(table.loc[prediction.slice_numbers], prediction.of_slices, atol=1e-6)
    assert not np.allclose(prediction.of_slices, prediction.native.max(axis=(1, 2)) / 255)
