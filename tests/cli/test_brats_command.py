"""`data add NAME --brats DIR` as a person types it, and what can then be asked of such a cohort."""

import nibabel as nib
import numpy as np
import pytest

from brain_tumor.data import phantom_brats, register


@pytest.fixture
def exams(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path / "home"))
    return phantom_brats.write(tmp_path / "exams", 3, (8, 32))


def test_a_folder_of_exams_is_added_checked_profiled_and_forgotten(command, exams):
    added = command("data", "add", "brats", "--brats", exams)
    assert added.code == 0, added.err
    assert "labels of 3 exams: BraTS 2023" in added.out
    assert "3 patients, 24 slices, of t1, t1ce, t2, flair, regions WT, TC, ET" in added.out
    checked = command("data", "check", "brats")
    assert checked.code == 0 and "whole: every slice is as listed" in checked.out
    profiled = command("data", "profile", "brats")
    assert "region ET, voxels an exam" in profiled.out
    assert "brats" in command("data", "list").out
    path = next(exams.rglob("*-seg.nii.gz"))
    image = nib.load(path)
    voxels = np.asarray(image.dataobj).copy()
    voxels[0, 0, 0] = 2
    nib.Nifti1Image(voxels, image.affine).to_filename(path)
    changed = command("data", "check", "brats")
    assert changed.code == 1 and "its labels differ from the manifest" in changed.out
    path.unlink()
    assert command("data", "profile", "brats").refuses("it was there when the cohort 'brats' was added")
    assert command("data", "remove", "brats").code == 0 and register.names() == ()


def test_every_exam_that_cannot_be_read_is_named_and_nothing_is_written(command, exams):
    for path in sorted(exams.rglob("*-t1c.nii.gz"))[:2]:
        path.write_bytes(b"no volume")
    answer = command("data", "add", "brats", "--brats", exams)
    assert answer.code == 2 and "2 exams cannot be read" in answer.err.splitlines()[-1] and "Traceback" not in answer.err
    assert answer.err.count("t1c.nii.gz") == 2 and register.names() == ()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--labels", "2017"], "1, 2, 4"),
        (["--labels", "1066"], "expected one of 2013"),
        (["--resample-to", "dwi"], "no sequence"),
        (["--fit", "pad"], "--brats goes with"),
    ],
)
def test_options_that_do_not_fit_are_refused(command, exams, options, words):
    answer = command("data", "add", "brats", "--brats", exams, *options)
    assert answer.code != 0 and words in answer.err and register.names() == ()


def test_options_of_brats_need_its_folder(command, exams):
    assert command("data", "add", "others", "--images", exams, "--masks", exams, "--labels", "2017").refuses(
        "go with --brats DIR"
    )
