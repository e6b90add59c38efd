"""Anybody's masks scored: the counts, floors and scores of :mod:`brain_tumor.evaluation`, of two folders instead of a run.

Files are read twice: once to learn what their numbers mean and whether they fit, so that a refusal comes before any work, and
once to be counted. The truth stays in memory, a bit a pixel.
"""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from brain_tumor.data import intensity
from brain_tumor.errors import DataError
from brain_tumor.evaluation import classification, floors, overlap, scoring, segmentation
from brain_tumor.evaluation.segmentation import PIXELS_APART, CaseFloors, Spacing
from brain_tumor.predictions import exams, levels, pairing
from brain_tumor.predictions.exams import Source, Truth
from brain_tumor.predictions.judgement import Judgement, Picture, Request, check_pairs, finish
from brain_tumor.predictions.levels import Levels
from brain_tumor.progress import tracked

PICTURED = 3  # worst cases that a page shows


@dataclass(frozen=True)
class Scan:
    """Both folders, looked at: nothing has been counted yet.

    Attributes:
        truths: case -> its masks, those from which floors learn among them.
        predicted: case -> its prediction.
        slices: a row a plane of the truth: ``case_id, slice, tumour_px``.
        rows: those that are scored, train: those from which floors learn.
        whole: every scored case is a whole exam.
        levels: what the predictions' numbers mean.
    """

    truths: dict[str, Truth]
    predicted: dict[str, Source]
    slices: pd.DataFrame
    rows: np.ndarray
    train: np.ndarray
    whole: bool
    levels: Levels

    @property
    def sides(self) -> set[int]:
        """The sizes of planes."""
        return {truth.side for truth in self.truths.values()}

    def spacing(self, case_id: str) -> Spacing:
        """A case's; pixels and slices count as one where any case has none."""
        spacing = self.truths[case_id].spacing_mm
        return spacing if spacing and self.unit == "mm" else PIXELS_APART

    @property
    def unit(self) -> str:
        """``mm`` where every scored case has a spacing."""
        return "mm" if all(self.truths[case_id].spacing_mm for case_id in self.predicted) else "px"


def judge(request: Request) -> Judgement:
    """Score a folder of predictions against a folder of masks.

    Raises:
        DataError, SplitError: a file is refused, or does not pair, or the folders hold nothing of the split.
    """
    notes: list[str] = []
    scan, unpaired = look(request, notes)
    size = max(truth.side for truth in scan.truths.values())
    cases = [
        _tables(scan, case_id, size, request.threshold)
        for case_id in tracked(scan.predicted, f"scoring {request.name}", len(scan.predicted))
    ]
    tables = scoring.stack(cases)
    tables[scoring.SLICE_FLOORS] = classification.image_free(scan.slices, scan.train, scan.rows)
    boundaries = _add_floors(scan, tables, size, notes)
    answer = finish(request, tables, {case_id: scan.truths[case_id].source.who for case_id in scan.predicted}, notes, unpaired)
    tables = dict(answer.tables)
    tables[scoring.SCORES] = segmentation.score(tables, request.threshold)
    tables |= segmentation.judge(tables, boundaries, answer.fields, size, request.threshold, scan.unit)
    if scan.levels.hard:
        del tables[scoring.PIXELS], tables[scoring.CALIBRATION]
        notes.append("Masks hold no probabilities: their calibration is not given, and AUC and AUPRC are of masks.")
    notes.insert(0, f"Predictions are read as {scan.levels}{_cut(request, scan.levels)}.")
    return replace(answer, tables=tables, size=size, pictures=_worst(scan, tables[scoring.CASES], request.threshold))


def look(request: Request, notes: list[str]) -> tuple[Scan, list[str]]:
    """Pair, read and check both folders.

    Returns:
        What was seen, and the names of the files that pair with none.
    """
    folder = pairing.truth_folder(request.truth)
    request.identities.check(folder.files)
    predictions = pairing.prediction_folder(request.predictions, folder)
    notes += [*folder.notes, *predictions.notes]
    part_of = {key: request.part_of(key) for key in folder.files}
    scored = exams.sources(folder, request.identities, (key for key, part in part_of.items() if part == request.scored))
    if not scored:
        raise DataError(f"{request.truth}: none of its {len(folder.files)} masks is in the part that is scored")
    learnt = exams.sources(
        folder, request.identities, (key for key, part in part_of.items() if part == "train" and request.split)
    )
    answers = exams.sources(predictions, request.identities, predictions.files)
    predicted = {case_id: source for case_id, source in answers.items() if case_id in scored}
    everything = exams.sources(folder, request.identities, folder.files) if request.split else scored
    unpaired = _unpaired(scored, learnt, answers, set(everything))
    check_pairs(request, unpaired, len(predicted))
    if other_parts := sum(case_id in everything and case_id not in scored for case_id in answers):
        notes.append(f"{other_parts} predicted cases are in other parts of the split, and are not scored.")
    truths, seen = {}, []
    chosen = {case_id: source for case_id, source in everything.items() if case_id in predicted or case_id in learnt}
    for case_id, source in tracked(chosen.items(), "reading masks", len(chosen)):
        truths[case_id], numbers = exams.read_truth(source, request.labels)
        seen.append(numbers)
    levels.of_truth(seen, request.truth, request.labels)
    slices = pd.concat(
        pd.DataFrame({"case_id": case_id, "slice": truth.numbers, "tumour_px": truth.area}) for case_id, truth in truths.items()
    ).reset_index(drop=True)
    held, looked_at, nowhere = [], [], 0
    for case_id, source in tracked(predicted.items(), f"reading {request.name}", len(predicted)):
        _, places, numbers, placed = exams.read_predicted(source, truths[case_id])
        nowhere += not placed
        looked_at.append(numbers)
        held += [(case_id, number) for number in truths[case_id].numbers[places].tolist()]
    if nowhere:
        notes.append(f"{nowhere} predictions do not say where their voxels lie, and are taken to lie as their masks do.")
    meaning = levels.of_predictions(looked_at, request.predictions, request.labels, request.probabilities)
    keys = pd.MultiIndex.from_frame(slices[["case_id", "slice"]])
    in_part = _keys(scored, truths)
    rows = np.flatnonzero(keys.isin(held) & keys.isin(in_part))
    train = np.flatnonzero(keys.isin(_keys(learnt, truths))) if learnt else np.empty(0, int)
    lengths = slices.iloc[rows].case_id.value_counts()
    whole = all(
        lengths.get(case_id, 0) == len(truths[case_id].numbers) and (np.diff(truths[case_id].numbers) == 1).all()
        for case_id in predicted
    )
    return Scan(truths, predicted, slices, rows, train, whole and bool((lengths > 1).any()), meaning), unpaired


def _keys(sources: Mapping[str, Source], truths: Mapping[str, Truth]) -> list[tuple[str, int]]:
    """Case and number of every plane of some files."""
    return [
        (case_id, number)
        for case_id, source in sources.items()
        if case_id in truths
        for number in (truths[case_id].numbers.tolist() if source.whole else source.files)
    ]


def _unpaired(
    scored: Mapping[str, Source], learnt: Mapping[str, Source], answers: Mapping[str, Source], elsewhere: set[str]
) -> list[str]:
    """What one side lacks, in words.

    Args:
        scored, learnt: the masks of the part that is scored, and of the training part.
        answers: all predictions.
        elsewhere: the cases of other parts.
    """
    predicted = {case_id: source for case_id, source in answers.items() if case_id in scored}
    lines = [f"prediction of {case_id}: no mask" for case_id in answers if case_id not in {*scored, *learnt, *elsewhere}]
    for case_id, source in scored.items():
        other = predicted.get(case_id)
        if other is None:
            lines.append(f"mask of {case_id}: no prediction")
        elif not (source.whole or other.whole):
            lines += [f"mask of {case_id}, slice {number}: no prediction" for number in source.files.keys() - other.files.keys()]
            known = source.files.keys() | (learnt[case_id].files.keys() if case_id in learnt else set())
            lines += [f"prediction of {case_id}, slice {number}: no mask" for number in other.files.keys() - known]
    return sorted(lines)


def _planes(scan: Scan, case_id: str, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slice numbers, predictions (uint8, 255 = 1) and masks of the scored planes of a case, padded to squares."""
    truth = scan.truths[case_id]
    planes, places, *_ = exams.read_predicted(scan.predicted[case_id], truth)
    scored = np.isin(truth.numbers[places], scan.slices.slice.to_numpy()[_rows_of(scan, case_id)])
    places = places[scored]
    probability = intensity.pad_to_square(scan.levels.probability(planes[scored], threshold))
    return truth.numbers[places], probability, truth.masks()[places]


def _rows_of(scan: Scan, case_id: str) -> np.ndarray:
    return scan.rows[scan.slices.case_id.to_numpy()[scan.rows] == case_id]


def _tables(scan: Scan, case_id: str, size: int, threshold: float) -> scoring.Tables:
    numbers, probability, masks = _planes(scan, case_id, threshold)
    spacing = scan.spacing(case_id)
    return segmentation.of_case(case_id, numbers, {size: probability}, {size: masks}, threshold, scan.whole, spacing)


def _add_floors(scan: Scan, tables: scoring.Tables, size: int, notes: list[str]) -> dict[str, dict]:
    """Adds ``FLOORS`` to the tables; gives the floors' boundaries. Floors that learn need training masks, all of one size."""
    if len(scan.train) and len(scan.sides) == 1:
        rows = scan.slices.iloc[scan.rows].case_id.to_numpy()
        with tempfile.TemporaryFile() as spool:
            masks = np.memmap(spool, np.uint8, "w+", shape=(len(scan.slices), size, size))
            start = 0
            for truth in scan.truths.values():
                masks[start : start + len(truth.numbers)] = truth.masks()
                start += len(truth.numbers)
            predicted = floors.segmentation(scan.slices, masks, scan.train, scan.rows)
            tables[scoring.FLOORS] = floors.count(predicted, scan.slices, masks, scan.rows)

            def of_cases() -> Iterator[CaseFloors]:
                for case_id, places in pd.Series(np.arange(len(rows))).groupby(rows):
                    answers = {name: None if planes is None else planes[places] for name, planes in predicted.items()}
                    yield str(case_id), answers, masks[scan.rows[places]], scan.spacing(str(case_id))

            return segmentation.floor_boundaries(of_cases(), scan.whole)
    if len(scan.train):
        notes.append("Planes differ in size, so that the mean mask is no floor of masks; the floors of slices are given.")
    else:
        notes.append("The training list is not given (--split), so the only floor is the empty prediction; others are higher.")
    tables[scoring.FLOORS] = overlap.all_empty(tables[scoring.COUNTS]).assign(floor=floors.ALL_EMPTY)[["floor", *overlap.COLUMNS]]

    def of_empty() -> Iterator[CaseFloors]:
        for case_id in scan.predicted:
            truth = scan.truths[case_id]
            numbers = scan.slices.slice.to_numpy()[_rows_of(scan, case_id)]
            masks = truth.masks()[np.isin(truth.numbers, numbers)]
            yield case_id, {floors.ALL_EMPTY: np.zeros_like(masks)}, masks, scan.spacing(case_id)

    return segmentation.floor_boundaries(of_empty(), scan.whole)


def _cut(request: Request, meaning: Levels) -> str:
    return "" if meaning.hard else f", and tumour is called above {request.threshold:g} (--threshold)"


def _worst(scan: Scan, cases: pd.DataFrame, threshold: float) -> tuple[Picture, ...]:
    """The cases of lowest Dice, each at the slice with the most wrong pixels."""
    pictures: list[Picture] = []
    for case in cases.sort_values("dice").itertuples():
        if len(pictures) == PICTURED or case.case_id not in scan.predicted:  # pooled exams of a patient have no one name
            break
        numbers, probability, masks = _planes(scan, case.case_id, threshold)
        predicted = probability > threshold * 255
        worst = int((predicted != masks).sum(axis=(1, 2)).argmax())
        pictures.append(Picture(case.case_id, int(numbers[worst]), float(case.dice), masks[worst], predicted[worst]))
    return tuple(pictures)
