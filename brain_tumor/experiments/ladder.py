"""A ladder of budgets: each rung is one command of a fixed number of training steps, whatever the cohort's size.

Minutes are printed, not promised: a rung is named after what two quiet cores with bfloat16 instructions took.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import ModelError
from brain_tumor.experiments.recipe import SegmentationRecipe, from_options
from brain_tumor.experiments.run import make_split

# From notebook 08, out of fold on the training patients of source-004: all of it together gains for sure over its base; of single
# steps as many slices with tumour as without do, and the others (192 px, a longer training, brightness measured inside the head,
# lesions of other patients) perhaps. Two networks learn side by side; the mean of two gains a little.
RECIPE: Mapping[str, Any] = {
    "model": "resunet",
    "size": 192,
    "normalisation": "tissue",
    "balance": "sampling",
    "copy_paste": 0.3,
    "max_lr": 2e-3,
    "batchnorm_momentum": 0.9,
    "members": 2,
    "model_arguments": (("halved", True),),
}
CHOSEN = ("model", "size", "normalisation", "balance")  # by which it is known in a record


@dataclass(frozen=True)
class Rung:
    """One budget.

    Attributes:
        name: what the command line calls it.
        steps: of training, of each member.
        options: of the recipe (:func:`brain_tumor.experiments.recipe.Segmentation`).
        needs: what its steps take, in words.
    """

    name: str
    steps: int
    options: Mapping[str, Any]
    needs: str


RUNGS = {
    rung.name: rung
    for rung in (
        Rung("ladder-15m", 3600, RECIPE, "15 to 17 minutes of two cores"),
        Rung("ladder-1h", 11000, RECIPE, "60 to 95 minutes of two cores"),
        # Copies of lesions are made on the host, which an accelerator would wait for.
        Rung("ladder-gpu", 22000, {**RECIPE, "copy_paste": 0.0}, "for a GPU; nobody has timed it or scored it yet"),
    )
}


def is_selected(recipe: Mapping[str, Any]) -> bool:
    """Whether notebook 08 chose this recipe (as JSON) on patients of its own cohort, so that their scores are selected."""
    return recipe["cohort"] == "lgg" and all(recipe.get(name) == RECIPE[name] for name in CHOSEN)


def recipe(
    name: str, cohort: Cohort, split: str = "source-004", seed: int = 0, steps: int = 0, **changes: Any
) -> SegmentationRecipe:
    """The recipe of a rung on a split: as many whole epochs as come nearest to its steps.

    Args:
        steps: in place of the rung's.
        changes: options of the recipe in place of the rung's.

    Raises:
        ModelError: there is no such rung.
        SplitError: the split does not fit the cohort.
    """
    if name not in RUNGS:
        raise ModelError(f"rung {name!r}, expected one of {', '.join(RUNGS)}")
    rung = RUNGS[name]
    shortest = from_options(
        SegmentationRecipe, cohort=cohort.name, split=split, seed=seed, **{**rung.options, **changes, "epochs": 1}
    )
    store = open_store(cohort)
    slices = len(make_split(shortest, store).rows("train", store.slices))
    epochs = max(1, round((steps or rung.steps) / max(1, slices // shortest.batch_size)))
    return replace(shortest, stages=tuple(replace(stage, epochs=epochs) for stage in shortest.stages))
