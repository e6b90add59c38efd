"""A person's folders: every walk over data that somebody hands us, so that one set of rules holds at every door.

- What an operating system, a disk or an archive leaves among data is no data: ``._a.tif``, ``__MACOSX/``, ``.DS_Store``,
  ``Thumbs.db``, ``lost+found``, hidden names. It is passed over and counted.
- A link is followed once. A folder that was read already is not read again, whichever name leads to it: the name nearest to the
  root counts, and its own before that of a link. A link to a folder that holds the link, or the root, is a circle.
- A picture that is a link to nowhere, and a folder that cannot be listed, are refused: nothing is left out in silence.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from brain_tumor.data.picture import PICTURES
from brain_tumor.errors import DataError

# Written by macOS and its archives, Windows, ext4, and the network drives of Synology and QNAP; compared without regard to case.
SYSTEM = {
    name.casefold(): name
    for name in (
        "__MACOSX", ".DS_Store", "Thumbs.db", "ehthumbs.db", "desktop.ini", "lost+found", "@eaDir", "#recycle", "@Recycle",
        "$RECYCLE.BIN", "System Volume Information",
    )
}  # fmt: skip
HIDDEN = ".*"  # the kind of all other names that begin with a dot
APPLE_DOUBLE = "._"  # a file's colours and comments, beside it, on disks that are not Apple's
NAMED = 3  # folders and links named in a note; the rest is counted


@dataclass(frozen=True)
class Tree:
    """What lies below a folder.

    Attributes:
        root: the folder, as it was given.
        folders: every folder once, the root too -> the files in it, sorted. Paths begin with ``root``, links included.
        litter: what is no data, by its kind (``._*``, ``Thumbs.db``, ``__MACOSX/``) -> how often it is there.
        again: other names of folders that are read already, and links that lead in a circle.
        broken: links to nowhere that are not called like pictures.
    """

    root: Path
    folders: dict[Path, tuple[Path, ...]]
    litter: Counter[str]
    again: tuple[Path, ...]
    broken: tuple[Path, ...]

    @property
    def files(self) -> list[Path]:
        """The files of all folders, folder by folder."""
        return [path for paths in self.folders.values() for path in paths]

    @cached_property
    def _children(self) -> dict[Path, list[Path]]:
        children: dict[Path, list[Path]] = {folder: [] for folder in self.folders}
        for folder in sorted(self.folders.keys() - {self.root}):
            children[folder.parent].append(folder)
        return children

    def subfolders(self, folder: Path) -> list[Path]:
        """The folders directly below ``folder``, sorted."""
        return self._children[folder]

    def below(self, folder: Path) -> list[Path]:
        """The pictures at any depth below ``folder``, sorted; masks (``..._mask``) left out."""
        places = [folder]
        for place in places:
            places += self._children[place]
        return sorted(path for place in places for path in self.folders[place] if is_picture(path))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the walk, a line each; none of an orderly tree."""
        lines = [_litter_note(self.litter)] if self.litter else []
        if self.again:
            folders = number(len(self.again), "folder")
            lines.append(f"{folders} not read twice (a link leads there again, or in a circle): {_links(self.again)}")
        if self.broken:
            lines.append(f"{number(len(self.broken), 'link')} to nowhere, passed over: {_links(self.broken)}")
        return tuple(lines)


def walk(root: Path, hidden: bool = False) -> Tree:
    """Everything below ``root``; no file is opened.

    Args:
        root: a folder, or a link to one.
        hidden: take names that begin with a dot for data too, as training code that reads every picture does.

    Raises:
        DataError: a folder that cannot be listed, or a picture that is a link to nowhere.
    """
    root = Path(root)
    folders: dict[Path, tuple[Path, ...]] = {}
    litter: Counter[str] = Counter()
    identities: set[tuple[int, int]] = set()
    again: list[Path] = []
    broken: list[Path] = []
    level = [root]  # by depth, since what people name and see is near the root
    while level:
        real: list[Path] = []
        links: list[Path] = []
        for folder in level:
            status = folder.stat()
            identity = (status.st_dev, status.st_ino)
            if identity in identities or (folder != root and folder.is_symlink() and _is_circle(folder, root)):
                again.append(folder)
                continue
            identities.add(identity)
            files = []
            for entry in _entries(folder):
                path = folder / entry.name
                if kind := _litter_kind(entry, hidden):
                    litter[kind] += 1
                elif entry.is_dir(follow_symlinks=False):
                    real.append(path)
                elif entry.is_symlink() and path.is_dir():
                    links.append(path)
                elif entry.is_symlink() and not path.is_file():
                    broken.append(path)
                else:
                    files.append(path)
            folders[folder] = tuple(files)
        level = real + links
    lost = next((path for path in broken if path.suffix.lower() in PICTURES), None)
    if lost:
        raise DataError(f"{lost}: not a file, but a link to nowhere ({os.readlink(lost)}); mend the link or remove it")
    return Tree(root, folders, litter, tuple(again), tuple(broken))


def contents(folder: Path) -> list[Path]:
    """Files and folders directly in ``folder`` that may be data, sorted by name; links to nowhere too, for readers to refuse."""
    return [folder / entry.name for entry in _entries(folder) if not _litter_kind(entry)]


def file_called(name: str, folder: Path) -> Path | None:
    """The file of that name in ``folder``, exactly so or spelt with other capitals; None where there is none."""
    exact = folder / name
    spellings = [exact] if exact.is_file() else [path for path in contents(folder) if path.name.casefold() == name.casefold()]
    return next((path for path in spellings if path.is_file()), None)


def innermost(tree: Tree, folder: Path, stop: Callable[[Path], bool] = lambda path: False) -> Path:
    """``folder``, or the one below it that holds everything: archives wrap what they hold in a folder or two.

    A folder is a wrapper where it holds one folder and no picture, and that folder holds folders and no picture.

    Args:
        stop: tells folders that mean something by their name, and so are no wrapper's content.
    """
    inside = tree.subfolders(folder)
    if len(inside) != 1 or stop(inside[0]) or not tree.subfolders(inside[0]) or _holds_pictures(tree, folder, inside[0]):
        return folder
    return innermost(tree, inside[0], stop)


def is_picture(path: Path) -> bool:
    """Whether a file's name is that of a picture, and not of a mask."""
    return path.suffix.lower() in PICTURES and not is_mask(path)


def is_mask(path: Path) -> bool:
    """Whether a file's name is that of a mask, ``a_mask.png``."""
    return path.stem.lower().endswith("_mask")


def is_litter(name: str) -> bool:
    """Whether a file of an archive is no data, by the names of the folders that it lies in and its own."""
    return any(part.casefold() in SYSTEM or part.startswith(".") for part in name.split("/"))


def number(n: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def _holds_pictures(tree: Tree, *folders: Path) -> bool:
    return any(is_picture(path) for folder in folders for path in tree.folders[folder])


def _entries(folder: Path) -> Iterator[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror or error})") from None


def _litter_kind(entry: os.DirEntry, hidden: bool = False) -> str | None:
    """``._*``, ``Thumbs.db``, ``__MACOSX/``, ``.*`` or ``no file``; None for what may be data."""
    end = "/" if entry.is_dir(follow_symlinks=False) else ""
    if entry.name.casefold() in SYSTEM:
        return SYSTEM[entry.name.casefold()] + end
    if entry.name.startswith(APPLE_DOUBLE) and not end:
        return f"{APPLE_DOUBLE}*"
    if entry.name.startswith(".") and not hidden:
        return HIDDEN + end
    # A pipe would make its reader wait for ever.
    return None if end or entry.is_symlink() or entry.is_file(follow_symlinks=False) else "pipes and devices"


def _is_circle(link: Path, root: Path) -> bool:
    """Whether a link leads to a folder that holds the link itself, or the root."""
    target = link.resolve()
    return any(place.resolve().is_relative_to(target) for place in (link.parent, root))


def _litter_note(litter: Counter[str]) -> str:
    folders = sum(n for kind, n in litter.items() if kind.endswith("/"))
    numbers = {"file": sum(litter.values()) - folders, "folder": folders}
    counts = " and ".join(number(n, noun) for noun, n in numbers.items() if n)
    return f"{counts} passed over that {'is' if sum(litter.values()) == 1 else 'are'} no data ({', '.join(sorted(litter))})"


def _links(paths: tuple[Path, ...]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return ", ".join(f"{path} -> {os.readlink(path)}" if path.is_symlink() else str(path) for path in paths[:NAMED]) + more
