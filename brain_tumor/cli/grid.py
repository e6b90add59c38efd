"""``brain-tumor grid``: tables of experiments: source 002's twenty, and the ingredients of the segmentation recipe."""

from typing import Annotated, Any, Literal

import typer

from brain_tumor.cli import resumable

app = typer.Typer(help="A table of experiments, each trained and scored; the same command again resumes.", no_args_is_help=True)
BudgetName = Annotated[Literal["cpu", "full"], typer.Option(help="cpu: 128 px, 4 epochs. full: 224 px, 30 epochs, for a GPU.")]
Cells = Annotated[str | None, typer.Option(help="Some experiments by name, such as 3,15,18; all without it.", show_default=False)]


@app.callback()
def grid() -> None:
    """A verb for each task."""


@app.command()
def classification(
    cohort: str = "lgg", budget: BudgetName = "cpu", cells: Cells = None, workers: resumable.Workers = None
) -> None:
    """Is there tumour in this slice? ResNet-18 and 50, frozen and fine-tuned, with and without normalisation and flips."""
    from brain_tumor.models.backend import load_keras

    load_keras()
    from brain_tumor.cli.console import print_sections
    from brain_tumor.data.opening import open_cohort
    from brain_tumor.studies.source_002 import grid, tables as grid_tables

    chosen = grid.BUDGETS[budget]
    opened = open_cohort(cohort)
    names = () if cells is None else resumable.listed(cells) or (cells,)
    of_grid = grid.cells(names)
    trainings = set(grid.recipes(chosen, of_grid, cohort).values())
    typer.echo(f"{len(of_grid)} cells, {len(trainings)} trainings at {chosen.size} px; each is told of as it ends")
    if not names:
        typer.echo(f"all of it takes {chosen.cost}")
    with resumable.stoppable():
        record = grid_tables.stored(chosen, opened, of_grid)
        folder = grid.train(chosen, opened, names, _tell, record, workers)
    print_sections(folder.name, f"{len(of_grid)} cells", grid_tables.of_folder(folder))
    typer.echo(f"finished: {folder}")
    typer.echo(f"next: brain-tumor report {folder.name} --publish")


@app.command()
def segmentation(
    cohort: str = "lgg",
    ingredients: Annotated[str | None, typer.Option(help="Some by name, such as base,copy-paste; all without it.")] = None,
    workers: resumable.Workers = None,
) -> None:
    """What is each ingredient of the recipe worth? Each against the recipe without it, on three patient folds."""
    from brain_tumor.models.backend import load_keras

    load_keras()
    from brain_tumor.cli.console import print_sections
    from brain_tumor.data.opening import open_cohort
    from brain_tumor.studies.ingredients import screening, table, tables

    chosen = table.ingredients(resumable.listed(ingredients) if ingredients else ())
    plan = screening.PLAN
    typer.echo(f"{len(chosen)} ingredients, {plan.folds} folds, {len(plan.seeds)} seeds; each run is told of as it ends")
    with resumable.stoppable():
        folder = screening.screen(chosen, open_cohort(cohort), plan, workers, on_run=_tell_of_ingredient)
    print_sections(folder.name, f"{len(chosen)} ingredients", tables.of_folder(folder, chosen))
    typer.echo(f"finished: {folder}")
    typer.echo(f"next: brain-tumor report {folder.name} --publish")


def _tell_of_ingredient(number: int, of: int, training: Any, minutes: float) -> None:
    name = training.ingredient.name
    typer.echo(f"{number} of {of}: {name}, seed {training.seed}, fold {training.fold}, {minutes:.1f} minutes")


def _tell(number: int, of: int, run: Any) -> None:
    facts = run.description
    recipe, minutes = facts["recipe"], facts["training_seconds"] / 60
    typer.echo(f"{number} of {of}: {recipe['model']} on {recipe['split']}, {minutes:.1f} minutes, run {run.path.name}")
