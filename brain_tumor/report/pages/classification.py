"""What a page shows of a classification: every patient, every measure with its floor, groups, calibration, the worst slices."""

from pathlib import Path

import pandas as pd

from brain_tumor.evaluation import calibration, detection_groups, scoring
from brain_tumor.evaluation.storage import read_table
from brain_tumor.report import figures, tables
from brain_tumor.report.figures.drawing import Drawing
from brain_tumor.report.pages import numbers, sections
from brain_tumor.report.pages.sections import INTERVAL, Section

HEADLINES = ("accuracy", "AUC")
WORST, WORST_SLICES = "Worst slices", 12


def of_run(folder: Path, facts: dict) -> list[Section]:
    """The sections of a scored run or record."""
    threshold = facts["threshold"]
    cases, slices = scoring.read_counts(folder, "cases.csv"), scoring.read_counts(folder, "slices.csv")
    scores = read_table(folder / "scores.csv")
    return [
        Section(
            sections.PATIENTS,
            tables.detection_case_table(cases),
            f"Slices of each patient called right at the threshold {threshold:g}, most accurate first.",
        ),
        Section(
            sections.SCORES,
            tables.measure_table(scores),
            f"{sections.test_part(facts)} {INTERVAL} {sections.floors_in_words(scores)} {_of_whom(cases)}",
        ),
        *of_folds(folder, facts),
        *sections.calibrated(folder),
        Section(
            WORST,
            tables.worst_slice_table(slices, WORST_SLICES),
            "Where the probability lies farthest from the truth.",
            brief=False,
        ),
    ]


def drawings(folder: Path, facts: dict) -> dict[str, list[Drawing]]:
    """The figures of each section."""
    slices, temperature = scoring.read_counts(folder, "slices.csv"), facts["temperature"]
    judged = {"slices": calibration.reliability(slices.tumour, slices.probability)}
    if temperature is not None:
        cooled = calibration.apply_temperature(slices.probability, temperature)
        judged[f"temperature {temperature:.2f}"] = calibration.reliability(slices.tumour, cooled)
    return {
        sections.SCORES: sections.curves(slices, folder / scoring.FLOORS, facts["recipe"]["model"]),
        sections.CALIBRATION: [figures.plot_reliability(judged)],
    }


def of_folds(folder: Path, facts: dict) -> list[Section]:
    """The scores of groups of slices; nothing where the folder has no such table."""
    return sections.by_group(folder, tables.detected_table, _detected)


def of_scores(folder: Path, facts: dict) -> list[dict]:
    """Every score as a number of the sidecar."""
    return numbers.of_detection(read_table(folder / "scores.csv"), facts["recipe"], HEADLINES)


def answer(listed: list[dict], recipe: dict, test: dict) -> str:
    """The page's first sentence."""
    area, right = (next(number for number in listed if number["name"].endswith(f", {name}")) for name in ("AUC", "accuracy"))
    ranked = f"an AUC of {numbers.in_words(area)}" if area["value"] is not None else "an undefined AUC"
    return (
        f"{recipe['model']} told slices with tumour from slices without with {ranked} and an accuracy "
        f"of {numbers.in_words(right)} at {recipe['size']} px on the {test['patients']} test patients of split {recipe['split']}"
    )


def _of_whom(cases: pd.DataFrame) -> str:
    """Who the test patients are, as far as their slices tell."""
    healthy = int((cases.tumour_slices == 0).sum())
    if not healthy:
        return "Every patient of these data has a tumour, so these are figures of slices, never of diagnosis."
    return f"{healthy} of {len(cases)} patients have no slice with tumour here; these are figures of slices, never of diagnosis."


def _detected(groups: pd.DataFrame) -> str:
    if groups.measure.iloc[0] == detection_groups.RIGHT:
        return "Share of slices called right."
    return "Share of the slices with tumour that are found; who always says yes finds them all, so there is no floor."
