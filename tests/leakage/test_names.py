"""What a name tells, and that it tells no more."""

import re

import pytest

from brain_tumor.data.cache import open_store
from brain_tumor.data.readers.lgg import read_cohort
from brain_tumor.errors import SplitError
from brain_tumor.leakage.names import SliceIndex, advice, identify, pattern_of, pictures_of

CS, HT = "TCGA_CS_0001_19960909", "TCGA_HT_0002_19981126"


@pytest.mark.parametrize(
    ("name", "patient", "series", "number"),
    [
        ("TCGA_CS_4941_19960909_12.tif", "TCGA_CS_4941", "TCGA_CS_4941_19960909_", 12),
        ("TCGA_CS_4941_19960909_0012", "TCGA_CS_4941", "TCGA_CS_4941_19960909_", 12),
        ("kaggle_3m/TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_12.tif", "TCGA_CS_4941", "TCGA_CS_4941_19960909_", 12),
        ("TCGA-CS-4941-19960909-12.png", "TCGA_CS_4941", "TCGA_CS_4941_19960909_", 12),
        ("LGG_TCGA_DU_A5TT_19980318_3_0000.png", "TCGA_DU_A5TT", "TCGA_DU_A5TT_19980318_", 3),
        ("TCGA_DU_P001_20000101_3.tif", "TCGA_DU_P001", "TCGA_DU_P001_20000101_", 3),
        ("TCGA_CS_4941_7.png", "TCGA_CS_4941", "TCGA_CS_4941_", 7),
        ("TCGA_CS_4941_19960909", "TCGA_CS_4941", None, None),
        ("TCGA_CS_4941_19960909.nii.gz", "TCGA_CS_4941", None, None),
        ("TCGA_CS_4941_19960909/7.png", "TCGA_CS_4941", None, None),  # where the file's own name tells nobody
        ("TCGA_HT_0002/TCGA_CS_4941_7.png", "TCGA_CS_4941", "TCGA_CS_4941_", 7),  # the file's own name goes first
        ("tcga_cs_4941_19960909_12.tif", "tcga_cs_4941", "tcga_cs_4941_19960909_", 12),
        (r"kaggle_3m\TCGA_CS_4941\TCGA_CS_4941_7.png", "TCGA_CS_4941", "TCGA_CS_4941_", 7),
        ("Tr-gl_0010.jpg", None, None, None),
        ("y12.jpg", None, None, None),
    ],
)
def test_the_pattern_of_tcga(name, patient, series, number):
    assert identify(name, pattern_of(None)) == (patient, series, number)


def test_a_pattern_of_ones_own():
    pattern = pattern_of(r"p(?P<patient>\d+)(?:_(?P<sequence>t\d))?_z(?P<slice>\d+)")
    assert identify("scan_p07_t1_z031.png", pattern) == ("07", "p07_t1_z", 31)
    assert identify("scan_p07_z031.png", pattern) == ("07", "p07_z", 31)
    assert identify("scan_p07.png", pattern) == (None, None, None)
    assert identify("BRATS_012", pattern_of(r"BRATS_(?P<patient>\d+)")) == ("012", None, None)


@pytest.mark.parametrize(
    ("name", "pattern", "told"),
    [
        ("glioma/p07/t1_12.png", r"p(?P<patient>\d+)/t1_(?P<slice>\d+)", ("07", "p07/t1_", 12)),
        ("patient_012/slice_3.png", r"(?P<patient>\d+)", ("012", None, None)),  # the first fit, not the file's own number
        ("P1/P01_7.png", r"(?P<patient>P\d+)(_(?P<slice>\d+))?", ("P1", "P01_", 7)),  # the folder tells who, the file which
        ("P1/P2_7.png", r"(?P<patient>P\d+)(_(?P<slice>\d+))?", ("P1", None, None)),
        ("a/p7_z1.png", r"^p(?P<patient>\d+)_z(?P<slice>\d+)", ("7", "p7_z", 1)),  # anchored at the file's own name
        ("a/-_1.png", r"(?P<patient>[-_]+)", (None, None, None)),
    ],
)
def test_a_pattern_of_ones_own_is_looked_for_below_the_part(name, pattern, told):
    assert identify(name, pattern_of(pattern)) == told


@pytest.mark.parametrize("name", ["BRATS_001", "glioma/Tr-gl_0010.jpg", "P7/img_3.png", "Subject (12).png"])
def test_the_advice_reads_the_name(name):
    pattern = advice(name).removeprefix("--pattern '").removesuffix("'")
    assert identify(name, pattern_of(pattern))[0] == re.search(r"\d+", name)[0]
    assert r"\-" not in pattern


@pytest.mark.parametrize(
    ("text", "complaint"), [("p(?P<patient", "not a regular expression"), (r"(\d+)", "group (?P<patient>...) is missing")]
)
def test_a_bad_pattern_is_refused(text, complaint):
    with pytest.raises(SplitError) as refusal:
        pattern_of(text)
    assert complaint in str(refusal.value) and text in str(refusal.value)


def test_pictures_of_a_cohort(home, tree):
    one, other = pictures_of(open_store(read_cohort(tree)), [11, 12])
    assert (one.name, one.patient, one.series, one.number, one.source) == (f"{CS}/12", "TCGA_CS_0001", CS, 12, 11)
    assert (other.name, other.source) == (f"{HT}/1", 12)


def test_an_index_finds_slices_and_whole_cases(home, write_tree):
    write_tree(home / "data" / "kaggle_3m", {CS: 2, HT: 3})
    index = SliceIndex("lgg")
    assert index.store is None  # opened when it is first asked for something it may have
    assert index.find("Tr-gl_0010") == ()
    assert index.store is None
    assert [picture.source for picture in index.find(f"{HT}_0002")] == [3]
    assert [picture.source for picture in index.find(HT)] == [2, 3, 4]
    assert index.find("TCGA_ZZ_9999_20000101_1") == ()
    with pytest.raises(SplitError, match=f"'{CS}_0000': TCGA_CS_0001 has slices 1 to 2 in the cohort 'lgg'"):
        index.find(f"{CS}_0000")


def test_an_index_is_empty_where_the_lgg_data_is_not_here(home):
    assert SliceIndex("lgg").find(f"{CS}_1") == ()
