"""Training and prediction of both sides in turns, and what each of this project's optimisations gains by itself."""

import math
import os
from statistics import median

from sides import Side

BATCH = 16
FORMATS = ("mixed_bfloat16", "float32")
SHARED = "unet-resnet18"  # the network that both sides have
OWN = "resunet"
ACTIONS = ("train", "predict")
GAINS = (  # of benchmarks/ours.py: what is left out
    "fused BatchNorm", "BatchNorm of the input", "padding within the convolution", "doubling as transposed convolution",
    "small convolutions as matrix products", "one-pass AdamW", "all of these",
)  # fmt: skip


def compare(root: str, rounds: int, steps: int, peer: bool = True, cores: list[int] | None = None) -> dict:
    """Images a second of each side, network, format and action, in interleaved rounds.

    Args:
        cores: measure as many pairs of workers as there are cores, each on one, all at work at once; None for a single worker of
            each side on all cores.

    Returns:
        ``rates``: a row a side, network, format and action, with ``rates``, one a round; ``peaks``: by format, the floating-point
        operations a second of the fastest matrix product of either side.
    """
    placed = [[core] for core in cores] if cores else [None]
    teams = {name: [Side(name, place) for place in placed] for name in ("ours", *(["peer"] if peer else []))}
    rows, peaks = [], {}
    try:
        _at_once([side for team in teams.values() for side in team], "open", root=root)
        for precision in FORMATS:
            peaks[precision] = max(team[0].ask("peak", precision=precision) for team in teams.values())
            measured = [("ours", SHARED), *([("peer", SHARED)] if peer else []), *([] if cores else [("ours", OWN)])]
            for name, model in measured:
                _at_once(teams[name], "prepare", model=model, precision=precision)
            for action in ACTIONS if not cores else ACTIONS[:1]:
                count = "steps" if action == "train" else "batches"
                for name, model in measured:  # what another action has pushed out of the libraries' caches is made again
                    _at_once(teams[name], action, model=model, precision=precision, **{count: 2})
                rates = {key: [] for key in measured}
                for _ in range(rounds):
                    for name, model in measured:
                        spent = _at_once(teams[name], action, model=model, precision=precision, **{count: steps})
                        rates[name, model].append(sum(steps * BATCH / seconds for seconds in spent))
                rows += [
                    {"side": name, "model": model, "precision": precision, "action": action, "rates": values}
                    for (name, model), values in rates.items()
                ]
    finally:
        for side in [side for team in teams.values() for side in team]:
            side.close()
    return {"rates": rows, "peaks": peaks}


def _at_once(team: list[Side], action: str, **arguments) -> list:
    for side in team:
        side.begin(action, **arguments)
    return [side.answer() for side in team]


def ratios(rows: list[dict]) -> list[dict]:
    """This project's rate over the peer's: median, least and most of the rounds."""
    rates = {(row["side"], row["model"], row["precision"], row["action"]): row["rates"] for row in rows}
    table = []
    for (side, model, precision, action), ours in rates.items():
        if side == "ours" and ("peer", model, precision, action) in rates:
            each = [one / other for one, other in zip(ours, rates["peer", model, precision, action], strict=True)]
            table.append({"action": action, "precision": precision, "ratio": median(each), "least": min(each), "most": max(each)})
    return table


def gains(root: str, rounds: int, steps: int) -> list[dict]:
    """What training takes longer when one optimisation is left out; all variants in one process, in turns.

    Returns:
        A row a network, format and optimisation: ``ratios``, the time without it over the time with all, one a round.
    """
    side = Side("ours")
    rows = []
    try:
        side.ask("open", root=root)
        for model in (SHARED, OWN):
            for precision in FORMATS:
                variants = ["", *GAINS]
                for without in variants:
                    side.ask("prepare", model=model, precision=precision, without=without)
                spent = {without: [] for without in variants}
                for _ in range(rounds):
                    for without in variants:
                        spent[without].append(side.ask("train", model=model, precision=precision, steps=steps, without=without))
                for without in GAINS:
                    each = [one / base for one, base in zip(spent[without], spent[""], strict=True)]
                    rows.append({"model": model, "precision": precision, "without": without, "ratios": each})
    finally:
        side.close()
    return rows


def usable_cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def share_of_peak(rows: list[dict], forward: dict[str, float], peaks: dict[str, float]) -> list[dict]:
    """Convolutions' arithmetic a second as a share of what a large matrix product reaches here.

    Args:
        forward: floating-point operations of one image's forward pass, by network; training is three times that.
        peaks: operations a second of a square matrix product, by format.
    """
    times = {"train": 3, "predict": 1}
    return [
        {key: row[key] for key in ("side", "model", "precision", "action")}
        | {"share": median(row["rates"]) * forward[row["model"]] * times[row["action"]] / peaks[row["precision"]]}
        for row in rows
    ]


def forward_flops(model) -> int:
    """Multiplications and additions of a network's convolutions for one image, as its layers describe them."""
    kernels = [(layer.kernel.shape, layer.output.shape) for layer in model.layers if hasattr(layer, "kernel")]
    return sum(2 * math.prod(kernel) * height * width for kernel, (_, height, width, _) in kernels)
