"""A classifier's run is scored once: threshold and temperature from the validation part, every figure beside its floor."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from brain_tumor.data import splits
from brain_tumor.data.cache import open_store
from brain_tumor.data.phantom import open_phantom
from brain_tumor.errors import DataError, RunError
from brain_tumor.evaluation import calibration, detection
from brain_tumor.experiments import classification, run as experiment
from brain_tumor.experiments.recipe import ClassificationRecipe
from brain_tumor.training.plan import Stage

RECIPE = ClassificationRecipe(
    cohort="phantom", split="ratio-33", validation=0.5, model="plain", size=32, stages=(Stage("all", 1),), batch_size=4,
    batchnorm_momentum=0.9, flip_tta=False, precision="float32",
)  # fmt: skip


class Place:
    """A finished and scored run in a home of its own."""

    def __init__(self, home, cohort):
        self.home, self.cohort = home, cohort
        self.run = experiment.train(RECIPE, cohort)
        self.scores = experiment.evaluate(self.run, cohort)

    def read(self, name):
        return pd.read_csv(self.run.path / name)

    def rows(self, part):
        store = open_store(self.cohort)
        return store.slices.iloc[splits.load(self.run.path / "split.json").rows(part, store.slices)].reset_index(drop=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory, phantom_cohort):
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("BRAIN_TUMOR_HOME", str(home))
        yield Place(home, phantom_cohort)


@pytest.fixture
def finished(place, monkeypatch):
    """The finished run, seen from its own home."""
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(place.home))
    return place


@pytest.fixture
def untrained(home, phantom_cohort, monkeypatch):
    """Runs in a fresh home whose network is left as it was drawn."""
    monkeypatch.setattr(experiment, "train_stages", lambda *_arguments, **_options: [])
    return lambda **changes: experiment.train(replace(RECIPE, **changes), phantom_cohort)


def never(*_arguments, **_options):
    raise AssertionError("this was not to be done again")


def test_the_files_of_a_run(finished):
    assert {path.name for path in finished.run.path.iterdir()} == {
        "run.json", "split.json", "history.csv", "model.json", "model.weights.h5", "slices.csv", "validation-slices.csv",
        "floors.csv",
        "scores.csv", "cases.csv", "subgroups.csv", "calibration.csv", ".lock",
    }  # fmt: skip
    assert "accuracy" in finished.run.history


def test_every_slice_of_a_part_has_a_probability_once(finished):
    for part, name in {"test": "slices.csv", "validation": "validation-slices.csv"}.items():
        table, rows = finished.read(name), finished.rows(part)
        assert list(table.columns) == ["case_id", "slice", "tumour", "probability"]
        assert table[["case_id", "slice"]].equals(rows[["case_id", "slice"]])
        assert table.tumour.tolist() == (rows.tumour_px > 0).tolist()
        assert table.probability.between(0, 1).all() and table.probability.nunique() > 1


def test_threshold_and_temperature_come_from_the_tune_part(finished):
    validation_rows, facts = finished.read("validation-slices.csv"), finished.run.description
    assert facts["threshold"] == detection.choose_threshold(validation_rows.tumour, validation_rows.probability)
    assert facts["temperature"] == pytest.approx(calibration.fit_temperature(validation_rows.tumour, validation_rows.probability))
    assert set(finished.scores.threshold.dropna()) == {facts["threshold"]}


def test_scores_are_rebuilt_from_the_slices(finished):
    slices, floors = finished.read("slices.csv"), finished.read("floors.csv")
    again = detection.score_with_floors(slices, floors, finished.run.description["threshold"])
    pd.testing.assert_frame_equal(again, finished.scores)
    pd.testing.assert_frame_equal(finished.read("scores.csv").fillna({"floor_name": ""}), finished.scores)
    cases = detection.per_case(slices, finished.run.description["threshold"]).reset_index()
    pd.testing.assert_frame_equal(finished.read("cases.csv"), cases)


def test_calibration_is_told_as_predicted_and_with_the_temperature(finished):
    table, slices = finished.read("calibration.csv"), finished.read("slices.csv")
    temperature = finished.run.description["temperature"]
    cooled = f"slices, temperature {temperature:.2f}"
    assert table.of.unique().tolist() == ["slices", cooled]
    errors = table.set_index(["of", "measure"]).value
    assert errors["slices", "ECE"] == pytest.approx(calibration.ece(slices.tumour, slices.probability))
    expected = calibration.ece(slices.tumour, calibration.apply_temperature(slices.probability, temperature))
    assert errors[cooled, "ECE"] == pytest.approx(expected)
    assert set(table.floor_name) <= {"always no", "slice position"}


def test_floors_cover_each_slice_once(finished):
    floors, slices = finished.read("floors.csv"), finished.read("slices.csv")
    assert set(floors.floor) == {"always no", "slice position"}, "on a patient split there is no neighbour to copy"
    for _, rows in floors.groupby("floor"):
        keys = ["case_id", "slice", "tumour"]
        pd.testing.assert_frame_equal(rows[keys].reset_index(drop=True), slices[keys])


def test_stored_probabilities_are_used_again_unless_told(finished, monkeypatch):
    seconds = finished.run.description["inference_seconds"]
    with monkeypatch.context() as patch:
        patch.setattr(classification, "probabilities", never)
        pd.testing.assert_frame_equal(experiment.evaluate(finished.run, finished.cohort), finished.scores)
        assert finished.run.description["inference_seconds"] == seconds, "reading is not inference"
        with pytest.raises(AssertionError):
            experiment.evaluate(finished.run, finished.cohort, again=True)
    pd.testing.assert_frame_equal(experiment.evaluate(finished.run, finished.cohort, again=True), finished.scores)


def test_the_tune_part_is_scored_without_touching_the_test_tables(finished):
    before = (finished.run.path / "scores.csv").read_bytes()
    validation_rows = experiment.evaluate(finished.run, finished.cohort, part="validation")
    assert validation_rows.slices.iloc[0] == len(finished.rows("validation"))
    assert (finished.run.path / "scores.csv").read_bytes() == before


def everything(run):
    return {path.name: path.read_bytes() for path in run.path.iterdir()}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda table: table.assign(probability=table.probability.where(table.index > 0)), "from 0 to 1; 1 of .* such as nan"),
        (lambda table: table.assign(probability=table.probability + 2), "from 0 to 1"),
        (lambda table: table.assign(probability="high"), "not all numbers"),
        (lambda table: table.drop(columns="probability"), "no table of slices"),
    ],
    ids=["NaN", "above 1", "words", "no probabilities"],
)
def test_stored_probabilities_that_are_none_are_refused_and_nothing_is_written(finished, spoil, words):
    path = finished.run.path / "slices.csv"
    whole = path.read_bytes()
    spoil(pd.read_csv(path)).to_csv(path, index=False)
    before = everything(finished.run)
    try:
        with pytest.raises(DataError, match=words) as refusal:
            experiment.evaluate(finished.run, finished.cohort)
        assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)
        assert everything(finished.run) == before
    finally:
        path.write_bytes(whole)


def test_a_network_that_answers_nonsense_writes_nothing(finished, monkeypatch):
    before = everything(finished.run)
    monkeypatch.setattr(classification, "probabilities", lambda model, images, *_more: np.full(len(images), np.nan))
    with pytest.raises(DataError, match=r"test part: expected probabilities from 0 to 1; .* such as nan"):
        experiment.evaluate(finished.run, finished.cohort, again=True)
    assert everything(finished.run) == before


def test_probabilities_of_other_slices_are_predicted_anew(finished):
    path = finished.run.path / "slices.csv"
    table = pd.read_csv(path)
    table.iloc[1:].to_csv(path, index=False)
    pd.testing.assert_frame_equal(experiment.evaluate(finished.run, finished.cohort), finished.scores)
    pd.testing.assert_frame_equal(pd.read_csv(path), table)


def test_other_data_is_refused(finished):
    with pytest.raises(RunError, match="begun with data_hash"):
        experiment.evaluate(finished.run, open_phantom(patients=6, slices=(8, 12), size=64, seed=1))


def test_without_a_tune_part_the_recipes_threshold_stands(untrained, phantom_cohort):
    run = untrained(validation=0.0, threshold=0.4)
    experiment.evaluate(run, phantom_cohort)
    assert (run.description["threshold"], run.description["temperature"]) == (0.4, None)
    assert set(pd.read_csv(run.path / "calibration.csv").of) == {"slices"}
    assert not (run.path / "validation-slices.csv").exists()
    with pytest.raises(RunError, match="the validation part of its split is empty"):
        experiment.evaluate(run, phantom_cohort, part="validation")


def test_on_a_slice_split_the_neighbours_label_is_a_floor(untrained, phantom_cohort):
    run = untrained(split="source-002", validation=0.0)
    scores = experiment.evaluate(run, phantom_cohort)
    assert "nearest training slice" in set(pd.read_csv(run.path / "floors.csv").floor)
    assert scores.set_index("measure").floor_name["AUC"] == "nearest training slice"
