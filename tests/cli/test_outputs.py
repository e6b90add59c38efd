"""Where a command writes is looked at before it works: no answer is lost to a path that could have been refused at once."""

import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from brain_tumor.cli import outputs
from brain_tumor.data import nifti
from brain_tumor.errors import DataError


@pytest.fixture
def place(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("text")
    (tmp_path / "file.png").write_text("text")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    return tmp_path


@pytest.mark.parametrize("name", ["new.png", "file.png", "NEW.PNG", "a/b/c/new.tif", "a.b.png"])
def test_a_file_that_can_be_written_is_taken(place, name):
    outputs.check(outputs.Output("--out", place / name, outputs.LOSSLESS))


@pytest.mark.parametrize("name", ["new", "folder", "a/b/new", "folder.png", "patient.1"])
def test_a_folder_that_can_be_written_is_taken(place, name):
    outputs.check(outputs.Output("--mask", place / name, ()))


@pytest.mark.parametrize(
    ("name", "endings", "words"),
    [
        ("new.bmp", outputs.LOSSLESS, r"ends in .bmp, expected a file \(.png, .tif, .tiff\)"),
        ("new", outputs.LOSSLESS, r"ends in nothing, expected a file"),
        (".png", outputs.LOSSLESS, r"ends in nothing, expected a file"),
        ("m.gz", nifti.ENDINGS, r"ends in .gz, expected a file \(.nii, .nii.gz\)"),
        ("folder", outputs.LOSSLESS, r"is a folder, expected a file \(.png"),
        ("folder.png", outputs.LOSSLESS, r"is a folder, expected a file \(.png"),
        ("folder", outputs.ANYTHING, r"is a folder, expected a file$"),
        ("file", (), r"is a file, expected a folder"),
        ("file/new.png", outputs.LOSSLESS, r"cannot be written \(.*file is no folder\)"),
        ("file/new", (), r"cannot be written \(.*file is no folder\)"),
        ("nowhere/new.png", outputs.LOSSLESS, r"cannot be written \(.*nowhere is no folder\)"),
    ],
)
def test_other_paths_are_refused(place, name, endings, words):
    with pytest.raises(DataError, match=f"^--out {place}/{name}: {words}"):
        outputs.check(outputs.Output("--out", place / name, endings))


@pytest.mark.parametrize(
    ("name", "endings"), [("folder/new.png", outputs.LOSSLESS), ("folder", ()), ("folder/a/b.png", outputs.ANYTHING)]
)
def test_a_folder_that_may_not_be_written_is_refused(place, monkeypatch, name, endings):
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != place / "folder" and access(path, mode))
    with pytest.raises(DataError, match=r"cannot be written \(no permission in .*folder\)"):
        outputs.check(outputs.Output("--out", place / name, endings))


def test_one_path_is_not_for_two_things(place, monkeypatch):
    monkeypatch.chdir(place)
    both = [outputs.Output("--out", place / "new.png"), outputs.Output("--mask", Path("folder/../new.png"))]
    with pytest.raises(DataError, match=r"--mask folder/../new.png: is also --out; give another path"):
        outputs.check(*both)
    with pytest.raises(DataError, match=r"--out .*new.png: is also what is read"):
        outputs.check(both[0], inputs=[Path("new.png")])
    outputs.check(both[0], outputs.Output("--mask", None, ()), inputs=[Path("old.png")])


# ------------------------------------------------------------------------------------------------- through the command line


SLICE = np.random.default_rng(0).integers(0, 256, (40, 24, 3), np.uint8)


@pytest.mark.parametrize(
    ("what", "options", "words"),
    [
        ("slice.png", ["--mask", "m.jpg"], ["--mask m.jpg", "ends in .jpg", ".png, .tif", "lossy"]),
        ("slice.png", ["--mask", "m.webp"], ["--mask m.webp", "lossy"]),
        ("slice.png", ["--mask", "folder"], ["--mask folder", "is a folder, expected a file"]),
        ("slice.png", ["--mask", "m"], ["--mask m", "ends in nothing"]),
        ("slice.png", ["--mask", "o.png"], ["--mask o.png", "is also --out"]),
        ("slice.png", ["--mask", "slice.png"], ["--mask slice.png", "is also what is read"]),
        ("slice.png", ["--mask", "file/m.png"], ["--mask file/m.png", "file is no folder"]),
        ("case", ["--mask", "m.png"], ["--mask m.png", "expected a file (.nii, .nii.gz)", "name a folder"]),
        ("case", ["--mask", "file"], ["--mask file", "is a file, expected a folder"]),
        ("case", ["--mask", "folder.nii"], ["--mask folder.nii", "is a folder, expected a file"]),
        ("case.zip", ["--mask", "m.jpg"], ["--mask m.jpg", "name a folder"]),
        ("TCGA_CS_0001", ["--mask", "m.tif"], ["--mask m.tif", "name a folder"]),
    ],
)
def test_predict_refuses_where_it_cannot_write_before_it_looks_for_the_run(
    home, tmp_path, command, monkeypatch, what, options, words
):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(SLICE).save("slice.png")
    for folder in ("case", "folder", "folder.nii"):
        Path(folder).mkdir()
    Path("file").write_text("text")
    assert command("predict", "no-such-run", what, "--out", "o.png", *options).refuses(*words)


@pytest.mark.parametrize("out", ["o.nii.gz", "folder", "o", "file/o.png"])
def test_an_overlay_is_a_picture(home, tmp_path, command, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").write_text("text")
    assert command("predict", "no-such-run", "slice.png", "--out", out).refuses(f"--out {out}")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["data", "profile", "--json", "folder"], "--json folder: is a folder"),
        (["data", "export", "--png", "file"], "--png file: is a file"),
        (["evaluate", "no-such-run", "--html", "folder"], "--html folder: is a folder"),
        (["evaluate", "no-such-run", "--html", "t", "--markdown", "t"], "--html t: is also --markdown"),
        (["notebooks", "--out", "file"], "--out file: is a file"),
    ],
)
def test_every_command_looks_before_it_works(home, tmp_path, command, monkeypatch, words, reason):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").write_text("text")
    assert command(*words).refuses(reason)


# -------------------------------------------------------------------------------------------------------------------- NIfTI


@pytest.mark.parametrize("name", ["m.nii", "m.nii.gz", "patient.1.nii.gz"])
@pytest.mark.parametrize("spacing", [None, (5.0, 1.5, 0.5)])
def test_a_mask_as_nifti_has_its_axes_turned_once(tmp_path, name, spacing):
    mask = np.zeros((3, 5, 4), np.uint8)
    mask[2, 4, 1] = 1
    nifti.write_mask(tmp_path / name, mask, spacing)
    image = nibabel.Nifti1Image.from_filename(tmp_path / name)
    assert image.shape == (4, 5, 3) and image.get_data_dtype() == np.uint8
    assert np.argwhere(np.asanyarray(image.dataobj)).tolist() == [[1, 4, 2]] and np.asanyarray(image.dataobj).max() == 1
    assert image.header.get_zooms() == tuple(reversed(spacing or (1.0, 1.0, 1.0)))
    assert (image.header["qform_code"], image.header["sform_code"]) == (0, 0), "where the patient lay is not known"
    assert os.listdir(tmp_path) == [name]
