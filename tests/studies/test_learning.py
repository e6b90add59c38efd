"""The learning curve: as many steps on fewer patients, and what a doubling adds."""

import numpy as np
import pandas as pd
import pytest

from brain_tumor.studies.ingredients import answers, figures, learning
from brain_tumor.studies.ingredients.table import Plan

PATIENTS = [f"P{number}" for number in range(8)]


@pytest.fixture
def screenings(monkeypatch, tmp_path):
    """Two, four and five folds, each 0.1 better a doubling; the last lacks a patient."""
    dice = {
        tmp_path / f"{folds}": pd.Series(np.linspace(0.2, 0.6, 8) + 0.1 * np.log2((folds - 1) / folds), PATIENTS)
        for folds in (2, 4, 5)
    }
    dice[tmp_path / "5"] = dice[tmp_path / "5"].iloc[1:]
    monkeypatch.setattr(answers, "case_dice", lambda folder, *_: dice[folder])
    return {int(folder.name): folder for folder in dice}


def test_fewer_patients_are_seen_in_more_epochs():
    of = Plan(base={"epochs": 12, "size": 16}, folds=3)
    halves, fifths = learning.plan(of, 2, 12), learning.plan(of, 5, 12)
    assert (halves.base["epochs"], halves.folds) == (16, 2) and (fifths.base["epochs"], fifths.folds) == (10, 5)
    assert halves.base["size"] == 16 and halves.seeds == of.seeds


def test_the_curve_is_of_the_patients_that_all_scored(screenings):
    curve = learning.curve(screenings, "base")
    assert curve.folds.tolist() == [2, 4, 5] and curve.learnt_from.tolist() == pytest.approx([3.5, 5.25, 5.6])
    shared = np.linspace(0.2, 0.6, 8)[1:].mean()
    assert curve.dice.tolist() == pytest.approx([shared + 0.1 * np.log2(share) for share in (1 / 2, 3 / 4, 4 / 5)])
    assert (curve.low < curve.dice).all() and (curve.dice < curve.high).all()
    drawing = figures.plot_learning(curve)
    assert [label.get_text() for label in drawing.axes[0].get_xticklabels()] == ["4", "5", "6"]


def test_a_doubling_is_paired_by_patient(screenings):
    doubling = learning.per_doubling(screenings, "base")
    assert (doubling.difference, doubling.low, doubling.high) == pytest.approx((0.1, 0.1, 0.1)) and doubling.patients == 7
