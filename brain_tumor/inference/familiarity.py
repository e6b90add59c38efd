"""Whether a slice looks like those that a network was trained on; what does not is refused, since its answer would mean nothing.

A slice is described in two ways that no network takes part in: by a thumbnail, which says where a head is bright and dark, and by
its texture, which says how sharp and how smooth it is. It is familiar where a typical training slice is near in both. A typical
slice is the mean of slices of at least three patients, so that a model's file holds no patient's picture. How near is near enough
is chosen out of fold among the training patients: in each way all but one slice in twenty of theirs are familiar.

It catches photographs, text and noise. It cannot tell a sequence by its pixels, and not every scan of another kind (notebook 11).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from sklearn.cluster import KMeans
from sklearn.model_selection import GroupKFold

from brain_tumor import files
from brain_tumor.data import intensity
from brain_tumor.errors import FileError, ModelError
from brain_tumor.evaluation import storage
from brain_tumor.inference.intake import Exam

FILE = "familiarity.npz"
SIZE, THUMBNAIL = 128, 16  # pixels a side: of what texture is measured on, and of the thumbnail
SCALES = 4  # of texture: details of 1, 2, 4 and 8 pixels
MARGIN = 6  # pixels at the border, where a head's picture is dark
TYPICAL, PATIENTS = 64, 3  # typical slices that are looked for, and of how many patients each must be
LIMIT = 30.0  # robust deviations beyond which nothing is farther
SHARE = 0.95  # of training slices, out of fold, that are familiar in each way
VISIBLE, LEVEL = 0.15, 20  # the part of a slice that must be brighter than this level: one at the end of an exam shows no head
FOLDS = 5


@dataclass(frozen=True)
class Familiarity:
    """What training slices look like.

    Attributes:
        thumbnails: ``(n, 16 * 16 * C)`` float32, typical ones.
        textures: ``(m, F)`` float32, typical ones, in robust deviations.
        middle, spread: ``(F,)`` float32, the median of each texture and its robust deviation.
        limits: ``(2,)`` float32, the distance to the nearest thumbnail and to the nearest texture at which familiar ends.
    """

    thumbnails: np.ndarray
    textures: np.ndarray
    middle: np.ndarray
    spread: np.ndarray
    limits: np.ndarray

    def distance(self, images: np.ndarray) -> np.ndarray:
        """``images (n, H, W, C)`` uint8 -> ``(n,)`` float: up to 1 is familiar; NaN of a slice that shows no head."""
        thumbnails, textures = _described(images)
        of_each = _nearest(self, thumbnails, textures) / self.limits
        return np.where(visible(images), of_each.max(axis=1), np.nan)

    def check(self, exam: Exam) -> "Verdict":
        """Judge the slices that are asked for; of a whole exam, more than half of those that show a head must be familiar."""
        distances = self.distance(exam.images[exam.rows])
        judged = distances[~np.isnan(distances)]
        strange = int((judged > 1).sum())
        return Verdict(len(judged), strange, len(judged) == 0 or strange > len(judged) / 2)

    def save(self, folder: Path) -> None:
        """Write ``familiarity.npz``: plain arrays, no pickle."""
        with files.atomic_path(folder / FILE) as temporary:
            np.savez_compressed(temporary, **{name: getattr(self, name) for name in self.__dataclass_fields__})


@dataclass(frozen=True)
class Verdict:
    """Whether an exam may be judged.

    Attributes:
        slices: how many show a head.
        strange: how many of them look unlike the training slices.
        refused: the answer would mean nothing.
    """

    slices: int
    strange: int
    refused: bool

    @property
    def reason(self) -> str:
        """Why it is refused, or what to mind; ``""`` where all is familiar."""
        if not self.slices:
            return "nearly black: there is no head to be seen"
        unlike = f"{self.strange} of {self.slices} slices look" if self.slices > 1 else "it looks"
        return f"{unlike} unlike the axial brain MRI that this network was trained on" if self.strange else ""


def load(folder: Path) -> Familiarity | None:
    """What :meth:`Familiarity.save` wrote; None where a folder holds none.

    Raises:
        ModelError: the file is damaged.
    """
    if not (folder / FILE).is_file():
        return None
    try:
        with storage.arrays(folder / FILE) as arrays:
            return Familiarity(**{name: arrays[name] for name in Familiarity.__dataclass_fields__})
    except (FileError, KeyError) as error:
        raise ModelError(f"{folder / FILE}: does not say what training slices look like ({error}); remove it") from None


def fit(images: np.ndarray, patients: Sequence[str], seed: int = 0) -> Familiarity:
    """Learn what slices look like, and choose out of fold over patients how unlike is too unlike.

    Args:
        images: ``(N, H, W, C)`` uint8, training slices.
        patients: ``(N,)``, whose each is.
        seed: of the clusters.
    """
    seen = visible(images)
    thumbnails, textures = (values[seen] for values in _described(images))
    whose = np.asarray(patients)[seen]
    folds = min(FOLDS, len(set(whose)))
    if folds < 2:
        raise ModelError(f"slices of {folds} patient with a head on them, expected at least two patients")
    distances = np.empty((len(whose), 2))
    for near, apart in GroupKFold(folds).split(thumbnails, groups=whose):
        typical = _typical(thumbnails[near], textures[near], whose[near], seed)
        distances[apart] = _nearest(typical, thumbnails[apart], textures[apart])
    limits = np.maximum(np.quantile(distances, SHARE, axis=0), 1e-6).astype(np.float32)
    typical = _typical(thumbnails, textures, whose, seed)
    return Familiarity(typical.thumbnails, typical.textures, typical.middle, typical.spread, limits)


def visible(images: np.ndarray) -> np.ndarray:
    """``(n,)`` bool: whether enough of a slice is brighter than the background."""
    return (images.max(axis=-1) > LEVEL).mean(axis=(1, 2)) > VISIBLE


def _typical(thumbnails: np.ndarray, textures: np.ndarray, whose: np.ndarray, seed: int) -> Familiarity:
    middle = np.median(textures, axis=0)
    spread = 1.4826 * np.median(np.abs(textures - middle), axis=0) + 1e-3
    deviations = np.clip((textures - middle) / spread, -LIMIT, LIMIT)
    means = _means(thumbnails, whose, seed), _means(deviations, whose, seed)
    return Familiarity(*means, middle.astype(np.float32), spread.astype(np.float32), np.ones(2, np.float32))


def _means(values: np.ndarray, whose: np.ndarray, seed: int) -> np.ndarray:
    """The means of clusters, those of few patients left out; of a small set, whose clusters all are, the mean of all."""
    clusters = KMeans(min(TYPICAL, len(values)), n_init=1, random_state=seed).fit(values)
    wide = [n for n in range(clusters.n_clusters) if len(set(whose[clusters.labels_ == n])) >= PATIENTS]
    return (clusters.cluster_centers_[wide] if wide else values.mean(axis=0, keepdims=True)).astype(np.float32)


def _nearest(typical: Familiarity, thumbnails: np.ndarray, textures: np.ndarray) -> np.ndarray:
    """``(n, 2)``: how far the nearest typical thumbnail and the nearest typical texture are."""
    deviations = np.clip((textures - typical.middle) / typical.spread, -LIMIT, LIMIT)
    pairs = (thumbnails, typical.thumbnails), (deviations, typical.textures)
    return np.stack([_distances(values, means).min(axis=1) for values, means in pairs], axis=1)


def _distances(values: np.ndarray, means: np.ndarray) -> np.ndarray:
    squares = (values**2).sum(axis=1)[:, None] - 2 * values @ means.T + (means**2).sum(axis=1)
    return np.sqrt(np.maximum(squares, 0))


def _described(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(n, 16 * 16 * C)`` thumbnails, of mean 0 and length 1, and ``(n, F)`` textures, both float32."""
    planes = intensity.resize_images(intensity.pad_to_square(images), SIZE).astype(np.float32)
    described = [(_thumbnail(plane), _texture(plane)) for plane in planes / _head_level(planes)]
    thumbnails, textures = (np.array(values, np.float32) for values in zip(*described, strict=True))
    return thumbnails, textures


def _head_level(planes: np.ndarray) -> np.ndarray:
    """``(n, 1, 1, 1)``: the median of what is brighter than the slice's mean."""
    levels = [np.median(plane[plane > plane.mean()]) if np.ptp(plane) else 0 for plane in planes]
    return np.maximum(levels, 8.0)[:, None, None, None].astype(np.float32)


def _thumbnail(plane: np.ndarray) -> np.ndarray:
    values = cv2.resize(plane, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).ravel()
    values = values - values.mean()
    return values / max(float(np.linalg.norm(values)), 1e-6)


def _texture(plane: np.ndarray) -> np.ndarray:
    """How much detail there is at each scale and channel, how much is dark, how bright the border is, how alike the sides are."""
    rough, details = plane.reshape(SIZE, SIZE, -1), []
    for scale in range(SCALES):
        smooth = cv2.GaussianBlur(rough, (0, 0), 2.0**scale).reshape(rough.shape)
        details.append(np.log(np.abs(rough - smooth).mean(axis=(0, 1)) + 1e-3))
        rough = smooth
    channels = plane.reshape(SIZE * SIZE, -1)
    border = plane.copy()
    border[MARGIN:-MARGIN, MARGIN:-MARGIN] = np.nan
    alike = [np.abs(plane - plane[:, ::-1]).mean(), np.abs(plane - plane[::-1]).mean()]
    facts = [(channels < 0.1).mean(axis=0), channels.mean(axis=0), channels.std(axis=0), alike]
    return np.concatenate([*details, *facts, [np.log(np.nanmean(border) + 1e-2)]])
