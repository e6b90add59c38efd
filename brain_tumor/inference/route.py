"""Which network answers for an exam: the pixels tell which sequences it really has (rows 004.24-25).

Where a sequence was not taken, the LGG data holds a copy of FLAIR in its place. Such an exam is better answered by a network that
asks for FLAIR alone, perhaps with the slices above and below.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import TypeVar

import numpy as np

from brain_tumor.data.cohort import missing_sequences
from brain_tumor.errors import ModelError
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.predictor import Predictor

T = TypeVar("T")


def choose(complete: Predictor, reference: Predictor, exam: Exam) -> tuple[Predictor, tuple[str, ...]]:
    """The network that answers for an exam, and the sequences that the exam lacks.

    Args:
        complete, reference: two networks for the same sequences: one takes all of them, the other their reference alone.

    Raises:
        ModelError: they were trained on other sequences, or answer otherwise, so that they cannot stand for each other.
    """
    if tuple(complete.sequences) != tuple(reference.sequences):
        trained = [", ".join(network.sequences) for network in (complete, reference)]
        raise ModelError(f"networks trained on {trained[0]} and on {trained[1]} cannot answer for the same exams")
    if complete.outlines != reference.outlines:
        raise ModelError("one network outlines tumours, the other tells slices: they cannot answer for each other")
    missing = missing_sequences(exam.images, complete.sequences)
    return answering(missing, complete, reference), missing


def answering(missing: Sequence[str], complete: T, reference: T) -> T:
    """Which of two networks answers for an exam that lacks these sequences."""
    return reference if missing else complete


def patterns(sequences: Sequence[str]) -> list[tuple[str, ...]]:
    """Every way to lack sequences: none, each alone, and each pair; never all of them."""
    return [pattern for number in range(3) for pattern in combinations(sequences, number) if len(pattern) < len(sequences)]


def without(exam: Exam, sequences: Sequence[str], removed: Sequence[str], reference: int) -> Exam:
    """The exam as if some sequences had not been taken: copies of the reference stand in for them.

    Where the reference itself is removed, copies of the last sequence that is left stand in.
    """
    channels = [sequences.index(name) for name in removed]
    left = [channel for channel in range(len(sequences)) if channel not in channels]
    stand_in = reference if reference in left else left[-1]
    images = exam.images.copy()
    images[..., channels] = images[..., [stand_in]]
    scaling = exam.scaling
    if scaling is not None:
        scaling = scaling.copy()
        scaling[..., channels] = scaling[..., [stand_in]]
    return replace(exam, images=np.ascontiguousarray(images), scaling=scaling)
