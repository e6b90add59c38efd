"""Volumes as exams: sequences by name, slices turned as the network learnt them, masks back in the exam's own space."""

import gzip
import itertools

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from scipy.spatial.transform import Rotation

from brain_tumor.data import nifti, sequences
from brain_tumor.data.memory import MemoryFile, beginning
from brain_tumor.errors import DataError
from brain_tumor.inference import intake

# A voxel a corner, so that every turn and flip shows; R, A, S are the axes of a NIfTI world.
RAS = np.random.default_rng(0).integers(1, 200, (40, 36, 6)).astype(np.uint8)
CODES = ["".join(code) for axes in itertools.permutations(("RL", "AP", "SI")) for code in itertools.product(*axes)]


def stored_as(code, voxels=RAS, zooms=(1.0, 2.0, 5.0)):
    """The same head, stored with other axes."""
    image = nib.Nifti1Image(voxels, np.diag([*zooms, 1.0]))
    turn = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(code))
    return image.as_reoriented(turn)


@pytest.mark.parametrize("code", CODES)
def test_every_orientation_gives_the_same_exam_and_its_mask_goes_back(tmp_path, code):
    image = stored_as(code)
    image.to_filename(tmp_path / "x_flair.nii.gz")
    exam = intake.exam(tmp_path / "x_flair.nii.gz")
    assert exam.images.shape == (6, 36, 40, 3) and exam.spacing_mm == (5.0, 2.0, 1.0)
    # Seen from the feet, the face above: the first row is the front, the first column the patient's right.
    assert np.array_equal(exam.images[2, ..., 1], RAS[::-1, ::-1, 2].T[:, ::-1][:, ::-1])
    mask = exam.images[..., 1] > 100
    nifti.write_mask(tmp_path / "mask.nii.gz", mask, exam.spacing_mm, exam.grid)
    back = nib.load(tmp_path / "mask.nii.gz")
    assert back.shape == image.shape and np.allclose(back.affine, image.affine)
    assert np.array_equal(np.asarray(back.dataobj), np.asarray(image.dataobj) > 100)
    assert_same_place(tmp_path / "mask.nii.gz", tmp_path / "x_flair.nii.gz")


def assert_same_place(mask, volume):
    """Hold a mask's place in space, and what it marks, against the volume's, as another library reads both."""
    one, other = (SimpleITK.ReadImage(str(path)) for path in (mask, volume))
    for name in ("GetSize", "GetOrigin", "GetSpacing", "GetDirection"):
        assert np.allclose(getattr(one, name)(), getattr(other, name)(), atol=1e-5), name
    assert np.array_equal(SimpleITK.GetArrayFromImage(one), SimpleITK.GetArrayFromImage(other) > 100)


@pytest.mark.parametrize("codes", [(1, 1), (1, 0), (0, 1)], ids=["both forms", "quaternion", "matrix"])
def test_the_mask_of_an_oblique_exam_lies_where_the_exam_does(tmp_path, codes):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (12, -7, 21), degrees=True).as_matrix() @ np.diag([1.0, 2.0, 5.0])
    affine[:3, 3] = -30, 17, 4
    image = nib.Nifti1Image(RAS, affine)
    for place, code in zip((image.set_qform, image.set_sform), codes, strict=True):
        place(affine, code)
    image.to_filename(tmp_path / "x_flair.nii.gz")
    exam = intake.exam(tmp_path / "x_flair.nii.gz")
    nifti.write_mask(tmp_path / "mask.nii.gz", exam.images[..., 1] > 100, exam.spacing_mm, exam.grid)
    assert_same_place(tmp_path / "mask.nii.gz", tmp_path / "x_flair.nii.gz")


def test_a_network_of_other_data_gets_slices_as_they_are_read(tmp_path):
    stored_as("LPS").to_filename(tmp_path / "a.nii")
    turned, plain = (intake.exam(tmp_path / "a.nii", radiological=radiological) for radiological in (True, False))
    assert np.array_equal(turned.images, plain.images[:, ::-1, ::-1])
    mask = plain.images[..., 0] > 100
    assert np.array_equal(plain.grid.restored(mask), turned.grid.restored(mask[:, ::-1, ::-1]))


def test_a_volume_that_does_not_say_where_it_lies_is_not_turned(tmp_path):
    nifti.write_mask(tmp_path / "a.nii.gz", np.ones((4, 32, 32)))
    exam = intake.exam(tmp_path / "a.nii.gz")
    assert not exam.grid.turned and exam.spacing_mm is None


def test_sequences_are_told_by_their_names(tmp_path):
    for value, name in enumerate(("x_t1n", "x_t2f", "x_t1c", "x_t2w"), 1):
        stored_as("RAS", np.minimum(RAS * value, 255).astype(np.uint8)).to_filename(tmp_path / f"{name}.nii.gz")
    stored_as("RAS").to_filename(tmp_path / "x_seg.nii.gz")
    exam = intake.exam(tmp_path)
    one = intake.exam(tmp_path / "x_t1n.nii.gz", sequences=("pre",), radiological=True)
    assert np.array_equal(exam.images[..., 0], one.images[..., 0])
    assert not np.array_equal(exam.images[..., 0], exam.images[..., 1]) and exam.notes == ()


@pytest.mark.parametrize(
    ("name", "sequence"),
    [("a_t1.nii", "t1"), ("BraTS-t1n.nii.gz", "t1"), ("TCGA-DU-7294_fla.nii.gz", "flair"), ("x-t1ce.nii", "t1ce"), ("t2f.nii",
    "flair"),
     ("t2w.nii", "t2"), ("case_0000.nii", None), ("post_t1.nii.gz", "t1")],
)  # fmt: skip
def test_names(name, sequence):
    assert sequences.kind_of_file(MemoryFile(name, b"")) == sequence


def test_a_missing_sequence_is_stood_in_for_and_told(tmp_path):
    for name in ("x_t1", "x_flair"):
        stored_as("RAS").to_filename(tmp_path / f"{name}.nii.gz")
    exam = intake.exam(tmp_path)
    assert "no post-contrast; FLAIR stands in" in exam.notes[0]
    assert np.array_equal(exam.images[..., 2], exam.images[..., 1])


def test_a_volume_that_is_not_flair_is_refused_by_its_name(tmp_path):
    stored_as("RAS").to_filename(tmp_path / "x_t1.nii.gz")
    with pytest.raises(DataError, match="its name says t1, and this network needs FLAIR"):
        intake.exam(tmp_path / "x_t1.nii.gz")


def test_four_axes_hold_all_sequences(tmp_path):
    voxels = np.stack([RAS, RAS // 2, RAS // 3], axis=-1)
    nib.Nifti1Image(voxels, np.diag([-1.0, -1.0, 3.0, 1.0])).to_filename(tmp_path / "all.nii.gz")
    exam = intake.exam(tmp_path / "all.nii.gz")
    assert exam.images.shape == (6, 36, 40, 3) and np.array_equal(exam.images[..., 1], exam.images[..., 0] // 2)


@pytest.mark.parametrize("kind", ["nii", "nii.gz"])
@pytest.mark.parametrize("image_class", [nib.Nifti1Image, nib.Nifti2Image])
def test_a_volume_in_memory_is_read_as_one_on_a_disk(tmp_path, kind, image_class):
    path = tmp_path / f"a.{kind}"
    image_class(RAS.astype(np.float32) / 7, np.diag([-1.0, 1.0, 2.0, 1.0])).to_filename(path)
    on_disk, in_memory = intake.exam(path), intake.exam(MemoryFile(path.name, path.read_bytes()))
    assert np.array_equal(on_disk.images, in_memory.images) and on_disk.spacing_mm == in_memory.spacing_mm


def test_no_more_is_unpacked_than_is_asked_for():
    packed = gzip.compress(bytes(50_000_000))
    assert beginning(packed, 10) == bytes(10) and beginning(b"abcdef", 3) == b"abc"
