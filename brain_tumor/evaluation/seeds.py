"""Several runs of one recipe that differ in their seed: their mean score, and the interval of that mean."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from brain_tumor.evaluation import intervals, overlap, protocols


def mean_scores(counts: Sequence[pd.DataFrame], floor_counts: Mapping[str, pd.DataFrame] | None = None) -> pd.DataFrame:
    """The mean score of several runs of one recipe that differ in seed, with the interval of that mean over patients.

    Args:
        counts: a ``counts`` table a run, on the same slices.
        floor_counts: as in :func:`brain_tumor.evaluation.protocols.score`.

    Returns:
        As :func:`brain_tumor.evaluation.protocols.score`, with ``lowest`` and ``highest``, the runs' own extremes.
    """
    tables = [protocols.score(table, floor_counts) for table in counts]
    result = tables[0].copy()
    each = np.stack([table.dice for table in tables])
    result["dice"], result["lowest"], result["highest"] = each.mean(axis=0), each.min(axis=0), each.max(axis=0)
    for index, row in result.iterrows():
        protocol = protocols.named(row.protocol)
        by_patient = np.stack([protocol.per_patient(table[table["size"] == row["size"]]) for table in counts], axis=1)

        def mean(drawn: np.ndarray, protocol: protocols.Protocol = protocol) -> np.ndarray:
            return np.mean([protocol.summarise(drawn[..., run, :]) for run in range(len(counts))], axis=0)

        result.loc[index, ["low", "high"]] = intervals.bootstrap(by_patient, mean, vectorised=True)
    return result


def mean_cases(counts: Sequence[pd.DataFrame], size: int) -> pd.DataFrame:
    """A row a case with the mean Dice over the runs of ``counts``, at one size; the other columns are the first run's."""
    tables = [overlap.per_case(table[table["size"] == size]) for table in counts]
    return tables[0].assign(dice=np.mean([table.dice for table in tables], axis=0)).reset_index()
