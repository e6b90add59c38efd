"""Where a command writes: every path is checked before any work, so that an hour's answer is never lost to a wrong one."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from brain_tumor.errors import DataError

LOSSLESS = (".png", ".tif", ".tiff")
LOSSY = (".jpg", ".jpeg")
OVERLAYS = LOSSLESS + LOSSY
ANYTHING = ("",)  # any ending at all


@dataclass(frozen=True)
class Output:
    """One path that a command was given.

    Attributes:
        option: how a person names it, ``--out``.
        path: None: it was not given.
        endings: those of a file; none: a folder is meant.
        reason: what a refusal adds.
    """

    option: str
    path: Path | None
    endings: tuple[str, ...] = ANYTHING
    reason: str = ""


def check(*outputs: Output, inputs: Iterable[Path] = ()) -> None:
    """Refuse a path that cannot be written, or must not be.

    Args:
        inputs: files that the command reads and must not write over.

    Raises:
        DataError: another ending, a folder where a file is meant or the other way round, no folder that may be written, one path
            given twice, or the path of an input.
    """
    places = {path.resolve(): "what is read" for path in inputs}
    for output in outputs:
        if output.path is None:
            continue
        where, place = f"{output.option} {output.path}", output.path.resolve()
        reason = _against(output.path, output.endings) or _no_place(output.path, not output.endings)
        if reason:
            raise DataError(f"{where}: {reason}{output.reason and '; '}{output.reason}")
        if place in places:
            raise DataError(f"{where}: is also {places[place]}; give another path")
        places[place] = output.option


def has_ending(path: Path, endings: tuple[str, ...]) -> bool:
    """Whether a file's name is more than one of these endings, and ends in it."""
    return any(path.name.lower().endswith(ending) and len(path.name) > len(ending) for ending in endings)


def _against(path: Path, endings: tuple[str, ...]) -> str:
    """What speaks against the name: its ending, or what lies there already; nothing where all is well."""
    if not endings:
        return "is a file, expected a folder" if path.exists() and not path.is_dir() else ""
    named = "" if endings == ANYTHING else f" ({', '.join(endings)})"
    if path.is_dir():
        return f"is a folder, expected a file{named}"
    return "" if has_ending(path, endings) else f"ends in {path.suffix or 'nothing'}, expected a file{named}"


def _no_place(path: Path, is_folder: bool) -> str:
    """What speaks against the nearest folder that is there; nothing where it may be written."""
    place = path.absolute()
    nearest = next(each for each in (*([place] * is_folder), *place.parents) if os.path.lexists(each))
    if not nearest.is_dir():
        return f"cannot be written ({nearest} is no folder)"
    return "" if os.access(nearest, os.W_OK | os.X_OK) else f"cannot be written (no permission in {nearest})"
