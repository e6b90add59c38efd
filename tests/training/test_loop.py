"""What ends a step from outside ends the training too, though Keras reads measures under a bare ``except``."""

import keras
import numpy as np
import pytest

from brain_tumor.training import loop, losses

pytestmark = pytest.mark.backend

BATCHES = [(np.zeros((2, 3), np.float32), np.zeros((2, 1), np.float32))]


def train(model):
    return next(loop.short_run(model, lambda _epoch: BATCHES, 1))


def evaluate(model):
    return loop.evaluate(model, BATCHES)


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((3,), name="image")
    network = keras.Model(inputs, keras.layers.Dense(1, name="final")(inputs))
    loop.make_ready(network, losses.bce, ())
    train(network)
    evaluate(network)  # neither is traced where Ctrl-C comes
    return network


@pytest.mark.parametrize("work", [train, evaluate])
def test_ctrl_c_while_a_measure_is_read_is_heard(model, monkeypatch, work):
    read, interrupted = keras.src.backend.convert_to_numpy, []

    def read_later(measure):
        if not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        return read(measure)

    monkeypatch.setattr(keras.src.backend, "convert_to_numpy", read_later)
    with pytest.raises(KeyboardInterrupt):
        work(model)
    assert interrupted
    assert set(work(model)) >= {"loss"}, "the next one is as ever"


@pytest.mark.parametrize("work", [train, evaluate])
def test_what_a_device_could_not_compute_is_raised(model, monkeypatch, work):
    def fail(_measure):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(keras.src.backend, "convert_to_numpy", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        work(model)
