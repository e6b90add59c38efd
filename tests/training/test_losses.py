"""Losses by worked numbers, and their gradients where a batch holds no tumour."""

import math

import keras
import numpy as np
import pytest

from brain_tumor.training.losses import LOSSES, accuracy, bce_dice, dice_area, dice_hits, focal_tversky

HALF = np.repeat([1.0, 0.0], 8).reshape(1, 4, 4, 1).astype(np.float32)  # 8 of 16 pixels are tumour
EMPTY = np.zeros_like(HALF)
FULL = np.ones_like(HALF)


def value(loss, truth, probability):
    return float(loss(keras.ops.convert_to_tensor(truth), keras.ops.convert_to_tensor(np.asarray(probability, np.float32))))


@pytest.mark.parametrize(
    ("truth", "probability", "expected"),
    [
        (HALF, HALF, 0.0),  # perfect
        (EMPTY, EMPTY, 0.0),  # perfectly empty: no convention needed
        (HALF, FULL / 2, math.log(2) + 1 - (2 * 4 + 1) / (8 + 8 + 1)),
        (EMPTY, FULL / 2, math.log(2) + 1 - 1 / (8 + 1)),
        (FULL, EMPTY, -math.log(1e-7) + 1 - 1 / (16 + 1)),  # all wrong; Keras clips the logarithm at 1e-7
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


def test_focal_tversky_punishes_misses_more_than_inventions():
    quarter = HALF * (np.arange(16).reshape(HALF.shape) < 4)
    assert value(focal_tversky, HALF, quarter) > value(focal_tversky, quarter, HALF)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_false_alarm_on_an_empty_slice_costs(loss):
    """Pooled over the batch, so a slice without tumour is not free, as it is where Dice is averaged over slices."""
    batch = np.concatenate([HALF, EMPTY])
    assert value(loss, batch, np.concatenate([HALF, HALF])) > value(loss, batch, batch) + 0.1


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("bias", [-100.0, 0.0, 100.0])
@pytest.mark.parametrize("truth", [EMPTY, HALF, FULL], ids=["empty", "half", "full"])
def test_gradients_are_finite_even_where_the_network_is_sure(loss, bias, truth):
    pixel = keras.layers.Conv2D(1, 1, activation="sigmoid", bias_initializer=keras.initializers.Constant(bias))
    model = keras.Sequential([keras.Input((4, 4, 1)), pixel])
    model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=keras.backend.backend() == "tensorflow")
    assert math.isfinite(float(model.train_on_batch(HALF, truth)))
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_hits_and_area_count_pixels_of_each_slice():
    both, half = np.concatenate([HALF, EMPTY]), np.concatenate([FULL, EMPTY + 0.5])  # exactly at one half calls nothing
    assert np.asarray(dice_hits(both, half)).tolist() == [8, 0]
    assert np.asarray(dice_area(both, half)).tolist() == [24, 0]


def test_accuracy_counts_slices_on_the_right_side():
    truth, probability = np.array([[1.0], [0.0], [1.0]]), np.array([[0.6], [0.5], [0.5]])
    assert np.asarray(accuracy(truth, probability)).tolist() == [1, 1, 0]
