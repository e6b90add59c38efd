"""Frozen stages on cached features: a head that trains alone sees what its encoder says of each slice, worked out once.

Where only a classifier's head trains, the encoder answers the same in every epoch, and that answer is all the head sees: the
features after pooling, ``(F,)`` a slice, 512 for ResNet-18 (Donahue 2014, arXiv 1310.1531, called them off the shelf). They are
computed for each training slice as it is and, where slices are flipped, mirrored, and kept in memory as float32: 4 KB a slice.
Order, mirroring and dropout are those of the same stage on images, so both train the same head, to within float32 rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import keras
import numpy as np

from brain_tumor.data.intensity import normalise
from brain_tumor.errors import ModelError
from brain_tumor.models import backend, settings
from brain_tumor.progress import Bar
from brain_tumor.training import augment
from brain_tumor.training.batches import SliceArrays, TrainingBatches, ValidationBatches

POOL = "head_pool"  # where a classifier's encoder ends (brain_tumor.models.classifier)


def represents(augmentation: augment.Augmentation) -> bool:
    """Whether features can stand for slices so augmented: mirrored perhaps, and nothing else."""
    return replace(augmentation, flip=False) == augment.NONE


def check(augmentation: augment.Augmentation) -> None:
    """Refuse an augmentation that changes a slice otherwise in every epoch.

    Raises:
        ModelError: naming what cannot be represented.
    """
    if not represents(augmentation):
        names = [item.name for item in fields(augment.Augmentation)]
        moves = ", ".join(
            f"{name} {getattr(augmentation, name):g}"
            for name in names
            if name != "flip" and getattr(augmentation, name) != getattr(augment.NONE, name)
        )
        raise ModelError(f"augmentation with {moves}: cached features can only be mirrored; train on images, or set it to 0")


def suffice(model: keras.Model, part: str) -> bool:
    """Whether ``part`` of ``model`` is the head of a classifier, which needs no more than features."""
    return part == "head" and any(layer.name == POOL for layer in model.layers)


@settings.fixed()
def head(model: keras.Model) -> keras.Model:
    """The classifier's own head, the very layers: ``(B, F)`` features -> what the classifier gives."""
    return keras.Model(model.get_layer(POOL).output, model.output, name=f"{model.name}_head")


@dataclass(frozen=True)
class Features:
    """What an encoder says of some slices.

    Attributes:
        rows: ``(n,)``, ascending: which slices.
        plain: ``(n, F)`` float32.
        mirrored: the same of the slices mirrored left and right, or None where none is asked for.
    """

    rows: np.ndarray
    plain: np.ndarray
    mirrored: np.ndarray | None = None

    def take(self, rows: np.ndarray, mirrored: np.ndarray | None = None) -> np.ndarray:
        """``(B, F)`` float32 of ``rows``, those mirrored where ``mirrored (B,)`` bool says so."""
        places = np.searchsorted(self.rows, rows)
        if mirrored is None or self.mirrored is None:
            return self.plain[places]
        return np.where(mirrored[:, None], self.mirrored[places], self.plain[places])


@settings.fixed()
def compute(model: keras.Model, arrays: SliceArrays, batch_size: int, flip: bool) -> Features:
    """Run the encoder of a compiled classifier once over the slices of ``arrays``, twice with ``flip``.

    Inference mode throughout, as a frozen encoder is in training too: its BatchNorms use their statistics and leave them.
    """
    encoder = backend.faster(keras.Model(model.input, model.get_layer(POOL).output))
    encoder.compile(jit_compile=model.jit_compile)  # left to itself Keras takes XLA, which is slow on a processor
    rows = np.unique(arrays.rows)
    outputs = np.empty((1 + flip, len(rows), model.get_layer(POOL).output.shape[-1]), np.float32)
    with Bar("features", len(rows)) as bar:
        for start in range(0, len(rows), batch_size):
            here = rows[start : start + batch_size]
            images, _, scalings = arrays.take(np.resize(here, batch_size))  # the last batch filled up: one shape to compile
            for way, planes in enumerate((images, images[:, :, ::-1])[: 1 + flip]):
                answer = encoder.predict_on_batch(normalise(planes, scalings))
                outputs[way, start : start + len(here)] = np.asarray(answer, np.float32)[: len(here)]
            bar.advance(len(here))
    return Features(rows, *outputs)


class FeatureBatches:
    """An epoch of :class:`TrainingBatches`, the same slices mirrored alike, as features."""

    def __init__(self, batches: TrainingBatches, features: Features):
        self.batches, self.features = batches, features

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """``features (B, F)`` and ``labels (B, 1)``, float32."""
        draw = self.batches.draw(index)
        labels = self.batches.arrays.targets[draw.rows]
        return self.features.take(draw.rows, draw.matrices[:, 0, 0] < 0), labels[:, None].astype(np.float32)


class FeatureValidationBatches(ValidationBatches):
    """The validation part in order, as features."""

    def __init__(self, arrays: SliceArrays, batch_size: int, features: Features):
        super().__init__(arrays, batch_size)
        self.features = features

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`FeatureBatches.__getitem__`."""
        rows = self.arrays.rows[index * self.batch_size : (index + 1) * self.batch_size]
        return self.features.take(rows), self.arrays.targets[rows][:, None].astype(np.float32)


def batches(
    model: keras.Model, epoch_batches: Callable[[int], TrainingBatches], example: TrainingBatches, validation: SliceArrays | None
) -> tuple[Callable[[int], FeatureBatches], FeatureValidationBatches | None]:
    """``epoch_batches`` and the validation part, as features of ``model``'s encoder as it is now.

    Args:
        example: any epoch's batches; all are of the same slices.
    """
    cached = compute(model, example.arrays, example.batch_size, example.augmentation.flip)
    held_out = None
    if validation is not None:
        held_out = FeatureValidationBatches(
            validation, example.batch_size, compute(model, validation, example.batch_size, flip=False)
        )
    return lambda epoch: FeatureBatches(epoch_batches(epoch), cached), held_out
