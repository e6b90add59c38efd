"""Segmentation networks of volumes: those of slices, inflated (:mod:`brain_tumor.models.inflate`).

Both take ``(B, depth, size, size, channels)`` float32 and give ``(B, depth, size, size, regions)`` float32 logits, one a region:
regions lie one inside another, so their probabilities do not add up to 1.
"""

import keras

from brain_tumor.models import unet as flat
from brain_tumor.models.architectures import RESUNET_FILTERS
from brain_tumor.models.inflate import inflated

PLANAR = 2  # halvings within planes alone: planes of the LGG data lie two to six times as far apart as pixels


def unet3d(
    backbone: str,
    size: int,
    depth: int,
    channels: int = 3,
    regions: int = 1,
    batchnorm_momentum: float = 0.99,
    planar: int = PLANAR,
    norm: str = "batch",
) -> keras.Model:
    """U-Net whose encoder is a ResNet in three dimensions, random weights.

    Args:
        backbone, channels, batchnorm_momentum: as of :func:`brain_tumor.models.unet.unet`.
        size, depth: of the volumes that it takes: height and width, and planes.
        regions: logits a voxel.
        planar, norm: as of :func:`brain_tumor.models.inflate.inflated`.
    """
    return inflated(flat.unet(backbone, size, channels, batchnorm_momentum), depth, planar, regions, norm)


def resunet3d(
    size: int,
    depth: int,
    channels: int = 3,
    regions: int = 1,
    filters: tuple[int, ...] = RESUNET_FILTERS,
    batchnorm_momentum: float = 0.99,
    halved: bool = False,
    deep_supervision: int = 0,
    planar: int = PLANAR,
    norm: str = "batch",
) -> keras.Model:
    """ResUNet in three dimensions, random weights; arguments as of :func:`brain_tumor.models.unet.resunet` and :func:`unet3d`."""
    network = flat.resunet(size, channels, filters, batchnorm_momentum, halved, deep_supervision)
    return inflated(network, depth, planar, regions, norm)
