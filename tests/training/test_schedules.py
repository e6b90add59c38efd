"""1cycle at its corners, and the optimiser that truly follows it."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from brain_tumor.training.optimisers import OneCycleAdamW
from brain_tumor.training.schedules import DIV, MOMENTUM_HIGH, MOMENTUM_LOW, Cyclical, OneCycle

pytestmark = pytest.mark.backend

LONG = OneCycle(max_lr=0.01, steps=1000, pct_start=0.3)


@pytest.mark.parametrize(
    ("step", "rate", "momentum"),
    [
        (0, 0.01 / DIV, MOMENTUM_HIGH),
        (300, 0.01, MOMENTUM_LOW),  # the top
        (930, 0.01 / DIV, MOMENTUM_HIGH),  # the foot: nine tenths of what follows the pct_start
        (1000, 0.01 / DIV / 100, MOMENTUM_HIGH),
        (5000, 0.01 / DIV / 100, MOMENTUM_HIGH),  # beyond the end it stays
        (150, 0.01 * (1 + 1 / DIV) / 2, (MOMENTUM_HIGH + MOMENTUM_LOW) / 2),  # half of half a cosine
    ],
)
def test_heights(step, rate, momentum):
    assert float(LONG(step)) == pytest.approx(rate, rel=1e-4)
    assert float(LONG.momentum(step)) == pytest.approx(momentum, rel=1e-4)


def test_momentum_mirrors_the_rate_and_neither_jumps():
    steps = np.arange(1001)
    rates, momenta = (keras.ops.convert_to_numpy(follow(steps)) for follow in (LONG, LONG.momentum))
    assert (np.diff(rates[:301]) > 0).all()
    assert (np.diff(rates[300:]) < 0).all()
    assert (np.diff(momenta[:301]) <= 0).all()
    assert (np.diff(momenta[300:]) >= 0).all()
    assert np.abs(np.diff(rates)).max() < 0.01 * np.pi / 2 / 300 * 1.01, "no steeper than half a cosine over 300 steps"
    assert np.abs(np.diff(momenta)).max() < 0.1 * np.pi / 2 / 300 * 1.01


@given(st.floats(1e-6, 1), st.integers(1, 5000), st.floats(0.05, 0.95), st.floats(0, 1.5))
@settings(max_examples=50, deadline=None)
def test_it_stays_within_its_heights(max_lr, steps, pct_start, at):
    cycle, step = OneCycle(max_lr, steps, pct_start), int(at * steps)
    assert max_lr / DIV / 100 * 0.999 <= float(cycle(step)) <= max_lr * 1.001
    assert MOMENTUM_LOW * 0.999 <= float(cycle.momentum(step)) <= MOMENTUM_HIGH * 1.001


def test_it_can_be_made_again_from_its_settings():
    again = OneCycle.from_config(LONG.get_config())
    assert float(again(123)) == float(LONG(123))


CYCLE, DECAY = OneCycle(max_lr=0.1, steps=6, pct_start=0.5), 0.2
INPUTS = np.random.default_rng(0).normal(size=(6, 4, 1)).astype(np.float32)
TARGETS = (3 * INPUTS - 1).astype(np.float32)


def plain_adamw(beta_1_of):
    """Kernel and bias of ``w x + b`` after six AdamW steps on squared error, in NumPy, with the momentum given for each step."""
    weights = {"kernel": 1.0, "bias": 1.0}
    first, second = dict.fromkeys(weights, 0.0), dict.fromkeys(weights, 0.0)
    for step, (x, y) in enumerate(zip(INPUTS.astype(float), TARGETS.astype(float), strict=True)):
        rate, beta_1, beta_2 = float(CYCLE(step)), beta_1_of(step), 0.999
        error = 2 * (weights["kernel"] * x + weights["bias"] - y)
        gradients = {"kernel": (error * x).mean(), "bias": error.mean()}
        weights["kernel"] *= 1 - rate * DECAY  # decoupled, and only here: a bias is not decayed
        for name, gradient in gradients.items():
            first[name] = beta_1 * first[name] + (1 - beta_1) * gradient
            second[name] = beta_2 * second[name] + (1 - beta_2) * gradient**2
            mean, square = first[name] / (1 - beta_1 ** (step + 1)), second[name] / (1 - beta_2 ** (step + 1))
            weights[name] -= rate * mean / (np.sqrt(square) + 1e-7)
    return np.array([weights["kernel"], weights["bias"]])


def test_the_compiled_update_follows_momentum_and_decays_only_the_kernel():
    line = keras.layers.Dense(1, kernel_initializer="ones", bias_initializer="ones")
    model = keras.Sequential([keras.Input((1,)), line])
    model.compile(OneCycleAdamW(CYCLE, DECAY), "mse", jit_compile=keras.backend.backend() == "jax")
    model.fit(INPUTS.reshape(-1, 1), TARGETS.reshape(-1, 1), batch_size=4, epochs=1, shuffle=False, verbose=0)
    found = np.concatenate([weight.ravel() for weight in model.get_weights()])
    moving = plain_adamw(lambda step: float(CYCLE.momentum(step)))
    np.testing.assert_allclose(found, moving, atol=1e-5)
    held = plain_adamw(lambda step: MOMENTUM_HIGH)
    assert np.abs(moving - held).min() > 1e-3, "the test would not tell a momentum that stands still"


def test_decay_spares_biases_and_norms():
    """With no gradient at all, what still moves is decay."""
    convolution = keras.layers.Conv2D(2, 1, bias_initializer="ones")
    norm = keras.layers.BatchNormalization(beta_initializer="ones")
    model = keras.Sequential([keras.Input((4, 4, 2)), convolution, norm])
    before = {variable.path: keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables}
    optimiser = OneCycleAdamW(OneCycle(0.5, 10), weight_decay=0.1)
    optimiser.build(model.trainable_variables)
    optimiser.apply([keras.ops.zeros(variable.shape) for variable in model.trainable_variables])
    rate = float(OneCycle(0.5, 10)(0))
    for variable in model.trainable_variables:
        factor = 1 - 0.1 * rate if variable.name == "kernel" else 1
        np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), before[variable.path] * factor, rtol=1e-6)
    assert {variable.name for variable in model.trainable_variables} == {"kernel", "bias", "gamma", "beta"}


def test_a_cyclical_rate_rises_and_falls_alike_each_time():
    rates = keras.ops.convert_to_numpy(Cyclical(max_lr=0.01, steps=100, cycles=4)(np.arange(101)))
    low = 0.01 / DIV
    np.testing.assert_allclose(rates[[0, 25, 50, 75, 100]], low, rtol=1e-5)
    np.testing.assert_allclose(rates[:25], rates[25:50], rtol=1e-4)
    half = low + (0.01 - low) * 0.48
    np.testing.assert_allclose(rates[[6, 19]], half, rtol=1e-4)  # 6 of 12.5 steps up, and as far down
    assert rates.max() == pytest.approx(low + (0.01 - low) * 0.96, rel=1e-4)


def test_an_optimiser_follows_a_cyclical_rate(untrained):
    from brain_tumor.training.plan import Stage

    optimiser = Stage("all", 2, 1e-2, schedule="cyclical", cycles=2).make_optimiser(10)
    rates = []
    for _ in range(10):
        rates.append(float(optimiser.learning_rate))
        optimiser.build(untrained.trainable_variables)
        optimiser.iterations.assign_add(1)
    np.testing.assert_allclose(rates, [float(Cyclical(1e-2, 20, 2)(step)) for step in range(10)], rtol=1e-6)
    assert np.argmax(rates) == 5
