"""Groups of a detector's slices: counted by hand, beside the floor of the same slices."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from brain_tumor.evaluation import detection, detection_groups, subgroups

CASES = pd.DataFrame({"site": ["CS", "CS", "DU"], "RNASeqCluster": [1.0, np.nan, 1.0]}, index=["a", "b", "c"])
SLICES = pd.DataFrame(
    [("a", 1, 0, False), ("a", 2, 30, False), ("a", 3, 300, True), ("b", 1, 0, True), ("b", 2, 40, True), ("c", 1, 5000, True)],
    columns=["case_id", "slice", "tumour_px", "called"],
).assign(tumour=lambda table: table.tumour_px > 0)
NO, YES = (
    SLICES[["case_id", "slice"]].assign(floor=name, probability=value)
    for name, value in (("always no", 0.0), ("always yes", 1.0))
)


@pytest.fixture(scope="module")
def found():
    return detection_groups.tables(SLICES, pd.concat([NO, YES]), CASES).set_index(["by", "group"])


def test_a_site_is_judged_by_its_slices_called_right(found):
    row = found.loc[("site", "CS")]
    assert (row.measure, row.patients, row.slices, row.tumour_slices) == ("accuracy", 2, 5, 3)
    assert row.value == pytest.approx(3 / 5)
    assert row.low <= row.value <= row.high


def test_beside_it_stands_the_best_floor_of_the_same_slices(found):
    assert found.loc[("site", "CS"), "floor"] == pytest.approx(3 / 5) and found.loc[("site", "CS"), "floor_name"] == "always yes"
    assert found.loc[("site", "DU"), ["value", "floor"]].tolist() == [1, 1]


def test_a_range_of_area_is_judged_by_the_tumours_found_and_has_no_floor(found):
    small = found.loc[("tumour area", "< 50 px")]
    assert (small.measure, small.patients, small.slices, small.value) == ("sensitivity", 2, 2, 0.5)
    assert np.isnan(small.floor) and small.floor_name == ""
    assert found.loc[("tumour area", "200 to < 500 px"), "value"] == 1


def test_a_group_without_slices_keeps_its_row_and_one_patient_has_no_interval(found):
    assert found.loc[("tumour area", "500 to < 1000 px"), "slices"] == 0
    assert np.isnan(found.loc[("tumour area", "500 to < 1000 px"), "value"])
    assert np.isnan(found.loc[("site", "DU"), "low"])


def test_blanks_are_a_group(found):
    assert found.loc["RNASeq cluster"].index.tolist() == ["1", "blank"]


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3000), st.booleans()), min_size=1, max_size=30))
def test_groups_of_a_kind_share_out_all_slices(rows):
    table = pd.DataFrame(rows, columns=["case_id", "tumour_px", "called"]).assign(slice=range(len(rows)))
    table["tumour"] = table.tumour_px > 0
    floor = table[["case_id", "slice"]].assign(floor="always no", probability=0.0)
    found = detection_groups.tables(table, floor, CASES)
    by = found.groupby("by").slices.sum()
    assert by["site"] == len(table) and by[subgroups.AREA] == table.tumour.sum()
    right = (found.value * found.slices)[found.by == "site"].sum()
    whole = detection.score(table.case_id, table.tumour, table.called.astype(float), 0.5, intervals_too=False)
    assert right == pytest.approx(whole.set_index("measure").value["accuracy"] * len(table))
