"""The LGG segmentation dataset (``kaggle_3m``), read exactly as Kaggle serves it.

Brain MR slices of the TCGA lower-grade glioma collection with expert masks of the FLAIR abnormality: 110 patients,
3,929 slices of 256 x 256, 8 bit; channels pre-contrast, FLAIR, post-contrast. Masks are stored as {0, 255}. Every
patient has a tumour, so the dataset supports slice detection and segmentation, never patient diagnosis.
Where a sequence is missing, its channel holds a copy of FLAIR (pre in 6 patients, post in 10; the data's README says 9).

Source: kaggle.com/datasets/mateuszbuda/lgg-mri-segmentation (CC BY-NC-SA 4.0). Cite Buda, Saha, Mazurowski 2019,
doi 10.1016/j.compbiomed.2019.05.002, and Mazurowski et al. 2017, doi 10.1007/s11060-017-2420-1.
"""

import re
import warnings
from pathlib import Path

import numpy as np

from brain_tumor.data import patients, text
from brain_tumor.data.archive import unpacked
from brain_tumor.data.cohort import Case, Cohort, Volume
from brain_tumor.data.picture import PICTURES, read_mask, read_picture
from brain_tumor.errors import DataError, DataWarning

SEQUENCES = ("pre", "flair", "post")
FLAIR = SEQUENCES.index("flair")
SITES = {
    "CS": "Thomas Jefferson University",
    "DU": "Henry Ford Hospital",
    "EZ": "University of North Carolina",
    "FG": "Case Western Reserve University",
    "HT": "St Joseph's Hospital",
}
NEVER_TESTED_SITES = ("EZ",)  # one patient
CASE_FOLDER = re.compile(r"^[A-Z]{4}_([A-Z]{2})_[A-Z0-9]{4}_\d{8}$")
SLICE_FILE = re.compile(r"^(?P<case>.+)_(?P<number>\d+)(?P<mask>_mask)?\.tif$")
SLICE_NAME = re.compile(r"(?P<case>.+)_(?P<number>\d+)")  # of an exam in any format, as our own export as PNG; no mask's
CLINICAL_FILE = "data.csv"
COMPLAINTS = 3  # of the clinical table, told one by one


def read_cohort(root: Path, name: str = "lgg", phantom: bool = False) -> Cohort:
    """Index a ``kaggle_3m`` tree; no pixel is read yet.

    Args:
        root: the tree itself, any folder above it, or a zip of either. Kaggle's download holds the tree twice
            (``kaggle_3m/`` and ``lgg-mri-segmentation/kaggle_3m/``): each slice is then taken once.
        name: what to call the cohort.
        phantom: True where the tree was written by :mod:`brain_tumor.data.phantom`.

    Raises:
        DataError: no such folder, no patient folders, a slice without its mask, a gap in a series, or two exams
            of one patient. A bad ``data.csv`` is a warning.
    """
    root = unpacked(Path(root))
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    folders, copies = _case_folders(root)
    clinical = _read_clinical(min((folder.parent for folder in folders), key=lambda path: len(path.parts)))
    cases = tuple(_index_case(folder, clinical) for folder in folders)
    return Cohort(name, root, SEQUENCES, cases, phantom, copies, NEVER_TESTED_SITES)


def read_case(case: Case) -> Volume:
    """Read one exam from its TIFF pairs: ``(Z, 256, 256, 3) uint8`` and ``(Z, 256, 256) uint8 in {0, 1}``."""
    images = [read_picture(path, ("RGB",)) for path in case.sources[0::2]]
    masks = [read_mask(path) for path in case.sources[1::2]]
    for path, image, mask in zip(case.sources[0::2], images, masks, strict=True):
        if image.shape != images[0].shape:
            raise DataError(f"{path}: {_size(image)} pixels, but the case's first slice has {_size(images[0])}")
        mask_path = path.with_name(f"{path.stem}_mask.tif")
        if mask.shape != image.shape[:2]:
            raise DataError(f"{mask_path}: mask of {_size(mask)} pixels for an image of {_size(image)}")
        strange = np.setdiff1d(mask, (0, 255))
        if strange.size:
            raise DataError(f"{mask_path}: mask holds the grey value {strange[0]}, expected only 0 and 255")
    return np.stack(images), np.stack(masks) // 255


def read_images(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The slices of one exam that has no masks, as a person with images has them: ``(Z, H, W, 3)`` uint8, and their numbers.

    Takes the pictures of ``folder`` that are named ``EXAM_1.tif``, ``EXAM_2.tif``, ... in numeric order; masks are passed over.
    PNG and the other formats are taken as TIFF is, one format an exam.
    """
    exams = _exams(folder)
    if len(exams) != 1:
        names = f"expected one (names such as {folder.name}_1.tif)"
        cases = {case for case, _ in exams}
        if exams and len(cases) == 1:
            raise DataError(
                f"{folder}: slices of {cases.pop()} as {' and as '.join(sorted(e for _, e in exams))}, expected one format"
            )
        raise DataError(f"{folder}: slices of {len(cases) or 'no'} exams, {names}")
    numbered = sorted(next(iter(exams.values())).items())
    images = []
    for _, path in numbered:
        images.append(read_picture(path, ("RGB",)))
        if images[-1].shape != images[0].shape:
            raise DataError(f"{path}: {_size(images[-1])} pixels, but the case's first slice has {_size(images[0])}")
    return np.stack(images), np.array([number for number, _ in numbered])


def has_its_exam(path: Path) -> bool:
    """Whether a slice lies in a folder of one exam of several slices, itself among them (:func:`read_images` takes it then)."""
    exams = list(_exams(path.parent).values())
    return len(exams) == 1 and len(exams[0]) > 1 and path in exams[0].values()


def _exams(folder: Path) -> dict[tuple[str, str], dict[int, Path]]:
    """The slice files of a folder by exam and ending, and number; masks left out."""
    exams: dict[tuple[str, str], dict[int, Path]] = {}
    for path in sorted(folder.iterdir()):
        ending, match = path.suffix.lower(), SLICE_NAME.fullmatch(path.stem)
        if not match or ending not in PICTURES or path.name.startswith("."):
            continue
        slices, number = exams.setdefault((match["case"], ending), {}), int(match["number"])
        if number in slices:
            raise DataError(f"{path}: a second file of slice {number}, beside {slices[number].name}")
        slices[number] = path
    return exams


def missing_sequences(images: np.ndarray) -> tuple[str, ...]:
    """The sequences of a volume ``(Z, H, W, 3)`` whose channel is a copy of FLAIR on every slice."""
    flair = images[..., FLAIR]
    return tuple(
        name for channel, name in enumerate(SEQUENCES) if channel != FLAIR and np.array_equal(images[..., channel], flair)
    )


def _case_folders(root: Path) -> tuple[list[Path], int]:
    """Patient folders below ``root``, each exam once, and how many copies of the tree there are."""
    folders: dict[str, list[Path]] = {}
    for folder in [root, *sorted(root.rglob("*"))]:
        if CASE_FOLDER.match(folder.name) and folder.is_dir():
            folders.setdefault(folder.name, []).append(folder)
    if not folders:
        raise DataError(f"{root}: no patient folders (expected names such as TCGA_CS_4941_19960909)")
    patients: dict[str, str] = {}
    for case_id, places in folders.items():
        patient = "_".join(case_id.split("_")[:3])
        if patient in patients:
            raise DataError(f"{places[0]}: a second folder of patient {patient}, beside {patients[patient]}")
        patients[patient] = case_id
        places.sort(key=lambda path: (len(path.parts), str(path)))
        for place in places[1:]:
            if _contents(place) != _contents(places[0]):
                raise DataError(f"{place}: a second folder of {case_id} whose files differ from {places[0]}")
    return [folders[case_id][0] for case_id in sorted(folders)], max(map(len, folders.values()))


def _contents(folder: Path) -> list[tuple[str, int]]:
    return sorted((path.name, path.stat().st_size) for path in folder.glob("*.tif") if path.is_file())


def _index_case(folder: Path, clinical: dict[str, dict]) -> Case:
    """Pair images with masks in numeric order, and refuse holes."""
    images: dict[int, Path] = {}
    masks: dict[int, Path] = {}
    for path in folder.glob("*.tif"):
        match = SLICE_FILE.match(path.name)
        if not match or match["case"] != folder.name:
            raise DataError(f"{path}: unexpected file name in the folder of {folder.name}")
        if not path.is_file():
            raise DataError(f"{path}: not a file, or a link to nowhere")
        group, number = masks if match["mask"] else images, int(match["number"])
        if number in group:
            raise DataError(f"{path}: a second file of slice {number}, beside {group[number].name}")
        group[number] = path
    if not images:
        raise DataError(f"{folder}: no slices (expected {folder.name}_1.tif and {folder.name}_1_mask.tif)")
    for number in sorted(images.keys() ^ masks.keys()):
        if number in images:
            raise DataError(f"{images[number]}: image without its mask {images[number].stem}_mask.tif")
        raise DataError(f"{masks[number]}: mask without its image {folder.name}_{number}.tif")
    numbers = tuple(sorted(images))
    if numbers != tuple(range(1, len(numbers) + 1)):
        hole = next(n for n in range(1, numbers[-1] + 1) if n not in images)
        raise DataError(f"{folder}: slice number {hole} is missing of 1 to {numbers[-1]}")
    sources = tuple(path for number in numbers for path in (images[number], masks[number]))
    site = folder.name.split("_")[1]
    patient = "_".join(folder.name.split("_")[:3])
    return Case(folder.name, patient, site, numbers, sources, clinical.get(patients.key(patient), {}), read_case)


def _read_clinical(folder: Path) -> dict[str, dict[str, float | None]]:
    """``data.csv`` by the patient's key; blanks stay missing. An absent table gives none, a bad cell or table a warning."""
    path = folder / CLINICAL_FILE
    if not path.is_file():
        return {}
    try:
        table = text.read_table(path)
    except DataError as error:
        return _without_clinical(str(error))
    column = next((name for name in table.columns if name.casefold() == "patient"), None)
    if column is None:
        return _without_clinical(f"{path}: no 'Patient' column, columns {', '.join(table.columns) or 'none'}")
    clinical: dict[str, dict[str, float | None]] = {}
    complaints = []
    for row in table.rows:
        patient, values = patients.key(row.cells[column]), dict.fromkeys(table.columns)
        where = f"line {row.line} ({row.cells[column] or 'no patient'})"
        if row.surplus or not patient or patient in clinical:
            why = "more cells than columns" if row.surplus else "a second line of that patient" if patient else "no patient"
            complaints.append(f"{where}: {why}, the line is passed over")
            continue
        for name in table.columns:
            try:
                values[name] = table.number(row.cells[name]) if name != column and row.cells[name] else None
            except ValueError as error:
                complaints.append(f"{where}, {name}: {error}, taken as blank")
        clinical[patient] = {name: value for name, value in values.items() if name != column}
    if complaints:
        more = f"; and {len(complaints) - COMPLAINTS} more" if len(complaints) > COMPLAINTS else ""
        warnings.warn(f"{path}: {'; '.join(complaints[:COMPLAINTS])}{more}", DataWarning, stacklevel=3)
    return clinical


def _without_clinical(reason: str) -> dict:
    warnings.warn(f"{reason}; the slices are read without the clinical table", DataWarning, stacklevel=4)
    return {}


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]} x {array.shape[0]}"
