"""Subgroups: everybody is in one of them, blanks among themselves, and one patient has no interval."""

import numpy as np
import pandas as pd
import pytest

from brain_tumor.errors import DataError
from brain_tumor.evaluation import intervals, overlap, protocols, subgroups


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(intervals, "RESAMPLES", 200)


@pytest.fixture
def counts():
    """Five patients of three slices at 10 and 20 px: an empty slice, a small tumour missed by half, a large one found."""
    rows = []
    for number, case_id in enumerate("ABCDE"):
        for size, scale in ((10, 1), (20, 4)):
            rows.append((case_id, 1, size, 0, 0, 0, size**2, 0.1))
            rows.append((case_id, 2, size, 5 * scale, number, 5 * scale, size**2, 0.9))
            rows.append((case_id, 3, size, 60 * scale, number, 0, size**2, 0.9))
    return pd.DataFrame(rows, columns=list(overlap.COLUMNS))


@pytest.fixture
def cases():
    """``F`` was not scored; the cluster of ``C`` is blank, and so are all of one field."""
    return pd.DataFrame(
        {
            "site": ["HT", "CS", "HT", "EZ", "CS", "FG"],
            "neoplasm_histologic_grade": [2.0, 1, 2, 1, 2, 1],
            "RNASeqCluster": [10, 2, None, 2, 10, 3],
            "nothing": None,
        },
        index=list("ABCDEF"),
    )


def test_each_group_is_scored_as_if_it_were_all(counts, cases):
    found = subgroups.by_field(counts, cases, "site").set_index("group")
    assert found.index.tolist() == ["CS", "EZ", "HT"], "no row for FG, which was not scored"
    own = protocols.score(counts[counts.case_id.isin(["B", "E"])])
    own = own[(own["size"] == 20) & (own.protocol == "patient mean")].iloc[0]
    columns = ["protocol", "size", "dice", "low", "high", "floor", "floor_name", "patients", "slices"]
    assert found.loc["CS", columns].tolist() == own[columns].tolist()
    assert found.tumour_slices.tolist() == [4, 2, 4]
    assert (found.by == "site").all()


def test_one_patient_has_a_score_and_no_interval(counts, cases):
    alone = subgroups.by_field(counts, cases, "site").set_index("group").loc["EZ"]
    assert alone.patients == 1
    assert 0 < alone.dice < 1
    assert np.isnan([alone.low, alone.high]).all()


def test_blanks_are_a_group_of_their_own_at_the_end(counts, cases):
    found = subgroups.by_field(counts, cases, "RNASeqCluster")
    assert found.group.tolist() == ["2", "10", "blank"], "in the order of numbers, not of letters"
    assert found.patients.tolist() == [2, 2, 1]
    assert subgroups.by_field(counts, cases, "nothing").group.tolist() == ["blank"]


def test_values_may_come_as_objects(counts, cases):
    """As they do from a dictionary of each case's fields with None in it."""
    pd.testing.assert_frame_equal(
        subgroups.tables(counts, cases.astype(object).where(cases.notna(), None)), subgroups.tables(counts, cases)
    )


def test_everybody_is_in_one_group_of_each_field(counts, cases):
    table = subgroups.tables(counts, cases)
    assert table.by.unique().tolist() == ["site", "grade code", "RNASeq cluster", "tumour area"]
    fields = table[table.by != "tumour area"].groupby("by")[["patients", "slices"]].sum()
    assert (fields.patients == 5).all()
    assert (fields.slices == 15).all()
    assert table[table.by == "tumour area"].slices.sum() == 10, "each tumour slice"
    assert subgroups.tables(counts, cases[["site"]]).by.unique().tolist() == ["site", "tumour area"]


def test_slices_are_grouped_by_their_area_at_native_size(counts):
    found = subgroups.by_area(counts).set_index("group")
    assert found.index.tolist() == [
        "< 50 px", "50 to < 200 px", "200 to < 500 px", "500 to < 1000 px", "1000 to < 2000 px", ">= 2000 px",
    ]  # fmt: skip
    assert found.slices.tolist() == [5, 0, 5, 0, 0, 0], "40 and 240 px at the larger size"
    small = [2 * 20 / (2 * 20 + invented + 20) for invented in range(5)]
    assert found.dice["< 50 px"] == pytest.approx(np.mean(small))
    assert found.low["< 50 px"] < found.dice["< 50 px"] < found.high["< 50 px"]
    assert np.isnan(found.dice["50 to < 200 px"])
    assert found.patients["50 to < 200 px"] == 0
    assert (found.protocol == "tumour slices").all()


def test_an_area_on_an_edge_belongs_above_it(counts, monkeypatch):
    monkeypatch.setattr(subgroups, "AREA_EDGES", (40, 240))
    found = subgroups.by_area(counts).set_index("group")
    assert found.slices.to_dict() == {"< 40 px": 0, "40 to < 240 px": 5, ">= 240 px": 5}


def test_the_floor_is_that_of_the_group(counts, cases):
    half = counts.assign(tp=(counts.tp + counts.fn) // 2, fn=(counts.tp + counts.fn) // 2, fp=0)
    found = subgroups.tables(counts, cases, floor_counts={"half": half})
    of_slices = found.by == "tumour area"
    assert found.floor[~of_slices].tolist() == pytest.approx([2 / 3] * sum(~of_slices))
    assert found.floor[of_slices & (found.slices > 0)].tolist() == pytest.approx([2 / 3] * 2)
    assert set(found.floor_name[found.slices > 0]) == {"half"}
    with pytest.raises(DataError, match="floor 'half'"):
        subgroups.tables(counts, cases, floor_counts={"half": half[half.case_id != "A"]})


def test_an_unknown_field_or_case_is_refused(counts, cases):
    with pytest.raises(DataError, match=r"no field 'Site' in the table of cases, expected one of: site, "):
        subgroups.by_field(counts, cases, "Site")
    with pytest.raises(DataError, match=r"A: scored, but not in the table of cases \(2 such of 5\)"):
        subgroups.by_field(counts, cases.drop(["A", "C"]), "site")
