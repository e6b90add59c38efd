"""Third floor: whole cases in, predictions at native size out."""

import brain_tumor.models  # noqa: F401  # it refuses an unknown backend before this room imports Keras
