"""Two networks one after the other: one tells which slices show a tumour, the other outlines it there.

A network for masks tells slices too, by its most probable pixel. Which of the two tells them better, and whether the first one
helps, is measured in notebook 11.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from brain_tumor.errors import ModelError
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.measures import Measures, measure
from brain_tumor.inference.predict import Prediction
from brain_tumor.inference.predictor import Predictor


@dataclass(frozen=True)
class Finding:
    """What is said of an exam's slices.

    Attributes:
        probability: ``(n,)`` float32, that a slice shows tumour.
        positive: ``(n,)`` bool, where tumour is called.
        outline: the probability of each pixel.
        depths: ``(n, H, W)`` uint8, in how many nested regions each pixel is called.
        measures: of the masks.
    """

    probability: np.ndarray
    positive: np.ndarray
    outline: Prediction
    depths: np.ndarray
    measures: Measures

    @property
    def masks(self) -> np.ndarray:
        """``(n, H, W)`` uint8 in {0, 1}, what is called tumour."""
        return np.minimum(self.depths, 1)


@dataclass(frozen=True)
class Cascade:
    """A network for masks, and perhaps one for slices before it.

    Attributes:
        outliner: predicts masks.
        detector: predicts a probability a slice; None: the outliner tells slices, by its slice head or its most probable pixel.
        gated: nothing is outlined on a slice that the detector does not call.

    Raises:
        ModelError: a network of the wrong kind, or two of other sequences.
    """

    outliner: Predictor
    detector: Predictor | None = None
    gated: bool = True

    def __post_init__(self) -> None:
        """Refuse networks that cannot work together."""
        if not self.outliner.outlines or (self.detector and self.detector.outlines):
            raise ModelError("a cascade needs a network that outlines tumours, and before it perhaps one that tells slices")
        if self.detector and tuple(self.detector.sequences) != tuple(self.outliner.sequences):
            raise ModelError("the two networks of a cascade were trained on other sequences")

    def predict(self, exam: Exam, progress: Callable[[float], None] | None = None) -> Finding:
        """Tell and outline the slices that are asked for.

        Args:
            progress: called with the share of the outline that is done; it may raise.

        Raises:
            DataError: another number of channels than the networks'.
        """
        outline = self.outliner.predict(exam, progress)
        depths = outline.depths(self.outliner.threshold)
        if self.detector is None:
            probability = outline.slice_probability.astype(np.float32)
            positive = depths.any(axis=(1, 2))
        else:
            probability = self.detector.predict(exam).probability
            positive = probability > self.detector.threshold
            depths = depths * positive[:, None, None].astype(np.uint8) if self.gated else depths
        planes = exam.images[exam.rows][..., self.outliner.reference]
        measures = measure(planes, np.minimum(depths, 1), outline.slice_numbers, exam.spacing_mm)
        return Finding(probability, positive, outline, depths, measures)
