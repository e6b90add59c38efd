"""One network for all sequences and one for FLAIR alone: what each loses where sequences are missing (rows 004.24-25).

Every patient is predicted out of fold with every pattern of sequences taken away, by networks that never saw the patient. Some
really lack a sequence; the pixels tell which (:mod:`brain_tumor.inference.route`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort, missing_sequences
from brain_tumor.evaluation import intervals, overlap, storage
from brain_tumor.experiments import crossval, run as experiment
from brain_tumor.experiments.recipe import Recipe, identity
from brain_tumor.inference import intake, route
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.predictor import Predictor
from brain_tumor.models import settings
from brain_tumor.paths import runs_folder
from brain_tumor.progress import tracked
from brain_tumor.records import study
from brain_tumor.report.figures.drawing import SERIES, Drawing, tidy
from brain_tumor.training.runs import RunFolder

MARK = "-two-networks-"  # in the name of every answer, and of no run
DESCRIPTION = "two_networks.json"
ROUTED, NOTHING = "routed", "nothing"  # a network's name in tables, and the pattern in which no sequence is taken away
COUNTS = "patterns.csv"


def answer(recipes: Mapping[str, Recipe], cohort: Cohort, folds: int, workers: int | None = None) -> Path:
    """Cross-validate each network, then predict every patient with every pattern of sequences taken away.

    What was answered before, here or in the record that git keeps, is not asked again.

    Args:
        recipes: a network's name -> its recipe, whose split says nothing.

    Returns:
        The folder: ``patterns.csv`` and ``two_networks.json``.
    """
    data_hash = open_store(cohort).data_hash
    described = {name: identity(recipe) | {"split": ""} for name, recipe in recipes.items()}
    folder = runs_folder() / f"{cohort.name}{MARK}{files.sha256_json([described, folds, data_hash])[:8]}"
    study.restore(folder, done)
    if done(folder):
        return folder
    validated = {name: crossval.cross_validate(recipe, cohort, folds=folds, workers=workers) for name, recipe in recipes.items()}
    counts = count(validated, cohort)
    facts = {"cohort": cohort.name, "phantom": cohort.phantom, "data_hash": data_hash, "folds": folds}
    of_networks = {name: crossval.read(path) for name, path in validated.items()}
    minutes = {name: round(each["seconds"] / 60, 1) for name, each in of_networks.items()}
    runs = [fold["run"] for each in of_networks.values() for fold in each["runs"]]
    names = {name: path.name for name, path in validated.items()}
    files.write_json(folder / DESCRIPTION, facts | {"recipes": described, "crossvals": names, "minutes": minutes, "runs": runs})
    files.write_text(folder / COUNTS, counts.to_csv(index=False))
    return folder


def read(folder: Path) -> tuple[dict, pd.DataFrame]:
    """The description and the counts of an answer."""
    return files.read_json(folder / DESCRIPTION), storage.read_table(folder / COUNTS)


def done(folder: Path) -> int:
    """1 where it is answered, else 0."""
    return int((folder / COUNTS).is_file())


def find(name: str) -> Path | None:
    """An answer by its name, or the beginning of it (:func:`brain_tumor.records.study.find`)."""
    return study.find(name, DESCRIPTION, done)


def commit(folder: Path) -> Path:
    """Keep an answer as its record.

    Raises:
        RunError: it is of the phantom.
    """
    return study.commit(folder, read(folder)[0]["phantom"], [folder / DESCRIPTION, folder / COUNTS])


def count(folds: Mapping[str, Path], cohort: Cohort) -> pd.DataFrame:
    """Count what networks predict with sequences taken away.

    Args:
        folds: a network's name -> the folder of its cross-validation, whose runs must be in this home; all on the same folds.

    Returns:
        A row a network, pattern and case: ``network, pattern, case_id, tp, fp, fn``, at native size.
    """
    store = open_store(cohort)
    described = {name: crossval.read(folder)["runs"] for name, folder in folds.items()}
    rows = []
    for number in range(len(next(iter(described.values())))):
        runs = {name: RunFolder(runs_folder() / fold[number]["run"]) for name, fold in described.items()}
        predictors = {name: Predictor.load(run.path) for name, run in runs.items()}
        cases = sorted({key.split("/")[0] for key in experiment.stored_split(next(iter(runs.values()))).test})
        for case_id in tracked(cases, f"patterns, fold {number + 1}", len(cases)):
            own = store.rows_of(case_id)
            exam = Exam(case_id, store.images[own], store.slices.slice.to_numpy()[own], np.arange(own.stop - own.start))
            for pattern in route.patterns(cohort.sequences):
                lacking = route.without(exam, cohort.sequences, pattern, cohort.reference)
                for name, predictor in predictors.items():
                    counts = overlap.count(predictor.predict(lacking).native, store.masks[own], predictor.threshold)
                    sums = counts[["tp", "fp", "fn"]].sum().to_dict()
                    rows.append({"network": name, "pattern": pattern_in_words(pattern), "case_id": case_id, **sums})
        settings.clear_session()
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
