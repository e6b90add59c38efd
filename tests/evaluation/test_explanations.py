"""Maps scored on masks, in numbers that are known."""

import numpy as np
import pandas as pd
import pytest

from brain_tumor.errors import DataError
from brain_tumor.evaluation import explanations

MASK = np.zeros((10, 10), np.uint8)
MASK[2:4, 3:5] = 1


def scored(plane, mask=MASK):
    return explanations.score(np.asarray(plane, float)[None], mask[None]).iloc[0].to_dict()


def test_a_perfect_map():
    assert scored(MASK) == {"pointing": 1.0, "energy": 1.0, "auprc": 1.0}


def test_a_map_of_everything_is_worth_the_share_of_the_tumour():
    assert scored(np.ones((10, 10))) == {"pointing": 0.0, "energy": pytest.approx(0.04), "auprc": pytest.approx(0.04)}


def test_an_empty_map_is_worth_nothing_more():
    assert scored(np.zeros((10, 10))) == {"pointing": 0.0, "energy": 0.0, "auprc": pytest.approx(0.04)}


def test_the_order_of_pixels_alone_decides_the_precision():
    plane = np.random.default_rng(0).random((10, 10))
    assert scored(plane)["auprc"] == pytest.approx(scored(plane**3 / 7)["auprc"])


def test_a_map_beside_the_tumour():
    plane = np.zeros((10, 10))
    plane[7, 7] = 1.0
    plane[2, 3] = 0.5
    assert scored(plane) == {"pointing": 0.0, "energy": pytest.approx(1 / 3), "auprc": pytest.approx(0.25 * 0.5 + 0.75 * 4 / 100)}


def test_slices_without_tumour_are_not_asked():
    masks = np.stack([MASK * 0, MASK])
    assert explanations.score(np.stack([MASK, MASK]).astype(float), masks).index.tolist() == [1]


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_bad_maps_are_refused(bad):
    with pytest.raises(DataError, match="negative value or no number"):
        explanations.score(np.full((1, 10, 10), bad), MASK[None])
    with pytest.raises(DataError, match="differ in shape"):
        explanations.score(np.zeros((1, 9, 10)), MASK[None])


def test_a_map_is_compared_with_the_best_control():
    rng = np.random.default_rng(0)

    def table(level):
        rows = {"case_id": np.repeat([f"c{n}" for n in range(12)], 3), "slice": np.tile([1, 2, 3], 12)}
        return pd.DataFrame(rows | {name: np.clip(level + rng.normal(0, 0.05, 36), 0, 1) for name in explanations.MEASURES})

    scores = {"Grad-CAM": table(0.6), "brightness": table(0.3), "centre": table(0.2)}
    summary = explanations.summary(scores, ("brightness", "centre")).set_index(["map", "measure"])
    row = summary.loc["Grad-CAM", "energy"]
    assert row.control == "brightness" and row.more == pytest.approx(0.3, abs=0.05) and row.more_low > 0.2
    assert np.isnan(summary.loc["centre", "energy"].more)
