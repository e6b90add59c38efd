"""Time to quality: how long each side trains until it is good, the length chosen on validation patients.

Each side trains whole 1cycles of 2, 3, 4, 6, 8 and 12 epochs on 64 of the 80 training patients of ``source-004``. The shortest
whose last epoch passes slice Dice 0.868, which source 004 reports, and a patient mean of 0.78 on the other 16 counts. That length
alone is then trained on all 80 and scored on the 15 test patients, once.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from material import SPLIT, Material, open_material
from sides import Side

from brain_tumor.evaluation import overlap, protocols

LENGTHS = (2, 3, 4, 6, 8, 12)
SLICE_DICE, PATIENT_MEAN = 0.868, 0.78
PROTOCOLS = {"slice": "slice, empty = 1", "patient": "patient mean"}
# This project's network and schedule, chosen on the 16 validation patients; the peer's are its own.
OURS = {"model": "resunet", "arguments": {"batchnorm_momentum": 0.9, "halved": True}, "max_lr": 2e-3}
CHOICES = {"ours": OURS, "peer": {}}
SHARED = {"model": "unet-resnet18", "arguments": {"batchnorm_momentum": 0.9}, "max_lr": 1e-3}  # every optimisation helps it


def compare(
    root: str,
    seeds: list[int],
    precision: str,
    rows: list[dict],
    keep: Callable[[list[dict]], None],
    lengths: tuple[int, ...] = LENGTHS,
) -> list[dict]:
    """Train both sides in turns, each on the whole machine.

    Args:
        rows: what was measured before, which is not trained again.
        keep: called with all rows as each comes.

    Returns:
        A row a seed, side and length: ``minutes`` of training, scores, and whether it ``passes``; the last one of each side and
        seed is of the test patients.
    """
    material = open_material(root)
    rows = list(rows)
    sides = {name: Side(name) for name in CHOICES}

    def fit(name: str, seed: int, epochs: int, validation: float) -> dict:
        key = {"side": name, "seed": seed, "epochs": epochs, "part": "validation" if validation else "test"}
        for row in rows:
            if key.items() <= row.items():
                return row
        rows.append(key | _fit(sides[name], material, precision, seed, epochs, validation))
        keep(rows)
        print(rows[-1], flush=True)
        return rows[-1]

    try:
        for side in sides.values():
            side.ask("open", root=root)
        for seed in seeds:
            chosen: dict[str, int] = {}
            for epochs in lengths:
                for name in [name for name in sides if name not in chosen]:
                    if fit(name, seed, epochs, validation=0.2)["passes"]:
                        chosen[name] = epochs
            for name in sides:
                fit(name, seed, chosen.get(name, lengths[-1]), validation=0.0)
    finally:
        for side in sides.values():
            side.close()
    return rows


def same(root: str, split: str, seeds: list[int], precision: str, epochs: int) -> dict:
    """Train with fewer operations and layer by layer, from the same seeds: scores may differ as those of two seeds do.

    Returns:
        ``rows``, one a seed and way of training; ``change``: by measure, the mean of the one minus that of the other; ``spread``:
        by measure, the largest difference between two seeds of one way.
    """
    material, rows = open_material(root), []
    side = Side("ours")
    try:
        side.ask("open", root=root)
        for seed in seeds:
            for without in ("", "all of these"):
                row = _fit(side, material, precision, seed, epochs, validation=0.0, split=split, **SHARED, without=without)
                scores = {name: row[name] for name in ("minutes", *PROTOCOLS)}
                rows.append({"seed": seed, "layer by layer": bool(without), **scores})
                print(rows[-1], flush=True)
    finally:
        side.close()
    by_way = pd.DataFrame(rows).groupby("layer by layer")[list(PROTOCOLS)]
    means, spread = by_way.mean(), by_way.max() - by_way.min()
    return {"rows": rows, "change": (means.loc[False] - means.loc[True]).to_dict(), "spread": spread.max().to_dict()}


def _fit(
    side: Side,
    material: Material,
    precision: str,
    seed: int,
    epochs: int,
    validation: float,
    split: str = SPLIT,
    **arguments: object,
) -> dict[str, float]:
    part = "validation" if validation else "test"
    train, scored = (material.rows(name, validation, split) for name in ("train", part))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probabilities.npy"
        rows = {"train": train.tolist(), "test": scored.tolist()}
        choice = {**CHOICES[side.name], **arguments}
        fit = side.ask("fit", **rows, epochs=epochs, seed=seed, precision=precision, into=str(path), **choice)
        scores = _scores(np.load(path), material, scored)
    passes = scores["slice"] >= SLICE_DICE and scores["patient"] >= PATIENT_MEAN
    return {"minutes": round(fit["seconds"] / 60, 2), "passes": passes, **scores}


def _scores(probability: np.ndarray, material: Material, rows: np.ndarray) -> dict[str, float]:
    """Both Dice with their intervals over patients, at the size that the networks work at."""
    counts = overlap.count(probability, np.asarray(material.arrays.targets[rows]))
    counts = pd.concat([material.slices.iloc[rows][["case_id", "slice"]].reset_index(drop=True), counts], axis=1)
    table = protocols.score(counts.assign(size=probability.shape[1])).set_index("protocol")
    answer = {}
    for name, protocol in PROTOCOLS.items():
        answer |= {name: table.dice[protocol], f"{name}_low": table.low[protocol], f"{name}_high": table.high[protocol]}
    return {name: round(float(value), 4) for name, value in answer.items()}
