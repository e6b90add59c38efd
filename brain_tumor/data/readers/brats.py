"""BraTS exams as volumes: four sequences on one grid, and in how many of three nested regions each voxel lies.

:mod:`brain_tumor.data.readers.brats_files` says which files are an exam's.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from brain_tumor import files
from brain_tumor.data import labels, nifti, resampling, sequences
from brain_tumor.data.cohort import FLAIR, Case, Cohort, Volume
from brain_tumor.data.readers.brats_files import SEQUENCES, Exam, find
from brain_tumor.data.readers.volume import read_extent, read_scan, read_volume
from brain_tumor.errors import DataError


@dataclass(frozen=True)
class Choices:
    """How exams are read where their files leave it open.

    Attributes:
        labels: the convention of segmentations (:data:`brain_tumor.data.labels.CONVENTIONS`); ``""``: told from names, numbers.
        fill_missing: FLAIR stands in for a sequence that an exam lacks, as in the LGG data.
        resample_to: the sequence on whose grid the others are brought; ``""``: other grids are refused.
    """

    labels: str = ""
    fill_missing: bool = False
    resample_to: str = ""

    def __post_init__(self) -> None:
        """Refuse words that name nothing."""
        if self.labels not in ("", *labels.CONVENTIONS):
            raise DataError(f"--labels {self.labels}: expected one of {', '.join(labels.CONVENTIONS)}")
        if self.resample_to and sequences.kind_of(self.resample_to) is None:
            raise DataError(f"--resample-to {self.resample_to}: no sequence, expected one of {', '.join(SEQUENCES)}")


@dataclass(frozen=True)
class Scans:
    """What the files of an exam hold.

    Attributes:
        images: ``(Z, H, W, 4)`` uint8, face up and seen from the feet, as slices of the LGG data lie.
        depths: ``(Z, H, W)`` uint8, in how many regions each voxel lies; None without a segmentation.
        grid: how the voxels lie in the files.
        convention: of the segmentation's labels.
    """

    images: np.ndarray
    depths: np.ndarray | None
    grid: nifti.Grid
    convention: labels.Convention | None = None


@dataclass(frozen=True)
class ExamReader:
    """Reads one exam of a cohort: the reader of :class:`brain_tumor.data.cohort.Case`."""

    exam: Exam
    choices: Choices = field(default_factory=Choices)

    def __call__(self, case: Case) -> Volume:
        """``images (Z, H, W, 4)`` uint8 and depths ``(Z, H, W)`` uint8."""
        scans = read_exam(self.exam, self.choices)
        if scans.depths is None:
            raise DataError(f"{case.case_id}: no segmentation, so nothing can be learnt from it or scored on it")
        return scans.images, scans.depths


def read_cohort(folder: Path, choices: Choices | None = None, name: str = "brats", phantom: bool = False) -> Cohort:
    """The exams of a folder as a cohort of three regions; of every exam the header of one file is read, and no voxel.

    Raises:
        DataError: as of :func:`find`; or an exam without FLAIR or without a segmentation.
    """
    return cohort_of(name, folder, [_with_extent(exam) for exam in find(folder)], choices or Choices(), phantom=phantom)


def cohort_of(
    name: str, root: Path, exams: Sequence[Exam], choices: Choices, phantom: bool = False, notes: Sequence[str] = ()
) -> Cohort:
    """A cohort of exams whose extent is known.

    Args:
        root: where they lie.
        notes: what a person should know of them.
    """
    cases = []
    for exam in exams:
        numbers = tuple(range(1, exam.depth + 1))
        cases.append(Case(exam.name, exam.patient, "", numbers, exam.sources, {}, ExamReader(exam, choices), exam.spacing_mm))
    return Cohort(
        name=name,
        root=root,
        sequences=SEQUENCES,
        cases=tuple(cases),
        phantom=phantom,
        notes=tuple(notes),
        regions=labels.REGIONS,
        choices=files.sha256_json(asdict(choices)),
        radiological=True,
    )


def _with_extent(exam: Exam) -> Exam:
    if exam.truth is None or FLAIR not in exam.images:
        lacking = FLAIR if exam.truth else "file of labels"
        raise DataError(f"{exam.name}: no {lacking}, which the exams of a cohort need")
    depth, spacing_mm = read_extent(exam.images[FLAIR])
    return replace(exam, depth=depth, spacing_mm=spacing_mm)


def read_exam(exam: Exam, choices: Choices) -> Scans:
    """Read an exam's files onto one grid.

    Raises:
        DataError: a file is missing, damaged or too large; a sequence is missing, or lies on another grid, and nobody said what
            to do; the segmentation is none, or its convention cannot be told.
    """
    if exam.missing and not choices.fill_missing:
        raise DataError(f"{exam.name}: no {' and no '.join(exam.missing)}; --fill-missing lets FLAIR stand in")
    if FLAIR not in exam.images:
        raise DataError(f"{exam.name}: no {FLAIR}, which stands in for other sequences and is never stood in for")
    volumes = _volumes(exam)
    onto = volumes.get(sequences.kind_of(choices.resample_to) or "") if choices.resample_to else volumes[FLAIR]
    if onto is None:
        raise DataError(f"{exam.name}: no {choices.resample_to}, to whose grid the others are to be brought")
    images = []
    for name in SEQUENCES:
        volume, path = volumes.get(name, volumes[FLAIR]), exam.images.get(name, exam.images[FLAIR])
        images.append(_on_grid(volume, onto, path, choices, exam)[..., 0])
    depths, convention = _truth(exam, onto, choices)
    grid = nifti.Grid(onto.planes.shape[:3], onto.affine, onto.spacing_mm, turned=onto.affine is not None)
    if grid.turned:  # by half a turn: the face up, the patient's right on the left
        images = [plane[:, ::-1, ::-1] for plane in images]
        depths = None if depths is None else np.ascontiguousarray(depths[:, ::-1, ::-1])
    return Scans(np.stack(images, axis=-1), depths, grid, convention)


def read_labels(path: Path) -> nifti.Volume:
    """A segmentation, whose planes ``(Z, H, W)`` have no channel axis.

    Raises:
        DataError: as of :func:`brain_tumor.data.readers.volume.read_volume`; or several numbers a voxel.
    """
    volume = read_volume(path)
    if volume.planes.shape[-1] != 1:
        raise DataError(f"{path}: {volume.planes.shape[-1]} channels, expected a segmentation with one number a voxel")
    return replace(volume, planes=volume.planes[..., 0])


def _volumes(exam: Exam) -> dict[str, nifti.Volume]:
    """The volume of each sequence that there is, one channel each."""
    if exam.channels:
        path = next(iter(exam.images.values()))
        volume = read_scan(path)
        if volume.planes.shape[-1] != len(exam.channels):
            raise DataError(f"{path}: {volume.planes.shape[-1]} channels, expected {', '.join(exam.channels)}")
        return {name: replace(volume, planes=volume.planes[..., [place]]) for place, name in enumerate(exam.channels)}
    volumes = {name: read_scan(path) for name, path in exam.images.items()}
    for name, volume in volumes.items():
        if volume.planes.shape[-1] != 1:
            raise DataError(f"{exam.images[name]}: {volume.planes.shape[-1]} channels, expected one")
    return volumes


def _on_grid(volume: nifti.Volume, onto: nifti.Volume, path: Path, choices: Choices, exam: Exam) -> np.ndarray:
    """``(Z, H, W, 1)`` uint8 planes on the grid of ``onto``."""
    if not (choices.resample_to or volume.lies_like(onto)):
        raise DataError(
            f"{exam.name}: {path.name} has {volume.extent}, and {exam.images[FLAIR].name} {onto.extent}, on another grid; "
            "--resample-to flair brings all sequences onto one"
        )
    return resampling.images_onto(volume, onto, path)


def _truth(exam: Exam, onto: nifti.Volume, choices: Choices) -> tuple[np.ndarray | None, labels.Convention | None]:
    """In how many regions each voxel lies, and the convention in which the file says so."""
    if exam.truth is None:
        return None, None
    volume = read_labels(exam.truth)
    values = labels.values_of(volume.planes, exam.truth)
    convention = labels.tell(values, exam.truth, (choices.labels,) if choices.labels else exam.conventions)
    if volume.lies_like(onto):
        return labels.depths(volume.planes, convention), convention
    if not choices.resample_to:
        raise DataError(f"{exam.truth}: {volume.extent}, on another grid than the images: {onto.extent}")
    planes = resampling.onto(replace(volume, planes=volume.planes[..., None]), onto, exam.truth, labels=True)
    return labels.depths(planes[..., 0], convention), convention
