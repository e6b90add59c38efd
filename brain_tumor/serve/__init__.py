"""A page and a JSON API for a person with one exam: what a trained network says of it, and what that is worth.

Networks are run through :class:`brain_tumor.inference.predictor.Predictor` alone, so that an exam gets the same answer here, on
the command line and in a notebook. What is uploaded stays in memory, and is forgotten after a quarter of an hour.
"""

import brain_tumor.models  # noqa: F401  # it refuses an unknown backend before this room imports Keras
