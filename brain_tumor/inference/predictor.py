"""A trained model with everything needed to apply it: ``Predictor.load(folder).predict(exam)``.

A model's folder is self-contained: ``model.json`` says how the network is built, how its inputs are prepared and how its answer
is decided; beside it lie the weights. Command line, notebooks and evaluation all predict through this class, so that an exam gets
the same bits from each. A predictor is loaded once; its first call compiles the network for one fixed batch, later ones are hot.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from brain_tumor.data import channels, intensity
from brain_tumor.data.cohort import COHORTS, Case
from brain_tumor.data.memory import File
from brain_tumor.data.readers import lgg
from brain_tumor.errors import DataError, ModelError, UnfamiliarError
from brain_tumor.evaluation.calibration import check_probabilities
from brain_tumor.inference import familiarity as looks, intake, sliding
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.predict import Network, Prediction, at_native_size, passes, probabilities, to_bytes
from brain_tumor.models import backend, inflate, levels, saved, settings
from brain_tumor.progress import Steps


@dataclass(frozen=True)
class SlicePrediction:
    """The probability of tumour of one exam's slices.

    Attributes:
        case_id: whose.
        slice_numbers: ``(n,)`` int, the slices predicted.
        probability: ``(n,)`` float32 in [0, 1].
    """

    case_id: str
    slice_numbers: np.ndarray
    probability: np.ndarray

    def table(self, threshold: float) -> pd.DataFrame:
        """A row a slice: its probability, and whether it is called tumour."""
        values = {"probability": self.probability.round(3), "tumour": self.probability > threshold}
        return pd.DataFrame(values, index=pd.Index(self.slice_numbers, name="slice"))


@dataclass(frozen=True)
class Predictor:
    """A network, the preparation of its inputs, and the decision.

    Attributes:
        model: ends in logits: ``(B, S, S, 1)`` for masks, or ``(B, 1)`` for slices.
        normalisation: how pixel values are brought to one scale (:mod:`brain_tumor.data.intensity`).
        channels: the channels that the network takes (:mod:`brain_tumor.data.channels`).
        flip_tta: predict each slice as it is and mirrored, and take the mean.
        rotation_tta: predict it turned by this many degrees either way, too; 0 for not.
        threshold: tumour is called where the probability is above this.
        cohort: the cohort that it was trained on.
        sequences: the names of an exam's channels, in order; those of LGG where an earlier version wrote the folder.
        reference: the channel that ``flair`` and ``neighbours`` are of, and in which slices are drawn.
        others: more networks, prepared alike, whose answers are averaged with this one's.
        familiarity: what its training slices look like; None where the folder does not say.
        size: of a network of volumes, the height and width to which slices are brought before patches are cut; 0 of others.
        regions: the names of the nested regions that it tells apart, the outermost first.
        from_feet: whether it learnt from slices that are seen from the feet, the face above, as those of the LGG data and of
            BraTS are; None where an earlier version wrote the folder, and its cohort tells.
    """

    model: keras.Model
    normalisation: str = "volume"
    channels: str = "sequences"
    flip_tta: bool = False
    threshold: float = 0.5
    cohort: str = ""
    sequences: Sequence[str] = lgg.SEQUENCES
    reference: int = lgg.FLAIR
    rotation_tta: float = 0.0
    others: Sequence["Predictor"] = ()
    familiarity: looks.Familiarity | None = None
    size: int = 0
    regions: Sequence[str] = ("tumour",)
    from_feet: bool | None = None

    @classmethod
    def load(cls, folder: Path | str, model: keras.Model | None = None) -> "Predictor":
        """The predictor in a model's folder, such as a finished run's; nothing that a file says is run.

        Args:
            model: your own network, where the folder holds the weights of one.

        Raises:
            ModelError: a file is missing or damaged, or does not say how inputs are prepared.
        """
        folder = Path(folder)
        if members := saved.members(folder):
            first, *others = (cls.load(member) for member in members)
            return cls(first.model, **saved.read(folder)["predictor"], others=tuple(others), familiarity=looks.load(folder))
        model, description = saved.load_described(folder, model)
        try:
            return cls(model, **description["predictor"], familiarity=looks.load(folder))
        except (KeyError, TypeError) as error:
            raise ModelError(
                f"{folder / saved.DESCRIPTION}: does not say how inputs are prepared ({error}); a version before 0.3 wrote it, "
                "so train the run again"
            ) from None

    @cached_property
    def network(self) -> Network:
        """The model as a compiled function, with its weights as they are at the first prediction."""
        with settings.fixed():
            return backend.frozen(self.model)

    def network_of(self, tile: tuple[int, int, int]) -> Network:
        """:attr:`network` for volumes of another extent, compiled once for each."""
        if tile not in self._tiles:
            with settings.fixed():
                self._tiles[tile] = backend.frozen(inflate.extended(self.model, tile))
        return self._tiles[tile]

    @cached_property
    def _tiles(self) -> dict[tuple[int, int, int], Network]:
        return {self.model.input_shape[1:4]: self.network}

    def tile(self, extent: tuple[int, int, int]) -> tuple[int, int, int]:
        """How much of a volume of this extent the network is given at once (:func:`brain_tumor.inference.sliding.tile`).

        It is a patch, as in training, where the network's answer depends on the extent.
        """
        patch = self.model.input_shape[1:4]
        return sliding.tile(patch, extent) if inflate.is_local(self.model) else patch

    def sensitivity(self, level: str) -> levels.Sensitivity:
        """How a level's features move the network's logits (:func:`brain_tumor.models.levels.sensitivity`), compiled once."""
        if level not in self._sensitivities:
            self._sensitivities[level] = levels.sensitivity(self.model, level)
        return self._sensitivities[level]

    @cached_property
    def _sensitivities(self) -> dict[str, levels.Sensitivity]:
        return {}

    @property
    def outlines(self) -> bool:
        """Whether it predicts masks, and not a probability a slice."""
        return len(self.model.output_shape) > 2

    @property
    def of_volumes(self) -> bool:
        """Whether it takes volumes, and so always looks at whole exams."""
        return len(self.model.output_shape) == 5

    @property
    def by_exam(self) -> bool:
        """Whether its answer for a slice depends on the other slices of the exam."""
        of_volume = self.normalisation in intensity.OF_VOLUMES or self.channels in channels.WITH_NEIGHBOURS
        return of_volume or self.of_volumes

    @property
    def radiological(self) -> bool:
        """Whether the slices of a volume are turned for it to be seen from the feet, the face above."""
        return (self.cohort in COHORTS or len(self.regions) > 1) if self.from_feet is None else self.from_feet

    def exam(self, source: str | File | np.ndarray | Case, resample_to: str = "") -> Exam:
        """Anything that :func:`brain_tumor.inference.intake.exam` takes, read as this network needs it."""
        named = partial(intake.exam, sequences=self.sequences, radiological=self.radiological, resample_to=resample_to)
        return named(source, self.by_exam)

    def check(self, exam: Exam) -> None:
        """Refuse an exam that looks unlike what the network was trained on; nothing is refused where its folder does not say.

        Raises:
            DataError: another number of channels than the network's.
            UnfamiliarError: the network's answer would mean nothing.
        """
        self._check_channels(exam)
        verdict = self.familiarity and self.familiarity.check(exam)
        if verdict and verdict.refused:
            raise UnfamiliarError(f"{exam.name}: {verdict.reason}")

    def inputs(self, exam: Exam) -> tuple[np.ndarray, np.ndarray]:
        """What the network is given of the slices that are asked for: ``(n, S, S, C)`` uint8, and their scaling ``(4, C)``; of a
        network of volumes, all slices.

        Raises:
            DataError: another number of channels than the network's.
        """
        self._check_channels(exam)
        rows = np.arange(len(exam.images)) if self.of_volumes else exam.rows
        images = channels.exam_inputs(exam.images, self.channels, self.reference)[rows]
        scaling = channels.arranged(self.scaling(exam), self.channels, self.reference)
        return intensity.resize_images(intensity.pad_to_square(images), self.size or self.model.input_shape[1]), scaling

    def _check_channels(self, exam: Exam) -> None:
        number, expected = exam.images.shape[-1], len(self.sequences)
        if number != expected:
            named = f"{expected} ({', '.join(self.sequences)})"
            raise DataError(f"{exam.name}: {number} channel{'s' * (number > 1)}, the network was trained on {named}")

    def scaling(self, exam: Exam) -> np.ndarray:
        """``(4, C)`` float32: how an exam's sequences are brought to the scale that the network learnt with."""
        return intensity.scaling(exam.images, self.normalisation) if exam.scaling is None else exam.scaling

    def predict(self, exam: Exam, progress: Callable[[float], None] | None = None) -> Any:
        """Predict the slices that are asked for, at the exam's own size.

        Slices that are not square are padded for the network, and the answer is cut back.

        Args:
            progress: called with the share that is done; it may raise.

        Returns:
            A :class:`~brain_tumor.inference.predict.Prediction` of a network for masks, else a :class:`SlicePrediction`.

        Raises:
            DataError: another number of channels than the network's, or an answer that is no probability.
        """
        images, scaling = self.inputs(exam)
        if self.of_volumes:
            return self._predict_volume(exam, images, scaling, progress)
        networks = [self.network, *(other.network for other in self.others)]
        how = (self.flip_tta, self.rotation_tta)
        step = Steps(len(networks) * passes(len(images), *how), progress)
        answer = np.mean([probabilities(network, images, scaling, *how, step) for network in networks], axis=0)
        check_probabilities(answer, f"{exam.name}: the network's answer")  # NaN would be stored as "no tumour"
        if not self.outlines:
            return SlicePrediction(exam.name, exam.asked, answer)
        of_slices = None
        if answer.ndim == 4:  # masks, and whether the slice holds tumour, the same in every pixel
            middle = answer.shape[1] // 2
            answer, of_slices = answer[..., 0], answer[:, middle, middle, -1].astype(np.float32)
        return Prediction(exam.name, exam.asked, at_native_size(answer, exam.images.shape[1:3]), to_bytes(answer), of_slices)

    def _predict_volume(
        self,
        exam: Exam,
        images: np.ndarray,
        scaling: np.ndarray,
        progress: Callable[[float], None] | None,
    ) -> Prediction:
        """The answer of a network of volumes, for every region."""
        tile = self.tile(images.shape[:3])
        networks = [each.network_of(tile) for each in (self, *self.others)]
        step = Steps(len(networks) * sliding.passes(images.shape[:3], tile), progress)
        answers = [sliding.probabilities(network, images, scaling, tile, self.flip_tta, step) for network in networks]
        answer = (np.mean(answers, axis=0) if len(answers) > 1 else answers[0])[exam.rows]
        check_probabilities(answer, f"{exam.name}: the network's answer")
        outermost, *inside = (at_native_size(plane, exam.images.shape[1:3]) for plane in np.moveaxis(answer, -1, 0))
        inner = np.stack(inside, axis=-1) if inside else None
        return Prediction(exam.name, exam.asked, outermost, to_bytes(answer[..., 0]), inner=inner)
