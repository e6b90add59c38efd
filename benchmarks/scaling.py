"""What training and prediction cost by size, batch and number of slices, and the memory that they take."""

import numpy as np
from sides import Side

SIZES, BATCHES, MODEL = (64, 128, 256), (8, 16, 32), "unet-resnet18"
REPEATS = (1, 2, 4)  # times the cohort


def by_size(root: str, precision: str, steps: int) -> list[dict]:
    """A row a size: images a second of training and prediction, in batches of 16."""
    return [_row(root, precision, steps, size=size) for size in SIZES]


def by_batch(root: str, precision: str, steps: int) -> list[dict]:
    """A row a batch: images a second of training, at 128 px."""
    return [_row(root, precision, steps, batch=batch) for batch in BATCHES]


def _row(root: str, precision: str, steps: int, size: int = 128, batch: int = 16) -> dict:
    side = Side("ours")
    try:
        side.ask("open", root=root, size=size)
        side.ask("prepare", model=MODEL, precision=precision, batch=batch)
        train = [batch * steps / side.ask("train", model=MODEL, precision=precision, steps=steps) for _ in range(3)]
        predict = [16 * steps / side.ask("predict", model=MODEL, precision=precision, batches=steps) for _ in range(3)]
        return {"size": size, "batch": batch, "train": train, "predict": predict, "memory_mb": side.ask("memory")}
    finally:
        side.close()


def by_slices(root: str, precision: str) -> list[dict]:
    """An epoch over the cohort once, twice and four times: ``slices``, ``seconds``, ``memory_mb``, each in a fresh process."""
    rows = []
    for times in REPEATS:
        side = Side("ours")
        try:
            slices = side.ask("open", root=root)
            train = np.tile(np.arange(slices), times).tolist()
            spent = side.ask("fit", train=train, test=[0], epochs=1, seed=0, precision=precision, into="")
            rows.append({"slices": slices * times, "seconds": spent["seconds"], "memory_mb": side.ask("memory")})
        finally:
            side.close()
    return rows


def line(rows: list[dict]) -> dict:
    """The straight line through seconds by slices: ``per_slice`` and ``start`` in seconds, and the largest share off it."""
    slices, seconds = (np.array([row[name] for row in rows], float) for name in ("slices", "seconds"))
    slope, start = np.polyfit(slices, seconds, 1)
    off = np.abs(seconds / (start + slope * slices) - 1).max()
    return {"per_slice": slope, "start": start, "off_at_most": off}
