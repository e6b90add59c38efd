"""Options that came for the segmentation recipe, in whole runs: sizes by stage, deep supervision, neighbours, pasted lesions."""

import numpy as np
import pytest

from brain_tumor.errors import ModelError
from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.recipe import Segmentation, SegmentationRecipe
from brain_tumor.inference.predictor import Predictor
from brain_tumor.models import saved
from brain_tumor.training import loop, stages
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.plan import Stage

SMALL = {"cohort": "phantom", "split": "ratio-33", "model": "resunet", "size": 32, "precision": "float32", "batch_size": 8}
FILTERS = (("filters", (2, 4, 4)),)
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


def test_a_stage_at_another_size_takes_as_many_steps(home, phantom_cohort, sizes, monkeypatch):
    recipe = SegmentationRecipe(**SMALL, stages=GROWING, model_arguments=FILTERS)
    run = experiment.train(recipe, phantom_cohort)
    an_epoch = len(sizes) // 3
    assert sizes == [16] * 2 * an_epoch + [32] * an_epoch
    assert run.history.stage.tolist() == ["small", "small", "all"]
    assert saved.load(run.path).input_shape[1:3] == (32, 32)
    weights = saved.load(run.path).get_weights()

    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(home / "stopped"))
    advance = stages.Bar.advance

    def stop(bar, steps=1, note=""):
        advance(bar, steps, note)
        if note.startswith("epoch 2/"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(stages.Bar, "advance", stop)
        experiment.train(recipe, phantom_cohort)
    again = experiment.train(recipe, phantom_cohort)
    for one, other in zip(saved.load(again.path).get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_deep_supervision_adds_is_not_saved(home, phantom_cohort):
    deep = (*FILTERS, ("deep_supervision", 1))
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
def test_each_option_trains_and_is_another_run(home, phantom_cohort, changes):
    options = {**SMALL, "stages": (Stage("all", 1),), "model_arguments": FILTERS}
    plain = experiment.train(SegmentationRecipe(**options), phantom_cohort)
    other = experiment.train(SegmentationRecipe(**options, **changes), phantom_cohort)
    assert other.path != plain.path
    pairs = zip(saved.load(plain.path).get_weights(), saved.load(other.path).get_weights(), strict=True)
    assert any(not np.array_equal(one, another) for one, another in pairs)


def test_lesions_are_not_pasted_where_neighbours_would_contradict_them():
    with pytest.raises(ModelError, match="copy_paste with channels 'neighbours'"):
        Segmentation(model="resunet", channels="neighbours", copy_paste=0.3)


def test_new_options_at_their_defaults_leave_a_recipes_identity():
    from brain_tumor.experiments.recipe import identity

    described = identity(SegmentationRecipe())
    assert not {"weight_average", "balance"} & described.keys()
    assert set(described["augmentation"]) == {"flip", "rotation_degrees", "zoom", "gamma", "sequence_dropout"}
    assert not {"size", "cycles"} & described["stages"][0].keys()
