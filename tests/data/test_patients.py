"""One key for all spellings of a patient, and different keys for different patients."""

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from brain_tumor.data import patients, splits
from brain_tumor.data.cohort import Case, Cohort

NAMES = st.text(st.sampled_from("aAbZ0019-_ .,/ßéŉ\u0345\u2011７ﬁ"), max_size=10)


@pytest.mark.parametrize(
    "names",
    [
        ("TCGA-CS-4941", "TCGA_CS_4941", "tcga cs 4941", " TCGA_CS_4941 ", "TCGA__CS-4941_", "TCGA–CS–4941"),
        ("7", "7.0", "007", "007.0", "7,0", " 07 ", "７"),
        ("BRATS_001", "BRATS-1", "brats 01"),
        ("P007", "p7", "P07"),
        ("Müller", "Mu\u0308ller", "MÜLLER"),
    ],
)
def test_spellings_of_one_patient_have_one_key(names):
    assert len({patients.key(name) for name in names}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A1", "A_1"), ("1_11", "11_1"), ("P7", "7"), ("A01B", "A1B"), ("7.5", "7"), ("70", "7"), ("10", "1"), ("0", "00A"),
        ("TCGA_CS_4941", "TCGA_CS_4941_19960909"), ("TCGA_CS_4941", "TCGA_DU_4941"), ("A5TT", "A05TT"),
    ],
)  # fmt: skip
def test_two_patients_have_two_keys(one, other):
    assert patients.key(one) != patients.key(other)


@pytest.mark.parametrize("name", ["", " ", "-", "_", "NA", "n/a", "NaN"])
def test_a_name_that_says_nothing_has_no_key(name):
    assert patients.key(name) == ""


@given(NAMES)
def test_a_key_is_its_own_key(name):
    assert patients.key(patients.key(name)) == patients.key(name)


@given(st.text("AB019", min_size=4, max_size=4), st.text("AB019", min_size=4, max_size=4))
def test_codes_of_one_length_stay_apart(one, other):
    assert (patients.key(one) == patients.key(other)) == (one == other)


def test_names_are_united_under_the_first_spelling_and_the_change_is_said():
    spellings = patients.united(["TCGA-CS-1", "P2", "TCGA_CS_1", "TCGA_CS_01"])
    assert spellings == {"TCGA-CS-1": "TCGA-CS-1", "P2": "P2", "TCGA_CS_1": "TCGA-CS-1", "TCGA_CS_01": "TCGA-CS-1"}
    words = "without regard to case, blanks, - and _, leading zeros: 2 names changed, such as 'TCGA_CS_1' to 'TCGA-CS-1'"
    assert words in patients.in_words(spellings)
    assert patients.in_words(patients.united(["A1", "A_1"])) == ""


@pytest.mark.parametrize("case_id", ["TCGA-CS-4941-19960909", "tcga_cs_4941", "TCGA_CS_4941"])
def test_a_cohort_knows_its_cases_however_they_are_spelt(tmp_path, case_id):
    case = Case("TCGA_CS_4941_19960909", "TCGA_CS_4941", "CS", (1,), (), {}, lambda _: None)
    assert Cohort("lgg", tmp_path, ("flair",), (case,))[case_id] is case


def test_a_split_may_spell_its_keys_otherwise():
    slices = pd.DataFrame({"case_id": ["TCGA_CS_1", "TCGA_CS_1", "TCGA_HT_2"], "slice": [1, 2, 1]})
    split = splits.Split("mine", "patient", ("tcga-cs-1",), (), ("TCGA_HT_02",))
    assert [split.rows(part, slices).tolist() for part in splits.PARTS] == [[0, 1], [], [2]]
    of_slices = splits.Split("mine", "slice", ("tcga-cs-1/2",), (), ("TCGA_HT_2/1",))
    assert [of_slices.rows(part, slices).tolist() for part in ("train", "test")] == [[1], [2]]
