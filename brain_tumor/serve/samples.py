"""Drawn exams that a visitor can try with one click."""

import io
import zipfile
from dataclasses import dataclass

from brain_tumor.data.cohort import missing_sequences
from brain_tumor.data.memory import MemoryFile
from brain_tumor.data.phantom import open_phantom
from brain_tumor.serve.served import Served

PATIENTS = 3


@dataclass(frozen=True)
class Sample:
    """A phantom's exam.

    Attributes:
        title: what the page calls it.
        file: as it would be uploaded.
    """

    title: str
    file: MemoryFile


def draw(served: Served) -> dict[str, Sample]:
    """A whole exam and one slice of it, by the names in their addresses; none for a network of other sequences."""
    cohort = open_phantom(PATIENTS)
    if tuple(served.predictor.sequences) != cohort.sequences:
        return {}
    case = next(case for case in cohort if not missing_sequences(case.load()[0], cohort.sequences))
    pictures = {path.name: path.read_bytes() for path in case.sources[0::2]}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in pictures.items():
            archive.writestr(name, content)
    _, masks = case.load()
    largest = int(masks.sum(axis=(1, 2)).argmax())
    name = case.sources[2 * largest].name
    return {
        "exam": Sample("a drawn exam", MemoryFile("drawn_exam.zip", stream.getvalue())),
        "slice": Sample("a drawn slice", MemoryFile("drawn_slice.tif", pictures[name])),
    }
