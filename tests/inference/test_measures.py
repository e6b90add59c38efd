"""Regions in numbers that are known, and two networks one after the other."""

import numpy as np
import pytest

from brain_tumor.errors import ModelError
from brain_tumor.inference.cascade import Cascade
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.measures import measure, side
from brain_tumor.inference.predictor import Predictor
from brain_tumor.models import classifier

HEAD = np.zeros((40, 60), np.uint8)
HEAD[5:35, 10:50] = 100


def test_a_region_in_pixels_and_millimetres():
    masks = np.zeros((3, 40, 60), np.uint8)
    masks[1, 10:14, 12:22] = 1
    measures = measure(np.stack([HEAD] * 3), masks, np.array([7, 8, 9]), (5.0, 0.5, 2.0))
    (region,) = measures.regions
    assert (region.slice, region.pixels, region.area_mm2, region.side) == (8, 40, 40.0, "left")
    assert region.box == (10, 12, 14, 22) and region.centre == (11.5, 16.5)
    assert (measures.slices, measures.voxels, measures.ml) == (3, 40, 0.2)


def test_without_a_size_there_is_no_volume():
    measures = measure(HEAD[None], np.ones((1, 40, 60), np.uint8), np.array([1]))
    assert measures.ml is None and measures.regions[0].area_mm2 is None and measures.voxels == 2400
    nothing = measure(HEAD[None], np.zeros((1, 40, 60), np.uint8), np.array([1]), (1.0, 1.0, 1.0))
    assert (nothing.regions, nothing.ml) == ((), 0.0)


@pytest.mark.parametrize(("column", "where"), [(12.0, "left"), (29.5, "middle"), (31.0, "middle"), (45.0, "right")])
def test_sides(column, where):
    assert side(HEAD, column) == where
    assert side(HEAD * 0, column) == "middle"


@pytest.fixture(scope="module")
def exam():
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    return Exam("A", images, np.arange(1, 6), np.arange(5))


@pytest.mark.backend
def test_a_network_for_masks_tells_slices_by_its_most_probable_pixel(network, exam):
    outliner = Predictor(network, "unit")
    finding, prediction = Cascade(outliner).predict(exam), outliner.predict(exam)
    assert np.allclose(finding.probability, prediction.native.max(axis=(1, 2)) / 255)
    assert np.array_equal(finding.masks, prediction.masks(0.5))
    assert finding.positive.tolist() == finding.masks.any(axis=(1, 2)).tolist()


@pytest.mark.backend
def test_nothing_is_outlined_where_the_first_network_tells_nothing(network, exam):
    outliner, detector = Predictor(network, "unit"), Predictor(classifier.plain(32), "unit")
    probability = detector.predict(exam).probability
    middle = Predictor(detector.model, "unit", threshold=float(np.median(probability)))
    gated, both = Cascade(outliner, middle).predict(exam), Cascade(outliner, middle, gated=False).predict(exam)
    assert np.array_equal(gated.probability, probability) and gated.positive.sum() == 2
    assert not gated.masks[~gated.positive].any()
    assert np.array_equal(gated.masks[gated.positive], both.masks[gated.positive])
    assert np.array_equal(both.masks, Cascade(outliner).predict(exam).masks)
    assert gated.measures.voxels == gated.masks.sum()


@pytest.mark.backend
def test_networks_that_cannot_work_together_are_refused(network):
    outliner, detector = Predictor(network), Predictor(classifier.plain(32))
    for wrong in ((detector, None), (outliner, outliner)):
        with pytest.raises(ModelError, match="a network that outlines"):
            Cascade(*wrong)
    with pytest.raises(ModelError, match="other sequences"):
        Cascade(outliner, Predictor(classifier.plain(32), sequences=("t1", "t2", "flair")))
