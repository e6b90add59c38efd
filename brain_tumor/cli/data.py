"""``brain-tumor data``: bring data in, your own too, check it, profile it, hand it out as PNG."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

app = typer.Typer(help="Get, add, check, profile and export datasets.", no_args_is_help=True)

NAME = typer.Argument(None, metavar="[NAME]", help="The cohort of this home: lgg (without a name), phantom, or your own.")
COHORT = typer.Option(None, help="The same as NAME.")
FOLDER = typer.Option(None, help="A folder or zip in the kaggle_3m layout, instead of a cohort of this home.")
Fit = Literal["pad", "resample"]
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
def add(
    name: str = typer.Argument(help="What to call it: small letters and digits."),
    table: Path = typer.Option(
        None, help="A CSV: image, mask, patient (or image, label, patient), and perhaps slice, case, site, spacing."
    ),
    images: Path = typer.Option(None, metavar="DIR", help="Instead of a table: a folder of images, and"),
    masks: Path = typer.Option(
        None, metavar="DIR", help="the folder of their masks, of the same names, perhaps with _mask behind."
    ),
    brats: Path = typer.Option(None, metavar="DIR", help="Or a folder of BraTS or Decathlon exams: NIfTI of four sequences."),
    labels: str = typer.Option("", help="With --brats, where files cannot tell: labels of 2013, 2017, 2023, 2024 or decathlon."),
    fill_missing: bool = typer.Option(False, "--fill-missing", help="With --brats: FLAIR stands in for a missing sequence."),
    resample_to: str = typer.Option("", metavar="SEQUENCE", help="With --brats: bring sequences onto the grid of this one."),
    pattern: str = typer.Option(
        None, help="With --images: (?P<patient>...) and perhaps (?P<slice>...), (?P<case>...), (?P<site>...) in an image's path."
    ),
    label: Annotated[list[int] | None, typer.Option(help="A value of masks that is tumour; may be given again.")] = None,
    positive: str = typer.Option(None, metavar="NAME[,NAME]", help="Labels of images that mean tumour."),
    sequences: str = typer.Option(None, metavar="NAME[,NAME]", help="What the channels are, in order, such as pre,flair,post."),
    fit: Annotated[Fit | None, typer.Option(help="Of unlike sizes: pad to the largest, or resample to --size.")] = None,
    size: int = typer.Option(None, help="With --fit resample: height and width in pixels."),
    never_test: Annotated[
        list[str] | None,
        typer.Option(metavar="SITE", help="A site too small to hold out: its patients only train; may repeat."),
    ] = None,
    each_image_a_patient: bool = typer.Option(
        False, "--each-image-a-patient", help="Nobody says whose an image is: you say that each is of another person."
    ),
) -> None:
    """Make a cohort of your own images and masks, or labels, or of BraTS exams. They are read where they lie, and not copied."""
    from brain_tumor.data import register
    from brain_tumor.data.opening import open_cohort
    from brain_tumor.data.readers import pair_folders, pair_tables
    from brain_tumor.data.survey import survey
    from brain_tumor.errors import DataError

    register.check_name(name)
    if brats:
        if table or images or masks or pattern or label or positive or sequences or fit or size or each_image_a_patient:
            raise DataError(f"data add {name}: --brats goes with --labels, --fill-missing and --resample-to alone")
        _add_exams(name, brats, labels, fill_missing, resample_to)
        return
    if labels or fill_missing or resample_to:
        raise DataError(f"data add {name}: --labels, --fill-missing and --resample-to go with --brats DIR")
    if (table is None) == (images is None or masks is None) or (table and (images or masks or pattern)):
        raise DataError(
            f"data add {name}: expected --table FILE, or --images DIR --masks DIR with --pattern REGEX, or --brats DIR"
        )
    pairs = pair_tables.read_table(table) if table else pair_folders.read_folders(images, masks, pattern)
    if each_image_a_patient:
        pairs = pair_tables.alone(pairs)
    named = [names.split(",") if names else [] for names in (sequences, positive)]
    surveyed = survey(pairs, label or (), named[0], fit or "", size, named[1])
    folder = register.register(name, pairs, surveyed, each_image_a_patient, never_test or ())
    cohort = open_cohort(name)
    for note in surveyed.notes:
        typer.echo(note)
    typer.echo(f"{folder}: {_extent(cohort)}, of {', '.join(cohort.sequences)}")
    typer.echo(f"next: brain-tumor data profile {name}")


def _add_exams(name: str, folder: Path, labels: str, fill_missing: bool, resample_to: str) -> None:
    """Make a cohort of a folder of BraTS exams, all of which can be read; else say of each why not, and write nothing."""
    from brain_tumor.data import brats, register
    from brain_tumor.data.opening import open_cohort
    from brain_tumor.data.readers.brats import Choices
    from brain_tumor.errors import DataError

    surveyed = brats.survey(folder, Choices(labels, fill_missing, resample_to))
    if surveyed.refusals:
        for line in brats.first_lines(surveyed.refusals):
            typer.echo(line, err=True)
        raise DataError(f"{folder}: {len(surveyed.refusals)} exams cannot be read; mend them, or move them elsewhere")
    register.register_exams(name, surveyed)
    cohort = open_cohort(name)
    for note in surveyed.notes:
        typer.echo(note)
    typer.echo(f"{cohort.root}: {_extent(cohort)}, of {', '.join(cohort.sequences)}, regions {', '.join(cohort.regions)}")
    typer.echo(f"next: brain-tumor data profile {name}")


@app.command("list")
def list_cohorts() -> None:
    """List the cohorts of this home."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from brain_tumor.data import opening, register
    from brain_tumor.errors import DataError

    grid = Table("cohort", "what is in it", "from", title="cohorts of this home")
    present = opening.lgg_folder().is_dir()
    for name in (*(["lgg"] if present else []), *register.names()):
        try:
            cohort = opening.open_lgg() if name == "lgg" else register.open_registered(name)
            source = cohort.root if name == "lgg" else register.source_of(name)
            grid.add_row(name, _extent(cohort), escape(str(source)))
        except DataError as error:  # one that cannot be opened hides no other
            grid.add_row(name, "cannot be opened", escape(str(error)))
    if not present:
        grid.add_row("lgg", "not here", "brain-tumor data get lgg --from FOLDER")
    grid.add_row("phantom", "synthetic patients", "drawn when it is first opened")
    Console().print(grid, highlight=False)


@app.command()
def remove(name: str = typer.Argument(help="A cohort of your own.")) -> None:
    """Forget a cohort of your own: its description and caches. Images, masks and runs stay."""
    from brain_tumor.data import register

    register.remove(name)
    typer.echo(f"{name}: forgotten, with its caches; images, masks and runs are where they were")


@app.command()
def check(
    name: str = NAME,
    folder: Path = typer.Option(
        None, "--folder", "--cohort-folder", help="Check this folder or zip instead of the LGG data of this home."
    ),
) -> None:
    """Compare a cohort with its manifest, pixel for pixel; exit code 1 where anything that is present differs.

    The manifest of the LGG data is what was published; that of a cohort of your own is what was there when it was added.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from brain_tumor.data import manifest, register
    from brain_tumor.errors import DataError

    cohort = _open(name or "lgg", folder)
    own = cohort.name in register.names()
    if cohort.phantom:
        raise DataError(f"{cohort.root}: a phantom cohort, which no manifest lists")
    report = manifest.check_manifest(cohort, register.manifest_of(cohort) if own else None)
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
    name: str = NAME,
    cohort: str = COHORT,
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
    facts = facts_of(open_store(_open(_one(name, cohort), folder)))
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
    from brain_tumor.evaluation import wording

    grid = Table("fact", "value", title=wording.titled(f"cohort {facts['cohort']}", facts["phantom"]))
    for row in table(facts):
        grid.add_row(*row)
    Console().print(grid)


@app.command()
def export(
    name: str = NAME,
    png: Path = typer.Option(..., "--png", metavar="FOLDER", help="Where the pictures go, a folder a patient."),
    masks: bool = typer.Option(True, help="Write the masks too, 0 and 255."),
    cohort: str = COHORT,
    folder: Path = FOLDER,
) -> None:
    """Write every slice as PNG; a stopped export goes on where it was."""
    from brain_tumor.cli import outputs
    from brain_tumor.data.fetch import export_png

    outputs.check(outputs.Output("--png", png, ()))
    source = _open(_one(name, cohort), folder)
    export_png(source, png, masks)
    typer.echo(f"{png}: {_extent(source)}{', each with its mask' if masks and source.outlined else ''}")


def _one(name: str | None, cohort: str | None) -> str:
    """The cohort that is meant by an argument, an option, both or neither.

    Raises:
        DataError: they name two.
    """
    from brain_tumor.errors import DataError

    if name and cohort and name != cohort:
        raise DataError(f"{name} and --cohort {cohort}: two cohorts; name one")
    return name or cohort or "lgg"


def _extent(cohort: Any) -> str:
    """How much there is, in words."""
    patients = {case.patient for case in cohort}
    whose = f"{len(patients)} patients" if all(patients) else f"{len(cohort)} cases of patients unknown"
    exams = f", {len(cohort)} cases" if all(patients) and len(cohort) > len(patients) else ""
    return f"{whose}{exams}, {cohort.n_slices:,} slices"


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
