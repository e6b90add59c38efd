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
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from brain_tumor.data import patients, text, tree
from brain_tumor.data.archive import unpacked
from brain_tumor.data.cohort import Case, Cohort, Volume
from brain_tumor.data.memory import File
from brain_tumor.data.picture import MODES, PICTURES, opaque, read_mask, read_picture
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
# Some disks, archives and scripts change capitals and endings; a case's id stays as the field writes it, in capitals.
CASE_FOLDER = re.compile(r"^[A-Z]{4}_([A-Z]{2})_[A-Z0-9]{4}_\d{8}$", re.IGNORECASE)
SLICE_FILE = re.compile(r"^(?P<case>.+)_(?P<number>\d+)(?P<mask>_mask)?\.tiff?$", re.IGNORECASE)
TIFF = (".tif", ".tiff")
SLICE_NAME = re.compile(r"(?:(?P<case>.+)_)?(?P<number>\d+)")  # of an exam in any format, as our own export as PNG; no mask's
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
        DataError: no such folder, no patient folders, a slice without its mask, a gap in a series, two exams of one patient, or
            a link to nowhere. A bad ``data.csv`` is a warning.
    """
    root = unpacked(Path(root))
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    source = tree.walk(root)
    folders, copies = _case_folders(source)
    clinical = _read_clinical(min((folder.parent for folder in folders.values()), key=lambda path: len(path.parts)))
    cases = tuple(_index_case(case_id, folder, source.folders[folder], clinical) for case_id, folder in folders.items())
    notes = (*source.notes, *_strangers(source))
    return Cohort(name, root, SEQUENCES, cases, phantom, copies, NEVER_TESTED_SITES, notes, radiological=True)


def read_case(case: Case) -> Volume:
    """Read one exam from its TIFF pairs: ``(Z, 256, 256, 3) uint8`` and ``(Z, 256, 256) uint8 in {0, 1}``."""
    images = [read_picture(path, ("RGB",)) for path in case.sources[0::2]]
    masks = [read_mask(path) for path in case.sources[1::2]]
    for path, mask_path, image, mask in zip(case.sources[0::2], case.sources[1::2], images, masks, strict=True):
        if image.shape != images[0].shape:
            raise DataError(f"{path}: {_size(image)} pixels, but the case's first slice has {_size(images[0])}")
        if mask.shape != image.shape[:2]:
            raise DataError(f"{mask_path}: mask of {_size(mask)} pixels for an image of {_size(image)}")
        strange = np.setdiff1d(mask, (0, 255))
        if strange.size:
            raise DataError(f"{mask_path}: mask holds the grey value {strange[0]}, expected only 0 and 255")
    return np.stack(images), np.stack(masks) // 255


def read_images(folder: File, contents: Iterable[File] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The slices of one exam that has no masks, as a person with images has them: ``(Z, H, W, 3)`` uint8, and their numbers.

    Of grey slices the images are ``(Z, H, W)``.

    Takes the pictures of ``folder`` that are named ``EXAM_1.tif``, ``EXAM_2.tif``, ... or ``1.tif``, ``2.tif``, ... in numeric
    order; masks are passed over. PNG and the other formats are taken as TIFF is, one format an exam.

    Args:
        folder: what refusals name; read where its contents are not given.
        contents: its files.
    """
    exams = _exams(tree.contents(Path(folder)) if contents is None else contents)  # type: ignore[arg-type]
    if len(exams) != 1:
        names = f"expected one (names such as {PurePath(folder.name).stem}_1.tif)"
        cases = {case for case, _ in exams}
        if exams and len(cases) == 1:
            raise DataError(
                f"{folder}: slices of {cases.pop()} as {' and as '.join(sorted(e for _, e in exams))}, expected one format"
            )
        raise DataError(f"{folder}: slices of {len(cases) or 'no'} exams, {names}")
    numbered = sorted(next(iter(exams.values())).items())
    images = []
    for _, path in numbered:
        images.append(opaque(read_picture(path, MODES)))
        if images[-1].shape != images[0].shape:
            raise DataError(f"{path}: {_size(images[-1])} pixels, but the case's first slice has {_size(images[0])}")
    return np.stack(images), np.array([number for number, _ in numbered])


def has_its_exam(path: Path) -> bool:
    """Whether a slice lies in a folder of one exam of several slices, itself among them (:func:`read_images` takes it then)."""
    exams = list(_exams(tree.contents(path.parent)).values())
    return len(exams) == 1 and len(exams[0]) > 1 and path in exams[0].values()


def _exams(contents: Iterable[File]) -> dict[tuple[str, str], dict[int, File]]:
    """The slice files among these by exam and ending, and number; masks left out."""
    exams: dict[tuple[str, str], dict[int, File]] = {}
    spelling: dict[str, str] = {}  # an exam without regard to capitals -> as it is spelt first
    for path in contents:
        ending, match = path.suffix.lower(), SLICE_NAME.fullmatch(path.stem)
        if match and ending in PICTURES:
            case = match["case"] or ""
            case = spelling.setdefault(case.casefold(), case)
            key = case, TIFF[0] if ending in TIFF else ending
            _add_slice(exams.setdefault(key, {}), int(match["number"]), path)
    return exams


def _add_slice(group: dict[int, Any], number: int, path: File) -> None:
    if number in group:
        raise DataError(f"{path}: a second file of slice {number}, beside {group[number].name}")
    group[number] = path


def _case_id(folder: Path) -> str | None:
    """The case whose folder this is, by its own name or, where it is a link, by that of its target; None: no patient's folder."""
    names = (folder.name, folder.resolve().name) if folder.is_symlink() or not folder.name else (folder.name,)
    return next((name.upper() for name in names if CASE_FOLDER.match(name)), None)


def _case_folders(source: tree.Tree) -> tuple[dict[str, Path], int]:
    """Patient folders of a tree, each exam once, sorted, and how many copies of the tree there are."""
    lost = next((path for path in source.broken if CASE_FOLDER.match(path.name)), None)
    if lost:
        raise DataError(f"{lost}: a patient's folder that is a link to nowhere; mend the link or remove it")
    folders: dict[str, list[Path]] = {}
    for folder in sorted(source.folders):
        if case_id := _case_id(folder):
            folders.setdefault(case_id, []).append(folder)
    if not folders:
        raise DataError(f"{source.root}: no patient folders (expected names such as TCGA_CS_4941_19960909)")
    patients: dict[str, str] = {}
    for case_id, places in folders.items():
        patient = case_id.rpartition("_")[0]
        if patient in patients:
            raise DataError(f"{places[0]}: a second folder of patient {patient}, beside {patients[patient]}")
        patients[patient] = case_id
        places.sort(key=lambda path: (len(path.parts), str(path)))
        for place in places[1:]:
            if _contents(source, place) != _contents(source, places[0]):
                raise DataError(f"{place}: a second folder of {case_id} whose files differ from {places[0]}")
    return {case_id: folders[case_id][0] for case_id in sorted(folders)}, max(map(len, folders.values()))


def _contents(source: tree.Tree, folder: Path) -> list[tuple[str, int]]:
    return sorted((path.stem.lower(), path.stat().st_size) for path in source.folders[folder] if path.suffix.lower() in TIFF)


def _strangers(source: tree.Tree) -> list[str]:
    """What is not read, a line each: files of another kind beside slices, and slices outside patients' folders."""
    lines, kinds, example = [], Counter[str](), None
    for folder, paths in source.folders.items():
        if _case_id(folder):
            others = [path for path in paths if path.suffix.lower() not in TIFF]
            kinds.update(path.suffix.lower() or path.name for path in others)
            example = example or next(iter(others), None)
        elif slices := [
            path for path in paths if (match := SLICE_FILE.match(path.name)) and match["case"].upper().startswith("TCGA")
        ]:
            files = f"{tree.number(len(slices), 'file')} such as {slices[0].name}"
            lines.append(f"{folder}: {files} passed over, since it is not named as a patient's folder, TCGA_CS_4941_19960909")
    if example:
        numbers = ", ".join(f"{n:,} {kind}" for kind, n in sorted(kinds.items()))
        lines.append(f"files in patients' folders that are no TIFF, passed over: {numbers} (such as {example})")
    return lines


def _index_case(case_id: str, folder: Path, paths: tuple[Path, ...], clinical: dict[str, dict]) -> Case:
    """Pair images with masks in numeric order, and refuse holes."""
    images: dict[int, Path] = {}
    masks: dict[int, Path] = {}
    for path in paths:
        if path.suffix.lower() not in TIFF:
            continue
        match = SLICE_FILE.match(path.name)
        if not match or match["case"].upper() != case_id:
            raise DataError(f"{path}: unexpected file name in the folder of {case_id}")
        _add_slice(masks if match["mask"] else images, int(match["number"]), path)
    if not images:
        raise DataError(f"{folder}: no slices (expected {case_id}_1.tif and {case_id}_1_mask.tif)")
    for number in sorted(images.keys() ^ masks.keys()):
        if number in images:
            raise DataError(f"{images[number]}: image without its mask {images[number].stem}_mask.tif")
        raise DataError(f"{masks[number]}: mask without its image {case_id}_{number}.tif")
    numbers = tuple(sorted(images))
    if numbers != tuple(range(1, len(numbers) + 1)):
        hole = next(n for n in range(1, numbers[-1] + 1) if n not in images)
        raise DataError(f"{folder}: slice number {hole} is missing of 1 to {numbers[-1]}")
    sources = tuple(path for number in numbers for path in (images[number], masks[number]))
    _, site, _, _ = case_id.split("_")
    patient = case_id.rpartition("_")[0]
    return Case(case_id, patient, site, numbers, sources, clinical.get(patients.key(patient), {}), read_case)


def _read_clinical(folder: Path) -> dict[str, dict[str, float | None]]:
    """``data.csv`` by the patient's key; blanks stay missing. An absent table gives none, a bad cell or table a warning."""
    path = tree.file_called(CLINICAL_FILE, folder)
    if path is None:
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
