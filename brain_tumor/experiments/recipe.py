"""The frozen description of a run: two runs of one recipe on the same data, machine and versions give the same weights."""

from dataclasses import asdict, dataclass, field
from typing import ClassVar

from brain_tumor import files
from brain_tumor.data.intensity import NORMALISATIONS
from brain_tumor.errors import ModelError
from brain_tumor.models.precision import PRECISIONS
from brain_tumor.models.saved import CLASSIFICATION, SEGMENTATION
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.stages import Stage


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run, but for the data itself; :class:`SegmentationRecipe` and :class:`ClassificationRecipe`
    say for which task.

    Attributes:
        cohort: ``lgg`` or ``phantom``.
        split: a named split, or the path of a split's JSON.
        split_seed: decides the draw of a split that is drawn.
        tune: the share of training patients set aside to choose on; 0 once everything is chosen.
        model: a name of the task's ``MODELS``.
        size: slice height and width in pixels that the network works at.
        normalisation: ``unit``, ``imagenet`` or ``volume``. The 99th percentile of FLAIR differs twofold between the training
            patients of ``source-004``, which ``volume`` takes out; with ``unit`` a lone slice is seen as in its volume.
        augmentation: how slices are moved in training.
        loss: a name of the task's ``LOSSES``.
        stages: what trains, how long, at which peak rate.
        batch_size: slices a step.
        batchnorm_momentum: 0.99, or 0.9 for runs of a few hundred steps.
        average_flips: predict each slice as it is and mirrored, and take the mean.
        threshold: a pixel, or slice, is called tumour where its probability is above this; fixed before training.
        precision: ``auto`` (measured), ``float32`` or ``mixed_bfloat16``.
        seed: initial weights, shuffling and augmentation.
    """

    TASK: ClassVar[str] = ""
    MODELS: ClassVar[tuple[str, ...]] = ()
    LOSSES: ClassVar[tuple[str, ...]] = ()

    cohort: str = "lgg"
    split: str = "source-004"
    split_seed: int = 0
    tune: float = 0.0
    model: str = ""
    size: int = 128
    normalisation: str = "volume"
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: str = ""
    stages: tuple[Stage, ...] = (Stage("all", epochs=12),)
    batch_size: int = 16
    batchnorm_momentum: float = 0.99
    average_flips: bool = True
    threshold: float = 0.5
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self):
        """Refuse a word that names nothing, before a run is begun with it."""
        choices = {
            "model": self.MODELS,
            "loss": self.LOSSES,
            "normalisation": NORMALISATIONS,
            "precision": ("auto", *PRECISIONS),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ModelError(f"{name} {getattr(self, name)!r}, expected one of {', '.join(known)}")

    @property
    def run_id(self) -> str:
        """The run folder's name: what a person looks for first, then a hash of all of it."""
        split = self.split.rsplit("/", 1)[-1].removesuffix(".json")
        return f"{self.cohort}-{split}-{self.model}-{self.size}-seed{self.seed}-{files.sha256_json(asdict(self))[:8]}"


@dataclass(frozen=True)
class SegmentationRecipe(Recipe):
    """Which pixels are tumour."""

    TASK: ClassVar[str] = "segmentation"
    MODELS: ClassVar[tuple[str, ...]] = SEGMENTATION
    LOSSES: ClassVar[tuple[str, ...]] = ("bce-dice", "focal-tversky")

    model: str = "unet-resnet18"
    loss: str = "bce-dice"


@dataclass(frozen=True)
class ClassificationRecipe(Recipe):
    """Is there tumour in this slice?"""

    TASK: ClassVar[str] = "classification"
    MODELS: ClassVar[tuple[str, ...]] = CLASSIFICATION
    LOSSES: ClassVar[tuple[str, ...]] = ("bce",)

    model: str = "resnet18"
    loss: str = "bce"


def from_json(values: dict) -> Recipe:
    """The recipe that ``dataclasses.asdict`` turned into JSON; its model says of which task."""
    kind = ClassificationRecipe if values["model"] in CLASSIFICATION else SegmentationRecipe
    return kind(
        **{
            **values,
            "augmentation": Augmentation(**values["augmentation"]),
            "stages": tuple(Stage(**stage) for stage in values["stages"]),
        }
    )
