"""A group against the rest: decided where it is large and clear, not decidable where it is neither, silent about one patient."""

import numpy as np
import pandas as pd
import pytest

from brain_tumor.evaluation import contrasts, intervals, overlap, protocols, subgroups

MEAN = protocols.named("patient mean")


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(intervals, "RESAMPLES", 300)


@pytest.fixture
def counts():
    """Sixteen patients: eight found but for a little, eight but for a lot; each has a slice of 100, of 1500 and of no pixels."""
    rows = []
    for number in range(16):
        missed = 5 + number if number < 8 else 45 + number
        rows.append((f"P{number:02d}", 1, 256, 100 - missed, 3, missed, 0, 0.9))
        rows.append((f"P{number:02d}", 2, 256, 1500 - missed, 3, missed, 0, 0.9))
        rows.append((f"P{number:02d}", 3, 256, 0, 0, 0, 1600, 0.1))
    return pd.DataFrame(rows, columns=list(overlap.COLUMNS))


@pytest.fixture
def cases(counts):
    """The two halves are of unlike site; grade has nothing to do with it; clusters are two, one and blank."""
    names = counts.case_id.unique()
    return pd.DataFrame(
        {
            "site": ["HT"] * 8 + ["DU"] * 8,
            "neoplasm_histologic_grade": [1.0, 2.0] * 8,
            "RNASeqCluster": [10.0] * 7 + [None] * 6 + [2.0] * 2 + [3.0],
        },
        index=names,
    )


def test_a_clear_difference_is_decided_and_mirrored(counts, cases):
    found = contrasts.tables(counts, cases).set_index(["by", "group"])
    assert found.verdict["site", "HT"] == intervals.BETTER
    assert found.verdict["site", "DU"] == intervals.WORSE
    assert found.difference["site", "HT"] == pytest.approx(-found.difference["site", "DU"])
    assert found.low["site", "HT"] == pytest.approx(-found.high["site", "DU"])
    assert found.patients["site", "HT"] == 8


def test_the_difference_is_that_of_the_two_scores(counts, cases):
    of_site = subgroups.by_field(counts, cases, "site").set_index("group").dice
    found = contrasts.tables(counts, cases).set_index(["by", "group"])
    assert found.difference["site", "HT"] == pytest.approx(of_site.HT - of_site.DU)


def test_what_says_nothing_is_not_decidable(counts, cases):
    found = contrasts.tables(counts, cases).set_index(["by", "group"])
    grade = found.loc[("grade code", "1")]
    assert grade.verdict == intervals.NOT_DECIDABLE
    assert grade.low < 0 < grade.high
    assert grade.patients_needed > 8


def test_groups_are_those_of_the_subgroups_in_their_order(counts, cases):
    told = subgroups.tables(counts, cases)
    found = contrasts.tables(counts, cases)
    held = told[told.slices > 0]
    assert list(zip(found.by, found.group, strict=True)) == list(zip(held.by, held.group, strict=True))
    assert found[found.by == "RNASeq cluster"].group.tolist() == ["2", "3", "10", subgroups.BLANK]


def test_few_patients_decide_nothing_and_one_has_no_interval(counts, cases):
    found = contrasts.tables(counts, cases).query("by == 'RNASeq cluster'").set_index("group")
    assert found.verdict["2"] == intervals.NOT_DECIDABLE
    assert found.high["2"] < 0, "its interval alone would have said worse"
    assert found.verdict["3"] == intervals.NO_INTERVAL
    assert np.isnan([found.low["3"], found.high["3"]]).all()


def test_a_patient_may_have_slices_on_both_sides(counts, cases):
    found = contrasts.tables(counts, cases)
    small = found[found.by == subgroups.AREA].set_index("group").loc["50 to < 200 px"]
    assert small.patients == 16
    assert small.verdict == intervals.WORSE
    areas = subgroups.by_area(counts).set_index("group").dice
    assert small.difference == pytest.approx(areas["50 to < 200 px"] - areas["1000 to < 2000 px"])


def test_a_group_of_everybody_has_no_rest(counts, cases):
    found = contrasts.tables(counts, cases.assign(site="HT"))
    assert "site" not in set(found.by)
    nobody = contrasts.against_rest(counts, counts.slice > 9, MEAN)
    assert (nobody.patients, nobody.verdict) == (0, intervals.NO_INTERVAL)


def test_groups_drawn_from_one_population_are_rarely_told_apart(monkeypatch):
    monkeypatch.setattr(intervals, "RESAMPLES", 200)
    rng = np.random.default_rng(5)
    decided = 0
    for _ in range(60):
        tp = rng.integers(20, 100, 30)
        rows = pd.DataFrame({"case_id": [f"{n:02d}" for n in range(30)], "slice": 1, "size": 256, "tp": tp, "fp": 0})
        rows = rows.assign(fn=100 - tp, tn=0, slice_probability=0.5)
        decided += contrasts.against_rest(rows, rows.case_id < "15", MEAN).verdict != intervals.NOT_DECIDABLE
    assert decided <= 9, "5 % of 60 are three, and intervals of few patients are a little narrow"
