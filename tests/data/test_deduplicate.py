"""Copies go, and for a reason that is told; what stays holds no two that are alike, nor a slice of the cohort."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from brain_tumor.data import deduplicate, fingerprints
from brain_tumor.data.cache import open_store
from brain_tumor.data.readers.folders import Folders, Pictures


def scan(seed, size=48):
    """Soft shapes between the grey values 40 and 200."""
    noise = np.random.default_rng(seed).standard_normal((size, size)).astype(np.float32)
    shapes = cv2.GaussianBlur(noise, (0, 0), size / 12)
    return (40 + 160 * (shapes - shapes.min()) / np.ptp(shapes)).astype(np.uint8)


def darker(picture):
    return (picture * 0.9).astype(np.uint8)


def pictures_of(*rows):
    """``(pixels, class, part)`` each."""
    pixels, labels, parts = zip(*rows, strict=True)
    folders = Folders((), ("glioma", "none"), (None,) * len(rows), np.array(labels, np.int32), np.array(parts))
    hashes = fingerprints.fingerprints(lambda i: pixels[i], len(rows), "hashing")
    return Pictures(folders, np.empty(0), hashes, "h")


def fates(*rows, cohort=None):
    return deduplicate.deduplicate(pictures_of(*rows), cohort).fates.tolist()


def test_one_of_each_group_of_copies_stays():
    found = fates((scan(0), 0, "train"), (scan(1), 1, "train"), (scan(0), 0, "train"), (darker(scan(1)), 1, "train"))
    assert found == ["", "", "exact", "near"]


def test_a_copy_of_a_test_picture_goes_from_train_whatever_the_order():
    rows = [
        (scan(0), 0, "train"),
        (scan(0), 0, "test"),
        (darker(scan(1)), 1, "validation"),
        (scan(1), 1, "test"),
        (scan(0), 0, "test"),
    ]
    assert fates(*rows) == ["exact", "", "near", "", "exact"]


def test_copies_under_two_classes_all_go():
    assert fates((scan(0), 0, "train"), (scan(0), 1, "train"), (scan(0), 0, "test"), (scan(1), 0, "train")) == [
        "contradictory", "contradictory", "contradictory", "",
    ]  # fmt: skip


def test_nothing_to_see_goes():
    assert fates((np.full((20, 20), 7, np.uint8), 0, "train"), (scan(0), 1, "train")) == ["blank", ""]


def chain(shares):
    """From one picture to another by steps so small that neighbours are nearly the same and the ends are not."""
    return [np.rint((1 - share) * scan(0) + share * scan(1)).astype(np.uint8) for share in shares]


def test_of_a_chain_of_neighbours_more_than_one_stays():
    pictures = chain(np.linspace(0, 1, 13))
    hashes = fingerprints.fingerprints(lambda i: pictures[i], 13, "hashing")
    pairs = {tuple(pair) for pair in fingerprints.near_pairs(hashes).tolist()}
    assert {(i, i + 1) for i in range(12)} <= pairs and (0, 12) not in pairs, "a chain"
    stays = [row for row, fate in enumerate(fates(*((picture, 0, "train") for picture in pictures))) if fate == ""]
    assert 1 < len(stays) < 13


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0, 0.02, 0.1]), st.sampled_from(deduplicate.PREFERENCE)), min_size=1)
)
def test_what_stays_has_no_copies_and_what_goes_has_one_that_stays(drawn):
    rows = [((scan(seed) * (1 - shade)).astype(np.uint8), 0, part) for seed, shade, part in drawn]
    pictures = pictures_of(*rows)
    deduplicated = deduplicate.deduplicate(pictures)
    exact, near = fingerprints.identical_pairs(pictures.fingerprints.digests), fingerprints.near_pairs(pictures.fingerprints)
    stays = deduplicated.fates == ""
    for one, other in np.concatenate([exact, near]):
        assert not (stays[one] and stays[other])
    rank = [deduplicate.PREFERENCE.index(part) for _, _, part in drawn]
    for row in np.flatnonzero(~stays):
        found = {"exact": exact, "near": near}[deduplicated.fates[row]]
        partners = found[(found == row).any(axis=1)].sum(axis=1) - row
        assert any(stays[partner] and rank[partner] <= rank[row] for partner in partners)


@pytest.fixture(scope="module")
def cohort(phantom_cohort):
    return open_store(phantom_cohort)


@pytest.mark.parametrize("sequence", [0, 1, 2, slice(None)], ids=["pre", "flair", "post", "all three"])
def test_a_slice_of_the_cohort_goes_whichever_sequence_is_shown(cohort, sequence):
    row = int(cohort.slices.tumour_px.argmax())
    saved_again = np.asarray(darker(cv2.resize(cohort.images[row], (80, 80)))[..., sequence])
    assert fates((saved_again, 0, "train"), (scan(0), 1, "train"), cohort=cohort) == ["patients", ""]


def test_the_count_is_told_by_kind_part_and_class(cohort):
    slice_itself = np.asarray(cohort.images[int(cohort.slices.tumour_px.argmax())])
    rows = [(scan(0), 0, "train"), (scan(0), 0, "test"), (scan(1), 1, "train"), (slice_itself, 1, "test"), (scan(2), 1, "test")]
    deduplicated = deduplicate.deduplicate(pictures_of(*rows), cohort)
    none = {"train": 0, "test": 0}
    facts = deduplicated.to_json()
    assert facts["classes"] == ["glioma", "none"] and facts["read"] == 5
    assert facts["compared_with"] == {
        "cohort": "phantom", "slices": len(cohort.slices), "phantom": True, "data_hash": cohort.data_hash,
    }  # fmt: skip
    assert facts["dropped"] == {
        "blank": none,
        "patients": {"train": 0, "test": 1},
        "contradictory": none,
        "exact": {"train": 1, "test": 0},
        "near": none,
    }
    assert facts["left"] == {"train": {"glioma": 0, "none": 1}, "test": {"glioma": 1, "none": 1}}
    assert deduplicated.rows("train").tolist() == [2] and deduplicated.rows("test").tolist() == [1, 4]
    assert deduplicate.deduplicate(pictures_of(*rows)).to_json()["compared_with"] is None


def test_the_hashes_know_what_was_read_and_what_stays(cohort):
    slice_itself = np.asarray(cohort.images[int(cohort.slices.tumour_px.argmax())])
    pictures = pictures_of((scan(0), 0, "train"), (scan(1), 1, "train"), (slice_itself, 0, "train"))
    alone, compared = deduplicate.deduplicate(pictures).identity, deduplicate.deduplicate(pictures, cohort).identity
    assert alone["data_hash"] == compared["data_hash"] == "h"
    assert alone["kept_hash"] != compared["kept_hash"]
