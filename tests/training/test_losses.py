"""Losses by worked numbers, and their gradients where a batch holds no tumour."""

import math

import keras
import numpy as np
import pytest
from scipy import special

from brain_tumor.errors import DataError, ModelError
from brain_tumor.training import losses
from brain_tumor.training.losses import (
    LOSSES,
    accuracy,
    bce,
    bce_dice,
    cce,
    deeply,
    dice_area,
    dice_hits,
    edge_dice,
    focal_dice,
    focal_tversky,
)  # fmt: skip

pytestmark = pytest.mark.backend

HALF = np.repeat([1.0, 0.0], 8).reshape(1, 4, 4, 1).astype(np.float32)  # 8 of 16 pixels are tumour
EMPTY = np.zeros_like(HALF)
FULL = np.ones_like(HALF)
OF_MASKS = {name: loss for name, loss in LOSSES.items() if name != "cce"}


SURE = 40.0  # a logit whose probability is 0 or 1 in float32


def of_logits(loss, truth, logits):
    return float(loss(keras.ops.convert_to_tensor(truth), keras.ops.convert_to_tensor(np.asarray(logits, np.float32))))


def value(loss, truth, probability):
    """The loss where the network's probability is ``probability``, of two classes or, along the last axis, of several."""
    probability = np.asarray(probability, np.float64)
    with np.errstate(divide="ignore"):
        logits = special.logit(probability) if probability.shape[-1] == 1 else np.log(probability)
    return of_logits(loss, truth, np.clip(logits, -SURE, SURE))


@pytest.mark.parametrize(
    ("truth", "probability", "expected"),
    [
        (HALF, HALF, 0.0),  # perfect
        (EMPTY, EMPTY, 0.0),  # perfectly empty: no convention needed
        (HALF, FULL / 2, math.log(2) + 1 - (2 * 4 + 1) / (8 + 8 + 1)),
        (EMPTY, FULL / 2, math.log(2) + 1 - 1 / (8 + 1)),
        (FULL, EMPTY, SURE + 1 - 1 / (16 + 1)),  # all wrong: the cross-entropy is the logit
    ],
)
def test_bce_dice_worked(truth, probability, expected):
    assert value(bce_dice, truth, probability) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("truth", "probability", "expected"),
    [
        (HALF, HALF, 0.0),
        (EMPTY, EMPTY, 0.0),
        (HALF, FULL / 2, (1 - (4 + 1) / (4 + 0.7 * 4 + 0.3 * 4 + 1)) ** 0.75),
        (HALF, EMPTY, (1 - 1 / (0.7 * 8 + 1)) ** 0.75),  # all missed
        (EMPTY, HALF, (1 - 1 / (0.3 * 8 + 1)) ** 0.75),  # all invented
    ],
)
def test_focal_tversky_worked(truth, probability, expected):
    assert value(focal_tversky, truth, probability) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("truth", "probability", "expected"),
    [
        (HALF, HALF, 0.0),
        (HALF, FULL / 2, math.log(2) / 4 + 1 - (2 * 4 + 1) / (8 + 8 + 1)),  # a pixel missed by a half counts a quarter
        (HALF, np.where(HALF > 0, 0.9, 0.1), 0.01 * -math.log(0.9) + 1 - (2 * 7.2 + 1) / (8 + 8 + 1)),
    ],
)
def test_focal_dice_worked(truth, probability, expected):
    assert value(focal_dice, truth, probability) == pytest.approx(expected, abs=1e-5)


def test_edge_dice_weighs_pixels_near_an_edge():
    """At 4 x 4 the window is 3 x 3: an even slice has no edge, and of halves the middle rows lie at one."""
    for truth in (EMPTY, FULL):
        assert value(edge_dice, truth, FULL / 2) == pytest.approx(value(bce_dice, truth, FULL / 2), abs=1e-5)
    middle, rim = HALF.copy(), HALF.copy()
    middle[0, 1], rim[0, 0] = 0.5, 0.5
    assert value(edge_dice, HALF, middle) > value(edge_dice, HALF, rim) + 0.02
    assert value(bce_dice, HALF, middle) == pytest.approx(value(bce_dice, HALF, rim), abs=1e-5)


def test_deep_supervision_is_the_weighted_mean_of_its_levels():
    each = [np.log(3) * (2 * HALF - 1), 0 * HALF, -np.log(3) * (2 * HALF - 1)]
    expected = sum(weight * of_logits(bce_dice, HALF, logits) for weight, logits in zip((4, 2, 1), each, strict=True)) / 7
    assert of_logits(deeply(bce_dice), HALF, np.concatenate(each, axis=-1)) == pytest.approx(expected, rel=1e-5)
    assert of_logits(deeply(bce_dice), HALF, each[0]) == pytest.approx(of_logits(bce_dice, HALF, each[0]), rel=1e-6)
    for measure in (dice_hits, dice_area):
        both = measure(HALF, keras.ops.convert_to_tensor(np.concatenate(each, axis=-1).astype(np.float32)))
        alone = measure(HALF, keras.ops.convert_to_tensor(each[0].astype(np.float32)))
        np.testing.assert_array_equal(np.asarray(both), np.asarray(alone))


def test_focal_tversky_punishes_misses_more_than_inventions():
    quarter = HALF * (np.arange(16).reshape(HALF.shape) < 4)
    assert value(focal_tversky, HALF, quarter) > value(focal_tversky, quarter, HALF)


@pytest.mark.parametrize("loss", OF_MASKS.values(), ids=OF_MASKS)
def test_a_false_alarm_on_an_empty_slice_costs(loss):
    """Pooled over the batch, so a slice without tumour is not free, as it is where Dice is averaged over slices."""
    batch = np.concatenate([HALF, EMPTY])
    assert value(loss, batch, np.concatenate([HALF, HALF])) > value(loss, batch, batch) + 0.1


@pytest.mark.parametrize("loss", OF_MASKS.values(), ids=OF_MASKS)
@pytest.mark.parametrize("bias", [-100.0, 0.0, 100.0])
@pytest.mark.parametrize("truth", [EMPTY, HALF, FULL], ids=["empty", "half", "full"])
def test_gradients_are_finite_even_where_the_network_is_sure(loss, bias, truth):
    pixel = keras.layers.Conv2D(1, 1, bias_initializer=keras.initializers.Constant(bias))
    model = keras.Sequential([keras.Input((4, 4, 1)), pixel])
    model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=keras.backend.backend() == "tensorflow")
    assert math.isfinite(float(model.train_on_batch(HALF, truth)))
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_hits_and_area_count_pixels_of_each_slice():
    both, half = np.concatenate([HALF, EMPTY]), np.concatenate([FULL, EMPTY])  # exactly at logit 0 calls nothing
    assert np.asarray(dice_hits(both, half)).tolist() == [8, 0]
    assert np.asarray(dice_area(both, half)).tolist() == [24, 0]


def test_accuracy_counts_slices_on_the_right_side():
    truth, logits = np.array([[1.0], [0.0], [1.0]]), np.array([[0.4], [0.0], [0.0]])
    assert np.asarray(accuracy(truth, logits)).tolist() == [1, 1, 0]


CLASSES = np.array([[0], [2], [2], [1]], np.float32)
LIKELY = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.5, 0.1, 0.4], [0.25, 0.5, 0.25]], np.float32)
OF_ITS_OWN = np.array([0.7, 0.8, 0.4, 0.5])


def test_several_classes_worked():
    assert value(cce, CLASSES, LIKELY) == pytest.approx(-np.log(OF_ITS_OWN).mean(), abs=1e-6)
    assert np.asarray(accuracy(CLASSES, np.log(LIKELY))).tolist() == [1, 1, 0, 1]


def test_several_classes_are_learnt():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile(keras.optimizers.SGD(1.0), cce, metrics=[accuracy], jit_compile=keras.backend.backend() == "jax")
    corners = np.array([[0, 0], [0, 1], [1, 0]], np.float32).repeat(4, axis=0)
    numbers = np.arange(3, dtype=np.float32).repeat(4)[:, None]
    seen = [model.train_on_batch(corners, numbers, return_dict=True) for _ in range(40)]
    assert float(seen[-1]["loss"]) < 0.6 * float(seen[0]["loss"])
    assert float(seen[-1]["accuracy"]) == 1


@pytest.mark.parametrize("logit", [-1e4, -100.0, -20.0, 20.0, 100.0, 1e4])
def test_cross_entropy_of_a_sure_network_is_how_far_its_logit_is_on_the_wrong_side(logit):
    for truth in (0.0, 1.0):
        cost = max(logit * (1 - 2 * truth), 0)
        assert of_logits(bce, FULL * truth, FULL * logit) == pytest.approx(cost, abs=1e-6)
        assert of_logits(cce, np.full((2, 1), truth), [[0, logit]] * 2) == pytest.approx(cost, abs=1e-6)


def test_class_weights_make_classes_weigh_the_same_and_the_mean_slice_one():
    labels = np.array([0, 0, 0, 1, 0, 2, 2, 0], np.uint8)
    weights = losses.class_weights(labels)
    assert weights == pytest.approx((8 / 15, 8 / 3, 4 / 3))
    assert np.mean(np.take(weights, labels)) == pytest.approx(1)


@pytest.mark.parametrize("labels", [[0, 0], [1, 1], [0, 2]])
def test_a_class_that_is_missing_has_no_weight(labels):
    with pytest.raises(DataError, match="class weights need slices of two classes or more, numbered from 0; found counts"):
        losses.class_weights(np.array(labels, np.uint8))


def test_weights_act_on_each_slice():
    truth, probability = np.array([[1.0], [0.0], [0.0]], np.float32), np.array([[0.25], [0.5], [0.1]], np.float32)
    each = -np.log([0.25, 0.5, 0.9])
    assert value(losses.make("bce", (0.5, 2.0)), truth, probability) == pytest.approx((each * [2, 0.5, 0.5]).mean(), abs=1e-6)
    assert value(losses.make("bce", (1.0, 1.0)), truth, probability) == pytest.approx(value(bce, truth, probability), abs=1e-6)
    weighted = -np.log(OF_ITS_OWN) * [1, 3, 3, 2]
    assert value(losses.make("cce", (1.0, 2.0, 3.0)), CLASSES, LIKELY) == pytest.approx(weighted.mean(), abs=1e-6)


def test_a_loss_is_found_by_name_or_refused():
    assert losses.make("bce-dice") is bce_dice
    with pytest.raises(
        ModelError, match="unknown loss 'mse', expected one of bce-dice, focal-dice, edge-dice, focal-tversky, bce, cce"
    ):
        losses.make("mse")
    with pytest.raises(ModelError, match="unknown loss 'bce-dice' with class weights, expected one of bce, cce"):
        losses.make("bce-dice", (1.0, 1.0))


def test_slices_add_their_own_cross_entropy():
    rng = np.random.default_rng(0)
    truth = np.zeros((3, 4, 4, 1), np.float32)
    truth[1, 2, 2] = 1
    logits = rng.normal(size=(3, 4, 4, 2)).astype(np.float32)
    logits[..., 1] = np.array([-1.0, 2.0, 0.5])[:, None, None]
    both = float(losses.with_slices(losses.bce_dice)(truth, logits))
    of_slices = np.mean(np.log1p(np.exp([-1.0, -2.0, 0.5])))
    alone = float(losses.bce_dice(keras.ops.convert_to_tensor(truth), keras.ops.convert_to_tensor(logits[..., :1])))
    assert both == pytest.approx(alone + losses.SLICE_WEIGHT * of_slices, rel=1e-5)
