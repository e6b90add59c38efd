"""Anybody's predictions as one page, a JSON file, and tables: what our own runs get, by the same sections."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from brain_tumor import __version__, files
from brain_tumor.evaluation import classification as of_labels, overlap, scoring, segmentation as of_masks, wording
from brain_tumor.predictions.judgement import Judgement, blanked
from brain_tumor.records import sidecar
from brain_tumor.report import figures, tables
from brain_tumor.report.figures.drawing import Drawing
from brain_tumor.report.pages import classification, numbers, page, sections, segmentation
from brain_tumor.report.pages.sections import Section

PAGE, CONTENT, COMPARISON = "score.html", "score.json", "comparison.csv"
WORST, WORST_CASES = "Worst cases", 5
LISTED = 100  # unpaired files on the page; the JSON has all


class Report:
    """The judgement of one set of predictions, its tables written.

    Args:
        judgement: what was scored.
        folder: where its tables lie, or will.
    """

    def __init__(self, judgement: Judgement, folder: Path):
        self.judgement, self.folder, self.tables = judgement, folder, judgement.without_intervals
        for name in set(scoring.NAMES) - set(self.tables):  # of what was scored into this folder before
            (folder / name).unlink(missing_ok=True)
        scoring.write(self.tables, folder)
        self.outlined = scoring.COUNTS in self.tables
        slices = overlap.as_slices(self.tables[scoring.COUNTS]) if self.outlined else self.tables[scoring.SLICES]
        self.facts = judgement.facts(slices)

    @property
    def name(self) -> str:
        """What the predictions are called."""
        return self.judgement.request.name

    @property
    def view(self) -> ModuleType:
        """The module that shows runs of this kind."""
        return segmentation if self.outlined else classification

    def sections(self) -> list[Section]:
        """Patients first, means after, and the worst cases."""
        parts = self.view.of_run(self.folder, self.facts)
        return [parts[0], *([_worst(self.tables[scoring.CASES])] if self.outlined else []), *parts[1:]]

    def drawings(self) -> dict[str, list[Drawing]]:
        """The figures of each section."""
        drawn = dict(self.view.drawings(self.folder, self.facts))
        if scoring.CALIBRATION not in self.tables:
            drawn.pop(sections.CALIBRATION, None)
        if self.judgement.pictures:
            drawn[WORST] = [figures.show_errors(self.judgement.pictures)]
        return drawn

    def numbers(self) -> list[dict]:
        """Every score as a number with interval, floor and protocol."""
        listed = self.view.of_scores(self.folder, self.facts)
        if scoring.CALIBRATION in self.tables:
            listed += numbers.of_calibration(self.tables[scoring.CALIBRATION], self.facts["recipe"])
        return listed

    def answer(self) -> str:
        """The page's first sentence."""
        ending = "patient mean" if self.outlined else ", AUC"
        main = next(number for number in self.numbers() if number["name"].endswith(ending))
        test = self.facts["parts"]["test"]
        what = "a mean Dice of volumes" if self.outlined else "an AUC of slices"
        interval = sidecar.interval_text(main)
        known = f" (95 % interval {interval})" if main["low"] is not None else ""
        below = ", below its floor" if main["floor"] is not None and main["value"] < main["floor"] else ""
        return (
            f"{self.name}: {what} of {sidecar.value_text(main)}{known}{below}, over {test['patients']} {test['units']}. The "
            f"floor, which is the best of predictors that read no image, is {sidecar.floor_text(main)}."
        )


def compare(report: Report, other: Report, margin: float | None = None) -> pd.DataFrame:
    """Two sets of predictions on the same slices, paired by patient: the first minus the second.

    Raises:
        DataError: they are of other slices, or one outlines and the other only labels.
    """
    task = of_masks if report.outlined else of_labels
    thresholds = report.judgement.request.threshold, other.judgement.request.threshold
    compared = task.compare(report.judgement.tables, other.judgement.tables, thresholds, margin)
    return compared if report.judgement.patients_known else blanked(compared)


def all_sections(reports: Sequence[Report], comparison: pd.DataFrame | None, margin: float | None) -> list[Section]:
    """The comparison first, where there is one; then each set's sections, under its name where there are two."""
    parts = []
    if comparison is not None:
        parts.append(sections.of_comparison(comparison, reports[0].name, reports[1].name, margin))
    for report in reports:
        parts += [replace(section, title=_title(reports, report, section.title)) for section in report.sections()]
    return parts


def check_folder(folder: Path, phantom: bool) -> None:
    """Refuse, before anything is scored, a folder whose page would be published.

    Raises:
        RunError: it lies among the published reports.
    """
    page.check_private(folder / PAGE, _why_private(phantom))


def _why_private(phantom: bool) -> str:
    return "a run on the phantom" if phantom else "it shows patients' masks"


def write(
    reports: Sequence[Report], comparison: pd.DataFrame | None, margin: float | None, folder: Path, phantom: bool
) -> tuple[Path, Path]:
    """The page and its JSON.

    Returns:
        Where they lie.
    """
    drawn = {_title(reports, report, title): drawings for report in reports for title, drawings in report.drawings().items()}
    content = _content(reports, comparison, margin, phantom)
    rendered = page.render(
        "predictions.html",
        title=content["title"],
        phantom=phantom,
        content=content,
        sections=all_sections(reports, comparison, margin),
        figures=drawn,
        listed=LISTED,
    )
    path = page.save(rendered, folder / PAGE, _why_private(phantom))
    files.write_json(folder / CONTENT, content)
    return path, folder / CONTENT


def _content(reports: Sequence[Report], comparison: pd.DataFrame | None, margin: float | None, phantom: bool) -> dict[str, Any]:
    each = []
    for report in reports:
        request, test = report.judgement.request, report.facts["parts"]["test"]
        each.append(
            {
                "name": report.name,
                "truth": str(request.truth),
                "predictions": str(request.predictions),
                "threshold": request.threshold,
                "split": request.split.name if request.split else None,
                "patients_known": report.judgement.patients_known,
                **{what: test[what] for what in ("patients", "slices", "tumour_slices")},
                "notes": report.judgement.notes,
                "unpaired": report.judgement.unpaired,
                "answer": report.answer(),
                "numbers": [_plain(number) for number in report.numbers()],
            }
        )
    rows = [] if comparison is None else [_plain(row) for row in comparison.to_dict("records")]
    title = wording.titled(f"Score of {' against '.join(report.name for report in reports)}", phantom)
    return {
        "title": title, "phantom": phantom, "brain_tumor": __version__, "predictions": each, "comparison": rows, "margin": margin,
        "answer": "" if comparison is None else _verdict(reports, comparison),
    }  # fmt: skip


def _verdict(reports: Sequence[Report], comparison: pd.DataFrame) -> str:
    """The comparison in a sentence, by the score that each set's own sentence quotes."""
    main = "patient mean" if reports[0].outlined else "AUC"
    row = next(row for row in comparison.itertuples() if row[1] == main)
    known = "" if pd.isna(row.low) else f" (95 % interval {row.low:+.3f} to {row.high:+.3f})"
    what = "mean Dice of volumes" if reports[0].outlined else "AUC of slices"
    difference = wording.score(row.difference, signed=True)
    return f"{reports[0].name} against {reports[1].name}: {row.verdict}. The difference in {what} is {difference}{known}."


def _plain(row: dict) -> dict:
    """A row for JSON, which knows no NaN."""
    return {
        name: None if pd.isna(value) else value.item() if isinstance(value, np.generic) else value for name, value in row.items()
    }


def _title(reports: Sequence[Report], report: Report, title: str) -> str:
    return title if len(reports) == 1 else f"{report.name}: {title}"


def _worst(cases: pd.DataFrame) -> Section:
    """The cases of lowest Dice, and what went wrong in them."""
    worst = cases.sort_values("dice").head(WORST_CASES)
    rows = [
        {
            "case": row.case_id,
            "Dice": f"{row.dice:.3f}",
            "tumour px": f"{row.tp + row.fn:,}",
            "missed px": f"{row.fn:,}",
            "false px": f"{row.fp:,}",
            "missed slices": f"{row.missed_slices} of {row.tumour_slices}",
            "false alarms": f"{row.false_alarm_slices} of {row.slices - row.tumour_slices}",
        }
        for row in worst.itertuples()
    ]
    text = (
        "Lowest Dice first. Missed px: tumour that was not called. False px: called where there is none. A missed slice has "
        "tumour of which nothing was called, a false alarm is a call on a slice without tumour."
    )
    return Section(WORST, tables.worded(rows), text)
