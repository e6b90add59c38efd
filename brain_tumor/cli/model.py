"""``brain-tumor model``: a trained model in one file, packed and taken; and its weights for another network to begin with."""

from pathlib import Path

import typer

from brain_tumor.models.backend import load_keras

app = typer.Typer(no_args_is_help=True, help="Pack a trained model into one file, take one that was packed, hand its weights on.")


@app.command()
def pack(
    run: str = typer.Argument(help="A finished run's name, the beginning of it, or its folder."),
    file: Path = typer.Argument(metavar="FILE.zip", help="What is written."),
) -> None:
    """Write a model with everything that is needed to apply it, and its card, as one file."""
    from brain_tumor.cli import outputs

    outputs.check(outputs.Output("FILE.zip", file, (".zip",)))
    load_keras()
    from brain_tumor.experiments import appraisal
    from brain_tumor.records import package

    folder = package.find(run)
    if appraisal.load(folder, whole=True).familiarity is None:
        typer.echo("its training data are not here, so it will judge pictures of any kind")
    digest = package.pack(folder, file)
    typer.echo(f"{file}: {file.stat().st_size / 1e6:.1f} MB\nsha256: {digest}")
    typer.echo(f"next: brain-tumor model get {file} --sha256 {digest}")


@app.command()
def get(
    source: str = typer.Argument(metavar="FILE|URL", help="A packed model."),
    sha256: str = typer.Option("", help="The SHA-256 that its publisher states; needed of an address."),
) -> None:
    """Take a packed model into this home, once its hash and every file in it were checked."""
    load_keras()
    from brain_tumor.records import card as cards, package

    folder = package.get(source, sha256)
    card = cards.of(folder)
    typer.echo(f"{card['name']}: {card['network']}; {card['data']}")
    for score in card["scores"]:
        typer.echo(
            f"{score['name']}: {score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f}), floor {score['floor']:.3f}"
        )
    typer.echo(f"{card['intended']}\nnext: brain-tumor serve --model {card['name']}")


@app.command()
def weights(
    run: str = typer.Argument(help="A finished run that outlines tumours: its name, the beginning of it, or its folder."),
    name: str = typer.Argument(help="What to call the file: letters, digits, - and _."),
) -> None:
    """Keep a network's weights for another to begin with: --weights NAME.npz, of the same network or of the one of volumes."""
    load_keras()
    from brain_tumor.experiments import hand_on
    from brain_tumor.paths import readable
    from brain_tumor.training.runs import find_run

    path, patients = hand_on.keep(find_run(run), name)
    typer.echo(f"{readable(path)}: learnt from {patients} patients, so no network that is tested on one of them takes it")
    typer.echo(f"next: brain-tumor train volumes --weights {path.name}")
