"""``brain-tumor ladder``: train and score a segmentation network within a budget, in one command."""

from typing import Annotated, Literal

import typer

from brain_tumor.cli import crossval, resumable, train
from brain_tumor.models.backend import load_keras

Rung = Annotated[Literal["ladder-15m", "ladder-1h", "ladder-gpu"], typer.Argument(help="The budget.")]
Unit = Annotated[Literal["patient", "site"] | None, typer.Option(help="Cross-validate: over patients, or by hospital.")]
Folds = Annotated[int | None, typer.Option(min=2, help="With --unit patient: how many; 5 without it.", show_default=False)]


def ladder(
    rung: Rung,
    cohort: str = "lgg",
    split: Annotated[str, typer.Option(help="As of train; --unit asks for folds instead.")] = "source-004",
    unit: Unit = None,
    folds: Folds = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the networks: each has a seed of its own, which follows from this one.")
    ] = 0,
    workers: resumable.Workers = None,
) -> None:
    """Train and score the segmentation recipe of notebook 08 for a fixed number of steps; the same command again resumes."""
    load_keras()
    from brain_tumor.cli.console import print_sections
    from brain_tumor.data.opening import open_cohort
    from brain_tumor.evaluation import wording
    from brain_tumor.experiments import ladder as rungs, run as experiment
    from brain_tumor.report.pages import views

    opened = open_cohort(cohort)
    recipe = rungs.recipe(rung, opened, "fold-1-of-5" if unit else split, seed)
    budget = rungs.RUNGS[rung]
    counted = "a fold" if unit else "scoring not counted"
    typer.echo(f"{rung}: {budget.needs}, {counted}; {budget.steps:,} steps of each network")
    if unit:
        crossval.cross_validate(recipe, folds, unit, workers)
        return
    run = train.train_recipe(recipe)
    with resumable.stoppable():
        experiment.evaluate(run, opened)
    print_sections(wording.titled(run.path.name, opened.phantom), f"split {split}", views.sections_of(run.path))
