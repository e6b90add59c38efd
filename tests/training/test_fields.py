"""A field says its default, its limits and its meaning once; a value of another type or beyond the limits is refused."""

import math
from dataclasses import dataclass, fields

import numpy as np
import pytest
from hypothesis import given, strategies as st

from brain_tumor.errors import ModelError
from brain_tumor.training.fields import check, setting


@dataclass(frozen=True)
class Oven:
    """Settings with every kind of limit."""

    programme: str = setting("bake", "What it does.", choices=("bake", "grill"))
    label: str = setting("")
    trays: int = setting(1, "How many.", low=1, high=4)
    degrees: float = setting(180.0, "How hot.", above=0, below=300)
    humidity: float = setting(0.5, low=0, below=1)
    fan: bool = setting(True, since="0.3")
    notes: tuple[str, ...] = setting(factory=tuple)

    def __post_init__(self):
        """Refuse what no oven does."""
        check(self, "oven: ")


def test_defaults_pass_and_a_factory_makes_its_own():
    assert Oven() == Oven("bake", "", 1, 180.0, 0.5, True, ())


def test_a_field_keeps_what_was_said_of_it_and_nothing_else():
    metadata = {item.name: dict(item.metadata) for item in fields(Oven)}
    assert metadata["programme"] == {"help": "What it does.", "choices": ("bake", "grill")}
    assert metadata["trays"] == {"help": "How many.", "low": 1, "high": 4}
    assert metadata["humidity"] == {"low": 0, "below": 1}, "a limit of 0 is one"
    assert metadata["fan"] == {"since": "0.3"}
    assert metadata["label"] == metadata["notes"] == {}


def test_a_field_without_a_default_must_be_given():
    @dataclass
    class Door:
        width: float = setting(help="In metres.", above=0)

    assert Door(0.8).width == 0.8
    with pytest.raises(TypeError, match="width"):
        Door()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"programme": "boil"}, "programme 'boil', expected one of bake, grill"),
        ({"programme": None}, "programme None, expected one of bake, grill"),
        ({"label": 3}, "label 3, expected a word"),
        ({"trays": 0}, "trays 0, expected a whole number from 1 to 4"),
        ({"trays": 5}, "trays 5, expected a whole number from 1 to 4"),
        ({"trays": 2.0}, "trays 2.0, expected a whole number from 1 to 4"),
        ({"trays": True}, "trays True, expected a whole number from 1 to 4"),
        ({"trays": "2"}, "trays '2', expected a whole number from 1 to 4"),
        ({"degrees": 0}, "degrees 0, expected a number above 0 below 300"),
        ({"degrees": 300}, "degrees 300, expected a number above 0 below 300"),
        ({"degrees": math.nan}, "degrees nan, expected a number above 0 below 300"),
        ({"degrees": math.inf}, "degrees inf, expected a number"),
        ({"degrees": False}, "degrees False, expected a number"),
        ({"degrees": None}, "degrees None, expected a number"),
        ({"degrees": 1j}, "degrees 1j, expected a number"),
        ({"humidity": 1}, "humidity 1, expected a number from 0 below 1"),
        ({"fan": 1}, "fan 1, expected True or False"),
        ({"fan": "yes"}, "fan 'yes', expected True or False"),
    ],
)
def test_other_values_are_refused_by_name(changes, complaint):
    with pytest.raises(ModelError) as refusal:
        Oven(**changes)
    assert str(refusal.value).startswith(f"oven: {complaint}")


@pytest.mark.parametrize(
    "changes",
    [{"trays": 1}, {"trays": 4}, {"trays": np.int64(2)}, {"degrees": 200}, {"degrees": np.float32(99)}, {"humidity": 0}],
)
def test_limits_themselves_whole_numbers_and_numpys_pass(changes):
    (name, value), *_ = changes.items()
    assert getattr(Oven(**changes), name) == value


@given(value=st.floats(allow_nan=True, allow_infinity=True))
def test_a_number_passes_exactly_where_it_is_within_the_limits(value):
    if 0 < value < 300:
        assert Oven(degrees=value).degrees == value
    else:
        with pytest.raises(ModelError, match="degrees .*, expected a number above 0 below 300"):
            Oven(degrees=value)
