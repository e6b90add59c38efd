"""What others reach by patient on gliomas: the numbers that the final recipe is set beside.

None of them was repeated here. Each stands with how it was measured, because a mean over patients who also chose the epoch, or
over five of them, is another number than one out of fold.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from brain_tumor.report import tables

OUT_OF_FOLD, CHOSEN_ON, TEST, LEAKED, READERS = (
    "out of fold",
    "patients chose the epoch",
    "test patients",
    "slices leaked",
    "readers",
)
OVER_SLICES = "no patient mean"  # another Dice, and so in no picture of patient means


@dataclass(frozen=True)
class Peer:
    """A patient mean that somebody reports.

    Attributes:
        who: and with what.
        mean, median: of the Dice of patients; the median is NaN where none is reported.
        patients: how many it is over, 0 where that is not stated.
        kind: how it was measured, one of the words above.
        source: where it stands.
    """

    who: str
    mean: float
    patients: int
    kind: str
    source: str
    median: float = np.nan


PEERS = (
    Peer("Buda 2019, U-Net", 0.82, 110, OUT_OF_FOLD, "arXiv 1906.03720: these data, 22 folds", 0.85),
    Peer("Buda's code", 0.836, 110, OUT_OF_FOLD, "mateuszbuda.github.io, 2017: these data, 22 folds", 0.873),
    Peer(
        "nnU-Net, gliomas of grade 2 to 4",
        0.873,
        491,
        OUT_OF_FOLD,
        "FLARE baseline's model card: most of grade 4; four sequences",
    ),
    Peer("mateuszbuda, U-Net", 0.91, 10, CHOSEN_ON, "brain-segmentation-pytorch: these data", 0.92),
    Peer(
        "lgg-imaging-repro, nnU-Net 2-D",
        0.876,
        83,
        LEAKED,
        "recomputed from its summary.json: these data, folds of slices",
        0.907,
    ),
    Peer("Buda's code, FLAIR alone", 0.884, 5, TEST, "flair-segmentation's README: these data; 0.81 to 0.92"),
    Peer("two experts, tumours of this kind", 0.84, 0, READERS, "mateuszbuda.github.io, 2017: 84 ± 2 %"),
    Peer("four experts, grade 2 and 3", 0.87, 20, READERS, "Visser 2019, PMC6396436: from an overlap index of 0.77"),
    Peer("source 004, U-Net ResNet-18", 0.868, 15, OVER_SLICES, "these test patients; slices, empty = 1: reading no image 0.668"),
    Peer("source 000", 0.86, 0, OVER_SLICES, "which Dice, and on whom, is not stated"),
)

PATIENT_MEANS = tuple(peer for peer in PEERS if peer.kind != OVER_SLICES)


def table(ours: Mapping[str, Mapping[str, pd.Series]]) -> pd.DataFrame:
    """Ours and theirs in words, the highest mean first within each way of measuring.

    Args:
        ours: how it was measured -> what to call it -> the Dice of each patient.
    """
    rows = [
        {
            "who": name,
            "mean": dice.mean(),
            "median": dice.median(),
            "patients": len(dice),
            "kind": measured,
            "source": "",
        }
        for measured, named in ours.items()
        for name, dice in sorted(named.items(), key=lambda item: -item[1].mean())
    ]
    rows += [vars(peer) for peer in sorted(PEERS, key=lambda peer: (peer.kind, -peer.mean))]
    return tables.worded(
        {
            "who": row["who"],
            "mean": f"{row['mean']:.3f}",
            "median": "–" if np.isnan(row["median"]) else f"{row['median']:.3f}",
            "patients": f"{row['patients'] or '–'}",
            "how measured": row["kind"],
            "where it stands": row["source"] or "this report",
        }
        for row in rows
    )
