"""Source 002's twenty experiments as data, and its claims about them (002.10-16).

Its text fixes something of six: 1 against 3 and 13 against 15 differ in the network, 13 and 15 flip without normalisation, 19 and
20 flip and normalise and are the best of either network; of all, batches of eight, and rate 1e-4 with momentum 0.5 once tuned
(002.17-19). ``stated`` says what of a cell that is; all else is chosen here: two strategies for each network first, then rates
and momenta on frozen features, then normalisation and flips, one at a time, with everything trained.

The ResNets begin with a BatchNorm of their input. With it, pixels from 0 to 255, from 0 to 1 or normalised by ImageNet's
statistics reach the first convolution alike: cells that differ in nothing else are equal by construction, and one of them is
trained for both. What normalisation does is asked of networks without that layer (:data:`WITHOUT_INPUT_BATCHNORM`).
"""

from dataclasses import dataclass
from typing import Any

RATE, MOMENTUM = 1e-4, 0.5  # as the source's tables have them (row 002.19)
EARLIER: dict[str, Any] = {"max_lr": 1e-3, "momentum": 0.9}  # before tuning: not stated, the usual ones
INPUT = "network, normalisation, flip"


@dataclass(frozen=True)
class Cell:
    """One experiment.

    Attributes:
        name: its number in source 002, or a name of ours.
        model: ``resnet18``, ``resnet50`` or ``plain``.
        strategy: ``frozen`` (002.03) or ``all`` (002.04).
        normalisation: ``unit`` (none, in the source's words), ``imagenet`` or ``volume``.
        flip: whether training slices are mirrored at random.
        max_lr, momentum: of SGD at a constant rate; without a momentum, the peak of AdamW's 1cycle.
        input_batchnorm: whether the network begins with a BatchNorm.
        stated: what of it the source's text says; "" where that is nothing.
    """

    name: str
    model: str
    strategy: str
    normalisation: str = "unit"
    flip: bool = False
    max_lr: float = RATE
    momentum: float | None = MOMENTUM
    input_batchnorm: bool = True
    stated: str = ""

    @property
    def part(self) -> str:
        """What trains (:data:`brain_tumor.models.architectures.LAYER_GROUPS`)."""
        return "head" if self.strategy == "frozen" else "all"

    @property
    def label(self) -> str:
        """Its name, and what a number alone would leave open."""
        return f"{self.name}: {self.model}, {self.part}" if self.name.isdigit() else self.name

    @property
    def normalised_anyway(self) -> bool:
        """Whether a first BatchNorm makes the affine normalisations alike, so that cells which differ only in them are equal.

        One whose statistics are frozen does not: it takes for granted the range in which the encoder was learnt.
        """
        alike = ("unit", "imagenet") if self.strategy == "all" else ("unit",)
        return self.input_batchnorm and self.model != "plain" and self.normalisation in alike


def _search(first: int, model: str) -> list[Cell]:
    """Rates and momenta on frozen features."""
    tried = ((1e-2, 0.9), (1e-3, 0.5), (1e-4, 0.9), (RATE, MOMENTUM))
    return [Cell(str(first + place), model, "frozen", max_lr=rate, momentum=m) for place, (rate, m) in enumerate(tried)]


CELLS = (
    Cell("1", "resnet50", "frozen", **EARLIER, stated="network"),
    Cell("2", "resnet50", "all", **EARLIER),
    Cell("3", "resnet18", "frozen", **EARLIER, stated="network"),
    Cell("4", "resnet18", "all", **EARLIER),
    *_search(5, "resnet50"),
    *_search(9, "resnet18"),
    Cell("13", "resnet50", "all", flip=True, stated=INPUT),
    Cell("14", "resnet50", "all", normalisation="imagenet"),
    Cell("15", "resnet18", "all", flip=True, stated=INPUT),
    Cell("16", "resnet18", "all", normalisation="imagenet"),
    Cell("17", "resnet50", "all"),
    Cell("18", "resnet18", "all"),
    Cell("19", "resnet50", "all", normalisation="imagenet", flip=True, stated=INPUT),
    Cell("20", "resnet18", "all", normalisation="imagenet", flip=True, stated=INPUT),
)
# What the normalisation of the input does where no layer undoes it. No weights at hand are of such a network, so it starts from
# random ones, which the source's small rate could not move far in few epochs.
WITHOUT_INPUT_BATCHNORM = tuple(
    Cell(f"{model} {normalisation}", model, "all", normalisation, True, 1e-3, momentum=None, input_batchnorm=False)
    for model in ("resnet18", "resnet50")
    for normalisation in ("unit", "imagenet", "volume")
)


@dataclass(frozen=True)
class Claim:
    """A sentence of source 002 about two of its experiments.

    Attributes:
        row: its id in the list of what the sources say.
        text: what it says.
        one, other: cells by name: the first is said to be the more accurate, or less where ``points`` is negative.
        points: by how much, in percent of slices; 0 where the source only says which is better.
        again: asked on every fold even where time is short; False where that would take one more training of a ResNet-50 a fold,
            for something that is asked of ResNet-18 too.
        asked: what of it these two cells can answer, where that is not all.
    """

    row: str
    text: str
    one: str
    other: str
    points: float = 0.0
    again: bool = True
    asked: str = ""


FLIPS_ALONE = "flips alone: the first BatchNorm undoes the normalisation"
CLAIMS = (
    Claim("002.11", "ResNet-18 is a point better than ResNet-50", "3", "1", 1.0),
    Claim("002.12", "after tuning, 96 % for ResNet-18 and 94 % for ResNet-50", "18", "17", 2.0, again=False),
    Claim("002.13", "normalisation takes ResNet-18 from 96 to 92 %", "16", "18", -4.0),
    Claim("002.13", "normalisation adds a point to ResNet-50", "14", "17", 1.0, again=False),
    Claim("002.14", "with flips and without normalisation ResNet-18 is the better", "15", "13"),
    Claim("002.15", "flips and normalisation give the best ResNet-18", "20", "18", asked=FLIPS_ALONE),
    Claim("002.15", "flips and normalisation give the best ResNet-50", "19", "17", again=False, asked=FLIPS_ALONE),
    Claim("002.16", "at best 97 % for ResNet-18 and 96 % for ResNet-50", "20", "19", 1.0),
)


@dataclass(frozen=True)
class Level:
    """What source 002 says that one of its experiments scored: ``percent`` of slices right."""

    row: str
    text: str
    cell: str
    percent: float


LEVELS = (
    Level("002.12", "ResNet-18 after tuning", "18", 96),
    Level("002.12", "ResNet-50 after tuning", "17", 94),
    Level("002.13", "ResNet-18 with normalisation", "16", 92),
    Level("002.16", "the best ResNet-18", "20", 97),
    Level("002.16", "the best ResNet-50", "19", 96),
)
# Not claims of the source, but what it leaves open.
REMOVED = "first BatchNorm removed, random weights, AdamW"
QUESTIONS = (
    Claim("002.13", "normalisation costs ResNet-18 four points", "resnet18 imagenet", "resnet18 unit", -4.0, asked=REMOVED),
    Claim("002.13", "normalisation gives ResNet-50 a point", "resnet50 imagenet", "resnet50 unit", 1.0, asked=REMOVED),
    Claim("002.03-04", "everything trained is better than the head alone, ResNet-18", "4", "3"),
    Claim("002.03-04", "everything trained is better than the head alone, ResNet-50", "2", "1", again=False),
    Claim("002.13", "each exam's own brightness helps ResNet-18", "resnet18 volume", "resnet18 unit", asked=REMOVED),
    Claim("002.13", "each exam's own brightness helps ResNet-50", "resnet50 volume", "resnet50 unit", 0.0, False, REMOVED),
)
