"""``brain-tumor evaluate`` and ``brain-tumor runs``: scores, each with its definition, interval and floor."""

import math
from pathlib import Path
from typing import Any

import typer

from brain_tumor.models.backend import load_keras

FORMATS = ("png", "nifti")


def evaluate(
    run: str = typer.Argument(help="A run's name, the beginning of it, or its folder."),
    against: str = typer.Option(None, metavar="RUN", help="Another scored run, or a record, on the same test slices."),
    margin: float = typer.Option(None, help="With --against: the loss that would still be accepted, stated beforehand."),
    again: bool = typer.Option(False, "--again", help="Predict anew even where predictions are stored."),
    markdown: Path = typer.Option(None, help="Also write the tables to this Markdown file."),
    html: Path = typer.Option(None, help="Also write the tables to this HTML file."),
    export: tuple[str, Path] | None = typer.Option(
        None, metavar="png|nifti FOLDER", help="Also write the predicted probabilities, for other tools."
    ),
) -> None:
    """Score a finished run on its test part: patients first, then every score with its interval, floor and definition."""
    from brain_tumor.cli import outputs
    from brain_tumor.errors import DataError

    exported = outputs.Output("--export", export[1] if export else None, ())
    outputs.check(outputs.Output("--markdown", markdown), outputs.Output("--html", html), exported)
    if margin is not None and against is None:
        raise DataError("--margin is of a comparison: it needs --against RUN")
    if margin is not None and not (math.isfinite(margin) and margin > 0):
        raise DataError(f"--margin {margin:g}, expected a number above 0")

    if export and export[0] not in FORMATS:
        raise DataError(f"--export {export[0]}, expected {' or '.join(FORMATS)}")

    load_keras()
    from brain_tumor import files
    from brain_tumor.cli.console import print_sections
    from brain_tumor.evaluation import wording
    from brain_tumor.experiments import run as experiment
    from brain_tumor.records import comparison
    from brain_tumor.report.pages import sections, views
    from brain_tumor.training.runs import find_run

    folder = find_run(run)
    recipe = experiment.finished_recipe(folder)
    if export and not recipe.LEARNS_MASKS:
        raise DataError(f"--export: {folder.path.name} outlines nothing; score takes its {folder.path / 'slices.csv'} as it is")
    other = comparison.find(against) if against else None
    experiment.evaluate(folder, experiment.trained_cohort(folder), again=again)
    parts = views.sections_of(folder.path)
    if other:
        compared = comparison.compare(folder.path, other, margin)
        with files.atomic_path(folder.path / f"against-{other.name}.csv") as temporary:
            compared.to_csv(temporary, index=False)
        parts.append(sections.of_comparison(compared, folder.path.name, other.name, margin))
    title = wording.titled(folder.path.name, folder.description["phantom"])
    print_sections(title, f"split {recipe.split}", parts)
    if markdown:
        files.write_text(markdown, sections.markdown(title, parts))
    if html:
        sections.save_html(title, parts, html, folder.description["phantom"])
    if export:
        _export(folder, *export)
    written = "".join(f"\n{kind}: {path}" for kind, path in (("markdown", markdown), ("html", html)) if path)
    typer.echo(f"files: {folder.path}{written}\nnext: brain-tumor report {folder.path.name}")


def _export(run: Any, kind: str, out: Path) -> None:
    """Every stored prediction of the run's test part as files."""
    from brain_tumor.data.opening import name_of
    from brain_tumor.experiments.run import trained_cohort
    from brain_tumor.experiments.segmentation import PREDICTIONS
    from brain_tumor.inference import export
    from brain_tumor.inference.predict import load_prediction

    cohort = trained_cohort(run)
    paths = sorted((run.path / PREDICTIONS).glob("*.npz"))
    for path in paths:
        export.write(load_prediction(path), cohort[path.stem], kind, out)
    typer.echo(f"{out}: {len(paths)} cases, probabilities with 255 for 1")
    options = f"--truth {cohort.root} --predictions {out} --split {run.path / 'split.json'} --cohort {name_of(cohort)}"
    typer.echo(f"next: brain-tumor score {options}{' --probabilities' if kind == 'png' else ''}")


def runs() -> None:
    """List the runs of this home with their state and scores."""

    load_keras()
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    from brain_tumor.errors import BrainTumorError
    from brain_tumor.training.runs import ANEW, all_runs, remains

    table = Table(
        Column("run", overflow="fold"), "status", "epochs", "minutes", "scores (floor)", title="runs; Dice at training size"
    )
    for run in all_runs():
        try:
            table.add_row(run.path.name, *_row(run))
        except (BrainTumorError, OSError) as error:  # one damaged run hides no other
            table.add_row(run.path.name, "damaged", "", "", escape(str(error).removeprefix(f"{run.path}/")))
    for path in remains():
        table.add_row(path.name, "damaged", "", "", f"no run.json; {ANEW}")
    Console(width=None if table.row_count else 80).print(table if table.row_count else "no runs yet: brain-tumor train --help")


def _row(run: Any) -> tuple[str, str, str, str]:
    """A run's state, epochs, minutes and scores.

    Raises:
        BrainTumorError: a file of the run is damaged.
    """
    from brain_tumor.records import lookup

    facts = run.facts("status", "recipe")
    minutes = f"{facts.get('training_seconds', 0) / 60:.1f}"
    history = lookup.history(run.path) if run.status == "finished" else run.history
    return run.status, str(len(history)), minutes, "\n".join(_listed(run, facts["recipe"]))


def _listed(run: Any, recipe: dict) -> list[str]:
    """A line a main score of a run's task, with its floor; none of a run that is not scored."""
    import pandas as pd

    from brain_tumor import files
    from brain_tumor.evaluation import scoring, wording
    from brain_tumor.evaluation.storage import read_table
    from brain_tumor.experiments import tasks

    path = run.path / scoring.SCORES
    if not path.is_file():
        return []
    task = tasks.of(recipe["task"])
    name, value = task.scored
    scores = read_table(path)
    if "size" in scores:
        scores = scores[scores["size"] == recipe["size"]]
    rows = scores.set_index(name)
    if absent := [headline for headline in task.headlines if headline not in rows.index]:
        raise files.damaged(path, f"no row {absent[0]!r}", f"score the run again: brain-tumor evaluate {run.path.name}")
    return [
        f"{headline} {wording.score(rows[value][headline])}"
        + ("" if pd.isna(rows.floor[headline]) else f" ({rows.floor[headline]:.3f})")
        for headline in task.headlines
    ]
