"""The same picture twice: exactly by its pixels, nearly by hash and thumbnail, and never because there is nothing to see."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from brain_tumor.data import fingerprints
from brain_tumor.data.fingerprints import fingerprint, identical_pairs, near_pairs, perceptual_hashes


def scan(seed, size=64):
    """Soft shapes that fill the grey values 40 to 200, so that brightness can change without clipping."""
    noise = np.random.default_rng(seed).standard_normal((size, size)).astype(np.float32)
    shapes = cv2.GaussianBlur(noise, (0, 0), size / 12)
    return (40 + 160 * (shapes - shapes.min()) / np.ptp(shapes)).astype(np.uint8)


def fingerprints_of(*pictures):
    return fingerprints.fingerprints(lambda i: pictures[i], len(pictures), "hashing")


def near(*pictures, **options):
    return near_pairs(fingerprints_of(*pictures), **options).tolist()


def distance(first, second):
    one, other = perceptual_hashes(fingerprints_of(first, second).thumbnails)
    return int(np.bitwise_count(one ^ other))


@pytest.mark.parametrize(
    "copy",
    [
        lambda grey: np.repeat(grey[..., None], 3, axis=-1),
        lambda grey: np.dstack([grey, np.full_like(grey, 255)]),
        lambda grey: np.dstack([grey, grey, grey, np.zeros_like(grey)]),
        lambda grey: np.asfortranarray(grey),
    ],
    ids=["three equal channels", "with alpha", "three channels with alpha", "another memory order"],
)
def test_a_digest_is_of_what_is_seen(copy):
    assert fingerprint(copy(scan(0)))[0] == fingerprint(scan(0))[0]


def test_a_digest_knows_one_pixel_the_shape_and_the_order_of_channels():
    grey = scan(0)
    changed = grey.copy()
    changed[3, 5] += 1
    colour = np.dstack([scan(0), scan(1), scan(2)])
    variants = [grey, changed, grey.reshape(32, 128), colour, colour[..., ::-1]]
    assert len({fingerprint(variant)[0] for variant in variants}) == 5


@pytest.mark.parametrize("grey", [0, 7, 255])
def test_a_picture_of_one_grey_value_is_blank_and_like_no_other(grey):
    flat = np.full((20, 20), grey, np.uint8)
    hashes = fingerprints_of(flat, flat, flat)
    assert hashes.digests.tolist() == ["", "", ""]
    assert hashes.blank.all()
    assert len(identical_pairs(hashes.digests)) == len(near_pairs(hashes)) == 0


def test_faint_noise_is_blank_but_twice_the_same_noise_is_identical():
    noise = np.random.default_rng(0).integers(0, 6, (64, 64), dtype=np.uint8)
    hashes = fingerprints_of(noise, noise, noise // 2)
    assert hashes.blank.all()
    assert identical_pairs(hashes.digests).tolist() == [[0, 1]]
    assert len(near_pairs(hashes)) == 0


@given(st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=12))
def test_identical_pairs_are_those_that_a_double_loop_finds(digests):
    expected = [(i, j) for j in range(len(digests)) for i in range(j) if digests[i] == digests[j] != ""]
    found = identical_pairs(np.array(digests, dtype="U64")).tolist()
    assert sorted(map(tuple, found)) == sorted(expected)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), gain=st.floats(0.6, 1.2), offset=st.integers(-20, 15), seed_of_noise=st.integers(0, 9))
def test_a_change_of_brightness_and_a_little_noise_leave_a_near_duplicate(seed, gain, offset, seed_of_noise):
    noise = np.random.default_rng(seed_of_noise).normal(0, 1, (64, 64))
    copy = np.clip(scan(seed) * gain + offset + noise, 0, 255).astype(np.uint8)
    assert distance(scan(seed), copy) <= fingerprints.THRESHOLD
    assert near(scan(seed), copy) == [[0, 1]]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 999))
def test_another_size_is_a_near_duplicate(seed):
    assert near(scan(seed), cv2.resize(scan(seed), (96, 80), interpolation=cv2.INTER_CUBIC)) == [[0, 1]]


def test_saving_as_jpeg_leaves_a_near_duplicate():
    decoded = cv2.imdecode(cv2.imencode(".jpg", scan(3), [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_GRAYSCALE)
    assert not np.array_equal(decoded, scan(3))
    assert near(scan(3), decoded) == [[0, 1]]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 999), st.integers(1000, 1999))
def test_other_pictures_are_no_near_duplicates(one, other):
    assert near(scan(one), scan(other), threshold=fingerprints.MOST_BITS) == []


def test_identical_pictures_are_not_told_again_as_near():
    assert near(scan(1), scan(1), scan(1) // 2) == [[0, 2], [1, 2]]


def test_alike_hashes_of_unlike_pictures_do_not_count(monkeypatch):
    monkeypatch.setattr(fingerprints, "perceptual_hashes", lambda thumbnails: np.zeros(len(thumbnails), np.uint64))
    assert near(scan(1), scan(2), scan(1) // 2) == [[0, 2]]


def test_a_threshold_of_no_bits_asks_for_equal_hashes():
    copies = [np.clip(scan(seed).astype(int) + 5 * (scan(seed + 50) > 120), 0, 255).astype(np.uint8) for seed in range(12)]
    apart = [distance(scan(seed), copy) for seed, copy in enumerate(copies)]
    found = [near(scan(seed), copy, threshold=0) == [[0, 1]] for seed, copy in enumerate(copies)]
    assert found == [bits == 0 for bits in apart]
    assert any(0 < bits <= fingerprints.THRESHOLD for bits in apart)


def test_chunks_change_nothing(monkeypatch):
    pictures = [scan(seed // 2) // (1 + seed % 2) for seed in range(14)]
    whole = near(*pictures)
    monkeypatch.setattr(fingerprints, "ROWS", 3)
    monkeypatch.setattr(fingerprints, "CANDIDATES", 1)
    assert sorted(near(*pictures)) == sorted(whole) == [[seed, seed + 1] for seed in range(0, 14, 2)]


def test_no_pictures_have_no_pairs():
    hashes = fingerprints.fingerprints(None, 0, "hashing")
    assert len(identical_pairs(hashes.digests)) == len(near_pairs(hashes)) == 0
