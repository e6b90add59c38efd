"""What each step of each optimiser does at each depth of a network, against the same done in NumPy."""

import keras
import numpy as np
import pytest

from brain_tumor.errors import ModelError
from brain_tumor.training import optimisers
from brain_tumor.training.optimisers import PerDepth
from brain_tumor.training.plan import Stage
from brain_tumor.training.schedules import OneCycle

pytestmark = pytest.mark.backend

LAYERS = ("conv0", "stage1_unit1_conv1", "stage2_unit1_conv1", "stage3_unit1_conv1", "stage4_unit1_conv1", "head_linear1")
START = np.array([1.1, 0.9, 1.2, 0.8, 1.0, 0.7, 0.5])  # a kernel of each layer, then the last one's bias
DECAYED = np.array([1, 1, 1, 1, 1, 1, 0])
RATE, DECAY, MOMENTUM, FACTOR = 0.05, 0.3, 0.5, 0.5
STEPS = 6
CYCLE = OneCycle(RATE, STEPS)
# Three steps on black inputs and a target that is met, which leave nothing but decay; then three that learn.
INPUTS = np.array([0, 0, 0, 1.0, -0.5, 2.0])
TARGETS = np.array([0.5, 0.5, 0.5, 2.0, 1.0, -1.0])


def one_line() -> keras.Model:
    """Six numbers in a row, a layer of each depth, named as a classifier names them."""
    x = inputs = keras.Input((1,))
    for name, weight in zip(LAYERS, START, strict=False):
        last = name == LAYERS[-1]
        start = keras.initializers.Constant(weight)
        bias = keras.initializers.Constant(START[-1])
        x = keras.layers.Dense(1, use_bias=last, kernel_initializer=start, bias_initializer=bias, name=name)(x)
    return keras.Model(inputs, x)


def weights_of(model):
    return np.concatenate([weight.ravel() for weight in model.get_weights()]).astype(float)


def trained(accumulate=1, **asked):
    """The seven weights before each compiled step and after the last: ``(STEPS + 1, 7)``; and the optimiser.

    Where gradients are gathered, each batch comes so many times, so that their mean is its own.
    """
    model = one_line()
    optimiser = optimisers.make(rate=RATE, steps=STEPS, weight_decay=DECAY, accumulate=accumulate, **asked)
    model.compile(optimiser, "mse", jit_compile=keras.backend.backend() == "jax")
    states = [weights_of(model)]
    for x, y in zip(INPUTS, TARGETS, strict=True):
        for _ in range(accumulate):
            model.train_on_batch(np.full((2, 1), x, np.float32), np.full((2, 1), y, np.float32))
        states.append(weights_of(model))
    return np.array(states), optimiser


def in_numpy(name, schedule, factor, momentum=MOMENTUM, cycled=True):
    """As :func:`trained`, from the papers; ``cycled`` False lets 1cycle's momentum stand still."""
    shares = np.array([factor ** (5 - depth) for depth in (0, 1, 2, 3, 4, 5, 5)])
    rates, heights = (keras.ops.convert_to_numpy(follow(np.arange(STEPS))) for follow in (CYCLE, CYCLE.momentum))
    weights, first, second = START.copy(), np.zeros(7), np.zeros(7)
    states = [weights.copy()]
    for step, (x, y) in enumerate(zip(INPUTS, TARGETS, strict=True)):
        rate = shares * (float(rates[step]) if schedule == "1cycle" else RATE)
        beta = float(heights[step * cycled]) if schedule == "1cycle" else {"adamw": 0.9, "sgd": momentum}[name]
        kernels = weights[:6]
        error = 2 * (x * kernels.prod() + weights[6] - y)
        gradient = np.append(error * x * kernels.prod() / kernels, error)
        weights = weights - DECAYED * DECAY * rate * weights
        if name == "sgd":
            first = beta * first - rate * gradient
            weights = weights + first
        else:
            first = beta * first + (1 - beta) * gradient
            second = 0.999 * second + 0.001 * gradient**2
            mean, square = first / (1 - beta ** (step + 1)), second / (1 - 0.999 ** (step + 1))
            weights = weights - rate * mean / (np.sqrt(square) + 1e-7)
        states.append(weights.copy())
    return np.array(states)


@pytest.mark.parametrize("schedule", ["1cycle", "constant"])
@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_every_depth_is_updated_and_decayed_at_its_own_rate(name, schedule):
    found, optimiser = trained(name=name, schedule=schedule, momentum=MOMENTUM, layer_decay=FACTOR)
    expected = in_numpy(name, schedule, FACTOR)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    decay = -np.diff(np.log(found[:4, :6]), axis=0)  # of the steps without a gradient
    np.testing.assert_allclose(decay[:, :-1] / decay[:, 1:], FACTOR, rtol=0.05)
    alike = in_numpy(name, schedule, 1.0)
    assert np.abs(alike - expected)[-1, :5].min() > 1e-3, "the test would not tell one rate for all"
    still = in_numpy(name, schedule, FACTOR, momentum=0.0, cycled=False)
    if (name, schedule) != ("adamw", "constant"):
        assert np.abs(still - expected).max() > 1e-3, "nor a momentum that does not act"
    end = RATE if schedule == "constant" else float(CYCLE(STEPS))
    assert float(optimiser.learning_rate) == pytest.approx(end, rel=1e-5), "the rate that is told is the head's"


@pytest.mark.parametrize("schedule", ["1cycle", "constant"])
def test_sgd_with_one_rate_for_all(schedule):
    found, optimiser = trained(name="sgd", schedule=schedule, momentum=MOMENTUM)
    assert not isinstance(optimiser, PerDepth)
    np.testing.assert_allclose(found, in_numpy("sgd", schedule, 1.0), atol=2e-5)


@pytest.mark.parametrize(("name", "schedule", "layer_decay"), [
    ("adamw", "1cycle", 1.0), ("sgd", "1cycle", FACTOR), ("adamw", "cyclical", FACTOR), ("sgd", "cyclical", 1.0),
    *(pytest.param(*case, marks=pytest.mark.long) for case in (
        ("adamw", "1cycle", FACTOR), ("sgd", "1cycle", 1.0), ("adamw", "cyclical", 1.0), ("sgd", "cyclical", FACTOR),
    )),
])  # fmt: skip
def test_a_schedule_counts_steps_where_gradients_are_gathered(name, schedule, layer_decay):
    asked = {"name": name, "schedule": schedule, "layer_decay": layer_decay}
    np.testing.assert_allclose(trained(accumulate=2, **asked)[0], trained(**asked)[0], atol=1e-6)


def test_a_stage_asks_for_what_it_says():
    assert type(Stage("all", 1).make_optimiser(3)) is optimisers.OneCycleAdamW, "as before there was a choice"
    sgd = Stage("all", 1, 1e-4, optimiser="sgd", momentum=0.5, schedule="constant", weight_decay=0.0).make_optimiser(3)
    assert type(sgd) is optimisers.SGD
    assert (float(sgd.learning_rate), sgd.momentum, sgd.weight_decay) == (pytest.approx(1e-4), 0.5, 0.0)
    assert isinstance(Stage("all", 1, layer_decay=0.5).make_optimiser(3), PerDepth)
    cycle = Stage("all", 2, 1e-2, pct_start=0.9).make_optimiser(3)._learning_rate.get_config()
    assert cycle == {"max_lr": 1e-2, "steps": 6, "pct_start": 0.9}


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"optimiser": "adam"}, "stage 'all': optimiser 'adam', expected one of adamw, sgd"),
        ({"schedule": "cosine"}, "schedule 'cosine', expected one of 1cycle, cyclical, constant"),
        ({"momentum": 1.0}, "momentum 1.0, expected a number from 0 below 1"),
        ({"layer_decay": 0.0}, "layer_decay 0.0, expected a number above 0"),
        ({"layer_decay": float("nan")}, "layer_decay nan"),
        ({"max_lr": -1e-3}, "max_lr -0.001"),
        ({"max_lr": float("inf")}, "max_lr inf"),
        ({"weight_decay": -0.1}, "weight_decay -0.1"),
        ({"pct_start": 1.5}, "pct_start 1.5, expected a number from 0 to 1"),
        ({"epochs": -1}, "epochs -1, expected a whole number from 0"),
    ],
)
def test_a_stage_that_cannot_be_is_refused(fields, complaint):
    with pytest.raises(ModelError, match=complaint):
        Stage(**{"name": "all", "epochs": 1, **fields})
