"""Honest deep learning on brain-tumour MRI: the package behind the numbered notebooks.

The map, from the ground up; imports go only downward (``tests/test_layout.py`` holds the table):

==================  =====================================================================================
``errors``          refusals that a person can act on
``files``           atomic writes, hashes, locks
``progress``        bars with what is left
``paths``           where datasets, runs and reports lie
``data/``           cohorts, readers, labels and regions, phantoms, cache, splits: arrays and tables, no Keras
``evaluation/``     Dice by name, floors, boundary, calibration, intervals: tables in, numbers out, no Keras
``leakage/``        the split auditor: patients on both sides, copies, neighbours
``predictions/``    anybody's predictions: paired with masks, given patients, counted and scored; no Keras
``models/``         backbones, U-Nets, their inflation to volumes, classifier, weights, freezing: Keras, knows no data
``training/``       batches, patches, augmentation, losses, optimisers, stages, several processes, run folders
``inference/``      exams from files or arrays; predictions of slices and volumes; cascade, explanations, what is unlike
``experiments/``    recipes, tasks, runs: train, predict, count, score, cross-validate, search; the ladder of budgets
``records/``        what git keeps of runs: commit, find, read; sidecars of reports
``report/``         ``figures/`` and ``pages/``: notebook to self-contained HTML, run pages, index, README block
``serve/``          a page and a JSON API for one exam: uploads in memory, one prediction at a time
``studies/``        what one or two notebooks need: leaks, slice_detection, source_002, definitions, ingredients, ...
``face``            what ``import brain_tumor as bt`` offers: ``bt.train``, ``bt.open_run``, ...
``cli/``            ``brain-tumor data|audit|score|pretrain|train|ladder|crossval|grid|search|evaluate|serve|...``
==================  =====================================================================================

A number such as 002.20 is a row of ``reports/sources.csv``, which lists every feature and number of the five projects that this
one grew from: the second project, its 20th row.

Importing ``brain_tumor`` imports none of them, and no Keras: what the face offers is loaded when it is first used.
"""

import importlib
from typing import Any

__version__ = "0.4.0"

_MODULES = {
    "data.opening": ("open_cohort", "open_or_phantom"),
    "data.cache": ("open_store",),
    "training.plan": ("Stage",),
    "inference.predictor": ("Predictor",),
    "records.sidecar": ("Sidecar",),
    "experiments.recipe": ("Segmentation", "Classification"),
    "experiments.volumes_recipe": ("Volumes",),
    "experiments.run": ("build", "split_of"),
    "face": ("train", "cross_validate", "open_run", "Run", "Folds", "Scores", "Prediction"),
}
_OFFERED = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """What the face offers, loaded when it is first used (PEP 562)."""
    if name not in _OFFERED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_OFFERED[name]}"), name)


def __dir__() -> list[str]:
    """For completion in a notebook."""
    return sorted([*globals(), *_OFFERED])
