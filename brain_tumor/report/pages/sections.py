"""A scored run in sections, each a title, a table in words and what to know of it: patients first, means after.

The terminal, Markdown files and HTML pages all show these. They are made from the tables in the folder of a run or record; what
an older folder lacks is left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from brain_tumor import files
from brain_tumor.evaluation import detection, detection_groups, protocols, subgroups, surface
from brain_tumor.records import records
from brain_tumor.report.pages import page, tables

PATIENTS, SCORES, VARIANTS, BOUNDARY = "Patients", "Scores", "One prediction, many numbers", "Boundary"
DETECTION, CALIBRATION, WORST = "Slices found", "Calibration", "Worst slices"
WORST_SLICES = 12
BRIEF_SUBGROUPS = (subgroups.FIELDS["site"], subgroups.AREA)
MEANING = "what it means"  # the column that a terminal has no room for

INTERVAL = "Interval: bootstrap over patients. Floor: the best score of predictors that read no image."
FLOORS = (
    "A constant answer brings sensitivity, specificity or precision to 1, so the floor of the first is the best at no lower "
    "specificity, and those of the others at no lower sensitivity, wherever on these very slices that is."
)
NO_SPACING = (
    "There is no spacing in this data: distances are in pixels, and slices count as one pixel apart, which they are not. "
    f"NSD: the share of surface voxels within {surface.TOLERANCE:g} px of the other surface. Where only one of truth and "
    "prediction is empty, the distance is the diagonal and NSD 0, so that a miss costs: those rows are missed or invented."
)
BY_CHANCE = "With this many groups one stands out by chance; one patient has no interval."
CALIBRATED = (
    "Mean distance of probability and truth, over 15 bins (ECE) or bins of equal content (adaptive ECE); low is good. Who always "
    "answers the share of tumour slices has none and is worth nothing: see the floor."
)


@dataclass(frozen=True)
class Section:
    """One part of an evaluation.

    Attributes:
        title: of the section.
        table: in words; the index's name stands in the columns' (:mod:`brain_tumor.report.pages.tables`).
        text: what to know of it.
        brief: shown on a terminal too, where room is short.
    """

    title: str
    table: pd.DataFrame
    text: str
    brief: bool = True

    def html(self) -> str:
        """The table."""
        return self.table.to_html(border=0)

    def markdown(self) -> str:
        """The whole section."""
        header = [str(self.table.columns.name or ""), *map(str, self.table.columns)]
        rows = [header, ["---"] * len(header), *([str(cell) for cell in row] for row in self.table.itertuples())]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        return "\n".join([f"## {self.title}", "", self.text, "", *lines, ""])


def of_folder(folder: Path) -> list[Section]:
    """The sections of a scored run's or record's folder."""
    facts = files.read_json(folder / "run.json")
    return (_classification if records.task_of(folder) == "classification" else _segmentation)(folder, facts["parts"]["test"])


def of_comparison(found: pd.DataFrame, run: str, other: str, margin: float | None) -> Section:
    """Two runs on the same slices (:mod:`brain_tumor.records.comparison`)."""
    asked = f" Not inferior: it loses less than the margin of {margin:g}, stated beforehand." if margin else ""
    text = (
        f"{run} minus {other}, on the same slices, paired by patient ({found.patients.iloc[0]} patients). Better or worse: the "
        f"interval lies on one side of 0.{asked} Not decidable: so many patients would decide it, if they differed as these do."
    )
    return Section(f"Against {other}", tables.comparison_table(found), text)


def markdown(title: str, sections: list[Section]) -> str:
    """All sections as one Markdown file."""
    return "\n".join([f"# {title}", "", *(section.markdown() for section in sections)])


def save_html(title: str, sections: list[Section], path: Path, phantom: bool) -> Path:
    """All sections as one HTML page.

    Raises:
        RunError: it is of the phantom and meant for a published place.
    """
    rendered = page.render("evaluation.html", title=title, phantom=phantom, sections=sections, figures={})
    return page.save(rendered, path, "a run on the phantom" if phantom else "")


def _segmentation(folder: Path, test: dict) -> list[Section]:
    scores = pd.read_csv(folder / "scores.csv")
    found = [
        Section(
            PATIENTS,
            tables.case_table(pd.read_csv(folder / "cases.csv")),
            "Dice of each patient's volume at native size, best first; in a missed slice none of the tumour was called, in a "
            "false alarm there was none.",
        ),
        Section(SCORES, tables.score_table(scores), f"{_test_part(test)} {INTERVAL}"),
    ]
    if (folder / "counts_largest.csv").is_file():
        spread = protocols.spread(variants(folder))
        text = "The same prediction under each definition, as it is and with each patient's largest component alone."
        found.append(Section(VARIANTS, tables.variant_table(spread), text, brief=False))
    if (folder / "boundary_scores.csv").is_file():
        found.append(Section(BOUNDARY, tables.boundary_table(pd.read_csv(folder / "boundary_scores.csv")), NO_SPACING))
    found += _by_group(folder, tables.subgroup_table, _told_dice)
    if (folder / "detection.csv").is_file():
        scores = pd.read_csv(folder / "detection.csv")
        text = "The segmentation as a detector of slices with tumour: a slice is as probable as its most probable pixel."
        found.append(Section(DETECTION, tables.measure_table(scores), f"{text} {_floors(scores)}"))
    return found + _calibration(folder)


def _classification(folder: Path, test: dict) -> list[Section]:
    threshold = files.read_json(folder / "run.json")["threshold"]
    cases, slices = pd.read_csv(folder / "cases.csv"), records.read_slices(folder)
    scores = pd.read_csv(folder / "scores.csv")
    return [
        Section(
            PATIENTS,
            tables.detection_case_table(cases),
            f"Slices of each patient called right at the threshold {threshold:g}, most accurate first.",
        ),
        Section(
            SCORES,
            tables.measure_table(scores),
            f"{_test_part(test)} {INTERVAL} {_floors(scores)} Every patient of these data has a tumour, so these are figures of "
            "slices, never of diagnosis.",
        ),
        *detected(folder),
        *_calibration(folder),
        Section(
            WORST,
            tables.worst_slice_table(slices, WORST_SLICES),
            "Where the probability lies farthest from the truth.",
            brief=False,
        ),
    ]


def detected(folder: Path) -> list[Section]:
    """A section a kind of group of a detector's slices; none where the folder has no such table."""
    return _by_group(folder, tables.detected_table, _told_detected)


def _by_group(folder: Path, table: Callable, told: Callable) -> list[Section]:
    """A section a kind of group; none where the folder has no such table."""
    path = folder / "subgroups.csv"
    if not path.is_file():
        return []
    kinds = pd.read_csv(path, dtype={"group": str}).groupby("by", sort=False)
    return [Section(by_title(by), table(rows), f"{told(rows)} {BY_CHANCE}", by in BRIEF_SUBGROUPS) for by, rows in kinds]


def _told_dice(groups: pd.DataFrame) -> str:
    return f"Dice, {groups.protocol.iloc[0]}, at {groups['size'].iloc[0]} px."


def _told_detected(groups: pd.DataFrame) -> str:
    if groups.measure.iloc[0] == detection_groups.RIGHT:
        return "Share of slices called right."
    return "Share of the slices with tumour that are found; who always says yes finds them all, so there is no floor."


def by_title(by: str) -> str:
    """The title of one kind of subgroup."""
    return f"By {by}"


def variants(folder: Path) -> dict[str, pd.DataFrame]:
    """The counts of one prediction as it is and with each patient's largest component alone."""
    return {"as predicted": records.read_counts(folder), "largest component": records.read_counts(folder, "counts_largest.csv")}


def _calibration(folder: Path) -> list[Section]:
    path = folder / "calibration.csv"
    return [Section(CALIBRATION, tables.calibration_table(pd.read_csv(path)), CALIBRATED)] if path.is_file() else []


def _floors(scores: pd.DataFrame) -> str:
    """What is said of floors; runs that were scored by earlier versions have none where a constant answer reaches 1."""
    matched = scores[scores.measure.isin(detection.MATCHED)]
    return FLOORS if matched.floor.notna().any() else "Measures that a constant answer brings to 1 have no floor."


def _test_part(test: dict) -> str:
    empty = test["slices"] - test["tumour_slices"]
    return f"{test['slices']} slices of {test['patients']} test patients, {empty} of them without tumour."
