"""Lesions move from training patients to training patients, with their masks, and never within a patient or beyond a part."""

from dataclasses import replace

import numpy as np
import pytest

from brain_tumor.data import intensity
from brain_tumor.training import copy_paste
from brain_tumor.training.augment import NONE, Augmentation
from brain_tumor.training.batches import TrainingBatches

PASTE = replace(NONE, copy_paste=1.0)


@pytest.fixture
def arrays(make_slices):
    """Sixteen slices of four patients; the first eight are the training part."""
    slices = make_slices(16)
    return replace(slices, rows=np.arange(8), owners=np.arange(16) // 2)


def test_donors_are_training_rows_with_a_lesion(arrays):
    arrays.targets[3] = 0
    assert arrays.donors.tolist() == [0, 1, 2, 4, 5, 6, 7]


def test_nobody_gets_a_lesion_of_their_own_and_none_comes_from_another_part(arrays):
    for epoch in range(20):
        batches = TrainingBatches(arrays, 8, PASTE, 0, epoch)
        draw = batches.draw(0)
        pasted = draw.lesions >= 0
        assert pasted.any()
        assert set(draw.lesions[pasted]) <= set(arrays.rows)
        assert (arrays.owners[draw.lesions[pasted]] != arrays.owners[draw.rows[pasted]]).all()


def test_as_many_slices_get_one_as_asked(arrays):
    rows = np.repeat(arrays.rows, 500)
    lesions = copy_paste.draw(0.3, rows, arrays.donors, arrays.owners, np.random.default_rng(0))
    assert (lesions >= 0).mean() == pytest.approx(0.3 * 3 / 4, abs=0.03), "a donor of the same patient gives none"


def test_a_pasted_lesion_is_there_with_its_mask_and_all_else_stays(arrays):
    images, masks, scalings = arrays.take(np.array([0, 1]))
    pasted, joined = copy_paste.apply(images, masks, scalings, np.array([5, -1]), arrays)
    np.testing.assert_array_equal(joined[0], np.maximum(masks[0], arrays.targets[5]))
    np.testing.assert_array_equal(pasted[1], images[1])
    np.testing.assert_array_equal(joined[1], masks[1])
    inner = np.zeros_like(masks[0])
    rows, columns = np.nonzero(arrays.targets[5])
    inner[rows.min() + 2 : rows.max() - 1, columns.min() + 2 : columns.max() - 1] = 1
    assert np.abs(pasted[0][inner == 1].astype(int) - arrays.images[5][inner == 1]).max() <= 3
    far = (np.abs(np.arange(16) - rows.mean())[:, None] > 7) | (np.abs(np.arange(16) - columns.mean())[None] > 7)
    np.testing.assert_array_equal(pasted[0][far], images[0][far])


def test_a_lesion_takes_the_brightness_of_its_new_exam(arrays):
    """The recipient's exam is half as bright: so is the lesion there."""
    images, masks, _ = arrays.take(np.array([0]))
    dim = intensity.scaling(np.array([[[[0]], [[255]]]], np.uint8), "unit").repeat(3, axis=-1)
    dim[3] *= 2  # level 100 there means what 200 means here
    pasted, _ = copy_paste.apply(images // 2, masks, dim[None], np.array([5]), arrays)
    rows, columns = np.nonzero(arrays.targets[5])
    centre = int(rows.mean()), int(columns.mean())
    assert pasted[0][centre] == pytest.approx(arrays.images[5][centre] / 2, abs=3)


def test_a_lesion_outside_the_head_is_not_pasted(arrays):
    images, masks, scalings = arrays.take(np.array([0]))
    pasted, joined = copy_paste.apply(np.zeros_like(images), masks, scalings, np.array([5]), arrays)
    assert not pasted.any()
    np.testing.assert_array_equal(joined, masks)


def test_slices_that_lack_other_sequences_do_not_exchange_lesions(arrays):
    images, masks, scalings = arrays.take(np.array([0]))
    images = np.repeat(images[..., :1], 3, axis=-1)  # pre and post are copies of the reference
    pasted, joined = copy_paste.apply(images, masks, scalings, np.array([5]), arrays)
    np.testing.assert_array_equal(pasted, images)
    np.testing.assert_array_equal(joined, masks)


def test_without_it_batches_are_what_they_were(arrays):
    one, other = (TrainingBatches(arrays, 4, changes, 0, 0) for changes in (Augmentation(), Augmentation(copy_paste=0.0)))
    for mine, theirs in zip(one[0], other[0], strict=True):
        np.testing.assert_array_equal(mine, theirs)
