"""Progress that a person can read: a bar on a terminal and in Jupyter, sparse lines in a log, silence in tests.

Anything over two seconds shows one (DESIGN law 12).
"""

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sized
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import IO, Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

LOG_EVERY_SECONDS = 10.0
LOOK_EVERY_SECONDS = 1.0
BAR_CELLS = 24
THREADS = 4  # reading files, decoding, hashing and resizing release the interpreter
_PLACE: ContextVar[str] = ContextVar("place", default="")
Item = TypeVar("Item")
Result = TypeVar("Result")


def clock(seconds: float) -> str:
    """``75`` -> ``1:15``; ``3700`` -> ``1:01:40``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Counts(ProgressColumn):
    """``3/10  0:30 gone, 1:10 left  note``; what an earlier session did says nothing about the speed of this one."""

    def render(self, task: Task) -> Text:
        steps = task.completed - task.fields["earlier"]
        gone, total = task.elapsed or 0.0, task.total or 0
        left = clock(gone * (total - task.completed) / steps) if steps else "?"
        times = f"{clock(gone)} gone, {left} left"
        return Text(f"{task.completed}/{total}  {times}  {task.fields['note']}", no_wrap=True)


class Bar:
    """A progress bar on standard error: ``with Bar("caching", total=95) as bar: bar.advance()``.

    A terminal and Jupyter show it while it runs, Jupyter takes it away at the end, and a log gets a line every ten seconds.
    ``BRAIN_TUMOR_QUIET=1`` mutes it.
    """

    def __init__(self, title: str, total: int, done: int = 0, stream: IO[str] | None = None):
        console, quiet = Console(file=stream, stderr=True), bool(os.environ.get("BRAIN_TUMOR_QUIET"))
        drawn = console.is_jupyter or console.is_terminal
        # Standard output may be a file, and this bar is on standard error: so rich leaves standard output alone.
        look: dict[str, Any] = {"transient": console.is_jupyter, "redirect_stdout": False, "refresh_per_second": 4}
        columns = TextColumn("{task.description}", markup=False), BarColumn(BAR_CELLS), Counts()
        self.progress = Progress(*columns, console=console, disable=quiet or not drawn, get_time=lambda: time.monotonic(), **look)
        number = self.progress.add_task(_PLACE.get() + title, total=total, completed=done, earlier=done, note="")
        self.task = self.progress.tasks[number]
        self.next_line = math.inf if quiet or drawn else LOG_EVERY_SECONDS

    def __enter__(self) -> "Bar":
        self.progress.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        if not self.progress.disable:  # before version 14, rich ends a bar that it never drew with an empty line
            self.progress.stop()
        if self.next_line < math.inf and self._elapsed() > 2:
            self._write_line()

    def advance(self, steps: float = 1, note: str = "", total: int | None = None) -> None:
        """Count ``steps`` more as done; ``note`` ends the line (a loss, a name), ``total`` is one that was not known before."""
        self.progress.update(self.task.id, advance=steps, total=total, note=note or self.task.fields["note"])
        if self._elapsed() >= self.next_line:
            self.next_line = self._elapsed() + LOG_EVERY_SECONDS
            self._write_line()

    def _elapsed(self) -> float:
        return self.task.elapsed or 0.0

    def _write_line(self) -> None:
        print(self.task.description, Counts().render(self.task), file=self.progress.console.file, flush=True)


@contextlib.contextmanager
def within(place: str) -> Iterator[None]:
    """Bars made in here say where in a longer work they stand: ``fold 2 of 5: training ━━━···``."""
    token = _PLACE.set(f"{place}: ")
    try:
        yield
    finally:
        _PLACE.reset(token)


@contextlib.contextmanager
def watched(title: str, total: int, done: Callable[[], int], stream: IO[str] | None = None) -> Iterator[None]:
    """Show a bar for work that other processes do: a thread asks ``done`` every second how far it is."""
    ended = threading.Event()
    with Bar(title, total, done(), stream) as bar:

        def look() -> None:
            while not ended.wait(LOOK_EVERY_SECONDS):
                bar.advance(done() - bar.task.completed)

        thread = threading.Thread(target=look, name="watching", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            bar.advance(done() - bar.task.completed)


class Steps:
    """Steps of a known number: each call counts one, and tells a listener the share that is done."""

    def __init__(self, total: int, listener: Callable[[float], None] | None = None):
        self.total, self.done, self.listener = max(1, total), 0, listener

    def __call__(self) -> None:
        """Count one step."""
        self.done += 1
        if self.listener:
            self.listener(min(1.0, self.done / self.total))


@contextlib.contextmanager
def shares(title: str) -> Iterator[Callable[[float], None]]:
    """A bar in hundredths, moved by the share that is done."""
    with Bar(title, 100) as bar:
        yield lambda share: bar.advance(round(100 * share) - bar.task.completed)


def tracked(items: Iterable, title: str, total: int | None = None) -> Iterator:
    """Iterate over ``items`` behind a bar."""
    if total is None:
        total = len(items) if isinstance(items, Sized) else 0
    with Bar(title, total) as bar:
        for item in items:
            yield item
            bar.advance()


def in_threads(
    work: Callable[[Item], Result],
    items: Collection[Item],
    title: str,
    name: Callable[[Item], str] = lambda item: "",
    done: int = 0,
    threads: int = THREADS,
) -> Iterator[Result]:
    """What ``work`` gives for each item, in order, by a few threads behind a bar; the first failure ends it.

    Args:
        name: of an item, shown once it is done.
        done: how many more were done before.
    """
    with Bar(title, done + len(items), done) as bar, ThreadPoolExecutor(threads) as pool:
        # A map that ends early takes back what no thread has begun.
        for item, result in zip(items, pool.map(work, items), strict=True):
            yield result
            bar.advance(note=name(item))
