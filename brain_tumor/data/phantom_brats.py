"""The phantom as BraTS exams: skull-stripped NIfTI volumes of four sequences, and a segmentation of three nested regions.

The same heads and lesions as those of :mod:`brain_tumor.data.phantom`. A core inside the lesion is dark before contrast, and part
of it is bright after contrast: the enhancing tumour. Some exams have none, as some patients do.
"""

from pathlib import Path

import cv2
import numpy as np
from nibabel.nifti1 import Nifti1Image

from brain_tumor import files
from brain_tumor.data import labels, phantom
from brain_tumor.data.cohort import Cohort
from brain_tumor.data.readers import brats
from brain_tumor.errors import DataError
from brain_tumor.paths import data_folder
from brain_tumor.progress import tracked

NAME = "phantombrats"
DRAWING = 1  # raise when the same arguments draw other voxels
SPELLINGS = {"2017": ("t1", "t1ce", "t2", "flair"), "2023": ("t1n", "t1c", "t2w", "t2f")}
CORE, ENHANCING = (
    (0.35, 0.8),
    0.55,
)  # shares of the lesion's voxels, from its rim: where the core begins; of the core: where it ends
WITHOUT_ENHANCEMENT = 4  # every so manieth exam
SPACING = (1.0, 1.0, 2.5)  # mm, of x, y and z


def open_phantom(patients: int = 8, shape: tuple[int, int] = (24, 64), seed: int = 0, convention: str = "2023") -> Cohort:
    """The phantom cohort of these arguments (:func:`write`), written on first use and found again after."""
    stem = f"{patients}-patients-of-{shape[0]}-by-{shape[1]}-{convention}-seed-{seed}-v{DRAWING}"
    root = data_folder() / "phantom-brats" / stem
    if not root.is_dir():
        with files.locked(root.parent / ".lock"):
            if not root.is_dir():
                write(root, patients, shape, seed, convention)
    return brats.read_cohort(root, name=NAME, phantom=True)


def write(folder: Path, patients: int = 8, shape: tuple[int, int] = (24, 64), seed: int = 0, convention: str = "2023") -> Path:
    """Write ``folder/BraTS-PHANTOM-00001-000/BraTS-PHANTOM-00001-000-t2f.nii.gz`` and so on, or the names of BraTS 2020.

    Args:
        folder: must not exist; it appears whole or not at all.
        shape: slices, and their height and width.
        convention: ``2023``, or ``2017`` for the names and labels up to 2022.

    Raises:
        DataError: the folder exists, or cannot be written.
    """
    if folder.exists():
        raise DataError(f"{folder}: exists already; a phantom is written to a new folder")
    rng = np.random.default_rng(seed)
    peaks = rng.permutation(np.geomspace(900, phantom.TUMOUR_PX[2], patients)) * (shape[1] / phantom.NATIVE) ** 2
    try:
        with files.atomic_folder(folder) as temporary:
            for number in tracked(range(patients), "drawing the phantom"):
                name = f"BraTS-PHANTOM-{number + 1:05d}-000" if convention == "2023" else f"BraTS20_Phantom_{number + 1:03d}"
                images, depth = draw_exam(np.random.default_rng([seed, number]), shape, peaks[number], number)
                _write_exam(temporary / name, images, depth, convention)
    except OSError as error:
        raise DataError(f"{folder}: cannot write the phantom ({error.strerror or error}); nothing was kept") from None
    return folder


def draw_exam(rng: np.random.Generator, shape: tuple[int, int], peak_px: float, number: int) -> tuple[np.ndarray, np.ndarray]:
    """One exam: ``images (Z, S, S, 4)`` uint8 of t1, t1ce, t2 and flair, and depths ``(Z, S, S)`` uint8."""
    site = phantom.SITE_ORDER[number % len(phantom.SITE_ORDER)]
    slices, tumour, inside, brain, ventricle = phantom.draw_head(rng, site, shape, peak_px, rng.uniform(*phantom.TUMOUR_SHARE))
    core = tumour & (inside > np.quantile(inside[tumour], rng.uniform(*CORE)))
    enhancing = np.zeros_like(core)
    if core.any() and number % WITHOUT_ENHANCEMENT != WITHOUT_ENHANCEMENT - 1:
        enhancing = core & (inside < np.quantile(inside[core], ENHANCING))
    t1, flair, t1ce = np.moveaxis(slices.astype(np.float32), -1, 0)
    t2 = 0.75 * flair + 130 * _smooth(ventricle)
    t1 = t1 * (1 - 0.45 * _smooth(core))
    t1ce = t1ce * (1 - 0.45 * _smooth(core)) + 120 * _smooth(enhancing)
    flair = flair * (1 - 0.25 * _smooth(core & ~enhancing))
    images = np.stack([t1, t1ce, t2 + 60 * _smooth(core), flair], axis=-1) * brain[..., None]
    return np.clip(np.rint(images), 0, 255).astype(np.uint8), labels.nested([tumour, core, enhancing])


def _smooth(region: np.ndarray) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(plane, (0, 0), 0.7) for plane in region.astype(np.float32)])


def _write_exam(folder: Path, images: np.ndarray, depth: np.ndarray, convention: str) -> None:
    """Files as BraTS has them: axes towards the left, the back and the head, voxels int16, labels uint8."""
    folder.mkdir()
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    separator = "-" if convention == "2023" else "_"
    numbers = labels.labels(depth, labels.CONVENTIONS[convention])
    for name, planes in (*zip(SPELLINGS[convention], np.moveaxis(images, -1, 0), strict=True), ("seg", numbers)):
        voxels = planes.transpose(2, 1, 0)  # slices that lie as in the LGG data: the patient's right and the face come first
        kind = np.uint8 if name == "seg" else np.int16
        Nifti1Image(voxels.astype(kind), affine).to_filename(folder / f"{folder.name}{separator}{name}.nii.gz")
