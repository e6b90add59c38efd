"""Two runs, or records, on the same test slices, paired by patient: better, worse, or not decidable."""

from pathlib import Path

import pandas as pd

from brain_tumor import files
from brain_tumor.errors import DataError, RunError
from brain_tumor.evaluation import detection, protocols
from brain_tumor.records import records


def find(name: str) -> Path:
    """The folder of a scored run of this home, or of a record.

    Raises:
        RunError: neither, or a run that is not scored.
    """
    from brain_tumor.training.runs import find_run

    try:
        folder = find_run(name).path
    except RunError as error:
        try:
            return records.find_record(name)
        except RunError:
            raise error from None
    if not (folder / "scores.csv").is_file():
        raise RunError(f"{folder}: not scored; brain-tumor evaluate {folder.name}")
    return folder


def compare(folder: Path, other: Path, margin: float | None = None) -> pd.DataFrame:
    """The paired comparison of two scored runs of one task, the first minus the second.

    Segmentation is compared at every size that both were counted at, the native one always among them.

    Returns:
        As :func:`brain_tumor.evaluation.protocols.compare`, or of classifiers :func:`brain_tumor.evaluation.detection.compare`.

    Raises:
        RunError: they are of unlike tasks, or were scored on other data or other slices.
        DataError: the margin is not above 0.
    """
    task, other_task = records.task_of(folder), records.task_of(other)
    if task != other_task:
        raise RunError(f"{other.name}: a run of {other_task}, {folder.name} is one of {task}; expected the same task")
    ours, theirs = (files.read_json(path / "run.json") for path in (folder, other))
    if ours["data_hash"] != theirs["data_hash"]:
        raise RunError(f"{other.name}: scored on data {theirs['data_hash'][:12]}, {folder.name} on {ours['data_hash'][:12]}")
    read = records.read_slices if task == "classification" else records.read_counts
    tables = [read(path) for path in (folder, other)]
    keys = [set(zip(table.case_id, table.slice, strict=True)) for table in tables]
    if keys[0] != keys[1]:
        raise RunError(
            f"{other.name}: scored on {len(keys[1])} slices, {folder.name} on {len(keys[0])}, of which "
            f"{len(keys[0] & keys[1])} are the same; expected the same test slices"
        )
    if task == "classification":
        return detection.compare(*tables, ours["threshold"], theirs["threshold"], margin=margin)
    shared = set(tables[0]["size"]) & set(tables[1]["size"])
    if not shared:
        raise DataError(f"{other.name}: no size in common with {folder.name}")
    return protocols.compare(*(table[table["size"].isin(shared)] for table in tables), margin=margin)
