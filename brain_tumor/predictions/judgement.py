"""What is asked of a set of predictions, and what is answered: tables as a run leaves them, and what a reader must know."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brain_tumor.data import patients
from brain_tumor.errors import DataError
from brain_tumor.evaluation import intervals
from brain_tumor.evaluation.scoring import Tables
from brain_tumor.leakage import names
from brain_tumor.predictions.identity import Identities, Identity
from brain_tumor.predictions.parts import Parts

NAMED = 3  # unpaired files that a refusal names
APART = 1_000_000  # between the slice numbers of two exams that are pooled as one patient
PATIENT = "case_id"  # the column whose values the intervals draw


@dataclass(frozen=True)
class Request:
    """What is scored, and how.

    Attributes:
        truth, predictions: folders of masks, or CSVs of slice labels.
        identities: whose files they are.
        threshold: tumour is called above this probability.
        labels: those that are tumour, of label maps; empty: every number above 0.
        probabilities: the predictions' integers are probabilities.
        paired_only: score the pairs, and list what pairs with nothing, instead of refusing it.
        split: who was trained on; None where nobody says.
        name: what the predictions are called.
    """

    truth: Path
    predictions: Path
    identities: Identities
    threshold: float = 0.5
    labels: tuple[int, ...] = ()
    probabilities: bool = False
    paired_only: bool = False
    split: Parts | None = None
    name: str = "predictions"

    @property
    def scored(self) -> str:
        """The part that is scored."""
        return self.split.scored if self.split else "test"

    def part_of(self, key: str, who: Identity | None = None) -> str | None:
        """The part of a file; without a split all are scored."""
        return self.split.of(key, who or self.identities.of(key)) if self.split else self.scored


@dataclass(frozen=True)
class Picture:
    """A slice to look at: its mask and what was predicted, both ``(S, S)``, and the case's Dice."""

    case_id: str
    number: int
    dice: float
    truth: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True)
class Judgement:
    """The answer.

    Attributes:
        request: what was asked.
        tables: by file name, as of a run (:mod:`brain_tumor.evaluation.scoring`).
        fields: a row a patient: what is known of them.
        patients_known: somebody said who the patients are; without, no table has an interval.
        notes: what a reader must know, a sentence each.
        unpaired: the files that pair with none.
        size: of the planes, in pixels; the largest where they differ. 0 of slice labels.
        pictures: of the worst cases.
    """

    request: Request
    tables: Tables
    fields: pd.DataFrame
    patients_known: bool
    notes: list[str] = field(default_factory=list)
    unpaired: list[str] = field(default_factory=list)
    size: int = 0
    pictures: tuple[Picture, ...] = ()

    @property
    def without_intervals(self) -> Tables:
        """The tables as they are given out: without intervals where patients are unknown."""
        return self.tables if self.patients_known else {name: blanked(table) for name, table in self.tables.items()}

    def facts(self, slices: pd.DataFrame) -> dict[str, Any]:
        """What the pages of runs read from ``run.json``.

        Args:
            slices: the scored ones: ``case_id, slice, tumour``.
        """
        request = self.request
        units = "patients" if self.patients_known else "cases, whose patients are not known"
        part = {"patients": slices.case_id.nunique(), "slices": len(slices), "tumour_slices": int(slices.tumour.sum())}
        recipe = {"model": request.name, "size": self.size, "threshold": request.threshold}
        recipe |= {"split": request.split.name if request.split else "none", "cohort": ""}
        return {
            "recipe": recipe,
            "threshold": request.threshold,
            "temperature": None,
            "parts": {"test": part | {"units": f"test {units}" if request.split else units}},
        }


def check_pairs(request: Request, unpaired: list[str], pairs: int) -> None:
    """Refuse files that pair with none, unless only pairs are asked for.

    Raises:
        DataError: naming some of them.
    """
    if not pairs:
        raise DataError(f"{request.predictions}: no prediction pairs with a mask of {request.truth}, such as {unpaired[0]}")
    if unpaired and not request.paired_only:
        more = f" and {len(unpaired) - NAMED} more" if len(unpaired) > NAMED else ""
        untouched = any(line.endswith("no prediction") for line in unpaired) and not request.split
        advice = "; if those were trained on, name the split (--split FILE)" if untouched else ""
        raise DataError(
            f"{request.predictions}: {'; '.join(unpaired[:NAMED])}{more}{advice}; --paired-only scores the pairs alone and lists "
            "the others"
        )


def finish(request: Request, tables: Tables, whose: dict[str, Identity], notes: list[str], unpaired: list[str]) -> Judgement:
    """The tables by patient, and what is known of the patients; scores are not yet among them.

    Args:
        tables: by case.
        whose: case -> its identity, of every scored case.
    """
    if request.scored == "validation":
        notes.append(
            "The split has no test part, so its validation part is scored: what was chosen on it (epoch, threshold) flatters the "
            "score."
        )
    known = all(who.patient for who in whose.values())
    if not known:
        missing = [case_id for case_id, who in whose.items() if not who.patient]
        notes.append(
            f"Patients are not known ({missing[0]} tells none), so there are no intervals, and what is said of patients is of "
            f"cases. Name them with --cohort, --table or {names.advice(missing[0])}, or say --each-file-a-patient."
        )
    if unpaired:
        notes.append(f"What pairs with nothing is not scored: {len(unpaired)} in all, listed in the JSON.")
    spellings = patients.united(who.patient for who in whose.values() if who.patient)
    notes += [patients.in_words(spellings)] if patients.in_words(spellings) else []
    patient_of = {case_id: spellings.get(who.patient or "", case_id) for case_id, who in whose.items()}
    fields = _fields(request, whose)
    if known and len(set(patient_of.values())) < len(patient_of):
        notes.append(
            f"{len(patient_of)} exams of {len(set(patient_of.values()))} patients: exams of one patient are counted together."
        )
        tables = {name: _pooled(table, patient_of) for name, table in tables.items()}
        fields = fields.assign(patient=fields.index.map(patient_of)).groupby("patient").first().rename_axis(PATIENT)
    return Judgement(request, tables, fields, known, notes, unpaired)


def blanked(table: pd.DataFrame) -> pd.DataFrame:
    """A table without intervals, verdicts and p-values: nobody is known who could be drawn."""
    empty = {name: np.nan for name in ("low", "high", "half_width", "p_value") if name in table}
    verdict = {"verdict": intervals.NO_INTERVAL, "patients_needed": pd.NA} if "verdict" in table else {}
    return table.assign(**empty, **verdict)


def _fields(request: Request, whose: dict[str, Identity]) -> pd.DataFrame:
    """What is known of each case, by which scores are grouped."""
    if request.identities.cohort:
        return request.identities.cohort.fields.reindex(list(whose))
    index = pd.Index(list(whose), name=PATIENT)
    sites = [who.site for who in whose.values()]
    return pd.DataFrame({"site": sites} if any(sites) else {}, index=index)


def _pooled(table: pd.DataFrame, patient_of: dict[str, str]) -> pd.DataFrame:
    """A table's cases as patients; slices of a patient's later exams are numbered apart."""
    order = {case_id: place for place, case_id in enumerate(sorted(patient_of))}
    first: dict[str, int] = {}
    for case_id in sorted(patient_of):
        first.setdefault(patient_of[case_id], order[case_id])
    patients = table.case_id.map(patient_of)
    pooled = table.assign(case_id=patients)
    if "slice" in table:
        later = table.case_id.map(order) - patients.map(first)
        pooled["slice"] = table.slice + APART * later
    if "level" in table:
        return pooled.groupby(["case_id", "level"], as_index=False)[["negative", "positive"]].sum()
    return pooled
