"""Whatever a person hands us becomes an exam, says what was assumed of it, or is refused in one line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brain_tumor.errors import DataError
from brain_tumor.inference import intake

PLANE = np.random.default_rng(0).integers(0, 256, (40, 24, 3), np.uint8)
GREY = "one channel, taken as FLAIR and given to all 3, as the LGG data does for missing sequences"
EXAM = "TCGA_CS_0001_19960909"


@pytest.fixture
def folder(tree):
    """The folder of an exam of twelve slices; the first pixel of each is its number."""
    return tree / EXAM


def picture(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


def test_a_case_is_taken_whole(phantom_cohort):
    case = phantom_cohort.cases[0]
    exam = intake.exam(case, by_exam=True)
    np.testing.assert_array_equal(exam.images, case.load()[0])
    assert exam.slice_numbers.tolist() == exam.asked.tolist() == list(case.slice_numbers)
    assert (exam.name, exam.notes, exam.scaling) == (case.case_id, (), None)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_folder_is_an_exam_in_the_order_of_its_slices(folder, kind):
    exam = intake.exam(kind(folder), by_exam=True)
    assert exam.asked.tolist() == list(range(1, 13)), "10 comes after 9"
    assert exam.images[:, 0, 0, 0].tolist() == list(range(1, 13))
    assert (exam.name, exam.notes) == (EXAM, ())


def test_a_folder_is_called_what_it_is_called_however_it_is_named(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert intake.exam(".").name == EXAM


def test_a_picture_brings_its_exam_where_the_answer_depends_on_it(folder):
    exam = intake.exam(folder / f"{EXAM}_10.tif", by_exam=True)
    assert (len(exam.images), exam.rows.tolist(), exam.asked.tolist()) == (12, [9], [10])
    assert exam.images[exam.rows][0, 0, 0, 0] == 10
    assert (exam.name, exam.notes) == (f"{EXAM}_10", ())


def test_a_picture_is_taken_alone_where_the_answer_does_not(folder):
    exam = intake.exam(folder / f"{EXAM}_10.tif", by_exam=False)
    assert exam.images.shape == (1, 16, 16, 3) and exam.images[0, 0, 0, 0] == 10
    assert (exam.asked.tolist(), exam.name, exam.notes) == ([1], f"{EXAM}_10", ())


def test_a_picture_without_its_exam_is_noted_where_that_matters(tmp_path):
    path = picture(tmp_path / "slice.png", PLANE)
    assert intake.exam(path).notes == ()
    assert intake.exam(path, by_exam=True).notes == (f"{path}: {intake.ALONE}",)


def test_a_grey_picture_stands_for_all_sequences_and_that_is_noted(tmp_path):
    path = picture(tmp_path / "slice.png", PLANE[..., 0])
    exam = intake.exam(path)
    np.testing.assert_array_equal(exam.images, np.repeat(PLANE[None, ..., :1], 3, axis=-1))
    assert exam.notes == (f"{path}: {GREY}",)
    assert intake.exam(path, by_exam=True).notes == (f"{path}: {GREY}", f"{path}: {intake.ALONE}")


@pytest.mark.parametrize("colours", [1, 3])
def test_what_shines_through_does_not_count(tmp_path, colours):
    opaque = PLANE if colours == 3 else PLANE[..., 0]
    image = Image.fromarray(opaque)
    image.putalpha(100)
    image.save(tmp_path / "slice.png")
    expected = intake.exam(opaque)
    for source in (tmp_path / "slice.png", np.asarray(image)):
        exam = intake.exam(source)
        np.testing.assert_array_equal(exam.images, expected.images)
        assert len(exam.notes) == len(expected.notes)


@pytest.mark.parametrize(
    ("array", "images", "notes"),
    [
        (PLANE[..., 0], np.repeat(PLANE[None, ..., :1], 3, axis=-1), (GREY, intake.ALONE)),
        (PLANE, PLANE[None], (intake.ALONE,)),
        (np.stack([PLANE, PLANE[::-1]]), np.stack([PLANE, PLANE[::-1]]), ()),
    ],
    ids=["(H, W)", "(H, W, C)", "(Z, H, W, C)"],
)
def test_an_array_is_a_slice_or_an_exam(array, images, notes):
    exam = intake.exam(array, by_exam=True, name="mine")
    np.testing.assert_array_equal(exam.images, images)
    assert exam.images.dtype == np.uint8
    assert exam.asked.tolist() == list(range(1, len(images) + 1))
    assert exam.name == "mine" and exam.notes == tuple(f"mine: {note}" for note in notes)
    assert intake.exam(array).name == "array"


def test_a_slice_of_an_exam_may_be_black():
    """As the first of a real exam often is."""
    exam = intake.exam(np.stack([np.zeros_like(PLANE), PLANE]))
    assert exam.asked.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (PLANE / 255, "array of float64, expected uint8"),
        (PLANE.astype(np.uint16), "array of uint16, expected uint8"),
        (PLANE.ravel(), "array of shape \\(2880,\\), expected \\(H, W\\), \\(H, W, C\\) or \\(Z, H, W, C\\)"),
        (PLANE[None, None], "array of shape \\(1, 1, 40, 24, 3\\), expected"),
        (np.zeros((0, 40, 24, 3), np.uint8), "array of shape \\(0, 40, 24, 3\\), expected"),
        (PLANE[:8], "24 x 8 pixels, expected at least 16 x 16"),
        (PLANE[None, :8], "24 x 8 pixels, expected at least 16 x 16"),
        (np.zeros_like(PLANE), "nearly one grey value"),
        (np.zeros_like(PLANE[..., 0]), "nearly one grey value"),
    ],
)
def test_other_arrays_are_refused(array, words):
    with pytest.raises(DataError, match=f"^mine: .*{words}") as refusal:
        intake.exam(array, name="mine")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "pixels", "words"),
    [
        ("speck.png", PLANE[:1, :1], "1 x 1 pixels, expected at least 16 x 16"),
        ("black.png", np.zeros_like(PLANE), "there is nothing to see on it"),
        ("deep.png", PLANE[..., 0].astype(np.uint16), "pixel type 'I;16'"),
    ],
)
def test_pictures_without_a_slice_are_refused(tmp_path, name, pixels, words):
    path = picture(tmp_path / name, np.ascontiguousarray(pixels))
    with pytest.raises(DataError, match=words) as refusal:
        intake.exam(path)
    assert str(refusal.value).startswith(f"{path}: ") and "\n" not in str(refusal.value)


def test_files_that_are_no_pictures_are_refused(tmp_path):
    (tmp_path / "note.png").write_text("not a picture")
    (tmp_path / "note.txt").write_text("not a picture")
    with pytest.raises(DataError, match="note.png: not a picture that can be read"):
        intake.exam(tmp_path / "note.png")
    with pytest.raises(DataError, match="none.tif: no such file"):
        intake.exam(tmp_path / "none.tif")
    for name in ("note.txt", "no-such-case"):
        with pytest.raises(DataError, match=f"{name}: no folder, no NIfTI volume, and no picture \\(.tif, "):
            intake.exam(tmp_path / name)


def test_a_folder_is_of_one_exam(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="empty: no slices .*DICOM is not read"):
        intake.exam(empty)
    picture(folder / "other_1.tif", PLANE)
    with pytest.raises(DataError, match="slices of 2 exams, expected one"):
        intake.exam(folder)
    path = folder / f"{EXAM}_10.tif"
    exam = intake.exam(path, by_exam=True)
    assert len(exam.images) == 1 and exam.notes == (f"{path}: {intake.ALONE}",)


@pytest.mark.parametrize("channels", [2, 4])
def test_a_last_channel_is_no_transparency_where_the_network_takes_as_many(tmp_path, channels):
    pixels = np.random.default_rng(1).integers(0, 255, (40, 24, channels), np.uint8)
    path = picture(tmp_path / "slice.png", pixels)
    for source in (path, pixels):
        exam = intake.exam(source, sequences=("t1", "t1ce", "t2", "flair")[:channels])
        np.testing.assert_array_equal(exam.images, pixels[None])
        assert exam.notes == ()
        assert intake.exam(source, sequences=("grey",)).images.shape[-1] == (3 if channels == 4 else 1)


def test_what_is_no_data_in_an_exams_folder_is_said(folder):
    (folder / "._x.tif").write_bytes(b"left by a disk")
    assert intake.exam(folder).notes == ("1 file passed over that is no data (._*)",)
