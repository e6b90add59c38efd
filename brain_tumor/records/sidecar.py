"""The sidecar: the numbers of one report, each with its protocol, interval, floor and run, declared by the notebook itself.

A notebook makes one :class:`Sidecar`, adds its numbers, and shows it as its last output. The table is for the reader; the same
content travels as JSON in that output, from where publishing collects it (DESIGN law 11).
"""

import html
import math
import platform
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from brain_tumor import __version__
from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import RunError
from brain_tumor.evaluation import wording

MIME = "application/vnd.brain-tumor.sidecar+json"
PACKAGES = ("numpy", "pandas", "opencv-python-headless", "matplotlib")


@dataclass(frozen=True)
class Number:
    """One number of a report.

    Attributes:
        name: what it is, as a reader says it.
        value: the number; None where it is undefined.
        low, high: its 95 % interval over patients; None where it has none, as a count has.
        floor: what a predictor that reads no image scores on the same; None where that means nothing.
        unit: of all four; empty for a share or score between 0 and 1.
        protocol: how it was measured.
        headline: True for the few that an index quotes.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    floor: float | None
    unit: str
    protocol: str
    headline: bool


class Sidecar:
    """The numbers of one report.

    Args:
        cohort: what they were measured on.
        protocol: split, resolution and channels: what all numbers share.
        runs: names of the runs that gave them, or run folders.
    """

    def __init__(self, cohort: Cohort, protocol: str = "", runs: Iterable = ()):
        self.cohort, self.protocol = cohort, protocol
        self.runs = [str(getattr(run, "path", Path(str(run))).name) for run in runs]
        self.numbers: list[Number] = []
        self.answer = ""

    def add(
        self, name: str, value: float, low: float | None = None, high: float | None = None, floor: float | None = None,
        unit: str = "", protocol: str = "", headline: bool = False,
    ) -> None:  # fmt: skip
        """Declare a number; ``protocol`` is what it adds to the sidecar's own."""
        low, high, floor = (None if bound is None or math.isnan(bound) else float(bound) for bound in (low, high, floor))
        defined = None if math.isnan(value) else float(value)
        self.numbers.append(Number(name, defined, low, high, floor, unit, protocol, headline))

    def to_json(self) -> dict:
        """What publishing writes, but for what only it knows: title, commit, date, minutes."""
        return {
            "answer": self.answer,
            "cohort": self.cohort.name,
            "data_hash": open_store(self.cohort).data_hash,
            "environment": _environment(),
            "numbers": [asdict(number) for number in self.numbers],
            "patients": len(self.cohort),
            "phantom": self.cohort.phantom,
            "protocol": self.protocol,
            "runs": self.runs,
            "slices": self.cohort.n_slices,
        }

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict:
        content = self.to_json()
        return {MIME: content, "text/html": table_html(content), "text/plain": f"{len(self.numbers)} numbers"}


def table_html(content: dict) -> str:
    """The numbers as a table for people: number, value, interval, floor, protocol; and the runs they come from."""
    rows = "".join(
        f"<tr><td>{html.escape(number['name'])}</td><td class='number'>{value_text(number)}</td>"
        f"<td class='number'>{interval_text(number)}</td><td class='number'>{floor_text(number)}</td>"
        f"<td>{html.escape(number['protocol'])}</td></tr>"
        for number in content["numbers"]
    )
    runs = f"; runs: {', '.join(map(html.escape, content['runs']))}" if content["runs"] else ""
    phantom = "PHANTOM data, not patients; " if content["phantom"] else ""
    about = f"{phantom}cohort {content['cohort']}, {content['patients']} patients, {content['slices']:,} slices"
    shared = f"; {html.escape(content['protocol'])}" if content["protocol"] else ""
    return (
        "<table class='sidecar'><thead><tr><th>number</th><th>value</th><th>95 % interval</th><th>floor</th><th>how measured</th>"
        f"</tr></thead><tbody>{rows}</tbody></table><p class='about'>{about}{shared}{runs}</p>"
    )


def value_text(number: dict) -> str:
    """Scores to three decimals; what has a unit whole, or to one; or that it is undefined."""
    return wording.UNDEFINED if number["value"] is None else _text(number["value"], number["unit"])


def interval_text(number: dict) -> str:
    """``0.801 to 0.902``, or a dash."""
    if number["low"] is None or number["high"] is None:
        return "–"
    return f"{_text(number['low'], '')} to {_text(number['high'], '')}"


def floor_text(number: dict) -> str:
    """The floor, or a dash."""
    return "–" if number["floor"] is None else _text(number["floor"], "")


def collect(notebook: Any) -> dict:
    """The sidecar's content out of an executed notebook.

    Raises:
        RunError: the notebook shows none, or several.
    """
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    sidecars = [output.data[MIME] for output in outputs if MIME in output.get("data", {})]
    if len(sidecars) != 1:
        raise RunError(f"notebook: {len(sidecars)} sidecars shown, expected one (brain_tumor.records.sidecar.Sidecar)")
    return sidecars[0]


def _text(value: float, unit: str) -> str:
    decimals = 3 if not unit else 0 if float(value).is_integer() else 1
    number = f"{value:,.{decimals}f}"
    return f"{number} {html.escape(unit)}".strip()


def _environment() -> dict:
    """Versions and backend; Keras is asked only where the notebook used it."""
    if "keras" in sys.modules:
        from brain_tumor.training.runs import environment

        return environment()
    packages = {package: metadata.version(package) for package in PACKAGES}
    return {"backend": "none", "brain_tumor": __version__, "packages": packages, "python": platform.python_version()}
