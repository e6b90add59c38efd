"""Tables and a plot of what was measured."""

from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

console = Console()
SHORT = {"mixed_bfloat16": "bfloat16", "float32": "float32"}


def section(name: str, numbers: Any, spent: float) -> None:
    """Print a section of the numbers."""
    console.rule(f"{name} ({spent / 60:.1f} minutes)")
    {"speed": _speed, "beside": _speed, "gains": _gains, "cost": _cost, "quality": _rows, "same": _rows}.get(name, _pairs)(
        numbers
    )


def _speed(numbers: dict) -> None:
    shares = {_key(row): row["share"] for row in numbers.get("of_peak", ())}
    _table(
        ("side", "network", "action", "format", "images/s", "least", "most", "of peak"),
        [
            (
                *_key(row), f"{median(row['rates']):.1f}", f"{min(row['rates']):.1f}", f"{max(row['rates']):.1f}",
                f"{shares[_key(row)]:.0%}" if _key(row) in shares else "",
            )
            for row in numbers["rates"]
        ],
    )  # fmt: skip
    _table(
        ("action", "format", "ours / peer", "least", "most"),
        [
            (row["action"], SHORT[row["precision"]], *(f"{row[name]:.2f}" for name in ("ratio", "least", "most")))
            for row in numbers["ratios"]
        ],
    )


def _key(row: dict) -> tuple[str, ...]:
    return row["side"], row["model"], row["action"], SHORT[row["precision"]]


def _gains(rows: list[dict]) -> None:
    _table(
        ("network", "format", "without", "a step takes", "least", "most"),
        [
            (row["model"], SHORT[row["precision"]], row["without"], *(f"x {f(row['ratios']):.2f}" for f in (median, min, max)))
            for row in rows
        ],
    )


def _cost(numbers: dict) -> None:
    for name in ("by_size", "by_batch"):
        _rows([{**row, "train": median(row["train"]), "predict": median(row["predict"])} for row in numbers[name]])
    _rows(numbers["by_slices"])
    _pairs(numbers["line"])


def _rows(rows: list[dict]) -> None:
    _table(tuple(rows[0]), [tuple(_word(value) for value in row.values()) for row in rows])


def _pairs(numbers: dict) -> None:
    _table(("measure", "value"), [(name, _word(value)) for name, value in numbers.items()])


def _word(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _table(titles: tuple[str, ...], rows: list[tuple]) -> None:
    table = Table(*titles)
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)


def beside(numbers: dict, earlier: dict) -> None:
    """Print every median rate beside that of an earlier run, and the change."""
    before = {_key(row): median(row["rates"]) for row in earlier.get("speed", {}).get("rates", ())}
    rows = [
        (*_key(row), f"{before[_key(row)]:.1f}", f"{median(row['rates']):.1f}", f"{median(row['rates']) / before[_key(row)]:.2f}")
        for row in numbers.get("speed", {}).get("rates", ())
        if _key(row) in before
    ]
    _table(("side", "network", "action", "format", "before", "now", "now / before"), rows)


def plot(numbers: dict, path: Path) -> None:
    """Draw rates of both sides, the gain of each optimisation, and the cost by slices, as far as they were measured."""
    from matplotlib.figure import Figure

    panels = [name for name in ("speed", "gains", "cost", "quality") if name in numbers]
    if not panels:
        return
    figure = Figure(figsize=(6 * len(panels), 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        {"speed": _plot_speed, "gains": _plot_gains, "cost": _plot_cost, "quality": _plot_quality}[name](axes, numbers[name])
    figure.suptitle("a smoke run: these numbers mean nothing" if numbers["quick"] else f"measured on {numbers['cohort']} slices")
    figure.savefig(path)
    console.print(f"plot: {path}")


def _plot_speed(axes, numbers: dict) -> None:
    first = numbers["rates"][0]["model"]
    rates = {(row["side"], row["action"], row["precision"]): row["rates"] for row in numbers["rates"] if row["model"] == first}
    cases = list(dict.fromkeys(key[1:] for key in rates))
    for shift, side, label in ((-0.2, "ours", "ours"), (0.2, "peer", "PyTorch")):
        own = [rates[side, *case] for case in cases if (side, *case) in rates]
        middle = [median(values) for values in own]
        spread = [
            [centre - min(values) for centre, values in zip(middle, own, strict=True)],
            [max(values) - centre for centre, values in zip(middle, own, strict=True)],
        ]
        axes.bar([place + shift for place in range(len(own))], middle, 0.38, yerr=spread, label=label)
    axes.set_xticks(range(len(cases)), [f"{action}\n{SHORT[precision]}" for action, precision in cases])
    axes.set_ylabel("images/s")
    axes.set_title(f"{first}, 128 px, batches of 16")
    axes.legend()


def _plot_gains(axes, rows: list[dict]) -> None:
    rows = [row for row in rows if row["precision"] == "mixed_bfloat16"]
    names = list(dict.fromkeys(row["without"] for row in rows))
    for shift, model in ((-0.2, "unet-resnet18"), (0.2, "resunet")):
        values = [median(row["ratios"]) for name in names for row in rows if (row["without"], row["model"]) == (name, model)]
        axes.barh([i + shift for i in range(len(values))], values, 0.38, label=model)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("time of a bfloat16 step without it / with it")
    axes.legend()


def _plot_cost(axes, numbers: dict) -> None:
    slices, spent = ([row[name] for row in numbers["by_slices"]] for name in ("slices", "seconds"))
    axes.plot(slices, spent, "o-")
    axes.set(xlabel="slices", ylabel="seconds an epoch", title="cost by slices", xlim=(0, None), ylim=(0, None))


def _plot_quality(axes, rows: list[dict]) -> None:
    for side, label, colour in (("ours", "ours", "C0"), ("peer", "PyTorch", "C1")):
        for part, marker in (("validation", "o"), ("test", "*")):
            own = [row for row in rows if (row["side"], row["part"]) == (side, part)]
            minutes, dice = ([row[name] for row in own] for name in ("minutes", "patient"))
            axes.plot(minutes, dice, marker, color=colour, label=f"{label}, {part}")
    axes.axhline(0.78, color="black", linewidth=0.8)
    axes.set(xlabel="minutes of training", ylabel="patient mean Dice", title="time to quality")
    axes.legend()
