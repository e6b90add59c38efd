"""Keras's settings: ours inside the context, the user's outside it, whatever happens inside."""

import threading

import keras
import numpy as np
import pytest

from brain_tumor.errors import ModelError
from brain_tumor.models import precision, saved, settings, weights

SMALL = saved.describe("resunet", size=16, filters=(4,))
OURS = ("float32", "float32", "channels_last", 1e-7)


@pytest.mark.backend
@pytest.mark.parametrize("number_format", precision.PRECISIONS)
def test_ours_hold_inside_and_the_users_are_restored(users_settings, number_format):
    read = users_settings()
    before = read()
    with settings.fixed(number_format):
        assert read() == (number_format, *OURS[1:])
    assert read() == before == ("mixed_float16", "float16", "channels_first", 1e-3)


@pytest.mark.backend
def test_the_users_are_restored_after_an_error(users_settings):
    read = users_settings()
    before = read()
    with pytest.raises(RuntimeError), settings.fixed("mixed_bfloat16"):
        raise RuntimeError
    assert read() == before
    with pytest.raises(ModelError):
        saved.build(saved.describe("resunet", size=100), "mixed_bfloat16")
    assert read() == before
    with pytest.raises(ValueError, match="no such format"), settings.fixed("no such format"):
        pass
    assert read() == before


@pytest.mark.backend
def test_contexts_nest(users_settings):
    read = users_settings()
    with settings.fixed("mixed_bfloat16"):
        with settings.fixed():
            assert read() == OURS
        assert read() == ("mixed_bfloat16", *OURS[1:])


@pytest.mark.backend
def test_a_context_that_ends_in_one_thread_leaves_ours_to_another(users_settings):
    read = users_settings()
    before = read()
    entered, leave = threading.Event(), threading.Event()
    inside = []

    def work():
        with settings.fixed():
            entered.set()
            leave.wait(60)
            inside.append(read())

    thread = threading.Thread(target=work)
    with settings.fixed():
        thread.start()
        assert entered.wait(60)
    assert keras.config.floatx() == "float32", "the other thread still works"
    leave.set()
    thread.join(60)
    assert inside == [OURS]
    assert read() == before


@pytest.mark.backend
def test_clearing_the_session_keeps_the_users_policy(users_settings):
    read = users_settings()
    before = read()
    settings.clear_session()
    assert read() == before


@pytest.mark.parametrize(("architecture", "arguments"), [
    ("plain", {}), pytest.param("resunet", {"filters": (4, 8)}, marks=pytest.mark.backend),
    *(pytest.param(name, {}, marks=pytest.mark.long) for name in ("unet-resnet18", "resnet18")),
])  # fmt: skip
def test_a_network_is_the_same_whatever_the_user_has_set(users_settings, architecture, arguments):
    description = saved.describe(architecture, size=32, **arguments)

    def facts():
        keras.utils.set_random_seed(0)
        model = saved.build(description)
        return [(variable.path, variable.shape, str(variable.dtype)) for variable in model.variables], model.get_weights()

    expected, values = facts()
    users_settings()
    names, others = facts()
    assert [row[1:] for row in names] == [row[1:] for row in expected]
    for value, other in zip(values, others, strict=True):
        np.testing.assert_array_equal(value, other)


def test_weights_are_saved_and_read_whatever_the_user_has_set(users_settings, tmp_path):
    model, small = (saved.build(each) for each in (saved.describe("resnet18", size=32), SMALL))
    read = users_settings()
    before = read()
    path = tmp_path / f"encoder{weights.ENDING}"
    weights.save_encoder(model, path, {"normalisation": "unit"})
    other = saved.build(saved.describe("unet-resnet18", size=32))
    assert weights.load_encoder(other, str(path), "unit")["layers"] > 30
    np.testing.assert_array_equal(other.get_layer("conv0").get_weights()[0], model.get_layer("conv0").get_weights()[0])
    saved.save(small, SMALL, tmp_path)
    for value, expected in zip(saved.load(tmp_path).get_weights(), small.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)
    assert read() == before
