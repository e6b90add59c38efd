"""``brain-tumor crossval``: a recipe on the command line, trained and scored on every fold."""

from typing import Annotated

import typer

from brain_tumor.cli import recipe_options, resumable

app = typer.Typer(
    help="Train and score every fold, then gather what was predicted out of fold; the same command again resumes.",
    no_args_is_help=True,
)
Folds = Annotated[int, typer.Option(help="How many; 5, or as many as there are sites.", show_default=False)]
Unit = Annotated[str, typer.Option(help="What is dealt out: patient, slice (to measure the leak) or site (each left out once).")]


@app.command()
@recipe_options.takes(recipe_options.segmentation, but=("split",))
def segmentation(recipe, folds: Folds = None, unit: Unit = "patient") -> None:
    """Cross-validate a segmentation network. Prints each fold's run, then the scores over all patients."""
    _crossval(recipe, folds, unit)


@app.command()
@recipe_options.takes(recipe_options.classification, but=("split",))
def classification(recipe, folds: Folds = None, unit: Unit = "patient") -> None:
    """Cross-validate a slice classifier. Prints each fold's run, then the scores over all patients."""
    _crossval(recipe, folds, unit)


def _crossval(recipe, folds: int | None, unit: str) -> None:
    from brain_tumor.cli.evaluate import print_sections
    from brain_tumor.data.opening import open_cohort
    from brain_tumor.experiments import crossval
    from brain_tumor.report.pages import crossval as crossval_page

    with resumable.stoppable():
        folder = crossval.cross_validate(recipe, open_cohort(recipe.cohort), unit, folds, on_fold=resumable.tell_of("fold"))
    facts = crossval.read(folder)
    title = f"{'PHANTOM data, not patients: ' if facts['phantom'] else ''}{folder.name}"
    print_sections(title, f"{facts['folds']} folds by {unit}", crossval_page.of_folder(folder))
    typer.echo(f"finished in {facts['seconds'] / 60:.1f} minutes: {folder}")
    typer.echo(f"next: brain-tumor report {folder.name}")
