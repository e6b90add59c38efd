"""``Case`` and ``Cohort``: what a patient's exam is. Everything else speaks in these.

Axis order (DESIGN law 1): channels last, slices first. A volume is ``(Z, H, W, C)``, its mask ``(Z, H, W)``.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brain_tumor import files
from brain_tumor.data import patients
from brain_tumor.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Volume = tuple[np.ndarray, np.ndarray]
Spacing = tuple[float, float, float]  # mm: slice distance, height and width

COHORTS = ("lgg", "phantom", "phantombrats")  # those that every home has a name for; a person's own come besides
FLAIR = "flair"  # the sequence on which a glioma and the swelling around it show best

TITLES = {"pre": "pre-contrast", FLAIR: "FLAIR", "post": "post-contrast", "t1": "T1", "t1ce": "T1ce", "t2": "T2"}


def title_of(sequence: str) -> str:
    """A sequence's name as a person reads it."""
    return TITLES.get(sequence, sequence)


def reference_of(sequences: Sequence[str]) -> int:
    """The channel in which slices are drawn, and which stands in for a missing sequence: FLAIR, or the first where none is."""
    return list(sequences).index(FLAIR) if FLAIR in sequences else 0


def missing_sequences(images: np.ndarray, sequences: Sequence[str]) -> tuple[str, ...]:
    """The sequences of a volume ``(Z, H, W, C)`` whose channel is a copy of the reference channel on every slice."""
    reference = reference_of(sequences)
    plane = images[..., reference]
    others = [channel for channel in range(len(sequences)) if channel != reference]
    return tuple(sequences[channel] for channel in others if np.array_equal(images[..., channel], plane))


@dataclass(frozen=True)
class Case:
    """One exam of a patient.

    Attributes:
        case_id: the exam's name, ``TCGA_CS_4941_19960909``.
        patient: whose exam it is, ``TCGA_CS_4941``; the reader says so. Two exams of one person have one patient. ``""``: not
            known.
        site: the hospital's code, ``CS``; ``""``: not known.
        slice_numbers: the plane numbers as the source counts them, ascending.
        sources: every file that :meth:`load` reads, in a stable order.
        clinical: one value a clinical field, ``None`` where the source left it blank.
        spacing_mm: the size of a voxel, slice distance first; None where the source does not tell.
        reader: turns this case into ``images (Z, H, W, C) uint8`` and ``masks (Z, H, W) uint8 in {0, 1}``; of a cohort of several
            regions, a mask holds in how many of them a voxel lies (:mod:`brain_tumor.data.labels`).
    """

    case_id: str
    patient: str
    site: str
    slice_numbers: tuple[int, ...]
    sources: tuple[Path, ...]
    clinical: Mapping[str, float | None]
    reader: Callable[["Case"], Volume] = field(repr=False, compare=False)
    spacing_mm: Spacing | None = None

    def load(self) -> Volume:
        """Read the exam: what ``reader`` gives."""
        return self.reader(self)


@dataclass(frozen=True)
class Cohort:
    """Cases read from one source, ordered by ``case_id``.

    Attributes:
        name: the source's short name (``lgg``, ``phantom``, or one of your own).
        root: the folder that was read.
        sequences: the names of the channels, in order, in lower case; at least one.
        cases: the exams.
        phantom: True for synthetic data, which is never shown as real.
        copies: how many times the source holds its tree (Kaggle's download holds it twice).
        never_tested_sites: sites too small to hold out; their patients are always in training.
        notes: what a person should know of the folder that was read, a line each.
        outlined: masks are outlines. False: only slices are labelled, and a mask is its whole slice, or nothing.
        regions: the names of the nested regions that its masks tell apart, the outermost first; of BraTS WT, TC and ET.
        choices: how its sources are read, where a person chose that; ``""`` where there is one way.
        radiological: slices are seen from the feet, the face above, as in the LGG data; of your own, they lie as they are stored.
        caution: what a person should know wherever a split or a score is of this cohort, in one sentence.
    """

    name: str
    root: Path
    sequences: tuple[str, ...]
    cases: tuple[Case, ...]
    phantom: bool = False
    copies: int = 1
    never_tested_sites: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    outlined: bool = True
    regions: tuple[str, ...] = ("tumour",)
    choices: str = ""
    caution: str = ""
    radiological: bool = False

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    def __getitem__(self, case_id: str) -> Case:
        """The case of that identifier, however it is spelt; the date may be left out where that is enough."""
        matches = [case for case in self.cases if case_id in (case.case_id, case.patient)]
        if not matches:
            key = patients.key(case_id)
            matches = [case for case in self.cases if key in (patients.key(case.case_id), patients.key(case.patient))]
        if not matches:
            raise DataError(f"{self.root}: no case {case_id!r} in the cohort {self.name!r} ({len(self)} cases)")
        return matches[0]

    @property
    def reference(self) -> int:
        """The channel in which slices are drawn (:func:`reference_of`)."""
        return reference_of(self.sequences)

    @property
    def fields(self) -> "pd.DataFrame":
        """A row a case, indexed by ``case_id``: site and clinical fields, None or NaN where the source left them blank.

        A field that no case has is no column.
        """
        import pandas as pd  # a table is asked for by few, a cohort is opened by all

        rows = {case.case_id: ({"site": case.site} if case.site else {}) | dict(case.clinical) for case in self}
        return pd.DataFrame(list(rows.values()), index=pd.Index(rows, name="case_id"))

    @property
    def n_slices(self) -> int:
        return sum(len(case.slice_numbers) for case in self.cases)

    def fingerprint(self) -> str:
        """Hex SHA-256 of every source file's place in the tree and :func:`brain_tumor.files.stamp`; a changed source has another.

        It reads no pixels, so reopening a cohort stays quick; the pixels' own hash is taken when the cache is built.
        """
        root = os.path.join(self.root, "")  # with one separator at its end
        stamps = [(str(path).removeprefix(root), files.stamp(path)) for case in self.cases for path in case.sources]
        return files.sha256_json([self.name, stamps, *([self.choices] if self.choices else [])])
