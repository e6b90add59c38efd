"""What a run's page says in a sentence, and its sidecar: every score as a number with interval, floor and definition."""

from pathlib import Path

from brain_tumor.data.channels import in_words
from brain_tumor.data.readers.lgg import SEQUENCES
from brain_tumor.evaluation.storage import read_table
from brain_tumor.paths import commit
from brain_tumor.report.pages import numbers, views


def content(folder: Path, facts: dict) -> dict:
    """The sidecar of a run's or record's page."""
    recipe, test = facts["recipe"], facts["parts"]["test"]
    view = views.of(recipe["task"])
    listed = view.of_scores(folder, facts)
    answer = view.answer(listed, recipe, test)
    if (folder / "calibration.csv").is_file():
        listed += numbers.of_calibration(read_table(folder / "calibration.csv"), recipe)
    return {
        "title": f"Run {folder.name}",
        "answer": f"{answer}, after {facts['training_seconds'] / 60:.0f} minutes of training. One training; other seeds differ."
        + caution(facts),
        "cohort": recipe["cohort"],
        "commit": commit(),
        "data_hash": facts["data_hash"],
        "date": facts["scored"][:10],
        "environment": facts["environment"],
        "minutes": round(facts["training_seconds"] / 60, 1),
        "numbers": listed,
        "patients": test["patients"],
        "phantom": facts["phantom"],
        "protocol": f"split {recipe['split']}, {shown(facts)}",
        "runs": [folder.name],
        "slices": test["slices"],
    }


def caution(facts: dict) -> str:
    """What the cohort of a run or cross-validation wants said beside every score; nothing of most."""
    return f" Caution: {facts['caution']}." if facts.get("caution") else ""


def shown(facts: dict) -> str:
    """What the network of a run or cross-validation saw, and began with: ``three sequences, encoder from mri4``."""
    weights = facts["recipe"]["weights"]
    sequences = facts.get("sequences", SEQUENCES)  # an earlier run does not say them: all were LGG's
    return in_words(facts["recipe"]["channels"], sequences) + (f", encoder from {weights}" if weights != "none" else "")
