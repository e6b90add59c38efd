"""Training: it learns, it is a function of its seed, and an interrupted run ends with the very bits of one that was not."""

import keras
import numpy as np
import pytest

from brain_tumor.errors import RunError
from brain_tumor.training import loop, losses
from brain_tumor.training.plan import Stage
from brain_tumor.training.runs import RunFolder

pytestmark = pytest.mark.backend

BY_DEPTH = {name: (Stage("by depth", 2, 1e-2, optimiser=name, layer_decay=0.1),) for name in ("sgd", "adamw")}
TWO_STAGES = (Stage("decoder first", 2, 1e-2, part="decoder"), Stage("all", 2, 1e-3))


def without_seconds(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def assert_same_weights(one, other):
    for weight, twin in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, twin)


def differ(one, other):
    return any(not np.array_equal(weight, twin) for weight, twin in zip(one.get_weights(), other.get_weights(), strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("straight")


@pytest.fixture(scope="module")
def straight(train_small, folder):
    """Four epochs in two stages, in one go."""
    return train_small(folder, TWO_STAGES)


@pytest.fixture(scope="module")
def once(train_small, tmp_path_factory):
    """Two epochs in one stage, with seed 0."""
    return train_small(tmp_path_factory.mktemp("once"))[0]


def test_the_history_has_a_row_an_epoch(straight):
    _, history = straight
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert [row["stage"] for row in history] == ["decoder first", "decoder first", "all", "all"]
    assert list(history[0]) == ["epoch", "stage", "loss", "dice", "learning_rate", "seconds"]
    rates = [row["learning_rate"] for row in history]
    assert rates[0] > 2e-3 > 1e-2 / 25 > rates[1], "each stage runs its own 1cycle to the end"
    assert rates[2] > 2e-4 > 1e-3 / 25 > rates[3]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow traces anew what makes variables")
def test_a_step_is_traced_once(untrained):
    """A trace calls the metric; one that made the metric's variables would be followed by another."""
    traced = []

    def brightness(truth, logit):
        traced.append("brightness")
        return keras.ops.mean(logit, axis=(1, 2, 3))

    loop.prepare(untrained, untrained, Stage("all", 1, 1e-3).make_optimiser(2), losses.make("bce-dice"), [brightness])
    images, masks = np.zeros((2, 16, 16, 3), np.float32), np.zeros((2, 16, 16, 1), np.float32)
    logs = untrained.train_on_batch(images, masks, return_dict=True)
    assert set(logs) == {"loss", "brightness"}
    assert traced == ["brightness"]


def test_it_learns(train_small, tmp_path):
    _, history = train_small(tmp_path, (Stage("all", 6, 3e-2),))
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    assert history[-1]["dice"] > history[0]["dice"]


@pytest.mark.parametrize("epoch", [2, 3, 4])
def test_an_interrupted_run_resumes_to_the_same_bits(straight, train_small, tmp_path, interrupted, epoch):
    """Within a stage, at the turn of a stage, and within the second one."""
    with interrupted(epoch):
        train_small(tmp_path, TWO_STAGES)
    run = RunFolder(tmp_path)
    assert run.read_checkpoint()[0] == epoch - 1
    assert len(run.history) == epoch - 1
    trained_anew = []
    model, history = train_small(tmp_path, TWO_STAGES, on_epoch=trained_anew.append)
    assert trained_anew == [0, *range(epoch - 1, 4)], "the first call only asks how long an epoch is"
    assert_same_weights(model, straight[0])
    assert without_seconds(history) == without_seconds(straight[1])
    assert run.history.to_dict("records") == history


@pytest.fixture(scope="module", params=BY_DEPTH.values(), ids=BY_DEPTH)
def by_depth(request, train_small, tmp_path_factory):
    """Two epochs with rates by depth, in one go; and their stages."""
    return *train_small(tmp_path_factory.mktemp("by_depth"), request.param), request.param


def test_rates_by_depth_act_in_a_whole_run(by_depth, untrained):
    """At a hundred-thousandth of the rate the first convolution all but stands still."""
    first, last = (
        np.abs(by_depth[0].get_layer(name).get_weights()[0] - untrained.get_layer(name).get_weights()[0]).max()
        for name in ("encoder1_conv", "final_conv")
    )
    assert 0 < first < 1e-3 * last


def test_an_interrupted_run_with_rates_by_depth_resumes_to_the_same_bits(by_depth, train_small, tmp_path, interrupted):
    with interrupted(2):
        train_small(tmp_path, by_depth[2])
    model, history = train_small(tmp_path, by_depth[2])
    assert_same_weights(model, by_depth[0])
    assert without_seconds(history) == without_seconds(by_depth[1])


def test_a_run_killed_after_its_last_epoch_has_nothing_left_to_train(straight, train_small, folder):
    trained_anew = []
    # The seed of this second call only makes fresh weights, which the checkpoint replaces.
    model, history = train_small(folder, TWO_STAGES, seed=9, on_epoch=trained_anew.append)
    assert trained_anew == [0]
    assert_same_weights(model, straight[0])
    assert history == straight[1]


def test_the_same_seed_gives_the_same_weights_in_bfloat16(train_resunet, tmp_path):
    """In float32 a run that was interrupted and one that was not show it."""
    models = []
    for name in ("one", "two"):
        keras.utils.clear_session()
        models.append(train_resunet(tmp_path / name, number_format="mixed_bfloat16")[0])
    assert_same_weights(*models)


def test_another_seed_or_number_format_gives_other_weights(once, train_small, tmp_path):
    assert differ(once, train_small(tmp_path / "seed", seed=1)[0])
    assert differ(once, train_small(tmp_path / "format", number_format="mixed_bfloat16")[0])


def test_a_stage_trains_its_part_only(untrained, train_small, tmp_path):
    trained, _ = train_small(tmp_path, TWO_STAGES[:1])
    for layer, before in zip(trained.layers, untrained.layers, strict=True):
        for weight, start in zip(layer.get_weights(), before.get_weights(), strict=True):
            assert np.array_equal(weight, start) == layer.name.startswith("encoder"), layer.name


def test_a_tune_part_is_scored_and_changes_nothing(once, train_small, tmp_path, slices):
    watched, history = train_small(tmp_path, validation=slices)
    assert {"validation_loss", "validation_dice"} <= set(history[0])
    assert_same_weights(watched, once)


def test_a_loss_that_is_no_number_ends_the_run_with_a_reason(train_small, tmp_path):
    with pytest.raises(RunError, match=r"the loss became nan in epoch 1; a lower max_lr than 1e\+38 may help"):
        train_small(tmp_path, (Stage("all", 2, max_lr=1e38),))
    assert RunFolder(tmp_path).read_checkpoint() == (0, []), "a state that is lost is not kept"
