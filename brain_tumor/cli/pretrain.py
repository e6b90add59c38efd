"""``brain-tumor pretrain``: from folders of classes to an encoder's weights."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from brain_tumor.cli import recipe_options, resumable
from brain_tumor.errors import DataError
from brain_tumor.experiments.recipe import Recipe, SegmentationRecipe
from brain_tumor.models.backend import load_keras
from brain_tumor.training.plan import Stage

_RECIPE = {item.name: recipe_options.option(item).annotation for item in (*fields(Stage), *fields(Recipe))}
# Made of the recipe's fields, so that limits and help are written once; a type checker cannot see which types they are.
Size, Epochs, Normalisation = (_RECIPE[name] for name in ("size", "epochs", "normalisation"))
BatchSize, Seed, Precision = (_RECIPE[name] for name in ("batch_size", "seed", "precision"))
TASK_HELP = "classify: an encoder tells the classes of pictures. reconstruct: a network fills in hidden parts of slices."
DROPPED = {
    "blank": "with nothing to see",
    "patients": "that are nearly a slice of the cohort",
    "contradictory": "there under two classes",
    "exact": "exact copies",
    "near": "near duplicates",
}


def pretrain(
    data: list[Path] = typer.Option(
        [], metavar="FOLDER", help="To classify: a folder per class, perhaps in Training/ and Testing/; or its zip."
    ),
    name: str = typer.Option(..., help="What to call the weights; mri4 for Kaggle's masoudnickparvar/brain-tumor-mri-dataset."),
    task: Annotated[Literal["classify", "reconstruct"], typer.Option(help=TASK_HELP)] = "classify",
    backbone: str = typer.Option("resnet18", help="To classify: resnet18, resnet34 or resnet50."),
    cohort: str = typer.Option("lgg", help="To reconstruct: whose slices."),
    split: str = typer.Option("source-004", help="To reconstruct: whose training part is seen."),
    model: str = typer.Option("resunet", help="To reconstruct: the segmentation network."),
    model_argument: list[str] = typer.Option([], metavar="NAME=VALUE", help="To reconstruct: as of train segmentation."),
    size: Size = 128,  # type: ignore[valid-type]
    epochs: Epochs = 9,  # type: ignore[valid-type]
    normalisation: Normalisation = "volume",  # type: ignore[valid-type]
    batch_size: BatchSize = 16,  # type: ignore[valid-type]
    seed: Seed = 0,  # type: ignore[valid-type]
    precision: Precision = "auto",  # type: ignore[valid-type]
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave out pictures that cannot be read, and list them at the end."),
) -> None:
    """Train a network on images before it learns from masks; the same command again resumes.

    To classify: an encoder on a public picture set, less its copies and slices of the LGG data. Give --data again for a second
    folder. About twenty minutes for resnet18 at 128 on two cores, an hour for resnet50. To reconstruct: a whole segmentation
    network on the training patients' own slices, parts of which are hidden.
    """

    load_keras()
    shared = {"size": size, "epochs": epochs, "normalisation": normalisation, "precision": precision, "seed": seed}
    if task == "reconstruct":
        network = {"cohort": cohort, "split": split, "model": model, "model_arguments": model_argument}
        _reconstruct(recipe_options.make(SegmentationRecipe, {**network, "batch_size": batch_size, **shared}), name)
        return
    if not data:
        raise DataError("to classify it needs --data, a folder per class; or --task reconstruct")
    from brain_tumor.training import pretrain as pretraining

    slices = recipe_options.batch_size(batch_size)
    recipe = pretraining.Pretraining(name, backbone, batch_size=slices, **shared)
    with resumable.stoppable():
        material = pretraining.gather(recipe, data, skip_bad)
        for line in (*material.folders.notes, *_told(material.to_json())):
            typer.echo(line)
        run = pretraining.pretrain(recipe, material, on_start=_describe)
    facts = run.description
    typer.echo(f"finished in {facts['training_seconds'] / 60:.1f} minutes: {run.path}")
    typer.echo(_held_out(facts["held_out"]))
    typer.echo(f"weights: {recipe.weights_file}")
    for line in material.pictures.unreadable:
        typer.echo(f"left out: {line}")
    typer.echo(f"next: {_next(recipe)}")


def _reconstruct(recipe: Any, name: str) -> None:
    from brain_tumor.data.opening import open_cohort
    from brain_tumor.experiments import reconstruct

    with resumable.stoppable():
        path, seconds = reconstruct.pretrain(recipe, open_cohort(recipe.cohort), name, on_start=_describe)
    typer.echo(f"finished in {seconds / 60:.1f} minutes")
    typer.echo(f"weights: {path}")
    options = f"--split {recipe.split} --model {recipe.model} --size {recipe.size} --normalisation {recipe.normalisation}"
    typer.echo(f"next: brain-tumor train segmentation --weights {path.name} {options}")


def _told(facts: dict) -> list[str]:
    """What was read, compared, dropped and left, a line each."""
    dropped = {kind: sum(by_part.values()) for kind, by_part in facts["dropped"].items()}
    parts = [
        f"{part} {sum(counts.values()):,} ({', '.join(f'{name} {n:,}' for name, n in counts.items())})"
        for part, counts in facts["left"].items()
    ]
    compared = facts["compared_with"]
    if compared is None:
        against = "the LGG data is not here: the pictures were compared with no patient"
    elif compared["phantom"]:
        against = f"compared with {compared['slices']:,} slices of a PHANTOM, not of patients"
    else:
        against = f"compared with {compared['slices']:,} slices of {compared['cohort']}"
    bad = f" ({facts['unreadable']:,} more cannot be read)" if facts["unreadable"] else ""
    return [
        f"read {facts['read']:,} pictures{bad} of {len(facts['classes'])} classes; {against}",
        f"dropped {', '.join(f'{n:,} {DROPPED[kind]}' for kind, n in dropped.items() if n) or 'none'}",
        f"left {', '.join(parts)}",
    ]


def _describe(run: Any) -> None:
    facts = run.description
    typer.echo(f"run {run.path.name}")
    typer.echo(f"{facts['parameters']:,} weights, {resumable.computed_with(facts)}")


def _held_out(scores: dict | None) -> str:
    if scores is None:
        return "no held-out figure: the set has no Testing part"
    recall = ", ".join(f"{name} {'none' if share is None else f'{share:.3f}'}" for name, share in scores["recall"].items())
    return (
        f"held out: accuracy {scores['accuracy']:.3f} of {scores['pictures']:,} pictures (always {scores['always']}: "
        f"{scores['floor']:.3f}); recall {recall}\n{scores['meaning']}"
    )


def _next(recipe: Any) -> str:
    from brain_tumor.models.weights import SOURCES
    from brain_tumor.paths import readable

    source = recipe.name if recipe.name in SOURCES else readable(recipe.weights_file)
    options = f"--model {recipe.backbone} --size {recipe.size} --normalisation {recipe.normalisation}"
    return f"brain-tumor train classification --weights {source} {options}"
