"""The frozen description of a run: two runs of one recipe on the same data, machine and versions give the same weights.

A field that is marked ``since`` came after the first published runs. At its default it changes nothing and is no part of a run's
identity, so that recipes from before it still describe the same run. :mod:`brain_tumor.experiments.tasks` says which recipes
there are.
"""

from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, ClassVar, TypeVar

from brain_tumor.data.channels import CHANNELS, WITH_NEIGHBOURS, count
from brain_tumor.data.intensity import NORMALISATIONS, PREPARATION
from brain_tumor.errors import LARGEST_SEED, ModelError, RunError
from brain_tumor.models.architectures import CLASSIFICATION, PRECISIONS, SEGMENTATION, check_size, stride
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.batches import BALANCES
from brain_tumor.training.fields import check, setting
from brain_tumor.training.plan import OF_THE_OPTIMISER, Stage, stages

SPLIT_HELP = (
    "source-004, source-002, ratio-20, fold-1-of-5, slice-fold-1-of-5, site-HT, clean-1-of-3, leaky-1-of-3, or a JSON file."
)
EPOCHS, MAX_LR = 12, 1e-3
TWELVE_EPOCHS = (Stage("all", EPOCHS, MAX_LR),)
OF_THE_RECIPE = ("backbone", "size", "channels", "batchnorm_momentum", "input_batchnorm")  # of a network, which other fields say
SMALLEST = 16  # px; below this no network here can halve its input often enough


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run, but for the data itself; a subclass says for which task.

    Attributes:
        cohort: ``lgg``, ``phantom`` or one of your own; looked for when it is opened.
        split: a named split, or the path of a split's JSON.
        split_seed: decides the draw of a split that is drawn.
        validation: the share of training patients set aside to choose on; 0 once everything is chosen.
        model: a name of the task's ``MODELS``.
        size: slice height and width in pixels that the network works at.
        weights: where they come from: ``none`` (random), a source of encoders (:mod:`brain_tumor.models.weights`), or the NPZ
            file of a whole network (:mod:`brain_tumor.models.transfer`), looked for beside the other weights by its name.
        normalisation: ``unit``, ``imagenet``, ``volume`` or ``raw``. The 99th percentile of FLAIR differs twofold between the
            training patients of ``source-004``, which ``volume`` takes out; with ``unit`` a lone slice is seen as in its volume.
        augmentation: how slices are changed in training.
        loss: a name of the task's ``LOSSES``.
        stages: what trains, how long, at which rate.
        batch_size: slices a step.
        batchnorm_momentum: 0.99, or 0.9 for runs of a few hundred steps.
        flip_tta: predict each slice as it is and mirrored, and take the mean.
        threshold: a pixel, or slice, is called tumour where its probability is above this; fixed before training.
        precision: ``auto`` (measured), ``float32`` or ``mixed_bfloat16``.
        seed: initial weights, shuffling and augmentation.
        channels: the channels that the network takes (:mod:`brain_tumor.data.channels`).
        weight_average: the momentum of a moving average of the weights, which the trained network gets; 0 for its last weights.
        mask_from: for ``sequences+mask``, the cross-validation of a segmentation network whose out-of-fold masks it takes.
        model_arguments: more arguments of the network's constructor, ``{"filters": (8, 16)}``; they are held as pairs of name and
            value.

    Raises:
        ModelError: a word that names nothing, a number beyond its limits, or settings that exclude each other.
    """

    TASK: ClassVar[str] = ""
    MODELS: ClassVar[tuple[str, ...]] = ()
    LOSSES: ClassVar[tuple[str, ...]] = ()
    NEW_LAYERS: ClassVar[str] = ""  # the group of layers for which no weights are learnt elsewhere
    LEARNS_MASKS: ClassVar[bool] = False
    PREPARATION: ClassVar[int | None] = None  # how what is learnt is prepared: part of a run's identity, where it has changed
    LEARNS_REGIONS: ClassVar[bool] = False  # every region of a cohort, and not the outermost alone
    balance: ClassVar[str] = "none"
    rotation_tta: ClassVar[float] = 0.0
    members: ClassVar[int] = 1
    accumulate: ClassVar[int] = 1

    cohort: str = setting("lgg", "Whose exams: lgg, phantom, or a cohort of your own (brain-tumor data add).")
    split: str = setting("source-004", SPLIT_HELP)
    split_seed: int = setting(0, "Decides the draw of a split that is drawn.", low=0, high=LARGEST_SEED)
    validation: float = setting(0.0, "Share of training patients set aside to choose on.", low=0, high=0.9)
    model: str = setting("", "Which network.")
    size: int = setting(128, "Slice height and width in pixels.", low=SMALLEST)
    normalisation: str = setting("volume", "How pixel values are brought to one scale.", choices=NORMALISATIONS)
    augmentation: Augmentation = setting(factory=Augmentation)
    loss: str = setting("", "What is minimised.")
    stages: tuple[Stage, ...] = TWELVE_EPOCHS
    batch_size: int = setting(16, "Slices a step.", low=1)
    batchnorm_momentum: float = setting(0.99, "0.9 for runs under some 300 steps.", low=0, below=1)
    flip_tta: bool = setting(True, "Predict each slice as it is and mirrored, and take the mean.")
    threshold: float = setting(0.5, "Call tumour where the probability is above this.", low=0, high=1)
    precision: str = setting("auto", "auto measures the machine once.", choices=("auto", *PRECISIONS))
    seed: int = setting(0, "Initial weights, shuffling, augmentation.", low=0, high=LARGEST_SEED)
    weights: str = setting(
        "none", "none, imagenet or mri4 (encoders), or a file of brain-tumor pretrain or model weights.", since="0.2"
    )
    channels: str = setting("sequences", "The channels that the network takes.", choices=CHANNELS, since="0.2")
    weight_average: float = setting(
        0.0, "Momentum of a moving average of the weights, such as 0.99; 0 for none.", low=0, below=1, since="0.4"
    )
    mask_from: str = setting("", "For sequences+mask: the cross-validation that predicted the masks.", since="0.2")
    model_arguments: tuple[tuple[str, Any], ...] = setting(
        (), "An argument of the network's constructor, such as filters=8,16; may be given again.", since="0.3"
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, before a run is begun with it."""
        arguments = dict(self.model_arguments).items()
        object.__setattr__(self, "model_arguments", tuple((name, _tuples(value)) for name, value in arguments))
        check(self)
        for name, known in (("model", self.MODELS), ("loss", self.LOSSES)):
            if getattr(self, name) not in known:
                raise ModelError(f"{name} {getattr(self, name)!r}, expected one of {', '.join(known)}")
        own = dict(self.model_arguments)
        if twice := [name for name in OF_THE_RECIPE if name in own]:
            raise ModelError(f"model argument {twice[0]!r}: other fields of a recipe say this")
        for size in {*self.input_sizes, *(stage.size for stage in self.stages if stage.size)}:
            check_size(size, stride(self.model, **{name: own[name] for name in ("filters",) if name in own}))
        if not self.stages or not any(stage.epochs for stage in self.stages):
            raise ModelError("a recipe without an epoch, expected at least one stage of at least one")
        if bool(self.mask_from) != (self.channels == "sequences+mask"):
            raise ModelError(f"channels {self.channels!r} with mask_from {self.mask_from!r}: 'sequences+mask' needs it, no other")

    @property
    def input_sizes(self) -> tuple[int, ...]:
        """Heights and widths of what the network takes."""
        return (self.size,)

    def network_arguments(self, sequences: int, regions: int = 1) -> dict[str, Any]:
        """What the network for a cohort of so many sequences and regions is built with.

        Three channels are left out, which is every network's default, as before their number could be said.
        """
        number = count(self.channels, sequences)
        channels = {"channels": number} if number != 3 else {}
        return {"size": self.size, "batchnorm_momentum": self.batchnorm_momentum} | channels | dict(self.model_arguments)

    def to_json(self) -> dict[str, Any]:
        """Its task and fields as JSON values; :func:`brain_tumor.experiments.tasks.recipe_from_json` reads them again."""
        return {"task": self.TASK} | asdict(self)


@dataclass(frozen=True)
class SegmentationRecipe(Recipe):
    """Which pixels are tumour.

    Attributes:
        balance: ``sampling`` takes slices with and without tumour equally often.
        rotation_tta: predict each slice also turned by this many degrees either way, and take the mean.
        members: how many networks are trained, from ``seed * members`` on, a seed each; their mean is the answer
            (Lakshminarayanan 2017, arXiv 1612.01474).
    """

    TASK: ClassVar[str] = "segmentation"
    MODELS: ClassVar[tuple[str, ...]] = SEGMENTATION
    LOSSES: ClassVar[tuple[str, ...]] = ("bce-dice", "focal-dice", "edge-dice", "focal-tversky", "bce")
    NEW_LAYERS: ClassVar[str] = "decoder"
    LEARNS_MASKS: ClassVar[bool] = True
    PREPARATION: ClassVar[int | None] = PREPARATION

    model: str = setting("unet-resnet18", "Which network.", choices=SEGMENTATION)
    loss: str = setting("bce-dice", "What is minimised.", choices=LOSSES)
    balance: str = setting(  # type: ignore[misc]
        "none", "sampling takes slices with and without tumour equally often.", choices=("none", "sampling"), since="0.4"
    )
    rotation_tta: float = setting(  # type: ignore[misc]
        0.0, "Predict slices turned by this many degrees either way, too.", low=0, high=45, since="0.4"
    )
    members: int = setting(  # type: ignore[misc]
        1, "Networks that differ in their seed alone and answer together.", low=1, since="0.4"
    )

    def __post_init__(self) -> None:
        """As of every recipe; and lesions are pasted into lone slices."""
        super().__post_init__()
        if self.augmentation.copy_paste and self.channels in (*WITH_NEIGHBOURS, "sequences+mask"):
            raise ModelError(
                f"copy_paste with channels {self.channels!r}: lesions are pasted into slices alone, take 'sequences'"
            )


@dataclass(frozen=True)
class ClassificationRecipe(Recipe):
    """Is there tumour in this slice?

    Attributes:
        input_batchnorm: False takes away the BatchNorm that these ResNets begin with, which undoes most of a normalisation.
        balance: there are two slices without tumour for each with one: ``none`` leaves it so, ``weights`` lets the latter count
            more in the loss, ``sampling`` takes both equally often.
    """

    TASK: ClassVar[str] = "classification"
    MODELS: ClassVar[tuple[str, ...]] = CLASSIFICATION
    LOSSES: ClassVar[tuple[str, ...]] = ("bce",)
    NEW_LAYERS: ClassVar[str] = "head"

    model: str = setting("resnet18", "Which network; plain has two convolutions.", choices=CLASSIFICATION)
    loss: str = setting("bce", "What is minimised.", choices=LOSSES)
    input_batchnorm: bool = setting(
        True, "The BatchNorm that a ResNet begins with; it undoes most of a normalisation.", since="0.2"
    )
    balance: str = setting(  # type: ignore[misc]
        "none", "What is done about slices with tumour being fewer.", choices=BALANCES, since="0.2"
    )

    def __post_init__(self) -> None:
        """As of every recipe; and the plain network has no BatchNorm."""
        super().__post_init__()
        if self.model == "plain" and not self.input_batchnorm:
            raise ModelError("model 'plain' has no BatchNorm to take away")

    def network_arguments(self, sequences: int, regions: int = 1) -> dict[str, Any]:
        """As of every recipe; a first BatchNorm is left unsaid, as before it could be left out."""
        return super().network_arguments(sequences, regions) | ({} if self.input_batchnorm else {"input_batchnorm": False})


R = TypeVar("R", bound=Recipe)


def from_options(kind: type[R], **options: Any) -> R:
    """A recipe from flat options, as the command line takes them.

    Args:
        options: fields of the recipe and of :class:`Augmentation`; and in place of ``stages``: ``strategy``, ``epochs``,
            ``max_lr`` and the optimiser's (:func:`brain_tumor.training.plan.stages`).

    Raises:
        ModelError: an unknown option, or a value beyond its limits.
    """
    names = {item.name for item in fields(kind)}
    changes = {name: options.pop(name) for name in [item.name for item in fields(Augmentation)] if name in options}
    planned = {name: options.pop(name) for name in ("strategy", "epochs", "max_lr", *OF_THE_OPTIMISER) if name in options}
    unknown = sorted(options.keys() - names)
    if unknown:
        raise ModelError(f"unknown option {unknown[0]!r} of a {kind.TASK} recipe, expected some of {', '.join(sorted(names))}")
    if changes:
        options["augmentation"] = Augmentation(**changes)
    if planned:
        arguments: dict[str, Any] = {"strategy": "all", "epochs": EPOCHS, "max_lr": MAX_LR, **planned}
        options["stages"] = stages(**arguments, new_layers=kind.NEW_LAYERS, size=options.get("size", kind.size))
    return kind(**options)


def Segmentation(**options: Any) -> SegmentationRecipe:
    """A recipe of a segmentation network; options as on the command line (``epochs=12, max_lr=1e-3, strategy="all"``)."""
    return from_options(SegmentationRecipe, **options)


def Classification(**options: Any) -> ClassificationRecipe:
    """A recipe of a slice classifier; options as on the command line."""
    return from_options(ClassificationRecipe, **options)


def identity(described: object) -> Any:
    """What decides a run, as JSON values: fields marked ``since`` are left out at their defaults."""
    if isinstance(described, tuple):
        return [identity(item) for item in described]
    if not is_dataclass(described):
        return described
    values = {item.name: getattr(described, item.name) for item in fields(described)}
    defaults = {item.name: item.default for item in fields(described) if "since" in item.metadata}
    return {name: identity(value) for name, value in values.items() if name not in defaults or value != defaults[name]}


def from_json(kind: type[Recipe], values: dict[str, Any]) -> Recipe:
    """The recipe of ``kind`` whose fields were written as JSON.

    Raises:
        RunError: it lacks a field, or has one too many; a field marked ``since`` may be absent.
        ModelError: a value is beyond its limits.
    """
    parts: dict[str, Any] = {
        "augmentation": _made(Augmentation, values.get("augmentation", {})),
        "stages": tuple(_made(Stage, stage) for stage in values.get("stages", ())),
    }
    return _made(kind, {name: value for name, value in values.items() if name != "task"} | parts)


def _tuples(value: Any) -> Any:
    """JSON's lists as tuples, all the way down."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _made(kind: type, values: dict[str, Any]) -> Any:
    required = {item.name: "since" not in item.metadata for item in fields(kind)}
    wrong = (values.keys() - required) | {name for name, needed in required.items() if needed and name not in values}
    if wrong:
        raise RunError(f"a recipe of another version of this package ({', '.join(sorted(wrong))}); train it anew")
    return kind(**values)
