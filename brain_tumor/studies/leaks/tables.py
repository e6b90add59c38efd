"""Tables for people of what a split is worth: scores beside their floors, what a leak adds, who was trained on how much."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from brain_tumor.data.cache import Store
from brain_tumor.data.splits import Split
from brain_tumor.evaluation import wording
from brain_tumor.evaluation.intervals import NO_INTERVAL, NOT_DECIDABLE, p_in_words
from brain_tumor.records.sidecar import Sidecar
from brain_tumor.studies.leaks.leaks import ALL, CALLS, OUTLINES, best_floors
from brain_tumor.studies.leaks.published import ON_110_PATIENTS


def floor_table(spread: pd.DataFrame, splits: Mapping[str, str]) -> pd.DataFrame:
    """Mean, standard deviation and range of every predictor that reads no image, a column a split.

    Args:
        spread: :func:`brain_tumor.studies.leaks.leaks.floor_spread`.
        splits: a split's name -> how its column is headed.
    """
    worded = spread.assign(text=[_draws(row) for row in spread.itertuples()])
    rows = worded.set_index(["measure", "floor", "split"]).text.unstack("split", sort=False)
    rows = rows.reindex(columns=list(splits)).fillna("not applicable").loc[lambda table: sorted(table.index, key=_rank)]
    columns = {heading: rows[split] for split, heading in splits.items()}
    for split, heading in splits.items():
        columns[f"{heading}, 110 patients"] = [ON_110_PATIENTS.get((split, floor, measure), "") for measure, floor in rows.index]
    return pd.DataFrame(columns).rename_axis(["measure", "reads no image"])


def split_table(splits: Mapping[str, Split], store: Store, site: str) -> pd.DataFrame:
    """What each split trains and tests on.

    Args:
        splits: name -> split.
        site: whose patients in training are counted too.
    """
    rows = {}
    for name, split in splits.items():
        train, test = (store.slices.iloc[split.rows(part, store.slices)] for part in ("train", "test"))
        both = set(train.case_id) & set(test.case_id)
        rows[name] = {
            "training slices": len(train),
            "with tumour": int((train.tumour_px > 0).sum()),
            "of patients": train.case_id.nunique(),
            f"of them of {site}": train[train.site == site].case_id.nunique(),
            "test slices": len(test),
            "empty": int((test.tumour_px == 0).sum()),
            "of test patients": test.case_id.nunique(),
            "patients in both": len(both),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("split")


def comparison(table: pd.DataFrame, one: str, other: str) -> pd.DataFrame:
    """Two predictors on the same slices: scores with interval and floor, and the paired difference.

    Args:
        table: :func:`brain_tumor.studies.leaks.leaks.comparison_table`.
        one, other: what the two are called; the second is taken from the first.
    """
    rows = [
        {
            "measure": row.measure,
            "on": row.on,
            f"{one} - {other}": difference(row),  # first: what follows may need scrolling
            one: _score(row.one, row.one_low, row.one_high, row.one_floor, row.one_floor_name),
            other: _score(row.other, row.other_low, row.other_high, row.other_floor, row.other_floor_name),
            "p": p_in_words(row.p_value),
            "patients": row.patients,
            "slices (empty)": f"{row.slices:,} ({row.empty_slices:,})",
        }
        for row in table.itertuples()
    ]
    return pd.DataFrame(rows).set_index(["measure", "on"])


def difference(row: Any) -> str:
    """``+0.041 (95 % interval +0.020 to +0.062)``, and whether it can be told from none.

    Args:
        row: of a comparison table.
    """
    if row.verdict == NO_INTERVAL:
        return f"{wording.score(row.difference, signed=True)} (no interval)"
    text = f"{row.difference:+.3f} (95 % interval {row.low:+.3f} to {row.high:+.3f})"
    if row.verdict != NOT_DECIDABLE:
        return text
    needed = "" if pd.isna(row.patients_needed) else f"; {row.patients_needed:,} patients would decide it"
    return f"{text}, not decidable{needed}"


def declare(sidecar: Sidecar, table: pd.DataFrame, network: str, one: str, other: str, headlines: Sequence[str] = ()) -> None:
    """Add a comparison table to a report's numbers: paired differences with their interval, and of its first pair both scores.

    Args:
        table, one, other: as in :func:`comparison`.
        network: whose scores they are.
        headlines: measures whose difference over all patients an index quotes.
    """
    for row in table.itertuples():
        score = f"Dice, {row.measure}" if row.measure in OUTLINES else row.measure
        how = f"{row.on}: paired over {row.patients} patients, {row.verdict}, p {p_in_words(row.p_value)}"
        headline = row.on == ALL and row.measure in headlines
        name = f"{network}, {score}: {one} - {other}"
        sidecar.add(name, row.difference, row.low, row.high, protocol=how, headline=headline)
        scored = ((one, "one"), (other, "other")) if row.on == table.on.iloc[0] else ()
        for label, side in scored:
            value, low, high, floor, whose = (
                getattr(row, f"{side}{part}") for part in ("", "_low", "_high", "_floor", "_floor_name")
            )
            measured = f"{row.on}: {row.slices} slices, {row.empty_slices} empty; floor: {whose}"
            sidecar.add(f"{network}, {score}, {label}", value, low, high, floor, protocol=measured)


def declare_floors(sidecar: Sidecar, spread: pd.DataFrame, splits: Mapping[str, str], headlines: Sequence[str] = ()) -> None:
    """Add the best predictor that reads no image of each split and measure to a report's numbers.

    Args:
        spread, splits: as in :func:`floor_table`.
        headlines: measures that an index quotes.
    """
    for row in best_floors(spread).itertuples():
        drawn = f"{row.floor}; mean of {row.draws} draws, from {row.lowest:.3f} to {row.highest:.3f}"
        score = f"Dice, {row.measure}" if row.measure in OUTLINES else row.measure
        name = f"no image read, {splits[row.split]}, {score}"
        sidecar.add(name, row.mean, protocol=drawn, headline=row.measure in headlines)


def _rank(measure_and_floor: tuple[str, str]) -> int:
    return (*CALLS, *OUTLINES).index(measure_and_floor[0])


def _draws(row: Any) -> str:
    spread = "" if pd.isna(row.sd) else f" ± {row.sd:.3f} ({row.lowest:.3f} to {row.highest:.3f})"
    return f"{wording.score(row.mean)}{spread}"


def _score(score: float, low: float, high: float, floor: float, floor_name: str) -> str:
    interval = "" if pd.isna(low) else f" ({low:.3f} to {high:.3f})"
    return f"{wording.score(score)}{interval}, {'below its ' if score < floor else ''}floor {wording.score(floor)} ({floor_name})"
