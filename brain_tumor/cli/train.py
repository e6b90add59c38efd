"""``brain-tumor train``: from a recipe on the command line to a finished run folder."""

from typing import Annotated, Literal

import typer
from typer import Option

from brain_tumor.cli.backend import load_keras

app = typer.Typer(help="Train a network; an interrupted run resumes when the same command is given again.", no_args_is_help=True)

SPLIT_HELP = (
    "source-004, source-002, ratio-20, fold-1-of-5, slice-fold-1-of-5, site-HT, clean-1-of-3, leaky-1-of-3, or a JSON file."
)

# What both commands take, said once.
CohortName = Annotated[str, Option(help="lgg or phantom.")]
SplitName = Annotated[str, Option(help=SPLIT_HELP)]
SplitSeed = Annotated[int, Option(help="Decides the draw of a split that is drawn.")]
Tune = Annotated[float, Option(min=0.0, max=0.9, help="Share of training patients set aside to choose on.")]
Size = Annotated[int, Option(min=16, help="Slice height and width in pixels.")]
Epochs = Annotated[int, Option(min=1, help="Passes over the training slices.")]
PeakRate = Annotated[float, Option(min=1e-7, max=1.0, help="Top of the 1cycle learning rate.")]
BatchSize = Annotated[int, Option(min=1, help="Slices a step.")]
Normalisation = Annotated[Literal["unit", "imagenet", "volume"], Option(help="What happens to pixel values.")]
Flip = Annotated[bool, Option(help="Mirror every second training slice.")]
Rotation = Annotated[float, Option(min=0.0, max=180.0, help="Turn training slices by up to this, either way.")]
Zoom = Annotated[float, Option(min=0.0, max=1.0, help="Enlarge or shrink them by up to this share.")]
Lighting = Annotated[float, Option(min=0.0, max=2.0, help="Bend brightness by a gamma of up to 1 + this, either way.")]
Missing = Annotated[float, Option(min=0.0, max=1.0, help="Share of slices in which sequences become copies of FLAIR.")]
AverageFlips = Annotated[bool, Option(help="Predict each slice as it is and mirrored, and take the mean.")]
BatchNormMomentum = Annotated[float, Option(min=0.0, max=0.999, help="0.9 for runs under some 300 steps.")]
Precision = Annotated[Literal["auto", "float32", "mixed_bfloat16"], Option(help="auto measures the machine.")]
Seed = Annotated[int, Option(min=0, help="Initial weights, shuffling, augmentation.")]


@app.command()
def segmentation(
    cohort: CohortName = "lgg",
    split: SplitName = "source-004",
    split_seed: SplitSeed = 0,
    tune: Tune = 0.0,
    model: Annotated[str, Option(help="unet-resnet18, unet-resnet34, unet-resnet50 or resunet.")] = "unet-resnet18",
    size: Size = 128,
    epochs: Epochs = 12,
    peak_rate: PeakRate = 1e-3,
    batch_size: BatchSize = 16,
    loss: Annotated[Literal["bce-dice", "focal-tversky"], Option(help="What is minimised.")] = "bce-dice",
    normalisation: Normalisation = "volume",
    flip: Flip = True,
    rotation_degrees: Rotation = 15.0,
    zoom: Zoom = 0.1,
    lighting: Lighting = 0.2,
    missing: Missing = 0.15,
    average_flips: AverageFlips = True,
    batchnorm_momentum: BatchNormMomentum = 0.99,
    precision: Precision = "auto",
    seed: Seed = 0,
) -> None:
    """Train a segmentation network: which pixels are tumour. Prints the run's name."""
    _train("SegmentationRecipe", **locals())


@app.command()
def classification(
    cohort: CohortName = "lgg",
    split: SplitName = "source-004",
    split_seed: SplitSeed = 0,
    tune: Tune = 0.0,
    model: Annotated[str, Option(help="resnet18, resnet34 or resnet50.")] = "resnet18",
    size: Size = 128,
    epochs: Epochs = 12,
    peak_rate: PeakRate = 1e-3,
    batch_size: BatchSize = 16,
    normalisation: Normalisation = "volume",
    flip: Flip = True,
    rotation_degrees: Rotation = 15.0,
    zoom: Zoom = 0.1,
    lighting: Lighting = 0.2,
    missing: Missing = 0.15,
    average_flips: AverageFlips = True,
    batchnorm_momentum: BatchNormMomentum = 0.99,
    precision: Precision = "auto",
    seed: Seed = 0,
) -> None:
    """Train a slice classifier: is there tumour in this slice? Prints the run's name."""
    _train("ClassificationRecipe", **locals())


def _train(kind: str, epochs: int, peak_rate: float, **options) -> None:
    load_keras()
    from brain_tumor.data.fetch import open_cohort
    from brain_tumor.experiments import recipe as recipes
    from brain_tumor.experiments import training
    from brain_tumor.training.augment import Augmentation
    from brain_tumor.training.stages import Stage

    moved = Augmentation(**{name: options.pop(name) for name in ("flip", "rotation_degrees", "zoom", "lighting", "missing")})
    recipe = getattr(recipes, kind)(**options, augmentation=moved, stages=(Stage("all", epochs, peak_rate),))
    typer.echo(f"run {recipe.run_id}")
    try:
        run = training.train(recipe, open_cohort(recipe.cohort), on_start=_describe)
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
