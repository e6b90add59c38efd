"""Does a subgroup score unlike the rest? A group's own interval does not say; with few patients the answer is "not decidable".

The difference of a group and all others gets an interval by drawing patients, all of them at once, so that it serves both for
groups of patients (site, grade) and for groups of slices that every patient may have a part in (tumour area). Draws in which
one side has nobody are left out. Nothing is corrected for the number of groups: of twenty, one will stand out by chance.
"""

import numpy as np
import pandas as pd

from brain_tumor.evaluation import intervals, protocols, subgroups
from brain_tumor.evaluation.intervals import Comparison


def against_rest(counts: pd.DataFrame, inside: pd.Series, protocol: protocols.Protocol) -> Comparison:
    """The score of some rows of one size minus that of the others.

    Args:
        counts: rows of one size of a ``counts`` table.
        inside: bool, aligned with ``counts``: the group's rows.
        protocol: the Dice.

    Returns:
        With ``patients`` those of the smaller side, so that fewer than six decide nothing and ``patients_needed`` is for that
        side, the other growing alike; ``low`` and ``high`` are NaN where a side has fewer than two. There is no paired test.
    """
    names = np.unique(counts.case_id)
    sides = [(np.searchsorted(names, np.unique(rows.case_id)), rows) for rows in (counts[inside], counts[~inside])]
    smaller = min(len(patients) for patients, _ in sides)
    if not smaller:
        return Comparison(np.nan, np.nan, np.nan, 0, np.nan)
    tables = [protocol.per_patient(rows) for _, rows in sides]
    places = [np.full(len(names), -1) for _ in sides]
    for place, (patients, _) in zip(places, sides, strict=True):
        place[patients] = np.arange(len(patients))

    def difference(drawn: np.ndarray) -> float:
        scores = []
        for table, place in zip(tables, places, strict=True):
            rows = place[drawn]
            rows = rows[rows >= 0]
            scores.append(float(protocol.summarise(table[rows])) if len(rows) else np.nan)
        return scores[0] - scores[1]

    everyone = np.arange(len(names))
    low, high = intervals.bootstrap(everyone, difference) if smaller > 1 else (np.nan, np.nan)
    return Comparison(difference(everyone), low, high, smaller, np.nan)


def tables(counts: pd.DataFrame, cases: pd.DataFrame) -> pd.DataFrame:
    """Each group of :func:`brain_tumor.evaluation.subgroups.tables` against the others of its kind, blanks included.

    Args:
        counts: a ``counts`` table; its largest size, the native one, is scored.
        cases: indexed by ``case_id``, a column a field.

    Returns:
        A row a group that has slices: ``by, group, difference, low, high, verdict, half_width, patients_needed, p_value``
        (NaN), ``patients``. A kind with one group has no others, and no row.
    """
    native = counts[counts["size"] == counts["size"].max()].reset_index(drop=True)
    held = native[native.tp + native.fn > 0].reset_index(drop=True)
    fields = {field: by for field, by in subgroups.FIELDS.items() if field in cases}
    kinds = {
        by: (native, subgroups.value_groups(native.case_id.map(cases[field])), "patient mean") for field, by in fields.items()
    }
    kinds[subgroups.AREA] = (held, subgroups.area_groups(held.tp + held.fn), "tumour slices")
    rows = []
    for by, (table, group, measure) in kinds.items():
        names = [name for name in group.cat.categories if (group == name).any()]
        for name in names if len(names) > 1 else []:
            answer = against_rest(table, group == name, protocols.named(measure))
            rows.append({"by": by, "group": name} | {fact: getattr(answer, fact) for fact in intervals.TOLD})
    return pd.DataFrame(rows, columns=["by", "group", *intervals.TOLD]).astype({"patients_needed": "Int64"})
