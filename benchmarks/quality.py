"""Time to quality: how long each side trains until it is good, the length chosen on validation patients.

Each side trains whole 1cycles of 2, 3, 4, 6, 8 and 12 epochs on 64 of the 80 training patients of ``source-004``. The shortest
whose last epoch passes slice Dice 0.868, which source 004 reports, and a patient mean of 0.78 on the other 16 counts. That length
alone is then trained on all 80 and scored on the 15 test patients, once.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from material import Material, open_material
from sides import Side

from brain_tumor.evaluation import overlap, protocols

LENGTHS = (2, 3, 4, 6, 8, 12)
SLICE_DICE, PATIENT_MEAN = 0.868, 0.78
PROTOCOLS = {"slice": "slice, empty = 1", "patient": "patient mean"}
# This project's network and schedule, chosen on the 16 validation patients; the peer's are its own.
OURS = {"model": "resunet", "arguments": {"batchnorm_momentum": 0.9}, "max_lr": 2e-3}
CHOICES = {"ours": OURS, "peer": {}}


def compare(root: str, seeds: list[int], precision: str = "mixed_bfloat16", lengths: tuple[int, ...] = LENGTHS) -> list[dict]:
    """A row a seed, side and length: ``minutes`` of training, scores, and whether it ``passes``; the last row of each is of the
    test patients. The sides take turns, each on the whole machine.
    """
    material, rows = open_material(root), []
    sides = {name: Side(name) for name in CHOICES}
    try:
        for side in sides.values():
            side.ask("open", root=root)
        for seed in seeds:
            chosen: dict[str, int] = {}
            for epochs in lengths:
                for name in [name for name in sides if name not in chosen]:
                    row = _fit(sides[name], material, precision, seed, epochs, validation=0.2)
                    rows.append(row)
                    if row["passes"]:
                        chosen[name] = epochs
            rows += [
                _fit(sides[name], material, precision, seed, chosen.get(name, lengths[-1]), validation=0.0) for name in sides
            ]
    finally:
        for side in sides.values():
            side.close()
    return rows


def _fit(side: Side, material: Material, precision: str, seed: int, epochs: int, validation: float) -> dict:
    part = "validation" if validation else "test"
    train, scored = material.rows("train", validation), material.rows(part, validation)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probabilities.npy"
        fit = side.ask(
            "fit", train=train.tolist(), test=scored.tolist(), epochs=epochs, seed=seed, precision=precision, into=str(path),
            **CHOICES[side.name],
        )  # fmt: skip
        scores = _scores(np.load(path), material, scored)
    passes = scores["slice"] >= SLICE_DICE and scores["patient"] >= PATIENT_MEAN
    row = {"side": side.name, "seed": seed, "epochs": epochs, "part": part, "minutes": fit["seconds"] / 60, "passes": passes}
    print({**row, **scores}, flush=True)
    return {**row, **scores}


def _scores(probability: np.ndarray, material: Material, rows: np.ndarray) -> dict[str, float]:
    """Both Dice with their intervals over patients, at the size that the networks work at."""
    counts = overlap.count(probability, np.asarray(material.arrays.targets[rows]))
    counts = pd.concat([material.slices.iloc[rows][["case_id", "slice"]].reset_index(drop=True), counts], axis=1)
    table = protocols.score(counts.assign(size=probability.shape[1])).set_index("protocol")
    answer = {}
    for name, protocol in PROTOCOLS.items():
        answer |= {name: table.dice[protocol], f"{name}_low": table.low[protocol], f"{name}_high": table.high[protocol]}
    return {name: round(float(value), 4) for name, value in answer.items()}
