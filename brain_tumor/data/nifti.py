"""Masks as NIfTI volumes, which ITK-SNAP, 3D Slicer and nnU-Net open.

Inside, slices come first and rows second (DESIGN law 1); a NIfTI array is ``(x, y, z)``: axes are turned here and nowhere else.
"""

from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Image

from brain_tumor import files

ENDINGS = (".nii", ".nii.gz")


def write_mask(path: Path, mask: np.ndarray, spacing_mm: tuple[float, float, float] | None = None) -> None:
    """Write a mask ``(Z, H, W)`` in {0, 1} as ``(W, H, Z)`` uint8 of 0 and 1, atomically.

    Where the patient lay in the scanner is not known: the file says so (both form codes 0), and a viewer shows the voxel grid.

    Args:
        path: ``.nii`` or ``.nii.gz``.
        spacing_mm: the size of a voxel, slice distance first; None: not known, written as 1 mm.
    """
    image = Nifti1Image(np.ascontiguousarray(mask.astype(np.uint8).transpose(2, 1, 0)), None)
    image.header.set_zooms(tuple(reversed(spacing_mm or (1.0, 1.0, 1.0))))
    image.header.set_xyzt_units("mm")
    with files.atomic_path(path) as temporary:
        image.to_filename(temporary)
