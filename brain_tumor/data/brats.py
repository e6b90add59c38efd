"""A folder of BraTS exams, read once before it becomes a cohort: an exam is whole, on one grid and of known labels, or refused.

Real folders hold files that are none of this: a segmentation that is tumour in every voxel, labels stored as floats, sequences on
different grids. Each is named in a line.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from brain_tumor.data import labels
from brain_tumor.data.cache import SMALLEST
from brain_tumor.data.cohort import Spacing
from brain_tumor.data.fingerprints import slice_digests
from brain_tumor.data.readers import brats, brats_files
from brain_tumor.data.readers.brats import Choices, Scans
from brain_tumor.data.readers.brats_files import Exam
from brain_tumor.errors import DataError
from brain_tumor.progress import in_threads

READERS = 2  # threads; an exam of 155 slices takes some 150 MB while it is read


@dataclass(frozen=True)
class Survey:
    """What the files of a folder say.

    Attributes:
        source: the folder.
        choices: how they are read, the convention of labels among it where all exams share one.
        exams: those that can be read, with their extent.
        rows: ``case, slice, SHA-256 of the image, of the mask`` of every slice, for the manifest.
        refusals: a line for each exam that cannot be read.
        notes: what a person should know, a line each.
    """

    source: Path
    choices: Choices
    exams: tuple[Exam, ...]
    rows: list[tuple[str, int, str, str]]
    refusals: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Facts:
    """What is left of an exam's voxels."""

    shape: tuple[int, ...]
    spacing_mm: Spacing | None
    digests: list[tuple[str, str]]
    regions: tuple[bool, ...]
    convention: str


def survey(folder: Path, choices: Choices) -> Survey:
    """Read every exam once.

    Raises:
        DataError: no such folder, no exam in it, none that can be read, or slices of unlike sizes.
    """
    exams, refusals, facts = brats_files.find(folder), [], {}
    title = f"reading {folder.name}"
    for exam, of_exam in zip(
        exams, in_threads(lambda exam: _facts(exam, choices), exams, title, lambda exam: exam.name, threads=READERS), strict=True
    ):
        if isinstance(of_exam, DataError):
            refusals.append(str(of_exam))
        else:
            facts[exam] = of_exam
    if not facts:
        raise DataError(f"{folder}: none of {len(exams)} exams can be read; the first: {refusals[0]}")
    shapes = {of.shape[1:]: exam.name for exam, of in facts.items()}
    if len(shapes) > 1:
        (shape, name), (other, another) = list(shapes.items())[:2]
        raise DataError(
            f"{folder}: slices of {shape[1]} x {shape[0]} in {name} and of {other[1]} x {other[0]} in {another}; BraTS and the "
            "Decathlon bring all exams to one size"
        )
    rows = [(exam.name, number, *digests) for exam, of in facts.items() for number, digests in enumerate(of.digests, 1)]
    whole = tuple(replace(exam, depth=of.shape[0], spacing_mm=of.spacing_mm) for exam, of in facts.items())
    return Survey(folder, choices, whole, rows, tuple(refusals), _notes(facts))


def _facts(exam: Exam, choices: Choices) -> _Facts | DataError:
    try:
        scans: Scans = brats.read_exam(exam, choices)
    except DataError as error:
        return error
    if scans.depths is None or scans.convention is None:
        return DataError(f"{exam.name}: no segmentation, so nothing can be learnt from it or scored on it")
    if min(scans.images.shape[1:3]) < SMALLEST:
        return DataError(
            f"{exam.name}: slices of {scans.images.shape[2]} x {scans.images.shape[1]}, expected {SMALLEST} at least"
        )
    present = tuple(bool((scans.depths > place).any()) for place in range(len(labels.REGIONS)))
    spacing = scans.grid.spacing_mm
    return _Facts(scans.depths.shape, spacing, slice_digests(scans.images, scans.depths), present, scans.convention.name)


def _notes(facts: dict[Exam, _Facts]) -> tuple[str, ...]:
    notes = []
    for name, count in Counter(of.convention for of in facts.values()).items():
        convention = labels.CONVENTIONS[name]
        numbers = ", ".join(f"{number} {tissue}" for number, tissue in convention.labels.items())
        notes.append(f"labels of {count} exam{'s' * (count > 1)}: {convention.used_by} ({numbers})")
    for place, region in enumerate(labels.REGIONS):
        if without := sum(not of.regions[place] for of in facts.values()):
            notes.append(f"{without} exam{'s' * (without > 1)} without {labels.TITLES[region]}")
    for exam in facts:
        if exam.missing:
            notes.append(f"{exam.name}: no {' and no '.join(exam.missing)}; FLAIR stands in")
    return tuple(notes)


def first_lines(lines: Sequence[str], most: int = 20) -> list[str]:
    """As many lines as a person reads, and how many more there are."""
    return [*lines[:most], *([f"and {len(lines) - most} more"] if len(lines) > most else [])]
