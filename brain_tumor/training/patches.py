"""Patches of volumes: where they lie is drawn anew in every epoch, from its seed, and some of them hold tumour for sure.

A patch is cut when a batch asks for it, from slices that lie on disk; what reaches beyond the volume is background.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brain_tumor.training.batches import SliceArrays

VALIDATION = 1 << 30  # the number of an epoch that never is: patches of the validation part are the same in every epoch


@dataclass(frozen=True)
class Volumes:
    """The exams of a part of a split.

    Attributes:
        images: ``(N, S, S, C)`` uint8, the slices of all exams of the cohort, memory-mapped or not.
        depths: ``(N, S, S)`` uint8, in how many regions each voxel lies.
        first, count: of each exam of this part the row of its first slice, and how many it has.
        scalings: ``(exams, 4, C)`` float32.
        areas: ``(N, regions)`` int, how many voxels of each region a slice holds.
        reference: the sequence that stands for a missing one.
    """

    images: np.ndarray
    depths: np.ndarray
    first: np.ndarray
    count: np.ndarray
    scalings: np.ndarray
    areas: np.ndarray
    reference: int


@dataclass(frozen=True)
class Patches:
    """Patches of one array of slices, cut as they are asked for.

    Attributes:
        planes: ``(N, S, S)`` or ``(N, S, S, C)`` uint8.
        places: ``(P, 5)`` int: the row of the exam's first slice, its number of slices, and where the patch begins: slice, row,
            column, which may lie outside.
        size: slices, height and width of a patch.
    """

    planes: np.ndarray
    places: np.ndarray
    size: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, ...]:
        """``(P, *size)``, and channels where there are some."""
        return (len(self.places), *self.size, *self.planes.shape[3:])

    @property
    def ndim(self) -> int:
        """4, or 5 with channels."""
        return len(self.shape)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """``(n, *size, ...)`` uint8."""
        cut = np.zeros((len(rows), *self.shape[1:]), np.uint8)
        for patch, (first, count, *corner) in zip(cut, self.places[rows], strict=True):
            inside = [
                (max(0, start), min(length, start + side))
                for start, length, side in zip(corner, (count, *self.planes.shape[1:3]), self.size, strict=True)
            ]
            if any(end <= start for start, end in inside):
                continue
            (low, high), rows_of, columns = inside
            target = tuple(slice(a - start, b - start) for (a, b), start in zip(inside, corner, strict=True))
            patch[target] = self.planes[first + low : first + high, slice(*rows_of), slice(*columns)]
        return cut


def draw(volumes: Volumes, size: tuple[int, int, int], each: int, foreground: float, seed: Sequence[int]) -> SliceArrays:
    """Patches of every exam of a part, an epoch's worth.

    Args:
        size: slices, height and width of a patch.
        each: patches of an exam.
        foreground: the share of patches that hold a voxel of a region, which is drawn among those that the exam has; the others
            lie anywhere.
        seed: decides all of it.
    """
    generator = np.random.default_rng(seed)
    places = []
    for first, count in zip(volumes.first, volumes.count, strict=True):
        extent = np.array([count, *volumes.images.shape[1:3]])
        areas = volumes.areas[first : first + count]
        present = np.flatnonzero(areas.sum(axis=0))
        for _ in range(each):
            centre = None
            if len(present) and generator.random() < foreground:
                centre = _voxel(volumes.depths[first : first + count], areas, int(generator.choice(present)), generator)
            places.append([first, count, *_corner(extent, np.array(size), centre, generator)])
    placed = np.array(places, int).reshape(-1, 5)
    images, targets = (Patches(planes, placed, size) for planes in (volumes.images, volumes.depths))
    scalings = np.repeat(volumes.scalings, each, axis=0)
    rows = np.arange(len(placed))
    return SliceArrays(images, targets, scalings, rows, reference=volumes.reference)  # type: ignore[arg-type] # asked by rows alone


def region_areas(depths: np.ndarray, regions: int) -> np.ndarray:
    """``(N, regions)`` int: how many voxels of each region every slice of ``depths (N, S, S)`` holds."""
    counts = np.array([np.bincount(np.ravel(plane), minlength=regions + 1) for plane in depths])
    return counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1 : regions + 1]


def _voxel(depths: np.ndarray, areas: np.ndarray, region: int, generator: np.random.Generator) -> np.ndarray:
    """A voxel of a region of an exam, each as likely as any other: first its slice, then its place in it."""
    plane = generator.choice(len(areas), p=areas[:, region] / areas[:, region].sum())
    place = generator.choice(np.flatnonzero(depths[plane] > region))
    return np.array([plane, *np.unravel_index(place, depths.shape[1:])])


def _corner(extent: np.ndarray, size: np.ndarray, centre: np.ndarray | None, generator: np.random.Generator) -> np.ndarray:
    """Where a patch begins: inside the volume where it fits, around its middle where it does not; with ``centre`` in it."""
    spare = extent - size
    if centre is None:
        corner = generator.integers(np.maximum(spare, 0) + 1)
    else:
        corner = np.clip(centre - generator.integers(size), 0, np.maximum(spare, 0))
    return np.where(spare >= 0, corner, spare // 2)
