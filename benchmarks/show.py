"""Tables and a plot of what was measured."""

from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

console = Console()
SHORT = {"mixed_bfloat16": "bfloat16", "float32": "float32"}
SIDES = {"ours": "brain-tumor", "peer": "PyTorch"}
VERSIONS = ("keras", "tensorflow", "tensorflow-cpu", "jax", "torch", "segmentation_models_pytorch")
TITLES = {
    "data": "Data: index, caches, audit",
    "start": "What a person waits for first",
    "speed": "Training and prediction beside PyTorch",
    "beside": "Two trainings side by side, a core each",
    "gains": "What a step takes without one optimisation",
    "cost": "Cost by size, batch and number of slices",
    "source-004": "Source 004's protocol, from the command to the scores",
    "same": "Do fewer operations train as well as Keras's layers?",
    "quality": "Time to quality",
}


class Printed(NamedTuple):
    """A table: its titles and rows, all words."""

    titles: tuple[str, ...]
    rows: list[tuple[str, ...]]


def section(name: str, numbers: Any, spent: float) -> None:
    """Print a section of the numbers."""
    console.rule(f"{TITLES[name]} ({spent / 60:.1f} minutes)")
    for printed in tables(name, numbers):
        _print(printed)


def tables(name: str, numbers: Any) -> list[Printed]:
    """What a section's numbers are read from."""
    kinds = {"speed": _speed, "beside": _speed, "gains": _gains, "cost": _cost, "same": _same, "quality": _quality}
    return kinds.get(name, lambda pairs: [_pairs(pairs)])(numbers)


def page(numbers: dict) -> str:
    """All that was measured as Markdown."""
    machine = numbers["machine"]
    versions = {**machine["packages"], **machine["peer"]}
    facts = [f"{machine['cores']} cores ({machine['machine']}: {', '.join(machine['bfloat16'])})"]
    facts += [f"{name} {versions[name]}" for name in VERSIONS if name in versions]
    head = "a smoke run: these numbers mean nothing" if numbers["quick"] else f"on slices of {numbers['cohort']}"
    parts = [f"# Measured {head}", f"{', '.join(facts)}, commit {machine['commit']}."]
    for name, title in TITLES.items():
        if name in numbers:
            parts += [f"## {title}", *map(_markdown, tables(name, numbers[name]))]
    return "\n\n".join(parts) + "\n"


def _speed(numbers: dict) -> list[Printed]:
    shares = {_key(row): row["share"] for row in numbers.get("of_peak", ())}
    rates = [
        (
            *_words(row), f"{median(row['rates']):.1f}", f"{min(row['rates']):.1f}", f"{max(row['rates']):.1f}",
            f"{shares[_key(row)]:.0%}" if _key(row) in shares else "",
        )
        for row in numbers["rates"]
    ]  # fmt: skip
    ratios = [
        (row["action"], SHORT[row["precision"]], *(f"{row[name]:.2f}" for name in ("ratio", "least", "most")))
        for row in numbers["ratios"]
    ]
    return [
        Printed(("action", "format", "ours / PyTorch", "least", "most"), ratios),
        Printed(("side", "network", "action", "format", "images/s", "least", "most", "of peak"), rates),
    ]


def _key(row: dict) -> tuple[str, ...]:
    return row["side"], row["model"], row["action"], row["precision"]


def _words(row: dict) -> tuple[str, ...]:
    return SIDES[row["side"]], row["model"], row["action"], SHORT[row["precision"]]


def _gains(rows: list[dict]) -> list[Printed]:
    titles = ("without", "network", "format", "step takes", "least", "most")
    times = [tuple(f"x {summary(row['ratios']):.2f}" for summary in (median, min, max)) for row in rows]
    named = [(row["without"], row["model"], SHORT[row["precision"]]) for row in rows]
    return [Printed(titles, [name + of_row for name, of_row in zip(named, times, strict=True)])]


def _cost(numbers: dict) -> list[Printed]:
    measured = [
        (f"{row['size']} px", str(row["batch"]), f"{median(row['train']):.1f}", f"{median(row['predict']):.1f}", _mb(row))
        for row in (*numbers["by_size"], *numbers["by_batch"])
    ]
    line = numbers["line"]
    epochs = [
        (
            str(row["slices"]), f"{row['seconds']:.1f}", f"{line['start'] + line['per_slice'] * row['slices']:.1f}", _mb(row),
        )
        for row in numbers["by_slices"]
    ]  # fmt: skip
    return [
        Printed(("size", "batch", "train, images/s", "predict, images/s", "memory, MB"), list(dict.fromkeys(measured))),
        Printed(("slices", "epoch, s", "straight line, s", "memory, MB"), epochs),
    ]


def _mb(row: dict) -> str:
    return f"{row['memory_mb']:.0f}"


def _same(numbers: dict) -> list[Printed]:
    rows = [
        (name, str(len(of["rows"]) // 2), measure, f"{of['change'][measure]:+.4f}", f"{of['spread'][measure]:.4f}")
        for name, of in numbers.items()
        for measure in of["change"]
    ]
    return [Printed(("cohort", "seeds", "Dice", "fewer operations - layers", "spread of seeds"), rows)]


def _quality(rows: list[dict]) -> list[Printed]:
    titles = ("side", "seed", "epochs", "scored on", "minutes", "slice Dice", "patient mean", "passes")
    return [Printed(titles, [_of_training(row) for row in rows])]


def _of_training(row: dict) -> tuple[str, ...]:
    scores = [f"{row[name]:.3f} ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f})" for name in ("slice", "patient")]
    passes = "yes" if row["passes"] else "no"
    return SIDES[row["side"]], str(row["seed"]), str(row["epochs"]), row["part"], f"{row['minutes']:.1f}", *scores, passes


def _pairs(numbers: dict) -> Printed:
    return Printed(("measure", "value"), [(name.replace("_", " "), _word(value)) for name, value in numbers.items()])


def _word(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _print(printed: Printed) -> None:
    table = Table(*printed.titles)
    for row in printed.rows:
        table.add_row(*row)
    console.print(table)


def _markdown(printed: Printed) -> str:
    rows = (printed.titles, tuple("---" for _ in printed.titles), *printed.rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def beside(numbers: dict, earlier: dict) -> None:
    """Print every median rate beside that of an earlier run, and the change."""
    before = {_key(row): median(row["rates"]) for row in earlier.get("speed", {}).get("rates", ())}
    now = {_key(row): median(row["rates"]) for row in numbers.get("speed", {}).get("rates", ())}
    names = {_key(row): _words(row) for row in numbers.get("speed", {}).get("rates", ())}
    rows = [
        (*names[key], f"{before[key]:.1f}", f"{rate:.1f}", f"{rate / before[key]:.2f}")
        for key, rate in now.items()
        if key in before
    ]
    _print(Printed(("side", "network", "action", "format", "before", "now", "now / before"), rows))


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
