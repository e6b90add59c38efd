"""The results block of the README, made from the sidecars of published reports and from nothing else (DESIGN law 11)."""

import re
import textwrap
from pathlib import Path

from brain_tumor import files
from brain_tumor.errors import DataError
from brain_tumor.paths import CHECKOUT
from brain_tumor.report.pages import index

MOST_ROWS = 8
WIDEST = 60  # characters in a cell
NAME_OF_A_CLAIM = re.compile(r"^\d{3}\.\d+(-\d+)?: ")  # such as 002.14: the report says what it is
BEGIN, END = "<!-- results -->", "<!-- /results -->"
README = CHECKOUT and CHECKOUT / "README.md"  # `brain-tumor reports` needs a checkout, and says so before it comes here


def results_block() -> str:
    """A Markdown table of at most :data:`MOST_ROWS` numbers, each with interval, floor, protocol in few words, and its report."""
    rows = [
        [
            _cut(NAME_OF_A_CLAIM.sub("", number["name"])),
            number["shown"],
            number["interval"],
            number["floor_shown"],
            _few_words(f"{content['protocol']}; {number['protocol']}"),
            f"[{Path(content['page']).stem.split('_')[0]}](reports/{content['page']})",
        ]
        for content, number in _quoted(index.all_reports())
    ]
    head = ["", "| what | score | 95 % interval | floor | protocol | report |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows), "", ""]) if rows else ""


def _quoted(reports: list[dict]) -> list[tuple[dict, dict]]:
    """The numbers that the README shows, each with its report: headline numbers that the report's opening answer quotes.

    Only what has a floor is a score, and only what has an interval is a difference of two; a count of the data stays in its
    report. A single run stays on its own page: a result is what a notebook makes of several. Each report gives its first number
    before any gives its second, the newest reports first, until :data:`MOST_ROWS` are there.
    """
    choices = []
    for content in sorted(
        (each for each in reports if "/" not in each["page"]), key=lambda each: (each["date"], each["page"]), reverse=True
    ):
        measured = [
            each
            for each in index.headlines(content)
            if each["value"] is not None and (each["floor"] is not None or each["low"] is not None)
        ]
        places = [(place, each) for each in measured if (place := _place(each, content["answer"])) is not None]
        ranked = [each for _, each in sorted(places, key=lambda pair: pair[0])]
        choices += [(rank, content, number) for rank, number in enumerate(ranked)]
    taken = sorted(choices, key=lambda choice: choice[0])[:MOST_ROWS]
    return [(content, number) for _, content, number in sorted(taken, key=lambda choice: (choice[1]["page"], choice[0]))]


def _place(number: dict, answer: str) -> int | None:
    """Where an answer quotes a number; None where it does not."""
    match = re.search(rf"(?<![\d.]){re.escape(number['shown'].lstrip('-'))}(?!\d)", answer)
    return match.start() if match else None


def _few_words(protocol: str) -> str:
    """As many of a protocol's parts as a cell holds."""
    first, *parts = [part.strip() for part in re.split("[,;]", protocol) if part.strip()] or ["–"]
    words = _cut(first)
    for part in parts:
        if len(words) + len(part) + 2 > WIDEST:
            break
        words += f", {part}"
    return words


def _cut(text: str) -> str:
    """A text that fits a cell: cut between words where it is longer."""
    return textwrap.shorten(text.replace("|", "/"), WIDEST, placeholder="…")


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
