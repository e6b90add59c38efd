"""What verbs that train have in common: they may be stopped at any moment, and the same command goes on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

SIDE_BY_SIDE = "Trainings side by side, each with its share of the cores; without it as many as cores and memory hold."
Workers = Annotated[int | None, typer.Option(min=1, help=SIDE_BY_SIDE, show_default=False)]


@contextmanager
def stoppable(onward: str = "the same command resumes after the last whole epoch") -> Iterator[None]:
    """Ctrl-C within ends the command with 130, the shell's code for it, and tells how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"\nstopped; {onward}", err=True)
        raise typer.Exit(130) from None


def tell_of(what: str) -> Callable:
    """What says that one training of many begins, such as "fold 2 of 5: run NAME, resumed"."""

    def tell(number: int, of: int, run: Any) -> None:
        done = ", finished before" if run.status == "finished" else ", resumed" if run.exists else ""
        typer.echo(f"{what} {number} of {of}: run {run.path.name}{done}")

    return tell


def computed_with(facts: dict[str, Any]) -> str:
    """What a run computes with, of its ``run.json``: ``float32 on tensorflow with 2 threads, batches of 16``."""
    threads = facts["environment"]["threads"]["intra_op"]
    backend = f"{facts['environment']['backend']} with {threads} thread{'s' if threads > 1 else ''}"
    return f"{facts['precision']} on {backend}, batches of {facts['recipe']['batch_size']}"


def listed(text: str) -> tuple[str, ...]:
    """The names in an option's comma-separated value."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
