"""A run's predictions as files that other tools read: probabilities as PNG, a file a slice, or as NIfTI, a file a case."""

from pathlib import Path

from PIL import Image

from brain_tumor import files
from brain_tumor.data import intensity, nifti
from brain_tumor.data.cohort import Case
from brain_tumor.errors import DataError
from brain_tumor.inference.predict import Prediction


def write(prediction: Prediction, case: Case, kind: str, folder: Path) -> None:
    """Write one case's probabilities at native size, 255 = 1.

    PNG: ``CASE/CASE_NUMBER.png``, 8 bits. NIfTI: ``CASE.nii.gz``, 8 bits with the scale 1 / 255; it does not say where
    its voxels lie.

    Args:
        kind: ``png`` or ``nifti``.

    Raises:
        DataError: NIfTI, of a case that was not predicted whole, or whose source is NIfTI: its place in space is not known here.
    """
    planes = prediction.native
    shape = case.load()[1].shape[1:]
    if planes.shape[1:] != shape:
        planes = intensity.crop_back(planes, shape)  # padded to a square for the network
    if kind == "png":
        for number, plane in zip(prediction.slice_numbers.tolist(), planes, strict=True):
            with files.atomic_path(folder / case.case_id / f"{case.case_id}_{number}.png") as temporary:
                Image.fromarray(plane).save(temporary)
        return
    if any(path.name.lower().endswith(nifti.ENDINGS) for path in case.sources):
        raise DataError(f"{case.case_id}: its source says where its voxels lie, which this export would lose; export png")
    if len(planes) != len(case.slice_numbers):
        raise DataError(
            f"{case.case_id}: {len(planes)} of {len(case.slice_numbers)} slices were predicted, a NIfTI file holds whole exams; "
            "export png"
        )
    nifti.write_probability(folder / f"{case.case_id}.nii.gz", planes, case.spacing_mm)
