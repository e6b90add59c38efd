"""A model's card: what it was trained on, how well it did on patients that it had never seen, and what it is not for."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.errors import BrainTumorError, FileError
from brain_tumor.evaluation import explanations, intervals, scoring
from brain_tumor.evaluation.storage import read_table
from brain_tumor.experiments import appraisal, tasks
from brain_tumor.experiments.tasks import Task
from brain_tumor.models import saved
from brain_tumor.records import lookup, records

FILE = "card.json"
INTENDED = "Research use only. Not for diagnosis, and not for any decision about a patient."
DATA = {
    "lgg": "LGG segmentation dataset (Buda 2019; CC BY-NC-SA 4.0): patients of lower-grade glioma, every one with a tumour",
    "phantom": "synthetic patients that this package draws; it knows nothing of real ones",
}
HEADLINES = {
    "patient mean": "Dice, mean of patients",
    "patient median": "Dice, median of patients",
    "slice, empty = 1": "Dice, mean of slices (empty and predicted empty = 1)",
}
EDGES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)  # of the highest probability in a slice


def of(folder: Path) -> dict[str, Any]:
    """The card of a run's folder, or of a packed model.

    Returns:
        ``name``, ``data``, ``cohort``, ``phantom``, ``sequences``, ``network``, ``parameters``, ``split``, ``trained_on``,
        ``tested_on`` (patients and slices each), ``scores`` (name, value, low, high, floor), ``reliability`` (of test slices by
        their highest probability: from, to, slices, tumour), ``weights_sha256``, ``version``, ``intended``. A run that was not
        scored has neither scores nor reliability.

    Raises:
        FileError, ModelError, RunError: a file is missing or damaged.
    """
    if (folder / FILE).is_file():
        return files.read_json(folder / FILE, ("name", "cohort", "phantom", "weights_sha256"))
    facts = lookup.run_facts(folder)
    recipe, parts = facts["recipe"], facts["parts"]
    task = tasks.of(recipe["task"])
    scores = _scores(folder, task)
    members = f", {recipe['members']} networks averaged" if recipe.get("members", 1) > 1 else ""
    tested = {name: parts["test"][name] for name in ("patients", "slices", "tumour_slices")}
    return {
        "name": folder.name,
        "cohort": recipe["cohort"],
        "data": DATA.get(recipe["cohort"], f"the cohort {recipe['cohort']}"),
        "phantom": facts["phantom"],
        "sequences": facts["sequences"],
        "outlines": task.recipe.LEARNS_MASKS,
        "network": f"{recipe['model']} at {recipe['size']} x {recipe['size']}{members}",
        "parameters": facts["parameters"],
        "split": recipe["split"],
        "trained_on": {name: parts["train"][name] for name in ("patients", "slices", "tumour_slices")},
        "tested_on": tested,
        "scores": scores,
        "reliability": _reliability(folder) if scores else [],
        **alone(folder),
        **_explanation(folder),
        "weights_sha256": saved.read(folder)["weights_sha256"],
        "version": facts["environment"]["brain_tumor"],
        "intended": INTENDED,
    }


def meaning(card: dict[str, Any], probability: float) -> str:
    """What a slice's highest probability was worth on test slices, in a sentence; ``""`` where that was not measured."""
    for row in card["reliability"]:
        if row["from"] <= probability <= row["to"] and row["slices"]:
            between = f"from {row['from']:.1f} to {row['to']:.1f}"
            return (
                f"Of the test patients' slices with a highest probability {between}, {row['tumour']} of {row['slices']} held "
                "tumour. "
                "All those patients had a tumour, so this says nothing about people in general."
            )
    return ""


def loss_alone(card: dict[str, Any]) -> str:
    """What a slice that comes without its exam loses, in a sentence without its stop; ``""`` where that was not measured."""
    if "alone" not in card:
        return ""
    loss = card["alone"]
    return (
        f"on {loss['patients']} test patients the mean Dice changed by {loss['difference']:+.3f} ({loss['low']:+.3f} to "
        f"{loss['high']:+.3f}) where slices came without their exam"
    )


def alone(folder: Path) -> dict[str, Any]:
    """``alone`` of a card: the mean Dice of test patients whose slices come one by one, less that of whole exams.

    Nothing where that was not measured.
    """
    if (folder / FILE).is_file():
        return {name: value for name, value in of(folder).items() if name == "alone"}
    try:
        table = read_table(folder / appraisal.ALONE)
    except FileError:
        return {}
    loss = intervals.paired(table.alone.to_numpy(), table.together.to_numpy(), np.mean)
    return {"alone": {"patients": len(table), "difference": loss.difference, "low": loss.low, "high": loss.high}}


def _explanation(folder: Path) -> dict[str, Any]:
    """``explanation``: how well maps of where the network looked point at the tumour, in a sentence."""
    try:
        table = read_table(folder / appraisal.EXPLANATIONS)
    except FileError:
        return {}
    scores = {str(name): rows for name, rows in table.groupby("map")}
    controls = tuple(name for name in scores if name != appraisal.NETWORK)
    rows = explanations.summary(scores, controls).set_index(["map", "measure"])
    ours = rows.loc[appraisal.NETWORK]
    best = rows.loc[ours.control["pointing"], "pointing"]
    beats = bool((ours.more_low > 0).all())
    sentence = (
        f"On test patients the highest pixel of such a map lies in the tumour in {ours['mean']['pointing']:.0%} of slices; "
        f"that of a map that knows nothing of the network ({ours.control['pointing']}) in {best['mean']:.0%}."
    )
    return {"explanation": sentence if beats else f"{sentence} So these maps are not shown to tell anything."}


def _scores(folder: Path, task: Task) -> list[dict[str, Any]]:
    try:
        scores = read_table(folder / scoring.SCORES)
    except FileError:
        return []
    names, values = task.scored
    if "size" in scores:
        scores = scores[scores["size"] == scores["size"].max()]
    rows = scores.set_index(names)
    chosen = [name for name in HEADLINES if name in rows.index]
    numbers = {"value": values, "low": "low", "high": "high", "floor": "floor"}
    return [
        {"name": HEADLINES[name]} | {number: float(rows[column][name]) for number, column in numbers.items()} for name in chosen
    ]


def _reliability(folder: Path) -> list[dict[str, Any]]:
    try:
        slices = records.read_slices(folder)
    except BrainTumorError:
        return []
    groups = pd.cut(slices.probability, list(EDGES), include_lowest=True, labels=False)
    return [
        {"from": low, "to": high, "slices": int((groups == n).sum()), "tumour": int(slices.tumour[groups == n].sum())}
        for n, (low, high) in enumerate(itertools.pairwise(EDGES))
    ]
