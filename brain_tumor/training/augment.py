"""What training slices or volumes are put through, drawn once from a seed (rows 000.04-08).

Spatial changes (flip, rotate, zoom, warp, bend) go to image and mask together, the image sampled linearly, the mask by nearest
neighbour, so no new label can appear. What goes to the image alone is in :mod:`brain_tumor.training.brightness`, and lesions of
other patients in :mod:`brain_tumor.training.copy_paste`.
A volume is moved within its planes, all of them alike, as nnU-Net does where planes lie far apart (Isensee 2021, doi
10.1038/s41592-020-01008-z). An image's first channels are its sequences; what follows, such as a predicted mask, changes only in
space. Drawing and doing are apart: the ``draw`` functions use a generator, the ``apply`` functions are deterministic.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from brain_tumor.training.fields import check, setting

BENDS = 5  # points of the coarse grid, a side, between which a bend is smooth


@dataclass(frozen=True)
class Augmentation:
    """How far slices may be changed. A change with a probability of its own is made to that share of slices.

    Attributes:
        flip: mirror left and right, every second slice.
        rotation_degrees: turn by up to this angle either way.
        zoom: enlarge or shrink by up to this share.
        gamma: bend each sequence's brightness curve by a gamma of up to 1 + this, either way (scanners differ).
        sequence_dropout: share of slices in which pre, post or both become copies of FLAIR, as the LGG data itself has where a
            sequence was not taken; of any cohort, all but its reference sequence. Of a lone sequence nothing can be missing.
        rescale_copies: bring such a copy to FLAIR's scale, as in an exam that lacks the sequence; without it the copy keeps the
            scale of the sequence that it stands for, which no such exam has.
        warp: tilt the slice: each corner moves by up to this share of the side (fastai's ``max_warp``; row 000.07).
        elastic: bend the slice smoothly, by up to this share of the side (Simard 2003, doi 10.1109/ICDAR.2003.1227801).
        brightness: shift each sequence's curve by up to this; black and white stay, as fastai's ``max_lighting`` has it.
        contrast: steepen or flatten each sequence's curve by up to this, black and white staying.
        bias_field: brighten some places and darken others smoothly, by up to this share, all sequences alike, as a coil does
            (Van Leemput 1999, doi 10.1109/42.811268).
        copy_paste: share of slices that get a lesion of another training patient.
    """

    flip: bool = setting(True, "Mirror every second training slice.")
    rotation_degrees: float = setting(15.0, "Turn training slices by up to this, either way.", low=0, high=180)
    zoom: float = setting(0.1, "Enlarge or shrink them by up to this share.", low=0, high=1)
    gamma: float = setting(0.2, "Bend brightness by a gamma of up to 1 + this, either way.", low=0, high=2)
    gamma_probability: float = setting(1.0, "Share of slices whose curves are bent.", low=0, high=1, since="0.4")
    sequence_dropout: float = setting(0.15, "Share of slices in which sequences become copies of FLAIR.", low=0, high=1)
    rescale_copies: bool = setting(False, "Bring those copies to FLAIR's scale, as in exams that lack it.", since="0.4")
    warp: float = setting(0.0, "Tilt slices: corners move by up to this share of the side.", low=0, below=0.5, since="0.4")
    warp_probability: float = setting(0.5, "Share of slices that are tilted.", low=0, high=1, since="0.4")
    elastic: float = setting(0.0, "Bend slices smoothly by up to this share of the side.", low=0, high=0.1, since="0.4")
    elastic_probability: float = setting(0.5, "Share of slices that are bent.", low=0, high=1, since="0.4")
    brightness: float = setting(0.0, "Brighten or darken sequences by up to this.", low=0, below=1, since="0.4")
    brightness_probability: float = setting(0.5, "Share of slices that are brightened.", low=0, high=1, since="0.4")
    contrast: float = setting(0.0, "Steepen or flatten brightness curves by up to this.", low=0, below=1, since="0.4")
    contrast_probability: float = setting(0.5, "Share of slices whose contrast changes.", low=0, high=1, since="0.4")
    bias_field: float = setting(0.0, "Brighten and darken places smoothly by up to this share.", low=0, below=1, since="0.4")
    bias_field_probability: float = setting(0.5, "Share of slices with such a field.", low=0, high=1, since="0.4")
    copy_paste: float = setting(0.0, "Share of slices that get another patient's lesion.", low=0, high=1, since="0.4")

    def __post_init__(self) -> None:
        """Refuse a number beyond its limits."""
        check(self, "augmentation: ")

    @property
    def affine(self) -> bool:
        """Whether all it does is matrices and brightness curves, which a device can do by itself."""
        return not (self.warp or self.elastic or self.bias_field or self.copy_paste or self.rescale_copies)


NONE = Augmentation(flip=False, rotation_degrees=0.0, zoom=0.0, gamma=0.0, sequence_dropout=0.0)


class Warp(NamedTuple):
    """Changes that are no matrices, in shares of the side: ``corners (n, 4, 2)`` moves the corners (top left, top right, bottom
    right, bottom left; x, y), ``bends (n, B, B, 2)`` the points of a coarse grid; both float32.
    """

    corners: np.ndarray
    bends: np.ndarray


def draw(augmentation: Augmentation, n: int, size: int, generator: np.random.Generator) -> np.ndarray:
    """``(n, 2, 3)`` float32 affine matrices that map a source pixel to its new place, about the centre of the slice."""
    angle = np.deg2rad(generator.uniform(-1, 1, n) * augmentation.rotation_degrees)
    scale = np.exp(generator.uniform(-1, 1, n) * np.log1p(augmentation.zoom))
    mirror = np.where(augmentation.flip & (generator.random(n) < 0.5), -1.0, 1.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    linear = scale[:, None, None] * turn * np.stack([mirror, np.ones(n)], axis=1)[:, None, :]
    centre = np.full(2, (size - 1) / 2)
    return np.concatenate([linear, (centre - linear @ centre)[..., None]], axis=2).astype(np.float32)


def draw_warp(augmentation: Augmentation, n: int, generator: np.random.Generator) -> Warp | None:
    """Draw tilts and bends for ``n`` slices; None where the augmentation has neither."""
    if not (augmentation.warp or augmentation.elastic):
        return None
    tilted, bent = (generator.random(n) < share for share in (augmentation.warp_probability, augmentation.elastic_probability))
    corners = generator.uniform(-1, 1, (n, 4, 2)) * augmentation.warp * tilted[:, None, None]
    bends = generator.uniform(-1, 1, (n, BENDS, BENDS, 2)) * augmentation.elastic * bent[:, None, None, None]
    return Warp(corners.astype(np.float32), bends.astype(np.float32))


def apply(
    images: np.ndarray, targets: np.ndarray, matrices: np.ndarray, warp: Warp | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Move images and masks alike; what comes from outside is 0.

    Args:
        images: slices ``(n, S, S, C)``, or volumes ``(n, Z, S, S, C)``, whose planes all move alike.
        targets: masks ``(n, S, S)`` or ``(n, Z, S, S)``; or labels ``(n,)``, which stay as they are: a moved tumour is still a
            tumour.
        matrices: ``(n, 2, 3)``, of :func:`draw`.
        warp: of :func:`draw_warp`, done before the matrices.
    """
    moves = list(matrices) if warp is None else [_places(*each, images.shape[-2]) for each in zip(matrices, *warp, strict=True)]
    moved = _move(images, moves, cv2.INTER_LINEAR, images.shape[-3:])
    masks = targets.ndim == images.ndim - 1
    return moved, _move(targets, moves, cv2.INTER_NEAREST, targets.shape[-2:]) if masks else targets


def _places(matrix: np.ndarray, corners: np.ndarray, bends: np.ndarray, size: int) -> np.ndarray:
    """``(size, size, 2)`` float32: the place x, y that each pixel's value comes from."""
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * (size - 1)
    tilt = cv2.getPerspectiveTransform(square, square + corners * size)
    back = tilt @ np.linalg.inv(np.vstack([matrix.astype(float), [0, 0, 1]]))
    y, x = np.mgrid[:size, :size].astype(np.float32)
    places = cv2.perspectiveTransform(np.stack([x, y], axis=-1), back)
    return places + cv2.resize(bends, (size, size), interpolation=cv2.INTER_CUBIC) * size


def _move(planes: np.ndarray, moves: list[np.ndarray], sampling: int, of_plane: tuple[int, ...]) -> np.ndarray:
    """Each plane, of the shape ``of_plane`` (height, width and perhaps channels), by the matrix or the places of its slice."""
    moved, size = np.empty_like(planes), (of_plane[1], of_plane[0])
    for move, source, target in zip(moves, planes, moved, strict=True):
        for plane, place in zip(source.reshape(-1, *of_plane), target.reshape(-1, *of_plane), strict=True):
            if move.ndim == 2:
                there = cv2.warpAffine(plane, move, size, flags=sampling)
            else:
                there = cv2.remap(plane, move[..., 0], move[..., 1], sampling, borderMode=cv2.BORDER_CONSTANT)
            place[...] = there.reshape(of_plane)
    return moved
