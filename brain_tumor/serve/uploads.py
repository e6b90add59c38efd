"""An upload as a file in memory, known by its bytes: whatever its name says, only the decoder of its content reads it."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from werkzeug.datastructures import FileStorage

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
ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".nii", ".gz", ".zip")
EXPECTED = "a PNG, JPEG or TIFF picture, a NIfTI volume, or a zip of one exam's slices or volumes"
LONGEST_NAME = 80


def of_form(sent: Sequence[FileStorage], most: int) -> MemoryFile:
    """The one file of a form, of at most so many bytes.

    Raises:
        Refusal: none or several were sent, or it is empty, too large or of another kind.
    """
    named = [upload for upload in sent if upload.filename]
    if not named:
        raise Refusal(400, "no_file", "No file was sent; send one as the form field 'exam'.")
    if len(named) > 1:
        raise Refusal(400, "several_files", f"{len(named)} files were sent; zip the slices of one exam.")
    content = named[0].read()
    if len(content) > most:
        raise Refusal(
            413, "too_large", f"{len(content) / 1e6:,.1f} MB, expected at most {most / 1e6:,.1f}; hand over one exam at a time."
        )
    return received(str(named[0].filename), content)


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
    """A name without folders, endings and characters that are not printed.

    Other dots become ``_``: what stands between them may name a sequence, such as ``sub.01_t1.nii.gz``.
    """
    last = PurePosixPath(name.replace("\\", "/"))
    while last.suffix.lower() in ENDINGS:
        last = last.with_suffix("")
    words = "".join(letter for letter in last.name.replace(".", "_") if letter.isalnum() or letter in " _-")
    return words.strip(" _")[:LONGEST_NAME] or "exam"
