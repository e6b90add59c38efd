"""Masks as people keep them: every kind gives the same planes, slices first; what is none is refused by name."""

import nibabel
import numpy as np
import pytest
from PIL import Image

from brain_tumor.data.readers import masks
from brain_tumor.errors import DataError

PLANES = (np.arange(2 * 5 * 4).reshape(2, 5, 4) % 3 == 0).astype(np.uint8)
TO_RIGHT_FRONT_HEAD = np.diag([0.9, 0.8, 5.0, 1.0])


def save_volume(path, planes, affine=TO_RIGHT_FRONT_HEAD, kind=nibabel.Nifti1Image):
    kind(planes.transpose(2, 1, 0), affine).to_filename(path)
    return path


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "F", "RGB", "RGBA", "LA"])
def test_one_plane_of_any_mode(tmp_path, mode):
    grey = Image.fromarray(PLANES[0] * np.uint8(255))
    picture = Image.fromarray((PLANES[0] * 255).astype(np.uint16)) if mode == "I;16" else grey.convert(mode)
    if mode == "P":
        picture = Image.fromarray(PLANES[0], "P")
        picture.putpalette([0, 0, 0, 200, 10, 10])
    picture.save(path := tmp_path / f"a.{'tif' if mode in ('F', 'I;16') else 'png'}")
    file = masks.read(path)
    assert np.array_equal(file.planes[0] > 0, PLANES[0] > 0)
    assert file.affine is None and file.spacing_mm is None


def test_a_tiff_of_several_pages_is_a_volume(tmp_path):
    first, second = (Image.fromarray(plane) for plane in PLANES)
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    file = masks.read(tmp_path / "a.tif")
    assert np.array_equal(file.planes, PLANES)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_a_volume_comes_slices_first_with_its_spacing(tmp_path, name, kind):
    file = masks.read(save_volume(tmp_path / name, PLANES, kind=kind))
    assert np.array_equal(file.planes, PLANES)
    assert file.spacing_mm == pytest.approx((5.0, 0.8, 0.9))


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (-1, 1, -1)])
def test_a_volume_is_turned_upright_by_its_affine(tmp_path, axes, signs):
    voxels = PLANES.transpose(2, 1, 0)
    lengths = np.array([0.9, 0.8, 5.0])
    turned = np.transpose(voxels, axes)[tuple(slice(None, None, sign) for sign in signs)]
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[world, axis] = sign * lengths[world]
        affine[world, 3] = 0 if sign > 0 else lengths[world] * (voxels.shape[world] - 1)
    nibabel.Nifti1Image(turned.copy(), affine).to_filename(tmp_path / "a.nii.gz")
    file = masks.read(tmp_path / "a.nii.gz")
    assert np.array_equal(file.planes, PLANES)
    assert file.spacing_mm == pytest.approx((5.0, 0.8, 0.9))


def test_a_volume_that_does_not_say_where_it_lies_is_turned_like_its_partner(tmp_path):
    turned = PLANES.transpose(2, 1, 0)[::-1]
    nibabel.Nifti1Image(turned.copy(), None).to_filename(tmp_path / "a.nii")
    alone, beside = masks.read(tmp_path / "a.nii"), masks.read(tmp_path / "a.nii", np.diag([-0.9, 0.8, 5.0, 1.0]))
    assert np.array_equal(beside.planes, PLANES) and not np.array_equal(alone.planes, PLANES)
    assert alone.affine is None and alone.spacing_mm is None


def test_bytes_that_a_file_calls_shares_of_255_come_unscaled(tmp_path):
    image = nibabel.Nifti1Image((PLANES * 77).transpose(2, 1, 0), None)
    image.header.set_slope_inter(1 / 255, 0)
    image.to_filename(tmp_path / "a.nii.gz")
    file = masks.read(tmp_path / "a.nii.gz")
    assert file.bytes_of_one and file.planes.dtype == np.uint8 and set(np.unique(file.planes)) == {0, 77}


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.npz", "a.txt"])
def test_a_kind_that_holds_no_masks_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=rf"{name}: .*expected .*\.nii\.gz"):
        masks.read(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.nii", "a.nii.gz"])
def test_a_damaged_file_is_refused_by_name(tmp_path, name):
    path = tmp_path / name
    if name.startswith("a.nii"):
        save_volume(path, np.random.default_rng(0).integers(0, 2, (9, 40, 40), np.uint8))
    else:
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=name):
        masks.read(path)


def test_colours_and_classes_are_no_mask(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (4, 4, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="colours"):
        masks.read(tmp_path / "a.png")
    nibabel.Nifti1Image(np.zeros((4, 4, 2, 3), np.uint8), np.eye(4)).to_filename(tmp_path / "a.nii")
    with pytest.raises(DataError, match="4 x 4 x 2 x 3"):
        masks.read(tmp_path / "a.nii")


def test_size_is_checked_before_a_voxel_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(masks, "MAX_VOXELS", 39)
    with pytest.raises(DataError, match="4 x 5 x 2 voxels"):
        masks.read(save_volume(tmp_path / "a.nii", PLANES))
