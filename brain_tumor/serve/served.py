"""The networks that a server offers: the best finished run of this home, or the one that is named."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brain_tumor.errors import BrainTumorError, DataError, RunError
from brain_tumor.experiments import appraisal
from brain_tumor.inference.cascade import Cascade
from brain_tumor.inference.predictor import Predictor
from brain_tumor.records import card as cards, package
from brain_tumor.training.runs import all_runs

NONE = (
    "no finished run that outlines tumours is here. `brain-tumor demo` trains one on synthetic patients in minutes; "
    "`brain-tumor ladder ladder-15m` trains one on the LGG data; `brain-tumor model get FILE` takes one that was packed"
)


@dataclass(frozen=True)
class Served:
    """A network that answers.

    Attributes:
        name: of its run or package.
        cascade: what predicts.
        card: what it was trained on, and how well it did.
        why: why this one was chosen, in a sentence.
    """

    name: str
    cascade: Cascade
    card: dict[str, Any]
    why: str

    @property
    def predictor(self) -> Predictor:
        """The network that outlines."""
        return self.cascade.outliner


def load(named: str = "") -> Served:
    """Load a network, ready to predict.

    Args:
        named: a run's name or folder, or a package's name; ``""`` for the best of this home: the one with the highest mean Dice
            of test patients. A phantom's network is taken only where there is no other.

    Raises:
        BrainTumorError: there is none, or it is damaged.
    """
    folder, why = (package.find(named), "It was named when the server was started.") if named else _best()
    predictor = appraisal.load(folder, whole=True)
    if not predictor.outlines:
        raise DataError(f"{folder.name}: tells slices and outlines nothing; the page needs a network that outlines")
    return Served(folder.name, Cascade(predictor), cards.of(folder), why)


def _best() -> tuple[Path, str]:
    candidates = []
    for folder in [*package.packages(), *(run.path for run in all_runs() if run.status == "finished")]:
        try:
            card = cards.of(folder)
            if card["outlines"] and card["scores"]:
                candidates.append((not card["phantom"], card["scores"][0]["value"], folder, card["split"]))
        except (BrainTumorError, KeyError):  # one damaged run hides no other
            continue
    if not candidates:
        raise RunError(NONE)
    real, _, folder, _ = max(candidates)
    if not real:
        return folder, "It was trained on drawn patients, since no network of real ones is here: its answers mean nothing."
    if len(candidates) == 1:
        return folder, "It is the only finished network here."
    why = f"It has the highest mean Dice of test patients among {len(candidates)} finished networks, so that score is selected"
    patients_differ = len({split for *_, split in candidates}) > 1
    return folder, why + ("; they were tested on different patients, and its own may be easy ones." if patients_differ else ".")
