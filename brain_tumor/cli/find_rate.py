"""``brain-tumor find-rate``: which learning rate a recipe may take, from a minute of training that leaves nothing behind."""

from pathlib import Path
from typing import Annotated

import typer

from brain_tumor.cli import recipe_options, resumable
from brain_tumor.experiments.recipe import ClassificationRecipe, Recipe, SegmentationRecipe

app = typer.Typer(help="Suggest a learning rate: train for a moment at rates that rise.", no_args_is_help=True)
Plot = Annotated[Path | None, typer.Option(help="Write the plot of losses by rate here (.svg, .png).", show_default=False)]


@app.callback()
def find_rate() -> None:
    """A verb for each task; options as of train."""


def find(recipe: Recipe, plot: Plot = None) -> None:
    """Train for a moment, and print which rate is suggested."""
    from brain_tumor.data.opening import open_cohort
    from brain_tumor.experiments import rate

    with resumable.stoppable("nothing was written"):
        sweep = rate.find_rate(recipe, open_cohort(recipe.cohort))
    if plot:
        from brain_tumor.report import figures

        figures.plot_rates(sweep).savefig(plot)
        typer.echo(f"plot: {plot}")
    typer.echo(
        f"{len(sweep.rates)} steps from {sweep.rates[0]:.1e} to {sweep.rates[-1]:.1e}; lowest loss {sweep.smoothed.min():.3f}"
    )
    typer.echo(f"suggestion, where the loss falls fastest: --max-lr {sweep.suggestion:.1e}")


recipe_options.add_commands(
    app,
    find,
    {
        SegmentationRecipe: "For a segmentation network; options as of train.",
        ClassificationRecipe: "For a slice classifier; options as of train.",
    },
)
