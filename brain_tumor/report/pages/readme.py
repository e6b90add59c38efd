"""The results block of the README, made from the sidecars of published reports and from nothing else (DESIGN law 11)."""

from pathlib import Path

from brain_tumor import files
from brain_tumor.errors import DataError
from brain_tumor.paths import CHECKOUT
from brain_tumor.report.pages import page

BEGIN, END = "<!-- results -->", "<!-- /results -->"
README = CHECKOUT and CHECKOUT / "README.md"  # `brain-tumor reports` needs a checkout, and says so before it comes here


def results_block() -> str:
    """A Markdown table: every headline score with value, interval, floor, protocol, and the report that has its run.

    Only what has a floor is a score, and only what has an interval a difference of two; counts of the data stay in their report,
    and single runs in theirs: a result is what a notebook makes of several.
    """
    rows = [
        f"| {number['name']} | {number['shown']} | {number['interval']} | {number['floor_shown']} "
        f"| {'; '.join(filter(None, (number['protocol'], content['protocol'])))}; {content['patients']} patients "
        f"| [{Path(content['page']).stem}](reports/{content['page']}) |"
        for content in page.all_reports()
        for number in page.headlines(content)
        if (number["floor"] is not None or number["low"] is not None) and not content["page"].startswith("runs/")
    ]
    head = ["", "| number | value | 95 % interval | floor | how measured | report |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *rows, "", ""]) if rows else ""


def rewrite(text: str) -> str:
    """``text`` with its results block made anew.

    Raises:
        DataError: it has no such block.
    """
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not (begin and end):
        raise DataError(f"{README}: no results block, expected {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{results_block()}{END}{after}"


def write() -> Path:
    """Bring the README's results block up to date."""
    assert README is not None
    files.write_text(README, rewrite(README.read_text(encoding="utf-8")))
    return README
