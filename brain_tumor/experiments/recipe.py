"""The frozen description of a run: two runs of one recipe on the same data, machine and versions give the same weights.

A field that is marked ``since`` came after the first published runs. At its default it changes nothing and is no part of a run's
identity, so that runs and records from before it keep their names, and are found.
"""

from dataclasses import dataclass, field, fields, is_dataclass
from typing import ClassVar

from brain_tumor import files
from brain_tumor.data.channels import CHANNELS
from brain_tumor.data.intensity import NORMALISATIONS
from brain_tumor.errors import ModelError, RunError, check_seed, check_word
from brain_tumor.models.precision import PRECISIONS
from brain_tumor.models.saved import CLASSIFICATION, SEGMENTATION
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.batches import BALANCES
from brain_tumor.training.stages import Stage

SINCE = {"since": "0.2"}


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run, but for the data itself; :class:`SegmentationRecipe` and :class:`ClassificationRecipe`
    say for which task.

    Attributes:
        cohort: ``lgg`` or ``phantom``.
        split: a named split, or the path of a split's JSON.
        split_seed: decides the draw of a split that is drawn.
        validation: the share of training patients set aside to choose on; 0 once everything is chosen.
        model: a name of the task's ``MODELS``.
        size: slice height and width in pixels that the network works at.
        weights: where the encoder's come from: ``none`` (random), or a source of :mod:`brain_tumor.models.weights`.
        normalisation: ``unit``, ``imagenet``, ``volume`` or ``raw``. The 99th percentile of FLAIR differs twofold between the
            training patients of ``source-004``, which ``volume`` takes out; with ``unit`` a lone slice is seen as in its volume.
        augmentation: how slices are moved in training.
        loss: a name of the task's ``LOSSES``.
        stages: what trains, how long, at which peak rate.
        batch_size: slices a step.
        batchnorm_momentum: 0.99, or 0.9 for runs of a few hundred steps.
        flip_tta: predict each slice as it is and mirrored, and take the mean.
        threshold: a pixel, or slice, is called tumour where its probability is above this; fixed before training.
        precision: ``auto`` (measured), ``float32`` or ``mixed_bfloat16``.
        seed: initial weights, shuffling and augmentation.
    """

    TASK: ClassVar[str] = ""
    MODELS: ClassVar[tuple[str, ...]] = ()
    LOSSES: ClassVar[tuple[str, ...]] = ()
    NEW_LAYERS: ClassVar[str] = ""  # the part of its networks for which no weights are learnt elsewhere

    cohort: str = "lgg"
    split: str = "source-004"
    split_seed: int = 0
    validation: float = 0.0
    model: str = ""
    size: int = 128
    normalisation: str = "volume"
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: str = ""
    stages: tuple[Stage, ...] = (Stage("all", epochs=12),)
    batch_size: int = 16
    batchnorm_momentum: float = 0.99
    flip_tta: bool = True
    threshold: float = 0.5
    precision: str = "auto"
    seed: int = 0
    weights: str = field(default="none", metadata=SINCE)

    def __post_init__(self):
        """Refuse a word that names nothing, before a run is begun with it."""
        choices = {
            "model": self.MODELS,
            "loss": self.LOSSES,
            "normalisation": NORMALISATIONS,
            "precision": ("auto", *PRECISIONS),
        }
        for name, known in choices.items():
            check_word(name, getattr(self, name), known)
        for name in ("seed", "split_seed"):
            check_seed(name, getattr(self, name))

    @property
    def run_id(self) -> str:
        """The run folder's name: what a person looks for first, then a hash of all of it."""
        split = self.split.rsplit("/", 1)[-1].removesuffix(".json")
        return f"{self.cohort}-{split}-{self.model}-{self.size}-seed{self.seed}-{files.sha256_json(identity(self))[:8]}"


@dataclass(frozen=True)
class SegmentationRecipe(Recipe):
    """Which pixels are tumour."""

    TASK: ClassVar[str] = "segmentation"
    MODELS: ClassVar[tuple[str, ...]] = SEGMENTATION
    LOSSES: ClassVar[tuple[str, ...]] = ("bce-dice", "focal-tversky")
    NEW_LAYERS: ClassVar[str] = "decoder"

    model: str = "unet-resnet18"
    loss: str = "bce-dice"


@dataclass(frozen=True)
class ClassificationRecipe(Recipe):
    """Is there tumour in this slice?

    Attributes:
        channels: what the network is shown (:mod:`brain_tumor.data.channels`).
        mask_from: for ``sequences+mask``, the cross-validation of a segmentation network whose out-of-fold masks are shown.
        input_batchnorm: False takes away the BatchNorm that these ResNets begin with, which undoes most of a normalisation.
        balance: there are two slices without tumour for each with one: ``none`` leaves it so, ``weights`` lets the latter count
            more in the loss, ``sampling`` shows both equally often.
    """

    TASK: ClassVar[str] = "classification"
    MODELS: ClassVar[tuple[str, ...]] = CLASSIFICATION
    LOSSES: ClassVar[tuple[str, ...]] = ("bce",)
    NEW_LAYERS: ClassVar[str] = "head"

    model: str = "resnet18"
    loss: str = "bce"
    channels: str = field(default="sequences", metadata=SINCE)
    mask_from: str = field(default="", metadata=SINCE)
    input_batchnorm: bool = field(default=True, metadata=SINCE)
    balance: str = field(default="none", metadata=SINCE)

    def __post_init__(self):
        """As of every recipe, and that a mask comes from somewhere just where one is shown."""
        super().__post_init__()
        for name, known in (("channels", CHANNELS), ("balance", BALANCES)):
            check_word(name, getattr(self, name), known)
        if bool(self.mask_from) != (self.channels == "sequences+mask"):
            raise ModelError(f"channels {self.channels!r} with mask_from {self.mask_from!r}: 'sequences+mask' needs it, no other")
        if self.model == "plain" and not self.input_batchnorm:
            raise ModelError("model 'plain' has no BatchNorm to take away")


def identity(described: object) -> object:
    """What decides a run, as JSON values: fields marked ``since`` are left out at their defaults."""
    if isinstance(described, tuple):
        return [identity(item) for item in described]
    if not is_dataclass(described):
        return described
    found = {item.name: (getattr(described, item.name), "since" in item.metadata, item.default) for item in fields(described)}
    return {name: identity(value) for name, (value, later, default) in found.items() if not (later and value == default)}


def from_json(values: dict) -> Recipe:
    """The recipe that ``dataclasses.asdict`` turned into JSON; its model says of which task.

    Raises:
        RunError: it lacks a field, or has one too many; a field marked ``since`` may be absent.
    """
    kind = ClassificationRecipe if values["model"] in CLASSIFICATION else SegmentationRecipe
    parts = {
        "augmentation": _made(Augmentation, values.get("augmentation", {})),
        "stages": tuple(_made(Stage, stage) for stage in values.get("stages", ())),
    }
    return _made(kind, values | parts)


def _made(kind: type, values: dict):
    expected = {item.name: "since" in item.metadata for item in fields(kind)}
    wrong = (values.keys() - expected) | {name for name, later in expected.items() if name not in values and not later}
    if wrong:
        raise RunError(f"a recipe of another version of this package ({', '.join(sorted(wrong))}); train it anew")
    return kind(**values)
