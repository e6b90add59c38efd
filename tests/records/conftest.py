"""Finished, scored runs made by hand; see ``tests/made_runs.py``."""

from made_runs import make_classifier, make_run, reports, store, trained  # noqa: F401
