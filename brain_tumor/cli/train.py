"""``brain-tumor train``: from a recipe on the command line, or in a file, to a finished run folder."""

from pathlib import Path
from typing import Any

import typer

from brain_tumor.cli import recipe_options, resumable
from brain_tumor.experiments.recipe import ClassificationRecipe, Recipe, SegmentationRecipe
from brain_tumor.experiments.volumes_recipe import VolumesRecipe
from brain_tumor.models.backend import load_keras

app = typer.Typer(help="Train a network; an interrupted run resumes when the same command is given again.")


@app.callback(invoke_without_command=True)
def train(
    context: typer.Context,
    recipe: Path = typer.Option(None, help="Train the recipe in this JSON file: a recipe, or a run's or record's run.json."),
) -> None:
    """Train a network; an interrupted run resumes when the same command is given again."""
    if recipe_options.is_from_file(context, recipe):
        load_keras()
        train_recipe(recipe_options.from_file(recipe))


@app.command()
@recipe_options.takes(SegmentationRecipe)
def segmentation(recipe: Recipe) -> None:
    """Train a segmentation network: which pixels are tumour. Prints the run's name."""
    train_recipe(recipe)


@app.command()
@recipe_options.takes(ClassificationRecipe)
def classification(recipe: Recipe) -> None:
    """Train a slice classifier: is there tumour in this slice? Prints the run's name."""
    train_recipe(recipe)


@app.command()
@recipe_options.takes(VolumesRecipe)
def volumes(recipe: Recipe) -> None:
    """Train a network of three dimensions: which voxels lie in which region. Prints the run's name."""
    train_recipe(recipe)


def train_recipe(recipe: Recipe) -> Any:
    """Train a recipe and say what comes of it.

    Returns:
        Its finished :class:`brain_tumor.training.runs.RunFolder`.
    """
    from brain_tumor.data.opening import open_cohort
    from brain_tumor.experiments import run as experiment

    with resumable.stoppable():
        run = experiment.train(recipe, open_cohort(recipe.cohort), on_start=_describe)
    minutes = run.description["training_seconds"] / 60
    typer.echo(f"finished in {minutes:.1f} minutes: {run.path}")
    typer.echo(f"next: brain-tumor evaluate {run.path.name}")
    return run


def _describe(run: Any) -> None:
    facts = run.description
    typer.echo(f"run {run.path.name}")
    parts = ", ".join(
        f"{part} {n['patients']} patients / {n['slices']} slices" for part, n in facts["parts"].items() if n["slices"]
    )
    typer.echo(f"{facts['parameters']:,} weights, {resumable.computed_with(facts)}; {parts}")
    if encoder := facts["encoder"]:
        typer.echo(f"begins with {encoder['scalars']:,} weights of {encoder['layers']} layers from {encoder['file']}")
    elif all(stage["part"] in ("head", "decoder") for stage in facts["recipe"]["stages"]):
        typer.echo("the encoder's weights are random and stay so; --strategy frozen is meant for learnt ones: --weights")
