"""What is measured of a predicted region: its area, box, centre and side in each slice, and its volume in the exam."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from brain_tumor.data.cohort import Spacing
from brain_tumor.evaluation import localisation

MIDDLE = 0.05  # of the head's width: a centre that lies nearer to its middle line lies on neither side


@dataclass(frozen=True)
class Region:
    """What is called tumour in one slice.

    Attributes:
        slice: its number.
        pixels: how many.
        area_mm2: None where the size of a pixel is not known.
        box: top, left, bottom and right, in pixels from the upper left; bottom and right are just outside.
        centre: row and column.
        side: ``left``, ``right`` or ``middle`` of the head as the picture shows it.
    """

    slice: int
    pixels: int
    area_mm2: float | None
    box: tuple[int, int, int, int]
    centre: tuple[float, float]
    side: str


@dataclass(frozen=True)
class Measures:
    """What is called tumour in an exam.

    Attributes:
        slices: how many were looked at.
        regions: those slices where something is called tumour.
        voxels: how many in all.
        ml: the volume; None where the size of a voxel is not known.
    """

    slices: int
    regions: tuple[Region, ...]
    voxels: int
    ml: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and names."""
        return asdict(self)


def measure(images: np.ndarray, masks: np.ndarray, numbers: np.ndarray, spacing_mm: Spacing | None = None) -> Measures:
    """Measure a prediction.

    Args:
        images: ``(n, H, W)`` uint8, the slices in one sequence: they say where the head lies.
        masks: ``(n, H, W)`` in {0, 1}.
        numbers: ``(n,)`` int, of the slices.
        spacing_mm: the size of a voxel, slice distance first.
    """
    pixel = spacing_mm[1] * spacing_mm[2] if spacing_mm else None
    regions = []
    for number, plane, mask in zip(numbers.tolist(), images, masks, strict=True):
        extent = localisation.extent("truth", mask)
        if pixels := extent["truth_px"]:
            top, left, bottom, right = (extent[f"truth_{name}"] for name in localisation.BOX)
            row, column = (float(extent[f"truth_{name}"]) for name in localisation.CENTRE)
            area = round(pixels * pixel, 1) if pixel else None
            regions.append(Region(number, pixels, area, (top, left, bottom, right), (row, column), side(plane, column)))
    voxels = sum(region.pixels for region in regions)
    return Measures(len(masks), tuple(regions), voxels, millilitres(voxels, spacing_mm))


def millilitres(voxels: int, spacing_mm: Spacing | None) -> float | None:
    """The volume of so many voxels; None where their size is not known."""
    return round(voxels * math.prod(spacing_mm) / 1000, 2) if spacing_mm else None


def side(plane: np.ndarray, column: float) -> str:
    """On which side of the head's middle line a column lies, as the picture ``(H, W)`` shows it."""
    columns = np.flatnonzero((plane > plane.mean()).any(axis=0))
    if not len(columns):
        return "middle"
    distance = (column - (columns[0] + columns[-1]) / 2) / (columns[-1] - columns[0] + 1)
    return "middle" if abs(distance) < MIDDLE else "right" if distance > 0 else "left"
