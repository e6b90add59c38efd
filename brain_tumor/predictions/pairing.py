"""Which prediction is of which mask: files of two folders that pair by their path below the folder.

Folders are taken as other tools leave them. nnU-Net writes ``case.nii.gz`` beside ``.npz``, ``.pkl`` and ``.json``; MONAI writes
``case/case_seg.nii.gz``; a cohort's tree holds ``name.tif`` and ``name_mask.tif``. So a key is a path without its ending and
without what only says that it is a mask, and a folder that repeats its file's name counts once.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from brain_tumor.data import tree
from brain_tumor.data.readers import masks
from brain_tumor.errors import DataError

# What a name of a mask or of a prediction ends in, and says nothing else.
MASK = re.compile(r"[-_.](masks?|seg|segmentation|labels?|gt|pred|predictions?|prob|probability|trans)$", re.IGNORECASE)
CHANNEL = re.compile(r"_0000$")  # nnU-Net's first channel of an image


@dataclass(frozen=True)
class Folder:
    """A folder of masks or predictions.

    Attributes:
        root: where it lies.
        files: key -> file, by key.
        others: the endings of the files that were passed over -> how many.
        litter: what a disk or a file manager left there, in words (:mod:`brain_tumor.data.tree`).
    """

    root: Path
    files: dict[str, Path]
    others: Counter = field(default_factory=Counter)
    litter: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """A sentence about each kind of what was passed over."""
        listed = ", ".join(f"{count:,} {ending}" for ending, count in sorted(self.others.items()))
        return [f"{self.root}: {line}." for line in ([f"passed over {listed}"] if listed else []) + list(self.litter)]


def truth_folder(root: Path) -> Folder:
    """The masks of a folder.

    Raises:
        DataError: no such folder, no mask in it, or two files of one key.
    """
    paths, others, litter = _mask_files(root)
    return _keyed(root, [(_keys(root, path)[-1], path) for path in paths], others, litter)


def prediction_folder(root: Path, truth: Folder) -> Folder:
    """The predictions of a folder, each under the key of its mask where it has one.

    A file pairs by its path; where no path fits, by its name alone if only one mask has it.

    Raises:
        DataError: no such folder, nothing in it, or two files for one mask.
    """
    paths, others, litter = _mask_files(root)
    names = Counter(key.rsplit("/", 1)[-1] for key in truth.files)
    by_name = {key.rsplit("/", 1)[-1]: key for key in truth.files if names[key.rsplit("/", 1)[-1]] == 1}
    keyed = []
    for path in paths:
        keys = _keys(root, path)
        keys += [CHANNEL.sub("", key) for key in keys]
        alone = [by_name[key.rsplit("/", 1)[-1]] for key in keys if key.rsplit("/", 1)[-1] in by_name]
        keyed.append((next((key for key in [*keys, *alone] if key in truth.files), keys[-1]), path))
    return _keyed(root, keyed, others, litter)


def key_of(name: str) -> str:
    """The barest key of a path as a table writes it."""
    return _keys(Path("."), Path(name))[-1]


def _keys(root: Path, path: Path) -> list[str]:
    """The keys that a file may have, from its whole name to what is left without endings: the last is the barest."""
    place = PurePosixPath(path.relative_to(root).as_posix()).parent
    name = _stem(path)
    bare = MASK.sub("", name)
    keys = [str(place / each) for each in dict.fromkeys((name, bare))]
    return [*keys, str(place)] if place.name == bare else keys


def _stem(path: Path) -> str:
    return path.name[: -len(masks.ending(path)) or None]


def _mask_files(root: Path) -> tuple[list[Path], Counter, tuple[str, ...]]:
    """Every file that can hold a mask, the endings of the others, and what is no data; beside ``x_mask.png`` lie images."""
    if not root.is_dir():
        raise DataError(
            f"{root}: no such folder; expected a folder of masks ({', '.join(masks.ENDINGS)}), or a CSV of slice labels"
        )
    paths, others = [], Counter[str]()
    below = tree.walk(root)
    for path in sorted(path for files in below.folders.values() for path in files):
        if not _is_text(path):
            raise DataError(f"{path}: a name that is not UTF-8, which no table can hold; rename the file or folder")
        if masks.ending(path):
            paths.append(path)
        else:
            others[path.suffix.lower() or path.name] += 1
    if not paths:
        lossy = "; JPEG is lossy and invents values" if set(others) & set(masks.LOSSY) else ""
        beside = f"; it holds {', '.join(sorted(others))}{lossy}" if others else ""
        raise DataError(f"{root}: no masks ({', '.join(masks.ENDINGS)}){beside}")
    named = {path.parent for path in paths if MASK.search(_stem(path))}
    chosen = [path for path in paths if path.parent not in named or MASK.search(_stem(path))]
    others["images"] += len(paths) - len(chosen)
    return chosen, +others, below.notes


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _keyed(root: Path, keyed: list[tuple[str, Path]], others: Counter, litter: tuple[str, ...]) -> Folder:
    files: dict[str, Path] = {}
    for key, path in keyed:
        if key in files:
            raise DataError(f"{path}: has the same name as {files[key]} but for its ending; expected one file of each")
        files[key] = path
    return Folder(root, dict(sorted(files.items())), others, litter)
