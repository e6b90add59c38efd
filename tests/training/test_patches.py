"""Patches lie where the seed says, hold what the exam holds there, and tumour as often as is asked for."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from brain_tumor.training import augment, brightness
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.batches import TrainingBatches
from brain_tumor.training.patches import Patches, Volumes, draw, region_areas

RNG = np.random.default_rng(0)


def volumes(counts=(7, 12), side=20, regions=2):
    """Exams whose voxels say where they are."""
    total = sum(counts)
    images = RNG.integers(1, 256, (total, side, side, 3)).astype(np.uint8)
    depths = np.zeros((total, side, side), np.uint8)
    depths[3:5, 10:14, 2:6] = 1
    depths[4, 11, 3] = 2
    depths[counts[0] + 8, 1, 18] = 1
    first = np.cumsum([0, *counts[:-1]])
    scalings = np.stack([np.full((4, 3), number, np.float32) for number in range(len(counts))])
    return Volumes(images, depths, first, np.array(counts), scalings, region_areas(depths, regions), 1)


@given(
    st.tuples(st.integers(-5, 8), st.integers(-6, 22), st.integers(-6, 22)), st.sampled_from([(4, 6, 6), (9, 30, 8), (1, 3, 3)])
)
@settings(max_examples=60)
def test_a_patch_is_what_lies_there_and_background_beyond(corner, size):
    exam = volumes()
    cut = Patches(exam.images, np.array([[7, 12, *corner]]), size)[np.array([0])][0]
    assert cut.shape == (*size, 3)
    padded = np.pad(exam.images[7:19], [(40, 40)] * 3 + [(0, 0)])
    there = tuple(slice(40 + start, 40 + start + side) for start, side in zip(corner, size, strict=True))
    assert np.array_equal(cut, padded[there])


def test_areas_of_nested_regions():
    exam = volumes()
    assert np.array_equal(exam.areas[:, 0], (exam.depths > 0).sum((1, 2))) and exam.areas[:, 1].sum() == 1


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_as_many_patches_hold_tumour_as_are_asked_for(share):
    arrays = draw(volumes(), (3, 5, 5), 200, share, [1])
    assert len(arrays.rows) == 400
    held = np.array([arrays.targets[np.array([row])].any() for row in arrays.rows])
    assert held[:200].mean() >= share - 0.1 and (share < 1 or held.all())
    inner = np.array([(arrays.targets[np.array([row])] > 1).any() for row in arrays.rows[:200]])
    assert share < 1 or inner.mean() > 0.4  # every second one is drawn for the inner region, which has one voxel
    assert np.array_equal(arrays.scalings[[0, -1], 0, 0], [0, 1])


@given(st.integers(1, 30), st.integers(1, 30))
@settings(max_examples=30)
def test_patches_lie_inside_where_they_fit_and_around_the_middle_where_not(planes, side):
    arrays = draw(volumes(), (planes, side, side), 3, 0.5, [planes, side])
    for first, count, *corner in arrays.images.places:
        for start, length, size in zip(corner, (count, 20, 20), (planes, side, side), strict=True):
            assert (0 <= start <= length - size) if size <= length else start == (length - size) // 2
        assert (first, count) in ((0, 7), (7, 12))


def test_the_seed_decides_and_epochs_differ():
    one, again, other = (draw(volumes(), (3, 5, 5), 4, 0.5, [7, epoch]).images.places for epoch in (0, 0, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_an_image_made_of_its_mask_stays_so_under_every_change():
    depths = np.zeros((12, 24, 24), np.uint8)
    depths[2:9, 6:16, 5:18] = 1
    depths[4:7, 8:12, 8:14] = 2
    images = np.repeat(depths[..., None] * np.uint8(100), 2, axis=-1)
    exam = Volumes(images, depths, np.array([0]), np.array([12]), np.ones((1, 4, 2), np.float32), region_areas(depths, 2), 0)
    arrays = draw(exam, (4, 16, 16), 8, 0.5, [3])
    moving = Augmentation(warp=0.1, elastic=0.05, gamma=0.0, sequence_dropout=0.0)
    batches = TrainingBatches(arrays, 4, moving, 5, 0)
    planned = batches.draw(0)
    moved, masks = augment.apply(*arrays.take(planned.rows)[:2], planned.matrices, planned.warp)
    assert moved.shape == (4, 4, 16, 16, 2) and masks.shape == (4, 4, 16, 16)
    sure = (moved[..., 0] % 100) == 0
    assert sure.mean() > 0.5 and np.array_equal(moved[..., 0][sure] // 100, masks[sure])
    normalised, truth = batches[0]
    assert normalised.shape == (4, 4, 16, 16, 2) and truth.shape == (4, 4, 16, 16, 1) and set(np.unique(truth)) <= {0, 1, 2}


def test_a_dropped_sequence_becomes_a_copy_of_the_reference_in_every_plane():
    exams = volumes()
    arrays = draw(exams, (4, 8, 8), 6, 0.5, [0])
    dropping = Augmentation(flip=False, rotation_degrees=0, zoom=0, gamma=0.0, sequence_dropout=1.0)
    drawn = TrainingBatches(arrays, len(arrays.rows), dropping, 0, 0).draw(0)
    before = arrays.images[drawn.rows]
    images = brightness.apply(before, drawn.intensity)
    np.testing.assert_array_equal(images[..., exams.reference], before[..., exams.reference])
    copied = [(images[..., other] == before[..., exams.reference]).all(axis=(1, 2, 3)) for other in (0, 2)]
    assert np.logical_or(*copied).all() and all(of.any() and not of.all() for of in copied)
