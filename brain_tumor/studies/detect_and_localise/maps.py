"""Maps of where networks look, on real masks: scored on patients of a test part, their level chosen on a validation part."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from brain_tumor.evaluation import explanations, intervals
from brain_tumor.experiments import segmentation
from brain_tumor.experiments.part import Part
from brain_tumor.inference import explain
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.predictor import Predictor
from brain_tumor.models import levels, saved
from brain_tumor.progress import tracked

CONTROLS = ("brightness", "centre")
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of layers whose weights are random


def tumour_exams(part: Part, per_case: int) -> list[tuple[Exam, np.ndarray]]:
    """Exams of a part with some of their slices with tumour, and the expert's masks.

    Args:
        per_case: slices of each, spread over the tumour.
    """
    answers = []
    for exam in segmentation.exams(part):
        masks = np.asarray(part.store.masks[part.store.rows_of(exam.name).start + exam.rows])
        tumour = np.flatnonzero(masks.any(axis=(1, 2)))
        if len(tumour):
            asked = tumour[np.unique(np.linspace(0, len(tumour) - 1, per_case).round().astype(int))]
            # Whichever network is asked brings the slices to its own scale.
            answers.append((replace(exam, rows=exam.rows[asked], scaling=None), masks[asked]))
    return answers


def score(
    predictor: Predictor, exams: Sequence[tuple[Exam, np.ndarray]], methods: Sequence[tuple[str, str]]
) -> dict[str, pd.DataFrame]:
    """The scores of maps by method and level, ``grad-cam P4``, and of the controls.

    Returns:
        A map's name -> ``case_id, slice, pointing, energy, auprc``.
    """
    rows: dict[str, list[pd.DataFrame]] = {}
    for exam, masks in tracked(exams, "explaining", len(exams)):
        for name, maps in _maps(predictor, exam, methods):
            table = explanations.score(maps, masks).assign(case_id=exam.name, slice=exam.asked)
            rows.setdefault(name, []).append(table)
    return {name: pd.concat(tables, ignore_index=True)[list(explanations.COLUMNS)] for name, tables in rows.items()}


def _maps(predictor: Predictor, exam: Exam, methods: Sequence[tuple[str, str]]) -> Iterator[tuple[str, np.ndarray]]:
    for method, level in methods:
        yield f"{method} {level}".strip(), explain.explain(predictor, exam, method, level).maps
    yield from explain.controls(exam.images[exam.rows], predictor.reference).items()


def every_level(predictor: Predictor, methods: Sequence[str] = ("grad-cam", "grad-cam++")) -> list[tuple[str, str]]:
    """Each method on each of a network's levels."""
    return [(method, level) for method in methods for level in levels.levels(predictor.model)]


def best(scores: dict[str, pd.DataFrame]) -> tuple[str, str]:
    """The method and level with the highest AUPRC, a patient counting once: to be asked of validation patients."""
    means = {name: table.groupby("case_id").auprc.mean().mean() for name, table in scores.items() if name not in CONTROLS}
    method, _, level = max(means, key=lambda name: means[name]).partition(" ")
    return method, level


def randomised(
    predictor: Predictor, description: dict, exams: Sequence[tuple[Exam, np.ndarray]], method: str, level: str
) -> pd.DataFrame:
    """How alike maps stay while layers forget what they learnt, from the output downwards (Adebayo 2018, arXiv 1810.03292).

    Args:
        description: of the network (:func:`brain_tumor.models.saved.read`).

    Returns:
        ``share, case_id, correlation``: Spearman's, of the pixels of each map with those of the trained network's, a mean a case;
        missing where this has no map that says anything.
    """
    whole = {exam.name: explain.explain(predictor, exam, method, level).maps for exam, _ in exams}
    rows = []
    for share in SHARES:
        network = explain.randomised(predictor.model, saved.build(description, description.get("precision", "float32")), share)
        forgetful = replace(predictor, model=network, others=(), familiarity=None)
        for exam, _ in exams:
            maps = explain.explain(forgetful, exam, method, level).maps
            alike = [_alike(one, other) for one, other in zip(whole[exam.name], maps, strict=True)]
            rows.append({"share": share, "case_id": exam.name, "correlation": pd.Series(alike).mean()})
    return pd.DataFrame(rows)


def forgotten(table: pd.DataFrame) -> tuple[float, float, float]:
    """How alike maps still are once all layers are random: mean of patients, low, high, from :func:`randomised`."""
    values = table[table.share == max(SHARES)].correlation.dropna().to_numpy()
    return float(values.mean()), *intervals.bootstrap(values, np.mean)


def one_network(folder: Path) -> tuple[Predictor, dict]:
    """The first network of a run's folder, and how it is built; maps of several are looked at one by one."""
    first = next(iter(saved.members(folder)), folder)
    return Predictor.load(first), saved.read(first)


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's correlation of another map with one; missing where this one is the same everywhere, 0 where the other is."""
    if not np.ptp(one):
        return np.nan
    if not np.ptp(other):
        return 0.0
    return float(stats.spearmanr(one.ravel(), other.ravel()).statistic)
