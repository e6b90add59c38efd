"""A run's predictions for other tools: what is written, and what is refused instead of lost."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from brain_tumor.data.cohort import Case
from brain_tumor.errors import DataError
from brain_tumor.inference import export
from brain_tumor.inference.predict import Prediction

PLANES = np.arange(3 * 6 * 6, dtype=np.uint8).reshape(3, 6, 6) * 2


def case_of(source="x_1.tif", width=4, numbers=(1, 2, 3)):
    volume = np.zeros((3, 6, width, 3), np.uint8), np.zeros((3, 6, width), np.uint8)
    return Case("x", "x", "CS", numbers, (Path(source),), {}, lambda _case: volume, (5.0, 0.9, 0.8))


def prediction(planes=PLANES):
    return Prediction("x", np.arange(1, len(planes) + 1), planes, planes)


def test_slices_that_were_padded_are_cut_back(tmp_path):
    export.write(prediction(), case_of(), "png", tmp_path)
    written = np.stack([np.asarray(Image.open(tmp_path / "x" / f"x_{number}.png")) for number in (1, 2, 3)])
    assert np.array_equal(written, PLANES[:, :, 1:5])


def test_a_volume_holds_shares_of_1_and_its_spacing(tmp_path):
    export.write(prediction(), case_of(), "nifti", tmp_path)
    image = nibabel.Nifti1Image.from_filename(tmp_path / "x.nii.gz")
    assert np.allclose(image.get_fdata().transpose(2, 1, 0), PLANES[:, :, 1:5] / 255, atol=1e-6)
    assert image.header.get_zooms() == pytest.approx((0.8, 0.9, 5.0))


@pytest.mark.parametrize(
    ("planes", "case", "words"),
    [(PLANES[:2], case_of(), "2 of 3 slices"), (PLANES, case_of("x.nii.gz"), "export png")],
    ids=["part of an exam", "a place in space"],
)
def test_what_a_volume_would_lose_is_refused(tmp_path, planes, case, words):
    with pytest.raises(DataError, match=words):
        export.write(prediction(planes), case, "nifti", tmp_path)
    assert not list(tmp_path.iterdir())
