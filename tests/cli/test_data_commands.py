"""``brain-tumor data`` as a person types it: what it prints, what it writes, and one clear line for every bad input."""

import errno
import hashlib
import json
import os
import shutil
import warnings

import numpy as np
import pytest
from PIL import Image

from brain_tumor.data import cache, fetch, manifest, opening, phantom
from brain_tumor.data.readers import lgg
from brain_tumor.errors import DataError, DataWarning

CS, HT = "TCGA_CS_0001_19960909", "TCGA_HT_0002_19981126"


def names_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def full_disk(*_arguments, **_options):
    raise OSError(errno.ENOSPC, "No space left on device")


def picture(tree, number, end=""):
    return tree / HT / f"{HT}_{number}{end}.tif"


# ---------------------------------------------------------------------------------------------------- bad input at the door


def no_folder(tree):
    shutil.rmtree(tree)
    return [tree, "no such folder"]


def empty_folder(tree):
    no_folder(tree)
    tree.mkdir()
    return [tree, "no patient folders"]


def file_instead_of_a_folder(tree):
    no_folder(tree)
    tree.write_text("")
    return [tree, "no such folder"]


def image_without_mask(tree):
    picture(tree, 2, "_mask").unlink()
    return [picture(tree, 2), "image without its mask"]


def mask_of_another_size(tree):
    Image.fromarray(np.zeros((8, 12), np.uint8)).save(picture(tree, 2, "_mask"))
    return [picture(tree, 2, "_mask"), "12 x 8", "16 x 16"]


def mask_with_a_grey_value(tree):
    Image.fromarray(np.full((16, 16), 127, np.uint8)).save(picture(tree, 2, "_mask"))
    return [picture(tree, 2, "_mask"), "grey value 127", "0 and 255"]


def truncated_tiff(tree):
    picture(tree, 3).write_bytes(picture(tree, 3).read_bytes()[:-100])
    return [picture(tree, 3), "damaged or truncated"]


def empty_tiff(tree):
    picture(tree, 3).write_bytes(b"")
    return [picture(tree, 3), "not a picture"]


def sixteen_bit_tiff(tree):
    Image.fromarray(np.zeros((16, 16), np.uint16)).save(picture(tree, 1))
    return [picture(tree, 1), "I;16", "RGB"]


def rgba_tiff(tree):
    Image.fromarray(np.zeros((16, 16, 4), np.uint8)).save(picture(tree, 1))
    return [picture(tree, 1), "RGBA", "RGB"]


def colour_mask(tree):
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(picture(tree, 1, "_mask"))
    return [picture(tree, 1, "_mask"), "'RGB'", "'L'"]


def slice_number_missing(tree):
    for end in ("", "_mask"):
        picture(tree, 2, end).unlink()
    return [tree / HT, "slice number 2 is missing", "1 to 3"]


def two_folders_of_one_patient(tree):
    second = tree / "TCGA_HT_0002_20010101"
    second.mkdir()
    for path in (tree / HT).iterdir():
        shutil.copy(path, second / path.name.replace(HT, second.name))
    return [second, "a second folder of patient TCGA_HT_0002", HT]


BAD_INPUTS = [
    no_folder, empty_folder, file_instead_of_a_folder, image_without_mask, mask_of_another_size, mask_with_a_grey_value,
    truncated_tiff, empty_tiff, sixteen_bit_tiff, rgba_tiff, colour_mask, slice_number_missing, two_folders_of_one_patient,
]  # fmt: skip
SEEN_WITHOUT_PIXELS = [
    no_folder, empty_folder, file_instead_of_a_folder, image_without_mask, slice_number_missing, two_folders_of_one_patient,
]  # fmt: skip


@pytest.mark.parametrize("spoil", BAD_INPUTS, ids=lambda spoil: spoil.__name__)
def test_profile_refuses_with_one_line_and_keeps_nothing(home, tree, command, spoil):
    words = spoil(tree)
    answer = command("data", "profile", "--folder", tree, "--json", home / "facts.json")
    assert answer.refuses(*words)
    assert "Traceback" not in answer.out + answer.err
    assert [name for name in names_in(home) if not name.endswith(".lock") and (home / name).is_file()] == []
    assert [name for name in names_in(home) if name not in ("data", "data/cache") and (home / name).is_dir()] == []


def test_a_bad_clinical_table_is_one_line_and_the_slices_are_read(home, tree, command):
    (tree / "data.csv").write_text("Patient,gender\nTCGA_CS_0001,male\n")
    with pytest.warns(DataWarning, match=r"data.csv: line 2 \(TCGA_CS_0001\), gender: 'male' is no number") as heard:
        answer = command("data", "profile", "--folder", tree)
    assert answer.code == 0 and "15" in answer.out
    # pytest hears warnings before standard error does: this is what a person would read
    assert warnings.formatwarning(heard[0].message, DataWarning, "lgg.py", 1) == f"brain-tumor: {heard[0].message}\n"


@pytest.mark.parametrize("spoil", SEEN_WITHOUT_PIXELS, ids=lambda spoil: spoil.__name__)
def test_get_refuses_before_it_copies_anything(home, tree, command, spoil):
    words = spoil(tree)
    assert command("data", "get", "lgg", "--from", tree).refuses(*words)
    assert names_in(home) == []


@pytest.mark.parametrize("spoil", [mask_with_a_grey_value, truncated_tiff, rgba_tiff], ids=lambda spoil: spoil.__name__)
def test_export_refuses_and_leaves_no_half_patient(home, tree, command, tmp_path, spoil):
    words = spoil(tree)
    assert command("data", "export", "--folder", tree, "--png", tmp_path / "png").refuses(*words)
    assert not (tmp_path / "png" / HT).exists()
    assert not [name for name in names_in(tmp_path / "png") if "/." in f"/{name}"]


def test_a_full_disk_while_caching(home, tree, command, monkeypatch):
    monkeypatch.setattr(cache._ArrayWriter, "append", full_disk)
    answer = command("data", "profile", "--folder", tree)
    assert answer.refuses(home / "data" / "cache", "No space left on device", "nothing was kept")
    assert [name for name in names_in(home / "data" / "cache") if not name.endswith(".lock")] == []


def test_without_the_data_it_says_how_to_get_it(home, command):
    for words in (["check"], ["profile"], ["export", "--png", home / "png"]):
        assert command("data", *words).refuses(home / "data" / "kaggle_3m", "brain-tumor data get lgg --from FOLDER")
    assert names_in(home) == []


# ---------------------------------------------------------------------------------------------------------------------- get


def test_get_copies_a_doubled_download_once(home, tree, command):
    source = tree.parent
    shutil.copytree(tree, source / "lgg-mri-segmentation" / "kaggle_3m")
    answer = command("data", "get", "lgg", "--from", source)
    assert answer.code == 0, answer.err
    assert "2 patients, 15 slices" in answer.out
    target = home / "data" / "kaggle_3m"
    assert names_in(target) == names_in(tree)
    assert all(path.read_bytes() == (tree / path.relative_to(target)).read_bytes() for path in target.rglob("*.*"))
    assert opening.open_lgg().copies == 1


def test_get_goes_on_where_it_was_stopped(home, tree, command, monkeypatch):
    copied, copy = [], shutil.copy2

    def until_full(source, target):
        if HT in str(source):
            full_disk()
        copied.append(source)
        return copy(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(fetch.shutil, "copy2", until_full)
        assert command("data", "get", "lgg", "--from", tree).refuses(home / "data" / "kaggle_3m", "No space left", "goes on")
    target = home / "data" / "kaggle_3m"
    assert [path.name for path in target.iterdir()] == [CS]  # whole, and nothing of the other
    copied.clear()
    monkeypatch.setattr(fetch.shutil, "copy2", lambda source, target: (copied.append(source), copy(source, target)))
    assert command("data", "get", "lgg", "--from", tree).code == 0
    assert len(copied) == 6  # the three slices of HT and their masks
    assert names_in(target) == names_in(tree)


def test_get_replaces_a_patient_whose_source_changed(home, tree, command):
    command("data", "get", "lgg", "--from", tree)
    picture(tree, 1).unlink()
    Image.fromarray(np.full((16, 16, 3), 9, np.uint8)).save(picture(tree, 1))
    os.utime(picture(tree, 1), (1, 1))
    command("data", "get", "lgg", "--from", tree)
    assert opening.open_lgg()[HT].load()[0][0].max() == 9


def test_get_links(home, tree, command):
    answer = command("data", "get", "lgg", "--from", tree.parent, "--link")
    assert answer.code == 0, answer.err
    target = home / "data" / "kaggle_3m"
    assert target.is_symlink() and target.resolve() == tree
    assert opening.open_lgg().n_slices == 15
    assert "there already" in command("data", "get", "lgg", "--from", tree).out


def test_get_does_not_write_through_a_link(home, tree, write_tree, tmp_path, command):
    command("data", "get", "lgg", "--from", tree, "--link")
    other = write_tree(tmp_path / "other", {"TCGA_DU_0003_20000101": 2})
    assert command("data", "get", "lgg", "--from", other).refuses("is a link to", tree)
    assert not (tree / "TCGA_DU_0003_20000101").exists()


def test_get_does_not_link_over_data(home, tree, write_tree, tmp_path, command):
    command("data", "get", "lgg", "--from", tree)
    other = write_tree(tmp_path / "other", {"TCGA_DU_0003_20000101": 2})
    assert command("data", "get", "lgg", "--from", other, "--link").refuses("exists already")
    assert opening.open_lgg().n_slices == 15


def test_get_says_when_the_data_is_in_place(home, tree, command, monkeypatch):
    shutil.copytree(tree, home / "data" / "kaggle_3m")
    monkeypatch.setattr(fetch, "_copy", full_disk)
    for source in (home / "data" / "kaggle_3m", home / "data", home):
        answer = command("data", "get", "lgg", "--from", source)
        assert answer.code == 0, answer.err
        assert "there already" in answer.out


def test_get_takes_no_phantom_for_patients(home, phantom_cohort, command):
    assert command("data", "get", "lgg", "--from", phantom_cohort.root).refuses(phantom_cohort.root, "phantom")
    assert names_in(home) == []


def test_get_needs_a_source(home, command):
    assert command("data", "get", "lgg").refuses("--from FOLDER")


def test_get_draws_a_phantom(home, command, monkeypatch):
    monkeypatch.setattr(phantom.open_phantom, "__defaults__", (24, (6, 6), 32, 0))
    answer = command("data", "get", "phantom", "--patients", "2", "--seed", "5")
    assert answer.code == 0, answer.err
    assert "PHANTOM data, 2 patients, 12 slices" in answer.out
    assert list((home / "data" / "phantom").glob("2-patients-*seed-5*"))


# -------------------------------------------------------------------------------------------------------------------- check


@pytest.fixture
def listed(tree, tmp_path, monkeypatch):
    """The shipped manifest replaced by that of ``tree``."""
    path = tmp_path / "manifest.csv"
    lines = ["patient,slice,image_sha256,mask_sha256"]
    for case in lgg.read_cohort(tree):
        for number, *paths in zip(case.slice_numbers, case.sources[0::2], case.sources[1::2], strict=True):
            hashes = [hashlib.sha256(np.array(Image.open(path)).tobytes()).hexdigest() for path in paths]
            lines.append(",".join([case.case_id, str(number), *hashes]))
    path.write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(manifest, "LGG_MANIFEST", path)


def test_check_of_whole_data_says_so(home, tree, listed, command):
    answer = command("data", "check", "--folder", tree)
    assert answer.code == 0, answer.err
    assert "whole: every slice is as listed" in answer.out
    assert "15 of 15" in answer.out


def test_check_names_missing_patients_and_exits_with_0(home, tree, listed, command):
    shutil.rmtree(tree / HT)
    answer = command("data", "check", "--folder", tree)
    assert answer.code == 0, answer.err
    assert HT in answer.out
    assert "1 of 2 patients missing, and nothing else" in answer.out


def test_check_exits_with_1_on_a_changed_and_on_a_damaged_picture(home, tree, listed, command):
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(picture(tree, 1))
    truncated_tiff(tree)
    answer = command("data", "check", "--folder", tree)
    assert answer.code == 1
    assert f"{HT}_1.tif: pixels differ" in answer.out.replace("\n", "")
    assert f"{HT}_3.tif: damaged or truncated" in answer.out.replace("\n", "")
    assert "13 of 15" in answer.out
    assert answer.err == ""


def test_check_exits_with_1_on_extra_patients_and_doubled_trees(home, tree, listed, write_tree, command):
    shutil.copytree(tree, tree.parent / "lgg-mri-segmentation" / "kaggle_3m")
    assert command("data", "check", "--folder", tree.parent).code == 1
    write_tree(tree, {"TCGA_DU_0003_20000101": 2})
    answer = command("data", "check", "--cohort-folder", tree)
    assert answer.code == 1
    assert "TCGA_DU_0003_20000101/1" in answer.out


def test_check_against_the_shipped_manifest_finds_everything_missing(home, tree, command):
    answer = command("data", "check", "--folder", tree)
    assert answer.code == 1
    assert "0 of 3,929" in answer.out and "and 90 more" in answer.out


def test_check_refuses_a_phantom(home, phantom_cohort, command):
    assert command("data", "check", "--folder", phantom_cohort.root).refuses("phantom", "no manifest")


# ----------------------------------------------------------------------------------------------------- profile and export


def test_profile_prints_and_writes_the_facts(home, tree, command, tmp_path):
    answer = command("data", "profile", "--folder", tree, "--json", tmp_path / "out" / "facts.json")
    assert answer.code == 0, answer.err
    facts = json.loads((tmp_path / "out" / "facts.json").read_text())
    assert (facts["patients"], facts["slices"], facts["tumour_slices"]) == (2, 15, 7)
    assert "7 / 8" in answer.out and "St Joseph's Hospital" in answer.out
    assert "PHANTOM" not in answer.out


def test_profile_of_a_phantom_says_so_wherever_it_lies(home, phantom_cohort, command):
    answer = command("data", "profile", "--folder", phantom_cohort.root)
    assert answer.code == 0, answer.err
    assert "PHANTOM" in answer.out


def test_profile_that_cannot_write_says_where(home, tree, command, tmp_path):
    (tmp_path / "file").write_text("")
    assert command("data", "profile", "--folder", tree, "--json", tmp_path / "file" / "facts.json").refuses(
        "facts.json", "cannot be written"
    )


def test_export_writes_every_slice_and_mask(home, tree, command, tmp_path):
    answer = command("data", "export", "--folder", tree, "--png", tmp_path / "png")
    assert answer.code == 0, answer.err
    for case in lgg.read_cohort(tree):
        images, masks = case.load()
        for number, image, mask in zip(case.slice_numbers, images, masks, strict=True):
            place = tmp_path / "png" / case.case_id / f"{case.case_id}_{number}"
            assert np.array_equal(Image.open(f"{place}.png"), image)
            assert np.array_equal(Image.open(f"{place}_mask.png"), mask * 255)
    assert len(list((tmp_path / "png").rglob("*.png"))) == 30


def test_export_without_masks_and_then_with(home, tree, command, tmp_path):
    assert command("data", "export", "--folder", tree, "--png", tmp_path / "png", "--no-masks").code == 0
    assert len(list((tmp_path / "png").rglob("*.png"))) == 15
    assert command("data", "export", "--folder", tree, "--png", tmp_path / "png").code == 0
    assert len(list((tmp_path / "png").rglob("*.png"))) == 30


def test_export_goes_on_and_follows_a_newer_source(home, tree, command, tmp_path):
    command("data", "export", "--folder", tree, "--png", tmp_path / "png")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "png").rglob("*.png")}
    shutil.rmtree(tmp_path / "png" / CS)
    Image.fromarray(np.full((16, 16, 3), 9, np.uint8)).save(picture(tree, 1))
    command("data", "export", "--folder", tree, "--png", tmp_path / "png")
    assert {path.name for path in times} == {path.name for path in (tmp_path / "png").rglob("*.png")}
    assert np.array(Image.open(tmp_path / "png" / HT / f"{HT}_1.png")).max() == 9
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "png").rglob("*.png")}
    command("data", "export", "--folder", tree, "--png", tmp_path / "png")
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "png").rglob("*.png")}


def test_export_never_replaces_the_source(home, tree, command):
    before = names_in(tree)
    assert command("data", "export", "--folder", tree, "--png", tree).refuses("holds something else")
    assert names_in(tree) == before


def test_export_to_a_full_disk(home, tree, command, tmp_path, monkeypatch):
    monkeypatch.setattr(Image.Image, "save", full_disk)
    assert command("data", "export", "--folder", tree, "--png", tmp_path / "png").refuses(tmp_path / "png", "No space left")
    assert names_in(tmp_path / "png") == []


# ------------------------------------------------------------------------------------------------------- cohorts by name


def test_an_unknown_cohort_is_refused_by_name():
    with pytest.raises(DataError, match="unknown cohort 'brats', expected lgg, phantom or phantombrats"):
        opening.open_cohort("brats")


def test_notebooks_fall_back_to_the_phantom_and_say_so(home, tree, monkeypatch, phantom_cohort):
    monkeypatch.setattr(opening.phantom, "open_phantom", lambda: phantom_cohort)
    cohort, message = opening.open_or_phantom("lgg")
    assert cohort.phantom
    assert message.startswith("PHANTOM, not patients") and "brain-tumor data get lgg" in message
    assert "get lgg" not in opening.open_or_phantom("phantom")[1]
    fetch.get_lgg(tree)
    cohort, message = opening.open_or_phantom("lgg")
    assert not cohort.phantom
    assert message.startswith("Cohort lgg: 2 patients, 15 slices")
