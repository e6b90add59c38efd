"""The pixels of an exam decide which network answers."""

import keras
import numpy as np
import pytest

from brain_tumor.data.cohort import missing_sequences
from brain_tumor.errors import ModelError
from brain_tumor.inference import route
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.predictor import Predictor
from brain_tumor.models import unet

SEQUENCES = ("pre", "flair", "post")


@pytest.fixture(scope="module")
def networks():
    keras.utils.set_random_seed(1)
    complete, flair = unet.resunet(16, filters=(4, 8)), unet.resunet(16, filters=(4, 8))
    return Predictor(complete, "unit"), Predictor(flair, "unit", "neighbours")


@pytest.fixture
def exam(images):
    return Exam("A", images, np.arange(1, len(images) + 1), np.arange(len(images)))


def test_every_sequence_and_every_pair_may_be_lacking():
    assert route.patterns(SEQUENCES) == [
        (), ("pre",), ("flair",), ("post",), ("pre", "flair"), ("pre", "post"), ("flair", "post"),
    ]  # fmt: skip
    assert route.patterns(("t1", "t2")) == [(), ("t1",), ("t2",)]


@pytest.mark.parametrize("removed", [(), ("pre",), ("post",), ("pre", "post")])
def test_an_exam_that_lacks_sequences_goes_to_the_network_of_flair(networks, exam, removed):
    lacking = route.without(exam, SEQUENCES, removed, 1)
    chosen, missing = route.choose(*networks, lacking)
    assert missing == removed
    assert chosen is networks[bool(removed)]
    np.testing.assert_array_equal(lacking.images[..., 1], exam.images[..., 1])


def test_one_slice_that_differs_is_enough_to_be_there(networks, exam):
    lacking = route.without(exam, SEQUENCES, ("post",), 1)
    lacking.images[3, 2, 2, 2] ^= 1
    assert route.choose(*networks, lacking) == (networks[0], ())


def test_where_flair_itself_is_removed_another_stands_in(exam):
    lacking = route.without(exam, SEQUENCES, ("flair",), 1)
    np.testing.assert_array_equal(lacking.images[..., 1], exam.images[..., 2])
    lacking = route.without(exam, SEQUENCES, ("flair", "post"), 1)
    for channel in (1, 2):
        np.testing.assert_array_equal(lacking.images[..., channel], exam.images[..., 0])
    assert missing_sequences(lacking.images, SEQUENCES) == ("pre", "post"), "what is left looks like FLAIR alone"


def test_a_measured_scaling_goes_with_its_sequence(exam):
    scaled = Exam(exam.name, exam.images, exam.slice_numbers, exam.rows, scaling=np.arange(12, dtype=np.float32).reshape(4, 3))
    lacking = route.without(scaled, SEQUENCES, ("pre",), 1)
    np.testing.assert_array_equal(lacking.scaling[:, 0], scaled.scaling[:, 1])
    np.testing.assert_array_equal(scaled.scaling[:, 0], [0, 3, 6, 9])


def test_networks_of_other_sequences_are_refused(networks, exam):
    other = Predictor(networks[1].model, "unit", "flair", sequences=("t1", "flair", "t2"), reference=1)
    with pytest.raises(ModelError, match="trained on pre, flair, post and on t1, flair, t2"):
        route.choose(networks[0], other, exam)
