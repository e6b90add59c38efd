"""HTML pages that need nothing but themselves: rendered from templates, checked, and written whole.

A page asks the network for nothing (its own policy forbids it, and :func:`external_requests` proves it), holds no script, and
weighs at most 1.5 MB.
"""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jinja2

from brain_tumor import files
from brain_tumor.errors import RunError
from brain_tumor.paths import reports_folder

TEMPLATES = Path(__file__).parent.parent / "templates"
MAX_BYTES = 1_500_000  # DESIGN law 13
DEMO = "demo.html"  # git-ignored, like local/
FETCHING = {"src", "srcset", "poster", "data", "background", "action", "formaction", "manifest", "xlink:href"}
CSS_FETCH = re.compile(r"url\(\s*['\"]?(?!data:)[^)]*\)|@import[^;]*", re.IGNORECASE)


def render(template: str, **values: Any) -> str:
    """Fill a template of ``templates/``; values are escaped unless the template says otherwise."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(template).render(**values)


def check_private(path: Path, private: str) -> None:
    """Refuse a place where a page would be published.

    Args:
        private: why it may not be published: it shows patients, or is of the phantom.

    Raises:
        RunError: ``path`` lies among the published reports.
    """
    root = reports_folder()
    place = path.resolve()
    if place.is_relative_to(root) and not place.is_relative_to(root / "local") and place != root / DEMO:
        raise RunError(f"{path}: {private}, so it is not published; it may go to {root / 'local'}")


def save(page: str, path: Path, private: str = "") -> Path:
    """Write a page, atomically.

    Args:
        private: why it may not be published, as :func:`check_private` has it; empty where it may.

    Raises:
        RunError: it would ask the network for something, is too large, or is private and meant for a published place; nothing is
            written.
    """
    if private:
        check_private(path, private)
    requests = external_requests(page)
    if requests:
        raise RunError(f"{path}: the page would load {requests[0][:80]!r}; reports load nothing")
    size = len(page.encode())
    if size > MAX_BYTES:
        raise RunError(f"{path}: {size:,} bytes, a report has at most {MAX_BYTES:,}; draw fewer or smaller pictures")
    files.write_text(path, page)
    return path


def external_requests(page: str) -> list[str]:
    """Everything in ``page`` that a browser would fetch or run: scripts, frames, styles, fonts and images that are not inline."""
    finder = _RequestFinder()
    finder.feed(page)
    return finder.found


class _RequestFinder(HTMLParser):
    """Collects what a browser would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.in_style = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.in_style = tag == "style"
        if tag in ("script", "iframe", "object", "embed", "base"):
            self.found.append(f"<{tag}>")
        for name, value in attributes:
            value = (value or "").strip()
            fetches = name in FETCHING or (name == "href" and tag == "link")
            if fetches and value and not value.startswith("data:"):
                self.found.append(value)
            if name.startswith("on"):
                self.found.append(f"{name}={value}")
            if name == "style":
                self.found += CSS_FETCH.findall(value)

    def handle_endtag(self, tag: str) -> None:
        self.in_style = False

    def handle_data(self, data: str) -> None:
        if self.in_style:
            self.found += CSS_FETCH.findall(data)
