"""An upload as a file in memory, known by its bytes: whatever its name says, only the decoder of its content reads it."""

from pathlib import PurePosixPath

from brain_tumor.data.memory import GZIP, MemoryFile
from brain_tumor.serve.limits import Refusal

KINDS = (
    (".png", 0, b"\x89PNG\r\n\x1a\n"),
    (".jpg", 0, b"\xff\xd8\xff"),
    (".tif", 0, b"II*\0"),
    (".tif", 0, b"MM\0*"),
    (".zip", 0, b"PK\x03\x04"),
    (".zip", 0, b"PK\x05\x06"),  # of no file
    (".nii.gz", 0, GZIP),
    (".nii", 344, b"n+1\0"),
    (".nii", 4, b"n+2\0"),
)
EXPECTED = "a PNG, JPEG or TIFF picture, a NIfTI volume, or a zip of one exam's slices or volumes"
LONGEST_NAME = 80


def received(name: str, content: bytes) -> MemoryFile:
    """An upload under a plain name that ends as its content demands.

    Raises:
        Refusal: it is empty, or of another kind.
    """
    if not content:
        raise Refusal(400, "empty", "The file is empty.")
    ending = next((ending for ending, place, magic in KINDS if content[place : place + len(magic)] == magic), None)
    if ending is None:
        raise Refusal(415, "unsupported", f"This is no file that can be read here; expected {EXPECTED}.")
    return MemoryFile(plain(name) + ending, content)


def plain(name: str) -> str:
    """A name without folders, endings and characters that are not printed."""
    last = PurePosixPath(name.replace("\\", "/")).name
    words = "".join(letter for letter in last.split(".")[0] if letter.isalnum() or letter in " _-")
    return words.strip()[:LONGEST_NAME] or "exam"
