"""What a recipe is told by on the command line: said once, taken by every command that trains.

A command that is decorated with :func:`takes` shows the options of :func:`segmentation` or :func:`classification` behind its own,
and is called with the recipe that they make.
"""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

from brain_tumor.cli.backend import load_keras
from brain_tumor.errors import LARGEST_SEED

if TYPE_CHECKING:
    from brain_tumor.experiments.recipe import ClassificationRecipe, Recipe, SegmentationRecipe

SPLIT_HELP = (
    "source-004, source-002, ratio-20, fold-1-of-5, slice-fold-1-of-5, site-HT, clean-1-of-3, leaky-1-of-3, or a JSON file."
)

CohortName = Annotated[str, Option(help="lgg or phantom.")]
SplitName = Annotated[str, Option(help=SPLIT_HELP)]
SplitSeed = Annotated[int, Option(min=0, max=LARGEST_SEED, help="Decides the draw of a split that is drawn.")]
Validation = Annotated[float, Option(min=0.0, max=0.9, help="Share of training patients set aside to choose on.")]
SegmentationModel = Annotated[str, Option(help="unet-resnet18, unet-resnet34, unet-resnet50 or resunet.")]
ClassificationModel = Annotated[str, Option(help="resnet18, resnet34, resnet50, or plain (two convolutions).")]
Weights = Annotated[str, Option(help="The encoder's: none, imagenet, mri4 (made by brain-tumor pretrain), or a file of weights.")]
Channels = Annotated[
    Literal["sequences", "flair", "neighbours", "sequences+mask"], Option(help="What the network is shown of a slice.")
]
MaskFrom = Annotated[str, Option(help="For sequences+mask: the cross-validation whose out-of-fold masks are shown.")]
InputBatchNorm = Annotated[bool, Option(help="The BatchNorm that a ResNet begins with; it undoes most of a normalisation.")]
Balance = Annotated[Literal["none", "weights", "sampling"], Option(help="What is done about slices with tumour being fewer.")]
Size = Annotated[int, Option(min=16, help="Slice height and width in pixels.")]
Epochs = Annotated[int, Option(min=1, help="Passes over the training slices.")]
MaxLr = Annotated[float, Option(min=1e-7, max=1.0, help="Top of the 1cycle learning rate.")]
Strategy = Annotated[
    Literal["all", "frozen", "gradual"], Option(help="Train everything; the new layers alone; or those, then all, then by depth.")
]
Optimiser = Annotated[Literal["adamw", "sgd"], Option(help="Which optimiser.")]
Momentum = Annotated[float, Option(min=0.0, max=0.999, help="Of sgd.")]
Schedule = Annotated[Literal["1cycle", "constant"], Option(help="What the learning rate does.")]
BatchSize = Annotated[int, Option(min=1, help="Slices a step.")]
SegmentationLoss = Annotated[Literal["bce-dice", "focal-tversky"], Option(help="What is minimised.")]
Normalisation = Annotated[Literal["unit", "imagenet", "volume", "raw"], Option(help="What happens to pixel values.")]
Flip = Annotated[bool, Option(help="Mirror every second training slice.")]
Rotation = Annotated[float, Option(min=0.0, max=180.0, help="Turn training slices by up to this, either way.")]
Zoom = Annotated[float, Option(min=0.0, max=1.0, help="Enlarge or shrink them by up to this share.")]
Gamma = Annotated[float, Option(min=0.0, max=2.0, help="Bend brightness by a gamma of up to 1 + this, either way.")]
SequenceDropout = Annotated[float, Option(min=0.0, max=1.0, help="Share of slices in which sequences become copies of FLAIR.")]
FlipTta = Annotated[bool, Option(help="Predict each slice as it is and mirrored, and take the mean.")]
BatchNormMomentum = Annotated[float, Option(min=0.0, max=0.999, help="0.9 for runs under some 300 steps.")]
Precision = Annotated[Literal["auto", "float32", "mixed_bfloat16"], Option(help="auto measures the machine.")]
Seed = Annotated[int, Option(min=0, max=LARGEST_SEED, help="Initial weights, shuffling, augmentation.")]


def segmentation(
    cohort: CohortName = "lgg",
    split: SplitName = "source-004",
    split_seed: SplitSeed = 0,
    validation: Validation = 0.0,
    model: SegmentationModel = "unet-resnet18",
    size: Size = 128,
    epochs: Epochs = 12,
    max_lr: MaxLr = 1e-3,
    batch_size: BatchSize = 16,
    loss: SegmentationLoss = "bce-dice",
    normalisation: Normalisation = "volume",
    flip: Flip = True,
    rotation_degrees: Rotation = 15.0,
    zoom: Zoom = 0.1,
    gamma: Gamma = 0.2,
    sequence_dropout: SequenceDropout = 0.15,
    flip_tta: FlipTta = True,
    batchnorm_momentum: BatchNormMomentum = 0.99,
    precision: Precision = "auto",
    seed: Seed = 0,
    weights: Weights = "none",
    strategy: Strategy = "all",
    optimiser: Optimiser = "adamw",
    momentum: Momentum = 0.5,
    schedule: Schedule = "1cycle",
) -> "SegmentationRecipe":
    """The recipe of a segmentation network."""
    return _recipe("SegmentationRecipe", **locals())


def classification(
    cohort: CohortName = "lgg",
    split: SplitName = "source-004",
    split_seed: SplitSeed = 0,
    validation: Validation = 0.0,
    model: ClassificationModel = "resnet18",
    size: Size = 128,
    epochs: Epochs = 12,
    max_lr: MaxLr = 1e-3,
    batch_size: BatchSize = 16,
    normalisation: Normalisation = "volume",
    flip: Flip = True,
    rotation_degrees: Rotation = 15.0,
    zoom: Zoom = 0.1,
    gamma: Gamma = 0.2,
    sequence_dropout: SequenceDropout = 0.15,
    flip_tta: FlipTta = True,
    batchnorm_momentum: BatchNormMomentum = 0.99,
    precision: Precision = "auto",
    seed: Seed = 0,
    weights: Weights = "none",
    strategy: Strategy = "all",
    optimiser: Optimiser = "adamw",
    momentum: Momentum = 0.5,
    schedule: Schedule = "1cycle",
    channels: Channels = "sequences",
    mask_from: MaskFrom = "",
    input_batchnorm: InputBatchNorm = True,
    balance: Balance = "none",
) -> "ClassificationRecipe":
    """The recipe of a slice classifier."""
    return _recipe("ClassificationRecipe", **locals())


def takes(recipe: Callable, but: tuple[str, ...] = ()) -> Callable[[Callable], Callable]:
    """Give a command the options of ``recipe`` (:func:`segmentation`, :func:`classification`) behind its own.

    Keras is loaded and the recipe made when the command is called, so that ``--help`` waits for neither.

    Args:
        but: options that the command does without; the recipe keeps their defaults.
    """
    options = [option for option in inspect.signature(recipe).parameters.values() if option.name not in but]

    def decorate(command: Callable) -> Callable:
        own = [option for option in inspect.signature(command).parameters.values() if option.name != "recipe"]

        def called(**values) -> None:
            load_keras()
            command(recipe=recipe(**{option.name: values.pop(option.name) for option in options}), **values)

        called.__name__, called.__doc__ = command.__name__, command.__doc__
        shown = [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in (*own, *options)]
        called.__signature__ = inspect.Signature(shown)
        called.__annotations__ = {option.name: option.annotation for option in shown}
        return called

    return decorate


def _recipe(kind: str, **options) -> "Recipe":
    from brain_tumor.experiments import recipe as recipes
    from brain_tumor.training import strategies
    from brain_tumor.training.augment import Augmentation

    changes = ("flip", "rotation_degrees", "zoom", "gamma", "sequence_dropout")
    moved = Augmentation(**{name: options.pop(name) for name in changes})
    planned = ("strategy", "epochs", "max_lr", "optimiser", "momentum", "schedule")
    asked = getattr(recipes, kind)
    plan = strategies.stages(**{name: options.pop(name) for name in planned}, new_layers=asked.NEW_LAYERS)
    return asked(**options, augmentation=moved, stages=plan)
