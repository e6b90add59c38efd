"""A volume on the grid of another: where both lie is told by their affines."""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from brain_tumor.data.nifti import Volume
from brain_tumor.data.readers.volume import images_of
from brain_tumor.errors import DataError


def images_onto(volume: Volume, target: Volume, source: object) -> np.ndarray:
    """``(Z, H, W, C)`` uint8 images of ``volume`` on the grid of ``target``; as they are where they lie on it already."""
    if volume.lies_like(target):
        return images_of(volume)
    return np.rint(onto(replace(volume, planes=images_of(volume)), target, source)).astype(np.uint8)


def onto(volume: Volume, target: Volume, source: object, labels: bool = False) -> np.ndarray:
    """``(Z, H, W, C)`` planes of ``volume`` where ``target`` has its voxels; what lies outside is 0.

    Args:
        source: what refusals name.
        labels: take the nearest voxel, so that no new number appears, in place of the linear mean of those around.

    Raises:
        DataError: a file that does not tell where it lies.
    """
    if volume.grid is None or target.grid is None:
        raise DataError(f"{source}: a file without an affine cannot be resampled: nobody knows where its voxels lie")
    to_volume = np.linalg.inv(volume.grid) @ target.grid  # of places x, y, z
    kind = volume.planes.dtype if labels else np.float32
    planes = np.zeros((*target.planes.shape[:3], volume.planes.shape[-1]), kind)
    for channel in range(volume.planes.shape[-1]):
        voxels = volume.planes[..., channel].transpose(2, 1, 0).astype(kind, copy=False)
        shape = target.planes.shape[2::-1]
        moved = ndimage.affine_transform(voxels, to_volume[:3, :3], to_volume[:3, 3], shape, order=0 if labels else 1)
        planes[..., channel] = moved.transpose(2, 1, 0)
    return planes
