"""The resolution ceiling beside scores: the same protocol on the truth that came back, and refused on other slices."""

import numpy as np
import pandas as pd
import pytest

from brain_tumor.errors import DataError
from brain_tumor.evaluation import ceiling, overlap, protocols

TRUTH = np.zeros((3, 4, 4), np.uint8)
TRUTH[0, :2], TRUTH[1, 0, :2] = 1, 1  # 8 px, 2 px, none
RETURNED = TRUTH * np.uint8(255)
RETURNED[1, 0, 1] = 0


@pytest.fixture
def counts():
    """One patient of three slices, with a prediction that calls nothing, at two sizes."""
    where = {"case_id": "A", "slice": [1, 2, 3]}
    native = overlap.count(np.zeros_like(TRUTH), TRUTH).assign(size=4, **where)
    return pd.concat([native, native.assign(size=2)], ignore_index=True)


@pytest.fixture
def rows():
    table = ceiling.count(RETURNED, TRUTH)
    return table.assign(case_id="A", slice=table.index + 1, size=4)


def test_only_slices_with_tumour_have_a_row(rows):
    assert rows[["slice", "tp", "fp", "fn"]].to_numpy().tolist() == [[1, 8, 0, 0], [2, 1, 0, 1]]


def test_it_is_scored_by_the_same_protocols_at_native_size(counts, rows):
    scores = ceiling.beside(protocols.score(counts), counts, rows).set_index(["size", "protocol"])
    assert scores.ceiling[4, "slice, empty = 1"] == pytest.approx((1 + 2 / 3 + 1) / 3)
    assert scores.ceiling[4, "tumour slices"] == pytest.approx((1 + 2 / 3) / 2)
    assert scores.ceiling[4, "pooled"] == pytest.approx(18 / 19)
    assert scores.ceiling[2].isna().all()
    assert scores.dice[4, "pooled"] == 0


def test_scores_from_before_there_were_ceilings_stay_as_they_are(counts):
    scores = protocols.score(counts)
    assert ceiling.beside(scores, counts, None) is scores


@pytest.mark.parametrize(
    "other",
    [
        lambda rows: rows.iloc[:1],
        lambda rows: rows.assign(case_id="B"),
        lambda rows: rows.assign(fn=rows.fn + 1),
        lambda rows: pd.concat([rows, rows]),
        lambda rows: pd.concat([rows, rows.assign(case_id="B")]),
    ],
    ids=["a slice missing", "another case", "another truth", "doubled", "one case more"],
)
def test_a_ceiling_of_other_slices_is_refused(counts, rows, other):
    with pytest.raises(DataError, match="the ceiling is of other slices"):
        ceiling.beside(protocols.score(counts), counts, other(rows))
