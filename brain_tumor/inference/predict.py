"""Whole cases in, probabilities out: at the size the network works at, and back at the case's own size."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from brain_tumor import files
from brain_tumor.data import channels, intensity
from brain_tumor.errors import DataError
from brain_tumor.evaluation.calibration import check_probabilities
from brain_tumor.models import decision, settings

BATCH = 16  # always padded to this, so that a slice alone and a slice in a series give the same bits


@dataclass(frozen=True)
class Prediction:
    """Tumour probability of one case's slices, 255 = 1.

    Attributes:
        case_id: whose.
        slice_numbers: ``(Z,)`` int, the planes predicted.
        native: ``(Z, H, W)`` uint8, at the case's own size and shape.
        working: ``(Z, S, S)`` uint8, at the size the network worked at; of slices that are not square, padded to a square.
    """

    case_id: str
    slice_numbers: np.ndarray
    native: np.ndarray
    working: np.ndarray

    def save(self, folder: Path) -> None:
        """Write ``<case_id>.npz``: plain arrays, no pickle."""
        with files.atomic_path(folder / f"{self.case_id}.npz") as temporary:
            np.savez_compressed(temporary, slice_numbers=self.slice_numbers, native=self.native, working=self.working)


def load_prediction(path: Path) -> Prediction:
    """Read what :meth:`Prediction.save` wrote.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        with np.load(path) as arrays:
            return Prediction(path.stem, arrays["slice_numbers"], arrays["native"], arrays["working"])
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: not a stored prediction ({error})") from None


def probabilities(model: keras.Model, images: np.ndarray, scaling: np.ndarray, flip_tta: bool = False) -> np.ndarray:
    """Run slices that already have the network's size.

    Args:
        model: a network of :mod:`brain_tumor.models.unet`.
        images: ``(Z, S, S, C)`` uint8.
        scaling: ``(4, C)`` float32, the case's scaling.
        flip_tta: also run the slices mirrored left and right, and take the mean of both answers.

    Returns:
        ``(Z, S, S)`` float32 in [0, 1].
    """
    if flip_tta:
        mirrored = probabilities(model, images[:, :, ::-1], scaling)
        return (probabilities(model, images, scaling) + mirrored[:, :, ::-1]) / 2
    return _run(model, images, scaling)[..., 0]


def slice_probabilities(model: keras.Model, images: np.ndarray, scaling: np.ndarray, flip_tta: bool = False) -> np.ndarray:
    """``(Z,)`` float32, each slice's probability of tumour, from a network of :mod:`brain_tumor.models.classifier`.

    Arguments as of :func:`probabilities`.
    """
    found = _run(model, images, scaling)[:, 0]
    return (found + _run(model, images[:, :, ::-1], scaling)[:, 0]) / 2 if flip_tta else found


@settings.fixed()
def _run(model: keras.Model, images: np.ndarray, scaling: np.ndarray) -> np.ndarray:
    """The probabilities of each slice, from the network's logits, in batches of one fixed size."""
    found = np.empty((len(images), *model.output_shape[1:]), np.float32)
    for start in range(0, len(images), BATCH):
        batch = intensity.normalise(images[start : start + BATCH], scaling)
        padded = np.zeros((BATCH, *batch.shape[1:]), np.float32)
        padded[: len(batch)] = batch
        found[start : start + BATCH] = decision.probabilities(model.predict_on_batch(padded)[: len(batch)])
    return found


def predict_case(
    model: keras.Model,
    images: np.ndarray,
    normalisation: str,
    case_id: str,
    slice_numbers: np.ndarray,
    flip_tta: bool = False,
    scaling: np.ndarray | None = None,
) -> Prediction:
    """Predict a case at native size; slices that are not square are padded for the network, and the answer is cut back.

    Args:
        images: ``(Z, H, W, C)`` uint8, the whole exam: its scaling is taken from all of it.
        normalisation: a name of :data:`brain_tumor.data.intensity.NORMALISATIONS`.
        slice_numbers: the planes wanted, counted from 1.
        flip_tta: as in :func:`probabilities`.
        scaling: the exam's ``(4, C)`` scaling where these images are not the exam as it was, but padded already.

    Raises:
        DataError: another number of channels than the network's, or an answer that is no probability.
    """
    size, expected = model.input_shape[1], model.input_shape[-1]
    if images.shape[-1] != expected:
        raise DataError(f"{case_id}: {images.shape[-1]} channels, the network was trained on {expected}")
    scaling = intensity.scaling(images, normalisation) if scaling is None else scaling
    square = intensity.pad_to_square(images[np.asarray(slice_numbers) - 1])
    working = probabilities(model, intensity.resize_images(square, size), scaling, flip_tta)
    check_probabilities(working, f"{case_id}: the network's answer")  # NaN would be stored as "no tumour"
    native = at_native_size(working, images.shape[1:3])
    return Prediction(case_id, np.asarray(slice_numbers), native, _to_bytes(working))


def at_native_size(working: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """``(Z, S, S)`` float32 probabilities of slices of this shape, brought back to it: ``(Z, *shape)`` uint8, 255 = 1."""
    return _to_bytes(intensity.crop_back(intensity.resize_probabilities(working, max(shape)), shape))


def classify_case(
    model: keras.Model,
    images: np.ndarray,
    normalisation: str,
    case_id: str,
    slice_numbers: np.ndarray,
    flip_tta: bool = False,
    shown: str = "sequences",
) -> np.ndarray:
    """``(n,)`` float32, the probability of tumour of each wanted slice; arguments and errors as of :func:`predict_case`.

    Args:
        model: a network of :mod:`brain_tumor.models.classifier`.
        shown: what it is shown of a slice (:data:`brain_tumor.data.channels.CHANNELS`).
    """
    rows = np.asarray(slice_numbers) - 1
    wanted = channels.exam_inputs(images, shown)[rows]
    if wanted.shape[-1] != model.input_shape[-1]:
        raise DataError(f"{case_id}: {wanted.shape[-1]} channels, the network was trained on {model.input_shape[-1]}")
    scaling = channels.arranged(intensity.scaling(images, normalisation), shown)
    resized = intensity.resize_images(intensity.pad_to_square(wanted), model.input_shape[1])
    found = slice_probabilities(model, resized, scaling, flip_tta)
    check_probabilities(found, f"{case_id}: the network's answer")
    return found


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
