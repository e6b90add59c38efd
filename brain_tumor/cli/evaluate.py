"""``brain-tumor evaluate`` and ``brain-tumor runs``: scores, each with its definition, interval and floor."""

import math

import typer

from brain_tumor.cli.backend import load_keras

MAIN_PROTOCOLS = ("slice, empty = 1", "patient mean")


def evaluate(
    run: str = typer.Argument(help="A run's name, the beginning of it, or its folder."),
    again: bool = typer.Option(False, "--again", help="Predict anew even where predictions are stored."),
) -> None:
    """Score a finished run on its test part: every Dice by name, with interval and floor."""
    load_keras()
    from brain_tumor.data.fetch import open_cohort
    from brain_tumor.experiments import segmentation, training
    from brain_tumor.training.runs import find_run

    folder = find_run(run)
    recipe = training.finished_recipe(folder)
    scores = segmentation.evaluate(folder, open_cohort(recipe.cohort), again=again)
    print_scores(folder, recipe, scores)


def runs() -> None:
    """List the runs of this home with their state and scores."""
    load_keras()
    from rich.console import Console
    from rich.table import Column, Table

    from brain_tumor.experiments.segmentation import read_scores
    from brain_tumor.training.runs import all_runs

    columns = ("status", "epochs", "minutes", *MAIN_PROTOCOLS)
    table = Table(Column("run", overflow="fold"), *columns, title="runs, with their Dice at training size (and its floor)")
    for run in all_runs():
        facts, scores = run.description, read_scores(run)
        cells = []
        for name in MAIN_PROTOCOLS:
            row = None if scores is None else scores[(scores.protocol == name) & (scores["size"] == facts["recipe"]["size"])]
            cells.append("" if row is None or row.empty else f"{row.dice.iloc[0]:.3f} ({row.floor.iloc[0]:.3f})")
        minutes = f"{facts.get('training_seconds', 0) / 60:.1f}"
        table.add_row(run.path.name, facts["status"], str(len(run.history)), minutes, *cells)
    Console(width=None if table.row_count else 80).print(table if table.row_count else "no runs yet: brain-tumor train --help")


def print_scores(run, recipe, scores) -> None:
    """Scores as a table on the terminal, and under it what they mean and were measured on."""
    from rich.console import Console
    from rich.table import Table

    from brain_tumor.evaluation import protocols

    facts = run.description
    test = facts["parts"]["test"]
    console = Console()
    table = Table("Dice", "at size", "score", "95 % interval", "floor", title=run.path.name)
    for row in scores.itertuples():
        below = " below its floor" if row.dice < row.floor else ""
        interval = "no interval" if math.isnan(row.low) else f"{row.low:.3f} to {row.high:.3f}"
        table.add_row(row.protocol, str(row.size), f"{row.dice:.3f}{below}", interval, f"{row.floor:.3f} {row.floor_name}")
    console.print(table)
    for protocol in protocols.PROTOCOLS:
        console.print(f"{protocol.name}: {protocol.means}", highlight=False)
    console.print(
        f"{'PHANTOM data, not patients; ' if facts['phantom'] else ''}split {recipe.split}, {test['patients']} test patients, "
        f"{test['slices']} slices of which {test['slices'] - test['tumour_slices']} are empty. Interval: bootstrap over "
        f"patients. Floor: the best of the predictors that read no image, the all-empty one among them.",
        highlight=False,
    )
    typer.echo(f"files: {run.path}\nnext: brain-tumor report {run.path.name}")
