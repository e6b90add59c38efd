"""One network for all sequences and one for FLAIR alone: what each loses where sequences are missing (rows 004.24-25).

Every patient is predicted out of fold with every pattern of sequences taken away, by networks that never saw the patient. Some
really lack a sequence; the pixels tell which (:mod:`brain_tumor.inference.route`).
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.data import splits
from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort, missing_sequences
from brain_tumor.evaluation import intervals, overlap, storage
from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.recipe import SegmentationRecipe, identity
from brain_tumor.inference import intake, route
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.predictor import Predictor
from brain_tumor.models import settings
from brain_tumor.paths import runs_folder
from brain_tumor.progress import tracked, within
from brain_tumor.records import study
from brain_tumor.report.figures.drawing import SERIES, Drawing, tidy
from brain_tumor.training.runs import RunFolder

MARK = "-two-networks-"  # in the name of every answer, and of no run
DESCRIPTION = "two_networks.json"
ROUTED, NOTHING = "routed", "nothing"  # a network's name in tables, and the pattern in which no sequence is taken away
COUNTS, COSTS = "patterns.csv", "costs.csv"
COLUMNS = ["network", "fold", "pattern", "case_id", "tp", "fp", "fn"]


def answer(recipes: Mapping[str, SegmentationRecipe], cohort: Cohort, folds: int) -> Path:
    """Train each network on each fold of patients, and predict the fold's patients with every pattern of sequences taken away.

    Fold by fold, so that networks can be compared after the first. What was counted before, here or in the record that git keeps,
    is not trained again.

    Args:
        recipes: a network's name -> its recipe, whose split says nothing.

    Returns:
        The folder: ``patterns.csv``, ``costs.csv`` and ``two_networks.json``.
    """
    store = open_store(cohort)
    described = {name: identity(recipe) | {"split": ""} for name, recipe in recipes.items()}
    folder = runs_folder() / f"{cohort.name}{MARK}{files.sha256_json([described, folds, store.data_hash])[:8]}"
    study.restore(folder, done)
    facts = {"cohort": cohort.name, "phantom": cohort.phantom, "data_hash": store.data_hash, "folds": folds, "recipes": described}
    files.write_json(folder / DESCRIPTION, facts)
    costs, counts = _table(folder / COSTS), _table(folder / COUNTS)
    earlier = {(row.fold, row.network) for row in costs.itertuples()}
    splits_of_folds = splits.fold_names("patient", folds, store.cases, store.slices)
    for (fold, split), (name, recipe) in itertools.product(enumerate(splits_of_folds, 1), recipes.items()):
        if (fold, name) in earlier:
            continue
        with within(f"fold {fold} of {folds}, {name}"):
            run = experiment.train(replace(recipe, split=split), cohort)
            counts = pd.concat([counts, count(run, cohort).assign(network=name, fold=fold)])
        cost = {"seconds": run.description["training_seconds"], "commit": run.description["environment"]["commit"]}
        costs = pd.concat([costs, pd.DataFrame([{"network": name, "fold": fold, "run": run.path.name, **cost}])])
        files.write_text(folder / COUNTS, counts[COLUMNS].drop_duplicates(COLUMNS[:4], keep="last").to_csv(index=False))
        files.write_text(folder / COSTS, costs.to_csv(index=False))  # last: what stands here was counted
        settings.clear_session()
    return folder


def read(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What was trained, a row a network and fold, and the counts of an answer."""
    return storage.read_table(folder / COSTS), storage.read_table(folder / COUNTS)


def done(folder: Path) -> int:
    """How many of its trainings are done."""
    return len(_table(folder / COSTS))


def find(name: str) -> Path | None:
    """An answer by its name, or the beginning of it (:func:`brain_tumor.records.study.find`)."""
    return study.find(name, DESCRIPTION, done)


def commit(folder: Path) -> Path:
    """Keep an answer as its record, as far as it has come: it goes on from there.

    Raises:
        RunError: it is of the phantom.
    """
    phantom = files.read_json(folder / DESCRIPTION)["phantom"]
    return study.commit(folder, phantom, [folder / name for name in (DESCRIPTION, COSTS, COUNTS)])


def count(run: RunFolder, cohort: Cohort, part: str = "test", patterns: Sequence[tuple[str, ...]] | None = None) -> pd.DataFrame:
    """Count what a network predicts of the patients of a part of its split with sequences taken away.

    Args:
        patterns: what is taken away; None for all of :func:`brain_tumor.inference.route.patterns`.

    Returns:
        A row a pattern and case: ``pattern, case_id, tp, fp, fn``, at native size.
    """
    store, predictor, rows = open_store(cohort), Predictor.load(run.path), []
    cases = sorted({key.split("/")[0] for key in getattr(experiment.stored_split(run), part)})
    for case_id in tracked(cases, "patterns", len(cases)):
        own = store.rows_of(case_id)
        exam = Exam(case_id, store.images[own], store.slices.slice.to_numpy()[own], np.arange(own.stop - own.start))
        for pattern in patterns or route.patterns(cohort.sequences):
            lacking = route.without(exam, cohort.sequences, pattern, cohort.reference)
            counts = overlap.count(predictor.predict(lacking).native, store.masks[own], predictor.threshold)
            rows.append({"pattern": pattern_in_words(pattern), "case_id": case_id, **counts[["tp", "fp", "fn"]].sum()})
    return pd.DataFrame(rows)


def routes(cohort: Cohort, complete: str, reference: str) -> pd.DataFrame:
    """Which network answers for each exam of a cohort, read from its files as ``brain-tumor predict`` reads them.

    Args:
        complete, reference: the networks' names.

    Returns:
        Indexed by ``case_id``: ``lacks``, in words, and ``network``.
    """
    rows = {}
    for case in tracked(cohort.cases, "exams", len(cohort.cases)):
        missing = missing_sequences(intake.exam(case).images, cohort.sequences)
        network = route.answering(missing, complete, reference)
        rows[case.case_id] = {"lacks": pattern_in_words(missing), "network": network}
    return pd.DataFrame.from_dict(rows, orient="index")


def routed(counts: pd.DataFrame, complete: str, reference: str, lacking: pd.Series) -> pd.DataFrame:
    """The counts of both networks together: the one of the reference answers where a sequence is missing.

    Args:
        complete, reference: the networks' names.
        lacking: indexed by ``case_id``: whether the exam itself lacks a sequence (``missing`` of a store's cases).
    """
    missing = counts.pattern.ne(NOTHING) | counts.case_id.map(lacking)
    chosen = (counts.network == reference) & missing | (counts.network == complete) & ~missing
    return counts[chosen].assign(network=ROUTED)


def case_dice(counts: pd.DataFrame) -> pd.DataFrame:
    """The Dice of each patient under one pattern: a row a patient, a column a network."""
    dice = counts.assign(dice=overlap.dice(counts.tp, counts.fp, counts.fn))
    return dice.pivot(index="case_id", columns="network", values="dice")[list(counts.network.unique())]


def means(counts: pd.DataFrame) -> pd.DataFrame:
    """``network, pattern, dice, low, high``: the mean Dice of patients with its 95 % interval over patients."""
    rows = []
    for pattern, of_pattern in counts.groupby("pattern", sort=False):
        for network, dice in case_dice(of_pattern).items():
            low, high = intervals.bootstrap(dice.to_numpy(), np.mean)
            rows.append({"network": network, "pattern": pattern, "dice": dice.mean(), "low": low, "high": high})
    return pd.DataFrame(rows)


def compare(counts: pd.DataFrame, one: str, other: str) -> intervals.Comparison:
    """One network's mean Dice minus another's under one pattern, paired by patient."""
    table = case_dice(counts)
    return intervals.paired(table[one].to_numpy(), table[other].to_numpy(), np.mean)


def scores(counts: pd.DataFrame) -> pd.DataFrame:
    """The mean Dice of patients: a row a pattern, a column a network."""
    patterns = counts.groupby("pattern", sort=False)
    return pd.DataFrame({pattern: case_dice(of_pattern).mean() for pattern, of_pattern in patterns}).T


def losses(counts: pd.DataFrame) -> pd.DataFrame:
    """What each pattern costs a network: its mean patient Dice minus that with nothing taken away."""
    table = scores(counts)
    return table - table.loc[NOTHING]


def plot_losses(counts: pd.DataFrame) -> Drawing:
    """The mean Dice of patients by what is taken away: a line a network."""
    table = scores(counts)
    alt = "; ".join(f"{name}: {values.iloc[0]:.3f} with all, {values.min():.3f} at worst" for name, values in table.items())
    drawing = Drawing(3.2, f"Mean Dice of patients by the sequences taken away. {alt}.")
    axes = tidy(drawing.add_subplot(), "taken away", "mean Dice of patients")
    for (name, values), colour in zip(table.items(), SERIES, strict=False):
        axes.plot(range(len(table)), values, "o-", color=colour, linewidth=1.4, label=name)
    axes.set_xticks(range(len(table)), [pattern.replace(" and ", "\nand ") for pattern in table.index])
    axes.set_ylim(0, 1)
    axes.legend(frameon=False, fontsize=8.5, loc="lower left", ncols=2)
    return drawing


def pattern_in_words(pattern: Sequence[str]) -> str:
    """``nothing``, ``pre``, ``flair and post``."""
    return " and ".join(pattern) or NOTHING


def _table(path: Path) -> pd.DataFrame:
    return storage.read_table(path) if path.is_file() else pd.DataFrame()
