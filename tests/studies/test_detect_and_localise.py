"""Notebook 11's numbers by hand: gates, boxes, centres, and maps that forget."""

import keras
import numpy as np
import pandas as pd
import pytest

from brain_tumor.evaluation import localisation
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.predictor import Predictor
from brain_tumor.models import saved
from brain_tumor.studies.detect_and_localise import detection, figures, maps

COUNTS = pd.DataFrame(
    {
        "case_id": ["a", "a", "a", "b", "b"], "slice": [1, 2, 3, 1, 2], "size": 8, "tp": [0, 20, 10, 0, 30],
        "fp": [5, 2, 0, 0, 1], "fn": [0, 3, 5, 0, 4], "tn": [59, 39, 49, 64, 29], "slice_probability": [0.6, 1.0, 0.9, 0.1, 1.0],
    }
)  # fmt: skip
DETECTED = pd.DataFrame(
    {"case_id": ["a", "a", "a", "b", "b"], "slice": [1, 2, 3, 1, 2], "probability": [0.1, 0.9, 0.2, 0.1, 0.8], "threshold": 0.5}
)


def test_a_gate_takes_false_alarms_and_tumours_away():
    gated = detection.gated(COUNTS, DETECTED)
    assert gated.tp.tolist() == [0, 20, 0, 0, 30] and gated.fp.tolist() == [0, 2, 0, 0, 1]
    assert gated.fn.tolist() == [0, 3, 15, 0, 4] and gated.tn.tolist() == [64, 39, 49, 64, 29]
    assert gated.slice_probability.tolist() == [0.0, 1.0, 0.0, 0.0, 1.0]
    table, differences = detection.joint_table({"masks alone": COUNTS, "gated": gated}, "masks alone")
    assert table.loc["gated", "missed slices"] == "1 of 3" and table.loc["gated", "false alarms"] == "0 of 2"
    assert table.loc["masks alone", "false alarms"] == "1 of 2"
    dice = [2 * 30 / (60 + 7 + 8), 2 * 30 / (60 + 1 + 4)], [2 * 20 / (40 + 2 + 18), 2 * 30 / (60 + 1 + 4)]
    assert differences["gated"].difference == pytest.approx(np.mean(dice[1]) - np.mean(dice[0]))


def test_in_turn_a_detector_silences_slices_and_their_places():
    masks = DETECTED.assign(probability=[0.6, 1.0, 0.9, 0.1, 1.0])
    assert detection.in_turn(masks, DETECTED).probability.tolist() == [0.0, 1.0, 0.0, 0.0, 1.0]
    planes = np.zeros((2, 20, 20), np.uint8)
    planes[:, 2:9, 3:8] = 1
    places = localisation.locate(planes * 255, planes).assign(case_id="a", slice=[2, 3])
    localised = detection.localised(detection.gated_places(places, DETECTED))
    assert localised.pointing.tolist() == localised.box.tolist() == localised.found.tolist() == [1.0, 0.0]


def test_slices_that_one_of_them_lacks_are_left_out_of_all():
    short = DETECTED.iloc[[4, 1, 0]]
    both = detection.on_the_same({"one": DETECTED, "other": short})
    assert both["one"][["case_id", "slice"]].equals(both["other"][["case_id", "slice"]]) and len(both["one"]) == 3


def located(predicted, truth):
    planes = [np.zeros((1, 20, 20), np.uint8) for _ in range(2)]
    for plane, box in zip(planes, (predicted, truth), strict=True):
        if box:
            top, left, bottom, right = box
            plane[0, top:bottom, left:right] = 1
    table = localisation.locate(planes[0] * 255, planes[1])
    return detection.localised(table.assign(case_id="a", slice=1))


def test_boxes_and_centres():
    row = located((0, 0, 10, 10), (0, 5, 10, 15)).iloc[0]
    assert (row.box, row.found, row.distance, row.pointing) == (pytest.approx(1 / 3), 0.0, 5.0, 0.0)
    assert located((0, 0, 10, 10), (0, 0, 10, 10)).iloc[0][["box", "found", "distance", "pointing"]].tolist() == [
        1.0,
        1.0,
        0.0,
        1.0,
    ]
    nothing = located(None, (0, 0, 10, 10)).iloc[0]
    assert (nothing.box, nothing.found, nothing.pointing) == (0.0, 0.0, 0.0) and np.isnan(nothing.distance)
    assert len(located((0, 0, 10, 10), None)) == 0, "slices without tumour are not asked"


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    description = saved.describe("resunet", size=16, filters=(4, 8))
    return Predictor(saved.build(description), "unit"), description


@pytest.fixture(scope="module")
def exams():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 24, 24, 3), np.uint8)
    masks = np.zeros((2, 24, 24), np.uint8)
    masks[:, 4:9, 5:12] = 1
    return [(Exam(name, images, np.arange(1, 4), np.array([0, 2])), masks) for name in ("TCGA_CS_0001_2000", "TCGA_CS_0002_2000")]


def test_maps_are_scored_with_their_controls_and_the_best_is_no_control(network, exams):
    predictor, _ = network
    methods = maps.every_level(predictor)
    assert ("grad-cam", "P1") in methods and ("grad-cam++", "D0") in methods
    scores = maps.score(predictor, exams, methods)
    assert set(maps.CONTROLS) < set(scores) and all(len(table) == 4 for table in scores.values())
    assert maps.best(scores) in methods
    assert maps.best({"grad-cam P1": scores["centre"].assign(auprc=0.1), "centre": scores["centre"].assign(auprc=1)}) == (
        "grad-cam",
        "P1",
    )


def test_a_network_that_forgets_nothing_gives_the_same_maps(network, exams):
    predictor, description = network
    table = maps.randomised(predictor, description, exams, "grad-cam", "P1")
    means = table.groupby("share").correlation.mean()
    assert means[0.0] == pytest.approx(1.0, abs=1e-6) and means[1.0] < 0.99


def test_a_map_that_says_nothing_is_left_out_and_one_that_fell_silent_is_not():
    some, nothing = np.arange(9.0).reshape(3, 3), np.zeros((3, 3))
    assert maps._alike(some, some) == 1.0 and maps._alike(some, nothing) == 0.0 and np.isnan(maps._alike(nothing, nothing))
    table = pd.DataFrame({"share": [0.0, 1.0, 1.0, 1.0], "case_id": [*"aabc"], "correlation": [1.0, 0.2, 0.4, np.nan]})
    mean, low, high = maps.forgotten(table)
    assert low <= mean == pytest.approx(0.3) and mean <= high


def test_the_figures_say_what_they_show(network, exams):
    predictor, description = network
    scores = maps.score(predictor, exams, [("grad-cam", "P1")])
    from brain_tumor.evaluation import explanations

    drawing = figures.plot_maps(explanations.summary(scores, maps.CONTROLS))
    assert "grad-cam P1" in drawing.alt
    table = pd.DataFrame({"measure": ["AUC", "accuracy"], "value": [0.9, 0.8], "low": 0.7, "high": 0.95, "floor": 0.6})
    assert "masks AUC 0.900" in figures.plot_detection({"masks": table}).alt
    assert figures.plot_randomisation({"x": maps.randomised(predictor, description, exams[:1], "grad-cam", "P1")}).alt
