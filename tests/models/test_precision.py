"""The number format: set inside a context, restored whatever happens, chosen by measurement."""

import keras
import pytest

from brain_tumor.errors import ModelError
from brain_tumor.models import precision, saved

pytestmark = pytest.mark.backend


@pytest.fixture(autouse=True)
def untouched_policy():
    before = keras.config.dtype_policy()
    yield
    assert keras.config.dtype_policy() == before


@pytest.mark.parametrize("number_format", precision.PRECISIONS)
def test_the_policy_holds_inside_and_is_restored(number_format):
    with precision.policy(number_format):
        assert keras.config.dtype_policy().name == number_format


def test_the_policy_is_restored_after_an_error():
    with pytest.raises(RuntimeError), precision.policy("mixed_bfloat16"):
        raise RuntimeError
    with pytest.raises(ModelError):
        saved.build(saved.describe("resunet", size=100), "mixed_bfloat16")


def test_policies_nest():
    with precision.policy("mixed_bfloat16"):
        with precision.policy("float32"):
            pass
        assert keras.config.dtype_policy().name == "mixed_bfloat16"


@pytest.mark.parametrize(
    ("float32", "bfloat16", "chosen"),
    [(2.0, 1.0, "mixed_bfloat16"), (1.0, 1.0, "float32"), (1.1, 1.0, "float32"), (1.0, 3.0, "float32")],
)
def test_auto_takes_bfloat16_only_where_it_is_worthwhile(monkeypatch, float32, bfloat16, chosen):
    monkeypatch.setattr(precision, "matrix_product_seconds", {"float32": float32, "bfloat16": bfloat16}.__getitem__)
    assert precision.resolve("auto") == chosen


def test_what_is_asked_for_is_not_measured(monkeypatch):
    monkeypatch.delattr(precision, "matrix_product_seconds")
    assert [precision.resolve(name) for name in precision.PRECISIONS] == list(precision.PRECISIONS)
    with pytest.raises(ValueError, match="unknown precision 'float16', expected auto or one of"):
        precision.resolve("float16")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_matrix_product_takes_time(dtype):
    assert 0 < precision.matrix_product_seconds(dtype, side=64) < 5
