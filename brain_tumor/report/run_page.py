"""One run as one HTML page: what ran, every Dice by its name, every patient, the curves; pictures only where they stay."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.data import profile
from brain_tumor.data.cache import open_store
from brain_tumor.data.fetch import open_cohort
from brain_tumor.errors import DataError, RunError
from brain_tumor.evaluation import overlap
from brain_tumor.paths import reports_folder
from brain_tumor.report import figures, figures_cohort, page, pictures, records, sidecar, tables
from brain_tumor.report.drawing import Drawing

if TYPE_CHECKING:
    from brain_tumor.training.runs import RunFolder

HEADLINES = ("slice, empty = 1", "patient mean")
PICTURED_WORST = 2
DEMO_SLICES = 12


def run_page(run: "RunFolder", out: Path | None = None) -> Path:
    """A run of this machine as a page for its owner, with pictures where predictions and data are there.

    Args:
        out: where to; by default the git-ignored ``reports/local/``.

    Raises:
        RunError: the run has not been scored, or ``out`` is a published place: use :func:`publish_record`.
    """
    facts = run.description
    if "scored" not in facts:
        raise RunError(f"{run.path}: not scored; brain-tumor evaluate {run.path.name}")
    private = "a run on the phantom" if facts["phantom"] else "it may show patients"
    out = out or reports_folder() / "local" / f"{run.path.name}{'.phantom' if facts['phantom'] else ''}.html"
    return page.save(_render(run.path, facts, _pictures(run.path, facts)), out, private)


def demo_page(run: "RunFolder", facts: dict) -> Path:
    """The demo's run, the synthetic cohort it learned from, and pictures of both, as the git-ignored ``reports/demo.html``.

    Args:
        facts: the cohort's profile (:func:`brain_tumor.data.profile.profile`).
    """
    store = open_store(open_cohort(run.description["recipe"]["cohort"]))
    by_area = store.slices[store.slices.tumour_px > 0].sort_values("tumour_px").index
    shown = by_area[np.linspace(0, len(by_area) - 1, DEMO_SLICES).astype(int)]
    drawings = [pictures.show_gallery(store, shown), figures_cohort.plot_tumour_areas(store.slices)]
    fact_table = pd.DataFrame(profile.table(facts), columns=["fact", "found"]).to_html(border=0, index=False)
    cohort = {"cohort_figures": drawings, "fact_table": fact_table}
    predicted = _pictures(run.path, run.description)
    rendered = _render(run.path, run.description, predicted, "demo.html", **cohort)
    return page.save(rendered, reports_folder() / page.DEMO, private="a run on the phantom")


def publish_record(folder: Path) -> Path:
    """A record as ``reports/runs/<run>.html`` with its sidecar, from the record alone: there is no pixel it could show.

    Raises:
        RunError: the record is of the phantom.
    """
    facts = files.read_json(folder / "run.json")
    if facts["phantom"]:
        raise RunError(f"{folder}: a run on the phantom, which is never published")
    path = page.save(_render(folder, facts, []), reports_folder() / "runs" / f"{folder.name}.html")
    files.write_json(path.with_suffix(".json"), _content(folder, facts))
    return path


def _render(folder: Path, facts: dict, drawings: list[Drawing], template: str = "run.html", **more) -> str:
    recipe = facts["recipe"]
    scores, cases = pd.read_csv(folder / "scores.csv"), pd.read_csv(folder / "cases.csv")
    counts, history = records.read_counts(folder), pd.read_csv(folder / "history.csv")
    working = scores[scores["size"] == recipe["size"]]
    native = counts[counts["size"] == counts["size"].max()]
    floor = float(overlap.per_case(overlap.all_empty(native)).dice.mean())
    return page.render(
        template,
        title=("Phantom run " if facts["phantom"] else "Run ") + folder.name,
        phantom=facts["phantom"],
        run=folder.name,
        content=_content(folder, facts),
        parts=facts["parts"],
        score_table=tables.score_table(scores).to_html(border=0),
        case_table=tables.case_table(cases).to_html(border=0),
        score_figures=[figures.plot_protocols({f"{recipe['model']} at {recipe['size']} px": working})],
        case_figures=[figures.plot_case_scores({recipe["model"]: cases}, floor), figures.plot_dice_by_area(native)],
        training_figures=[figures.plot_history({recipe["model"]: history})],
        pictures=drawings,
        recipe=_recipe(facts),
        command=facts.get("command"),
        **more,
    )


def _content(folder: Path, facts: dict) -> dict:
    """The page's sidecar."""
    recipe = facts["recipe"]
    scores = pd.read_csv(folder / "scores.csv")
    numbers = [
        {
            "name": f"{recipe['model']} Dice, {row.protocol}",
            "value": row.dice,
            "low": None if pd.isna(row.low) else row.low,
            "high": None if pd.isna(row.high) else row.high,
            "floor": row.floor,
            "unit": "",
            "protocol": f"seed {recipe['seed']}, {row.size} px, {row.empty_slices} of {row.slices} slices empty",
            "headline": row.protocol in HEADLINES and row.size == recipe["size"],
        }
        for row in scores.itertuples()
    ]
    main = {number["name"].partition("Dice, ")[2]: number for number in numbers if number["headline"]}
    mean = main[HEADLINES[1]]
    test = facts["parts"]["test"]
    return {
        "title": f"Run {folder.name}",
        "answer": (
            f"{recipe['model']} reached a mean patient Dice of {mean['value']:.3f} ({sidecar.interval_text(mean)}; floor "
            f"{mean['floor']:.3f}) at {recipe['size']} px on the {test['patients']} test patients of split {recipe['split']}, "
            f"after {facts['training_seconds'] / 60:.0f} minutes of training. One training; other seeds differ."
        ),
        "cohort": recipe["cohort"],
        "commit": sidecar.git_commit(),
        "data_hash": facts["data_hash"],
        "date": facts["scored"][:10],
        "environment": facts["environment"],
        "minutes": round(facts["training_seconds"] / 60, 1),
        "numbers": numbers,
        "patients": test["patients"],
        "phantom": facts["phantom"],
        "protocol": f"split {recipe['split']}, three sequences",
        "runs": [folder.name],
        "slices": test["slices"],
    }


def _recipe(facts: dict) -> dict[str, str]:
    """The recipe and its circumstances in words, a row each."""
    recipe = dict(facts["recipe"])
    stages = [
        f"{stage['name']}: {stage['epochs']} epochs, trains {stage['part']}, peak rate {stage['peak_rate']:g}, "
        f"weight decay {stage['weight_decay']:g}"
        for stage in recipe.pop("stages")
    ]
    moved = recipe.pop("augmentation")
    parts = [f"{part} {n['patients']} patients / {n['slices']} slices" for part, n in facts["parts"].items() if n["slices"]]
    environment = facts["environment"]
    packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    return {
        **{name.replace("_", " "): str(value) for name, value in recipe.items()},
        "stages": "; ".join(stages),
        "augmentation": ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in moved.items()),
        "parts": "; ".join(parts),
        "weights": f"{facts['parameters']:,}",
        "resolved precision": facts["precision"],
        "training": f"{facts['training_seconds'] / 60:.1f} minutes on {environment['cores']} cores, {environment['machine']}",
        "versions": f"{environment['backend']}; Python {environment['python']}, {packages}",
        "started": facts["started"],
    }


def _pictures(folder: Path, facts: dict) -> list[Drawing]:
    """Predictions against truth, where both the predictions and the data are on this machine."""
    from brain_tumor.inference.predict import load_prediction

    try:
        cohort = open_cohort(facts["recipe"]["cohort"])
        chosen = pictures.best_median_worst(pd.read_csv(folder / "cases.csv"), PICTURED_WORST)
        predictions = {case_id: load_prediction(folder / "predictions" / f"{case_id}.npz") for case_id in chosen}
    except DataError:
        return []
    store = open_store(cohort)
    if store.data_hash != facts["data_hash"]:
        return []
    return [
        pictures.show_predictions(
            store,
            {case_id: prediction.native for case_id, prediction in predictions.items()},
            {case_id: prediction.slice_numbers for case_id, prediction in predictions.items()},
            facts["recipe"]["threshold"],
        )
    ]
