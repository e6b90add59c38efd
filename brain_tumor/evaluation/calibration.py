"""Whether a probability means what it says: of all that is called 70 % tumour, is 70 % tumour?

Slices come as a row each. Pixels come as uint8 probabilities, so a cohort of hundreds of millions is a table of 256 rows,
:func:`pixel_histogram`, that adds up over cases; :func:`weighted_rows` turns it into rows with weights, and all else is the same.

"Calibration" is that of the tumour probability itself, in [0, 1], as for a single class in Nixon 2019 (arXiv 1904.01685);
Guo 2017 (arXiv 1706.04599) bin the confidence in whichever class was called, in [0.5, 1]. ECE depends on its bins, and is
biased upwards where bins hold few patients: it is printed with the number of bins, beside the Brier score, which has none.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from brain_tumor.errors import DataError
from brain_tumor.evaluation import intervals

BINS = 15  # Guo 2017, section 3
# Half a grey level of a stored uint8 probability: 0 stands for anything below it, so no stored pixel is surer than this.
CLIP = 0.5 / 255
TEMPERATURES = (0.05, 20.0)  # where the fit may look


def check_probabilities(values: ArrayLike, source: str = "probabilities") -> np.ndarray:
    """The door for probabilities: ``values`` as float64, if every one lies in [0, 1].

    Raises:
        DataError: naming ``source`` (a file, a column) where a value is not a number, NaN, or outside 0-1.
    """
    try:
        numbers = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise DataError(f"{source}: not all numbers, expected probabilities from 0 to 1") from None
    wrong = ~((numbers >= 0) & (numbers <= 1))
    if wrong.any():
        complaint = f"{np.count_nonzero(wrong):,} of {numbers.size:,} values are not, such as {numbers[wrong][0]:g}"
        raise DataError(f"{source}: expected probabilities from 0 to 1; {complaint}")
    return numbers


def pixel_histogram(probability: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How many pixels without and with tumour got each of the 256 probabilities; histograms of cases add up.

    Most pixels of a volume are certain background and decide any mean: leave out row 0 to judge the rest.

    Args:
        probability: uint8 of any shape, 255 = 1.
        truth: the same shape, bool or {0, 1}.

    Returns:
        ``(256, 2)`` int64: pixels without, pixels with tumour.

    Raises:
        DataError: another dtype, or shapes that differ.
    """
    if probability.dtype != np.uint8:
        raise DataError(f"pixel probabilities are {probability.dtype}, expected uint8 with 255 for 1")
    if probability.shape != truth.shape:
        raise DataError(f"prediction {probability.shape} and truth {truth.shape} differ in shape")
    everything = np.bincount(probability.ravel(), minlength=256)
    tumour = np.bincount(probability[truth.astype(bool)], minlength=256)
    return np.stack([everything - tumour, tumour], axis=1)


def histograms(pixels: pd.DataFrame) -> np.ndarray:
    """``(P, 256, 2)`` int64, a histogram a patient, from a table of the levels that have pixels: ``case_id, level, negative,
    positive``.
    """
    case, names = pd.factorize(pixels.case_id)
    table = np.zeros((len(names), 256, 2), np.int64)
    table[case, pixels.level] = pixels[["negative", "positive"]]
    return table


def weighted_rows(histogram: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A ``(256, 2)`` histogram as ``truth (512,) bool, probability (512,), weights (512,)`` for the functions below."""
    return np.repeat([False, True], 256), np.tile(np.arange(256) / 255, 2), histogram.T.ravel().astype(float)


def reliability(
    truth: ArrayLike,
    probability: ArrayLike,
    weights: ArrayLike | None = None,
    bins: int = BINS,
    equal_mass: bool = False,
) -> pd.DataFrame:
    """The table behind a reliability diagram.

    Args:
        truth: ``(N,)`` bool, probability: ``(N,)`` in [0, 1].
        weights: ``(N,)``, how many slices or pixels a row stands for; None: one.
        bins: of equal width, ``[low, high)``, the last with 1.
        equal_mass: bins that hold about as many each instead (adaptive ECE). Equal probabilities stay together, so the order of
            rows does not matter, and a value that fills several bins leaves fewer.

    Returns:
        A row a bin that holds anything: ``low, high`` (of equal mass: the lowest and highest probability in it), ``weight``,
        ``mean_probability``, ``tumour_share``.

    Raises:
        DataError: a probability is NaN or outside 0-1.
    """
    truth, probability, weights = _checked(truth, probability, weights)
    bin_of = _equal_mass(probability, weights, bins) if equal_mass else _equal_width(probability, bins)
    weight, predicted, real = _sums(truth, probability, weights, bin_of, bins)
    held = weight > 0
    table = pd.DataFrame({"weight": weight[held], "mean_probability": predicted[held] / weight[held]})
    table["tumour_share"] = real[held] / weight[held]
    if equal_mass:
        inside = pd.Series(probability[weights > 0]).groupby(bin_of[weights > 0])
        low, high = inside.min().to_numpy(), inside.max().to_numpy()
    else:
        edges = np.linspace(0, 1, bins + 1)
        low, high = edges[:-1][held], edges[1:][held]
    table.insert(0, "low", low)
    table.insert(1, "high", high)
    return table


def ece(
    truth: ArrayLike,
    probability: ArrayLike,
    weights: ArrayLike | None = None,
    bins: int = BINS,
    equal_mass: bool = False,
) -> float:
    """Expected calibration error: the distance of :func:`reliability`'s two columns, averaged by weight; 0 to 1.

    With ``equal_mass`` it is the adaptive one of Nixon 2019. NaN where nothing has weight.
    """
    truth, probability, weights = _checked(truth, probability, weights)
    bin_of = _equal_mass(probability, weights, bins) if equal_mass else _equal_width(probability, bins)
    weight, predicted, real = _sums(truth, probability, weights, bin_of, bins)
    return float(np.abs(real - predicted).sum() / weight.sum()) if weight.sum() else float("nan")


def brier(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Mean squared distance of probability and truth (Brier 1950), 0 to 1; NaN where nothing has weight."""
    truth, probability, weights = _checked(truth, probability, weights)
    return float((weights * (probability - truth) ** 2).sum() / weights.sum()) if weights.sum() else float("nan")


def fit_temperature(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike | None = None, clip: float = CLIP) -> float:
    """The temperature that makes the logits of these probabilities likeliest (Guo 2017, section 4.2).

    For the validation part only.

    Args:
        truth, probability, weights: as in :func:`reliability`.
        clip: probabilities are drawn in by this much from 0 and 1, where a logit is infinite.

    Returns:
        Above 1 where the predictor is too sure of itself. An end of :data:`TEMPERATURES` where the two classes are perfectly
        separated, or ranked no better than by chance.

    Raises:
        DataError: a bad probability, or truth of one class only.
    """
    from scipy import optimize, special

    truth, probability, weights = _checked(truth, probability, weights)
    if not (weights[truth].sum() and weights[~truth].sum()):
        raise DataError("a temperature cannot be fitted where all or none of the truth is tumour, expected both")
    margin = special.logit(np.clip(probability, clip, 1 - clip)) * np.where(truth, 1, -1)

    def negative_log_likelihood(log_temperature: float) -> float:
        return float(np.average(np.logaddexp(0, -margin / np.exp(log_temperature)), weights=weights))

    # Convex in 1 / T, so there is one valley in log T as well.
    optimum = optimize.minimize_scalar(
        negative_log_likelihood, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(optimum.x))


def apply_temperature(probability: ArrayLike, temperature: float) -> np.ndarray:
    """``sigmoid(logit(p) / T)``: the same order, drawn towards 0.5 where ``T > 1``. 0, 0.5 and 1 stay where they are.

    For uint8 probabilities, apply it to ``np.arange(256) / 255`` and look pixels up in the result.
    """
    from scipy import special

    return special.expit(special.logit(check_probabilities(probability)) / temperature)


MEASURES = {
    "ECE": ece,
    "adaptive ECE": lambda truth, probability, weights: ece(truth, probability, weights, equal_mass=True),
    "Brier score": brier,
}


def score(
    case_id: ArrayLike,
    truth: ArrayLike,
    probability: ArrayLike,
    floors: Mapping[str, np.ndarray] | None = None,
) -> pd.DataFrame:
    """ECE, adaptive ECE and Brier score of slices ``(N,)``, with 95 % intervals over patients.

    Args:
        floors: a predictor that reads no image -> its probabilities ``(N,)`` of the same slices. One that answers the share of
            tumour slices is calibrated, and worth nothing: a low error says little alone.

    Returns:
        A row a measure: ``measure, value, low, high, floor, floor_name`` (the lowest error of ``floors``), ``bins, patients``.
    """
    truth, probability, _ = _checked(truth, probability, None)
    patient, names = pd.factorize(np.asarray(case_id))

    def rows(drawn: np.ndarray) -> Any:
        return truth, probability, np.bincount(drawn[:, 0], minlength=len(names))[patient]

    of_floors = {name: (truth, check_probabilities(answer), np.ones(len(truth))) for name, answer in (floors or {}).items()}
    return _score(np.arange(len(names))[:, None], rows, of_floors)


def score_pixels(histograms: np.ndarray) -> pd.DataFrame:
    """The same for pixels, from the patients' histograms ``(P, 256, 2)``; their floor is the all-empty prediction."""
    truth, probability, weights = weighted_rows(histograms.sum(axis=0))
    return _score(
        histograms,
        lambda drawn: weighted_rows(drawn.sum(axis=0)),
        {"all empty": (truth, np.zeros_like(probability), weights)},
    )


def _score(per_patient: np.ndarray, rows: Callable, of_floors: dict) -> pd.DataFrame:
    table = []
    for name, measure in MEASURES.items():

        def statistic(drawn: np.ndarray, measure: Callable = measure) -> float:
            return measure(*rows(drawn))

        low, high = intervals.bootstrap(per_patient, statistic)
        errors = {floor: measure(*answer) for floor, answer in of_floors.items()}
        floor = min(errors, key=errors.__getitem__) if errors else ""
        row = {"measure": name, "value": measure(*rows(per_patient)), "low": low, "high": high}
        row |= {"floor": errors.get(floor, np.nan), "floor_name": floor}
        table.append(row | {"bins": BINS, "patients": len(per_patient)})
    return pd.DataFrame(table)


def _checked(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    probability = check_probabilities(probability)
    truth = np.asarray(truth, bool)
    weights = np.ones(len(probability)) if weights is None else np.asarray(weights, float)
    if not truth.shape == probability.shape == weights.shape:
        raise DataError(f"{len(truth):,} truths, {len(probability):,} probabilities, {len(weights):,} weights, expected as many")
    return truth, probability, weights


def _equal_width(probability: np.ndarray, bins: int) -> np.ndarray:
    return np.minimum(np.searchsorted(np.linspace(0, 1, bins + 1), probability, side="right") - 1, bins - 1)


def _equal_mass(probability: np.ndarray, weights: np.ndarray, bins: int) -> np.ndarray:
    """Each distinct probability goes to the bin in which the middle of its mass falls."""
    values, which = np.unique(probability, return_inverse=True)
    mass = np.bincount(which, weights, minlength=len(values))
    middle = (np.cumsum(mass) - mass / 2) / (mass.sum() or 1)
    return np.minimum((bins * middle).astype(int), bins - 1)[which]


def _sums(
    truth: np.ndarray, probability: np.ndarray, weights: np.ndarray, bin_of: np.ndarray, bins: int
) -> tuple[np.ndarray, ...]:
    """Of each bin: its weight, the sum of its probabilities, its tumour."""
    parts = (weights, weights * probability, weights * truth)
    return tuple(np.bincount(bin_of, part, minlength=bins).astype(float) for part in parts)
