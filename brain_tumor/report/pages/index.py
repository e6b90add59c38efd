"""The index of published reports: every report's answer and headline numbers, and the numbers that retraining changed."""

from pathlib import Path

from brain_tumor import files
from brain_tumor.paths import reports_folder
from brain_tumor.records import comparison, sidecar
from brain_tumor.report.pages import page


def all_reports() -> list[dict]:
    """The sidecars of all published reports, notebooks first, each with ``page`` and ``sidecar``, its links from ``reports/``."""
    root = reports_folder()
    reports = []
    for path in [*sorted(root.glob("*.json")), *sorted((root / "runs").glob("*.json"))]:
        html = path.with_suffix(".html")
        content = files.read_json(path)
        if html.is_file() and not content["phantom"]:
            links = {"page": html.relative_to(root).as_posix(), "sidecar": path.relative_to(root).as_posix()}
            reports.append(content | links)
    return reports


def headlines(content: dict) -> list[dict]:
    """The numbers that an index quotes, with their texts."""
    return [
        number
        | {
            "shown": sidecar.value_text(number),
            "interval": sidecar.interval_text(number),
            "floor_shown": sidecar.floor_text(number),
        }
        for number in content["numbers"]
        if number["headline"]
    ]


def write() -> Path:
    """``reports/index.html``: every published report with its headline numbers."""
    reports = [content | {"headlines": headlines(content)} for content in all_reports()]
    groups = {
        "Notebooks": [report for report in reports if "/" not in report["page"]],
        "Runs": [report for report in reports if "/" in report["page"]],
    }
    changes = [row._asdict() for row in comparison.retrained().itertuples()]
    text = page.render("index.html", title="Reports of brain-tumor", phantom=False, groups=groups, changes=changes)
    return page.save(text, reports_folder() / "index.html")
