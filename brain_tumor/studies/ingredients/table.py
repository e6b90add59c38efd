"""The ingredients: each one change, what it is laid onto, and where it comes from.

The first round changes the base. The error analysis (:mod:`brain_tumor.studies.ingredients.errors`) asked for another
normalisation; it gained, so the second round changes the base with it. What gained there is built upon in its turn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from brain_tumor.errors import ModelError
from brain_tumor.experiments.recipe import SegmentationRecipe, from_options

SPLIT, SPLIT_OF_OTHERS = "source-004-fold-{}-of-{}", "fold-{}-of-{}"  # of the LGG data, and of any other cohort
PRECISION = "mixed_bfloat16"  # of all alike: a format that is measured may differ from one run to the next
# At equal cost a ResUNet that works at half the planes for twelve epochs was ahead of one on whole planes for six on the 16
# validation patients of `make bench`; here nobody has tried (`full planes`). BatchNorm follows some thousand steps of training.
BASE: Mapping[str, Any] = {
    "model": "resunet", "size": 128, "epochs": 12, "max_lr": 2e-3, "batchnorm_momentum": 0.9, "model_arguments": {"halved": True},
}  # fmt: skip


@dataclass(frozen=True)
class Ingredient:
    """One change to the base.

    Attributes:
        name: what to call it.
        changes: options of :func:`brain_tumor.experiments.recipe.Segmentation`.
        source: where it comes from.
        onto: the ingredient that it is laid onto and compared with; the base itself has none.
        reconstructs: epochs in which the network first fills in hidden patches of its fold's training slices
            (:mod:`brain_tumor.experiments.reconstruct`).
    """

    name: str
    changes: Mapping[str, Any]
    source: str = ""
    onto: str = "base"
    reconstructs: int = 0


HALVED = BASE["model_arguments"]
WARP = {"warp": 0.1, "elastic": 0.02, "brightness": 0.2, "contrast": 0.2, "bias_field": 0.3}
UNET: Mapping[str, Any] = {"epochs": 6, "max_lr": 1e-3, "model_arguments": {}}  # whole planes, and so half as long
FIRST = (
    Ingredient("base", {}, onto=""),
    Ingredient("tissue", {"normalisation": "tissue"}, "the error analysis: heads with bright scalp or none are missed"),
    Ingredient("U-Net ResNet-18", {**UNET, "model": "unet-resnet18"}, "the sources' network (004.36)"),
)
SECOND = (
    Ingredient("192 px", {"size": 192}, "2.3 times the arithmetic"),
    Ingredient("warp and contrast", WARP, "fastai 1 (rows 000.07-08); Simard 2003; Van Leemput 1999"),
    Ingredient("weight average", {"weight_average": 0.99}, "Tarvainen & Valpola 2017, arXiv 1703.01780"),
    Ingredient("all neighbours", {"channels": "sequences+neighbours"}, "2.5-D; Roth 2014, arXiv 1406.2639"),
    Ingredient("twice as long", {"epochs": 24}, "twice the steps"),
    Ingredient(
        "deep supervision",
        {"model_arguments": {**HALVED, "deep_supervision": 2}},
        "Lee 2015, arXiv 1409.5185; Isensee 2021 (nnU-Net)",
    ),
    Ingredient("wider", {"model_arguments": {**HALVED, "filters": (24, 48, 96, 192, 384)}}, "about twice the arithmetic"),
    Ingredient("masked reconstruction", {}, "Wald 2024, arXiv 2412.17041; twice the steps", reconstructs=12),
    Ingredient("edge loss", {"loss": "edge-dice"}, "Wei 2020, arXiv 1911.11445"),
    Ingredient("focal loss", {"loss": "focal-dice"}, "Lin 2017, arXiv 1708.02002"),
    Ingredient("balanced slices", {"balance": "sampling"}, "as many slices with tumour as without"),
    Ingredient("copies rescaled", {"rescale_copies": True}, "a dropped sequence looks as in exams that lack it"),
    Ingredient("batches of 8", {"batch_size": 8}, "twice as many steps of half as many slices; Masters 2018, arXiv 1804.07612"),
    Ingredient("full planes", {"epochs": 6, "model_arguments": {}}, "half as long, as much arithmetic"),
)
OF_LONG_TRAININGS = (  # what makes slices harder costs a short training more than it gives
    Ingredient("longer warp", WARP, "warp and contrast in a longer training"),
    Ingredient("copy-paste", {"copy_paste": 0.3}, "Zhang 2021, arXiv 2108.06883; Yang 2021, doi 10.1007/978-3-030-87193-2_55"),
)
OF_UNETS = (
    Ingredient("mri4", {"weights": "mri4"}, "its encoder learnt four classes of 4,282 pictures"),
    Ingredient("U-Net ResNet-34", {"model": "unet-resnet34"}, "the deeper network that source 004 promises (004.52)"),
)
INGREDIENTS = (
    *FIRST,
    *(replace(ingredient, onto="tissue") for ingredient in SECOND),
    *(replace(ingredient, onto="twice as long") for ingredient in OF_LONG_TRAININGS),
    Ingredient(
        "together", {"size": 192}, "what gained, in one recipe: tissue, twice as long, copy-paste, 192 px", onto="copy-paste"
    ),
    Ingredient("together and balanced", {"balance": "sampling"}, "balanced slices gained by themselves", onto="together"),
    Ingredient("longer still", {"epochs": 48}, "twice the steps again", onto="together and balanced"),
    Ingredient("256 px", {"size": 256}, "1.8 times the arithmetic of 192 px", onto="192 px"),
    Ingredient("progressive", {"strategy": "growing", "epochs": 16}, "8 epochs at 128 px, 8 at 256 (004.33)", onto="256 px"),
    *(replace(ingredient, onto="U-Net ResNet-18") for ingredient in OF_UNETS),
)


def named(name: str) -> Ingredient:
    """The ingredient of that name.

    Raises:
        ModelError: there is none.
    """
    known = {ingredient.name: ingredient for ingredient in INGREDIENTS}
    if name not in known:
        raise ModelError(f"ingredient {name!r}, expected some of {', '.join(known)}")
    return known[name]


def changes(ingredient: Ingredient) -> dict[str, Any]:
    """All that an ingredient changes of the base: its own changes, and those of what it is laid onto."""
    below = changes(named(ingredient.onto)) if ingredient.onto else {}
    return {**below, **ingredient.changes}


@dataclass(frozen=True)
class Plan:
    """On what ingredients are judged.

    Attributes:
        base: options of :func:`brain_tumor.experiments.recipe.Segmentation`.
        folds: of the training patients of ``source-004``, whose test patients are in no part; of another cohort, of all patients.
        seeds: of the trainings of each fold.
    """

    base: Mapping[str, Any] = field(default_factory=lambda: BASE)
    folds: int = 3
    seeds: tuple[int, ...] = (0, 1)

    def recipe(self, ingredient: Ingredient, fold: int, seed: int, cohort: str = "lgg") -> SegmentationRecipe:
        """The base with an ingredient, on one fold."""
        options: dict[str, Any] = {**self.base, **changes(ingredient)}
        return from_options(
            SegmentationRecipe,
            cohort=cohort,
            split=(SPLIT if cohort == "lgg" else SPLIT_OF_OTHERS).format(fold, self.folds),
            seed=seed,
            precision=PRECISION,
            **options | {"model_arguments": tuple(options.get("model_arguments", {}).items())},
        )


def ingredients(names: Sequence[str] = ()) -> tuple[Ingredient, ...]:
    """Those of these names with what they are laid onto, or all, in the order of the table.

    Raises:
        ModelError: there is none of that name.
    """
    chosen = set() if names else {item.name for item in INGREDIENTS}
    for name in names:
        while name:
            chosen.add(name)
            name = named(name).onto
    return tuple(item for item in INGREDIENTS if item.name in chosen)
