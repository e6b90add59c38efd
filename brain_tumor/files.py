"""Files that are either whole or absent: atomic writes, hashes, locks, verified downloads.

Everything is written beside its final name and renamed (DESIGN law 7), so a killed process leaves the old file or the
new one, never half of one.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from filelock import FileLock

from brain_tumor.errors import FileError

CHUNK_BYTES = 1 << 20


@contextlib.contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``final`` with the same suffix; rename it on success, remove it on any failure."""
    final = Path(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=final.parent, prefix=f".{final.name}.", suffix="".join(final.suffixes[-2:]))
    os.close(handle)
    temporary = Path(name)
    os.chmod(temporary, 0o644)  # mkstemp gives 0600; a report or record is for everybody
    try:
        yield temporary
        os.replace(temporary, final)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(final: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``final``; rename it on success, remove it on failure.

    An old folder of that name is moved aside first, since no folder can be renamed onto another: a kill just between the two
    renames leaves it there, hidden.
    """
    final = Path(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}."))
    os.chmod(temporary, 0o755)
    aside = temporary.with_name(f"{temporary.name}.old")
    try:
        yield temporary
        if final.exists():
            os.replace(final, aside)
        os.replace(temporary, final)
        shutil.rmtree(aside, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically. What is no text, as in names of files that are not UTF-8, becomes ``\\udcff``, which
    JSON reads back as it was.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: object) -> None:
    """Write ``value`` as indented JSON with a stable key order, atomically."""
    write_text(path, canonical_json(value))


def canonical_json(value: object) -> str:
    """A JSON value as text, the same for the same value."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: Path, needs: Iterable[str] = ()) -> dict:
    """The JSON object in ``path``.

    Args:
        needs: names that it must hold.

    Raises:
        FileNotFoundError: no such file.
        FileError: it is empty, cut short, holds no JSON object, or lacks a name.
    """
    return parse_json(Path(path).read_bytes(), path, needs)


def parse_json(content: bytes, path: Path | str, needs: Iterable[str] = ()) -> dict:
    """The JSON object in these bytes of ``path``.

    Raises:
        FileError: as :func:`read_json`.
    """
    try:
        value = json.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise damaged(path, "no text") from None
    except ValueError as error:
        raise damaged(path, f"cut short, or no JSON: {error}" if content.strip() else "empty") from None
    if not isinstance(value, dict):
        raise damaged(path, "no JSON object")
    if absent := sorted(set(needs) - value.keys()):
        raise damaged(path, f"no {absent[0]}")
    return value


def damaged(path: Path | str, reason: str, remedy: str = "") -> FileError:
    """The refusal of a file that cannot be read, in one line: what is wrong with it and what to do next."""
    error = FileError(f"{path}: damaged ({reason}){remedy and '; '}{remedy}")
    error.reason = reason
    return error


def hash_file(path: Path, algorithm: str) -> str:
    """Hex digest of a file's bytes, read in chunks; ``algorithm`` as :mod:`hashlib` names it."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as stream:
        while block := stream.read(CHUNK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    return hash_file(path, "sha256")


def stamp(path: Path) -> tuple[int, ...]:
    """What tells a file from another at its place without reading it: size, times of content and of status, and inode.

    Two files that change places may agree in size and time of content, never in inode. A copy of a tree has other stamps.
    """
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def same_content(path: Path, other: Path) -> bool:
    """Whether both are files of the same bytes; reading ends at the first that differ."""
    if not (path.is_file() and other.is_file()) or path.stat().st_size != other.stat().st_size:
        return False
    with open(path, "rb") as stream, open(other, "rb") as copy:
        while block := stream.read(CHUNK_BYTES):
            if block != copy.read(CHUNK_BYTES):
                return False
    return True


def sha256_json(value: object) -> str:
    """Hex SHA-256 of a JSON value in canonical form: the identity of a split, an experiment, an index."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``path`` (created if missing), so that two processes never build the same thing."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield
