"""``brain-tumor train``: from a recipe on the command line, or in a file, to a finished run folder."""

import os
from pathlib import Path
from typing import Any

import typer

from brain_tumor.cli import recipe_options, resumable
from brain_tumor.errors import RunError
from brain_tumor.experiments.recipe import ClassificationRecipe, Recipe, SegmentationRecipe
from brain_tumor.experiments.volumes_recipe import VolumesRecipe
from brain_tumor.models.backend import load_keras

app = typer.Typer(help="Train a network; an interrupted run resumes when the same command is given again.")


@app.callback(invoke_without_command=True)
def train(
    context: typer.Context,
    recipe: Path = typer.Option(None, help="Train the recipe in this JSON file: a recipe, or a run's or record's run.json."),
    hosts: str = typer.Option("", metavar="HOST[:PORT],...", help="Train on several processes, one a host (JAX); needs --rank."),
    rank: int = typer.Option(None, min=0, help="Which of --hosts this process is, from 0; all see the same home."),
) -> None:
    """Train a network; an interrupted run resumes when the same command is given again.

    Processes that Slurm or SageMaker starts find each other by themselves.
    """
    if hosts:
        _say(hosts, rank)
    if recipe_options.is_from_file(context, recipe):
        load_keras()
        train_recipe(recipe_options.from_file(recipe))


def train_recipe(recipe: Recipe) -> Any:
    """Train a recipe and say what comes of it.

    Returns:
        Its finished :class:`brain_tumor.training.runs.RunFolder`.
    """
    from brain_tumor.data.opening import open_cohort
    from brain_tumor.experiments import run as experiment
    from brain_tumor.training import parallel

    world = _join()
    with resumable.stoppable(), parallel.guard():
        run = experiment.train(recipe, open_cohort(recipe.cohort), on_start=_describe)
    if world.rank:
        return run
    minutes = run.description["training_seconds"] / 60
    typer.echo(f"finished in {minutes:.1f} minutes: {run.path}")
    typer.echo(f"next: brain-tumor evaluate {run.path.name}")
    return run


recipe_options.add_commands(
    app,
    train_recipe,
    {
        SegmentationRecipe: "Train a segmentation network: which pixels are tumour. Prints the run's name.",
        ClassificationRecipe: "Train a slice classifier: is there tumour in this slice? Prints the run's name.",
        VolumesRecipe: "Train a network of three dimensions: which voxels lie in which region. Prints the run's name.",
    },
)


def _join() -> Any:
    """Join the processes that train together, where there are several."""
    from brain_tumor.training import parallel

    world = parallel.world_of(os.environ)
    parallel.begin(world)
    return world


def _say(hosts: str, rank: int | None) -> None:
    """Say in the variables that Keras itself knows which processes train together.

    Raises:
        RunError: it is not said which of them this is.
    """
    names = [name.strip() for name in hosts.split(",") if name.strip()]
    if rank is None or rank >= len(names):
        raise RunError(f"--hosts {hosts}: which of them is this process? Say --rank 0 to {len(names) - 1}")
    values = {"JOB_ADDRESSES": ",".join(names), "NUM_PROCESSES": str(len(names)), "PROCESS_ID": str(rank)}
    os.environ.update({f"KERAS_DISTRIBUTION_{name}": value for name, value in values.items()})


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
