"""Image and mask move together, intensity touch the image alone, and what is drawn is a function of its seed."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from brain_tumor.data.readers.lgg import FLAIR
from brain_tumor.training import augment, brightness
from brain_tumor.training.augment import Augmentation

SIZE = 64
FLIP = Augmentation(flip=True, rotation_degrees=0, zoom=0)
FAR = Augmentation(flip=True, rotation_degrees=180, zoom=0.5)


def matrices(augmentation, n, seed=0, size=SIZE):
    return augment.draw(augmentation, n, size, np.random.default_rng(seed))


def intensity(augmentation, n, seed=0):
    return brightness.draw(augmentation, n, 3, np.random.default_rng(seed), FLAIR)


def random_slices(n=6, size=SIZE):
    generator = np.random.default_rng(1)
    return generator.integers(0, 256, (n, size, size, 3), np.uint8), generator.integers(0, 2, (n, size, size), np.uint8)


def blobs(n, seed):
    """Ellipses off the centre, as masks."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    centres, radii = generator.uniform(24, 40, (n, 2, 1, 1)), generator.uniform(12, 18, (n, 2, 1, 1))
    return ((((y - centres[:, 0]) / radii[:, 0]) ** 2 + ((x - centres[:, 1]) / radii[:, 1]) ** 2) < 1).astype(np.uint8)


def test_none_changes_nothing():
    images, masks = random_slices()
    moved = augment.apply(images, masks, matrices(augment.NONE, len(images)))
    np.testing.assert_array_equal(moved[0], images)
    np.testing.assert_array_equal(moved[1], masks)
    np.testing.assert_array_equal(brightness.apply(images, intensity(augment.NONE, len(images))), images)


@pytest.mark.parametrize("size", [SIZE, 33])
def test_a_flip_is_its_own_inverse(size):
    images, masks = random_slices(size=size)
    flips = matrices(FLIP, len(images), size=size)
    once = augment.apply(images, masks, flips)
    mirrored = flips[:, 0, 0] < 0
    assert 0 < mirrored.sum() < len(images)
    np.testing.assert_array_equal(once[0][mirrored], images[mirrored, :, ::-1])
    np.testing.assert_array_equal(once[1][~mirrored], masks[~mirrored])
    twice = augment.apply(*once, flips)
    np.testing.assert_array_equal(twice[0], images)
    np.testing.assert_array_equal(twice[1], masks)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_image_and_mask_stay_aligned(seed):
    masks = blobs(4, seed)
    images = np.repeat(255 * masks[..., None], 3, axis=-1)
    moved, moved_masks = augment.apply(images, masks, matrices(FAR, 4, seed))
    seen = moved[..., 0] > 127
    dice = 2 * (seen & (moved_masks == 1)).sum(axis=(1, 2)) / (seen.sum(axis=(1, 2)) + moved_masks.sum(axis=(1, 2)))
    assert dice.min() >= 0.98


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_no_new_label_appears(seed):
    labels = np.random.default_rng(seed).choice(np.array([0, 1, 2, 4], np.uint8), (3, SIZE, SIZE))
    images = np.repeat(labels[..., None], 3, axis=-1)
    assert set(np.unique(augment.apply(images, labels, matrices(FAR, 3, seed))[1])) <= {0, 1, 2, 4}


@given(st.integers(0, 10_000), st.floats(0, 90), st.floats(0, 1), st.booleans())
@settings(max_examples=50, deadline=None)
def test_moves_stay_within_what_was_asked_and_keep_the_centre(seed, rotation, zoom, flip):
    drawn = matrices(Augmentation(flip, rotation, zoom), 5, seed).astype(float)
    linear, centre = drawn[:, :, :2], np.full(2, (SIZE - 1) / 2)
    np.testing.assert_allclose(linear @ centre + drawn[:, :, 2], np.tile(centre, (5, 1)), atol=1e-3)
    scales = np.linalg.svd(linear, compute_uv=False)
    assert ((1 / (1 + zoom) - 1e-5 <= scales) & (scales <= 1 + zoom + 1e-5)).all()
    turned = np.rad2deg(np.arccos(np.clip(linear[:, 1, 1] / scales[:, 0], -1, 1)))  # rows never mirror, only turn
    assert (turned <= rotation + 0.1).all()
    assert flip or (np.linalg.det(linear) > 0).all()


def test_a_matrix_says_where_a_pixel_goes():
    image, mask = np.zeros((1, SIZE, SIZE, 3), np.uint8), np.zeros((1, SIZE, SIZE), np.uint8)
    x, y = 20, 50
    mask[0, y - 2 : y + 3, x - 2 : x + 3] = 1
    for seed in range(10):
        matrix = matrices(Augmentation(rotation_degrees=30), 1, seed)
        _, moved = augment.apply(image, mask, matrix)
        found = np.argwhere(moved[0]).mean(axis=0)[::-1]
        np.testing.assert_allclose(found, matrix[0] @ (x, y, 1), atol=0.5)


def test_the_same_seed_draws_the_same():
    np.testing.assert_array_equal(matrices(FAR, 8, seed=5), matrices(FAR, 8, seed=5))
    assert not np.array_equal(matrices(FAR, 8, seed=5), matrices(FAR, 8, seed=6))


@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_and_types_are_kept_whatever_the_slice(channels):
    """Slices that are not square keep their shape too; the cache refuses them before they come here."""
    images, masks = np.zeros((2, 20, 30, channels), np.uint8), np.zeros((2, 20, 30), np.uint8)
    moved, moved_masks = augment.apply(images, masks, matrices(FAR, 2, size=20))
    assert (moved.shape, moved.dtype) == (images.shape, np.uint8)
    assert (moved_masks.shape, moved_masks.dtype) == (masks.shape, np.uint8)


def test_what_it_is_given_is_left_alone():
    images, masks = random_slices()
    before = images.copy(), masks.copy()
    augment.apply(images, masks, matrices(FAR, len(images)))
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(masks, before[1])


@given(st.integers(0, 10_000), st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_lighting_keeps_black_white_and_the_order_between(seed, gamma):
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None, None], (5, 256, 1, 3))
    drawn = intensity(Augmentation(gamma=gamma, sequence_dropout=0), 5, seed)
    assert ((1 / (1 + gamma) - 1e-9 <= drawn.gammas) & (drawn.gammas <= 1 + gamma + 1e-9)).all()
    lit = brightness.apply(ramp, drawn)
    assert (lit[:, 0] == 0).all()
    assert (lit[:, 255] == 255).all()
    assert (np.diff(lit.astype(int), axis=1) >= 0).all()


def test_missing_sequences_become_copies_of_flair_and_flair_stays():
    images, _ = random_slices(200, size=4)
    drawn = intensity(Augmentation(gamma=0, sequence_dropout=0.5), len(images))
    changed = brightness.apply(images, drawn)
    np.testing.assert_array_equal(changed[..., FLAIR], images[..., FLAIR])
    assert not drawn.copied[:, FLAIR].any()
    for channel in (0, 2):
        copied = drawn.copied[:, channel]
        np.testing.assert_array_equal(changed[copied, ..., channel], images[copied, ..., FLAIR])
        np.testing.assert_array_equal(changed[~copied, ..., channel], images[~copied, ..., channel])
    assert 80 < drawn.copied.any(axis=1).sum() < 120, "half of the 200 slices lack something"
    assert len(np.unique(drawn.copied, axis=0)) == 4, "none, pre, post and both"


def test_lighting_leaves_a_missing_sequence_the_copy_it_is():
    images, _ = random_slices(20, size=4)
    drawn = intensity(Augmentation(gamma=0.5, sequence_dropout=1), len(images))
    changed = brightness.apply(images, drawn)
    for slice_, copied in zip(changed, drawn.copied, strict=True):
        assert (slice_[..., copied] == slice_[..., FLAIR, None]).all()


def test_tones_are_those_of_their_seed_and_leave_what_they_are_given_alone():
    images, _ = random_slices()
    before = images.copy()
    changed = [brightness.apply(images, intensity(Augmentation(), len(images), seed)) for seed in (5, 5, 6)]
    np.testing.assert_array_equal(changed[0], changed[1])
    assert not np.array_equal(changed[0], changed[2])
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("channels", [4, 5])
def test_what_comes_after_three_sequences_is_moved_and_never_toned(channels):
    generator = np.random.default_rng(2)
    images = generator.integers(0, 256, (8, SIZE, SIZE, channels), np.uint8)
    drawn = brightness.draw(Augmentation(gamma=0.5, sequence_dropout=1), 8, 3, np.random.default_rng(3), FLAIR)
    changed = brightness.apply(images, drawn)
    np.testing.assert_array_equal(changed[..., 3:], images[..., 3:])
    np.testing.assert_array_equal(changed[..., :3], brightness.apply(images[..., :3], drawn))
    assert not np.array_equal(changed[..., :3], images[..., :3])
    images[..., 3] = 255 * blobs(8, 0)
    moved, masks = augment.apply(images, blobs(8, 0), matrices(FAR, 8))
    assert not np.array_equal(moved[..., 3], images[..., 3])
    seen = moved[..., 3] > 127
    assert 2 * (seen & (masks == 1)).sum() / (seen.sum() + masks.sum()) >= 0.98, "the fourth channel moves with the mask"


@pytest.mark.parametrize(("sequences", "reference"), [(1, 0), (2, 0), (4, 3)])
def test_every_sequence_but_the_reference_may_be_missing(sequences, reference):
    """Of a lone sequence nothing can be missing, so the draw changes nothing."""
    images = np.random.default_rng(1).integers(0, 256, (60, 4, 4, sequences), np.uint8)
    drawn = brightness.draw(
        Augmentation(gamma=0, sequence_dropout=1), 60, sequences, np.random.default_rng(0), reference
    )  # fmt: skip
    others = [channel for channel in range(sequences) if channel != reference]
    assert drawn.copied[:, others].any(axis=0).all() and not drawn.copied[:, reference].any()
    changed = brightness.apply(images, drawn)
    for slice_, original, copied in zip(changed, images, drawn.copied, strict=True):
        np.testing.assert_array_equal(slice_[..., ~copied], original[..., ~copied])
        assert (slice_[..., copied] == original[..., [reference]]).all()


def test_every_plane_of_a_volume_moves_as_a_slice_would():
    generator = np.random.default_rng(4)
    volumes = generator.integers(0, 256, (3, 5, SIZE, SIZE, 2), np.uint8)
    masks = generator.integers(0, 3, (3, 5, SIZE, SIZE), np.uint8)
    moves = matrices(FAR, 3)
    moved, moved_masks = augment.apply(volumes, masks, moves)
    assert (moved.shape, moved_masks.shape) == (volumes.shape, masks.shape)
    for plane in range(5):
        image, mask = augment.apply(volumes[:, plane], masks[:, plane], moves)
        np.testing.assert_array_equal(moved[:, plane], image)
        np.testing.assert_array_equal(moved_masks[:, plane], mask)
    labels = np.arange(3)
    assert augment.apply(volumes, labels, moves)[1] is labels


WARPED = Augmentation(True, 90, 0.2, warp=0.2, warp_probability=1, elastic=0.04, elastic_probability=1)


def warps(augmentation, n, seed=0):
    return augment.draw_warp(augmentation, n, np.random.default_rng(seed))


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_image_and_mask_stay_aligned_however_they_are_warped(seed):
    masks = blobs(4, seed)
    images = np.repeat(255 * masks[..., None], 9, axis=-1)  # as many channels as three slices of three sequences have
    moved, moved_masks = augment.apply(images, masks, matrices(WARPED, 4, seed), warps(WARPED, 4, seed))
    seen = moved[..., 8] > 127
    dice = 2 * (seen & (moved_masks == 1)).sum(axis=(1, 2)) / (seen.sum(axis=(1, 2)) + moved_masks.sum(axis=(1, 2)))
    assert dice.min() >= 0.97
    assert not np.array_equal(moved_masks, augment.apply(images, masks, matrices(WARPED, 4, seed))[1])


def test_a_warp_that_moves_nothing_leaves_what_the_matrices_do():
    images, masks = random_slices()
    still = augment.Warp(np.zeros((6, 4, 2), np.float32), np.zeros((6, 5, 5, 2), np.float32))
    turned = matrices(FLIP, 6)
    for one, other in zip(augment.apply(images, masks, turned, still), augment.apply(images, masks, turned), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_corner_goes_where_it_is_moved():
    mask = np.zeros((1, SIZE, SIZE), np.uint8)
    mask[0, 8:11, 8:11] = 1
    corners = np.zeros((1, 4, 2), np.float32)
    corners[0] = 8 / SIZE  # all corners read 8 pixels further right and down
    warp = augment.Warp(corners, np.zeros((1, 5, 5, 2), np.float32))
    _, moved = augment.apply(mask[..., None], mask, matrices(augment.NONE, 1), warp)
    assert np.argwhere(moved[0]).min(axis=0).tolist() == [0, 0]
    assert moved.sum() == 9


def test_each_change_has_a_probability_of_its_own():
    half = Augmentation(warp=0.2, warp_probability=0.5, elastic=0.05, elastic_probability=0.1, contrast=0.5, brightness=0.5)
    drawn, lit = warps(half, 400), intensity(half, 400)
    shares = {
        "warp": drawn.corners.any(axis=(1, 2)).mean(),
        "elastic": drawn.bends.any(axis=(1, 2, 3)).mean(),
        "contrast": (lit.slopes != 1).any(axis=1).mean(),
        "brightness": (lit.shifts != 0).any(axis=1).mean(),
    }
    assert shares == pytest.approx({"warp": 0.5, "elastic": 0.1, "contrast": 0.5, "brightness": 0.5}, abs=0.08)
    assert warps(Augmentation(), 4) is None


LIT = Augmentation(gamma=0.5, sequence_dropout=0, brightness=0.6, contrast=0.6, bias_field=0.5, bias_field_probability=1)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_brightness_and_contrast_keep_black_white_and_the_order_between(seed):
    drawn = intensity(LIT, 5, seed)
    levels = brightness.curves(drawn).astype(int)
    assert (levels[..., 0] == 0).all() and (levels[..., 255] == 255).all()
    assert (np.diff(levels, axis=-1) >= 0).all()


def test_a_bias_field_brightens_smoothly_and_no_further_than_asked():
    grey = np.full((3, SIZE, SIZE, 3), 100, np.uint8)
    field = Augmentation(gamma=0, sequence_dropout=0, bias_field=0.5, bias_field_probability=1)
    changed = brightness.apply(grey, intensity(field, 3)).astype(float) / 100
    assert changed.std(axis=(1, 2)).min() > 0.02
    assert changed.min() > 0.5 and changed.max() < 1.8, "the spline may swing a little beyond its points"
    assert np.abs(np.diff(changed, axis=1)).max() < 0.1
    np.testing.assert_array_equal(changed[..., 0], changed[..., 2])


def test_neighbours_are_changed_as_their_slice_is():
    """Three slices of three sequences that are all the same slice stay so."""
    slices, _ = random_slices(40, size=8)
    drawn = brightness.draw(Augmentation(gamma=0.5, sequence_dropout=0.5), 40, 3, np.random.default_rng(0), FLAIR, planes=3)
    changed = brightness.apply(np.concatenate([slices] * 3, axis=-1), drawn)
    for plane in (changed[..., 3:6], changed[..., 6:]):
        np.testing.assert_array_equal(plane, changed[..., :3])
    alone = brightness.draw(Augmentation(gamma=0.5, sequence_dropout=0.5), 40, 3, np.random.default_rng(0), FLAIR)
    np.testing.assert_array_equal(changed[..., :3], brightness.apply(slices, alone))
    assert drawn.copied.any()
