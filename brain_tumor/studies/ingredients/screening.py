"""Every ingredient on the same folds and seeds, scored at native size; one folder gathers all of it.

The folder holds, for every slice, the tumour's area in pixels and, of each ingredient and seed, the area predicted and how much
of it is tumour. From these come all scores and paired answers. A run that stands there is not trained again.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from brain_tumor import files
from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.evaluation import overlap, protocols, storage
from brain_tumor.experiments import capacity, reconstruct, run as experiment, segmentation
from brain_tumor.experiments.jobs import side_by_side
from brain_tumor.models import settings
from brain_tumor.paths import runs_folder
from brain_tumor.records.lookup import records_folder
from brain_tumor.studies.ingredients.table import BASE, FOLDS, SEEDS, Ingredient, recipe
from brain_tumor.training.runs import RunFolder

AREAS, COSTS, DESCRIPTION = "areas.csv", "costs.csv", "screening.json"
KEYS = ["case_id", "slice"]
PROTOCOLS = ("patient mean", "slice, empty = 1")


@dataclass(frozen=True)
class Training:
    """One run of the screening."""

    ingredient: Ingredient
    seed: int
    fold: int

    @property
    def key(self) -> tuple[str, int, int]:
        return self.ingredient.name, self.seed, self.fold


def folder_of(cohort: Cohort) -> Path:
    """Where the screening of this cohort, with this base, is gathered."""
    digest = files.sha256_json([dict(BASE), FOLDS, open_store(cohort).data_hash])[:8]
    return runs_folder() / f"{cohort.name}-screening-{digest}"


def screen(
    ingredients: Sequence[Ingredient],
    cohort: Cohort,
    seeds: Sequence[int] = SEEDS,
    workers: int | None = None,
    on_run: Callable[[int, int, Training, float], None] | None = None,
) -> Path:
    """Train and score what is not yet, also not in the record that git keeps; ingredient by ingredient, so that each can be
    judged as soon as it is done.

    Args:
        on_run: called with the number, how many are to be trained, which, and its minutes, as each is scored.

    Returns:
        The folder: ``areas.csv``, ``costs.csv`` and ``screening.json``.
    """
    folder = folder_of(cohort)
    record = records_folder() / folder.name
    if len(read_costs(record)) > len(read_costs(folder)):
        shutil.copytree(record, folder, dirs_exist_ok=True)
    costs = read_costs(folder)
    done = set(zip(costs.ingredient, costs.seed, costs.fold, strict=True))
    trainings = [Training(ingredient, seed, fold) for ingredient in ingredients for seed in seeds for fold in range(1, FOLDS + 1)]
    trainings = [training for training in trainings if training.key not in done]
    recipes = [recipe(training.ingredient, training.fold, training.seed, cohort.name) for training in trainings]
    if not trainings:
        return folder
    workers = capacity.workers(list(dict.fromkeys(recipes)), cohort, workers)
    tasks = [(training, cohort) for training in trainings]
    results = side_by_side(_train, tasks, workers) if workers > 1 else (_train(*task) for task in tasks)
    for number, (training, counts, cost) in enumerate(results, 1):
        _add(folder, cohort, training, counts, cost | {"workers": workers})
        if on_run:
            on_run(number, len(trainings), training, cost["seconds"] / 60)
    return folder


def _train(training: Training, cohort: Cohort) -> tuple[Training, pd.DataFrame, dict]:
    """Train one run and count its fold."""
    own, seconds = recipe(training.ingredient, training.fold, training.seed, cohort.name), 0.0
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


def _add(folder: Path, cohort: Cohort, training: Training, counts: pd.DataFrame, cost: dict) -> None:
    """One more run in the tables."""
    name = f"{training.ingredient.name}, seed {training.seed}"
    counts = counts.set_index(KEYS)
    areas_of_run = {"truth": counts.tp + counts.fn, f"{name}: area": counts.tp + counts.fp, f"{name}: hit": counts.tp}
    columns = pd.DataFrame(areas_of_run)
    areas = read_areas(folder)
    areas = columns.combine_first(areas) if len(areas) else columns
    costs = pd.concat([read_costs(folder), pd.DataFrame([_key(training) | cost])], ignore_index=True)
    files.write_text(folder / AREAS, areas.sort_index().astype("Int64").to_csv())
    files.write_text(folder / COSTS, costs.to_csv(index=False))
    store = open_store(cohort)
    facts = {"cohort": cohort.name, "phantom": cohort.phantom, "data_hash": store.data_hash, "base": dict(BASE), "folds": FOLDS}
    files.write_json(folder / DESCRIPTION, facts | {"done": len(costs)})


def _key(training: Training) -> dict:
    return dict(zip(("ingredient", "seed", "fold"), training.key, strict=True))


def read_areas(folder: Path) -> pd.DataFrame:
    """Indexed by ``case_id, slice``: ``truth`` and, of each ingredient and seed, ``NAME, seed S: area`` and ``...: hit``."""
    path = folder / AREAS
    return storage.read_table(path).set_index(KEYS) if path.is_file() else pd.DataFrame()


def read_costs(folder: Path) -> pd.DataFrame:
    """A row a run: ``ingredient, seed, fold, run, seconds, commit, workers``."""
    path = folder / COSTS
    return storage.read_table(path) if path.is_file() else pd.DataFrame(columns=["ingredient", "seed", "fold", "seconds"])


def counts_of(folder: Path, name: str, seed: int) -> pd.DataFrame:
    """What an ingredient predicted out of fold with one seed: ``case_id, slice, tp, fp, fn, tn``; ``tn`` is not known, and 0."""
    areas = read_areas(folder)
    area, hit = (areas[f"{name}, seed {seed}: {what}"] for what in ("area", "hit"))
    table = pd.DataFrame({"tp": hit, "fp": area - hit, "fn": areas.truth - hit, "tn": 0})
    return table.dropna().astype(int).reset_index()


def answers(folder: Path, ingredients: Sequence[Ingredient], base: str = "base") -> pd.DataFrame:
    """Each ingredient against the base, paired by patient, the mean of all seeds that both have.

    Returns:
        A row an ingredient and protocol: ``dice``, ``difference``, ``low`` and ``high`` (95 %, t over patients), ``p_false``
        (the probability that "better", or "worse", is false: t of the paired difference, arXiv 2505.04720), the difference of
        each seed, ``missed`` and ``false`` (slices, mean of seeds), ``minutes`` a run.
    """
    costs = read_costs(folder)
    whole = costs.groupby(["ingredient", "seed"]).fold.nunique() == FOLDS
    seeds = {name: {seed for (of, seed), all_folds in whole.items() if of == name and all_folds} for name in costs.ingredient}
    rows = []
    for item in ingredients:
        shared = sorted(seeds.get(item.name, set()) & seeds.get(base, set()))
        if not shared:
            continue
        own = {seed: counts_of(folder, item.name, seed) for seed in shared}
        theirs = {seed: counts_of(folder, base, seed) for seed in shared}
        cases = [overlap.per_case(counts) for counts in own.values()]
        for name in PROTOCOLS:
            protocol = protocols.named(name)
            scores = {
                seed: [protocol.summarise(protocol.per_patient(counts)[:, None]) for counts in (own[seed], theirs[seed])]
                for seed in shared  # of each patient alone
            }
            by_seed = {seed: mine.mean() - other.mean() for seed, (mine, other) in scores.items()}
            each = np.mean([mine - other for mine, other in scores.values()], axis=0)
            error = each.std(ddof=1) / np.sqrt(len(each))
            reach = stats.t.ppf(0.975, len(each) - 1) * error
            row = {
                "ingredient": item.name, "protocol": name, "dice": np.mean([mine.mean() for mine, _ in scores.values()]),
                "difference": each.mean(), "low": each.mean() - reach, "high": each.mean() + reach,
                "p_false": stats.t.sf(abs(each.mean()) / error, len(each) - 1) if error else np.nan,
                **{f"seed {seed}": by_seed[seed] for seed in shared}, "patients": len(each),
                "missed": np.mean([table.missed_slices.sum() for table in cases]),
                "false": np.mean([table.false_alarm_slices.sum() for table in cases]),
                "minutes": costs[costs.ingredient == item.name].seconds.mean() / 60,
            }  # fmt: skip
            rows.append(row)
    return pd.DataFrame(rows)
