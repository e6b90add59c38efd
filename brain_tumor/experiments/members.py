"""Networks that differ in their seed alone and answer together: each is a run of its own, one more run gathers them."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd

from brain_tumor.data.cohort import Cohort
from brain_tumor.data.splits import Split
from brain_tumor.experiments.own import OwnCode
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.models import saved, settings
from brain_tumor.progress import watched
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
    """What each member is trained by: the recipe with a seed of its own, which no other ``recipe.seed`` gives to a member."""
    first = recipe.seed * recipe.members
    changes = [{"members": 1, "seed": first + number} for number in range(recipe.members)]
    return [replace(recipe, **change) for change in changes]  # type: ignore[arg-type]


def train(
    recipe: Recipe,
    cohort: Cohort,
    train_one: Callable[..., RunFolder],
    folders: Sequence[RunFolder],
    on_start: Callable[[RunFolder], None] | None,
    own: OwnCode,
) -> int:
    """Train every member, side by side where cores and memory allow it; the caller's own code is trained in turn.

    Args:
        train_one: :func:`brain_tumor.experiments.run.train`.
        folders: the members' runs, whether they are there or not.
        on_start: as of ``train_one``; not called by other processes.

    Returns:
        How many were trained at a time.
    """
    from brain_tumor.experiments import capacity, jobs  # they import `run`, which imports this

    chosen = recipes(recipe)
    threads = [run.description["environment"]["threads"]["intra_op"] for run in folders if run.exists]
    begun = max(1, jobs.usable_cores() // threads[0]) if threads else None
    workers = 1 if own.facts() or jobs.usable_cores() == 1 else capacity.workers(chosen, cohort, begun=begun)
    if workers == 1:
        for member in chosen:
            train_one(member, cohort, on_start, own)
            settings.clear_session()
    else:
        epochs = sum(stage.epochs for stage in recipe.stages) * len(chosen)
        with watched(f"epochs of {len(chosen)} networks", epochs, lambda: sum(run.epochs for run in folders)):
            deque(jobs.side_by_side(train_one, [(member, cohort) for member in chosen], workers), maxlen=0)
    return workers


def gather(runs: Sequence[RunFolder], recipe: Recipe, run: RunFolder, split: Split, facts: dict) -> RunFolder:
    """Copy the models of finished members into ``run``, whose history is the mean of theirs.

    Args:
        facts: what else its description says; ``workers`` is how many were trained at a time, by which its time is divided.
    """
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
    run.update(training_seconds=round(sum(member["training_seconds"] for member in described) / facts["workers"], 1))
    return run
