"""Where things lie: one root for datasets and runs, whatever the working directory.

The root is the environment variable ``BRAIN_TUMOR_HOME``; without it, the checkout that holds this package. Datasets lie
under ``data/`` of that root, runs under ``runs/``; neither is ever committed.
"""

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def home() -> Path:
    """The root under which ``data/`` and ``runs/`` lie (read anew each time, so tests may move it)."""
    return Path(os.environ.get("BRAIN_TUMOR_HOME") or CHECKOUT).expanduser().resolve()


def data_folder() -> Path:
    """Datasets and their caches."""
    return home() / "data"


def runs_folder() -> Path:
    """One folder a training run."""
    return home() / "runs"


def reports_folder() -> Path:
    """Published reports and records: part of the checkout, so they follow the code, not the data."""
    return Path(os.environ.get("BRAIN_TUMOR_REPORTS") or CHECKOUT / "reports").expanduser().resolve()


def readable(path: Path) -> str:
    """A path as a person would type it: relative to the working directory where that is shorter."""
    try:
        return str(Path(path).resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
