"""What each ingredient is worth: paired answers from the areas that a screening gathers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from brain_tumor import files
from brain_tumor.evaluation import overlap, protocols, storage
from brain_tumor.studies.ingredients.table import Ingredient

AREAS, COSTS, DESCRIPTION = "areas.csv", "costs.csv", "screening.json"
KEYS = ["case_id", "slice"]
PROTOCOLS = ("patient mean", "slice, empty = 1")


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
    return _counts(read_areas(folder), name, seed)


def _counts(areas: pd.DataFrame, name: str, seed: int) -> pd.DataFrame:
    area, hit = (areas[f"{name}, seed {seed}: {what}"] for what in ("area", "hit"))
    table = pd.DataFrame({"tp": hit, "fp": area - hit, "fn": areas.truth - hit, "tn": 0})
    return table.dropna().astype(int).reset_index()


def seeds_of(folder: Path, name: str) -> list[int]:
    """The seeds with which all folds of an ingredient are trained."""
    return sorted(whole_seeds(folder).get(name, ()))


def whole_seeds(folder: Path) -> dict[str, set[int]]:
    """An ingredient's name -> the seeds with which all of its folds are trained; ingredients without any are left out."""
    costs = read_costs(folder)
    if costs.empty:
        return {}
    whole = costs.groupby(["ingredient", "seed"]).fold.nunique() == files.read_json(folder / DESCRIPTION)["folds"]
    done = whole[whole].index
    return {name: set(done[done.get_level_values(0) == name].get_level_values(1)) for name in done.unique(level=0)}


def case_dice(folder: Path, name: str, seeds: Sequence[int] = (0, 1)) -> pd.Series:
    """Each patient's Dice under an ingredient, the mean of these seeds; indexed by ``case_id``."""
    return pd.concat([overlap.per_case(counts_of(folder, name, seed)).dice for seed in seeds], axis=1).mean(axis=1)


def answers(folder: Path, ingredients: Sequence[Ingredient], among: Sequence[int] = (0, 1)) -> pd.DataFrame:
    """Each ingredient against what it is laid onto, paired by patient, the mean of those seeds that both have.

    An interval is over other patients *and* other seeds. The variance over patients is of their mean over seeds. That over seeds
    is pooled over all comparisons, since two seeds say little; it holds some of the former, so the interval is a little wide.
    Degrees of freedom follow Satterthwaite 1946 (doi 10.2307/3002019).

    Returns:
        A row an ingredient and protocol: ``onto``, ``dice``, ``difference`` (of each patient alone, then their mean),
        ``low`` and ``high`` (95 %; of patients alone where no comparison has two seeds), ``p_false``
        (the probability that "better", or "worse", is false: t of the paired difference, arXiv 2505.04720), the difference of
        each seed, ``missed`` and ``false`` (slices, mean of seeds), ``minutes`` (median of its runs).
    """
    areas, costs, seeds = read_areas(folder), read_costs(folder), whole_seeds(folder)
    rows = []
    for item in ingredients:
        base = item.onto or item.name
        shared = sorted(seeds.get(item.name, set()) & seeds.get(base, set()) & set(among))
        if not shared:
            continue
        own, theirs = ({seed: _counts(areas, of, seed) for seed in shared} for of in (item.name, base))
        cases = [overlap.per_case(counts) for counts in own.values()]
        for name in PROTOCOLS:
            protocol = protocols.named(name)
            scores = {
                seed: [protocol.summarise(protocol.per_patient(counts)[:, None]) for counts in (own[seed], theirs[seed])]
                for seed in shared  # of each patient alone
            }
            by_seed = {seed: mine.mean() - other.mean() for seed, (mine, other) in scores.items()}
            each = np.mean([mine - other for mine, other in scores.values()], axis=0)
            pooled = np.var(list(by_seed.values()), ddof=1) if item.onto and len(shared) > 1 else np.nan
            row = {
                "ingredient": item.name, "onto": item.onto, "protocol": name,
                "dice": np.mean([protocols.dice(protocol, counts) for counts in own.values()]),
                "difference": each.mean(), "low": np.nan, "high": np.nan, "p_false": np.nan,
                **{f"seed {seed}": by_seed[seed] for seed in shared}, "patients": len(each),
                "of_patients": each.var(ddof=1) / len(each), "of_seeds": pooled, "seeds": len(shared),
                "missed": np.mean([table.missed_slices.sum() for table in cases]),
                "false": np.mean([table.false_alarm_slices.sum() for table in cases]),
                "minutes": costs[costs.ingredient == item.name].seconds.median() / 60,
            }  # fmt: skip
            rows.append(row)
    table = pd.DataFrame(rows)
    return (
        table.groupby("protocol", sort=False, group_keys=False)[table.columns].apply(_with_intervals).sort_index()
        if rows
        else table
    )


def _with_intervals(gains: pd.DataFrame) -> pd.DataFrame:
    """The gains under one protocol with ``low``, ``high`` and ``p_false``, from the variances that were gathered."""
    known = gains.of_seeds.notna().sum()
    of_patients, of_seed = gains.of_patients, gains.of_seeds.mean() if known else 0.0
    of_seeds = of_seed / gains.seeds
    error = np.sqrt(of_patients + of_seeds)
    freedom = error**4 / (of_patients**2 / (gains.patients - 1) + of_seeds**2 / max(1, (gains.seeds - 1)[gains.onto != ""].sum()))
    reach = stats.t.ppf(0.975, freedom) * error
    laid = gains.onto != ""
    p_false = pd.Series(stats.t.sf(gains.difference.abs() / error, freedom), gains.index).where(laid)
    return gains.assign(
        low=(gains.difference - reach).where(laid, 0.0), high=(gains.difference + reach).where(laid, 0.0), p_false=p_false
    ).drop(columns=["of_patients", "of_seeds", "seeds"])
