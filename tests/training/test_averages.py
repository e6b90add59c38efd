"""Moving averages of weights: their closed form, BatchNorm statistics included, and an exact resume."""

import keras
import numpy as np
import pytest

from brain_tumor.training import loop, losses
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.averages import Averages, share
from brain_tumor.training.batches import TrainingBatches
from brain_tumor.training.plan import Stage
from brain_tumor.training.runs import RunFolder

pytestmark = pytest.mark.backend


def closed_form(series, momentum):
    """Of weights after each step, the first being those of the start: each weighs by what the steps after it have left of it."""
    parts = [1.0, *(share(step, momentum) for step in range(1, len(series)))]
    weights = [part * np.prod([1 - later for later in parts[place + 1 :]]) for place, part in enumerate(parts)]
    assert sum(weights) == pytest.approx(1)
    return sum(weight * values for weight, values in zip(weights, series, strict=True))


@pytest.mark.parametrize("momentum", [0.3, 0.9])
def test_the_average_of_a_training_is_its_closed_form(untrained, slices, momentum):
    averages = Averages(untrained, momentum)
    names = [variable.path for variable in averages.variables]
    assert any("moving_variance" in name for name in names), "BatchNorm statistics are averaged too"
    series = [[np.array(keras.ops.convert_to_numpy(variable)) for variable in averages.variables]]
    loop.prepare(untrained, untrained, Stage("all", 1, 1e-2).make_optimiser(4), losses.make("bce-dice"))
    batches, none = TrainingBatches(slices, 4, Augmentation(), 0, 0), loop.callback_list((), untrained, 1)
    none.on_train_begin()
    for _ in loop.steps(untrained, batches, none, averages):
        series.append([np.array(keras.ops.convert_to_numpy(variable)) for variable in averages.variables])
    assert len(series) == 5 and not np.allclose(series[0][0], series[-1][0])
    for place, name in enumerate(names):
        expected = closed_form([values[place] for values in series], momentum)
        np.testing.assert_allclose(averages.values[place], expected, rtol=1e-5, atol=1e-6, err_msg=name)
    averages.put()
    for variable, value in zip(averages.variables, averages.values, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)


def test_a_run_ends_with_its_averages_and_resumes_to_the_same_bits(train_small, tmp_path, interrupted):
    plan = (Stage("all", 3, 1e-2),)
    last, _ = train_small(tmp_path / "last", plan)
    straight, _ = train_small(tmp_path / "straight", plan, average=0.9)
    differ = [not np.array_equal(one, other) for one, other in zip(last.get_weights(), straight.get_weights(), strict=True)]
    assert all(differ)
    with interrupted(3):
        train_small(tmp_path / "stopped", plan, average=0.9)
    assert RunFolder(tmp_path / "stopped").read_checkpoint()[0] == 2
    resumed, _ = train_small(tmp_path / "stopped", plan, average=0.9)
    for one, other in zip(resumed.get_weights(), straight.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
