"""What a run's page says in a sentence, and its sidecar: every score as a number with interval, floor and definition."""

from pathlib import Path

import pandas as pd

from brain_tumor.data.channels import IN_WORDS
from brain_tumor.records import records, sidecar

HEADLINES = {"segmentation": ("slice, empty = 1", "patient mean"), "classification": ("AUC", "accuracy")}


def content(folder: Path, facts: dict) -> dict:
    """The sidecar of a run's or record's page."""
    recipe, test = facts["recipe"], facts["parts"]["test"]
    if records.task_of(folder) == "classification":
        numbers = _detection_numbers(pd.read_csv(folder / "scores.csv"), recipe, HEADLINES["classification"])
        answer = _classification_answer(numbers, recipe, test)
    else:
        numbers = _dice_numbers(pd.read_csv(folder / "scores.csv"), recipe)
        answer = _segmentation_answer(numbers, recipe, test)
        if (folder / "boundary_scores.csv").is_file():
            numbers += _boundary_numbers(pd.read_csv(folder / "boundary_scores.csv"), recipe)
        if (folder / "detection.csv").is_file():
            numbers += _detection_numbers(pd.read_csv(folder / "detection.csv"), recipe)
    if (folder / "calibration.csv").is_file():
        numbers += _calibration_numbers(pd.read_csv(folder / "calibration.csv"), recipe)
    return {
        "title": f"Run {folder.name}",
        "answer": f"{answer}, after {facts['training_seconds'] / 60:.0f} minutes of training. One training; other seeds differ.",
        "cohort": recipe["cohort"],
        "commit": sidecar.git_commit(),
        "data_hash": facts["data_hash"],
        "date": facts["scored"][:10],
        "environment": facts["environment"],
        "minutes": round(facts["training_seconds"] / 60, 1),
        "numbers": numbers,
        "patients": test["patients"],
        "phantom": facts["phantom"],
        "protocol": f"split {recipe['split']}, {shown(recipe)}",
        "runs": [folder.name],
        "slices": test["slices"],
    }


def shown(recipe: dict) -> str:
    """What the network saw, and began with: ``three sequences, encoder from mri4``."""
    weights = recipe.get("weights", "none")
    return IN_WORDS[recipe.get("channels", "sequences")] + (f", encoder from {weights}" if weights != "none" else "")


def _segmentation_answer(numbers: list[dict], recipe: dict, test: dict) -> str:
    mean = next(number for number in numbers if number["headline"] and number["name"].endswith("patient mean"))
    return (
        f"{recipe['model']} reached a mean patient Dice of {_told(mean)} at {recipe['size']} px on the {test['patients']} test "
        f"patients of split {recipe['split']}"
    )


def _classification_answer(numbers: list[dict], recipe: dict, test: dict) -> str:
    area, right = (next(number for number in numbers if number["name"].endswith(f", {name}")) for name in ("AUC", "accuracy"))
    return (
        f"{recipe['model']} told slices with tumour from slices without with an AUC of {_told(area)} and an accuracy of "
        f"{_told(right)} at {recipe['size']} px on the {test['patients']} test patients of split {recipe['split']}"
    )


def _told(number: dict) -> str:
    """``0.785 (0.689 to 0.858; floor 0.177)``, and whether it is worth its floor."""
    below = ", below its floor" if number["floor"] is not None and number["value"] < number["floor"] else ""
    return f"{number['value']:.3f}{below} ({sidecar.interval_text(number)}; floor {sidecar.floor_text(number)})"


def _dice_numbers(scores: pd.DataFrame, recipe: dict) -> list[dict]:
    return [
        _number(
            row, f"{recipe['model']} Dice, {row.protocol}", row.dice,
            f"seed {recipe['seed']}, {row.size} px, {row.empty_slices} of {row.slices} slices empty",
            headline=row.protocol in HEADLINES["segmentation"] and row.size == recipe["size"],
        )
        for row in scores.itertuples()
    ]  # fmt: skip


def _boundary_numbers(scores: pd.DataFrame, recipe: dict) -> list[dict]:
    return [
        _number(
            row, f"{recipe['model']} {row.measure}, {row.of}", row.value,
            f"seed {recipe['seed']}, native size, no spacing; {row.missed} missed and {row.invented} invented of {row.rows}, "
            "each at its penalty",
            unit="px" if row.measure.startswith("HD") else "",
        )
        for row in scores.itertuples()
    ]  # fmt: skip


def _detection_numbers(scores: pd.DataFrame, recipe: dict, headlines: tuple[str, ...] = ()) -> list[dict]:
    return [
        _number(
            row, f"{recipe['model']} slices with tumour, {row.measure}", row.value,
            f"seed {recipe['seed']}, {recipe['size']} px, {row.tumour_slices} of {row.slices} slices with tumour"
            + ("" if pd.isna(row.threshold) else f", called above {row.threshold:g}"),
            headline=row.measure in headlines,
        )
        for row in scores.itertuples()
    ]  # fmt: skip


def _calibration_numbers(scores: pd.DataFrame, recipe: dict) -> list[dict]:
    return [
        _number(
            row, f"{recipe['model']} {row.measure} of {row.of}", row.value,
            f"seed {recipe['seed']}, {row.bins} bins; an error, low is good",
        )
        for row in scores.itertuples()
    ]  # fmt: skip


def _number(row, name: str, value: float, protocol: str, unit: str = "", headline: bool = False) -> dict:
    """A number of the sidecar (:class:`brain_tumor.records.sidecar.Number`) from a row with ``low, high, floor``."""
    low, high, floor = (None if pd.isna(bound) else float(bound) for bound in (row.low, row.high, row.floor))
    floor_name = getattr(row, "floor_name", None)
    named = f"; floor: {floor_name}" if isinstance(floor_name, str) and floor_name else ""
    return {
        "name": name, "value": float(value), "low": low, "high": high, "floor": floor, "unit": unit,
        "protocol": protocol + named, "headline": headline,
    }  # fmt: skip
