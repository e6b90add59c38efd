"""Two runs, or records, on the same test slices, paired by patient: better, worse or not decidable; what retraining changed."""

from pathlib import Path

import pandas as pd

from brain_tumor.errors import DataError, RunError
from brain_tumor.evaluation import scoring
from brain_tumor.evaluation.storage import read_table
from brain_tumor.experiments import tasks
from brain_tumor.records import lookup, records


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
    ours, theirs = lookup.run_facts(folder), lookup.run_facts(other)
    name, other_name = ours["recipe"]["task"], theirs["recipe"]["task"]
    if name != other_name:
        raise RunError(f"{other.name}: a run of {other_name}, {folder.name} is one of {name}; expected the same task")
    task = tasks.of(name)
    if task.compare is None:
        raise RunError(f"{folder.name}: runs of {name} cannot be compared")
    if ours["data_hash"] != theirs["data_hash"]:
        raise RunError(f"{other.name}: scored on data {theirs['data_hash'][:12]}, {folder.name} on {ours['data_hash'][:12]}")
    tables = [records.tables(path) for path in (folder, other)]
    keys = [set(zip(table[task.main].case_id, table[task.main].slice, strict=True)) for table in tables]
    if keys[0] != keys[1]:
        raise RunError(
            f"{other.name}: scored on {len(keys[1])} slices, {folder.name} on {len(keys[0])}, of which "
            f"{len(keys[0] & keys[1])} are the same; expected the same test slices"
        )
    thresholds = tuple(facts.get("threshold", facts["recipe"]["threshold"]) for facts in (ours, theirs))
    try:
        return task.compare(*tables, thresholds, margin)
    except DataError as error:
        raise DataError(f"{folder.name} against {other.name}: {error}") from None


def retrained() -> pd.DataFrame:
    """Recorded runs whose inputs were prepared otherwise, beside the same recipe trained as today.

    Returns:
        ``run`` and ``again`` (names of records), ``was`` and ``now`` (mean Dice of test patients at native size), ``difference,
        low, high`` (now less was, paired by patient).
    """
    rows = []
    for folder in lookup.all_records():
        facts, recipe = lookup.run_facts(folder), lookup.recipe_of(folder)
        if lookup.is_current(facts) or recipe is None:
            continue
        again = lookup.find(recipe, data_hash=facts["data_hash"])
        if again is None or not lookup.is_current(lookup.run_facts(again)):
            continue
        was, now = (_native_mean(read_table(path / scoring.SCORES)).dice for path in (folder, again))
        change = _native_mean(compare(again, folder))
        names = {"run": folder.name, "again": again.name, "was": was, "now": now}
        rows.append(names | {name: change[name] for name in ("difference", "low", "high")})
    return pd.DataFrame(rows)


def _native_mean(table: pd.DataFrame) -> pd.Series:
    """The row of the mean over patients at the largest size, which is the native one."""
    return table[table.protocol == "patient mean"].sort_values("size").iloc[-1]
