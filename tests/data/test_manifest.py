"""A cohort against a manifest: each kind of difference is named, and one bad picture does not end the comparison."""

import csv
import hashlib
import shutil

import numpy as np
import pytest
from PIL import Image

from brain_tumor.data.manifest import LGG_MANIFEST, check_manifest, read_manifest
from brain_tumor.data.readers import lgg
from brain_tumor.errors import DataError

CS, HT = "TCGA_CS_0001_19960909", "TCGA_HT_0002_19981126"


@pytest.fixture
def manifest(tree, tmp_path):
    """The manifest of ``tree`` as it was written."""
    path = tmp_path / "manifest.csv"
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["patient", "slice", "image_sha256", "mask_sha256"])
        for case in lgg.read_cohort(tree):
            images, masks = case.load()
            for number, image, mask in zip(case.slice_numbers, images, masks * 255, strict=True):
                writer.writerow(
                    [case.case_id, number, *(hashlib.sha256(pixels.tobytes()).hexdigest() for pixels in (image, mask))]
                )
    return path


def test_a_whole_cohort_agrees(tree, manifest):
    report = check_manifest(lgg.read_cohort(tree), manifest)
    assert report.sound
    assert (report.patients, report.slices, report.agreeing) == (2, 15, 15)
    assert report.missing_patients == report.missing_slices == report.changed == report.extra == ()


@pytest.mark.parametrize(("delimiter", "encoding"), [(";", "utf-8"), ("\t", "utf-8-sig"), (",", "utf-16")])
def test_a_manifest_that_went_through_a_spreadsheet_is_the_same(manifest, delimiter, encoding):
    before, content = read_manifest(manifest), manifest.read_text()
    manifest.write_text(content.replace(",", delimiter), encoding=encoding)
    assert read_manifest(manifest) == before


def test_a_missing_patient_is_named_and_is_no_fault(tree, manifest):
    shutil.rmtree(tree / HT)
    report = check_manifest(lgg.read_cohort(tree), manifest)
    assert report.missing_patients == (HT,)
    assert report.missing_slices == ()
    assert report.agreeing == 12
    assert report.sound


def test_a_missing_slice_is_named_and_is_a_fault(tree, manifest):
    for path in (tree / HT).glob(f"{HT}_3*"):
        path.unlink()
    report = check_manifest(lgg.read_cohort(tree), manifest)
    assert report.missing_slices == (f"{HT}/3",)
    assert report.missing_patients == ()
    assert not report.sound


@pytest.mark.parametrize("end", ["", "_mask"])
def test_one_changed_pixel_is_found(tree, manifest, end):
    path = tree / CS / f"{CS}_7{end}.tif"
    pixels = np.array(Image.open(path))
    pixels[3, 3] = 255 - pixels[3, 3]
    Image.fromarray(pixels).save(path)
    report = check_manifest(lgg.read_cohort(tree), manifest)
    assert report.changed == (f"{path}: pixels differ from the manifest",)
    assert report.agreeing == 14
    assert not report.sound


def test_swapped_channels_are_found(tree, manifest):
    path = tree / CS / f"{CS}_7.tif"
    Image.fromarray(np.array(Image.open(path))[..., ::-1].copy()).save(path)
    assert len(check_manifest(lgg.read_cohort(tree), manifest).changed) == 1


def test_another_container_with_the_same_pixels_agrees(tree, manifest):
    path = tree / CS / f"{CS}_7.tif"
    Image.open(path).save(path, "TIFF", compression="tiff_deflate")
    assert check_manifest(lgg.read_cohort(tree), manifest).sound


def test_a_damaged_picture_is_reported_and_the_rest_is_checked(tree, manifest):
    image, mask = tree / CS / f"{CS}_1.tif", tree / HT / f"{HT}_2_mask.tif"
    image.write_bytes(image.read_bytes()[:50])
    Image.fromarray(np.zeros((16, 16), np.uint16)).save(mask)
    report = check_manifest(lgg.read_cohort(tree), manifest)
    assert [line.split(": ")[0] for line in report.changed] == [str(image), str(mask)]
    assert report.agreeing == 13
    assert not report.sound


def test_an_extra_patient_is_named(tree, manifest, write_tree):
    write_tree(tree, {"TCGA_DU_0003_20000101": 2})
    report = check_manifest(lgg.read_cohort(tree), manifest)
    assert report.extra == ("TCGA_DU_0003_20000101/1", "TCGA_DU_0003_20000101/2")
    assert report.agreeing == 15
    assert not report.sound


def test_a_doubled_tree_is_told(tree, manifest):
    shutil.copytree(tree, tree.parent / "lgg-mri-segmentation" / "kaggle_3m")
    report = check_manifest(lgg.read_cohort(tree.parent), manifest)
    assert report.copies == 2
    assert report.agreeing == 15
    assert not report.sound


@pytest.mark.parametrize(
    "text", [None, "patient;slice\n", "patient,slice,image_sha256,mask_sha256\nA,one,x,y\n", b"\xff\xfe\x00"]
)
def test_an_unreadable_manifest_is_refused(tree, tmp_path, text):
    path = tmp_path / "manifest.csv"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=r"manifest.csv: not a readable manifest"):
        check_manifest(lgg.read_cohort(tree), path)


def test_the_shipped_manifest_lists_the_whole_lgg_data():
    listed = read_manifest(LGG_MANIFEST)
    patients = {case_id for case_id, _ in listed}
    assert len(listed) == 3929
    assert len(patients) == 110
    assert all(lgg.CASE_FOLDER.match(case_id) for case_id in patients)
    for case_id in patients:
        numbers = sorted(number for listed_id, number in listed if listed_id == case_id)
        assert numbers == list(range(1, len(numbers) + 1))
