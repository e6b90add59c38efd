"""Scores of parts of the patients: by site, by tumour size, by grade, by molecular cluster; blanks are a group of their own.

A subgroup is small, so its interval is wide, and one patient has none. These tables say where to look next. They test nothing:
with this many groups one will stand out by chance.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pandas as pd

from brain_tumor.errors import DataError
from brain_tumor.evaluation import intervals, protocols

BLANK = "blank"
FIELDS = {"site": "site", "neoplasm_histologic_grade": "grade code", "RNASeqCluster": "RNASeq cluster"}
AREA = "tumour area"
# Pixels of a slice's tumour at native size (256 x 256). The edges from 200 up are those of AIscend-Research/lgg-imaging-repro's
# legacy/paper.md, so that its tables can be laid beside ours; below 50 px lie 13 slices of the 110 patients.
AREA_EDGES = (50, 200, 500, 1000, 2000)


def by_field(
    counts: pd.DataFrame,
    cases: pd.DataFrame,
    field: str,
    floor_counts: Mapping[str, pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """Mean Dice of patients, a row a value of one field of the patients, in the field's own order, blanks last.

    Args:
        counts: a ``counts`` table; its largest size, the native one, is scored.
        cases: indexed by ``case_id``, a column a field; None or NaN is blank. It may hold cases that were not scored.
        field: the column.
        floor_counts: as in :func:`brain_tumor.evaluation.protocols.score`.

    Returns:
        ``by, group, protocol, size, patients, slices, tumour_slices, dice, low, high, floor, floor_name``.

    Raises:
        DataError: no such field, a scored case that is not in ``cases``, or a floor of other slices.
    """
    if field not in cases:
        raise DataError(f"no field {field!r} in the table of cases, expected one of: {', '.join(map(str, cases.columns))}")
    native, floors = _native(counts, floor_counts)
    unknown = sorted(set(native.case_id) - set(cases.index))
    if unknown:
        raise DataError(
            f"{unknown[0]}: scored, but not in the table of cases ({len(unknown)} such of {native.case_id.nunique()})"
        )
    group = value_groups(native.case_id.map(cases[field]))
    return _table(FIELDS.get(field, field), native, group, protocols.named("patient mean"), floors)


def by_area(counts: pd.DataFrame, floor_counts: Mapping[str, pd.DataFrame] | None = None) -> pd.DataFrame:
    """A row a range of tumour area, over the tumour slices of that range; the interval draws the patients who have any.

    Args:
        counts, floor_counts: as in :func:`by_field`. A range of :data:`AREA_EDGES` without slices keeps its row.

    Returns:
        As :func:`by_field`.
    """
    native, floors = _native(counts, floor_counts)
    tumour = (native.tp + native.fn > 0).to_numpy()
    native, floors = native[tumour], {name: table[tumour] for name, table in floors.items()}
    group = area_groups(native.tp + native.fn)
    return _table(AREA, native, group, protocols.named("tumour slices"), floors)


def tables(
    counts: pd.DataFrame,
    cases: pd.DataFrame,
    floor_counts: Mapping[str, pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """Every subgroup in one long table, ``by`` by ``by``: the fields of ``FIELDS`` that ``cases`` has, then tumour area.

    Args and errors: as :func:`by_field`.
    """
    fields = [field for field in FIELDS if field in cases]
    groups = [by_field(counts, cases, field, floor_counts) for field in fields]
    return pd.concat([*groups, by_area(counts, floor_counts)], ignore_index=True)


def value_groups(values: pd.Series) -> pd.Series:
    """The group of each row, categories in the values' own order; ``blank`` is the last of them, and only where there is one."""
    known = sorted(values.dropna().unique())
    names = {value: f"{value:g}" if isinstance(value, float | np.floating) else str(value) for value in known}
    order = [*dict.fromkeys(names.values()), *([BLANK] if values.isna().any() else [])]
    return values.map(names).astype(object).fillna(BLANK).astype(pd.CategoricalDtype(order))


def area_groups(area: pd.Series) -> pd.Series:
    """The range of tumour area, in pixels at native size, that each row is in; a range holds its lower edge."""
    between = [f"{low} to < {high} px" for low, high in pairwise(AREA_EDGES)]
    names = [f"< {AREA_EDGES[0]} px", *between, f">= {AREA_EDGES[-1]} px"]
    return pd.cut(area, [-np.inf, *AREA_EDGES, np.inf], right=False, labels=names)


def _native(
    counts: pd.DataFrame, floor_counts: Mapping[str, pd.DataFrame] | None
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    native = counts[counts["size"] == counts["size"].max()]
    return native, protocols.floors_on(native, floor_counts)


def _table(
    by: str,
    native: pd.DataFrame,
    group: pd.Series,
    protocol: protocols.Protocol,
    floors: dict[str, pd.DataFrame],
) -> pd.DataFrame:
    """A row a category of ``group``, which is aligned with ``native``."""
    rows = []
    for name in group.cat.categories:
        of_group = (group == name).to_numpy()
        part = native[of_group]
        low = high = np.nan
        if len(part):
            low, high = intervals.bootstrap(protocol.per_patient(part), protocol.summarise, vectorised=True)
        floor, floor_name = protocols.floor(protocol, {of: table[of_group] for of, table in floors.items()})
        rows.append(
            {
                "by": by,
                "group": name,
                "protocol": protocol.name,
                "size": int(native["size"].max()) if len(native) else 0,
                "patients": int(part.case_id.nunique()),
                "slices": len(part),
                "tumour_slices": int((part.tp + part.fn > 0).sum()),
                "dice": protocols.dice(protocol, part),
                "low": low,
                "high": high,
                "floor": floor,
                "floor_name": floor_name,
            }
        )
    return pd.DataFrame(rows)
