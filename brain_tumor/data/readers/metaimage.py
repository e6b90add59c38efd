"""MetaImage volumes (``.mha``), the format of BraTS 2012 and 2013, read by SimpleITK and turned as NIfTI volumes are.

SimpleITK comes with the extra ``mha``. Only its MetaImage reader is asked, and a file's size is checked before a voxel is read.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from brain_tumor.data import nifti
from brain_tumor.data.cohort import Spacing
from brain_tumor.data.memory import File
from brain_tumor.errors import DataError

ENDING = ".mha"
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # ITK's axes run to the left and the back, NIfTI's to the right and the front


def is_one(file: File) -> bool:
    """Whether a file on a disk is called a MetaImage."""
    return isinstance(file, Path) and file.name.lower().endswith(ENDING)


def read(path: Path, check_size: Callable[[Sequence[int]], None]) -> nifti.Volume:
    """A volume of one number a voxel.

    Args:
        check_size: refuses a shape before a voxel is read.

    Raises:
        DataError: SimpleITK is not installed, the file is none, or it holds more than one number a voxel. Of a damaged file,
            whatever SimpleITK raises.
    """
    reader = _reader(path)
    check_size(reader.GetSize())
    import SimpleITK

    voxels = SimpleITK.GetArrayFromImage(reader.Execute()).transpose(2, 1, 0)  # x, y, z
    return nifti.turned(voxels[..., None], _affine(reader), reader.GetSpacing(), is_byte=voxels.dtype == np.uint8)


def read_extent(path: Path) -> tuple[int, Spacing | None]:
    """As :func:`brain_tumor.data.nifti.read_extent`."""
    reader = _reader(path)
    empty = nifti.turned(np.broadcast_to(np.uint8(0), (*reader.GetSize(), 1)), _affine(reader), reader.GetSpacing())
    return len(empty.planes), empty.spacing_mm


def _reader(path: Path) -> Any:
    """SimpleITK's reader of one file, which has read its header."""
    try:
        import SimpleITK
    except ImportError:
        raise DataError(f"{path}: MetaImage needs SimpleITK, which is not installed: pip install 'brain-tumor[mha]'") from None
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("MetaImageIO")
    reader.SetFileName(os.fspath(path))
    reader.ReadImageInformation()
    shape = reader.GetSize()
    if len(shape) != 3 or reader.GetNumberOfComponents() != 1:
        raise DataError(f"{path}: {' x '.join(map(str, shape))} voxels, expected three axes and one number a voxel")
    return reader


def _affine(reader: Any) -> np.ndarray:
    """``(4, 4)``, as NIfTI has it."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(reader.GetDirection(), (3, 3)) * np.array(reader.GetSpacing())
    affine[:3, 3] = reader.GetOrigin()
    return LPS_TO_RAS @ affine
