"""``brain-tumor train``: from a recipe on the command line to a finished run folder."""

from typing import Literal

import typer

from brain_tumor.cli.backend import load_keras

app = typer.Typer(help="Train a network; an interrupted run resumes when the same command is given again.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep ``segmentation`` a subcommand although it is alone."""


@app.command()
def segmentation(
    cohort: str = typer.Option("lgg", help="lgg or phantom."),
    split: str = typer.Option("source-004", help="source-004, source-002, ratio-20, fold-1-of-5, or a JSON file."),
    split_seed: int = typer.Option(0, help="Decides the draw of a split that is drawn."),
    tune: float = typer.Option(0.0, min=0.0, max=0.9, help="Share of training patients set aside to choose on."),
    model: str = typer.Option("unet-resnet18", help="unet-resnet18, unet-resnet34, unet-resnet50 or resunet."),
    size: int = typer.Option(128, min=16, help="Slice height and width in pixels."),
    epochs: int = typer.Option(12, min=1, help="Passes over the training slices."),
    peak_rate: float = typer.Option(1e-3, min=1e-7, max=1.0, help="Top of the 1cycle learning rate."),
    batch_size: int = typer.Option(16, min=1, help="Slices a step."),
    loss: Literal["bce-dice", "focal-tversky"] = typer.Option("bce-dice", help="What is minimised."),
    normalisation: Literal["unit", "imagenet", "volume"] = typer.Option("volume", help="What happens to pixel values."),
    flip: bool = typer.Option(True, help="Mirror every second training slice."),
    rotation_degrees: float = typer.Option(15.0, min=0.0, max=180.0, help="Turn training slices by up to this, either way."),
    zoom: float = typer.Option(0.1, min=0.0, max=1.0, help="Enlarge or shrink them by up to this share."),
    lighting: float = typer.Option(0.2, min=0.0, max=2.0, help="Bend brightness by a gamma of up to 1 + this, either way."),
    missing: float = typer.Option(0.15, min=0.0, max=1.0, help="Share of slices in which sequences become copies of FLAIR."),
    average_flips: bool = typer.Option(True, help="Predict each slice as it is and mirrored, and take the mean."),
    batchnorm_momentum: float = typer.Option(0.99, min=0.0, max=0.999, help="0.9 for runs under some 300 steps."),
    precision: Literal["auto", "float32", "mixed_bfloat16"] = typer.Option("auto", help="auto measures the machine."),
    seed: int = typer.Option(0, min=0, help="Initial weights, shuffling, augmentation."),
) -> None:
    """Train a segmentation network; prints the run's name."""
    load_keras()
    from brain_tumor.data.fetch import open_cohort
    from brain_tumor.experiments import segmentation
    from brain_tumor.experiments.recipe import SegmentationRecipe
    from brain_tumor.training.augment import Augmentation
    from brain_tumor.training.stages import Stage

    recipe = SegmentationRecipe(
        cohort=cohort, split=split, split_seed=split_seed, tune=tune, model=model, size=size, normalisation=normalisation,
        augmentation=Augmentation(flip, rotation_degrees, zoom, lighting, missing),
        loss=loss, stages=(Stage("all", epochs, peak_rate),), batch_size=batch_size,
        batchnorm_momentum=batchnorm_momentum, average_flips=average_flips, precision=precision, seed=seed,
    )  # fmt: skip
    typer.echo(f"run {recipe.run_id}")
    try:
        run = segmentation.train(recipe, open_cohort(cohort), on_start=_describe)
    except KeyboardInterrupt:
        typer.echo("\nstopped; the same command resumes after the last whole epoch", err=True)
        raise typer.Exit(130) from None
    minutes = run.description["training_seconds"] / 60
    typer.echo(f"finished in {minutes:.1f} minutes: {run.path}")
    typer.echo(f"next: brain-tumor evaluate {recipe.run_id}")


def _describe(run) -> None:
    facts = run.description
    parts = ", ".join(
        f"{part} {n['patients']} patients / {n['slices']} slices" for part, n in facts["parts"].items() if n["slices"]
    )
    typer.echo(f"{facts['parameters']:,} weights, {facts['precision']} on {facts['environment']['backend']}; {parts}")
