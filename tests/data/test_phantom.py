"""The phantom keeps its promises: layout, determinism, lesions of every size, empty slices, missing sequences, mimics."""

import errno
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image
from scipy import ndimage

from brain_tumor.data import phantom
from brain_tumor.data.cohort import missing_sequences
from brain_tumor.data.phantom import write_phantom
from brain_tumor.data.readers import lgg
from brain_tumor.errors import DataError

SIZE = 64
SCALE = (SIZE / phantom.NATIVE) ** 2


@pytest.fixture(scope="module")
def volumes():
    """Every volume of the default cohort, drawn small: case_id -> (images, masks)."""
    return {case.case_id: case.load() for case in phantom.open_phantom(size=SIZE)}


@pytest.fixture(scope="module")
def areas(volumes):
    return np.concatenate([masks.sum((1, 2)) for _, masks in volumes.values()])


def bytes_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def test_the_same_seed_draws_the_same_files(tmp_path):
    small = {"patients": 2, "slices": (6, 8), "size": 32}
    first = bytes_of(write_phantom(tmp_path / "a", **small, seed=3))
    assert first == bytes_of(write_phantom(tmp_path / "b", **small, seed=3))
    assert first != bytes_of(write_phantom(tmp_path / "c", **small, seed=4))


def test_it_is_read_as_the_real_tree_is(tmp_path):
    cohort = lgg.read_cohort(write_phantom(tmp_path / "p", patients=2, slices=(6, 8), size=32))
    images, masks = cohort.cases[0].load()
    assert images.shape == (len(cohort.cases[0].slice_numbers), 32, 32, 3)
    assert images.dtype == masks.dtype == np.uint8
    assert 6 <= len(images) <= 8
    assert set(np.unique(masks)) == {0, 1}


def test_no_patient_code_can_be_a_real_one(phantom_cohort, tree):
    assert phantom.is_phantom(phantom_cohort)
    assert not phantom.is_phantom(lgg.read_cohort(tree))
    assert [case.patient[-4:] for case in sorted(phantom_cohort, key=lambda case: case.patient[-4:])] == [
        "P001", "P002", "P003", "P004", "P005", "P006",
    ]  # fmt: skip


def test_every_patient_has_one_tumour_on_neighbouring_slices(volumes):
    for case_id, (_, masks) in volumes.items():
        shown = np.flatnonzero(masks.any((1, 2)))
        assert len(shown) >= 2, case_id
        assert (np.diff(shown) == 1).all(), case_id


def test_lesions_span_the_sizes_of_the_real_ones(areas):
    lesions = areas[areas > 0] / SCALE
    assert lesions.min() < 200
    assert lesions.max() > 5000
    assert lesions.max() < 9000
    assert lesions.min() >= phantom.TUMOUR_PX[0]


def test_most_slices_are_empty(areas):
    assert 0.58 <= np.mean(areas == 0) <= 0.67


def test_neighbouring_slices_are_alike_but_not_the_same(volumes):
    dice = []
    for _, masks in volumes.values():
        shown = masks[masks.any((1, 2))].astype(bool)
        dice += [2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in pairwise(shown)]
    assert 0.6 < np.median(dice) < 0.95


def test_missing_sequences_are_found_again_from_pixels(volumes):
    found = sorted(missing for images, _ in volumes.values() if (missing := missing_sequences(images, lgg.SEQUENCES)))
    assert found == [("post",), ("post",), ("pre", "post"), ("pre", "post")]


def test_sites_are_dealt_as_in_the_real_data_and_differ_in_contrast(volumes):
    sites = [case_id.split("_")[1] for case_id in volumes]
    assert sites.count("EZ") == 1
    assert max(set(sites), key=sites.count) == "DU"
    assert set(sites) == set(lgg.SITES)
    brightness = [np.percentile(images[..., lgg.FLAIR], 95) for images, _ in volumes.values()]
    assert max(brightness) > 1.5 * min(brightness)


def test_a_threshold_on_flair_does_badly(volumes):
    truths = np.concatenate([masks.ravel() for _, masks in volumes.values()]).astype(bool)
    flairs = np.concatenate(
        [(flair := images[..., lgg.FLAIR] / 1.0).ravel() / np.percentile(flair, 99) for images, _ in volumes.values()]
    )
    scores = []
    for threshold in np.arange(0.1, 1.3, 0.05):
        called = flairs > threshold
        scores.append(2 * (called & truths).sum() / (called.sum() + truths.sum()))
    assert max(scores) < 0.6


def test_but_the_tumour_is_brighter_than_the_brain_around_it(volumes):
    brighter = []
    for images, masks in volumes.values():
        for image, mask in zip(images, masks.astype(bool), strict=True):
            around = ndimage.binary_dilation(mask, iterations=3) & ~ndimage.binary_dilation(mask)
            if mask.sum() >= 20 and around.any():
                brighter.append(np.median(image[mask, lgg.FLAIR]) > np.median(image[around, lgg.FLAIR]))
    assert np.mean(brighter) > 0.8


def test_the_clinical_table_has_blanks_and_one_blank_patient(phantom_cohort):
    blanks = [sum(value is None for value in case.clinical.values()) for case in phantom_cohort]
    assert {len(case.clinical) for case in phantom_cohort} == {len(phantom.CLINICAL)}
    assert blanks.count(len(phantom.CLINICAL)) == 1
    assert 0 < sum(blanks) - len(phantom.CLINICAL) < 30


def test_it_is_drawn_once_and_found_again(home, monkeypatch):
    first = phantom.open_phantom(patients=1, slices=(6, 6), size=32)
    monkeypatch.setattr(phantom, "write_phantom", None)
    again = phantom.open_phantom(patients=1, slices=(6, 6), size=32)
    assert again.fingerprint() == first.fingerprint()
    assert first.phantom and first.name == "phantom"
    assert home in first.root.parents


def test_an_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="exists already"):
        write_phantom(tmp_path, patients=1)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(self, path, *_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(DataError, match="No space left on device"):
        write_phantom(tmp_path / "p", patients=1, slices=(6, 6), size=32)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    site=st.sampled_from(sorted(lgg.SITES)),
    n=st.integers(6, 24),
    share=st.floats(*phantom.TUMOUR_SHARE),
)
def test_any_seed_draws_a_connected_tumour(seed, site, n, share):
    images, masks = phantom.draw_case(np.random.default_rng(seed), site, (n, 48), 60.0, share)
    shown = np.flatnonzero(masks.any((1, 2)))
    assert images.shape == (n, 48, 48, 3)
    assert masks.max() == 1
    assert (np.diff(shown) == 1).all()
    assert masks.sum((1, 2))[shown].min() >= 1
