"""Scores as numbers of a sidecar (:class:`brain_tumor.records.sidecar.Number`), each with interval, floor and protocol."""

from typing import Any

import pandas as pd

from brain_tumor.evaluation import wording
from brain_tumor.records import sidecar


def number(row: Any, name: str, value: float, protocol: str, unit: str = "", headline: bool = False) -> dict:
    """A number of the sidecar (:class:`brain_tumor.records.sidecar.Number`) from a row with ``low, high, floor``."""
    low, high, floor = (None if pd.isna(bound) else float(bound) for bound in (row.low, row.high, row.floor))
    floor_name = getattr(row, "floor_name", None)
    named = f"; floor: {floor_name}" if isinstance(floor_name, str) and floor_name else ""
    return {
        "name": name, "value": None if pd.isna(value) else float(value), "low": low, "high": high, "floor": floor, "unit": unit,
        "protocol": protocol + named, "headline": headline,
    }  # fmt: skip


def seed(recipe: dict) -> str:
    """``seed 0, `` of a run; nothing of predictions that another tool made."""
    return f"seed {recipe['seed']}, " if "seed" in recipe else ""


def unit(row: Any) -> str:
    """The unit of a boundary score; those written before there was a spacing are in pixels."""
    return getattr(row, "unit", "px")


def of_detection(scores: pd.DataFrame, recipe: dict, headlines: tuple[str, ...] = ()) -> list[dict]:
    """Sensitivity, AUC and their kin over slices."""
    return [
        number(
            row, f"{recipe['model']} slices with tumour, {row.measure}", row.value,
            f"{seed(recipe)}{recipe['size']} px, {row.tumour_slices} of {row.slices} slices with tumour"
            + ("" if pd.isna(row.threshold) else f", called above {row.threshold:g}"),
            headline=row.measure in headlines,
        )
        for row in scores.itertuples()
    ]  # fmt: skip


def of_calibration(scores: pd.DataFrame, recipe: dict) -> list[dict]:
    """ECE and its kin."""
    return [
        number(
            row, f"{recipe['model']} {row.measure} of {row.of}", row.value,
            f"{seed(recipe)}{row.bins} bins; an error, low is good",
        )
        for row in scores.itertuples()
    ]  # fmt: skip


def in_words(number: dict) -> str:
    """``0.785 (0.689 to 0.858; floor 0.177)``, and whether it is worth its floor; or that it is undefined."""
    if number["value"] is None:
        return wording.UNDEFINED
    below = ", below its floor" if number["floor"] is not None and number["value"] < number["floor"] else ""
    return f"{number['value']:.3f}{below} ({sidecar.interval_text(number)}; floor {sidecar.floor_text(number)})"
