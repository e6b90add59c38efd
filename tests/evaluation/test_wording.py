"""No score is printed as nan."""

import numpy as np
import pytest

from brain_tumor.evaluation import intervals, wording


@pytest.mark.parametrize(
    ("value", "options", "words"),
    [
        (0.81249, {}, "0.812"),
        (0.03, {"signed": True}, "+0.030"),
        (-0.03, {"signed": True, "decimals": 2}, "-0.03"),
        (float("nan"), {}, "undefined"),
        (np.float64("nan"), {"signed": True}, "undefined"),
        (None, {}, "undefined"),
    ],
)
def test_a_score_has_its_decimals_or_is_undefined(value, options, words):
    assert wording.score(value, **options) == words


def test_a_difference_that_is_undefined_says_so():
    difference = intervals.Comparison(np.nan, np.nan, np.nan, 1, np.nan)
    assert "difference undefined: no interval, 1 patient" in str(difference)
