"""One run as one HTML page: every patient, every score with its floor, the curves, what ran; pictures only where they stay."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.data import profile
from brain_tumor.data.cache import open_store
from brain_tumor.data.opening import open_cohort
from brain_tumor.errors import DataError, RunError
from brain_tumor.evaluation import calibration, protocols
from brain_tumor.paths import reports_folder
from brain_tumor.records import records
from brain_tumor.report import figures
from brain_tumor.report.figures.drawing import Drawing
from brain_tumor.report.pages import page, run_content, sections

if TYPE_CHECKING:
    from brain_tumor.training.runs import RunFolder

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
    drawings = [figures.show_gallery(store, shown), figures.plot_tumour_areas(store.slices)]
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
    files.write_json(path.with_suffix(".json"), run_content.content(folder, facts))
    return path


def _render(folder: Path, facts: dict, drawings: list[Drawing], template: str = "run.html", **more) -> str:
    history = pd.read_csv(folder / "history.csv")
    plots = _classification_figures if records.task_of(folder) == "classification" else _segmentation_figures
    return page.render(
        template,
        title=("Phantom run " if facts["phantom"] else "Run ") + folder.name,
        phantom=facts["phantom"],
        run=folder.name,
        content=run_content.content(folder, facts),
        sections=sections.of_folder(folder),
        figures=plots(folder, facts),
        training_figures=[figures.plot_history({facts["recipe"]["model"]: history})],
        pictures=drawings,
        recipe=_recipe(facts),
        command=facts.get("command"),
        **more,
    )


def _segmentation_figures(folder: Path, facts: dict) -> dict[str, list[Drawing]]:
    """The figures of each section, as far as the folder has their tables."""
    recipe = facts["recipe"]
    scores, cases, counts = pd.read_csv(folder / "scores.csv"), pd.read_csv(folder / "cases.csv"), records.read_counts(folder)
    native = counts[counts["size"] == counts["size"].max()]
    mean = scores[(scores.protocol == "patient mean") & (scores["size"] == scores["size"].max())]
    working = scores[scores["size"] == recipe["size"]]
    found = {
        sections.PATIENTS: [
            figures.plot_case_scores({recipe["model"]: cases}, float(mean.floor.iloc[0])),
            figures.plot_dice_by_area(native),
        ],
        sections.SCORES: [figures.plot_protocols({f"{recipe['model']} at {recipe['size']} px": working})],
    }
    if (folder / "counts_largest.csv").is_file():
        found[sections.VARIANTS] = [figures.plot_spread(protocols.spread(sections.variants(folder)))]
    if (folder / "subgroups.csv").is_file():
        groups = pd.read_csv(folder / "subgroups.csv", dtype={"group": str})
        found[sections.by_title(groups.by.iloc[0])] = [figures.plot_subgroups(groups)]
    if (folder / "detection.csv").is_file():
        found[sections.DETECTION] = _curves(folder, recipe["model"])
    if (folder / "pixels.csv").is_file():
        slices, pixels = records.read_slices(folder), calibration.histograms(pd.read_csv(folder / "pixels.csv"))
        judged = {
            "slices": calibration.reliability(slices.tumour, slices.probability),
            "pixels": calibration.reliability(*calibration.weighted_rows(pixels.sum(axis=0))),
        }
        found[sections.CALIBRATION] = [figures.plot_reliability(judged)]
    return found


def _classification_figures(folder: Path, facts: dict) -> dict[str, list[Drawing]]:
    slices, temperature = records.read_slices(folder), facts["temperature"]
    judged = {"slices": calibration.reliability(slices.tumour, slices.probability)}
    if temperature is not None:
        cooled = calibration.apply_temperature(slices.probability, temperature)
        judged[f"temperature {temperature:.2f}"] = calibration.reliability(slices.tumour, cooled)
    return {
        sections.SCORES: _curves(folder, facts["recipe"]["model"]),
        sections.CALIBRATION: [figures.plot_reliability(judged)],
    }


def _curves(folder: Path, label: str) -> list[Drawing]:
    """ROC and precision-recall of a run's slices, beside what reads no image."""
    slices, floors = {label: records.read_slices(folder)}, records.read_slice_floors(folder)
    by_floor = dict(list(floors.groupby("floor", sort=False)))
    return [figures.plot_roc(slices, by_floor), figures.plot_precision_recall(slices, by_floor)]


def _recipe(facts: dict) -> dict[str, str]:
    """The recipe and its circumstances in words, a row each."""
    recipe = dict(facts["recipe"])
    stages = [
        f"{stage['name']}: {stage['epochs']} epochs, trains {stage['part']}, peak rate {stage['max_lr']:g}, "
        f"weight decay {stage['weight_decay']:g}, {stage.get('optimiser', 'adamw')}, {stage.get('schedule', '1cycle')}, "
        f"rates by depth x {stage.get('layer_decay', 1.0):g}"
        for stage in recipe.pop("stages")
    ]
    encoder = facts.get("encoder")
    if encoder:
        recipe["weights"] += f": {encoder['file']}, {encoder['layers']} layers, SHA-256 {encoder['sha256'][:12]}"
    moved = recipe.pop("augmentation")
    parts = [f"{part} {n['patients']} patients / {n['slices']} slices" for part, n in facts["parts"].items() if n["slices"]]
    environment = facts["environment"]
    packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    return {
        **{name.replace("_", " "): str(value) for name, value in recipe.items()},
        "stages": "; ".join(stages),
        "augmentation": ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in moved.items()),
        "parts": "; ".join(parts),
        "parameters": f"{facts['parameters']:,}",
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
        if records.task_of(folder) == "classification":
            return []
        chosen = figures.best_median_worst(pd.read_csv(folder / "cases.csv"), PICTURED_WORST)
        predictions = {case_id: load_prediction(folder / "predictions" / f"{case_id}.npz") for case_id in chosen}
    except DataError:
        return []
    store = open_store(cohort)
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
