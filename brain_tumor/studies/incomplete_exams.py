"""Exams that lack a sequence: what networks lose there, such as one of all sequences and one of FLAIR alone (rows 004.24-25).

Patients are predicted with sequences taken away, by networks that never saw the patient. Some really lack a sequence; the pixels
tell which (:mod:`brain_tumor.inference.route`).
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.data import splits
from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort, missing_sequences
from brain_tumor.evaluation import floors, intervals, overlap, protocols, scoring, storage
from brain_tumor.experiments import capacity, run as experiment
from brain_tumor.experiments.jobs import side_by_side
from brain_tumor.experiments.recipe import Recipe, identity
from brain_tumor.inference import intake, route
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.predictor import Predictor
from brain_tumor.models import settings
from brain_tumor.paths import runs_folder
from brain_tumor.progress import tracked, within
from brain_tumor.records import study
from brain_tumor.report.figures.drawing import SERIES, Drawing, tidy
from brain_tumor.training.runs import RunFolder

MARK = "-incomplete-exams-"  # in the name of every answer, and of no run
DESCRIPTION = "incomplete_exams.json"
ROUTED, NOTHING = "routed", "nothing"  # a network's name in tables, and the pattern in which no sequence is taken away
COUNTS, COSTS = "patterns.csv", "costs.csv"
COLUMNS = ["network", "split", "pattern", "case_id", "tp", "fp", "fn"]


def answer(
    recipes: Mapping[str, Recipe],
    cohort: Cohort,
    split_names: Sequence[str],
    take_reference: bool = True,
    workers: int | None = None,
) -> Path:
    """Train each network on each split, and predict the split's test patients with sequences taken away.

    Split by split, so that networks can be compared after the first. What was counted before, here or in the record that git
    keeps, is not trained again.

    Args:
        recipes: a network's name -> its recipe, whose split says nothing.
        take_reference: whether the reference (FLAIR) is taken away too.
        workers: how many networks learn at a time; None for what fits.

    Returns:
        The folder: ``patterns.csv``, ``costs.csv`` and ``incomplete_exams.json``.
    """
    store, reference = open_store(cohort), cohort.sequences[cohort.reference]
    patterns = [pattern for pattern in route.patterns(cohort.sequences) if take_reference or reference not in pattern]
    facts = {
        "cohort": cohort.name,
        "phantom": cohort.phantom,
        "data_hash": store.data_hash,
        "splits": list(split_names),
        "patterns": [pattern_in_words(pattern) for pattern in patterns],
        "recipes": {
            name: identity(recipe) | {"split": "", "preparation": recipe.PREPARATION} for name, recipe in recipes.items()
        },
    }
    folder = runs_folder() / f"{cohort.name}{MARK}{files.sha256_json(facts)[:8]}"
    study.restore(folder, done)
    files.write_json(folder / DESCRIPTION, facts)
    costs, counts = _table(folder / COSTS), _table(folder / COUNTS)
    earlier = {(row.split, row.network) for row in costs.itertuples()}
    tasks = [
        (name, replace(recipe, split=split), cohort, patterns)
        for split, (name, recipe) in itertools.product(split_names, recipes.items())
        if (split, name) not in earlier
    ]
    for cost, counted in _results(tasks, cohort, workers):
        counts = pd.concat([counts, counted])[COLUMNS].drop_duplicates(COLUMNS[:4], keep="last")
        costs = pd.concat([costs, pd.DataFrame([cost])])
        files.write_text(folder / COUNTS, counts.to_csv(index=False))
        files.write_text(folder / COSTS, costs.to_csv(index=False))  # last: what stands here was counted
    return folder


def _results(tasks: Sequence[tuple], cohort: Cohort, workers: int | None) -> Iterable[tuple[dict, pd.DataFrame]]:
    if not tasks:
        return
    workers = capacity.workers([recipe for _, recipe, _, _ in tasks], cohort, workers)
    if workers > 1:
        yield from tracked(side_by_side(_train, tasks, workers), "networks", len(tasks))
        return
    for number, task in enumerate(tasks, 1):
        with within(f"network {number} of {len(tasks)}"):
            yield _train(*task)


def _train(name: str, recipe: Recipe, cohort: Cohort, patterns: Sequence[tuple[str, ...]]) -> tuple[dict, pd.DataFrame]:
    """What a network cost, and what it counts."""
    run = experiment.train(recipe, cohort)
    place, facts = {"network": name, "split": recipe.split}, run.description
    counts = count(run, cohort, patterns).assign(**place)
    settings.clear_session()
    return place | {
        "run": run.path.name,
        "seconds": facts["training_seconds"],
        "commit": facts["environment"]["commit"],
    }, counts


def read(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What was trained, a row a network and split, and the counts of an answer."""
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
    return study.commit(folder, DESCRIPTION, [folder / COSTS, folder / COUNTS])


def count(run: RunFolder, cohort: Cohort, patterns: Sequence[tuple[str, ...]]) -> pd.DataFrame:
    """Count what a network predicts of the test patients of its split with each pattern of sequences taken away.

    Returns:
        A row a pattern and case: ``pattern, case_id, tp, fp, fn``, at native size.
    """
    store, predictor, rows = open_store(cohort), Predictor.load(run.path), []
    cases = sorted({key.split("/")[0] for key in experiment.stored_split(run).test})
    for case_id in tracked(cases, "patterns", len(cases)):
        own = store.rows_of(case_id)
        exam = Exam(case_id, store.images[own], store.slices.slice.to_numpy()[own], np.arange(own.stop - own.start))
        for pattern in patterns:
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


def floor(cohort: Cohort, split_names: Sequence[str]) -> float:
    """The mean Dice of the test patients at native size that the best predictor reaches which reads no image."""
    store, tables = open_store(cohort), []
    for name in split_names:
        split = splits.named(name, store.cases, store.slices)
        train, test = (split.rows(part, store.slices) for part in ("train", "test"))
        tables.append(floors.segmentation_counts(store.slices, store.masks, train, test))
    return protocols.floor(protocols.named("patient mean"), scoring.by_floor(pd.concat(tables)))[0]


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
