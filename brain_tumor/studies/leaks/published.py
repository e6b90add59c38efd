"""What others report on the LGG data, and what reading no image reaches on all of it: the numbers that ours are set beside.

A claim stands here with the split that its author states. None of these scores was repeated here; their Dice are of several
definitions, and a split that is not stated is not known to leak.
"""

from dataclasses import dataclass

import pandas as pd

from brain_tumor.evaluation import floors

SLICES, PATIENTS, UNSTATED = "slices", "patients", "not stated"


@dataclass(frozen=True)
class PublishedScore:
    """A score that somebody reports.

    Attributes:
        who: and with what.
        measure: ``accuracy`` (of slices), or ``Dice``.
        value: from 0 to 1.
        split: over ``slices``, over ``patients``, or ``not stated``.
        source: where it stands, and what is known of how it was measured.
    """

    who: str
    measure: str
    value: float
    split: str
    source: str


_TUTORIAL = "README of 'Brain MRI Tumor Detection (U-Net, patient-level evaluation)' on GitHub"
_KERAS = "its README on GitHub"
CLAIMS = (
    PublishedScore("SVM on CNN features", "accuracy", 0.93, SLICES, f"{_TUTORIAL}; its author found the leak"),
    PublishedScore("SVM on CNN features", "accuracy", 0.829, PATIENTS, f"{_TUTORIAL}; five folds"),
    PublishedScore("U-Net on ResNet-18", "accuracy", 0.9325, PATIENTS, f"{_TUTORIAL}; 17 patients"),
    PublishedScore("source 002, ResNet-18", "accuracy", 0.97, UNSTATED, "rows 002.09 and 002.16 of sources.csv; 85 to 15"),
    PublishedScore("dikshabhati1, ResNet", "accuracy", 0.9344, UNSTATED, _KERAS),
    PublishedScore(
        "lgg-imaging-repro, U-Net", "Dice", 0.868, SLICES, "AIscend-Research on GitHub, legacy/paper.md; all slices, 85 to 15"
    ),
    PublishedScore("analyticsvidhya, U-Net", "Dice", 0.95, UNSTATED, "its tutorial"),
    PublishedScore("Pegah-Ardehkhani, U-Net", "Dice", 0.9027, UNSTATED, _KERAS),
    PublishedScore("shasan7, U-Net", "Dice", 0.9014, UNSTATED, _KERAS),
    PublishedScore(
        "Tada-tot/BrainVision, U-Net", "Dice", 0.8898, UNSTATED, "its model card on Hugging Face; '10 % of patient data'"
    ),
    PublishedScore("SSinyu, DeepLabV3+", "Dice", 0.860, UNSTATED, _KERAS),
    PublishedScore("source 000, U-Net", "Dice", 0.86, UNSTATED, "row 000.16 of sources.csv; no definition stated either"),
    PublishedScore(
        "mateuszbuda, U-Net", "Dice", 0.91, PATIENTS, "brain-segmentation-pytorch; mean of 10 patients who also chose the epoch"
    ),
    PublishedScore(
        "source 004, U-Net", "Dice", 0.8684, PATIENTS, "row 004.48 of sources.csv; 15 patients, a slice empty in both counts 1"
    ),
    PublishedScore(
        "Buda 2019, U-Net", "Dice", 0.82, PATIENTS, "doi 10.1016/j.compbiomed.2019.05.002; mean of patients, 22 folds"
    ),
)

# (split, floor, measure) -> on all 110 patients (3,929 slices; a copy may hold fewer), measured when this project was planned:
# random slice splits of 85 to 15, five draws for the label and three for the outline; for the position, five folds of patients.
ON_110_PATIENTS = {
    ("source-002", floors.NEAREST, "accuracy"): "0.944 ± 0.006",
    ("source-002", floors.INTERPOLATION, "pooled"): "0.850 ± 0.003",
    ("source-002", floors.INTERPOLATION, "slice, empty = 1"): "0.883",
    ("ratio-15", floors.POSITION, "accuracy"): "0.765",
    ("ratio-15", floors.POSITION, "AUC"): "0.844",
}


def table() -> pd.DataFrame:
    """The claims for people, by measure and split."""
    rows = [(claim.measure, f"{claim.value:.3f}", claim.split, claim.who, claim.source) for claim in CLAIMS]
    return pd.DataFrame(rows, columns=["measure", "reported", "split over", "who", "where it stands"]).set_index("measure")
