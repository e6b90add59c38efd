"""A file that lies in memory, such as an upload: it is read as one on a disk is, and nothing of it is written to a disk."""

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class MemoryFile:
    """A name and bytes, with what a reader asks of a path.

    Attributes:
        name: what a person calls it; folders may stand before it.
        content: its bytes.
    """

    name: str
    content: bytes

    @property
    def suffix(self) -> str:
        """``.tif``."""
        return PurePosixPath(self.name).suffix

    @property
    def stem(self) -> str:
        """The name without folders and ending."""
        return PurePosixPath(self.name).stem

    def open(self, mode: str = "rb") -> IO[bytes]:
        """Its bytes as a stream."""
        return io.BytesIO(self.content)

    def __str__(self) -> str:
        return self.name


File = Path | MemoryFile


@contextmanager
def unpacked(file: File) -> Iterator[IO[bytes]]:
    """A file's bytes as a stream, unpacked where gzip packed them, whatever its name says: as few are unpacked as are read."""
    with file.open("rb") as raw:
        packed = raw.read(len(GZIP)) == GZIP
        raw.seek(0)
        if not packed:
            yield raw
            return
        with gzip.GzipFile(fileobj=raw) as stream:
            yield cast(IO[bytes], stream)
