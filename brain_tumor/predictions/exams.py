"""Masks and predictions as exams: which planes of which case both sides hold, read a case at a time.

A file is a volume or a slice; a volume may stand against the slices of its case. A pair that does not fit is refused by name:
another shape, or another place in space.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brain_tumor.data import intensity
from brain_tumor.data.readers import masks
from brain_tumor.data.readers.masks import MaskFile, Spacing
from brain_tumor.errors import DataError
from brain_tumor.predictions import levels
from brain_tumor.predictions.identity import Identities, Identity
from brain_tumor.predictions.pairing import Folder

AFFINE_MM = 1e-2  # how far apart two affines may be: tools round them differently


@dataclass(frozen=True)
class Source:
    """The files that hold one case's planes, on one side.

    Attributes:
        who: whose they are.
        key: of the first file.
        files: slice number -> file; a volume, or the only file of its case, is under 0.
    """

    who: Identity
    key: str
    files: dict[int, Path]

    @property
    def whole(self) -> bool:
        """One file that holds all planes."""
        return set(self.files) == {0}

    @property
    def path(self) -> Path:
        """The first file, by which a refusal names the case."""
        return next(iter(self.files.values()))

    def read(self, like: np.ndarray | None = None) -> tuple[MaskFile, np.ndarray]:
        """The planes, and the number of each: ``(Z,)``.

        Args:
            like: the affine of the other side (:func:`brain_tumor.data.readers.masks.read`).

        Raises:
            DataError: a file is refused, or slices of one case differ in size or type.
        """
        if self.whole:
            volume = masks.read(self.path, like)
            return volume, np.arange(1, len(volume.planes) + 1)
        parts = {number: masks.read(path, like) for number, path in self.files.items()}
        first = next(iter(parts.values()))
        for number, part in parts.items():
            if len(part.planes) != 1:
                raise DataError(f"{self.files[number]}: {len(part.planes)} planes, expected one: slice {number}")
            if part.planes.shape != first.planes.shape:
                sizes = " and ".join(pixels(each.planes) for each in (part, first))
                raise DataError(f"{self.files[number]}: slices of {sizes} pixels in one case ({self.path.name})")
        planes = np.concatenate([part.planes for part in parts.values()])
        return MaskFile(planes, first.bytes_of_one, None, first.spacing_mm), np.array(list(parts))


@dataclass(frozen=True)
class Truth:
    """One case's masks, packed to a bit a pixel.

    Attributes:
        source: where they were read.
        numbers: ``(Z,)`` int, the number of each plane, ascending.
        shape: height and width as the files have them.
        packed: the bits.
        area: ``(Z,)`` int, the pixels of tumour on each plane.
        affine, spacing_mm: as of :class:`brain_tumor.data.readers.masks.MaskFile`; the spacing is the cohort's or table's
            where they say one.
    """

    source: Source
    numbers: np.ndarray
    shape: tuple[int, int]
    packed: np.ndarray
    area: np.ndarray
    affine: np.ndarray | None
    spacing_mm: Spacing | None

    @property
    def side(self) -> int:
        """Height and width of the planes, padded to a square as our own caches pad them."""
        return max(self.shape)

    def masks(self) -> np.ndarray:
        """``(Z, side, side)`` uint8 in {0, 1}."""
        length = len(self.numbers) * self.shape[0] * self.shape[1]
        planes = np.unpackbits(self.packed, count=length).reshape(-1, *self.shape)
        return intensity.pad_to_square(planes)


def read_truth(source: Source, labels: tuple[int, ...]) -> tuple[Truth, levels.Numbers]:
    """Read a case's masks, and look at what numbers they hold.

    Args:
        labels: those that are tumour; empty: every number above 0.
    """
    file, numbers = source.read()
    mask = levels.Levels(labels=labels).tumour(file.planes)
    spacing = source.who.spacing_mm or file.spacing_mm
    area, shape = mask.sum(axis=(1, 2), dtype=int), (mask.shape[1], mask.shape[2])
    truth = Truth(source, numbers, shape, np.packbits(mask), area, file.affine, spacing)
    return truth, levels.numbers(file.planes, file.bytes_of_one, source.path)


def read_predicted(source: Source, truth: Truth) -> tuple[np.ndarray, np.ndarray, levels.Numbers, bool]:
    """Read a case's prediction, in its own numbers, on the planes of the truth that it holds.

    Returns:
        ``(Z, H, W)``; the places of its planes among the truth's ``(Z,)``; what numbers its files hold; and whether it says
        where its voxels lie, as far as the truth does.

    Raises:
        DataError: another number of planes, another shape or another place in space than the truth.
    """
    file, numbers = source.read(truth.affine)
    if source.whole and len(numbers) != len(truth.numbers):
        raise DataError(f"{source.path}: {len(numbers)} planes, the truth of {truth.source.who.case_id} has {len(truth.numbers)}")
    if file.planes.shape[1:] != truth.shape:
        there = f"{truth.shape[1]} x {truth.shape[0]}"
        raise DataError(f"{source.path}: {pixels(file.planes)} pixels, the truth {truth.source.path} has {there}")
    if file.affine is not None and truth.affine is not None:
        apart = float(np.abs(file.affine - truth.affine).max())
        if apart > AFFINE_MM:
            raise DataError(
                f"{source.path}: lies elsewhere than the truth {truth.source.path}: their affines differ by {apart:.3g}; "
                "resample the prediction to the grid of the truth"
            )
    held = np.arange(len(numbers)) if source.whole else np.flatnonzero(np.isin(numbers, truth.numbers))
    places = held if source.whole else np.searchsorted(truth.numbers, numbers[held])
    placed = truth.affine is None or file.affine is not None
    return file.planes[held], places, levels.numbers(file.planes, file.bytes_of_one, source.path), placed


def sources(folder: Folder, identities: Identities, keys: Iterable[str]) -> dict[str, Source]:
    """Case -> its files, by case: some files of a folder.

    Raises:
        DataError: several files of one case and no slice numbers, or one number twice.
    """
    by_case: dict[str, list[tuple[str, Identity]]] = defaultdict(list)
    for key in keys:
        who = identities.of(key)
        by_case[who.case_id].append((key, who))
    cases = {}
    for case_id, members in by_case.items():
        files: dict[int, Path] = {}
        for key, who in members:
            if who.number is None and len(members) > 1:
                raise DataError(
                    f"{folder.files[key]}: {len(members)} files of case {case_id} and no slice number; give a --pattern with "
                    "(?P<slice>...), or a --table with a column slice"
                )
            number = who.number or 0
            if number in files:
                raise DataError(f"{folder.files[key]}: slice {number} of case {case_id} is there twice (also {files[number]})")
            files[number] = folder.files[key]
        cases[case_id] = Source(members[0][1], members[0][0], dict(sorted(files.items())))
    return dict(sorted(cases.items()))


def pixels(planes: np.ndarray) -> str:
    """``240 x 155``: width and height."""
    return f"{planes.shape[2]} x {planes.shape[1]}"
