"""BraTS exams of every year and the Decathlon's are found by their names, read onto one grid, and refused in one line each."""

import shutil
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from broken_volumes import AFFINE, BROKEN, IMAGE, SHAPE, save

from brain_tumor.data import brats as survey_of_brats, labels, phantom_brats
from brain_tumor.data.cache import open_store
from brain_tumor.data.profile import profile
from brain_tumor.data.readers import brats, brats_files
from brain_tumor.data.readers.brats import Choices, read_exam
from brain_tumor.data.readers.brats_files import find
from brain_tumor.data.readers.volume import images_of
from brain_tumor.errors import DataError

SEQUENCES = ("t1", "t1ce", "t2", "flair")
NEW = dict(zip(SEQUENCES, ("t1n", "t1c", "t2w", "t2f"), strict=True))


def scan(number):
    """The voxels of one sequence."""
    return np.roll(IMAGE, number)


def truth(values=(1, 2, 4), kind=np.uint8):
    seg = np.zeros(SHAPE, kind)
    for place, value in enumerate(values):
        seg[4 + place, 5:9, 1:3] = value
    return seg


def write(folder, stem="", names=NEW, seg=None, missing=(), affine=AFFINE):
    for number, (sequence, name) in enumerate(names.items()):
        if sequence not in missing:
            save(folder / f"{stem}{name}.nii.gz", scan(number), affine)
    save(folder / f"{stem}seg.nii.gz", truth((1, 2, 3)) if seg is None else seg, affine)
    return folder


OLD = {name: name for name in SEQUENCES}
LAYOUTS = {
    "2020": lambda root: write(root / "BraTS20_Training_001", "BraTS20_Training_001_", OLD, truth((1, 2, 4))),
    "2023": lambda root: write(root / "BraTS-GLI-00005-000", "BraTS-GLI-00005-000-"),
    "bare": lambda root: write(root / "somebody"),
}


@pytest.mark.parametrize(
    ("layout", "name", "patient", "convention"),
    [
        ("2020", "BraTS20_Training_001", "BraTS20_Training_001", "2017"),
        ("2023", "BraTS-GLI-00005-000", "BraTS-GLI-00005", "2023"),
        ("bare", "somebody", "somebody", "2023"),
    ],
)
def test_layouts_of_every_year(tmp_path, layout, name, patient, convention):
    LAYOUTS[layout](tmp_path)
    (exam,) = find(tmp_path)
    assert (exam.name, exam.patient, exam.missing) == (name, patient, ())
    scans = read_exam(exam, Choices())
    assert scans.convention.name == convention
    assert scans.images.shape == (5, 18, 20, 4) and scans.images.dtype == np.uint8
    assert np.bincount(scans.depths.ravel())[1:].tolist() == [8, 8, 8]
    # Stored towards the left and the back: the face is up and the patient's right on the left as the voxels lie.
    assert scans.depths[1, 5, 4:7].tolist() == [2, 1, 3]


def test_two_exams_of_a_person_are_one_patient(tmp_path):
    for time in ("000", "001"):
        write(tmp_path / f"BraTS-GLI-00005-{time}", f"BraTS-GLI-00005-{time}-")
    cohort = brats.read_cohort(tmp_path)
    assert len(cohort) == 2 and {case.patient for case in cohort} == {"BraTS-GLI-00005"}
    assert cohort.regions == labels.REGIONS and cohort.cases[0].spacing_mm == (2.0, 1.0, 1.0)


@pytest.mark.parametrize("in_one", [True, False])
def test_the_decathlon(tmp_path, in_one):
    order = [SEQUENCES.index(name) for name in brats_files.OF_DECATHLON]
    if in_one:
        save(tmp_path / "imagesTr" / "BRATS_001.nii.gz", np.stack([scan(number) for number in order], axis=-1))
    else:
        for place, number in enumerate(order):
            save(tmp_path / "imagesTr" / f"BRATS_001_{place:04d}.nii.gz", scan(number))
    save(tmp_path / "labelsTr" / "BRATS_001.nii.gz", truth((1, 2, 3)))
    (exam,) = find(tmp_path)
    scans = read_exam(exam, Choices())
    write(tmp_path / "other" / "x")
    same = read_exam(find(tmp_path / "other")[0], Choices())
    assert np.array_equal(scans.images, same.images)
    assert scans.convention.name == "decathlon" and scans.depths[1, 5, 4:7].tolist() == [1, 2, 3]


def test_metaimages_of_2013(tmp_path):
    for number, name in enumerate(("MR_T1", "MR_T1c", "MR_T2", "MR_Flair", "OT")):
        stem = f"VSD.Brain{'_3more' * (name == 'OT')}.XX.O.{name}.5451{number}"
        folder = tmp_path / "HG" / "brats_2013_pat0001_1" / stem
        folder.mkdir(parents=True)
        image = SimpleITK.GetImageFromArray((truth((1, 2, 3, 4)) if name == "OT" else scan(number)).transpose(2, 1, 0))
        image.SetSpacing((1, 1, 2))
        SimpleITK.WriteImage(image, str(folder / f"{stem}.mha"))
    (exam,) = find(tmp_path)
    assert (exam.name, exam.patient) == ("brats_2013_pat0001_1", "brats_2013_pat0001")
    scans = read_exam(exam, Choices())
    assert scans.convention.name == "2013" and scans.depths[1, 5, 4:8].tolist() == [2, 1, 2, 3]
    write(tmp_path / "other" / "x")
    same = read_exam(find(tmp_path / "other")[0], Choices())
    assert np.array_equal(scans.images, same.images) and scans.grid.spacing_mm == same.grid.spacing_mm
    assert len(brats.read_cohort(tmp_path / "HG").cases[0].slice_numbers) == 5


@pytest.mark.parametrize("code", ["LPS", "RAS", "PIR", "ASL"])
def test_orientations_are_turned_to_one(tmp_path, code):
    write(tmp_path / "a")
    write(tmp_path / "b")
    there = nib.orientations.axcodes2ornt(code)
    for path in (tmp_path / "b").iterdir():
        image = nib.load(path)
        turn = nib.orientations.ornt_transform(nib.io_orientation(image.affine), there)
        image.as_reoriented(turn).to_filename(path)
    first, second = (read_exam(exam, Choices()) for exam in find(tmp_path))
    assert np.array_equal(first.images, second.images) and np.array_equal(first.depths, second.depths)
    assert second.grid.restored(second.depths).shape == nib.load(tmp_path / "b" / "seg.nii.gz").shape
    back = labels.labels(second.depths, second.convention)
    assert np.array_equal(second.grid.restored(back), np.asarray(nib.load(tmp_path / "b" / "seg.nii.gz").dataobj))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16])
def test_labels_stored_as_other_types_are_taken(tmp_path, kind):
    write(tmp_path / "x", seg=truth((1, 2, 3), kind))
    assert read_exam(find(tmp_path)[0], Choices()).depths.max() == 3


def test_a_missing_sequence_is_filled_only_when_asked(tmp_path):
    write(tmp_path / "x", missing=("t1ce",))
    (exam,) = find(tmp_path)
    with pytest.raises(DataError, match="x: no t1ce; --fill-missing lets FLAIR stand in"):
        read_exam(exam, Choices())
    images = read_exam(exam, Choices(fill_missing=True)).images
    assert np.array_equal(images[..., 1], images[..., 3]) and not np.array_equal(images[..., 0], images[..., 3])


def test_other_grids_are_refused_or_resampled(tmp_path):
    write(tmp_path / "x")
    coarse = IMAGE[::2, ::2]
    affine = AFFINE.copy()
    affine[:2, :2] *= 2
    save(tmp_path / "x" / "t1n.nii.gz", coarse, affine)
    (exam,) = find(tmp_path)
    with pytest.raises(
        DataError, match=r"t1n.nii.gz has 10 x 9 x 5 voxels of 2 x 2 x 2 mm, and t2f.nii.gz 20 x 18 x 5"
    ) as refusal:
        read_exam(exam, Choices())
    assert "--resample-to flair" in str(refusal.value)
    scans = read_exam(exam, Choices(resample_to="t2f"))
    assert scans.images.shape == (5, 18, 20, 4)
    there, own = scans.images[:, ::2, ::2, 0].astype(int), brats.read_volume(tmp_path / "x" / "t1n.nii.gz")
    expected = images_of(own)[:, ::-1, ::-1, 0]
    assert np.abs(there[:, :, 1:] - expected[:, :, 1:]).mean() < 40  # voxels of one place, between which it is linear
    small = read_exam(exam, Choices(resample_to="t1n"))
    assert small.images.shape == (5, 9, 10, 4) and set(np.unique(small.depths)) <= {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("BraTS-GLI-00005-000", "BraTS-GLI-00005-001"),
        ("BraTS-MEN-RT-0003-1", "BraTS-MEN-RT-0003-2"),
        ("brats_2013_pat0001_1", "brats_2013_pat0001_2"),
        ("brats_tcia_pat105_0001", "brats_tcia_pat105_0102"),
    ],
)
def test_two_times_of_a_person_are_told_by_the_names_of_every_year(tmp_path, first, second):
    for name in (first, second):
        write(tmp_path / name, f"{name}-")
    assert len({exam.patient for exam in find(tmp_path)}) == 1
    assert brats_files.Exam("BraTS2021_00105", {}, None).patient == "BraTS2021_00105"


@pytest.mark.parametrize(("values", "depths"), [((1, 2, 3, 4), [3, 2, 2, 1]), ((4,), [1])])
def test_children_have_numbers_of_their_own(tmp_path, values, depths):
    write(tmp_path / "BraTS-PED-00001-000", "BraTS-PED-00001-000-", seg=truth(values))
    scans = read_exam(find(tmp_path)[0], Choices())
    assert scans.convention.name == "ped" and scans.depths[1, 5, 4 : 4 + len(depths)].tolist() == depths


def test_of_children_of_2023_or_later_a_person_is_asked(tmp_path):
    write(tmp_path / "BraTS-PED-00001-000", "BraTS-PED-00001-000-")
    with pytest.raises(DataError, match="can be of 2023 or ped, and mean different regions; say which with --labels"):
        read_exam(find(tmp_path)[0], Choices())
    assert read_exam(find(tmp_path)[0], Choices(labels="2023")).convention.name == "2023"


def test_the_one_segmentation_of_2020_that_is_called_otherwise(tmp_path):
    folder = write(tmp_path / "BraTS20_Training_355", "BraTS20_Training_355_", OLD, truth((1, 2, 4)))
    (folder / "BraTS20_Training_355_seg.nii.gz").rename(folder / "W39_1998.09.19_Segm.nii.gz")
    (exam,) = find(tmp_path)
    assert exam.name == folder.name and exam.truth.name == "W39_1998.09.19_Segm.nii.gz"
    assert read_exam(exam, Choices()).convention.name == "2017"


STRANGE = {
    "fractions": (truth((0.5, 1, 2), np.float32), "the value 0.5"),
    "negative": (truth((-1, 1, 2), np.int16), "the value -1"),
    "too high": (truth((1, 2, 300), np.int16), "the value 300"),
    "unknown": (truth((1, 2, 7)), "the labels 1, 2, 7, expected those of"),
    "NaN": (truth((np.nan, 1), np.float32), "the value nan"),
    "infinite": (truth((np.inf, 1), np.float32), "the value inf"),
    "all but everywhere": (np.pad(np.ones((19, 18, 5), np.uint8), ((1, 0), (0, 0), (0, 0))), "95% of all voxels are labelled"),
    "everywhere": (np.ones(SHAPE, np.uint8), "100% of all voxels are labelled tumour"),
    "a slice short": (truth()[..., 1:], "on another grid than the images"),
    "of channels": (np.stack([truth()] * 3, axis=-1), "3 channels, expected a segmentation"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_volume_is_refused_in_one_line_that_names_it(tmp_path, fault):
    folder = write(tmp_path / "x")
    BROKEN[fault](folder / "t1c.nii.gz")
    with pytest.raises(DataError) as refusal:
        for exam in find(tmp_path):
            read_exam(exam, Choices())
    line = str(refusal.value)
    assert "\n" not in line and ("t1c" in line)


@pytest.mark.parametrize("fault", STRANGE)
def test_a_strange_segmentation_is_refused_in_one_line_that_names_it(tmp_path, fault):
    seg, words = STRANGE[fault]
    write(tmp_path / "x", seg=seg)
    with pytest.raises(DataError, match=words) as refusal:
        read_exam(find(tmp_path)[0], Choices())
    assert "\n" not in str(refusal.value) and "seg.nii.gz" in str(refusal.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: None, "no exam of BraTS"),
        (lambda root: (write(root / "a" / "x"), write(root / "b" / "x")), "two exams are called x"),
        (lambda root: (write(root / "x"), save(root / "x" / "t1ce.nii.gz", IMAGE)), "x: two files of t1ce"),
        (lambda root: save(root / "only_seg.nii.gz", truth()), "no exam of BraTS"),
    ],
)
def test_folders_that_hold_no_cohort(tmp_path, make, words):
    make(tmp_path)
    with pytest.raises(DataError, match=words):
        find(tmp_path)


def test_a_link_to_nowhere_is_no_missing_sequence(tmp_path):
    folder = write(tmp_path / "x", missing=("t1ce",))
    (folder / "t1c.nii.gz").symlink_to(tmp_path / "gone.nii.gz")
    with pytest.raises(DataError, match="t1c.nii.gz: a link to nowhere"):
        find(tmp_path)


def test_no_such_folder(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        find(tmp_path / "nowhere")


@pytest.mark.parametrize("words", [{"labels": "2019"}, {"resample_to": "dwi"}])
def test_choices_that_name_nothing(words):
    with pytest.raises(DataError):
        Choices(**words)


def test_an_exam_without_its_segmentation_is_read_and_makes_no_cohort(tmp_path):
    (write(tmp_path / "x") / "seg.nii.gz").unlink()
    (exam,) = find(tmp_path)
    assert read_exam(exam, Choices()).depths is None
    with pytest.raises(DataError, match="x: no file of labels, which the exams of a cohort need"):
        brats.read_cohort(tmp_path)


@pytest.mark.parametrize("convention", ["2017", "2023"])
def test_the_phantom_has_all_regions_and_is_known(tmp_path, home, convention):
    phantom_brats.write(tmp_path / "p", 4, (12, 32), convention=convention)
    cohort = brats.read_cohort(tmp_path / "p", name="x", phantom=True)
    exams = [read_exam(exam, Choices()) for exam in find(tmp_path / "p")]
    assert {scans.convention.name for scans in exams} == {convention}
    assert all((scans.depths == 1).any() and (scans.depths >= 2).any() for scans in exams)
    assert [bool((scans.depths == 3).any()) for scans in exams] == [True, True, True, False]
    again = phantom_brats.write(tmp_path / "q", 4, (12, 32), convention=convention)
    assert np.array_equal(read_exam(find(again)[0], Choices()).images, exams[0].images)
    store = open_store(cohort)
    assert np.array_equal(store.masks, (store.depths > 0)) and np.array_equal(store.depths, [p for s in exams for p in s.depths])
    small = open_store(cohort, 16)
    assert np.array_equal(small.masks, (small.depths > 0)) and set(np.unique(small.depths)) <= {0, 1, 2, 3}
    regions = profile(store)["regions"]
    assert [regions[name]["exams_without"] for name in ("WT", "TC", "ET")] == [0, 0, 1]


def test_a_survey_reads_all_and_names_what_it_refuses(tmp_path):
    for name in "abc":
        write(tmp_path / name)
    shutil.copy(tmp_path / "a" / "seg.nii.gz", tmp_path / "a" / "t2w.nii.gz")
    BROKEN["truncated"](tmp_path / "b" / "t1c.nii.gz")
    survey = survey_of_brats.survey(tmp_path, Choices())
    assert [exam.name for exam in survey.exams] == ["a", "c"] and len(survey.rows) == 10
    assert len(survey.refusals) == 1 and "t1c.nii.gz" in survey.refusals[0]
    assert survey.notes == (
        "labels of 2 exams: BraTS 2023 and 2025 (1 necrosis, 2 oedema and infiltrated tissue, 3 enhancing tumour)",
    )
    assert brats_files.from_json(brats_files.to_json(survey.exams[0])) == survey.exams[0]
    assert replace(survey.exams[0], depth=0, spacing_mm=None) == find(tmp_path)[0]
