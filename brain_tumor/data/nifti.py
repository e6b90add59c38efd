"""NIfTI volumes of masks and probabilities, which ITK-SNAP, 3D Slicer, nnU-Net and MONAI read and write.

Inside, slices come first and rows second (DESIGN law 1); a NIfTI array is ``(x, y, z)``: axes are turned here and nowhere else.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel import orientations
from nibabel.arrayproxy import ArrayProxy
from nibabel.nifti1 import Nifti1Image
from nibabel.nifti2 import Nifti2Image

from brain_tumor import files
from brain_tumor.errors import DataError

ENDINGS = (".nii", ".nii.gz")
BYTE = 1 / 255  # the scale of a file whose integers are probabilities, 255 = 1
Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class Volume:
    """What a file holds.

    Attributes:
        planes: ``(Z, H, W)`` in the file's own numbers: axial slices from foot to head where the file tells where it lies.
        bytes_of_one: the planes are uint8 with 255 for a probability of 1, as the file itself says.
        affine: ``(4, 4)``; None where the file does not tell where it lies (both form codes 0).
        spacing_mm: slice distance, height and width; None where the file does not tell.
    """

    planes: np.ndarray
    bytes_of_one: bool
    affine: np.ndarray | None
    spacing_mm: Spacing | None


def read(path: Path, check_size: Callable[[Sequence[int]], None], like: np.ndarray | None = None) -> Volume:
    """Read a volume, or a plane, of one number a voxel.

    Args:
        check_size: refuses a shape before a voxel is read.
        like: the affine by which a file is turned that does not tell where it lies.

    Raises:
        DataError: not NIfTI, or several numbers a voxel. Of a damaged file, whatever nibabel raises.
    """
    # By class, so that no other format is opened, whatever the file says of itself.
    kinds = [kind for kind in (Nifti2Image, Nifti1Image) if kind.path_maybe_image(path)[0]]
    if not kinds:
        raise DataError(f"{path}: no NIfTI file, or a damaged one")
    image = kinds[0].from_filename(path, mmap=False)
    shape = image.shape
    if len(shape) > 3 and all(length == 1 for length in shape[3:]):
        shape = shape[:3]
    if len(shape) not in (2, 3):
        raise DataError(f"{path}: {' x '.join(map(str, shape))} voxels, expected three axes: one mask, not one a class")
    check_size(shape)
    proxy = image.dataobj
    assert isinstance(proxy, ArrayProxy)
    bytes_of_one = image.get_data_dtype() == np.uint8 and math.isclose(proxy.slope, BYTE, rel_tol=1e-5)
    voxels = proxy.get_unscaled() if bytes_of_one else np.asanyarray(proxy)
    voxels = voxels.reshape(*shape, *[1] * (3 - len(shape)))
    stated = bool(image.header["sform_code"] or image.header["qform_code"])
    affine = np.asarray(image.affine, float) if stated else None
    lengths = tuple(float(length) for length in (*image.header.get_zooms(), 1.0)[:3])
    known = min(lengths) > 0 and (stated or lengths != (1.0, 1.0, 1.0))  # 1 mm is what stands there where nobody knows
    turned_by = like if affine is None else affine
    if turned_by is not None:
        voxels, lengths = _upright(voxels, turned_by, lengths)
    planes = np.ascontiguousarray(voxels.transpose(2, 1, 0))
    return Volume(planes, bytes_of_one, affine, (lengths[2], lengths[1], lengths[0]) if known else None)


def write_mask(path: Path, mask: np.ndarray, spacing_mm: Spacing | None = None) -> None:
    """Write a mask ``(Z, H, W)`` in {0, 1} as ``(W, H, Z)`` uint8 of 0 and 1, atomically.

    Where the patient lay in the scanner is not known: the file says so (both form codes 0), and a viewer shows the voxel grid.

    Args:
        path: ``.nii`` or ``.nii.gz``.
        spacing_mm: the size of a voxel, slice distance first; None: not known, written as 1 mm.
    """
    _write(path, mask.astype(np.uint8), spacing_mm, 1.0)


def write_probability(path: Path, probability: np.ndarray, spacing_mm: Spacing | None = None) -> None:
    """The same for probabilities ``(Z, H, W)`` uint8, 255 = 1, with the scale that makes them 0 to 1 for other tools."""
    _write(path, probability, spacing_mm, BYTE)


def _write(path: Path, planes: np.ndarray, spacing_mm: Spacing | None, scale: float) -> None:
    image = Nifti1Image(np.ascontiguousarray(planes.transpose(2, 1, 0)), None)
    image.header.set_zooms(tuple(reversed(spacing_mm or (1.0, 1.0, 1.0))))
    image.header.set_xyzt_units("mm")
    if scale != 1.0:
        image.header.set_slope_inter(scale, 0)
    with files.atomic_path(path) as temporary:
        image.to_filename(temporary)


def _upright(voxels: np.ndarray, affine: np.ndarray, lengths: tuple[float, ...]) -> tuple[np.ndarray, tuple[float, ...]]:
    """Axes towards right, front and head, so that the last one counts axial slices."""
    turn = orientations.io_orientation(affine)
    if np.isnan(turn).any():
        return voxels, lengths
    order = np.argsort(turn[:, 0])
    return orientations.apply_orientation(voxels, turn), tuple(lengths[axis] for axis in order)
