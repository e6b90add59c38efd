"""Honest deep learning on brain-tumour MRI: the package behind the numbered notebooks.

The map, from the ground up; imports go only downward (``tests/test_layout.py`` holds the table):

==================  =====================================================================================
``errors``          refusals that a person can act on
``files``           atomic writes, hashes, locks
``progress``        bars with what is left
``paths``           where datasets, runs and reports lie
``data/``           cohorts, readers, phantom, cache, splits: arrays and tables, no Keras
``evaluation/``     Dice by name, floors, boundary, calibration, intervals: tables in, numbers out, no Keras
``leakage/``        the split auditor: patients on both sides, copies, neighbours
``models/``         backbones, U-Nets, classifier, weights, freezing, settings: Keras, knows no data
``training/``       batches, augmentation, losses, optimisers, stages, pretraining, run folders
``inference/``      whole cases to predictions at native size
``experiments/``    recipes, and the one place that joins all rooms: train, predict, score, cross-validate, search
``records/``        what git keeps of runs: commit, find, read; sidecars of reports
``report/``         ``figures/`` and ``pages/``: notebook to self-contained HTML, run pages, index, README block
``studies/``        what one notebook alone needs: leaks, source_002, definitions
``cli/``            ``brain-tumor data|audit|pretrain|train|crossval|grid|search|evaluate|predict|runs|report``
==================  =====================================================================================

Importing ``brain_tumor`` imports none of them, and no Keras.
"""

__version__ = "0.1.0"
