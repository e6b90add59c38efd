"""What else could be said of the same predictions: at other thresholds, under other rules for misses, after a temperature.

Everything here is read from what a scored run left on disk, nothing is trained or predicted, and nothing is chosen on the test
part: :func:`threshold_scores` shows what choosing there would win, :func:`temperatures` fits on the validation part alone.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.evaluation import calibration, components, contrasts, overlap, protocols
from brain_tumor.experiments.part import check_prediction
from brain_tumor.experiments.run import part_of
from brain_tumor.experiments.segmentation import PREDICTIONS
from brain_tumor.inference.predict import Prediction, load_prediction
from brain_tumor.training.runs import RunFolder

THRESHOLDS = tuple(np.arange(1, 20) / 20)
# The kinds of wrong pixels, which with the Dice of a patient add up to 1.
MISSED, TOO_SMALL, TOO_LARGE, FALSE_ALARMS = "missed slices", "too small", "too large", "false alarms"
WRONG = (MISSED, TOO_SMALL, TOO_LARGE, FALSE_ALARMS)


def stored_cases(run: RunFolder, cohort: Cohort, part: str = "test") -> Iterator[tuple[Prediction, dict[int, np.ndarray]]]:
    """Each case of a part as it was predicted, with its true masks.

    Yields:
        The prediction, and size -> ``(Z, size, size)`` uint8 in {0, 1} of the predicted slices, at working and native size.

    Raises:
        RunError: the run did not finish, was trained on other data, or its split has no such part.
        DataError: a prediction is missing, damaged or of another size.
    """
    scored = part_of(run, cohort, part)
    recipe, store, rows = scored.recipe, scored.store, scored.rows
    stores = {size: open_store(cohort, size) for size in (recipe.size, store.size)}
    for case_id in store.slices.case_id.iloc[rows].unique():
        path = run.path / PREDICTIONS / f"{case_id}.npz"
        prediction = load_prediction(path)
        check_prediction(prediction, path, store.size, recipe.size)
        of_case = store.rows_at(case_id, prediction.slice_numbers)
        yield prediction, {size: at.masks[of_case] for size, at in stores.items()}


def threshold_counts(
    run: RunFolder, cohort: Cohort, thresholds: Sequence[float] = THRESHOLDS, part: str = "test"
) -> pd.DataFrame:
    """A ``counts`` table with a column ``threshold``: every slice at both sizes and every threshold.

    Args and errors: as :func:`stored_cases`; each threshold lies in [0, 1].
    """
    tables = []
    for prediction, truth in stored_cases(run, cohort, part):
        for planes in (prediction.working, prediction.native):
            size = planes.shape[1]
            counts = overlap.threshold_counts(planes, truth[size], thresholds)
            slices = prediction.slice_numbers[counts.plane]
            tables.append(counts.assign(case_id=prediction.case_id, slice=slices, size=size))
    return pd.concat(tables, ignore_index=True)[["threshold", *overlap.COLUMNS]]


def threshold_scores(counts: pd.DataFrame) -> pd.DataFrame:
    """Every named Dice at every threshold, ``size, threshold, protocol, dice``, from a table of :func:`threshold_counts`."""
    return pd.DataFrame(
        {"size": size, "threshold": threshold, "protocol": protocol.name, "dice": protocols.dice(protocol, rows)}
        for (size, threshold), rows in counts.groupby(["size", "threshold"])
        for protocol in protocols.PROTOCOLS
    )


def empty_rules(rows: pd.DataFrame) -> pd.DataFrame:
    """The same outlines under other conventions for a missing outline and for the percentile.

    Args:
        rows: of :func:`brain_tumor.evaluation.surface.per_case` or ``per_slice``.

    Returns:
        A row a convention, ours first: ``convention, rows, mean, median`` of the distance.
    """
    measurable = rows[~(rows.missed | rows.invented)]
    conventions = {
        "HD95, a miss costs the diagonal (ours)": rows.hd95,
        "HD95, misses left out (NaN-mean)": measurable.hd95,
        "both directions pooled (MedPy), a miss costs the diagonal": rows.hd95_pooled,
        "both directions pooled (MedPy), misses left out": measurable.hd95_pooled,
        "Hausdorff distance, the farthest point, a miss costs the diagonal": rows.hd,
    }
    return pd.DataFrame(
        {"convention": name, "rows": len(values), "mean": values.mean(), "median": values.median()}
        for name, values in conventions.items()
    )


def wrong_pixels(counts: pd.DataFrame) -> pd.DataFrame:
    """Where each patient's Dice was lost: a kind of wrong pixels costs its number over ``2 TP + FP + FN``.

    Args:
        counts: rows of one size of a ``counts`` table.

    Returns:
        Indexed by ``case_id``: ``dice`` and the columns :data:`WRONG`, which add up to 1. Tumour pixels on slices of which none
        was found (``missed slices``) and on others (``too small``); called pixels on slices with tumour (``too large``) and
        without (``false alarms``).
    """
    tumour = counts.tp + counts.fn > 0
    kinds = {
        MISSED: counts.fn.where(counts.tp == 0, 0),
        TOO_SMALL: counts.fn.where(counts.tp > 0, 0),
        TOO_LARGE: counts.fp.where(tumour, 0),
        FALSE_ALARMS: counts.fp.where(~tumour, 0),
    }
    sums = counts.assign(**kinds).groupby("case_id")[["tp", *WRONG]].sum()
    lost = sums[list(WRONG)].div((2 * sums.tp + sums[list(WRONG)].sum(axis=1)).clip(lower=1), axis=0)
    lost.insert(0, "dice", 1 - lost.sum(axis=1))
    return lost


def pieces(store: Store, case_ids: Sequence[str]) -> pd.DataFrame:
    """How the true tumours of these cases lie in space, and what keeping one piece could cost (native size).

    Returns:
        Indexed by ``case_id``: ``components, largest_share, tumour_slices, gaps, contiguous``
        (:func:`brain_tumor.evaluation.components.per_case`) and ``ceiling``, the Dice of the truth's largest component with it.
    """
    rows = {}
    for case_id in case_ids:
        mask = store.masks[store.rows_of(case_id)]
        rows[case_id] = components.per_case(mask) | {"ceiling": components.ceiling(mask)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("case_id")


def contrast_table(counts: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """Groups of patients against each other, by site and clinical field (:func:`brain_tumor.evaluation.contrasts.tables`)."""
    return contrasts.tables(counts, cohort.fields)


def temperatures(run: RunFolder, cohort: Cohort) -> pd.DataFrame:
    """Temperatures fitted on the validation part, and what each does to the calibration of the test part.

    Returns:
        A row for ``slices`` and one for ``pixels``: ``of, temperature``, then ``ECE`` and ``adaptive ECE`` of the test part
        before and, as ``ECE after`` and ``adaptive ECE after``, with the temperature; ``validation_patients``.

    Raises:
        RunError: the run has no validation part, or does not belong to this cohort.
        DataError: the validation part is not predicted yet (:func:`brain_tumor.experiments.run.evaluate`), or is of one
            class.
    """
    validation, test = (_probabilities(run, cohort, part) for part in ("validation", "test"))
    rows = []
    for of in ("slices", "pixels"):
        temperature = calibration.fit_temperature(*validation[of])
        truth, probability, weights = test[of]
        tempered = calibration.apply_temperature(probability, temperature)
        row = {"of": of, "temperature": temperature}
        for name in ("ECE", "adaptive ECE"):
            measure = calibration.MEASURES[name]
            row |= {name: measure(truth, probability, weights), f"{name} after": measure(truth, tempered, weights)}
        rows.append(row | {"validation_patients": run.description["parts"]["validation"]["patients"]})
    return pd.DataFrame(rows)


def _probabilities(run: RunFolder, cohort: Cohort, part: str) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """``slices`` and ``pixels`` of a part at native size, each as ``truth, probability, weights``."""
    truths, highest, histogram = [], [], np.zeros((256, 2), np.int64)
    for prediction, truth in stored_cases(run, cohort, part):
        masks = truth[prediction.native.shape[1]]
        truths.append(masks.any(axis=(1, 2)))
        highest.append(prediction.native.max(axis=(1, 2)) / 255)
        histogram += calibration.pixel_histogram(prediction.native, masks)
    slices = np.concatenate(truths), np.concatenate(highest)
    return {"slices": (*slices, np.ones(len(slices[0]))), "pixels": calibration.weighted_rows(histogram)}
