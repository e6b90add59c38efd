"""Fourth floor: the frozen description of a run, and the only place that joins cohort, model, run, inference and evaluation."""

import brain_tumor.models  # noqa: F401  # it refuses an unknown backend before this room imports Keras
