"""Honest deep learning on brain-tumour MRI: the package behind the numbered notebooks.

The map, from the ground up; imports go only downward (``tests/test_layout.py`` holds the table):

==================  =====================================================================================
``errors``          refusals that a person can act on
``files``           atomic writes, hashes, locks
``progress``        bars with what is left
``workers``         processes side by side, a core each
``paths``           where datasets, runs and reports lie
``data/``           cohorts, readers, phantom, cache, splits, audits: arrays and tables, no Keras
``evaluation/``     Dice by name, floors, boundary, calibration, intervals: tables in, numbers out, no Keras
``models/``         backbones, U-Nets, classifier, weights, freezing, precision: Keras, knows no data
``training/``       batches, augmentation, losses, optimisers, stages, pretraining, run folders
``inference/``      whole cases to predictions at native size
``experiments/``    the frozen description of a run, and the one place that joins all rooms
``report/``         figures, notebook to self-contained HTML, records, index
``cli/``            ``brain-tumor data|audit|pretrain|train|crossval|grid|search|evaluate|predict|runs|report``
==================  =====================================================================================

Importing ``brain_tumor`` imports none of them, and no Keras.
"""

__version__ = "0.1.0"
