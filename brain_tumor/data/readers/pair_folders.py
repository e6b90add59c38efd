"""A folder of images beside a folder of masks: files pair by their paths, and a pattern says whose each is."""

import re
from collections.abc import Iterable
from pathlib import Path

from brain_tumor.data import nifti, tree
from brain_tumor.data.archive import unpacked
from brain_tumor.data.picture import PICTURES
from brain_tumor.data.readers.pair_tables import PairTable, TableRow, joined
from brain_tumor.errors import DataError

GROUPS = ("patient", "slice", "case", "site")
BEHIND_MASKS = re.compile(r"[-_](mask|seg|segmentation|label|labels)$", re.IGNORECASE)
BEHIND_IMAGES = re.compile(r"_0000$")  # nnU-Net numbers the sequences of an image
NAMED = 3


def read_folders(images: Path, masks: Path, pattern: str | None = None) -> PairTable:
    """Pair a folder of images with a folder of masks; a mask's name may end in ``_mask`` or ``_seg``, as in one folder it must.

    Args:
        images, masks: folders, or zips of such; perhaps one and the same.
        pattern: looked for in an image's path below its folder, with the groups ``patient`` and perhaps ``slice``, ``case``,
            ``site``.

    Raises:
        DataError: no such folder, nothing to pair, files without partner, or a pattern that does not fit each image.
    """
    regex = _compiled(pattern)
    trees = []
    for root in (unpacked(Path(images)), unpacked(Path(masks))):
        if not root.is_dir():
            raise DataError(f"{root}: no such folder; expected one of images, or of masks")
        trees.append(tree.walk(root))
    together = trees[0].root.resolve() == trees[1].root.resolve()
    of_images = _by_key(_files(trees[0], masks=False if together else None), trees[0].root, BEHIND_IMAGES)
    of_masks = _by_key(_files(trees[1], masks=True if together else None), trees[1].root, BEHIND_MASKS)
    if not of_images:
        raise DataError(f"{trees[0].root}: no images ({', '.join(sorted((*PICTURES, *nifti.ENDINGS)))})")
    if not of_masks:
        there = "no file is called like a mask, IMAGE_mask.png" if together else "no masks (PNG, TIFF or NIfTI)"
        raise DataError(f"{masks}: {there}; images with labels instead of masks need --table with image, label and patient")
    alone = [
        _named(kind, [files[key] for key in sorted(files.keys() - others.keys())])
        for kind, files, others in (("image", of_images, of_masks), ("mask", of_masks, of_images))
        if files.keys() - others.keys()
    ]
    if alone:
        raise DataError(f"{'; '.join(alone)}; a pair has one path below both folders, a mask perhaps with _mask behind")
    rows = []
    for key, image in of_images.items():
        name = image.relative_to(trees[0].root).as_posix()
        rows.append(TableRow(str(image), image.absolute(), of_masks[key].absolute(), _cells(image, name, regex), name))
    notes = [note for source in trees[: 1 if together else 2] for note in source.notes]
    return joined(Path(images), rows, notes)


def _files(source: tree.Tree, masks: bool | None) -> list[Path]:
    """Pictures and volumes; where images and masks lie together, those that are called like masks, or those that are not."""
    paths = [
        path for files in source.folders.values() for path in files if path.suffix.lower() in PICTURES or nifti.is_nifti(path)
    ]
    return sorted(path for path in paths if masks is None or bool(BEHIND_MASKS.search(nifti.stem(path))) == masks)


def _by_key(paths: Iterable[Path], root: Path, behind: re.Pattern) -> dict[str, Path]:
    """Path below the folder, without ending and what else names have behind -> the file."""
    files: dict[str, Path] = {}
    for path in paths:
        key = path.relative_to(root).with_name(behind.sub("", nifti.stem(path))).as_posix()
        if key in files:
            raise DataError(f"{path}: called as {files[key].name} is but for its ending; expected one file of each name")
        files[key] = path
    return files


def _cells(image: Path, name: str, regex: re.Pattern | None) -> dict[str, str]:
    """What the pattern reads off a path."""
    if regex is None:
        return {}
    match = regex.search(name)
    cells = {group: match[group] or "" for group in GROUPS if group in regex.groupindex} if match else {}
    if not cells.get("patient"):
        example = re.escape(re.split(r"\d", Path(name).name)[0]).replace(r"\-", "-") + r"(?P<patient>\d+)"
        raise DataError(f"{image}: the pattern '{regex.pattern}' tells no patient of {name!r}; expected one such as '{example}'")
    return cells


def _compiled(pattern: str | None) -> re.Pattern | None:
    if not pattern:
        return None
    expected = r"expected one such as 'P(?P<patient>\d+)_(?P<slice>\d+)'"
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise DataError(f"--pattern '{pattern}': not a regular expression ({error}); {expected}") from None
    if "patient" not in regex.groupindex:
        raise DataError(f"--pattern '{pattern}': the group (?P<patient>...) is missing; {expected}")
    return regex


def _named(kind: str, paths: list[Path]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    other = {"image": "mask", "mask": "image"}[kind]
    return f"{tree.number(len(paths), kind)} without {other}: {', '.join(map(str, paths[:NAMED]))}{more}"
