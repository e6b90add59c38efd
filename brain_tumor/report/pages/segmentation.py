"""What a page shows of a segmentation: every patient, every Dice by name, boundary, groups, detection, calibration."""

from pathlib import Path

import numpy as np
import pandas as pd

from brain_tumor.data.cache import open_store
from brain_tumor.errors import DataError
from brain_tumor.evaluation import calibration, overlap, protocols, scoring
from brain_tumor.evaluation.storage import read_table
from brain_tumor.report import figures, tables
from brain_tumor.report.figures.drawing import Drawing
from brain_tumor.report.pages import numbers, sections
from brain_tumor.report.pages.sections import Section

HEADLINES = ("slice, empty = 1", "patient mean")
PICTURED_WORST = 2
VARIANTS, BOUNDARY = "One prediction, many numbers", "Boundary"


def of_run(folder: Path, facts: dict) -> list[Section]:
    """The sections of a scored run or record, as far as the folder has their tables."""
    scores = read_table(folder / "scores.csv")
    parts = [
        Section(
            sections.PATIENTS,
            tables.case_table(read_table(folder / "cases.csv")),
            "Dice of each patient's volume at native size, best first; in a missed slice none of the tumour was called, in a "
            "false alarm there was none.",
        ),
        Section(sections.SCORES, tables.score_table(scores), f"{sections.test_part(facts)} {sections.dice_columns(scores)}"),
    ]
    if (folder / "counts_largest.csv").is_file():
        spread = protocols.spread(_variants(folder))
        text = "The same prediction under each definition, as it is and with each patient's largest component alone."
        parts.append(Section(VARIANTS, tables.variant_table(spread), text, brief=False))
    return [*parts, *_details(folder), *sections.calibrated(folder)]


def _details(folder: Path) -> list[Section]:
    """Boundary, groups and slice detection, as far as the folder has their tables."""
    parts = []
    if (folder / "boundary_scores.csv").is_file():
        outlines = read_table(folder / "boundary_scores.csv")
        parts.append(Section(BOUNDARY, tables.boundary_table(outlines), sections.boundary(outlines)))
    parts += sections.by_group(folder, tables.subgroup_table, _dice_of)
    if (folder / "detection.csv").is_file():
        scores = read_table(folder / "detection.csv")
        text = "The segmentation as a detector of slices with tumour: a slice is as probable as its most probable pixel."
        parts.append(Section(sections.DETECTION, tables.measure_table(scores), f"{text} {sections.floors_in_words(scores)}"))
    return parts


def drawings(folder: Path, facts: dict) -> dict[str, list[Drawing]]:
    """The figures of each section, as far as the folder has their tables."""
    recipe = facts["recipe"]
    scores, cases, counts = (read_table(folder / name) for name in (scoring.SCORES, scoring.CASES, scoring.COUNTS))
    native = counts[counts["size"] == counts["size"].max()]
    slices = overlap.as_slices(native)
    mean = scores[(scores.protocol == "patient mean") & (scores["size"] == scores["size"].max())]
    working = scores[scores["size"] == recipe["size"]]
    drawn = {
        sections.PATIENTS: [
            figures.plot_case_scores({recipe["model"]: cases}, float(mean.floor.iloc[0])),
            figures.plot_dice_by_area(native),
        ],
        sections.SCORES: [figures.plot_protocols({f"{recipe['model']} at {recipe['size']} px": working})],
    }
    if (folder / "counts_largest.csv").is_file():
        drawn[VARIANTS] = [figures.plot_spread(protocols.spread(_variants(folder)))]
    drawn |= _grouped(folder)
    if (folder / "detection.csv").is_file():
        drawn[sections.DETECTION] = sections.curves(slices, folder / scoring.SLICE_FLOORS, recipe["model"])
    if (folder / "pixels.csv").is_file():
        pixels = calibration.histograms(read_table(folder / "pixels.csv"))
        judged = {
            "slices": calibration.reliability(slices.tumour, slices.probability),
            "pixels": calibration.reliability(*calibration.weighted_rows(pixels.sum(axis=0))),
        }
        drawn[sections.CALIBRATION] = [figures.plot_reliability(judged)]
    return drawn


def of_folds(folder: Path, facts: dict) -> list[Section]:
    """What a cross-validation has besides patients, scores and folds."""
    return _details(folder)


def fold_drawings(folder: Path, facts: dict) -> dict[str, list[Drawing]]:
    """Every patient's score, out of fold, and the scores of groups."""
    scores, cases = read_table(folder / scoring.SCORES), read_table(folder / scoring.CASES)
    mean = scores[(scores.protocol == HEADLINES[-1]) & (scores["size"] == scores["size"].max())].iloc[0]
    drawn = {sections.PATIENTS: [figures.plot_case_scores({facts["recipe"]["model"]: cases}, float(mean.floor))]}
    return drawn | _grouped(folder)


def _grouped(folder: Path) -> dict[str, list[Drawing]]:
    """The figure of the groups; none without their table, or without any tumour, whose area would have ranges."""
    groups = read_table(folder / scoring.SUBGROUPS) if (folder / scoring.SUBGROUPS).is_file() else pd.DataFrame({"dice": []})
    return {sections.by_title(groups.by.iloc[0]): [figures.plot_subgroups(groups)]} if groups.dice.notna().any() else {}


def of_scores(folder: Path, facts: dict) -> list[dict]:
    """Every score as a number of the sidecar."""
    recipe = facts["recipe"]
    scores = read_table(folder / "scores.csv")
    if (
        "floor_name" not in scores
    ):  # written before floors had names: the empty prediction's alone, which is no floor for patients
        scores = scores.assign(floor=np.nan)
    listed = _dice_numbers(scores, recipe)
    if (folder / "boundary_scores.csv").is_file():
        listed += _boundary_numbers(read_table(folder / "boundary_scores.csv"), recipe)
    if (folder / "detection.csv").is_file():
        listed += numbers.of_detection(read_table(folder / "detection.csv"), recipe)
    return listed


def answer(listed: list[dict], recipe: dict, test: dict) -> str:
    """The page's first sentence."""
    mean = next(number for number in listed if number["headline"] and number["name"].endswith("patient mean"))
    return (
        f"{recipe['model']} reached a mean patient Dice of {numbers.in_words(mean)} at {recipe['size']} px on the "
        f"{test['patients']} test patients of split {recipe['split']}"
    )


def pictures(folder: Path, facts: dict) -> list[Drawing]:
    """Predictions against truth, where both the predictions and the data are on this machine."""
    from brain_tumor.experiments.run import trained_cohort
    from brain_tumor.inference.predict import load_prediction
    from brain_tumor.training.runs import RunFolder

    chosen = figures.best_median_worst(read_table(folder / "cases.csv"), PICTURED_WORST)
    paths = {case_id: folder / "predictions" / f"{case_id}.npz" for case_id in chosen}
    if not all(path.is_file() for path in paths.values()):
        return []
    try:
        store = open_store(trained_cohort(RunFolder(folder)))
    except DataError:
        return []
    predictions = {case_id: load_prediction(path) for case_id, path in paths.items()}
    if store.data_hash != facts["data_hash"]:
        return []
    return [
        figures.show_predictions(
            store,
            {case_id: prediction.native for case_id, prediction in predictions.items()},
            {case_id: prediction.slice_numbers for case_id, prediction in predictions.items()},
            facts["recipe"]["threshold"],
        )
    ]


def _variants(folder: Path) -> dict[str, pd.DataFrame]:
    """The counts of one prediction as it is and with each patient's largest component alone."""
    return {
        "as predicted": scoring.read_counts(folder, "counts.csv"),
        "largest component": scoring.read_counts(folder, "counts_largest.csv"),
    }


def _dice_of(groups: pd.DataFrame) -> str:
    return f"Dice, {groups.protocol.iloc[0]}, at {groups['size'].iloc[0]} px."


def _dice_numbers(scores: pd.DataFrame, recipe: dict) -> list[dict]:
    return [
        numbers.number(
            row, f"{recipe['model']} Dice, {row.protocol}", row.dice,
            f"{numbers.seed(recipe)}{row.size} px, {row.empty_slices} of {row.slices} slices empty",
            headline=row.protocol in HEADLINES and row.size == recipe["size"],
        )
        for row in scores.itertuples()
    ]  # fmt: skip


def _boundary_numbers(scores: pd.DataFrame, recipe: dict) -> list[dict]:
    return [
        numbers.number(
            row, f"{recipe['model']} {row.measure}, {row.of}", row.value,
            f"{numbers.seed(recipe)}native size, {'no' if numbers.unit(row) == 'px' else 'with'} spacing; {row.missed} missed "
            f"and {row.invented} invented of {row.rows}, each at its penalty",
            unit=numbers.unit(row) if row.measure.startswith("HD") else "",
        )
        for row in scores.itertuples()
    ]  # fmt: skip
