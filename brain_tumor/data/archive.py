"""A dataset or an exam that is still in its zip: unpacked once into this home's cache, within bounds.

A zip is known again by its content: the names, sizes and CRC-32 sums of its members, which it lists at its end, so it is not read
through to be recognised. Members keep their times of change, so that what is unpacked anew is still the same source to a cache.
"""

import calendar
import lzma
import os
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from brain_tumor import files
from brain_tumor.data import tree
from brain_tumor.data.memory import MemoryFile
from brain_tumor.errors import DataError
from brain_tumor.paths import data_folder
from brain_tumor.progress import tracked

ENDING = ".zip"
MAX_FILES = 100_000  # Kaggle's LGG download, which holds its tree twice, has 15,718
MAX_BYTES = 16 << 30  # unpacked; that download has 2 GB
ENCRYPTED = 1  # bit of a member's flags


def is_archive(path: Path) -> bool:
    """Whether a path is called a zip, and is no folder of such a name."""
    return path.suffix.lower() == ENDING and not path.is_dir()


def unpacked(path: Path) -> Path:
    """The folder that a zip holds, unpacked into this home's cache at first use; any other path as it is.

    Where everything lies below one folder, that folder is returned, as ``kaggle_3m/`` of a download.

    Raises:
        DataError: missing, damaged or encrypted; more than ``MAX_FILES`` or ``MAX_BYTES``; a member outside the folder, a link or
            another special file, or there twice; or no room for it. Nothing of it is left then.
    """
    path = Path(path)
    if not is_archive(path):
        return path
    try:
        with zipfile.ZipFile(path) as archive:
            named = _members(path, archive, MAX_FILES, MAX_BYTES)
            content = files.sha256_json([(name, info.file_size, info.CRC) for name, info in named.items()])
            folder = data_folder() / "cache" / f"zip-{content[:12]}"
            with files.locked(folder.parent / f".{folder.name}.lock"):
                if not folder.is_dir():
                    _unpack(path, archive, named, folder)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except zipfile.BadZipFile as error:
        raise DataError(f"{path}: a damaged zip, or none ({error})") from None
    except (OSError, EOFError, NotImplementedError, RuntimeError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{path}: cannot be unpacked ({getattr(error, 'strerror', None) or error})") from None
    return _below(folder)


def members(file: MemoryFile, most_files: int, most_bytes: int) -> list[MemoryFile]:
    """The files of a zip that lies in memory, sorted by name, what is no data left out.

    Raises:
        DataError: as :func:`unpacked`.
    """
    try:
        with zipfile.ZipFile(file.open()) as archive:
            named = _members(file, archive, most_files, most_bytes)
            return [MemoryFile(name, archive.read(info)) for name, info in named.items() if not tree.is_litter(name)]
    except zipfile.BadZipFile as error:
        raise DataError(f"{file}: a damaged zip, or none ({error})") from None
    except (OSError, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{file}: cannot be unpacked ({error})") from None


def _members(path: Path | MemoryFile, archive: zipfile.ZipFile, most_files: int, most_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """The files of a zip by their names, once all of them are within bounds."""
    named: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.replace("\\", "/")  # as some zips of Windows have it
        place, kind = PurePosixPath(name), stat.S_IFMT(info.external_attr >> 16)
        if place.is_absolute() or ".." in place.parts or ":" in name.split("/")[0]:
            raise DataError(f"{path}: its member {info.filename!r} would lie outside the folder that it is unpacked into")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DataError(f"{path}: its member {name!r} is a link or a special file; expected files and folders")
        if name.endswith("/"):
            continue
        if info.flag_bits & ENCRYPTED:
            raise DataError(f"{path}: encrypted; unpack it yourself and name the folder")
        if str(place) in named:
            raise DataError(f"{path}: holds {name!r} twice")
        named[str(place)] = info
    size = sum(info.file_size for info in named.values())
    if not named:
        raise DataError(f"{path}: a zip without files")
    if len(named) > most_files or size > most_bytes:
        remedy = ": do so yourself and name the folder" if isinstance(path, Path) else ""
        raise DataError(
            f"{path}: {len(named):,} files, {size / 1e9:,.1f} GB unpacked; more than {most_files:,} files or "
            f"{most_bytes / 1e9:,.1f} GB are not unpacked for you{remedy}"
        )
    return dict(sorted(named.items()))


def _unpack(path: Path, archive: zipfile.ZipFile, named: dict[str, zipfile.ZipInfo], folder: Path) -> None:
    """Write every member below ``folder``, in a folder called as the zip is. No more bytes come out than a member announces."""
    size, room = sum(info.file_size for info in named.values()), shutil.disk_usage(folder.parent).free
    if size > room:
        raise DataError(f"{path}: {size / 1e9:,.1f} GB unpacked, and {folder.parent} has room for {room / 1e9:,.1f} GB")
    top = path.stem.lstrip("._") or "zip"  # a hidden folder would be passed over
    with files.atomic_folder(folder) as temporary:
        for name, info in tracked(named.items(), f"unpacking {path.name}"):
            target = temporary / top / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, open(target, "xb") as stream:
                shutil.copyfileobj(source, stream, files.CHUNK_BYTES)
            year, month, day, *clock = info.date_time
            changed = calendar.timegm((year, max(1, month), max(1, day), *clock))
            os.utime(target, (changed, changed))


def _below(folder: Path) -> Path:
    """The first folder on the way down that holds more than one other folder; what is no data, such as ``__MACOSX/``, aside."""
    entries = tree.contents(folder)
    return _below(entries[0]) if len(entries) == 1 and entries[0].is_dir() else folder
