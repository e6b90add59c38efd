"""The tables of a scored part by name: all that is counted while pixels are at hand, so that no later question needs them again.

Runs, records, cross-validations and predictions of other tools have the same tables, each a CSV of its name in one folder.
:mod:`brain_tumor.evaluation.segmentation` and :mod:`brain_tumor.evaluation.classification` make them and score them.
"""

from pathlib import Path

import pandas as pd

from brain_tumor import files
from brain_tumor.evaluation import calibration, protocols, storage

# Of every slice or case, as they were counted.
SLICES = "slices.csv"
COUNTS, LARGEST, FLOORS, SLICE_FLOORS = "counts.csv", "counts_largest.csv", "floors.csv", "slice_floors.csv"
CEILING, LOCALISATION, BOUNDARY_FLOORS = "ceiling.csv", "localisation.csv", "boundary_floors.csv"
BOUNDARY, BOUNDARY_SLICES, PIXELS, CASES = "boundary.csv", "boundary_slices.csv", "pixels.csv", "cases.csv"
REGIONS, REGION_FLOORS, REGION_CASES = "regions.csv", "region_floors.csv", "region_cases.csv"
# What follows from them.
SCORES, BOUNDARY_SCORES, SUBGROUPS = "scores.csv", "boundary_scores.csv", "subgroups.csv"
REGION_SCORES = "region_scores.csv"
DETECTION, CALIBRATION = "detection.csv", "calibration.csv"
FOLLOWING = (SCORES, REGION_SCORES, BOUNDARY_SCORES, SUBGROUPS, DETECTION, CALIBRATION)
OUTLINES = {BOUNDARY: "cases, 3-D", BOUNDARY_SLICES: "tumour slices, 2-D"}  # what the boundary scores are of

NAMES = (
    SLICES, COUNTS, LARGEST, FLOORS, SLICE_FLOORS, CEILING, LOCALISATION, BOUNDARY, BOUNDARY_SLICES, BOUNDARY_FLOORS, PIXELS,
    CASES, SCORES, BOUNDARY_SCORES, SUBGROUPS, DETECTION, CALIBRATION, REGIONS, REGION_FLOORS, REGION_CASES, REGION_SCORES,
)  # fmt: skip

Tables = dict[str, pd.DataFrame]


def stack(cases: list[Tables]) -> Tables:
    """The rows of many cases, one table a name."""
    return {name: pd.concat([tables[name] for tables in cases], ignore_index=True) for name in cases[0]}


def by_floor(table: pd.DataFrame) -> Tables:
    """A table with a column ``floor``, apart by it."""
    return dict(list(table.groupby("floor", sort=False)))


def without_empty(floors: pd.DataFrame) -> pd.DataFrame:
    """Floors without the empty prediction: scores always have that one, and it follows from the counts that they are of."""
    return floors[floors.floor != protocols.ALL_EMPTY]


def slice_calibration(slices: pd.DataFrame, floors: pd.DataFrame) -> pd.DataFrame:
    """The calibration of slice probabilities, with the floors of the same slices (tables as of :func:`overlap.as_slices`)."""
    keys = ["case_id", "slice"]
    answers = {name: slices[keys].merge(table).probability.to_numpy() for name, table in by_floor(floors).items()}
    return calibration.score(slices.case_id, slices.tumour, slices.probability, floors=answers)


def read_counts(folder: Path, name: str = COUNTS) -> pd.DataFrame:
    """A run's or record's ``counts.csv``, or another table of cases or slices: a ``case_id`` of digits alone stays text."""
    return storage.read_table(folder / name)


def write(tables: Tables, folder: Path) -> None:
    """Each table as a CSV of its name, atomically."""
    for name, table in tables.items():
        with files.atomic_path(folder / name) as temporary:
            table.to_csv(temporary, index=False)
