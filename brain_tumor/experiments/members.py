"""Networks that differ in their seed alone and answer together: each is a run of its own, one more run gathers them."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from brain_tumor.data.splits import Split
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.models import saved
from brain_tumor.training.runs import RunFolder

SPLIT = "split.json"
SHARED = (
    "precision",
    "phantom",
    "caution",
    "sequences",
    "parts",
    "encoder",
    "class_weights",
    "effective_batch",
    "environment",
    "own_code",
    "stages",
)


def recipes(recipe: Recipe) -> list[Recipe]:
    """What each member is trained by: the recipe with a seed of its own, from ``recipe.seed`` on."""
    changes = [{"members": 1, "seed": recipe.seed + number} for number in range(recipe.members)]
    return [replace(recipe, **change) for change in changes]  # type: ignore[arg-type]


def gather(runs: Sequence[RunFolder], recipe: Recipe, run: RunFolder, split: Split, facts: dict) -> RunFolder:
    """Copy the models of finished members into ``run``, whose history is the mean of theirs, and its time their sum."""
    described = [member.description for member in runs]
    shared = {name: described[0][name] for name in SHARED if name in described[0]}
    parameters = sum(member["parameters"] for member in described)
    members = [member.path.name for member in runs]
    begun = {"started": described[0]["started"], "recipe": recipe.to_json(), "parameters": parameters, "members": members}
    with run.under_way(**begun, **shared, **facts):
        split.save(run.path / SPLIT)
        histories = pd.concat([member.history for member in runs])
        means = histories.groupby(["epoch", "stage"], sort=False).mean(numeric_only=True).reset_index()
        run.write_history(means[list(runs[0].history)].to_dict("records"))
        saved.save_members([member.path for member in runs], run.path)
    run.update(training_seconds=round(sum(member["training_seconds"] for member in described), 1))
    return run
