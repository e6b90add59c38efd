"""``brain-tumor bench``: which settings train fastest on this machine."""

from typing import Any

import typer


def bench(
    remember: bool = typer.Option(
        False, "--remember", help="Keep the answer for this machine in the home: later runs compute with it, and say so."
    ),
) -> None:
    """Measure training steps on this machine: which number format, how many threads and which batch are fastest.

    About two minutes; nothing else should run meanwhile. What is remembered goes for --precision auto, for --batch-size auto, and
    for the threads of TensorFlow where TF_NUM_INTRAOP_THREADS says none. Measure again after an update of Keras or TensorFlow.
    """
    from brain_tumor.cli import resumable
    from brain_tumor.experiments import bench as benchmark
    from brain_tumor.models.backend import load_keras

    load_keras()
    with resumable.stoppable("nothing is remembered"):
        rates = benchmark.measure(*benchmark.choices())
    choice = benchmark.best(rates)
    _print(rates)
    threads = "" if choice.threads is None else f", {choice.threads} thread{'s' if choice.threads > 1 else ''}"
    typer.echo(
        f"best: {choice.precision}{threads}, batches of {choice.batch_size}: {choice.slices_per_second:.1f} slices a second"
    )
    if remember:
        typer.echo(f"remembered: {benchmark.remember(rates, choice)}")
    else:
        typer.echo("next: brain-tumor bench --remember")


def _print(rates: list[Any]) -> None:
    """A row for each number format and number of threads, a column for each batch."""
    from rich.console import Console
    from rich.table import Table

    from brain_tumor.training.rates import ARCHITECTURE, SIZE

    sizes = sorted({rate.batch_size for rate in rates})
    table = Table("precision", "threads", title=f"slices a second, {ARCHITECTURE} at {SIZE} px, training")
    for size in sizes:
        table.add_column(f"batches of {size}", justify="right")
    rows: dict[tuple, dict[int, float]] = {}
    for rate in rates:
        rows.setdefault((rate.precision, rate.threads), {})[rate.batch_size] = rate.slices_per_second
    for (precision, threads), of_size in rows.items():
        table.add_row(precision, "–" if threads is None else str(threads), *(f"{of_size[size]:.1f}" for size in sizes))
    Console().print(table, highlight=False)
