"""The one walk over people's folders, rule by rule; and the trees of classes that are not quite as they should be."""

import os
import shutil

import pytest

from brain_tumor.data import tree
from brain_tumor.data.readers import lgg
from brain_tumor.data.readers.folders import read_folders
from brain_tumor.errors import DataError, SplitError
from brain_tumor.leakage import manifests

CS, HT = "TCGA_CS_0001_19960909", "TCGA_HT_0002_19981126"


def lay(root, *names):
    """Files whose bytes are their own name, unless ``name=content`` says otherwise; ``name/`` is an empty folder."""
    for entry in names:
        name, _, content = entry.partition("=")
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            (root / name).mkdir(exist_ok=True)
        else:
            (root / name).write_text(content or name)
    return root


def names(source):
    return sorted(path.relative_to(source.root).as_posix() for paths in source.folders.values() for path in paths)


# ------------------------------------------------------------------------------------------------------------- what is no data


def test_an_orderly_tree_needs_no_note(tmp_path):
    source = tree.walk(lay(tmp_path, "a.tif", "b/c.TIF", "b/d_mask.tif", "b/notes.txt", "e/"))
    assert names(source) == ["a.tif", "b/c.TIF", "b/d_mask.tif", "b/notes.txt"]
    assert [path.name for path in source.below(tmp_path)] == ["a.tif", "c.TIF"]
    assert [path.name for path in source.subfolders(tmp_path)] == ["b", "e"]
    assert source.notes == ()


@pytest.mark.parametrize(
    "name",
    ["._a.tif", ".DS_Store", "Thumbs.db", "THUMBS.DB", "ehthumbs.db", "desktop.ini", ".hidden.tif", "__MACOSX/a.tif",
     "lost+found/a.tif", "@eaDir/a.tif/SYNOPHOTO_THUMB_M.jpg", "$RECYCLE.BIN/a.tif", ".ipynb_checkpoints/a.tif"],
)  # fmt: skip
def test_what_systems_leave_is_no_data_at_any_depth(tmp_path, name):
    source = tree.walk(lay(tmp_path, "deep/a.tif", name, f"deep/{name}"))
    assert names(source) == ["deep/a.tif"]
    assert sum(source.litter.values()) == 2


def test_litter_is_counted_once_in_a_note(tmp_path):
    lay(tmp_path, "a.tif", "._a.tif", "._b.tif", "b/._c.tif", "b/Thumbs.db", "__MACOSX/._a.tif")
    assert tree.walk(tmp_path).notes == ("4 files and 1 folder passed over that are no data (._*, Thumbs.db, __MACOSX/)",)


def test_a_name_that_only_resembles_litter_is_data(tmp_path):
    assert len(names(tree.walk(lay(tmp_path, "DS_Store.tif", "lost+found.tif", "_.tif", "Thumbs.db.tif")))) == 4


def test_hidden_names_are_data_where_training_code_reads_them(tmp_path):
    source = tree.walk(lay(tmp_path, ".x/a.tif", ".b.tif", "._c.tif", ".DS_Store"), hidden=True)
    assert names(source) == [".b.tif", ".x/a.tif"]


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "a.tif")
    source = tree.walk(tmp_path)
    assert names(source) == [] and source.notes == ("1 file passed over that is no data (pipes and devices)",)


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(tree.os, "scandir", refuse)
    with pytest.raises(DataError, match=rf"{tmp_path}: cannot be listed \(Permission denied\)"):
        tree.walk(tmp_path)


def test_a_mask_is_no_picture_in_any_capitals(tmp_path):
    source = tree.walk(lay(tmp_path, "a.png", "a_mask.png", "B_MASK.PNG", "mask.png"))
    assert [path.name for path in source.below(tmp_path)] == ["a.png", "mask.png"]


# ------------------------------------------------------------------------------------------------------------------------ links


def test_a_folder_is_read_by_its_own_name_before_that_of_a_link(tmp_path):
    (lay(tmp_path, "real/a.tif") / "another").symlink_to("real")
    source = tree.walk(tmp_path)
    assert names(source) == ["real/a.tif"] and source.again == (tmp_path / "another",)


def test_the_name_nearest_to_the_root_counts(tmp_path):
    root = lay(tmp_path, "store/x/a.png", "store/y/b.png")
    (root / "Training").symlink_to("store/x")
    (root / "Testing").symlink_to("store/y")
    assert names(tree.walk(root)) == ["Testing/b.png", "Training/a.png"]


def test_two_links_to_one_folder_outside_count_once(tmp_path):
    lay(tmp_path, "outside/a.tif", "root/")
    for name in ("one", "two"):
        (tmp_path / "root" / name).symlink_to("../outside")
    source = tree.walk(tmp_path / "root")
    assert names(source) == ["one/a.tif"]
    assert "1 folder not read twice" in source.notes[0] and "two -> ../outside" in source.notes[0]


def test_links_in_a_ring_end(tmp_path):
    lay(tmp_path, "root/a/1.tif", "outside/b/2.tif")
    (tmp_path / "root" / "a" / "out").symlink_to(tmp_path / "outside")
    (tmp_path / "outside" / "b" / "back").symlink_to(tmp_path / "root" / "a")
    assert names(tree.walk(tmp_path / "root")) == ["a/1.tif", "a/out/b/2.tif"]


def test_a_link_to_nowhere_is_named(tmp_path):
    (lay(tmp_path, "a.tif") / "old").symlink_to("gone")
    assert tree.walk(tmp_path).notes == (f"1 link to nowhere, passed over: {tmp_path}/old -> gone",)


def test_a_picture_and_a_patient_and_a_class_that_are_links_to_nowhere_are_refused(tmp_path, write_tree):
    cohort = write_tree(tmp_path / "lgg", {CS: 2})
    (cohort / HT).symlink_to("/gone")
    with pytest.raises(DataError, match=f"{HT}: a patient's folder that is a link to nowhere"):
        lgg.read_cohort(cohort)
    classes = lay(tmp_path / "set", "no/a.png", "yes/b.png")
    (classes / "maybe").symlink_to("/gone")
    with pytest.raises(DataError, match="maybe: a class, or another folder, that is a link to nowhere"):
        read_folders([classes])
    (classes / "maybe").rename(classes / "no" / "c.jpg")
    parts = lay(tmp_path / "parts", "train/a.png", "test/b.png")
    (parts / "train" / "c.png").symlink_to("/gone")
    for read, root in ((lambda root: read_folders([root]), classes), (lambda root: manifests.read(str(root)), parts)):
        with pytest.raises(DataError, match=r"c\.(jpg|png): not a file, but a link to nowhere \(/gone\)"):
            read(root)


def test_parts_that_share_a_folder_by_a_link_share_it_in_the_audit(tmp_path):
    root = lay(tmp_path, "train/x/a.png", "test/y/b.png")
    (root / "test" / "x").symlink_to("../train/x")
    split = manifests.read(str(root))
    assert sorted(picture.name for picture in split.pictures) == ["test/x/a.png", "test/y/b.png", "train/x/a.png"]


def test_the_audit_names_what_lies_beside_the_parts(tmp_path):
    root = lay(tmp_path, "train/a.png", "test/b.png", "extra/c.png", "extra/d.png", "empty/")
    assert manifests.read(str(root)).doubts == ("folders extra are not read, since they are called like no part",)
    with pytest.raises(SplitError, match="no parts"):
        manifests.read(str(lay(tmp_path / "none", "x/a.png")))


# ------------------------------------------------------------------------------------------------------ capitals and endings


def test_one_slice_with_two_endings_is_refused(tmp_path, write_tree):
    root = write_tree(tmp_path, {CS: 2})
    shutil.copy(root / CS / f"{CS}_1.tif", root / CS / f"{CS}_1.TIFF")
    for read in (lambda: lgg.read_cohort(root), lambda: lgg.read_images(root / CS)):
        with pytest.raises(DataError, match="a second file of slice 1"):
            read()


def test_a_case_has_the_name_that_the_field_writes(tmp_path, write_tree):
    root = write_tree(tmp_path, {CS: 1, HT: 1})
    (root / CS).rename(root / CS.lower())
    (root / "data.csv").rename(root / "Data.CSV")
    cohort = lgg.read_cohort(root)
    assert [case.case_id for case in cohort] == [CS, HT] and cohort[CS].site == "CS"
    assert cohort[CS].clinical["age_at_initial_pathologic"] == 61


def test_what_is_not_read_of_an_lgg_tree_is_named(tmp_path, write_tree):
    root = write_tree(tmp_path, {CS: 1, HT: 1})
    lay(root, f"{CS}/{CS}_1.png", f"{CS}/readme.TXT", f"{HT}/b.txt")
    (root / HT / "more").mkdir()
    shutil.copy(root / HT / f"{HT}_1.tif", root / HT / "more" / f"{HT}_2.tif")
    notes = "\n".join(lgg.read_cohort(root).notes)
    assert f"{HT}/more: 1 file such as {HT}_2.tif passed over, since it is not named as a patient's folder" in notes
    assert "no TIFF, passed over: 1 .png, 2 .txt" in notes


# --------------------------------------------------------------------------------------------- trees of classes, doubled, nested

POPULAR = ["no/1.jpg=a", "no/2.jpg=b", "yes/1.jpg=c"]
DOUBLED = {
    "beside its copy": ([f"set/{name}" for name in POPULAR], "set/no: 2 pictures that {root}/no holds already, taken once"),
    "renamed in its copy": (["set/no/x.jpg=a", "set/no/y.jpg=b", "set/yes/z.jpg=c"], "2 pictures that"),
    "half copied": (["set/yes/1.jpg=c"], "set/yes: 1 picture that {root}/yes holds already, taken once"),
    "wrapped twice": ([f"a/b/{name}" for name in POPULAR], "a/b/yes: 1 picture"),
    "in other capitals": (["Set/No/1.jpg=a", "Set/YES/1.jpg=c"], "Set/YES: 1 picture"),
    "a class in itself": (["yes/yes/1.jpg=c", "no/sub/no/1.jpg=a"], "yes: 1 picture that {root}/yes holds already, taken once"),
}


@pytest.mark.parametrize(("more", "note"), DOUBLED.values(), ids=DOUBLED)
def test_a_doubled_set_is_taken_once(tmp_path, more, note):
    folders = read_folders([lay(tmp_path, *POPULAR, *more)])
    assert folders.classes == ("no", "yes")
    assert [path.relative_to(tmp_path).as_posix() for path in folders.paths] == ["no/1.jpg", "no/2.jpg", "yes/1.jpg"]
    assert note.format(root=tmp_path) in "\n".join(folders.notes)


def test_what_only_the_copy_holds_is_read_too(tmp_path):
    folders = read_folders([lay(tmp_path, *POPULAR, "set/no/1.jpg=a", "set/no/3.jpg=d", "set/yes/1.jpg=a")])
    assert [path.relative_to(tmp_path).as_posix() for path in folders.paths] == [
        "no/1.jpg", "no/2.jpg", "set/no/3.jpg", "set/yes/1.jpg", "yes/1.jpg",
    ]  # fmt: skip
    assert folders.labels.tolist() == [0, 0, 0, 1, 1]
    copies = f"{tmp_path}/set/no: 1 picture that {tmp_path}/no holds already, taken once"
    assert folders.notes == (f"{copies}; 1 other picture in it is read too",)


def test_equal_pictures_of_an_orderly_set_stay_for_the_one_who_compares_pixels(tmp_path):
    assert len(read_folders([lay(tmp_path, *POPULAR, "no/3.jpg=a")])) == 4


@pytest.mark.parametrize("wrapper", ["set", "a/b/c", "archive/Training", "Training/Training"])
def test_a_wrapped_set_is_found(tmp_path, wrapper):
    folders = read_folders([lay(tmp_path, *(f"{wrapper}/{name}" for name in POPULAR))])
    assert folders.classes == ("no", "yes") and len(folders) == 3


def test_a_wrapper_hides_no_part(tmp_path):
    folders = read_folders([lay(tmp_path, *(f"archive/Testing/{name}" for name in POPULAR))])
    assert folders.parts.tolist() == ["test"] * 3


def test_parts_that_are_there_twice_are_taken_once(tmp_path):
    parts = [f"{part}/{name}{part}" for part in ("Training", "Testing") for name in POPULAR]
    folders = read_folders([lay(tmp_path, *parts, *(f"archive/{name}" for name in parts))])
    assert folders.parts.tolist() == ["test"] * 3 + ["train"] * 3
    assert len(folders.notes) == 4


def test_a_class_in_capitals_in_one_part_is_the_same_class(tmp_path):
    folders = read_folders([lay(tmp_path, "Training/No/1.jpg", "Training/yes/1.jpg", "Testing/no/1.jpg", "Testing/Yes/2.jpg")])
    assert folders.classes == ("Yes", "no") and folders.labels.tolist() == [0, 1, 1, 0]


OTHER_TREES = {
    "pairs": (["images/1.png", "masks/1.png"], "images and masks are pictures and their masks, no classes; expected CLASS"),
    "pairs called so": (["Images/1.png", "Masks/1_mask.png"], "Images and Masks are pictures and their masks"),
    "pairs in parts": (["train/images/1.png", "train/labels/1.txt", "val/images/2.png"], "train: images and labels are pictures"),
    "classes in images": (["images/a/1.png", "images/b/1.png", "masks/a/1.png"], "give {root}/images, if a, b are the classes"),
    "patients": ([f"{CS}/{CS}_1.tif", f"{HT}/{HT}_1.tif"], "the folder of a patient, not of a class; get them with: brain-"),
    "parts in classes": (["a/train/1.png", "b/train/1.png"], "'a' holds the parts train, and lies beside other folders"),
    "two sets": (["a/1.png", "b/1.png", "set/train/a/1.png", "set/test/a/1.png"], "'set' holds the parts test and train"),
}  # fmt: skip


@pytest.mark.parametrize(("files", "words"), OTHER_TREES.values(), ids=OTHER_TREES)
def test_a_tree_of_other_things_is_told_so(tmp_path, files, words):
    with pytest.raises(DataError) as refusal:
        read_folders([lay(tmp_path, *files)])
    assert words.format(root=tmp_path) in str(refusal.value) and "\n" not in str(refusal.value)
