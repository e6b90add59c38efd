"""One run as one HTML page: every patient, every score with its floor, the curves, what ran; pictures only where they stay."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.data import profile
from brain_tumor.data.cache import open_store
from brain_tumor.errors import RunError
from brain_tumor.experiments.run import trained_cohort
from brain_tumor.paths import reports_folder
from brain_tumor.records import lookup, records
from brain_tumor.report import figures
from brain_tumor.report.figures.drawing import Drawing
from brain_tumor.report.pages import page, run_content, views

if TYPE_CHECKING:
    from brain_tumor.training.runs import RunFolder

DEMO_SLICES = 12


def run_page(run: "RunFolder", out: Path | None = None) -> Path:
    """A run of this machine as a page for its owner, with pictures where predictions and data are there.

    Args:
        out: where to; by default the git-ignored ``reports/local/``.

    Raises:
        RunError: the run has not been scored, or ``out`` is a published place: use :func:`publish_record`.
    """
    facts = run.facts("recipe", "phantom", "parts")
    if "scored" not in facts:
        raise RunError(f"{run.path}: not scored; brain-tumor evaluate {run.path.name}")
    records.check_counts(run.path, facts)
    private = "a run on the phantom" if facts["phantom"] else "it may show patients"
    out = out or reports_folder() / "local" / f"{run.path.name}{'.phantom' if facts['phantom'] else ''}.html"
    page.check_private(out, private)  # before all is drawn
    return page.save(_render(run.path, facts, views.of(facts["recipe"]["task"]).pictures(run.path, facts)), out, private)


def demo_page(run: "RunFolder", facts: dict) -> Path:
    """The demo's run, the synthetic cohort it learned from, and pictures of both, as the git-ignored ``reports/demo.html``.

    Args:
        facts: the cohort's profile (:func:`brain_tumor.data.profile.profile`).
    """
    store = open_store(trained_cohort(run))
    by_area = store.slices[store.slices.tumour_px > 0].sort_values("tumour_px").index
    rows = by_area[np.linspace(0, len(by_area) - 1, DEMO_SLICES).astype(int)]
    drawings = [figures.show_gallery(store, rows), figures.plot_tumour_areas(store.slices)]
    fact_table = pd.DataFrame(profile.table(facts), columns=["fact", "found"]).to_html(border=0, index=False)
    cohort = {"cohort_figures": drawings, "fact_table": fact_table}
    predicted = views.of(run.description["recipe"]["task"]).pictures(run.path, run.description)
    rendered = _render(run.path, run.description, predicted, "demo.html", **cohort)
    return page.save(rendered, reports_folder() / page.DEMO, private="a run on the phantom")


def publish_record(folder: Path) -> Path:
    """A record as ``reports/runs/<run>.html`` with its sidecar, from the record alone: there is no pixel it could show.

    Raises:
        RunError: the record is of the phantom.
    """
    facts = lookup.run_facts(folder)
    if facts["phantom"]:
        raise RunError(f"{folder}: a run on the phantom, which is never published")
    path = page.save(_render(folder, facts, []), reports_folder() / "runs" / f"{folder.name}.html")
    files.write_json(path.with_suffix(".json"), run_content.content(folder, facts))
    return path


def _render(folder: Path, facts: dict, drawings: list[Drawing], template: str = "run.html", **more: Any) -> str:
    history = lookup.history(folder)
    view = views.of(facts["recipe"]["task"])
    return page.render(
        template,
        title=("Phantom run " if facts["phantom"] else "Run ") + folder.name,
        phantom=facts["phantom"],
        run=folder.name,
        content=run_content.content(folder, facts),
        sections=view.of_run(folder, facts),
        figures=view.drawings(folder, facts),
        training_figures=[figures.plot_history({facts["recipe"]["model"]: history})],
        pictures=drawings,
        recipe=_recipe(facts),
        note=records.preparation_note(facts),
        command=records.retrain_command(folder) if folder.parent == records.records_folder() else None,
        **more,
    )


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
    cores = f"{environment['cores']} cores, {environment['machine']}"
    if "threads" in environment:  # earlier runs do not say
        threads = environment["threads"]["intra_op"]
        cores = f"{threads} thread{'s' * (threads != 1)} of {cores}"
    return {
        **{name.replace("_", " "): str(value) for name, value in recipe.items()},
        "stages": "; ".join(stages),
        "augmentation": ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in moved.items()),
        "parts": "; ".join(parts),
        "parameters": f"{facts['parameters']:,}",
        "resolved precision": facts["precision"],
        "training": f"{facts['training_seconds'] / 60:.1f} minutes on {cores}",
        "versions": f"{environment['backend']}; Python {environment['python']}, {packages}",
        "started": facts["started"],
    }
