"""``brain-tumor data``: bring data in, check it, profile it, hand it out as PNG."""

from pathlib import Path
from typing import Any, Literal

import typer

app = typer.Typer(help="Get, check, profile and export datasets.", no_args_is_help=True)

COHORT = typer.Option("lgg", help="The cohort of this home.")
FOLDER = typer.Option(None, help="A folder or zip in the kaggle_3m layout, instead of a cohort of this home.")
NAMED = 20  # findings printed of each kind; the rest is counted


@app.command()
def get(
    dataset: Literal["lgg", "phantom"] = typer.Argument(help="lgg is copied from a folder of yours; phantom is drawn here."),
    source: Path = typer.Option(None, "--from", metavar="FOLDER", help="lgg: kaggle_3m, any folder above it, or Kaggle's zip."),
    link: bool = typer.Option(False, "--link", help="lgg: link to the folder instead of copying it."),
    patients: int = typer.Option(24, min=1, max=999, help="phantom: how many patients to draw."),
    seed: int = typer.Option(0, min=0, help="phantom: decides everything that is drawn."),
) -> None:
    """Bring a dataset into this home; a stopped copy goes on where it was."""
    from brain_tumor.data import fetch, opening
    from brain_tumor.data.archive import is_archive
    from brain_tumor.data.phantom import open_phantom
    from brain_tumor.errors import DataError

    if dataset == "phantom":
        cohort = open_phantom(patients, seed=seed)
        typer.echo(f"{cohort.root}: PHANTOM data, {len(cohort)} patients, {cohort.n_slices:,} slices")
        return
    if source is None:
        raise DataError("data get lgg: --from FOLDER is missing: the folder, or the zip, that holds kaggle_3m")
    if link and is_archive(source):
        raise DataError(f"{source}: a zip cannot be linked to; leave out --link, or unpack it yourself and name the folder")
    already = fetch.in_place(_open("lgg", source))
    target = fetch.get_lgg(source, link)
    cohort = opening.open_lgg()
    typer.echo(f"{target}: {len(cohort)} patients, {cohort.n_slices:,} slices{', there already' if already else ''}")
    typer.echo("next: brain-tumor data check")


@app.command()
def check(
    folder: Path = typer.Option(
        None, "--folder", "--cohort-folder", help="Check this folder or zip instead of the LGG data of this home."
    ),
) -> None:
    """Compare the LGG data with its manifest, pixel for pixel; exit code 1 where anything that is present differs."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from brain_tumor.data import manifest
    from brain_tumor.errors import DataError

    cohort = _open("lgg", folder)
    if cohort.phantom:
        raise DataError(f"{cohort.root}: a phantom cohort, which no manifest lists")
    report = manifest.check_manifest(cohort)
    findings = {
        "patients missing": report.missing_patients,
        "slices missing": report.missing_slices,
        "pictures changed": report.changed,
        "slices extra": report.extra,
    }
    grid = Table("finding", "number", "which", title=escape(f"{cohort.root} against the manifest"))
    grid.add_row(
        "slices as listed", f"{report.agreeing:,} of {report.slices:,}", f"{len(cohort)} patients present of {report.patients}"
    )
    for name, entries in findings.items():
        more = f"\nand {len(entries) - NAMED} more" if len(entries) > NAMED else ""
        grid.add_row(name, str(len(entries)), escape("\n".join(entries[:NAMED])) + more)
    grid.add_row("copies of the tree", str(report.copies), "each slice was read once" if report.copies > 1 else "")
    Console().print(grid)
    typer.echo(_verdict(report))
    raise typer.Exit(0 if report.sound else 1)


@app.command()
def profile(
    cohort: Literal["lgg", "phantom"] = COHORT,
    folder: Path = FOLDER,
    json: Path = typer.Option(None, "--json", metavar="FILE", help="Also write the facts to this file."),
) -> None:
    """Print the facts of a cohort: counts, sites, missing sequences, tumour areas, clinical blanks."""
    from brain_tumor import files
    from brain_tumor.cli import outputs
    from brain_tumor.data.cache import open_store
    from brain_tumor.data.profile import profile as facts_of
    from brain_tumor.errors import DataError

    outputs.check(outputs.Output("--json", json))
    facts = facts_of(open_store(_open(cohort, folder)))
    if json:
        try:
            files.write_json(json, facts)
        except OSError as error:
            raise DataError(f"{json}: cannot be written ({error.strerror or error})") from None
    print_facts(facts)


def print_facts(facts: dict) -> None:
    """A profile as a table on the terminal."""
    from rich.console import Console
    from rich.table import Table

    from brain_tumor.data.profile import table

    grid = Table("fact", "value", title=f"{'PHANTOM data, not patients: ' if facts['phantom'] else ''}cohort {facts['cohort']}")
    for row in table(facts):
        grid.add_row(*row)
    Console().print(grid)


@app.command()
def export(
    png: Path = typer.Option(..., "--png", metavar="FOLDER", help="Where the pictures go, a folder a patient."),
    masks: bool = typer.Option(True, help="Write the masks too, 0 and 255."),
    cohort: Literal["lgg", "phantom"] = COHORT,
    folder: Path = FOLDER,
) -> None:
    """Write every slice as PNG; a stopped export goes on where it was."""
    from brain_tumor.cli import outputs
    from brain_tumor.data.fetch import export_png

    outputs.check(outputs.Output("--png", png, ()))
    source = _open(cohort, folder)
    export_png(source, png, masks)
    typer.echo(f"{png}: {len(source)} patients, {source.n_slices:,} slices{', each with its mask' if masks else ''}")


def _open(cohort: str, folder: Path | None) -> Any:
    from brain_tumor.data.opening import open_cohort, open_folder

    source = open_folder(folder) if folder else open_cohort(cohort)
    for note in source.notes:
        typer.echo(note)
    return source


def _verdict(report: Any) -> str:
    if report.sound and not report.missing_patients:
        return "whole: every slice is as listed"
    if report.sound:
        missing = f"{len(report.missing_patients)} of {report.patients} patients missing"
        return f"{missing}, and nothing else: every slice present is as listed"
    return "not as listed: slices missing, changed, extra or doubled"
