"""Whole cases in, probabilities out: at the size the network works at, and back at the case's own size."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.data import intensity, labels
from brain_tumor.errors import DataError, FileError
from brain_tumor.evaluation import storage
from brain_tumor.models import decision, settings

Network = Callable[[np.ndarray], np.ndarray]  # images (B, S, S, C) float32 -> logits
OF_SLICES, INNER = "of_slices", "inner"
BATCH = 16  # always padded to this, so that a slice alone and a slice in a series give the same bits


@dataclass(frozen=True)
class Prediction:
    """Tumour probability of one case's slices, 255 = 1.

    Attributes:
        case_id: whose.
        slice_numbers: ``(Z,)`` int, the planes predicted.
        native: ``(Z, H, W)`` uint8, at the case's own size and shape.
        working: ``(Z, S, S)`` uint8, at the size the network worked at; of slices that are not square, padded to a square.
        inner: ``(Z, H, W, R - 1)`` uint8 at the case's own size, of a network that tells nested regions apart: those inside the
            outermost, which ``native`` is of; else None.
        of_slices: ``(Z,)`` float32, that a slice holds tumour, of a network that answers this too; else None.
    """

    case_id: str
    slice_numbers: np.ndarray
    native: np.ndarray
    working: np.ndarray
    of_slices: np.ndarray | None = None
    inner: np.ndarray | None = None

    def masks(self, threshold: float) -> np.ndarray:
        """``(Z, H, W)`` uint8 in {0, 1}: where tumour is called, at the case's own size."""
        return (self.native > threshold * 255).astype(np.uint8)

    def depths(self, threshold: float) -> np.ndarray:
        """``(Z, H, W)`` uint8: in how many nested regions each voxel is called."""
        if self.inner is None:
            return self.masks(threshold)
        masks = [self.masks(threshold), *(np.moveaxis(self.inner, -1, 0) > threshold * 255)]
        return labels.nested(masks)

    @property
    def slice_probability(self) -> np.ndarray:
        """``(Z,)``: that a slice holds tumour; of a network that does not answer this, the highest probability of its pixels."""
        return self.native.max(axis=(1, 2)) / 255 if self.of_slices is None else self.of_slices

    def table(self, threshold: float) -> pd.DataFrame:
        """A row a slice: the highest probability, and how many pixels are called tumour."""
        highest, tumour = self.slice_probability, self.masks(threshold).sum(axis=(1, 2))
        rows = pd.Index(self.slice_numbers, name="slice")
        return pd.DataFrame({"probability": highest.round(3), "tumour px": tumour}, index=rows)

    def save(self, folder: Path) -> None:
        """Write ``<case_id>.npz``: plain arrays, no pickle."""
        with files.atomic_path(folder / f"{self.case_id}.npz") as temporary:
            content: dict[str, Any] = {"slice_numbers": self.slice_numbers, "native": self.native, "working": self.working}
            if self.of_slices is not None:
                content[OF_SLICES] = self.of_slices
            if self.inner is not None:
                content[INNER] = self.inner
            np.savez_compressed(temporary, **content)


def load_prediction(path: Path) -> Prediction:
    """Read what :meth:`Prediction.save` wrote.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        with storage.arrays(path) as arrays:
            planes = arrays["slice_numbers"], arrays["native"], arrays["working"]
            return Prediction(path.stem, *planes, arrays.get(OF_SLICES), arrays.get(INNER))
    except FileError as error:
        raise DataError(
            f"{path}: not a stored prediction ({error.reason}); remove it, and scoring the run predicts this case anew"
        ) from None


def passes(slices: int, flip_tta: bool, rotation_tta: float) -> int:
    """How many batches :func:`probabilities` runs."""
    return -(-slices // BATCH) * (2 if flip_tta else 1) * (3 if rotation_tta else 1)


def probabilities(
    network: Network,
    images: np.ndarray,
    scaling: np.ndarray,
    flip_tta: bool = False,
    rotation_tta: float = 0.0,
    step: Callable[[], None] | None = None,
) -> np.ndarray:
    """Run slices that already have the network's size and channels.

    Args:
        network: gives one logit a pixel, or one a slice (:func:`brain_tumor.models.backend.frozen` of a model).
        images: ``(Z, S, S, C)`` uint8.
        scaling: ``(4, C)`` float32, the exam's; or ``(Z, 4, C)``, one a slice.
        flip_tta: also run the slices mirrored left and right, and take the mean of all answers.
        rotation_tta: also run them turned by this many degrees either way.
        step: called after each batch, :func:`passes` times.

    Returns:
        ``(Z, S, S)`` or ``(Z,)`` float32 in [0, 1]; of a network that answers for pixels and slices ``(Z, S, S, 2)``, the second
        channel the same in every pixel but those that a turn has brought in.
    """
    answers = []
    for degrees in (0.0, rotation_tta, -rotation_tta) if rotation_tta else (0.0,):
        turned = _turned(images, degrees)
        answers.append(_turned(_run(network, turned, scaling, step), -degrees))
        if flip_tta:
            mirrored = _run(network, turned[:, :, ::-1], scaling, step)
            answers.append(_turned(mirrored[:, :, ::-1] if mirrored.ndim > 1 else mirrored, -degrees))
    return np.mean(answers, axis=0)


def _turned(planes: np.ndarray, degrees: float) -> np.ndarray:
    """Planes ``(Z, S, S, ...)`` turned about their centre; numbers ``(Z,)`` as they are."""
    if not degrees or planes.ndim == 1:
        return planes
    size = planes.shape[1]
    matrix = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), degrees, 1.0)
    return np.stack([cv2.warpAffine(plane, matrix, (size, size)).reshape(plane.shape) for plane in planes])


@settings.fixed()
def _run(network: Network, images: np.ndarray, scaling: np.ndarray, step: Callable[[], None] | None) -> np.ndarray:
    """The probabilities of each slice, from the network's logits, in batches of one fixed size; a lone channel is no axis."""
    answers = []
    for batch, count in batches(images, scaling):
        answers.append(decision.probabilities(network(batch)[:count]))
        if step:
            step()
    whole = np.concatenate(answers)
    return whole[..., 0] if whole.shape[-1] == 1 else whole


def batches(images: np.ndarray, scaling: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Slices in batches of one fixed size, normalised, and how many of each batch are real; the rest is 0."""
    for start in range(0, len(images), BATCH):
        of_these = scaling[start : start + BATCH] if scaling.ndim == 3 else scaling
        batch = intensity.normalise(images[start : start + BATCH], of_these)
        padded = np.zeros((BATCH, *batch.shape[1:]), np.float32)
        padded[: len(batch)] = batch
        yield padded, len(batch)


def at_native_size(working: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """``(Z, S, S)`` float32 probabilities of slices of this shape, brought back to it: ``(Z, *shape)`` uint8, 255 = 1."""
    return to_bytes(intensity.crop_back(intensity.resize_probabilities(working, max(shape)), shape))


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Probabilities as uint8, 255 = 1."""
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
