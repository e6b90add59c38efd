"""Stored predictions beside the expert's outlines, browsed without any model."""

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from flask import Flask, Response, render_template, send_file

from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import DataError
from brain_tumor.evaluation import overlap
from brain_tumor.experiments.segmentation import PREDICTIONS
from brain_tumor.inference import stored
from brain_tumor.inference.predict import load_prediction
from brain_tumor.report.pages import viewer
from brain_tumor.report.pages.viewer import Sprite
from brain_tumor.serve.limits import Refusal


@dataclass(frozen=True)
class Review:
    """A folder of stored predictions.

    Attributes:
        folder: a run's, or a cross-validation's with ``predictions.npz``.
        cohort: whose exams were predicted.
        threshold: tumour is called above this probability.
    """

    folder: Path
    cohort: Cohort
    threshold: float = 0.5

    def __post_init__(self) -> None:
        """Refuse a folder without predictions."""
        if not self.cases:
            raise DataError(f"{self.folder}: no stored predictions of the cohort {self.cohort.name}; score the run first")

    def __hash__(self) -> int:
        return hash(self.folder)

    @property
    def cases(self) -> list[str]:
        """The cases that have a prediction."""
        if (self.folder / stored.PREDICTIONS).is_file():
            names = stored.cases(self.folder)
        else:
            names = {path.stem for path in (self.folder / PREDICTIONS).glob("*.npz")}
        return [case.case_id for case in self.cohort if case.case_id in names]

    def load(self, case_id: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Numbers ``(Z,)``, slices ``(Z, H, W)``, truth and probability ``(Z, H, W)`` uint8 of a case."""
        if (self.folder / stored.PREDICTIONS).is_file():
            numbers, probability = stored.load(self.folder, case_id)
        else:
            prediction = load_prediction(self.folder / PREDICTIONS / f"{case_id}.npz")
            numbers, probability = prediction.slice_numbers, prediction.native
        case = self.cohort[case_id]
        images, masks = case.load()
        rows = np.searchsorted(case.slice_numbers, numbers)
        return numbers, images[rows][..., self.cohort.reference], masks[rows], probability

    @lru_cache(maxsize=1)  # noqa: B019  # one review a server
    def table(self) -> pd.DataFrame:
        """A row a case, the worst first: Dice, slices with tumour, and those that were missed."""
        rows = []
        for case_id in self.cases:
            _, _, truth, probability = self.load(case_id)
            counts = overlap.count(probability, truth, self.threshold)
            dice = overlap.dice(*counts[["tp", "fp", "fn"]].sum())
            real, silent = counts.tp + counts.fn > 0, counts.tp + counts.fp == 0
            rows.append(
                {"case_id": case_id, "dice": float(dice), "tumour": int(real.sum()), "missed": int((real & silent).sum())}
            )
        return pd.DataFrame(rows).sort_values("dice")

    def add(self, app: Flask) -> None:
        """Add the pages to the application."""

        @lru_cache(maxsize=8)
        def sprite(case_id: str) -> Sprite:
            _, images, truth, probability = self.load(case_id)
            return viewer.sprite(images, probability, truth.astype(float))

        def known(case_id: str) -> str:
            if case_id not in self.cases:
                raise Refusal(404, "not_found", "There is no such case.")
            return case_id

        @app.get("/review")
        def review_list() -> str:
            return render_template("review.html", cases=self.table().to_dict("records"))

        @app.get("/review/<case_id>")
        def review_case(case_id: str) -> str:
            numbers, _, truth, _ = self.load(known(case_id))
            areas = truth.sum(axis=(1, 2))
            row = self.table().set_index("case_id").loc[case_id]
            return render_template(
                "case.html", case_id=case_id, numbers=numbers.tolist(), sprite=sprite(case_id), first=int(areas.argmax()), row=row
            )

        @app.get("/review/<case_id>/slices.png")
        def review_slices(case_id: str) -> Response:
            return send_file(io.BytesIO(sprite(known(case_id)).png), "image/png")

        if "landing" not in app.view_functions:
            app.add_url_rule("/", "landing", review_list)
            app.add_url_rule("/readyz", "readyz", lambda: {"status": "ready", "model": None, "waiting": 0})
