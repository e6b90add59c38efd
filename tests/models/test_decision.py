"""Logits become probabilities; and weights that were saved when networks ended in probabilities still load."""

import keras
import numpy as np
import pytest

from brain_tumor.models import decision, saved

pytestmark = pytest.mark.backend

OLD_ENDS = {
    "unet-resnet18": ("probability", "sigmoid", {}),
    "resunet": ("probability", "sigmoid", {"filters": [4, 8]}),
    "resnet18": ("head_probability", "sigmoid", {}),
    "plain": ("head_probability", "softmax", {"classes": 3}),
}


LARGE = ("unet-resnet18", "resnet18")  # ends like those of the small ones


def test_one_output_goes_through_the_sigmoid():
    answer = decision.probabilities(np.array([[[0.0], [np.log(3)]], [[-1e4], [1e4]]]))
    assert (answer.dtype, answer.shape) == (np.float32, (2, 2, 1))
    np.testing.assert_allclose(answer.ravel(), [0.5, 0.75, 0, 1], rtol=1e-6)


def test_several_outputs_share_one_probability():
    answer = decision.probabilities(np.log([[0.2, 0.3, 0.5], [0.8, 0.1, 0.1]]) + 500)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, [[0.2, 0.3, 0.5], [0.8, 0.1, 0.1]], rtol=1e-4)
    np.testing.assert_allclose(answer.sum(axis=1), 1, rtol=1e-6)


def test_logits_far_apart_give_zero_and_one():
    assert decision.probabilities([[-1e4, 1e4]]).tolist() == [[0, 1]]


@pytest.mark.parametrize("classes", [1, 3])
def test_what_is_no_number_stays_no_number(classes):
    assert np.isnan(decision.probabilities(np.full((2, classes), np.nan))).all()


@pytest.mark.parametrize("architecture", ["resunet", "plain", *(pytest.param(name, marks=pytest.mark.long) for name in LARGE)])
def test_a_model_saved_with_an_activation_at_its_end_loads_and_predicts_the_same(architecture, tmp_path):
    """Older runs have one more layer, without weights, which gave the probability."""
    name, activation, arguments = OLD_ENDS[architecture]
    description = saved.describe(architecture, size=32, **arguments)
    keras.utils.set_random_seed(0)
    network = saved.build(description)
    end = keras.layers.Activation(activation, dtype="float32", name=name)
    old = keras.Model(network.input, end(network.output), name=network.name)
    saved.save(old, description, tmp_path)
    keras.utils.set_random_seed(1)
    new = saved.load(tmp_path)
    for weight, expected in zip(new.get_weights(), old.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    answer = decision.probabilities(new.predict_on_batch(images))
    np.testing.assert_allclose(answer, old.predict_on_batch(images), atol=1e-6)
