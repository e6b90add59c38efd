"""Sections of an evaluation on the terminal."""

from typing import Any


def print_sections(title: str, protocol: str, sections: list) -> None:
    """Sections on the terminal: a table each, and under it what to know of it; definitions below, where they have room."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from brain_tumor.report.pages.sections import MEANING

    console = Console()
    console.print(f"{title}, {protocol}", style="bold", highlight=False, markup=False)
    for section in sections:
        if not section.brief:
            continue
        frame = section.table.drop(columns=MEANING, errors="ignore")
        look: dict[str, Any] = {
            "title": escape(section.title),
            "title_justify": "left",
            "box": SIMPLE_HEAD,
            "padding": (0, 1, 0, 0),
        }
        table = Table(*map(str, [frame.columns.name, *frame.columns]), **look, pad_edge=False)
        for row in frame.itertuples():
            table.add_row(*(escape(str(cell)) for cell in row))
        console.print(table, highlight=False)
        if MEANING in section.table:
            for name, means in section.table[MEANING].groupby(level=0, sort=False).first().items():
                console.print(f"{name}: {means}", highlight=False, markup=False)
        console.print(f"{section.text}\n", highlight=False, markup=False)
