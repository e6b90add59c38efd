"""What a network says of an exam, in the forms that the page and the API hand out."""

import base64
import io
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from brain_tumor.data import labels, nifti
from brain_tumor.data.cohort import missing_sequences, title_of
from brain_tumor.data.memory import MemoryFile
from brain_tumor.errors import DataError
from brain_tumor.inference import explain, measures
from brain_tumor.inference.cascade import Finding
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.predict import BATCH
from brain_tumor.inference.predictor import Predictor
from brain_tumor.records import card as cards
from brain_tumor.report.figures import overlay
from brain_tumor.report.pages import viewer
from brain_tumor.report.pages.viewer import Sprite
from brain_tumor.serve.served import Served

MOST_SLICES = viewer.MOST_TILES
EXPLAINED = 48  # slices whose map is made: those called tumour, the most probable ones first


@dataclass(frozen=True)
class Answer:
    """An exam with what was found.

    Attributes:
        exam: as it was read.
        finding: what the network says.
        served: which network.
        maps: ``(n, H, W)`` float32 where the network looked, 0 on slices that were not asked; None: not made.
        seconds: that reading and predicting took.
        drawn: the exam is a phantom's.
    """

    exam: Exam
    finding: Finding
    served: Served
    maps: np.ndarray | None
    seconds: float
    drawn: bool = False

    @property
    def numbers(self) -> np.ndarray:
        """``(n,)``: the slices' numbers."""
        return self.exam.asked

    @property
    def planes(self) -> np.ndarray:
        """``(n, H, W)`` uint8: the slices in the sequence that is drawn."""
        return self.exam.images[self.exam.rows][..., self.served.predictor.reference]

    @property
    def positive_slices(self) -> list[int]:
        """The numbers of the slices where tumour is called."""
        return self.numbers[self.finding.positive].tolist()

    @property
    def foremost(self) -> int:
        """The place of the slice to look at first: of the largest tumour, or of the highest probability."""
        areas = self.finding.masks.sum(axis=(1, 2))
        return int(areas.argmax() if areas.any() else self.finding.probability.argmax())

    @property
    def missing(self) -> list[str]:
        """The sequences that the exam lacks, by their titles: a copy of the drawn one stands in."""
        return [title_of(name) for name in missing_sequences(self.exam.images, self.served.predictor.sequences)]

    @property
    def nbytes(self) -> int:
        """What is kept of it in memory, as far as it counts."""
        outline = self.finding.outline
        arrays = self.exam.images, self.finding.depths, outline.native, outline.working, outline.inner, self.maps
        return sum(array.nbytes for array in arrays if array is not None)

    @property
    def turned_about(self) -> bool | None:
        """Whether the left of a slice is the patient's right; None where the exam does not say."""
        if self.exam.grid is None or self.exam.grid.affine is None:
            return None
        return self.exam.grid.turned

    def patient_side(self, side: str | None) -> str | None:
        """The patient's side of a side of the picture; None where the exam does not say."""
        if side is None or self.turned_about is None:
            return None
        other = {"left": "right", "right": "left"}
        return other.get(side, side) if self.turned_about else side

    @cached_property
    def regions(self) -> list[dict[str, Any]]:
        """The size of each nested region that the network tells apart, the outermost first: ``name, title, voxels, ml``."""
        names = self.served.predictor.regions
        voxels = [int((self.finding.depths > depth).sum()) for depth in range(len(names))]
        return [
            {
                "name": name,
                "title": labels.TITLES.get(name, name),
                "voxels": number,
                "ml": measures.millilitres(number, self.exam.spacing_mm),
            }
            for name, number in zip(names, voxels, strict=True)
        ]

    @cached_property
    def notes(self) -> list[str]:
        """What a person should know of this answer."""
        notes = [note.partition(": ")[2] for note in self.exam.notes]
        if self.missing and not any("given to all" in note or "stands in" in note for note in notes):
            reference = self.served.predictor.sequences[self.served.predictor.reference]
            notes.append(f"without {' and '.join(self.missing)}: {title_of(reference)} stands in")
        if self.drawn:
            notes.append("this exam is drawn, not a patient's")
        if self.exam.alone and (loss := cards.loss_alone(self.served.card)):
            notes.append(loss)
        verdict = self.served.predictor.familiarity and self.served.predictor.familiarity.check(self.exam)
        return notes + ([verdict.reason] if verdict and verdict.reason else [])

    @property
    def meaning(self) -> str:
        """What the highest probability was worth on test slices."""
        return cards.meaning(self.served.card, float(self.finding.probability.max()))

    def to_json(self, mask: str = "none") -> dict[str, Any]:
        """What the API answers.

        Args:
            mask: ``none``, ``nifti`` (a ``.nii.gz`` in base64, in the exam's own space) or ``png`` (likewise, of a lone slice).
        """
        measured = self.finding.measures.to_json()
        regions = {region["slice"]: region for region in measured["regions"]}
        empty = {"pixels": 0, "area_mm2": 0.0 if self.exam.spacing_mm else None, "box": None, "centre": None, "side": None}
        slices = [
            {"slice": number, "probability": round(float(probability), 4), "called": bool(positive)}
            | regions.get(number, empty)
            | {"patient_side": self.patient_side(regions.get(number, empty)["side"])}
            for number, probability, positive in zip(
                self.numbers.tolist(), self.finding.probability, self.finding.positive, strict=True
            )
        ]
        height, width = self.exam.images.shape[1:3]
        answer = {
            "model": {name: self.served.card[name] for name in ("name", "weights_sha256", "phantom")},
            "exam": {
                "name": self.exam.name,
                "slices": len(slices),
                "height": height,
                "width": width,
                "spacing_mm": list(self.exam.spacing_mm) if self.exam.spacing_mm else None,
                "missing_sequences": self.missing,
                "notes": self.notes,
            },
            "tumour": {
                "called": bool(self.positive_slices),
                "slices": self.positive_slices,
                "voxels": measured["voxels"],
                "ml": measured["ml"],
                "regions": self.regions,
                "highest_probability": round(float(self.finding.probability.max()), 4),
                "meaning": self.meaning,
            },
            "slices": slices,
            "seconds": round(self.seconds, 3),
            "intended_use": cards.INTENDED,
        }
        if mask != "none":
            content = self.mask_nifti() if mask == "nifti" else self.mask_png()
            answer["mask"] = {
                "encoding": f"{'nii.gz' if mask == 'nifti' else 'png'};base64",
                "data": base64.b64encode(content).decode(),
            }
        return answer

    def mask_nifti(self) -> bytes:
        """The mask of the whole exam as ``.nii.gz``, in the exam's own space where the exam tells it.

        Of a network that tells several regions apart it holds the labels of BraTS 2023.
        """
        planes = self.finding.depths
        if self.finding.outline.inner is not None:
            planes = labels.labels(planes, labels.CONVENTIONS["2023"])
        return nifti.mask_bytes(planes, self.exam.spacing_mm, self.exam.grid)

    @property
    def core(self) -> np.ndarray | None:
        """``(n, H, W)`` float: 1 where the innermost region is called, less in those around it; None of a lone region."""
        inner = self.finding.outline.inner
        if inner is None:
            return None
        depths = self.finding.depths.astype(np.float32)
        return np.maximum(depths - 1, 0) / inner.shape[-1]

    def mask_png(self) -> bytes:
        """The foremost slice's mask, 0 and 255, at its own size."""
        return _png(self.finding.masks[self.foremost] * 255)

    @cached_property
    def sprite(self) -> Sprite:
        """All slices for the viewer."""
        return viewer.sprite(self.planes, self.finding.outline.native, self.core if self.maps is None else self.maps)

    def sheet(self) -> bytes:
        """The outlines over the slices, for a page without scripts and for the report; of many, those around the foremost."""
        first = max(0, min(self.foremost - 12, len(self.numbers) - 24))
        some = slice(first, first + 24)
        images = self.exam.images[self.exam.rows][some]
        picture = overlay.contact_sheet(images, self.finding.masks[some], self.numbers[some], self.served.predictor.reference)
        return _png(picture)


def answer(
    file: MemoryFile,
    served: Served,
    progress: Callable[[float], None],
    maps: bool = True,
    drawn: bool = False,
    check: Callable[[Exam], None] | None = None,
) -> Answer:
    """Read an upload, refuse what cannot be judged, and predict it.

    Args:
        progress: called with the share that is done; it may raise.
        maps: also say where the network looked.
        drawn: the file is a phantom's, which a network of patients may find strange.
        check: called with the exam before it is predicted; it may raise.

    Raises:
        DataError: the file cannot be read, or holds more slices than the page shows.
        UnfamiliarError: it looks unlike what the network was trained on.
    """
    started, predictor = time.monotonic(), served.predictor
    exam = predictor.exam(file)
    if len(exam.rows) > MOST_SLICES:
        raise DataError(f"{exam.name}: {len(exam.rows)} slices, expected at most {MOST_SLICES}")
    if check:
        check(exam)
    if not drawn:
        predictor.check(exam)
    progress(0.1)
    finding = served.cascade.predict(exam, lambda share: progress(0.1 + share * (0.6 if maps else 0.85)))
    maps = maps and not predictor.of_volumes
    where = _maps(predictor, exam, finding, lambda share: progress(0.7 + share * 0.25)) if maps else None
    return Answer(exam, finding, served, where, time.monotonic() - started, drawn)


def _maps(predictor: Predictor, exam: Exam, finding: Finding, progress: Callable[[float], None]) -> np.ndarray | None:
    """Where the network looked on the slices called tumour; None where none is."""
    places = np.flatnonzero(finding.positive)
    if not len(places):
        return None
    places = np.sort(places[np.argsort(-finding.probability[places], kind="stable")][:EXPLAINED])
    maps = np.zeros(finding.depths.shape, np.float32)
    prepared = replace(exam, scaling=predictor.scaling(exam))
    for start in range(0, len(places), BATCH):
        some = places[start : start + BATCH]
        maps[some] = explain.explain(predictor, replace(prepared, rows=exam.rows[some])).maps
        progress(min(1.0, (start + BATCH) / len(places)))
    return maps


def _png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()
