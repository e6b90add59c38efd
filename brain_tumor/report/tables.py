"""Tables for people, made from those that runs leave behind: words for columns, three decimals, nothing without its floor."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd

from brain_tumor.evaluation import intervals, protocols, wording

IN_WORDS = {"protocol": "Dice"}  # a column's name -> as a table's header says it


def score_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Every Dice by its name, with interval, floor and definition (:func:`brain_tumor.evaluation.protocols.score`).

    Scores written before floors had names had one floor only, the all-empty prediction. The resolution ceiling
    (:mod:`brain_tumor.evaluation.ceiling`) has a column where one of these scores has a ceiling: none has at the working size.
    """
    known = "ceiling" in scores and scores.ceiling.notna().any()
    ceilings = {"ceiling": ["–" if pd.isna(value) else f"{value:.3f}" for value in scores.ceiling]} if known else {}
    floor_names = scores.get("floor_name", pd.Series(protocols.ALL_EMPTY, scores.index))
    return (
        pd.DataFrame(
            {
                "Dice": scores.protocol,
                "size": scores["size"],
                "score": [_score(row) for row in scores.itertuples()],
                "95 % interval": [interval(row) for row in scores.itertuples()],
                "floor": [f"{wording.score(value)}, {name}" for value, name in zip(scores.floor, floor_names, strict=True)],
                **ceilings,
                "empty slices": [f"{row.empty_slices} of {row.slices}" for row in scores.itertuples()],
                "what it means": scores.protocol.map(protocols.means),
            }
        )
        .set_index("Dice")
        .pipe(_named_in_the_corner)
    )


def plain_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of any task, with interval and floor: the first column names a score, the second holds its value."""
    name = scores.columns[0]
    return worded(
        {name: row[0], **_judged(row, "score", row[1]), "patients": row.patients} for row in scores.itertuples(index=False)
    )


def case_table(cases: pd.DataFrame) -> pd.DataFrame:
    """A row a patient, best Dice first (:func:`brain_tumor.evaluation.overlap.per_case`)."""
    ordered = cases.sort_values("dice", ascending=False)
    return (
        pd.DataFrame(
            {
                "patient": ordered.case_id,
                "Dice": ordered.dice.map(wording.score),
                "IoU": ordered.iou.map(wording.score),
                "tumour px": (ordered.tp + ordered.fn).map("{:,}".format),
                "slices": ordered.slices,
                "with tumour": ordered.tumour_slices,
                "missed": ordered.missed_slices,
                "false alarms": ordered.false_alarm_slices,
            }
        )
        .set_index("patient")
        .pipe(_named_in_the_corner)
    )


def cost_table(runs: dict[str, dict]) -> pd.DataFrame:
    """A row a run, from its name and ``run.json``: how long it trained, on what, and how large the network is."""
    costs = {
        name: {
            "minutes": round(facts["training_seconds"] / 60, 1),
            "cores": facts["environment"]["cores"],
            "backend": facts["environment"]["backend"],
            "precision": facts["precision"],
            "weights": f"{facts['parameters']:,}",
        }
        for name, facts in runs.items()
    }
    return pd.DataFrame.from_dict(costs, orient="index").rename_axis("run")


def clinical_table(cases: Sequence) -> pd.DataFrame:
    """A row a clinical or genomic field: how many patients have it, how many are blank, and how often each value stands.

    Args:
        cases: the cases of a cohort.
    """
    values = pd.DataFrame([dict(case.clinical) for case in cases], dtype=float)
    rows = {}
    for field in values:
        known = values[field].dropna()
        counts = known.value_counts().sort_index()
        each_value = ", ".join(f"{value:g}: {n}" for value, n in counts.items())
        many = len(counts) > 8
        spread = f"{known.min():g} to {known.max():g}, median {known.median():g}" if many else each_value
        rows[field] = {"known": len(known), "blank": int(values[field].isna().sum()), "values": spread}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("field").pipe(_named_in_the_corner)


def variant_table(spread: pd.DataFrame) -> pd.DataFrame:
    """One prediction under every definition and variant (:func:`brain_tumor.evaluation.protocols.spread`)."""
    return spread.map(wording.score).rename_axis("Dice").pipe(_named_in_the_corner)


def boundary_table(scores: pd.DataFrame) -> pd.DataFrame:
    """HD95 in pixels or mm and NSD, of cases and of tumour slices (:func:`brain_tumor.evaluation.surface.score`, with ``of``)."""
    rows = []
    for row in scores.itertuples():
        far, decimals = row.measure.startswith("HD"), 1 if row.measure.startswith("HD") else 3
        cells = {"boundary of": row.of, "measure": f"{row.measure}, {getattr(row, 'unit', 'px')}" if far else row.measure}
        cells |= _judged(row, "score", lower_is_better=far, decimals=decimals)
        rows.append(cells | {"missed, invented": f"{row.missed}, {row.invented} of {row.rows}"})
    return worded(rows)


def region_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Every measure of every nested region (:func:`brain_tumor.evaluation.regions.score`)."""
    rows = []
    for row in scores.itertuples():
        far = row.measure.startswith("HD")
        cells = {"region": row.region, "measure": row.measure}
        cells |= _judged(row, "score", lower_is_better=far, decimals=1 if far else 3)
        rows.append(cells | {"exams without": f"{row.without} of {row.patients}"})
    return worded(rows)


def subgroup_table(groups: pd.DataFrame) -> pd.DataFrame:
    """One kind of subgroup, a row a group (:mod:`brain_tumor.evaluation.subgroups`); a group without slices has no score."""
    return _group_table(groups, lambda row: _judged(row, "Dice", row.dice))


def detected_table(groups: pd.DataFrame) -> pd.DataFrame:
    """One kind of subgroup of a detector's slices, a row a group (:mod:`brain_tumor.evaluation.detection_groups`)."""
    return _group_table(groups, lambda row: _judged(row, row.measure))


def measure_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Sensitivity, AUC and their kin over slices (:func:`brain_tumor.evaluation.detection.score_with_floors`)."""
    rows = []
    for row in scores.itertuples():
        threshold = "–" if pd.isna(row.threshold) else f"{row.threshold:g}"
        rows.append({"measure": row.measure} | _judged(row, "score") | {"called above": threshold})
    return worded(rows)


def calibration_table(scores: pd.DataFrame) -> pd.DataFrame:
    """ECE and its kin, of slices and of pixels (:func:`brain_tumor.evaluation.calibration.score`, with ``of``)."""
    return worded(
        {"probabilities of": row.of, "measure": row.measure} | _judged(row, "error", lower_is_better=True, decimals=4)
        for row in scores.itertuples()
    )


def detection_case_table(cases: pd.DataFrame) -> pd.DataFrame:
    """A row a patient, most accurate first (:func:`brain_tumor.evaluation.detection.per_case`)."""
    return worded(
        {
            "patient": row.case_id,
            "accuracy": wording.score(row.accuracy),
            "AUC": wording.score(row.auc),
            "slices": row.slices,
            "with tumour": row.tumour_slices,
            "missed": row.missed_slices,
            "false alarms": row.false_alarm_slices,
        }
        for row in cases.sort_values(["accuracy", "auc"], ascending=False).itertuples()
    )


def worst_slice_table(slices: pd.DataFrame, number: int) -> pd.DataFrame:
    """The slices whose probability lies farthest from the truth, the worst first."""
    off = (slices.tumour.astype(float) - slices.probability).abs()
    worst = slices.loc[off.sort_values(ascending=False, kind="stable").index[:number]]
    return worded(
        {
            "patient": row.case_id,
            "slice": row.slice,
            "truth": "tumour" if row.tumour else "none",
            "probability": _number(row.probability, 4),
        }
        for row in worst.itertuples()
    )


def comparison_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Two predictors paired by patient (``compare`` of :mod:`~brain_tumor.evaluation.protocols` or ``detection``).

    The columns before ``difference`` say what a row compares. Where nothing is compared the table is empty.
    """
    subject = comparison.columns[: comparison.columns.get_loc("difference")]
    if comparison.empty:
        return pd.DataFrame(columns=["difference", "95 % interval", "verdict", "patients needed", "p"])
    rows = []
    for row in comparison.itertuples():
        name = {IN_WORDS.get(column, column): getattr(row, column) for column in subject}
        rows.append(
            name
            | {
                "difference": wording.score(row.difference, signed=True),
                "95 % interval": "–" if pd.isna(row.low) else f"{row.low:+.3f} to {row.high:+.3f}",
                "verdict": row.verdict,
                "patients needed": patients_needed(row),
                "p": intervals.p_in_words(row.p_value),
            }
        )
    return worded(rows)


def patients_needed(row: Any) -> str:
    """How many patients would decide a row of a comparison, in words; a dash where it is decided."""
    if pd.isna(row.patients_needed):
        return "over a million" if row.verdict == intervals.NOT_DECIDABLE else "–"
    return f"{row.patients_needed:,.0f}"


def _group_table(groups: pd.DataFrame, judged: Callable) -> pd.DataFrame:
    rows = []
    for row in groups.itertuples():
        sizes = {"patients": row.patients, "slices": row.slices, "with tumour": row.tumour_slices}
        rows.append({row.by: row.group} | sizes | judged(row))
    return worded(rows)


def worded(rows: Iterable[dict]) -> pd.DataFrame:
    """A row a dict; the first column's name stands in the corner."""
    table = pd.DataFrame(list(rows))
    return table.set_index(table.columns[0]).pipe(_named_in_the_corner)


def _named_in_the_corner(table: pd.DataFrame) -> pd.DataFrame:
    """The index's name moved to the header's corner, which saves the table a line."""
    return table.rename_axis(columns=table.index.name, index=None)


def _judged(row: Any, name: str, value: float | None = None, lower_is_better: bool = False, decimals: int = 3) -> dict[str, str]:
    """What no score goes without: its interval, its floor with that floor's name, and a mark where it is not worth its floor."""
    value = row.value if value is None else value
    worse = value > row.floor if lower_is_better else value < row.floor
    mark = (", worse than its floor" if lower_is_better else ", below its floor") if worse else ""
    named = isinstance(row.floor_name, str) and row.floor_name
    judged = getattr(row, "slices", 1) > 0  # of a group without slices there is nothing to judge
    return {
        name: f"{wording.score(value, decimals)}{mark}" if judged else "–",
        "95 % interval": interval(row, decimals),
        "floor": f"{_number(row.floor, decimals)}, {row.floor_name}" if named else "–",
    }


def _number(value: float, decimals: int = 3) -> str:
    return "–" if pd.isna(value) else f"{value:.{decimals}f}"


def _score(row: Any) -> str:
    return f"{wording.score(row.dice)}{', below its floor' if row.dice < row.floor else ''}"


def interval(row: Any, decimals: int = 3) -> str:
    """In words; none where every draw of patients gives the same: a bootstrap of those who all agree knows of nobody else."""
    return "–" if pd.isna(row.low) or row.low == row.high else f"{row.low:.{decimals}f} to {row.high:.{decimals}f}"
