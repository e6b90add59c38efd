"""Datasets into this home and out of it: copied whole and resumable, handed out as PNG."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from brain_tumor import files
from brain_tumor.data import tree
from brain_tumor.data.cohort import Case, Cohort
from brain_tumor.data.opening import lgg_folder, open_folder
from brain_tumor.data.readers import lgg
from brain_tumor.errors import DataError
from brain_tumor.progress import in_threads


def get_lgg(source: Path, link: bool = False) -> Path:
    """Bring the LGG data into this home and return its folder there.

    The source is indexed and validated first. Each patient is then copied once, even from a tree that is there twice,
    and appears whole or not at all; patients that are there already are passed over, so a stopped copy goes on.

    Args:
        source: a ``kaggle_3m`` folder, or one above it, as Kaggle's download unpacks. Already in place: nothing is done.
        link: make the folder a link to the source instead of a copy.

    Raises:
        DataError: the source is refused by its reader, is a phantom, or the copy or link cannot be written.
    """
    cohort = open_folder(source)
    if cohort.phantom:
        raise DataError(f"{source}: holds a phantom cohort, expected the LGG data")
    target = lgg_folder()
    if in_place(cohort):
        return target
    if target.is_symlink():
        raise DataError(f"{target}: is a link to {os.readlink(target)}; remove the link first")
    try:
        with files.locked(target.parent / ".kaggle_3m.lock"):
            if link:
                _link(cohort, target)
            else:
                _copy(cohort, target)
    except OSError as error:
        reason = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        raise DataError(f"{target}: stopped ({reason}); what is there is whole, and the same command goes on") from None
    return target


def in_place(cohort: Cohort) -> bool:
    """Whether a cohort is the LGG data of this home already."""
    return _trees(cohort) == {lgg_folder().resolve()}


def export_png(cohort: Cohort, folder: Path, masks: bool = True) -> Path:
    """Write every slice as ``folder/CASE/CASE_1.png``, and its mask, 0 and 255, as ``CASE_1_mask.png``.

    One sequence is grey, two are grey with alpha, four are RGBA: so are they read again.

    A case appears whole or not at all; cases already there are passed over unless their source is newer.

    Raises:
        DataError: a source picture is refused, the folder holds something else, or cannot be written.
    """
    folder = Path(folder)
    masks = masks and cohort.outlined

    def export_case(case: Case) -> None:
        images, labels = case.load()
        with files.atomic_folder(folder / case.case_id) as temporary:
            for number, image, label in zip(case.slice_numbers, images, labels, strict=True):
                Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(
                    temporary / f"{case.case_id}_{number}.png", compress_level=4
                )
                if masks:
                    Image.fromarray(label * 255).save(temporary / f"{case.case_id}_{number}_mask.png", compress_level=4)

    def finished(case: Case) -> bool:
        place = folder / case.case_id
        strange = next((path for path in tree.contents(place) if path.suffix != ".png"), None) if place.is_dir() else None
        if strange:
            raise DataError(f"{strange}: the folder to export to holds something else, expected only PNG")
        ends = ("", "_mask") if masks else ("",)
        there = [place / f"{case.case_id}_{number}{end}.png" for number in case.slice_numbers for end in ends]
        # A file that was renamed keeps the time of its content and changes that of its status.
        changed = max(max(status.st_mtime, status.st_ctime) for status in (path.stat() for path in case.sources))
        return all(path.is_file() and path.stat().st_mtime >= changed for path in there)

    try:
        _each_case(f"exporting {cohort.name}", cohort, export_case, finished)
    except OSError as error:
        raise DataError(
            f"{folder}: stopped ({error.strerror or error}); what is there is whole, and the same command goes on"
        ) from None
    return folder


def _copy(cohort: Cohort, target: Path) -> None:
    def copy_case(case: Case) -> None:
        place = target / case.case_id
        copies = [place / path.name for path in case.sources]
        # Bytes, not times: two masks that changed places may agree in size and time.
        if place.is_dir() and tree.contents(place) == sorted(copies) and all(map(files.same_content, copies, case.sources)):
            return
        with files.atomic_folder(place) as temporary:
            for path in case.sources:
                shutil.copy2(path, temporary)

    _each_case(f"copying {cohort.name}", cohort, copy_case, lambda case: False)
    # The reader takes the table of the shallowest tree, and so does the copy.
    table = tree.file_called(lgg.CLINICAL_FILE, min(_trees(cohort), key=lambda path: len(path.parts)))
    if table:
        with files.atomic_path(target / lgg.CLINICAL_FILE) as temporary:
            shutil.copyfile(table, temporary)


def _link(cohort: Cohort, target: Path) -> None:
    trees = _trees(cohort)
    place = trees.pop() if len(trees) == 1 else cohort.root.resolve()
    if target.exists():
        raise DataError(f"{target}: exists already; move it away to link to {place}")
    target.symlink_to(place, target_is_directory=True)


def _trees(cohort: Cohort) -> set[Path]:
    """The folders that hold the patient folders: one, unless somebody spread them."""
    return {case.sources[0].parent.parent.resolve() for case in cohort}


def _each_case(title: str, cohort: Cohort, work: Callable[[Case], None], finished: Callable[[Case], bool]) -> None:
    """``work`` on each case that is not ``finished``, in a few threads behind a bar; the first failure ends it."""
    left = [case for case in cohort if not finished(case)]
    list(in_threads(work, left, title, lambda case: case.case_id, done=len(cohort) - len(left)))
