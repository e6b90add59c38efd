"""``brain-tumor search``: settings proposed by Optuna, judged on the validation part."""

from typing import Annotated

import typer

from brain_tumor.cli import recipe_options, resumable
from brain_tumor.experiments.recipe import ClassificationRecipe, Recipe, SegmentationRecipe

app = typer.Typer(
    help="Look for good settings on patients set aside from training; the same command again goes on.", no_args_is_help=True
)
Trials = Annotated[int, typer.Option(min=1, help="How many settings to try, earlier calls counted in.")]
Vary = Annotated[str, typer.Option(help="What to vary, such as max_lr,strategy; all that there is without it.")]


def look(recipe: Recipe, trials: Trials = 20, vary: Vary = "") -> None:
    """Try settings, and print every trial, best first."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from brain_tumor.data.opening import open_cohort
    from brain_tumor.experiments import search
    from brain_tumor.paths import readable
    from brain_tumor.training.runs import DESCRIPTION, find_run

    with resumable.stoppable("the same command goes on with this trial"):
        folder = search.search(
            recipe, open_cohort(recipe.cohort), trials, resumable.listed(vary), on_trial=resumable.tell_of("trial")
        )
    trials_table = search.read(folder)
    table = Table(*trials_table.columns, box=SIMPLE_HEAD, title=f"{folder.name}: loss on the validation part, best first")
    table.columns[-1].overflow = "fold"  # a run's name is there to be copied
    for row in trials_table.itertuples(index=False):
        table.add_row(*map(str, row))
    Console().print(table)
    best = find_run(trials_table.run[0])
    typer.echo(f"finished: {folder}")
    typer.echo("the best of many on few patients flatters itself; score it on patients that no trial was chosen on:")
    typer.echo(f"next: brain-tumor evaluate {best.path.name}")
    typer.echo(f"train it again: brain-tumor train --recipe {readable(best.path / DESCRIPTION)}")


recipe_options.add_commands(
    app,
    look,
    {
        SegmentationRecipe: "Search settings of a segmentation network. Needs --validation; prints every trial, best first.",
        ClassificationRecipe: "Search settings of a slice classifier. Needs --validation; prints every trial, best first.",
    },
)
