"""Progress that a person can read: a bar with what is left on a terminal, sparse lines in a log, silence in tests.

Anything over two seconds shows one (DESIGN law 12).
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextvars import ContextVar

LOG_EVERY_SECONDS = 10.0
BAR_CELLS = 24
_PLACE: ContextVar[str] = ContextVar("place", default="")


def clock(seconds: float) -> str:
    """``75`` -> ``1:15``; ``3700`` -> ``1:01:40``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Bar:
    """A progress bar on standard error: ``with Bar("caching", total=95) as bar: bar.advance()``.

    On a terminal it redraws itself in place; elsewhere it prints a line every ten seconds. ``BRAIN_TUMOR_QUIET=1`` mutes it.
    """

    def __init__(self, title: str, total: int, done: int = 0, stream=None):
        self.title, self.total, self.done, self.note = _PLACE.get() + title, total, done, ""
        self.earlier = done  # done by an earlier session, so it says nothing about today's speed
        self.stream = stream or sys.stderr
        self.quiet = bool(os.environ.get("BRAIN_TUMOR_QUIET"))
        self.terminal = hasattr(self.stream, "isatty") and self.stream.isatty()
        self.started = time.monotonic()
        self.last_shown = self.started if not self.terminal else 0.0

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_failure) -> None:
        if not self.quiet and (self.terminal or time.monotonic() - self.started > 2):
            self._show()
            if self.terminal:
                self.stream.write("\n")
        self.stream.flush()

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count ``steps`` more of the total as done; ``note`` is shown at the end of the line (a loss, a name)."""
        self.done += steps
        self.note = note or self.note
        now = time.monotonic()
        if not self.quiet and now - self.last_shown >= (0.1 if self.terminal else LOG_EVERY_SECONDS):
            self.last_shown = now
            self._show()

    def _show(self) -> None:
        elapsed = time.monotonic() - self.started
        today = self.done - self.earlier
        left = elapsed * (self.total - self.done) / today if today else 0.0
        cells = BAR_CELLS * self.done // max(self.total, 1)
        line = (
            f"{self.title} {'━' * cells}{'·' * (BAR_CELLS - cells)} {self.done}/{self.total}"
            f"  {clock(elapsed)} gone, {clock(left)} left  {self.note}"
        )
        self.stream.write(f"\r\x1b[2K{line}" if self.terminal else line + "\n")
        self.stream.flush()


@contextlib.contextmanager
def within(place: str) -> Iterator[None]:
    """Bars made in here say where in a longer work they stand: ``fold 2 of 5: training ━━━···``."""
    token = _PLACE.set(f"{place}: ")
    try:
        yield
    finally:
        _PLACE.reset(token)


def tracked(items: Iterable, title: str, total: int | None = None) -> Iterator:
    """Iterate over ``items`` behind a bar."""
    if total is None:
        total = len(items) if isinstance(items, Sized) else 0
    with Bar(title, total) as bar:
        for item in items:
            yield item
            bar.advance()
