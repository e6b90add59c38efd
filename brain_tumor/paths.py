"""Where things lie: one root for datasets and runs, whatever the working directory.

The root is the environment variable ``BRAIN_TUMOR_HOME``. Without it, the root is the checkout that holds this package; where
the package is installed without a checkout, it is the user's data folder. Datasets lie under ``data/`` of that root, runs under
``runs/``; neither is ever committed.
"""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import platformdirs


def checkout_of(package: Path) -> Path | None:
    """The checkout that holds the package's folder: the folder above it, where that has our ``pyproject.toml``."""
    folder = package.parent
    return folder if (folder / "pyproject.toml").is_file() else None


CHECKOUT = checkout_of(Path(__file__).resolve().parent)


def home() -> Path:
    """The root under which ``data/`` and ``runs/`` lie (read anew each time, so tests may move it)."""
    place = os.environ.get("BRAIN_TUMOR_HOME") or CHECKOUT
    return Path(place).expanduser().resolve() if place else _user_folder()


def _user_folder() -> Path:
    """The user's data folder; who uses it for the first time is told where it is."""
    folder = platformdirs.user_data_path("brain-tumor", appauthor=False)
    if not folder.exists():
        print(f"brain-tumor: data and runs go to {folder}; set BRAIN_TUMOR_HOME to use another folder", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def data_folder() -> Path:
    """Datasets and their caches."""
    return home() / "data"


def runs_folder() -> Path:
    """One folder a training run."""
    return home() / "runs"


def reports_folder() -> Path:
    """Published reports and records: in a checkout they follow the code, not the data; without one they lie in the home."""
    return Path(os.environ.get("BRAIN_TUMOR_REPORTS") or (CHECKOUT or home()) / "reports").expanduser().resolve()


def commit() -> str:
    """The checkout's commit, with ``+changes`` where code or notebooks differ from it, ``not committed`` where there is none.

    What publishing itself rewrites is no change of the code.
    """
    if CHECKOUT is None:
        return "not committed"
    try:
        changes = _git("status", "--porcelain", "--", ".", ":!reports", ":!README.md")
        return _git("rev-parse", "--short=12", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.SubprocessError):
        return "not committed"


def _git(*words: str) -> str:
    command = ["git", "-C", str(CHECKOUT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def installation(*extras: str) -> str:
    """The command that installs extras of this package: from its checkout, else the packages that they list, by their own names.

    The package's bare name is no part of it: on the public index that name is not ours.
    """
    if CHECKOUT:
        return f"pip install '{readable(CHECKOUT)}[{','.join(extras)}]'"
    elsewhere = "==" if sys.platform != "darwin" else "!="
    listed = [line.partition(";") for line in metadata.requires("brain-tumor") or ()]
    return "pip install " + " ".join(
        f"'{name.strip()}'"
        for name, _, marker in listed
        if any(f'extra == "{extra}"' in marker for extra in extras) and f'sys_platform {elsewhere} "darwin"' not in marker
    )


def readable(path: Path) -> str:
    """A path as a person would type it: relative to the working directory where that is shorter."""
    try:
        return str(Path(path).resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
