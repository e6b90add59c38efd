"""Tables for people, made from those that runs leave behind: words for columns, three decimals, nothing without its floor."""

from collections.abc import Sequence

import pandas as pd

from brain_tumor.evaluation import protocols


def score_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Every Dice by its name, with interval, floor and definition (:func:`brain_tumor.evaluation.protocols.score`).

    Scores written before floors had names had one floor only, the all-empty prediction.
    """
    floor_names = scores.get("floor_name", pd.Series(protocols.ALL_EMPTY, scores.index))
    return (
        pd.DataFrame(
            {
                "Dice": scores.protocol,
                "size": scores["size"],
                "score": [_score(row) for row in scores.itertuples()],
                "95 % interval": [_interval(row) for row in scores.itertuples()],
                "floor": [f"{value:.3f}, {name}" for value, name in zip(scores.floor, floor_names, strict=True)],
                "empty slices": [f"{row.empty_slices} of {row.slices}" for row in scores.itertuples()],
                "what it means": scores.protocol.map(protocols.means),
            }
        )
        .set_index("Dice")
        .pipe(_named_in_the_corner)
    )


def case_table(cases: pd.DataFrame) -> pd.DataFrame:
    """A row a patient, best Dice first (:func:`brain_tumor.evaluation.overlap.per_case`)."""
    ordered = cases.sort_values("dice", ascending=False)
    return (
        pd.DataFrame(
            {
                "patient": ordered.case_id,
                "Dice": ordered.dice.map("{:.3f}".format),
                "IoU": ordered.iou.map("{:.3f}".format),
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
        told = ", ".join(f"{value:g}: {n}" for value, n in counts.items())
        many = len(counts) > 8
        spread = f"{known.min():g} to {known.max():g}, median {known.median():g}" if many else told
        rows[field] = {"known": len(known), "blank": int(values[field].isna().sum()), "values": spread}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("field").pipe(_named_in_the_corner)


def _named_in_the_corner(table: pd.DataFrame) -> pd.DataFrame:
    """The index's name moved to the header's corner, which saves the table a line."""
    return table.rename_axis(columns=table.index.name, index=None)


def _score(row) -> str:
    return f"{row.dice:.3f}{', below its floor' if row.dice < row.floor else ''}"


def _interval(row) -> str:
    return "–" if pd.isna(row.low) else f"{row.low:.3f} to {row.high:.3f}"
