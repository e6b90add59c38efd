"""Every ingredient on the same folds and seeds, scored at native size; one folder gathers all of it.

The folder holds, for every slice, the tumour's area in pixels and, of each ingredient and seed, the area predicted and how much
of it is tumour. From these come all scores and paired answers. A run that stands there is not trained again, unless its
ingredient has changed since.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from brain_tumor import files
from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.evaluation import overlap
from brain_tumor.experiments import capacity, reconstruct, run as experiment, segmentation
from brain_tumor.experiments.jobs import side_by_side
from brain_tumor.experiments.recipe import SegmentationRecipe
from brain_tumor.models import settings
from brain_tumor.paths import runs_folder
from brain_tumor.records import study
from brain_tumor.studies.ingredients.answers import AREAS, COSTS, DESCRIPTION, KEYS, read_areas, read_costs
from brain_tumor.studies.ingredients.table import Ingredient, Plan
from brain_tumor.training.runs import RunFolder

PLAN = Plan()
MARK = "-screening-"  # in the name of every screening, and of no run


@dataclass(frozen=True)
class Training:
    """One run of the screening."""

    ingredient: Ingredient
    seed: int
    fold: int
    recipe: SegmentationRecipe

    @property
    def key(self) -> tuple[str, int, int]:
        return self.ingredient.name, self.seed, self.fold

    def stands_in(self, earlier: Mapping[tuple[str, int, int], str], store: Store) -> bool:
        """Whether just this recipe was trained; of a network that first reconstructs, whether one of this name was."""
        run = earlier.get(self.key)
        if run is None or self.ingredient.reconstructs:
            return run is not None
        return run == experiment.run_folder(self.recipe, store).path.name


def folder_of(cohort: Cohort, plan: Plan = PLAN) -> Path:
    """Where the screening of this cohort, with this base, is gathered; what git keeps of it is there at once."""
    digest = files.sha256_json([dict(plan.base), plan.folds, open_store(cohort).data_hash])[:8]
    folder = runs_folder() / f"{cohort.name}{MARK}{digest}"
    study.restore(folder, done)
    return folder


def done(folder: Path) -> int:
    """How many of its trainings are done."""
    return len(read_costs(folder))


def find(name: str) -> Path | None:
    """A screening by its name, or the beginning of it (:func:`brain_tumor.records.study.find`)."""
    return study.find(name, DESCRIPTION, done)


def commit(folder: Path) -> Path:
    """Keep a screening's tables as its record.

    Raises:
        RunError: it is of the phantom.
    """
    return study.commit(folder, DESCRIPTION, sorted(folder.glob("*.csv")))


def screen(
    ingredients: Sequence[Ingredient],
    cohort: Cohort,
    plan: Plan = PLAN,
    workers: int | None = None,
    on_run: Callable[[int, int, Training, float], None] | None = None,
) -> Path:
    """Train and score the runs that neither this folder nor the record holds; ingredient by ingredient, so that each can be
    judged as soon as it is done.

    Args:
        plan: on what they are judged.
        on_run: called with the number, how many are to be trained, which, and its minutes, as each is scored.

    Returns:
        The folder: ``areas.csv``, ``costs.csv`` and ``screening.json``.
    """
    folder = folder_of(cohort, plan)
    costs = read_costs(folder)
    earlier = {(row.ingredient, row.seed, row.fold): row.run for row in costs.itertuples()}
    trainings = [
        Training(ingredient, seed, fold, plan.recipe(ingredient, fold, seed, cohort.name))
        for ingredient in ingredients
        for seed in plan.seeds
        for fold in range(1, plan.folds + 1)
    ]
    store = open_store(cohort)
    trainings = [training for training in trainings if not training.stands_in(earlier, store)]
    recipes = list(dict.fromkeys(training.recipe for training in trainings))
    if not trainings:
        return folder
    workers = capacity.workers(recipes, cohort, workers)
    tasks = [(training, cohort) for training in trainings]
    results = side_by_side(_train, tasks, workers) if workers > 1 else (_train(*task) for task in tasks)
    for number, (training, counts, cost) in enumerate(results, 1):
        _add(folder, cohort, plan, training, counts, cost | {"workers": workers})
        if on_run:
            on_run(number, len(trainings), training, cost["seconds"] / 60)
    return folder


def _train(training: Training, cohort: Cohort) -> tuple[Training, pd.DataFrame, dict]:
    """Train one run and count its fold."""
    own, seconds = training.recipe, 0.0
    if training.ingredient.reconstructs:
        filling = replace(own, stages=(replace(own.stages[0], epochs=training.ingredient.reconstructs),))
        path, seconds = reconstruct.pretrain(filling, cohort, "screening")
        settings.clear_session()
        own = replace(own, weights=path.name)
    run = experiment.train(own, cohort)
    counts = _count(run, cohort)
    facts = run.description
    settings.clear_session()
    cost = {"run": run.path.name, "seconds": seconds + facts["training_seconds"], "commit": facts["environment"]["commit"]}
    return training, counts, cost


def _count(run: RunFolder, cohort: Cohort) -> pd.DataFrame:
    part = experiment.part_of(run, cohort, "test")
    tables = []
    for prediction, rows, _ in segmentation.predictions(part):
        counts = overlap.count(prediction.native, part.store.masks[rows], part.recipe.threshold)
        tables.append(counts.assign(case_id=prediction.case_id, slice=prediction.slice_numbers))
    return pd.concat(tables, ignore_index=True)


def _add(folder: Path, cohort: Cohort, plan: Plan, training: Training, counts: pd.DataFrame, cost: dict) -> None:
    """One more run in the tables."""
    name = f"{training.ingredient.name}, seed {training.seed}"
    counts = counts.set_index(KEYS)
    areas_of_run = {"truth": counts.tp + counts.fn, f"{name}: area": counts.tp + counts.fp, f"{name}: hit": counts.tp}
    columns = pd.DataFrame(areas_of_run)
    areas = read_areas(folder)
    areas = columns.combine_first(areas) if len(areas) else columns
    costs = pd.concat([read_costs(folder), pd.DataFrame([_key(training) | cost])], ignore_index=True)
    costs = costs.drop_duplicates(list(_key(training)), keep="last")
    files.write_text(folder / AREAS, areas.sort_index().astype("Int64").to_csv())
    files.write_text(folder / COSTS, costs.to_csv(index=False))
    store = open_store(cohort)
    facts = {"cohort": cohort.name, "phantom": cohort.phantom, "data_hash": store.data_hash}
    files.write_json(folder / DESCRIPTION, facts | {"base": dict(plan.base), "folds": plan.folds, "done": len(costs)})


def _key(training: Training) -> dict:
    return dict(zip(("ingredient", "seed", "fold"), training.key, strict=True))
