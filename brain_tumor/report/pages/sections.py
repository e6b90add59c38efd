"""A scored run in sections, each a title, a table in words and what to know of it: patients first, means after.

The terminal, Markdown files and HTML pages all show these. They are made from the tables in the folder of a run or record; what
an older folder lacks is left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from brain_tumor.evaluation import detection, scoring, subgroups, wording
from brain_tumor.evaluation.storage import read_table
from brain_tumor.report import figures, tables
from brain_tumor.report.figures.drawing import Drawing
from brain_tumor.report.pages import page

PATIENTS, SCORES, DETECTION, CALIBRATION = "Patients", "Scores", "Slices found", "Calibration"
BRIEF_SUBGROUPS = (subgroups.FIELDS["site"], subgroups.AREA)
MEANING = "what it means"  # the column that a terminal has no room for

INTERVAL = "Interval: bootstrap over patients. Floor: the best score of predictors that read no image."
CEILING = "Ceiling: the truth itself resized to the network's size and back, which no prediction of that size can much exceed."
FLOORS = (
    "A constant answer brings sensitivity, specificity or precision to 1, so the floor of the first is the best at no lower "
    "specificity, and those of the others at no lower sensitivity, wherever on these very slices that is."
)
NO_SPACING = (
    "There is no spacing in this data: distances are in pixels, and slices count as one pixel apart, which they are not. "
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
        table: in words; the index's name stands in the columns' (:mod:`brain_tumor.report.tables`).
        text: what to know of it; what undefined means is added where a cell says so.
        brief: shown on a terminal too, where room is short.
    """

    title: str
    table: pd.DataFrame
    text: str
    brief: bool = True

    def __post_init__(self) -> None:
        undefined = self.table.map(lambda cell: str(cell).startswith(wording.UNDEFINED)).to_numpy().any()
        if undefined and wording.MEANING not in self.text:  # a copy says it already
            object.__setattr__(self, "text", f"{self.text} {wording.MEANING}")

    def html(self) -> str:
        """The table."""
        return self.table.to_html(border=0)

    def markdown(self) -> str:
        """The whole section."""
        header = [str(self.table.columns.name or ""), *map(str, self.table.columns)]
        rows = [header, ["---"] * len(header), *([str(cell) for cell in row] for row in self.table.itertuples())]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        return "\n".join([f"## {self.title}", "", self.text, "", *lines, ""])


def of_comparison(comparison: pd.DataFrame, run: str, other: str, margin: float | None) -> Section:
    """Two runs on the same slices (:mod:`brain_tumor.records.comparison`)."""
    by_margin = f" Not inferior: it loses less than the margin of {margin:g}, stated beforehand." if margin else ""
    text = (
        f"{run} minus {other}, on the same slices, paired by patient ({comparison.patients.iloc[0]} patients). Better or worse: "
        f"the interval lies on one side of 0.{by_margin} Not decidable: so many patients would decide it, if they differed as "
        "these do."
    )
    return Section(f"Against {other}", tables.comparison_table(comparison), text)


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


def by_group(folder: Path, table: Callable, meaning: Callable) -> list[Section]:
    """A section a kind of group; none where the folder has no such table."""
    path = folder / "subgroups.csv"
    if not path.is_file():
        return []
    kinds = read_table(path).groupby("by", sort=False)
    return [Section(by_title(by), table(rows), f"{meaning(rows)} {BY_CHANCE}", by in BRIEF_SUBGROUPS) for by, rows in kinds]


def boundary(scores: pd.DataFrame) -> str:
    """What is said of a table of boundary scores; those written before there was a spacing are in pixels."""
    unit = scores.unit.iloc[0] if "unit" in scores else "px"
    within = f"{scores.tolerance.iloc[0]:g} {unit}"
    return (
        f"{NO_SPACING if unit == 'px' else 'Distances are in mm. '}NSD: the share of surface voxels within {within} of the other "
        "surface. Where only one of truth and prediction is empty, the distance is the diagonal and NSD 0, so that a miss costs: "
        "those rows are missed or invented."
    )


def by_title(by: str) -> str:
    """The title of one kind of subgroup."""
    return f"By {by}"


def calibrated(folder: Path) -> list[Section]:
    """How far probabilities lie from the truth; nothing where the folder has no such table."""
    path = folder / "calibration.csv"
    return [Section(CALIBRATION, tables.calibration_table(read_table(path)), CALIBRATED)] if path.is_file() else []


def floors_in_words(scores: pd.DataFrame) -> str:
    """What is said of floors; runs that were scored by earlier versions have none where a constant answer reaches 1."""
    matched = scores[scores.measure.isin(detection.MATCHED)]
    return FLOORS if matched.floor.notna().any() else "Measures that a constant answer brings to 1 have no floor."


def dice_columns(scores: pd.DataFrame) -> str:
    """What the columns of a table of scores mean; what is no Dice, or was scored by an earlier version, has no ceiling."""
    return f"{INTERVAL} {CEILING}" if "ceiling" in scores else INTERVAL


def test_part(facts: dict) -> str:
    """How many slices and patients were scored."""
    test = facts["parts"]["test"]
    empty = test["slices"] - test["tumour_slices"]
    units = test.get("units", "test patients")  # predictions of other tools may not say who the patients are
    return f"{test['slices']} slices of {test['patients']} {units}, {empty} of them without tumour."


def curves(slices: pd.DataFrame, floors: Path, label: str) -> list[Drawing]:
    """ROC and precision-recall of slices, beside what reads no image, as the table ``floors`` says where there is one."""
    by_floor = scoring.by_floor(scoring.read_counts(floors.parent, floors.name)) if floors.is_file() else {}
    return [figures.plot_roc({label: slices}, by_floor), figures.plot_precision_recall({label: slices}, by_floor)]
