"""NIfTI volumes of images, masks and probabilities, which ITK-SNAP, 3D Slicer, nnU-Net and MONAI read and write.

Inside, slices come first and rows second (DESIGN law 1); a NIfTI array is ``(x, y, z)``: axes are turned here and nowhere else.
"""

import gzip
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np
from nibabel import orientations
from nibabel.arrayproxy import ArrayProxy
from nibabel.nifti1 import Nifti1Header, Nifti1Image
from nibabel.nifti2 import Nifti2Image

from brain_tumor import files
from brain_tumor.data.cohort import Spacing
from brain_tumor.data.memory import File, unpacked
from brain_tumor.errors import DataError

ENDINGS = (".nii", ".nii.gz")
MAX_OFFSET = 1 << 24  # bytes before the voxels: the header and its extensions
# Read by class, so that no other format is opened, whatever a file says of itself; where and how each class is marked.
MAGIC: dict[type[Nifti1Image], tuple[int, bytes]] = {Nifti2Image: (4, b"n+2\0"), Nifti1Image: (344, b"n+1\0")}
SMALLEST_VOXEL = 1e-9  # cubic mm
LONGEST_HEADER = 544  # bytes, of NIfTI 2
GRID_MM = 0.01  # how far corners of two volumes on one grid may lie apart: what rounding to float32 makes
BYTE = 1 / 255  # the scale of a file whose integers are probabilities, 255 = 1


@dataclass(frozen=True)
class Volume:
    """What a file holds.

    Attributes:
        planes: ``(Z, H, W)``, or ``(Z, H, W, C)`` where channels were asked for, in the file's own numbers: axial slices from
            foot to head, rows from the back, columns from the left where the file tells where it lies.
        bytes_of_one: the planes are uint8 with 255 for a probability of 1, as the file itself says.
        affine: ``(4, 4)`` of the voxels as stored; None where the file does not tell where it lies (both form codes 0).
        grid: ``(4, 4)`` of the voxels as turned: ``x, y, z`` of a place in planes, columns first; None likewise.
        spacing_mm: slice distance, height and width; None where the file does not tell.
        is_byte: stored as unsigned 8 bits without a scale.
    """

    planes: np.ndarray
    bytes_of_one: bool
    affine: np.ndarray | None
    grid: np.ndarray | None
    spacing_mm: Spacing | None
    is_byte: bool

    def lies_like(self, other: "Volume") -> bool:
        """Whether the planes of both are of one shape, and each voxel of one lies where the same voxel of the other does."""
        if self.planes.shape[:3] != other.planes.shape[:3] or (self.grid is None) != (other.grid is None):
            return False
        if self.grid is None or other.grid is None:
            return True
        corners = np.array([[0, 0, 0, 1], [*reversed(self.planes.shape[:3]), 1]]).T
        return np.allclose(self.grid @ corners, other.grid @ corners, rtol=1e-4, atol=GRID_MM)

    @property
    def extent(self) -> str:
        """Its grid in words: ``240 x 240 x 155 voxels of 1 x 1 x 1 mm``."""
        size = " x ".join(map(str, self.planes.shape[2::-1])) + " voxels"
        return size + (f" of {' x '.join(f'{length:.3g}' for length in reversed(self.spacing_mm))} mm" if self.spacing_mm else "")


@dataclass(frozen=True)
class Grid:
    """How the slices of a volume lie in its file.

    Attributes:
        shape: of the planes, ``(Z, H, W)``.
        affine: ``(4, 4)`` of the voxels as stored; None where the file does not tell.
        spacing_mm: of the planes.
        turned: every plane was turned by half a turn after it was read.
    """

    shape: tuple[int, ...]
    affine: np.ndarray | None
    spacing_mm: Spacing | None
    turned: bool = False

    def restored(self, planes: np.ndarray) -> np.ndarray:
        """Planes ``(Z, H, W)`` as voxels ``(x, y, z)``, as they are stored in the file."""
        upright = planes[:, ::-1, ::-1] if self.turned else planes
        voxels = upright.transpose(2, 1, 0)
        turn = None if self.affine is None else orientations.io_orientation(self.affine)
        if turn is None or np.isnan(turn).any():
            return voxels
        back = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), turn)
        return orientations.apply_orientation(voxels, back)


def is_nifti(path: File) -> bool:
    """Whether a path is called a NIfTI file."""
    return path.name.lower().endswith(ENDINGS)


def stem(path: File) -> str:
    """A file's name without its ending, ``.nii.gz`` being one."""
    return path.name[: -len(".nii.gz")] if path.name.lower().endswith(".nii.gz") else path.stem


def read(
    path: File, check_size: Callable[[Sequence[int]], None], like: np.ndarray | None = None, channels: int | None = None
) -> Volume:
    """Read a volume, or a plane, of one number a voxel, or of several channels.

    Args:
        check_size: refuses a shape before a voxel is read.
        like: the affine by which a file is turned that does not tell where it lies.
        channels: how many a fourth axis may have; None: there must be none.

    Raises:
        DataError: not NIfTI, too many numbers a voxel, or no numbers. Of a damaged file, whatever nibabel raises.
    """
    image = _image_of(path, check_size)
    shape, number, proxy, kind = image.shape[:3], math.prod(image.shape[3:]), image.dataobj, image.get_data_dtype()
    if len(shape) not in (2, 3) or not 0 < number <= (channels or 1):
        expected = f", and perhaps a fourth of at most {channels} channels" if channels else ": one mask, not one a class"
        raise DataError(f"{path}: {' x '.join(map(str, image.shape))} voxels, expected three axes{expected}")
    assert isinstance(proxy, ArrayProxy)
    if kind.fields or kind.kind not in "iuf":
        raise DataError(f"{path}: voxels of type {kind}, expected numbers")
    if not 0 <= proxy.offset <= MAX_OFFSET:
        raise DataError(f"{path}: its voxels begin at byte {proxy.offset:,}, expected a header of at most {MAX_OFFSET:,}")
    bytes_of_one = image.get_data_dtype() == np.uint8 and math.isclose(proxy.slope, BYTE, rel_tol=1e-5)
    voxels = proxy.get_unscaled() if bytes_of_one else np.asanyarray(proxy)
    voxels = voxels.reshape(*shape, *[1] * (3 - len(shape)), number)
    affine = _affine(image.header)
    if affine is not None and not (np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > SMALLEST_VOXEL):
        raise DataError(f"{path}: its affine does not say where its voxels lie (it is singular, or no numbers)")
    lengths = tuple(float(length) for length in (*image.header.get_zooms(), 1.0)[:3])
    is_byte = kind == np.uint8 and (proxy.slope, proxy.inter) == (1, 0)
    volume = turned(voxels, affine, lengths, like, bytes_of_one, is_byte)
    return volume if channels else replace(volume, planes=volume.planes[..., 0])


def read_extent(path: Path) -> tuple[int, Spacing | None]:
    """How many axial slices a file on a disk has, and its spacing, without reading a voxel.

    Raises:
        DataError: no NIfTI file.
    """
    with unpacked(path) as stream:
        _, header, _ = _header(stream, path)
    shape = header.get_data_shape()
    if len(shape) < 3:
        raise DataError(f"{path}: no NIfTI volume")
    # A volume of the same axes that holds nothing: the turns are those of the real one.
    empty = turned(np.broadcast_to(np.uint8(0), (*shape[:3], 1)), _affine(header), header.get_zooms()[:3])
    return len(empty.planes), empty.spacing_mm


def turned(
    voxels: np.ndarray,
    affine: np.ndarray | None,
    lengths: Sequence[float],
    like: np.ndarray | None = None,
    bytes_of_one: bool = False,
    is_byte: bool = False,
) -> Volume:
    """Voxels ``(x, y, z, C)`` as they are stored, turned to planes ``(Z, H, W, C)``.

    Args:
        affine: of the voxels; None where the file does not tell where they lie.
        lengths: mm, of a voxel along each axis as stored.
        like, bytes_of_one, is_byte: as of :func:`read` and :class:`Volume`.
    """
    lengths, shape = tuple(map(float, lengths)), voxels.shape[:3]
    # 1 mm is what stands there where nobody knows.
    known = min(lengths) > 0 and (affine is not None or lengths != (1.0, 1.0, 1.0))
    turned_by = like if affine is None else affine
    if turned_by is not None:
        voxels, lengths = _upright(voxels, turned_by, lengths)
    grid = None if affine is None else affine @ _turn_back(affine, shape)
    planes = np.ascontiguousarray(voxels.transpose(2, 1, 0, 3))
    spacing = (lengths[2], lengths[1], lengths[0]) if known else None
    return Volume(planes, bytes_of_one, affine, grid, spacing, is_byte)


def _header(stream: IO[bytes], path: File) -> tuple[type[Nifti1Image], Nifti1Header, bytes]:
    """The class of a file that is read from its beginning, its header, and the bytes that were read for it."""
    head = stream.read(LONGEST_HEADER)
    kind = next((kind for kind, (place, magic) in MAGIC.items() if head[place : place + len(magic)] == magic), None)
    if kind is None:
        raise DataError(f"{path}: no NIfTI file, or a damaged one")
    return kind, kind.header_class.from_fileobj(io.BytesIO(head)), head


def _affine(header: Nifti1Header) -> np.ndarray | None:
    """``(4, 4)`` of the voxels as stored; None where the file does not tell where it lies."""
    stated = bool(header["sform_code"] or header["qform_code"])
    return np.asarray(header.get_best_affine(), float) if stated else None


def _image_of(path: File, check_size: Callable[[Sequence[int]], None]) -> Nifti1Image:
    """The image in a file; no more is unpacked than its header announces, and what is packed is checked to its end."""
    with unpacked(path) as stream:
        kind, header, head = _header(stream, path)
        shape = header.get_data_shape()
        check_size(shape)
        whole = min(header.get_data_offset(), MAX_OFFSET) + math.prod(map(int, shape)) * header.get_data_dtype().itemsize
        content = head + stream.read(max(0, whole - len(head)))
        stream.read(1)  # at its end gzip compares length and checksum
    return kind.from_stream(io.BytesIO(content))


def write_mask(path: Path, mask: np.ndarray, spacing_mm: Spacing | None = None, grid: Grid | None = None) -> None:
    """Write a mask ``(Z, H, W)`` of 0 and 1, or of the labels of several regions, as uint8, atomically.

    Args:
        path: ``.nii`` or ``.nii.gz``.
        spacing_mm: the size of a voxel, slice distance first; None: not known, written as 1 mm.
        grid: how the exam's own volume lies: the mask is written as that is stored. Without it where the patient lay in the
            scanner is not known: the file, ``(W, H, Z)``, says so (both form codes 0), and a viewer shows the voxel grid.
    """
    with files.atomic_path(path) as temporary:
        _image(mask.astype(np.uint8), spacing_mm, grid).to_filename(temporary)


def mask_bytes(mask: np.ndarray, spacing_mm: Spacing | None = None, grid: Grid | None = None) -> bytes:
    """The file that :func:`write_mask` would write as ``.nii.gz``."""
    return gzip.compress(_image(mask.astype(np.uint8), spacing_mm, grid).to_bytes(), mtime=0)


def write_probability(path: Path, probability: np.ndarray, spacing_mm: Spacing | None = None) -> None:
    """The same for probabilities ``(Z, H, W)`` uint8, 255 = 1, with the scale that makes them 0 to 1 for other tools."""
    image = _image(probability, spacing_mm)
    image.header.set_slope_inter(BYTE, 0)
    with files.atomic_path(path) as temporary:
        image.to_filename(temporary)


def _image(planes: np.ndarray, spacing_mm: Spacing | None, grid: Grid | None = None) -> Nifti1Image:
    voxels = np.ascontiguousarray(grid.restored(planes) if grid else planes.transpose(2, 1, 0))
    image = Nifti1Image(voxels, grid.affine if grid else None)
    if grid is None or grid.affine is None:
        image.header.set_zooms(tuple(reversed(spacing_mm or (1.0, 1.0, 1.0))))
    image.header.set_xyzt_units("mm")
    return image


def _upright(voxels: np.ndarray, affine: np.ndarray, lengths: tuple[float, ...]) -> tuple[np.ndarray, tuple[float, ...]]:
    """Axes towards right, front and head, so that the last one counts axial slices."""
    turn = orientations.io_orientation(affine)
    if np.isnan(turn).any():
        return voxels, lengths
    order = np.argsort(turn[:, 0])
    return orientations.apply_orientation(voxels, turn), tuple(lengths[axis] for axis in order)


def _turn_back(affine: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """``(4, 4)``: from a place in turned voxels to one in those stored."""
    turn = orientations.io_orientation(affine)
    return np.eye(4) if np.isnan(turn).any() else orientations.inv_ornt_aff(turn, (*shape, 1, 1)[:3])
