"""The finder leaves everything bit-equal, and suggests a rate at which the loss falls."""

import keras
import numpy as np
import pytest

from brain_tumor.errors import ModelError
from brain_tumor.training import finder, losses
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.batches import TrainingBatches
from brain_tumor.training.finder import Sweep
from brain_tumor.training.plan import Stage

pytestmark = pytest.mark.backend


def test_model_optimiser_and_random_states_stay_what_they_were(untrained, slices):
    def epoch_batches(epoch):
        return TrainingBatches(slices, 4, Augmentation(), 0, epoch)

    untrained.compile("sgd", losses.make("bce-dice"))
    untrained.optimizer.build(untrained.trainable_variables)
    optimiser = untrained.optimizer
    keras.utils.set_random_seed(3)
    drawn = np.asarray(keras.random.normal((2,)))
    keras.utils.set_random_seed(3)
    before = [np.array(keras.ops.convert_to_numpy(variable)) for variable in (*untrained.variables, *optimiser.variables)]
    measured = finder.sweep(untrained, losses.make("bce-dice"), epoch_batches, Stage("all", 1), 1e-4, 1e1, 40)
    assert untrained.optimizer is optimiser
    for value, variable in zip(before, (*untrained.variables, *optimiser.variables), strict=True):
        np.testing.assert_array_equal(value, keras.ops.convert_to_numpy(variable), err_msg=variable.path)
    np.testing.assert_array_equal(np.asarray(keras.random.normal((2,))), drawn)
    assert 10 < len(measured.rates) <= 40
    np.testing.assert_allclose(np.diff(np.log(measured.rates)), np.log(1e5) / 39, rtol=1e-6)
    assert 1e-4 < measured.suggestion < 1e1
    assert measured.losses.min() < measured.losses[:5].mean()


def test_the_suggestion_is_where_the_loss_falls_fastest():
    rates = np.logspace(-5, 0, 51)
    loss = 1 / (1 + np.exp(5 * (np.log10(rates) + 2.5))) + 3 * (rates > 0.1)
    assert Sweep(rates, loss, loss).suggestion == pytest.approx(10**-2.5, rel=0.01)


def test_a_loss_that_never_falls_suggests_nothing():
    rates = np.logspace(-5, 0, 20)
    with pytest.raises(ModelError, match="falls at none of these rates"):
        _ = Sweep(rates, np.arange(20.0), np.arange(20.0)).suggestion
