"""Every region is counted and scored by itself; lesion-wise Dice against cases worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from brain_tumor.evaluation import intervals, regions, scoring

NAMES = ("WT", "TC", "ET")


def nested(places):
    depth = np.zeros((6, 20, 20), np.uint8)
    for value, rows, columns in places:
        depth[1:5, slice(*rows), slice(*columns)] = value
    return depth


TRUTH = nested([(1, (4, 14), (4, 14)), (2, (6, 12), (6, 12)), (3, (8, 10), (8, 10))])


def test_regions_of_a_case():
    predicted = nested([(1, (4, 14), (4, 14)), (2, (6, 12), (6, 9))])  # half of the core, nothing that enhances
    tables = regions.of_case("a", np.arange(1, 7), predicted, TRUTH, NAMES, (2.0, 1.0, 1.0))
    counts, cases = tables[scoring.REGIONS], tables[scoring.REGION_CASES].set_index("region")
    assert len(counts) == 18 and (counts[["tp", "fp", "fn", "tn"]].sum(axis=1) == 400).all()
    assert counts[counts.region == "TC"].tp.sum() == 4 * 18
    assert cases.dice.tolist() == [1.0, pytest.approx(2 / 3), 0.0]
    assert cases.loc["WT", ["hd95", "nsd"]].tolist() == [0, 1] and cases.hd95["TC"] == 3
    assert cases.voxels.tolist() == [400, 144, 16] and cases.predicted_voxels["ET"] == 0


def test_a_region_that_nobody_has_is_right_where_it_is_not_called():
    without = np.minimum(TRUTH, 2)
    cases = regions.of_case("a", np.arange(6), without, without, NAMES)[scoring.REGION_CASES].set_index("region")
    assert cases.dice["ET"] == 1 and cases.hd95["ET"] == 0 and cases.lesion_dice["ET"] == 1
    cases = regions.of_case("a", np.arange(6), TRUTH, without, NAMES)[scoring.REGION_CASES].set_index("region")
    assert cases.dice["ET"] == 0 and cases.lesion_dice["ET"] == 0 and cases.hd95["ET"] > 10


def block(*corners, size=(4, 5, 5), shape=(12, 40, 40)):
    mask = np.zeros(shape, bool)
    for corner in corners:
        mask[tuple(slice(start, start + side) for start, side in zip(corner, size, strict=True))] = True
    return mask


A, B, NEAR_A, FAR = (2, 2, 2), (2, 25, 25), (2, 2, 11), (2, 30, 2)


@pytest.mark.parametrize(
    ("predicted", "truth", "score"),
    [
        (block(A, B), block(A, B), 1.0),
        (block(A), block(A, B), 0.5),  # one of two lesions was missed
        (block(A, FAR), block(A), 0.5),  # a piece that meets no lesion
        (block(A, B, FAR), block(A, B), 2 / 3),
        (block(), block(), 1.0),
        (block(A), block(), 0.0),
        (block(), block(A), 0.0),
        (block(A, NEAR_A), block(A, NEAR_A), 1.0),  # 4 voxels apart: one lesion, of which both pieces are
        (block(NEAR_A), block(A, NEAR_A), 2 / 3),
        (block((2, 3, 2)), block(A), 0.8),
        (block(), block(A, size=(2, 5, 5)), 1.0),  # 50 voxels: too small to count
    ],
)
def test_lesion_wise_dice(predicted, truth, score):
    assert regions.lesion_dice(predicted, truth) == pytest.approx(score)


def test_the_smallest_lesion_is_measured_in_cubic_mm():
    missed, whole = block(), block(A, size=(2, 5, 5))  # 50 voxels
    assert [regions.lesion_dice(missed, whole, voxel) for voxel in (1.0, 1.1)] == [1.0, 0.0]
    cases = [regions.of_case("a", np.arange(len(whole)), missed, whole, ("WT",), (depth, 1.0, 1.0)) for depth in (1.0, 2.5)]
    assert [tables["region_cases.csv"].lesion_dice.iloc[0] for tables in cases] == [1.0, 0.0]


def test_scores_have_intervals_floors_and_the_exams_without(monkeypatch):
    monkeypatch.setattr(intervals, "RESAMPLES", 50)
    stacked = [
        regions.of_case(name, np.arange(6), TRUTH, truth, NAMES) for name, truth in (("a", TRUTH), ("b", np.minimum(TRUTH, 2)))
    ]
    tables = scoring.stack(stacked)
    rows = pd.DataFrame({"case_id": np.repeat(["a", "b"], 6), "slice": np.tile(np.arange(6), 2)})
    truth = np.concatenate([TRUTH, np.minimum(TRUTH, 2)])
    floors = [
        regions.count_floor(floor, rows, mask, truth > place, name)
        for place, name in enumerate(NAMES)
        for floor, mask in (("all empty", np.zeros_like(truth)), ("everything", np.ones_like(truth)))
    ]
    scores = regions.score(tables | {scoring.REGION_FLOORS: pd.concat(floors)}, NAMES).set_index(["region", "measure"])
    mean = scores.loc["ET", "Dice, patient mean"]
    assert (mean.value, mean.floor, mean.floor_name, mean.patients, mean.without) == (0.5, 0.5, "all empty", 2, 1)
    whole = scores.loc["WT", "Dice, patient mean"]
    assert whole.value == 1 and whole.floor_name == "everything" and whole.floor == pytest.approx(800 / 2800)
    assert np.isnan(scores.loc["WT", "HD95 mean"].floor) and mean.low <= mean.value <= mean.high
