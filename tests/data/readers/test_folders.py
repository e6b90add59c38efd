"""A folder per class: what is found where, which pixels come out, and one clear line for each tree that is not one."""

import os
import shutil

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from brain_tumor.data import intensity
from brain_tumor.data.readers import folders
from brain_tumor.data.readers.folders import open_pictures, read_folders, square_grey
from brain_tumor.errors import DataError


def noise(seed, shape=(20, 20)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write(root, names, pixels=None):
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(number) if pixels is None else pixels).save(root / name)
    return root


@pytest.fixture
def flat(tmp_path):
    return write(tmp_path / "flat", ["glioma/b.png", "glioma/a.png", "none/c.png"])


@pytest.fixture
def halves(tmp_path):
    names = ["Training/glioma/a.png", "Training/none/b.png", "Testing/glioma/c.png", "Testing/none/deep/d.png"]
    return write(tmp_path / "halves", names)


def caches(home):
    return [path.name for path in (home / "data" / "cache").iterdir() if not path.name.endswith(".lock")]


def test_a_flat_set_is_all_train(flat):
    found = read_folders([flat])
    assert found.classes == ("glioma", "none")
    assert [path.name for path in found.paths] == ["a.png", "b.png", "c.png"]
    assert found.labels.tolist() == [0, 0, 1]
    assert found.parts.tolist() == ["train"] * 3


def test_parts_are_told_by_their_folders(halves, flat):
    found = read_folders([halves, flat])
    assert [path.name for path in found.paths] == ["c.png", "d.png", "a.png", "b.png", "a.png", "b.png", "c.png"]
    assert found.parts.tolist() == ["test"] * 2 + ["train"] * 5
    assert found.labels.tolist() == [0, 1, 0, 1, 0, 0, 1]
    assert len(found) == 7


def test_masks_hidden_files_and_notes_are_passed_over(flat):
    write(flat, ["glioma/a_mask.png", "glioma/._a.png", ".checkpoints/a.png"])
    (flat / "none" / "readme.txt").write_text("a note")
    assert len(read_folders([flat])) == 3


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["glioma/a.png"], r"tree: one class only, 'glioma'; expected two or more"),
        (["a.png", "b.png"], r"tree: no pictures in folders of classes; expected CLASS/\*\.jpg"),
        (["Training/a.png", "Training/b.png"], r"Training: no pictures in folders of classes"),
        (["Training/glioma/a.png", "none/b.png"], r"tree: the part 'Training' and the class 'none' side by side"),
        (
            ["Training/glioma/a.png", "Training/none/b.png", "Testing/glioma/c.png", "Testing/nil/c.png"],
            r"tree/Training: no class 'nil', which .*tree/Testing has",
        ),
    ],
    ids=["one class", "no classes", "no classes in a part", "parts and classes", "parts of unlike classes"],
)
def test_a_tree_that_is_not_one_is_refused(tmp_path, names, said):
    with pytest.raises(DataError, match=said):
        read_folders([write(tmp_path / "tree", names)])


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: no such folder"):
        read_folders([tmp_path / "nowhere"])


def test_an_empty_class_is_refused_by_name(flat):
    (flat / "pituitary").mkdir()
    with pytest.raises(DataError, match=r"flat/pituitary: no pictures in this class"):
        read_folders([flat])


def test_roots_of_unlike_classes_are_refused(flat, tmp_path):
    other = write(tmp_path / "other", ["glioma/a.png", "none/b.png", "pituitary/c.png"])
    for roots in ([flat, other], [other, flat]):
        with pytest.raises(DataError, match=r"flat: no class 'pituitary', which .*other has"):
            read_folders(roots)


@pytest.mark.parametrize("shape", [(1, 1), (15, 40)])
def test_a_picture_too_small_is_refused_and_nothing_is_kept(home, flat, shape):
    write(flat, ["none/dot.png"], noise(0, shape))
    with pytest.raises(DataError, match=rf"dot.png: {shape[1]} x {shape[0]} pixels, expected at least 16 x 16"):
        open_pictures(read_folders([flat]), 16)
    assert caches(home) == []


def test_a_damaged_picture_is_refused_by_name_and_nothing_is_kept(home, flat):
    path = flat / "none" / "c.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"c.png"):
        open_pictures(read_folders([flat]), 16)
    assert caches(home) == []


def test_pixels_are_the_padded_and_resized_picture(home, flat):
    write(flat, ["none/wide.png"], noise(9, (20, 30)))
    store = open_pictures(read_folders([flat]), 16)
    assert store.images.shape == (4, 16, 16) and store.images.dtype == np.uint8
    assert np.array_equal(store.images[3], intensity.resize_images(square_grey(noise(9, (20, 30)))[None], 16)[0])
    assert store.images[3][:2].max() == 0, "black above, where the picture is wider than high"


def test_grey_stored_in_other_ways_gives_the_same_pixels(home, tmp_path):
    grey = noise(3)
    alpha = np.full_like(grey, 200)
    ways = {"l": grey, "la": np.dstack([grey, alpha]), "rgb": np.dstack([grey] * 3), "rgba": np.dstack([grey] * 3 + [alpha])}
    for name, pixels in ways.items():
        write(tmp_path / "set", [f"glioma/{name}.png", f"none/{name}.png"], pixels)
    store = open_pictures(read_folders([tmp_path / "set"]), 20)
    assert all(np.array_equal(image, grey) for image in store.images)
    assert len(set(store.fingerprints.digests.tolist())) == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40))
def test_padding_moves_no_pixel_and_adds_only_black(height, width):
    picture = noise(height, (height, width)) | 1
    square = square_grey(picture)
    assert square.shape == (max(height, width),) * 2
    rows, columns = np.nonzero(square)
    assert np.array_equal(square[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1], picture)
    assert abs(rows.min() + rows.max() + 1 - len(square)) <= 1 and abs(columns.min() + columns.max() + 1 - len(square)) <= 1


def test_pictures_are_read_once_and_again_where_one_changes(home, flat, monkeypatch):
    read = []
    decode = folders.read_picture
    monkeypatch.setattr(folders, "read_picture", lambda path, modes: read.append(path.name) or decode(path, modes))
    first = open_pictures(read_folders([flat]), 16)
    again = open_pictures(read_folders([flat]), 16)
    assert sorted(read) == ["a.png", "b.png", "c.png"]
    assert again.data_hash == first.data_hash and np.array_equal(again.images, first.images)
    assert np.array_equal(again.fingerprints.digests, first.fingerprints.digests)
    shutil.copy(flat / "glioma" / "a.png", flat / "none" / "c.png")
    os.utime(flat / "none" / "c.png", (1, 1))
    changed = open_pictures(read_folders([flat]), 16)
    assert len(read) == 6
    assert changed.data_hash != first.data_hash
    assert np.array_equal(changed.images[2], changed.images[0])
    assert len(caches(home)) == 1, "the stale cache is gone"


def test_the_hash_knows_pixels_classes_and_parts_but_neither_place_nor_size(home, flat, tmp_path):
    def hash_of(root, size=16):
        return open_pictures(read_folders([root]), size).data_hash

    plain = hash_of(flat)
    assert hash_of(shutil.copytree(flat, tmp_path / "copy")) == hash_of(flat, 32) == plain
    renamed = shutil.copytree(flat, tmp_path / "renamed")
    (renamed / "none").rename(renamed / "pituitary")
    parted = tmp_path / "parted"
    shutil.copytree(flat, parted / "Testing")
    assert len({plain, hash_of(renamed), hash_of(parted)}) == 3
