"""The reader takes the tree exactly as Kaggle serves it, and refuses what would silently change a result."""

import shutil
import warnings

import numpy as np
import pytest
from PIL import Image

from brain_tumor.data.cohort import missing_sequences
from brain_tumor.data.readers import lgg
from brain_tumor.errors import DataError, DataWarning

CS, HT = "TCGA_CS_0001_19960909", "TCGA_HT_0002_19981126"


def test_the_tree_becomes_cases_in_order(tree):
    cohort = lgg.read_cohort(tree)
    assert [case.case_id for case in cohort] == [CS, HT]
    assert [case.site for case in cohort] == ["CS", "HT"]
    assert cohort.n_slices == 15
    assert cohort.sequences == ("pre", "flair", "post")
    assert cohort.copies == 1
    assert not cohort.phantom


def test_slices_are_in_numeric_order_not_in_lexical(tree):
    case = lgg.read_cohort(tree)[CS]
    images, _ = case.load()
    assert case.slice_numbers == tuple(range(1, 13))
    assert images[:, 0, 0, 0].tolist() == list(range(1, 13))


def test_masks_of_0_and_255_become_0_and_1(tree):
    images, masks = lgg.read_cohort(tree)[HT].load()
    assert images.shape == (3, 16, 16, 3) and masks.shape == (3, 16, 16)
    assert images.dtype == masks.dtype == np.uint8
    assert masks.sum((1, 2)).tolist() == [0, 8, 0]
    assert masks.max() == 1


@pytest.mark.parametrize("depth", ["the folder", "one above", "two above"])
def test_any_folder_above_the_tree_will_do(tree, depth):
    root = {"the folder": tree, "one above": tree.parent, "two above": tree.parent.parent}[depth]
    assert lgg.read_cohort(root).n_slices == 15


def test_the_folder_of_one_patient_will_do(tree):
    cohort = lgg.read_cohort(tree / HT)
    assert [case.case_id for case in cohort] == [HT]
    assert cohort[HT].clinical["age_at_initial_pathologic"] == 61


def test_the_doubled_tree_is_read_once(tree):
    download = tree.parent.parent.parent / "download"
    shutil.copytree(tree, download / "kaggle_3m")
    shutil.copytree(tree, download / "lgg-mri-segmentation" / "kaggle_3m")
    (download / "lgg-mri-segmentation" / "kaggle_3m" / "data.csv").write_text("Patient;gender\nTCGA_CS_0001;1\n")
    cohort = lgg.read_cohort(download)
    assert cohort.copies == 2
    assert cohort.n_slices == 15
    assert {path.parts[-3] for case in cohort for path in case.sources} == {"kaggle_3m"}
    assert all(path.is_relative_to(download / "kaggle_3m") for case in cohort for path in case.sources)
    assert cohort[CS].clinical["RNASeqCluster"] == 2


def test_copies_that_differ_are_refused(tree):
    shutil.copytree(tree / HT, tree / "again" / HT)
    (tree / "again" / HT / f"{HT}_3.tif").unlink()
    with pytest.raises(DataError, match="whose files differ"):
        lgg.read_cohort(tree)


def test_the_clinical_table_joins_on_the_patient_and_keeps_blanks(tree):
    clinical = lgg.read_cohort(tree)[CS].clinical
    assert clinical == {"RNASeqCluster": 2.0, "gender": None, "age_at_initial_pathologic": 61.0}


def test_the_clinical_table_may_be_separated_by_semicolons(tree):
    (tree / "data.csv").write_text("\ufeffPatient;RNASeqCluster;gender\nTCGA_CS_0001;;2\nTCGA_HT_0002;1;\n", encoding="utf-8")
    cohort = lgg.read_cohort(tree)
    assert cohort[CS].clinical == {"RNASeqCluster": None, "gender": 2.0}
    assert cohort[HT].clinical == {"RNASeqCluster": 1.0, "gender": None}


@pytest.mark.parametrize(
    "content",
    [
        "Patient;gender;age\nTCGA-CS-0001;NA;61,5\n".encode("utf-16"),
        "patient\tgender\tage\r\ntcga_cs_0001\tn/a\t61.5\r\n".encode("utf-8-sig"),
        b'Patient,gender,age\n TCGA_CS_0001 ,-,"61,5"\n,,\n',
        b"Patient,gender,age\nTCGA_CS_0001,NaN,61.50\n",
    ],
)
def test_the_clinical_table_is_read_however_it_was_saved(tree, content):
    (tree / "data.csv").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lgg.read_cohort(tree)[CS].clinical == {"gender": None, "age": 61.5}


@pytest.mark.parametrize(
    ("content", "complaint", "clinical"),
    [
        (b"Patient,gender,age\nTCGA_CS_0001,male,61\n", "line 2 (TCGA_CS_0001), gender: 'male' is no number, taken as blank", 61),
        (b"Patient,gender,age\nTCGA_CS_0001,,61\nTCGA-CS-0001,,7\n", "line 3 (TCGA-CS-0001): a second line of that patient", 61),
        (b"Patient,gender,age\n,2,6\nTCGA_CS_0001,,61\n", "line 2 (no patient): no patient, the line is passed over", 61),
        (b"Patient,gender,age\nTCGA_CS_0001,,61,5\n", "line 2 (TCGA_CS_0001): more cells than columns", None),
        (b"Person,gender\nTCGA_CS_0001,2\n", "no 'Patient' column, columns Person, gender; the slices are read without", None),
        (b"\x89PNG\r\n\x1a\n\xff\xfe\x00", "not text; expected CSV or JSON, in UTF-8; the slices are read without", None),
        (b"", "no 'Patient' column, columns none", None),
        (b"Patient,a\nP1,x\nP2,x\nP3,x\nP4,x\nP5,x\n", "line 4 (P3), a: 'x' is no number, taken as blank; and 2 more", None),
    ],
)
def test_a_bad_clinical_table_is_a_warning_and_never_shuts_out_the_slices(tree, content, complaint, clinical):
    (tree / "data.csv").write_bytes(content)
    with pytest.warns(DataWarning) as heard:
        cohort = lgg.read_cohort(tree)
    (warning,) = heard
    assert f"{tree / 'data.csv'}: " in str(warning.message) and complaint in str(warning.message)
    assert cohort.n_slices == 15 and cohort[CS].clinical.get("age") == clinical


def test_without_a_clinical_table_nothing_is_known(tree):
    (tree / "data.csv").unlink()
    assert lgg.read_cohort(tree)[CS].clinical == {}


def test_a_patient_who_is_not_in_the_table_has_nothing(tree):
    (tree / "data.csv").write_text("Patient,gender\nTCGA_CS_0001,2\n")
    assert lgg.read_cohort(tree)[HT].clinical == {}


def test_missing_sequences_are_told_from_copies_of_flair():
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    assert missing_sequences(images, lgg.SEQUENCES) == ()
    images[..., 2] = images[..., 1]
    assert missing_sequences(images, lgg.SEQUENCES) == ("post",)
    images[..., 0] = images[..., 1]
    assert missing_sequences(images, lgg.SEQUENCES) == ("pre", "post")
    images[3, 0, 0, 0] ^= 1  # one pixel of one slice makes it a sequence of its own
    assert missing_sequences(images, lgg.SEQUENCES) == ("post",)


def test_a_case_is_found_with_and_without_its_date(tree):
    cohort = lgg.read_cohort(tree)
    assert cohort["TCGA_CS_0001"] is cohort[CS]
    with pytest.raises(DataError, match="no case 'TCGA_CS_9999'"):
        cohort["TCGA_CS_9999"]


def test_a_mask_without_its_image_is_refused(tree):
    (tree / HT / f"{HT}_2.tif").unlink()
    with pytest.raises(DataError, match=f"{HT}_2_mask.tif: mask without its image"):
        lgg.read_cohort(tree)


def test_a_foreign_picture_in_a_patient_folder_is_refused(tree):
    shutil.copy(tree / CS / f"{CS}_1.tif", tree / HT / f"{CS}_1.tif")
    with pytest.raises(DataError, match="unexpected file name"):
        lgg.read_cohort(tree)


@pytest.mark.parametrize("name", [f"{HT}_01.tif", f"{HT}_002_mask.tif"])
def test_the_same_slice_number_twice_is_refused(tree, name):
    shutil.copy(tree / HT / f"{HT}_3{'_mask' * ('mask' in name)}.tif", tree / HT / name)
    with pytest.raises(DataError, match="second"):
        lgg.read_cohort(tree)


def test_an_empty_patient_folder_is_refused(tree):
    (tree / "TCGA_DU_0003_20000101").mkdir()
    with pytest.raises(DataError, match="TCGA_DU_0003_20000101: no slices"):
        lgg.read_cohort(tree)


def test_slices_of_unlike_sizes_are_refused(tree):
    for end in ("", "_mask"):
        path = tree / HT / f"{HT}_2{end}.tif"
        Image.open(path).resize((8, 8)).save(path)
    with pytest.raises(DataError, match=f"{HT}_2.tif: 8 x 8 pixels, but the case's first slice has 16 x 16"):
        lgg.read_cohort(tree)[HT].load()


def test_a_link_to_nowhere_is_refused(tree):
    path = tree / HT / f"{HT}_2.tif"
    path.unlink()
    path.symlink_to(tree / "gone.tif")
    with pytest.raises(DataError, match=f"{HT}_2.tif"):
        lgg.read_cohort(tree)


def test_images_of_an_exam_without_masks_are_read_in_order(tree):
    for mask in (tree / CS).glob("*_mask.tif"):
        mask.unlink()
    images, numbers = lgg.read_images(tree / CS)
    assert images[:, 0, 0, 0].tolist() == numbers.tolist() == list(range(1, 13))


def test_images_of_no_exam_or_of_two_are_refused(tree):
    with pytest.raises(DataError, match="slices of no exams, expected one"):
        lgg.read_images(tree)
    shutil.copy(tree / CS / f"{CS}_1.tif", tree / HT / f"{CS}_1.tif")
    with pytest.raises(DataError, match="slices of 2 exams, expected one"):
        lgg.read_images(tree / HT)


def test_a_slice_knows_its_place_in_its_exam(tree, tmp_path):
    assert lgg.has_its_exam(tree / CS / f"{CS}_10.tif")
    assert not lgg.has_its_exam(tree / CS / f"{CS}_10_mask.tif")
    alone = tmp_path / f"{CS}_10.tif"
    shutil.copy(tree / CS / alone.name, alone)
    assert not lgg.has_its_exam(alone)
