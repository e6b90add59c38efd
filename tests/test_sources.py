"""``reports/sources.csv`` accounts for every row of the five source systems: where it works, or what replaced it and why."""

import csv
from collections import Counter
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
with open(CHECKOUT / "reports" / "sources.csv", encoding="utf-8", newline="") as stream:
    READER = csv.DictReader(stream)
    ROWS = list(READER)

# How many rows each source has; source 004 counts its eleven work packages as .09.0-.10 and splits three rows by letter.
LAST = {"000": 17, "001": 14, "002": 26, "003": 14, "004": 56}
PARTS = {
    "004.09": [f"004.09.{package}" for package in range(11)],
    "004.21": ["004.21a", "004.21b", "004.21c"],
    "004.23": ["004.23a", "004.23b", "004.23c"],
    "004.32": ["004.32a", "004.32b"],
}
WHOLE = [f"{source}.{row:02d}" for source, last in LAST.items() for row in range(1, last + 1)]
IDS = [part for row in WHOLE for part in PARTS.get(row, [row])]


def with_status(*statuses: str) -> list:
    return [pytest.param(row, id=row["id"]) for row in ROWS if row["status"] in statuses]


def test_every_row_is_there_once_and_in_order():
    assert READER.fieldnames == ["id", "what", "where", "status", "note"]
    assert [name for name, times in Counter(row["id"] for row in ROWS).items() if times > 1] == []
    assert [row["id"] for row in ROWS] == IDS


def test_every_row_says_what_it_is_and_how_it_stands():
    assert {row["status"] for row in ROWS} <= {"works", "superseded", "planned"}
    assert [row["id"] for row in ROWS if not row["what"].strip()] == []


@pytest.mark.parametrize("row", with_status("works", "superseded"))
def test_what_works_is_where_it_says(row):
    places = row["where"].split(";")
    assert [place for place in places if not (CHECKOUT / place).is_file()] == []


@pytest.mark.parametrize("row", with_status("superseded"))
def test_what_is_superseded_says_by_what_and_why(row):
    assert row["note"].startswith("by ")
    assert len(row["note"]) > 40


@pytest.mark.parametrize("row", with_status("planned"))
def test_what_is_planned_names_its_topic_and_no_place(row):
    assert row["note"]
    assert not row["where"]
