"""Tables and arrays of runs, cross-validations, grids and records: read whole, or refused by name.

A folder that was half copied holds files that are empty, cut short or filled up with zeros. Each is refused here, in one line
that names the file and says what to do next. A table that this package writes ends in a line's end; without one it was cut short.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brain_tumor import files

NAMES = dict.fromkeys(("case_id", "group", "cell"), str)  # columns of names, which may look like numbers
HISTORY = "history.csv"


def read_table(path: Path) -> pd.DataFrame:
    """A CSV that this package wrote.

    Raises:
        FileError: it is gone, empty, cut short, or no table.
    """
    reason = "no table"
    try:
        text = path.read_bytes().decode("utf-8")
        if not text.endswith("\n") or "\0" in text:
            reason = "cut short, its last line has no end" if text else "empty"
        else:
            table = pd.read_csv(io.StringIO(text), dtype=NAMES)
            if len(table.columns) > 1:
                return table
    except FileNotFoundError:
        reason = "no such file"
    except (UnicodeDecodeError, pd.errors.EmptyDataError, pd.errors.ParserError):
        pass
    raise files.damaged(path, reason, _remedy(path))


@contextmanager
def arrays(path: Path) -> Iterator[Any]:
    """The arrays of an NPZ file by name, each read when it is asked for.

    Raises:
        FileError: the file is gone, empty, cut short or no NPZ file, or an array is missing.
    """
    try:
        with np.load(path) as content:
            yield content
    except FileNotFoundError:
        raise files.damaged(path, "no such file") from None
    except KeyError as error:
        raise files.damaged(path, f"no array {error}") from None
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise files.damaged(path, "cut short, or no NPZ file" if path.stat().st_size else "empty") from error


def _remedy(path: Path) -> str:
    """How a table comes back."""
    if path.name == HISTORY:
        return "copy it again; only a training writes it"
    if (path.parent / "run.json").is_file():
        return f"copy it again, or remove it and score the run again: brain-tumor evaluate {path.parent.name}"
    return "copy it again, or remove it and give the command again that wrote it"
