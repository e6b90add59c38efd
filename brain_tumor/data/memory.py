"""A file that lies in memory, such as an upload: it is read as one on a disk is, and nothing of it is written to a disk."""

import io
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

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


def beginning(content: bytes, size: int) -> bytes:
    """The first ``size`` bytes of what gzip packed, or of bytes that it did not pack: never more, whatever they would unpack to.

    Raises:
        zlib.error: what is packed is damaged.
    """
    if not content.startswith(GZIP):
        return content[:size]
    return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content, size)
