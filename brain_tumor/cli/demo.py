"""``brain-tumor demo``: the main job from end to end on synthetic patients, in minutes, with no data."""

from typing import Any

import typer

# Small enough for a few minutes on two cores, hard enough that nothing but learning scores well.
RECIPE: dict[str, Any] = {"cohort": "phantom", "split": "ratio-25", "model": "resunet", "size": 128, "batchnorm_momentum": 0.9}
EPOCHS, MAX_LR = 12, 3e-3


def demo() -> None:
    """Draw a synthetic cohort, explore it, train on it, score, and write reports/demo.html."""
    from brain_tumor.models.backend import load_keras

    load_keras()
    from brain_tumor.cli.console import print_sections
    from brain_tumor.cli.data import print_facts
    from brain_tumor.data.cache import open_store
    from brain_tumor.data.opening import open_cohort
    from brain_tumor.data.profile import profile
    from brain_tumor.evaluation import wording
    from brain_tumor.experiments import run as experiment
    from brain_tumor.experiments.recipe import SegmentationRecipe
    from brain_tumor.paths import readable
    from brain_tumor.report.pages import run as run_page, views
    from brain_tumor.training.plan import Stage

    recipe = SegmentationRecipe(**RECIPE, stages=(Stage("all", EPOCHS, MAX_LR),))
    typer.echo("1. draw: a PHANTOM cohort, in the layout of the real one; no number below is about patients")
    cohort = open_cohort(recipe.cohort)
    typer.echo("2. explore")
    facts = profile(open_store(cohort))
    print_facts(facts)
    typer.echo(f"3. train: {recipe.model} at {recipe.size} x {recipe.size}, {EPOCHS} epochs; a few minutes on two cores")
    run = experiment.train(recipe, cohort)
    typer.echo(f"   {run.description['training_seconds'] / 60:.1f} minutes")
    typer.echo("4. score, on patients the network has never seen")
    experiment.evaluate(run, cohort)
    print_sections(wording.titled(run.path.name, phantom=True), f"split {recipe.split}", views.sections_of(run.path))
    page = run_page.demo_page(run, facts)
    typer.echo(f"\nreport: {readable(page)}")
    typer.echo("next:")
    typer.echo("  open it in a browser: scores with interval and floor, curves, best and worst patients")
    typer.echo("  bring the real data:  .venv/bin/brain-tumor data get lgg --from FOLDER   (README: Bring the data)")
    typer.echo("  run the notebooks:    .venv/bin/jupyter lab notebooks/01_explore.ipynb")
