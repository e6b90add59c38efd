"""``brain-tumor audit``: does a split leak? Ours or anybody's."""

from typing import Any

import typer

SHOWN = 3  # examples of each finding


def audit(
    what: str = typer.Argument(
        metavar="SPLIT_OR_FOLDER",
        help="A split's name or JSON, a CSV (file, part), nnU-Net's splits_final.json, or a folder or zip with Training/ etc.",
    ),
    cohort: str = typer.Option(
        "lgg", help="Whose split it is, and where slices are looked up by name: lgg, phantom, or your own."
    ),
    json: bool = typer.Option(False, "--json", help="Print the findings as JSON and nothing else."),
    threshold: int = typer.Option(10, min=0, max=16, help="Of 64 hash bits, how many two near duplicates may differ in."),
    pattern: str = typer.Option(
        None,
        help="For names that are not TCGA's: a regular expression with (?P<patient>...) and perhaps (?P<slice>...). It is looked "
        "for in the path below a part, so that the patient may stand in a folder's name.",
    ),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Judge pictures that cannot be read by name alone, and list them."),
) -> None:
    """Look for leaks between the parts of a split; exit code 1 where there is one.

    Patients on both sides, identical pixels, near duplicates, adjacent slices, the doubled Kaggle tree.
    """
    from brain_tumor.leakage import manifests as parts
    from brain_tumor.leakage.audit import audit as look

    manifest = parts.read(what, cohort, pattern)
    audits = look(manifest, threshold, skip_bad)
    leaks = any(report.leaks for report in audits)
    if json:
        from json import dumps

        typer.echo(
            dumps(
                {"audited": what, "leaks": leaks, "notes": manifest.notes, "audits": [report.to_json() for report in audits]},
                indent=2,
            )
        )
    else:
        for note in manifest.notes:
            typer.echo(note)
        for report in audits:
            _print(report)
    raise typer.Exit(int(leaks))


def _print(report: Any) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from brain_tumor.data.fingerprints import ALIKE
    from brain_tumor.leakage.audit import KINDS

    name = f"{report.name}{' (PHANTOM, not patients)' if report.phantom else ''}"
    table = Table("finding", "in", "number", "pictures concerned", "such as", title=escape(f"audit of {name}"))
    for finding in report.findings:
        one, other = finding.parts
        number = f"{finding.count:,}" if finding.kind == "patients" else f"{finding.count:,} pairs"
        if finding.kind == "near" and finding.of_one_patient:
            number += f"\n{finding.of_one_patient:,} of one patient"
        shares = [
            f"{n:,} of {report.pictures[side]:,} in {side}" for side, n in zip(finding.parts, finding.pictures, strict=True)
        ]
        between = " | " if finding.kind == "adjacent" else " = "
        table.add_row(
            KINDS[finding.kind],
            escape(f"{one} and {other}" if finding.leak else f"{one} alone: no leak"),
            number,
            escape("\n".join(dict.fromkeys(shares))),
            escape("\n".join(between.join(names) for names in finding.examples[:SHOWN])),
        )
    console = Console()
    if report.findings:
        console.print(table, highlight=False)
    known = {part: f"known patients: {n}" if n else "patients unknown" for part, n in report.patients.items()}
    sizes = ", ".join(f"{part} {n:,} pictures ({known[part]})" for part, n in report.pictures.items())
    notes = [
        f"{name}: {sizes}.",
        f"Near: at most {report.threshold} of 64 hash bits differ and the thumbnails correlate by {ALIKE}; "
        f"{report.blank:,} blank pictures left out.",
    ]
    if report.copies > 1:
        notes.append(f"The cohort's source holds its tree {report.copies} times; each slice was read once.")
    notes += [f"unreadable: {line}" for line in report.unreadable]
    typer.echo("\n".join([*notes, *report.notes, report.verdict]))
