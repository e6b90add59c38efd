"""``brain-tumor crossval``: a recipe on the command line, trained and scored on every fold."""

from pathlib import Path
from typing import Annotated

import typer

from brain_tumor import files
from brain_tumor.cli import recipe_options, resumable
from brain_tumor.experiments.recipe import ClassificationRecipe, Recipe, SegmentationRecipe
from brain_tumor.experiments.volumes_recipe import VolumesRecipe
from brain_tumor.models.backend import load_keras

app = typer.Typer(help="Train and score every fold, then gather what was predicted out of fold; the same command again resumes.")
Folds = Annotated[int | None, typer.Option(help="How many; 5, or as many as there are sites.", show_default=False)]
Unit = Annotated[str, typer.Option(help="What is dealt out: patient, slice (to measure the leak) or site (each left out once).")]


@app.callback(invoke_without_command=True)
def crossval(
    context: typer.Context,
    recipe: Path = typer.Option(None, help="Cross-validate the recipe in this JSON file, such as a record's crossval.json."),
    folds: Folds = None,
    unit: Unit = "patient",
    workers: resumable.Workers = None,
) -> None:
    """Train and score every fold, then gather what was predicted out of fold; the same command again resumes."""
    if recipe_options.is_from_file(context, recipe):
        load_keras()
        described = recipe_options.from_file(recipe)
        content = files.read_json(recipe)
        cross_validate(described, folds or content.get("folds"), content.get("unit", unit), workers)


def cross_validate(recipe: Recipe, folds: Folds = None, unit: Unit = "patient", workers: resumable.Workers = None) -> None:
    """Train and score every fold of a recipe, and print the scores over all patients."""
    from brain_tumor.cli.console import print_sections
    from brain_tumor.data.opening import open_cohort
    from brain_tumor.evaluation import wording
    from brain_tumor.experiments import crossval
    from brain_tumor.records import crossval as crossval_record
    from brain_tumor.report.pages import crossval as crossval_page

    with resumable.stoppable():
        folder = crossval.cross_validate(
            recipe, open_cohort(recipe.cohort), unit, folds, resumable.tell_of("fold"), workers, crossval_record.fold_record
        )
    facts = crossval.read(folder)
    title = wording.titled(folder.name, facts["phantom"])
    print_sections(title, f"{facts['folds']} folds by {unit}", crossval_page.of_folder(folder))
    typer.echo(f"finished in {facts['seconds'] / 60:.1f} minutes: {folder}")
    typer.echo(f"next: brain-tumor report {folder.name}")


recipe_options.add_commands(
    app,
    cross_validate,
    {
        SegmentationRecipe: "Cross-validate a segmentation network. Prints each fold's run, then the scores over all patients.",
        ClassificationRecipe: "Cross-validate a slice classifier. Prints each fold's run, then the scores over all patients.",
        VolumesRecipe: "Cross-validate a network of volumes. Prints each fold's run, then the scores over all patients.",
    },
    but=("split",),
)
