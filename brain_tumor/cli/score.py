"""``brain-tumor score``: anybody's predictions judged as our own runs are. It needs no Keras."""

import math
from pathlib import Path
from typing import Any

import typer

COMMON = 2  # sets of predictions that are compared
TABLES, ZIP = (".csv", ".tsv", ".txt"), ".zip"


def score(
    truth: Path = typer.Option(
        ..., metavar="FOLDER", help="The masks: PNG, TIFF or NIfTI, a file a slice or a volume; or a CSV of labels."
    ),
    predictions: list[Path] = typer.Option(
        ...,
        metavar="FOLDER",
        help="Masks or probabilities of the same names, or a CSV (case, slice, probability or label); once or twice.",
    ),
    cohort: str = typer.Option(None, metavar="NAME", help="A cohort of this home, whose cases the files are named after."),
    table: Path = typer.Option(
        None, metavar="CSV", help="Whose each file is: file, patient, and perhaps case, slice, site, spacing."
    ),
    pattern: str = typer.Option(
        None, help="A regular expression for the path, with (?P<patient>...) and perhaps case, slice and site; TCGA's without it."
    ),
    each_file_a_patient: bool = typer.Option(False, "--each-file-a-patient", help="Every file is a patient of its own."),
    split: Path = typer.Option(
        None,
        metavar="FILE",
        help="Who was trained on: our JSON, nnU-Net's splits_final.json, or a CSV (file, part). Scores its test part.",
    ),
    fold: int = typer.Option(None, min=0, help="The fold of nnU-Net's file whose val list was predicted."),
    threshold: float = typer.Option(0.5, help="Tumour is called above this probability."),
    label: list[int] = typer.Option([], min=1, help="A label that is tumour, of label maps; may be given several times."),
    probabilities: bool = typer.Option(
        False, "--probabilities", help="Integers of predictions are probabilities: 255 = 1, of 16 bits 65535."
    ),
    paired_only: bool = typer.Option(False, "--paired-only", help="Score the pairs, and list the files that pair with none."),
    margin: float = typer.Option(None, help="Of two sets: the loss that would still be accepted, stated beforehand."),
    out: Path = typer.Option(None, metavar="FOLDER", help="Where page, JSON and tables go; NAME-score without it."),
) -> None:
    """Score masks or slice labels that any tool predicted: every Dice by name, boundary, intervals, floors, one HTML page.

    Two sets of predictions are compared, paired by patient.
    """
    from brain_tumor import files
    from brain_tumor.cli import outputs
    from brain_tumor.cli.console import print_sections
    from brain_tumor.data.archive import unpacked
    from brain_tumor.data.opening import open_cohort
    from brain_tumor.evaluation import wording
    from brain_tumor.predictions import parts
    from brain_tumor.predictions.identity import Identities
    from brain_tumor.predictions.judgement import Request
    from brain_tumor.report.pages import predictions as pages

    _check(truth, predictions, cohort, table, pattern, each_file_a_patient, split, fold, threshold, margin)
    folder = out or Path(f"{_names(predictions)[0]}-score")
    outputs.check(outputs.Output("--out", folder, ()), inputs=(truth, *predictions))
    opened = open_cohort(cohort) if cohort else None
    phantom = bool(opened and opened.phantom)
    pages.check_folder(folder, phantom)
    identities = Identities(opened, table, pattern, each_file_a_patient)
    dealt = parts.read(split, fold) if split else None
    reports = []
    for path, name in zip(predictions, _names(predictions), strict=True):
        request = Request(
            unpacked(truth), unpacked(path), identities, threshold, tuple(label), probabilities, paired_only, dealt, name
        )
        judgement = _judge(request)
        reports.append(pages.Report(judgement, folder if len(predictions) == 1 else folder / name))
    compared = pages.compare(reports[0], reports[1], margin) if len(reports) == COMMON else None
    if compared is not None:
        with files.atomic_path(folder / pages.COMPARISON) as temporary:
            compared.to_csv(temporary, index=False)
    title = wording.titled(" against ".join(report.name for report in reports), phantom)
    print_sections(title, f"split {dealt.name}" if dealt else "no split given", pages.all_sections(reports, compared, margin))
    for report in reports:
        of = "" if len(reports) == 1 else f"{report.name}: "
        typer.echo("\n".join(f"note: {of}{note}" for note in report.judgement.notes))
        for line in report.judgement.unpaired[:20]:
            typer.echo(f"not scored: {of}{line}")
    page, content = pages.write(reports, compared, margin, folder, phantom)
    typer.echo(f"page: {page}\njson: {content}\ntables: {folder}")


def _judge(request: Any) -> Any:
    """Masks where the predictions are a folder, slice labels where they are a file."""
    from brain_tumor.predictions import labels, outlines

    return labels.judge(request) if request.predictions.is_file() else outlines.judge(request)


def _check(
    truth: Path, predictions: list[Path], cohort: str | None, table: Path | None, pattern: str | None, alone: bool,
    split: Path | None, fold: int | None, threshold: float, margin: float | None,
) -> None:  # fmt: skip
    """Refuse before any work what could only end badly."""
    from brain_tumor.errors import DataError

    if len(predictions) > COMMON:
        raise DataError(f"--predictions is there {len(predictions)} times, expected once or twice")
    if len({_is_table(path) for path in predictions}) > 1:
        raise DataError(f"{predictions[0]} and {predictions[1]}: a CSV and a folder cannot be compared")
    for path in (truth, *predictions, *([table] if table else []), *([split] if split else [])):
        if not path.exists():
            raise DataError(f"{path}: no such file or folder")
        if path in (truth, *predictions) and path.is_file() and path.suffix.lower() not in (*TABLES, ZIP):
            raise DataError(f"{path}: no folder, zip or CSV; one file of masks is given by its folder")
    if _is_table(truth) and not _is_table(predictions[0]):
        raise DataError(f"{truth}: a CSV of labels, but {predictions[0]} is a folder; masks are scored against masks")
    sources = [name for name, given in (("--cohort", cohort), ("--table", table), ("--each-file-a-patient", alone)) if given]
    if len(sources) > 1 or (pattern and (cohort or alone)):
        raise DataError(f"{' and '.join(sources or ['--pattern'])} each say who the patients are; give one of them")
    if fold is not None and not split:
        raise DataError("--fold is of nnU-Net's folds: it needs --split splits_final.json")
    if not 0 <= threshold < 1:
        raise DataError(f"--threshold {threshold:g}, expected a number from 0 to below 1")
    if margin is not None and len(predictions) < COMMON:
        raise DataError("--margin is of a comparison: it needs --predictions twice")
    if margin is not None and not (math.isfinite(margin) and margin > 0):
        raise DataError(f"--margin {margin:g}, expected a number above 0")


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in TABLES and not path.is_dir()


def _names(predictions: list[Path]) -> list[str]:
    """What each set is called: its folder's or file's name, with the folder above where two have one name."""
    names = [path.resolve().stem if path.is_file() else path.resolve().name for path in predictions]
    if len(set(names)) == len(names):
        return names
    above = [f"{path.resolve().parent.name}-{name}" for path, name in zip(predictions, names, strict=True)]
    return above if len(set(above)) == len(above) else [f"{name}-{number}" for number, name in enumerate(names, 1)]
