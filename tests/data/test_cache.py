"""The store: the same numbers as the source, built once, rebuilt when the source changes, whole or absent."""

import errno
import hashlib
import os
import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from brain_tumor.data import cache, intensity
from brain_tumor.data.cache import open_store
from brain_tumor.data.readers import lgg
from brain_tumor.errors import DataError

CS, HT = "TCGA_CS_0001_19960909", "TCGA_HT_0002_19981126"


@pytest.fixture
def builds(monkeypatch):
    """The names of the folders that were built from pixels."""
    names, build = [], cache._build_native

    def counted(cohort, folder):
        names.append(folder.name)
        build(cohort, folder)

    monkeypatch.setattr(cache, "_build_native", counted)
    return names


def stores_of(home):
    return [path.name for path in (home / "data" / "cache").iterdir() if not path.name.endswith(".lock")]


def test_the_store_holds_what_the_files_hold(home, tree):
    cohort = lgg.read_cohort(tree)
    store = open_store(cohort)
    assert store.images.shape == (15, 16, 16, 3) and store.masks.shape == (15, 16, 16)
    assert store.images.dtype == store.masks.dtype == np.uint8
    for case in cohort:
        images, masks = case.load()
        assert np.array_equal(store.images[store.rows_of(case.case_id)], images)
        assert np.array_equal(store.masks[store.rows_of(case.case_id)], masks)


def test_its_tables_count_slices_and_areas(home, tree):
    store = open_store(lgg.read_cohort(tree))
    assert store.slices.case_id.tolist() == [CS] * 12 + [HT] * 3
    assert store.slices.slice.tolist() == [*range(1, 13), 1, 2, 3]
    assert store.slices.tumour_px.tolist()[:5] == [0, 8, 0, 16, 0]
    first = {"site": "CS", "slices": 12, "tumour_slices": 6, "missing": "", "patient": "TCGA_CS_0001", "never_tested": False}
    second = {"site": "HT", "slices": 3, "tumour_slices": 1, "missing": "", "patient": "TCGA_HT_0002", "never_tested": False}
    assert store.cases.loc[CS].to_dict() == first
    assert store.cases.loc[HT].to_dict() == second


def test_missing_sequences_are_noted(home, phantom_cohort):
    missing = open_store(phantom_cohort).cases.missing
    assert sorted(missing[missing != ""]) == ["post", "pre+post"]


def test_each_slice_takes_the_window_of_its_case(home, tree):
    cohort = lgg.read_cohort(tree)
    store = open_store(cohort)
    for method in intensity.NORMALISATIONS:
        scalings = store.slice_scalings(method)
        assert scalings.shape == (15, 4, 3) and scalings.dtype == np.float32
        assert np.array_equal(scalings[0], intensity.scaling(cohort[CS].load()[0], method))
        assert np.array_equal(scalings[14], intensity.scaling(cohort[HT].load()[0], method))


def test_it_is_built_once_and_reopened(home, tree, builds):
    first = open_store(lgg.read_cohort(tree))
    again = open_store(lgg.read_cohort(tree))
    assert len(builds) == 1
    assert again.folder == first.folder
    assert again.data_hash == first.data_hash
    assert np.array_equal(again.images, first.images)


def test_it_is_rebuilt_when_a_file_changes(home, tree, builds):
    first = open_store(lgg.read_cohort(tree))
    path = tree / HT / f"{HT}_2.tif"
    shutil.copy(tree / HT / f"{HT}_3.tif", path)
    os.utime(path, (1, 1))
    second = open_store(lgg.read_cohort(tree))
    assert len(builds) == 2
    assert second.data_hash != first.data_hash
    assert second.images[13, 0, 0, 0] == 3
    assert stores_of(home) == [second.folder.name]  # the stale one is gone


def test_it_is_rebuilt_when_a_patient_comes(home, tree, write_tree, builds):
    first = open_store(lgg.read_cohort(tree))
    write_tree(tree, {"TCGA_DU_0003_20000101": 4})
    second = open_store(lgg.read_cohort(tree))
    assert len(second.slices) == len(first.slices) + 4
    assert len(builds) == 2


def test_the_same_data_elsewhere_has_the_same_hash(home, tree, tmp_path):
    copy = shutil.copytree(tree, tmp_path / "elsewhere")
    first, second = open_store(lgg.read_cohort(tree)), open_store(lgg.read_cohort(copy))
    assert first.folder != second.folder
    assert first.data_hash == second.data_hash
    assert len(stores_of(home)) == 2  # neither is taken for the stale store of the other


def test_another_size_is_made_from_the_native_store(home, tree, builds):
    cohort = lgg.read_cohort(tree)
    native, small = open_store(cohort), open_store(cohort, 8)
    assert small.images.shape == (15, 8, 8, 3) and small.masks.shape == (15, 8, 8)
    assert np.array_equal(small.images, intensity.resize_images(np.asarray(native.images), 8))
    assert np.array_equal(small.masks, intensity.resize_masks(np.asarray(native.masks), 8))
    assert small.slices.equals(native.slices)  # areas stay those of native pixels
    assert small.data_hash == native.data_hash
    assert open_store(cohort, 16).folder == native.folder
    assert len(builds) == 1


def test_many_at_once_build_it_once(home, tree, builds):
    cohort, hashes = lgg.read_cohort(tree), []
    threads = [threading.Thread(target=lambda: hashes.append(open_store(cohort).data_hash)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builds) == 1
    assert len(hashes) == 6 and len(set(hashes)) == 1


def test_a_full_disk_leaves_nothing(home, tree, monkeypatch):
    written = []

    def full(self, planes):
        written.append(planes)
        if len(written) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(cache._ArrayWriter, "append", full)
        with pytest.raises(DataError, match="cannot write the cache .No space left on device.; nothing was kept"):
            open_store(lgg.read_cohort(tree))
    assert stores_of(home) == []
    assert open_store(lgg.read_cohort(tree)).images.shape[0] == 15  # and the next try succeeds


def test_a_full_disk_while_resizing_keeps_the_native_store(home, tree, monkeypatch):
    native = open_store(lgg.read_cohort(tree))
    monkeypatch.setattr(
        intensity, "resize_masks", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device"))
    )
    with pytest.raises(DataError, match="No space left"):
        open_store(lgg.read_cohort(tree), 8)
    assert stores_of(home) == [native.folder.name]


def test_a_refused_picture_leaves_nothing(home, tree):
    path = tree / HT / f"{HT}_3.tif"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=f"{HT}_3.tif"):
        open_store(lgg.read_cohort(tree))
    assert stores_of(home) == []


def test_cases_of_unlike_sizes_are_refused(home, tree, write_tree):
    write_tree(tree, {"TCGA_DU_0003_20000101": 2}, size=20)
    with pytest.raises(DataError, match="TCGA_DU_0003_20000101_1.tif"):
        open_store(lgg.read_cohort(tree))
    assert stores_of(home) == []


@pytest.mark.parametrize(("width", "height"), [(1, 1), (15, 15), (40, 12)])
def test_what_is_too_small_for_a_slice_is_refused(home, tree, width, height):
    reshape(tree, width, height)
    with pytest.raises(DataError, match=rf"_1\.tif: {width} x {height} pixels, expected at least 16 x 16"):
        open_store(lgg.read_cohort(tree))
    assert stores_of(home) == []


def reshape(tree, width, height):
    for path in tree.rglob("*.tif"):
        Image.open(path).resize((width, height), Image.Resampling.NEAREST).save(path)


@pytest.mark.parametrize(("width", "height"), [(32, 24), (17, 40)])
def test_slices_that_are_not_square_are_padded_and_measured_as_they_were(home, tree, width, height):
    reshape(tree, width, height)
    cohort = lgg.read_cohort(tree)
    native, small = open_store(cohort), open_store(cohort, 16)
    side, digest = max(width, height), hashlib.sha256()
    assert native.images.shape == (15, side, side, 3) and native.masks.shape == (15, side, side)
    assert small.images.shape == (15, 16, 16, 3)
    for case in cohort:
        images, masks = case.load()
        rows = native.rows_of(case.case_id)
        assert np.array_equal(intensity.crop_back(native.images[rows], (height, width)), images)
        assert np.array_equal(intensity.crop_back(native.masks[rows], (height, width)), masks)
        assert np.array_equal(native.slice_scalings("volume")[rows.start], intensity.scaling(images, "volume"))
        assert native.slices.tumour_px[rows].tolist() == masks.sum(axis=(1, 2)).tolist()
        for planes in (case.case_id.encode(), images, masks):
            digest.update(planes)
    assert native.data_hash == digest.hexdigest(), "the hash is of what was read"


def test_a_resized_store_of_an_earlier_preparation_is_not_used(home, tree, monkeypatch, builds):
    cohort = lgg.read_cohort(tree)
    with monkeypatch.context() as earlier:
        earlier.setattr(intensity, "PREPARATION", 1)
        earlier.setattr(intensity, "resize_masks", lambda masks, size: np.zeros((len(masks), size, size), np.uint8))
        stale, native = open_store(cohort, 8), open_store(cohort)
    today = open_store(cohort, 8)
    assert today.folder != stale.folder and not stale.folder.exists()
    assert np.array_equal(today.masks, intensity.resize_masks(np.asarray(native.masks), 8)) and today.masks.any()
    assert open_store(cohort).folder == native.folder and len(builds) == 1, "native pixels are as they were"
    assert today.data_hash == native.data_hash
