"""Volumes as exams: sequences by name, slices turned as the network learnt them, masks back in the exam's own space."""

import gzip
import io
import itertools
import math
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from scipy.spatial.transform import Rotation

from brain_tumor.data import nifti, sequences
from brain_tumor.data.memory import MemoryFile, unpacked
from brain_tumor.data.readers import volume
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
    nifti.write_mask(tmp_path / "a.nii.gz", np.arange(32) % 2 * np.ones((4, 32, 32)))
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
    raw = io.BytesIO(gzip.compress(bytes(50_000_000)))
    packed = SimpleNamespace(open=lambda _: raw)
    with unpacked(packed) as stream:
        assert stream.read(10) == bytes(10) and raw.tell() < len(raw.getvalue()) / 2
    with unpacked(MemoryFile("a.nii.gz", b"abcdef")) as stream:
        assert stream.read(3) == b"abc"


OF_BRATS = ("t1", "t1ce", "t2", "flair")


def test_the_channels_of_the_decathlon_are_put_in_order_and_others_are_named(tmp_path):
    voxels = np.stack([np.roll(RAS, number) for number in range(4)], axis=-1)  # flair, t1, t1ce, t2
    for place in (tmp_path / "imagesTs", tmp_path):
        place.mkdir(exist_ok=True)
        nib.Nifti1Image(voxels, np.diag([-1.0, -1.0, 3.0, 1.0])).to_filename(place / "BRATS_485.nii.gz")
    ours = intake.exam(tmp_path / "imagesTs" / "BRATS_485.nii.gz", sequences=OF_BRATS)
    stored = intake.exam(tmp_path / "BRATS_485.nii.gz", sequences=OF_BRATS)
    assert np.array_equal(ours.images, stored.images[..., [1, 2, 3, 0]])
    assert ours.notes[0].endswith("its channels are taken for FLAIR, T1, T1ce, T2, in this order")
    assert stored.notes[0].endswith("its channels are taken for T1, T1ce, T2, FLAIR, in this order")


def test_a_folder_of_exams_is_no_exam(tmp_path):
    (tmp_path / "BraTS-GLI-00001-000").mkdir()
    stored_as("RAS").to_filename(tmp_path / "BraTS-GLI-00001-000" / "BraTS-GLI-00001-000-t2f.nii.gz")
    with pytest.raises(DataError, match="its volumes lie in folders below, expected the folder of one exam"):
        intake.exam(tmp_path)


def test_metaimages_are_an_exam_too(tmp_path):
    for number, name in enumerate(("MR_T1", "MR_T1c", "MR_T2", "MR_Flair", "OT")):
        stem = f"VSD.Brain.XX.O.{name}.5451{number}"
        (tmp_path / "mha" / stem).mkdir(parents=True)
        voxels = np.roll(RAS, number)
        image = SimpleITK.GetImageFromArray(voxels.transpose(2, 1, 0))
        SimpleITK.WriteImage(image, str(tmp_path / "mha" / stem / f"{stem}.mha"))
        if name != "OT":
            (tmp_path / "nii").mkdir(exist_ok=True)
            nib.Nifti1Image(voxels, np.diag([-1.0, -1.0, 1.0, 1.0])).to_filename(tmp_path / "nii" / f"{name.lower()}.nii.gz")
    ours, same = (intake.exam(tmp_path / kind, sequences=OF_BRATS) for kind in ("mha", "nii"))
    assert np.array_equal(ours.images, same.images) and ours.grid.affine is not None
    alone = intake.exam(next(tmp_path.rglob("*Flair*.mha")), sequences=OF_BRATS)
    assert np.array_equal(alone.images[..., 0], ours.images[..., 3])


def test_volumes_of_several_grids_are_brought_onto_one_when_asked(tmp_path):
    zooms = np.diag([1.0, 1.0, 3.0, 1.0])
    for name in ("t1", "flair"):
        nib.Nifti1Image(RAS, zooms).to_filename(tmp_path / f"x_{name}.nii.gz")
    wide = zooms.copy()
    wide[:2, :2] *= 2
    nib.Nifti1Image(np.ascontiguousarray(RAS[::2, ::2]), wide).to_filename(tmp_path / "x_t1ce.nii.gz")
    with pytest.raises(DataError, match="x_t1ce.nii.gz: 20 x 18 x 6 .* on another grid .*; --resample-to flair brings all"):
        intake.exam(tmp_path)
    exam = intake.exam(tmp_path, resample_to="flair")
    assert exam.images.shape == (6, 36, 40, 3) and exam.spacing_mm == (3.0, 1.0, 1.0)
    assert np.array_equal(exam.images[..., 0], exam.images[..., 1])
    small = intake.exam(tmp_path, resample_to="t1c")
    assert small.images.shape == (6, 18, 20, 3) and small.grid.shape == (6, 18, 20)
    with pytest.raises(DataError, match="no t2, to whose grid the others are to be brought"):
        intake.exam(tmp_path, resample_to="t2")


OF_NIBABEL = Path(nib.__file__).parent / "tests" / "data"  # volumes that others wrote


@pytest.mark.parametrize("name", ["anatomical.nii", "functional.nii", "reoriented_anat_moved.nii", "standard.nii.gz"])
def test_volumes_of_nibabel_are_read_as_it_reads_them(name):
    path = OF_NIBABEL / name
    if not path.is_file():
        pytest.skip("this nibabel comes without its volumes")
    image = nib.as_closest_canonical(nib.load(path))
    if math.prod(image.shape[3:]) > 4:
        with pytest.raises(DataError, match="and perhaps a fourth of at most 4 channels"):
            volume.read_volume(path)
        return
    own = volume.read_volume(path)
    expected = np.asarray(image.dataobj).reshape(*image.shape[:3], -1).transpose(2, 1, 0, 3)
    assert np.array_equal(own.planes, expected) and own.spacing_mm == tuple(map(float, image.header.get_zooms()[2::-1]))
    assert volume.read_extent(path) == (len(own.planes), own.spacing_mm)
