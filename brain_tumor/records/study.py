"""What git keeps of a study of many trainings: its tables as they are, in one record (DESIGN law 10)."""

import glob
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from brain_tumor import files
from brain_tumor.errors import RunError
from brain_tumor.paths import runs_folder
from brain_tumor.records.lookup import records_folder

Progress = Callable[[Path], int]  # a folder -> how many of its trainings are done


def find(name: str, description: str, progress: Progress) -> Path | None:
    """A study by its name, or the beginning of it: its folder here or its record, whichever has come further; None if neither.

    Args:
        description: the file that every such folder has.
    """
    roots = (runs_folder(), records_folder())  # of equals the one here: it may hold tables that the record lacks
    folders = [path.parent for root in roots for path in sorted(root.glob(f"{glob.escape(name)}*/{description}"))]
    return max(folders, key=progress, default=None)


def restore(folder: Path, progress: Progress) -> None:
    """Bring a study's folder to where its record is, if that has come further: from there it goes on."""
    record = records_folder() / folder.name
    if progress(record) > progress(folder):
        shutil.copytree(record, folder, dirs_exist_ok=True)


def commit(folder: Path, description: str, tables: Iterable[Path]) -> Path:
    """Keep a study's description and tables as its record, as far as it has come; what only the record holds stays in it.

    Args:
        description: the file that every such folder has.

    Raises:
        RunError: it is of the phantom.
    """
    if files.read_json(folder / description)["phantom"]:
        raise RunError(f"{folder}: of the phantom, which is never published")
    record = records_folder() / folder.name
    if folder != record:
        with files.atomic_folder(record) as temporary:
            for path in (*sorted(record.glob("*")), folder / description, *tables):
                shutil.copyfile(path, temporary / path.name)
    return record
