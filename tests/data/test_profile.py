"""The facts of a cohort, on cases small enough to count by hand."""

import json

import numpy as np
import pytest
from PIL import Image

from brain_tumor.data.cache import open_store
from brain_tumor.data.profile import profile, table
from brain_tumor.data.readers import lgg

# Tumour pixels as (slice, rows, columns): contiguous; with a hole in z; two pieces in 3-D; touching by a corner only.
DRAWN = {
    "TCGA_CS_0001_20000101": [(2, slice(0, 2), slice(0, 4)), (3, slice(0, 2), slice(2, 6))],
    "TCGA_DU_0002_20000101": [(1, slice(0, 1), slice(0, 7)), (4, slice(0, 1), slice(0, 7))],
    "TCGA_DU_0003_20000101": [(2, slice(0, 8), slice(0, 8)), (2, slice(10, 12), slice(10, 12)), (3, slice(0, 8), slice(0, 8))],
    "TCGA_HT_0004_20000101": [(2, slice(0, 2), slice(0, 2)), (3, slice(2, 4), slice(2, 4))],
    "TCGA_HT_0005_20000101": [],
}


@pytest.fixture
def store(home, tmp_path):
    rng = np.random.default_rng(0)
    for number, (case_id, places) in enumerate(DRAWN.items()):
        (tmp_path / "t" / case_id).mkdir(parents=True)
        masks = np.zeros((5 + number, 16, 16), np.uint8)
        for plane, rows, columns in places:
            masks[plane - 1, rows, columns] = 255
        for plane, mask in enumerate(masks, 1):
            image = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            if number in (1, 3):
                image[..., 2] = image[..., 1]
            if number == 3:
                image[..., 0] = image[..., 1]
            Image.fromarray(image).save(tmp_path / "t" / case_id / f"{case_id}_{plane}.tif")
            Image.fromarray(mask).save(tmp_path / "t" / case_id / f"{case_id}_{plane}_mask.tif")
    (tmp_path / "t" / "data.csv").write_text(
        "Patient,gender,RNASeqCluster\nTCGA_CS_0001,1,\nTCGA_DU_0002,2,\nTCGA_DU_0003,,4\nTCGA_HT_0004,1,1\n"
    )
    return open_store(lgg.read_cohort(tmp_path / "t"))


@pytest.fixture
def facts(store):
    return profile(store)


def test_counts(facts):
    assert facts["patients"] == 5
    assert facts["slices"] == 5 + 6 + 7 + 8 + 9
    assert facts["tumour_slices"] == 8 and facts["empty_slices"] == 27
    assert facts["tumour_share"] == round(8 / 35, 4)
    assert facts["always_no_accuracy"] == round(27 / 35, 4)
    assert facts["patients_without_tumour"] == 1
    assert facts["slices_per_patient"] == {"min": 5, "median": 7.0, "max": 9}
    assert facts["size"] == 16


def test_sites(facts):
    assert {site: (row["patients"], row["slices"]) for site, row in facts["sites"].items()} == {
        "CS": (1, 5),
        "DU": (2, 13),
        "HT": (2, 17),
    }


def test_missing_sequences_name_their_patients(facts):
    assert facts["missing_sequences"] == {
        "pre": ["TCGA_HT_0004_20000101"],
        "post": ["TCGA_DU_0002_20000101", "TCGA_HT_0004_20000101"],
        "all_but_flair": ["TCGA_HT_0004_20000101"],
    }


def test_areas(facts):
    area = facts["tumour_area_px"]
    assert (area["min"], area["median"], area["max"]) == (4, 7.5, 68)
    assert (area["under_50"], area["under_200"], area["under_500"]) == (6, 8, 8)


def test_contiguity_and_components(facts):
    assert facts["tumour_contiguous_in_z"] == 4
    assert facts["tumour_with_gaps_in_z"] == ["TCGA_DU_0002_20000101"]
    assert facts["more_than_one_component"] == {"TCGA_DU_0002_20000101": 2, "TCGA_DU_0003_20000101": 2}


def test_dice_of_adjacent_slices(facts):
    dice = [2 * 4 / 16, 2 * 64 / 132, 0.0]
    assert facts["adjacent_tumour_slices_dice"] == {
        "pairs": 3,
        "mean": round(float(np.mean(dice)), 4),
        "median": round(float(np.median(dice)), 4),
    }


def test_blank_clinical_fields_count_patients_without_a_row_too(facts):
    assert facts["blank_clinical_fields"] == {"gender": 2, "RNASeqCluster": 3}


def test_the_facts_are_json(facts):
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts


def test_the_table_says_them_in_words(facts):
    rows = dict(table(facts))
    assert all(isinstance(value, str) for pair in rows.items() for value in pair)
    assert rows["patients"] == "5, of whom 1 without tumour"
    assert rows["tumour / empty slices"] == "8 / 27 (22.86% tumour)"
    assert rows["post missing (a copy of FLAIR)"] == "2: TCGA_DU_0002_20000101, TCGA_HT_0004_20000101"
    assert rows["tumour area, px"] == "4 to 68, median 8"
    assert rows["tumour of more than one component"] == "2: TCGA_DU_0002_20000101 (2), TCGA_DU_0003_20000101 (2)"


def test_the_phantom_is_marked_and_its_promises_are_found(home, phantom_cohort):
    facts = profile(open_store(phantom_cohort))
    assert facts["phantom"]
    assert facts["patients_without_tumour"] == 0
    assert facts["tumour_with_gaps_in_z"] == []
    assert len(facts["missing_sequences"]["all_but_flair"]) == 1
    assert len(facts["missing_sequences"]["post"]) == 2


def test_a_cohort_without_any_tumour_still_has_facts(home, write_tree, tmp_path):
    facts = profile(open_store(lgg.read_cohort(write_tree(tmp_path / "t", {"TCGA_CS_0001_20000101": 1}))))
    assert facts["tumour_slices"] == 0
    assert facts["adjacent_tumour_slices_dice"] == {"pairs": 0, "mean": None, "median": None}
    assert dict(table(facts))["tumour area, px"] == "none"
    json.dumps(facts, allow_nan=False)
