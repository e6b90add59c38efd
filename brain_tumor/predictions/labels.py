"""Anybody's slice labels scored: a CSV (case, slice, probability or label) against masks, or against another CSV."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from brain_tumor.data import text
from brain_tumor.errors import DataError
from brain_tumor.evaluation import calibration, classification, scoring
from brain_tumor.predictions import exams, levels, pairing
from brain_tumor.predictions.identity import Identity, read_rows
from brain_tumor.predictions.judgement import Judgement, Request, check_pairs, finish
from brain_tumor.progress import tracked

CASE, SLICE = ("case", "case_id"), ("slice",)
ANSWERS = ("probability", "label", "tumour", "tumor")
EXPECTED = "columns case, slice and probability (or label)"
YES, NO = {"true", "yes", "1", "1.0"}, {"false", "no", "0", "0.0"}


def judge(request: Request) -> Judgement:
    """Score a CSV of slices.

    Raises:
        DataError, SplitError: a CSV is refused, or its slices do not pair with the truth.
    """
    notes: list[str] = []
    predicted, hard = _read(request.predictions, ANSWERS)
    truth = _truth(request, notes)
    whose = {case_id: request.identities.of(case_id) for case_id in truth.case_id.unique()}
    request.identities.check(whose)
    keys = ["case_id", "slice"]
    part = [
        request.part_of(f"{row.case_id}/{row.slice}", Identity(row.case_id, whose[row.case_id].patient, row.slice))
        for row in truth.itertuples()
    ]
    truth = truth.assign(part=part)
    both = truth.merge(predicted, how="outer", on=keys, indicator="held")
    lacking = both[(both.held == "left_only") & (both.part == request.scored)]
    strange = both[both.held == "right_only"]
    unpaired = [f"truth of {row.case_id}, slice {row.slice}: no prediction" for row in lacking.itertuples()]
    unpaired += [f"prediction of {row.case_id}, slice {row.slice}: no truth" for row in strange.itertuples()]
    slices = truth.merge(predicted, how="left", on=keys)
    rows = np.flatnonzero((slices.part == request.scored) & slices.probability.notna())
    check_pairs(request, unpaired, len(rows))
    train = np.flatnonzero(slices.part == "train") if request.split else np.empty(0, int)
    if not len(train):
        notes.append("The training list is not given (--split), so the only floor is the constant answer; others are higher.")
    scored = classification.labelled(slices, rows).assign(probability=slices.probability.to_numpy()[rows])
    tables = {scoring.SLICES: scored, scoring.FLOORS: classification.image_free(slices, train, rows)}
    area = slices[[*keys, "tumour_px"]]
    held = set(scored.case_id)
    answer = finish(
        request, tables | {"area": area}, {case_id: who for case_id, who in whose.items() if case_id in held}, notes, unpaired
    )
    tables = dict(answer.tables)
    area = tables.pop("area").dropna(subset="case_id").set_index(keys).tumour_px
    tables[scoring.SCORES] = classification.score(tables, request.threshold)
    tables |= classification.judge(tables[scoring.SLICES], tables[scoring.FLOORS], area, answer.fields, request.threshold)
    if hard:
        del tables[scoring.CALIBRATION]
        notes.append("Labels are no probabilities: their calibration is not given, and AUC and AUPRC are of labels.")
    else:
        notes.insert(0, f"A slice is called tumour where its probability is above {request.threshold:g} (--threshold).")
    return replace(answer, tables=tables)


def _truth(request: Request, notes: list[str]) -> pd.DataFrame:
    """``case_id, slice, tumour_px`` of a CSV, or of a folder of masks."""
    if request.truth.is_file():
        labels, _ = _read(request.truth, ANSWERS[1:])
        return labels.assign(tumour_px=labels.probability.astype(int)).drop(columns="probability")
    folder = pairing.truth_folder(request.truth)
    notes += folder.notes
    tables, seen = [], []
    cases = exams.sources(folder, request.identities, folder.files)
    for case_id, source in tracked(cases.items(), "reading masks", len(cases)):
        truth, numbers = exams.read_truth(source, request.labels)
        tables.append(pd.DataFrame({"case_id": case_id, "slice": truth.numbers, "tumour_px": truth.area}))
        seen.append(numbers)
    levels.of_truth(seen, request.truth, request.labels)
    return pd.concat(tables, ignore_index=True)


def _read(path: Path, answers: tuple[str, ...]) -> tuple[pd.DataFrame, bool]:
    """``case_id, slice, probability`` by case and slice, and whether they are labels, 0 or 1."""
    csv, rows = read_rows(path)
    names = [next((name for name in known if name in rows[0][1]), None) for known in (CASE, SLICE, answers)]
    if None in names:
        raise DataError(f"{path}: columns {', '.join(rows[0][1])}; expected {EXPECTED}")
    case, number, answer = map(str, names)
    table = {}
    for line, row in rows:
        where = f"{path}, line {line}"
        try:
            key = row[case], text.whole(row[number])
        except ValueError:
            raise DataError(f"{where}: slice {row[number]!r}, expected a whole number") from None
        if not row[case] or key in table:
            raise DataError(f"{where}: {f'slice {key[1]} of {key[0]} is there twice' if row[case] else 'the case is empty'}")
        cell = row[answer].lower()
        hard = answer in ANSWERS[1:]
        if hard and cell not in YES | NO:
            raise DataError(f"{where}: {answer} {row[answer]!r}, expected 0 or 1")
        try:
            table[key] = float(cell in YES) if hard else csv.number(cell)
        except ValueError:
            raise DataError(f"{where}: probability {row[answer]!r}, expected a number from 0 to 1") from None
    calibration.check_probabilities(list(table.values()), str(path))
    frame = pd.DataFrame([(*key, value) for key, value in table.items()], columns=["case_id", "slice", "probability"])
    return frame.sort_values(["case_id", "slice"], ignore_index=True), answer in ANSWERS[1:]
