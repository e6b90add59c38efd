"""Intervals over patients: slices of one patient are not independent, so patients are what is drawn."""

from collections.abc import Callable

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95


def bootstrap(per_patient: np.ndarray, statistic: Callable[[np.ndarray], float], seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval (Efron 1979) at 95 %, resampling patients with replacement.

    Args:
        per_patient: ``(P, k)``, whatever of each patient the statistic needs.
        statistic: ``(P, k)`` -> one number.
        seed: decides the draws.

    Returns:
        ``(low, high)``; NaN for fewer than two patients, where nothing can be said.
    """
    from scipy import stats

    if len(per_patient) < 2:
        return float("nan"), float("nan")
    interval = stats.bootstrap(
        (np.arange(len(per_patient)),),
        lambda rows: statistic(per_patient[rows]),
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        vectorized=False,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)
