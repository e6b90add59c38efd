"""``brain-tumor train``: from a recipe on the command line to a finished run folder."""

import typer

from brain_tumor.cli import recipe_options, resumable

app = typer.Typer(help="Train a network; an interrupted run resumes when the same command is given again.", no_args_is_help=True)


@app.command()
@recipe_options.takes(recipe_options.segmentation)
def segmentation(recipe) -> None:
    """Train a segmentation network: which pixels are tumour. Prints the run's name."""
    _train(recipe)


@app.command()
@recipe_options.takes(recipe_options.classification)
def classification(recipe) -> None:
    """Train a slice classifier: is there tumour in this slice? Prints the run's name."""
    _train(recipe)


def _train(recipe) -> None:
    from brain_tumor.data.opening import open_cohort
    from brain_tumor.experiments import training

    with resumable.stoppable():
        run = training.train(recipe, open_cohort(recipe.cohort), on_start=_describe)
    minutes = run.description["training_seconds"] / 60
    typer.echo(f"finished in {minutes:.1f} minutes: {run.path}")
    typer.echo(f"next: brain-tumor evaluate {recipe.run_id}")


def _describe(run) -> None:
    facts = run.description
    typer.echo(f"run {run.path.name}")
    parts = ", ".join(
        f"{part} {n['patients']} patients / {n['slices']} slices" for part, n in facts["parts"].items() if n["slices"]
    )
    typer.echo(f"{facts['parameters']:,} weights, {facts['precision']} on {facts['environment']['backend']}; {parts}")
    if encoder := facts["encoder"]:
        typer.echo(f"begins with {encoder['scalars']:,} weights of {encoder['layers']} layers from {encoder['file']}")
    elif all(stage["part"] in ("head", "decoder") for stage in facts["recipe"]["stages"]):
        typer.echo("the encoder's weights are random and stay so; --strategy frozen is meant for learnt ones: --weights")
