"""A recipe becomes a scored run, once; an interrupted one goes on exactly; one that does not fit leaves nothing behind."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from brain_tumor import files
from brain_tumor.data import intensity, splits
from brain_tumor.data.cache import open_store
from brain_tumor.data.phantom import open_phantom
from brain_tumor.errors import BrainTumorError, DataError, ModelError, RunError, SplitError
from brain_tumor.evaluation import calibration, ceiling, components, detection, overlap, protocols, scoring, surface
from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.recipe import SegmentationRecipe
from brain_tumor.inference.predict import load_prediction
from brain_tumor.inference.predictor import Predictor
from brain_tumor.records import records
from brain_tumor.training.plan import Stage
from brain_tumor.training.runs import RunFolder

RECIPE = SegmentationRecipe(
    cohort="phantom", split="ratio-33", model="resunet", size=32, stages=(Stage("all", 2),), batch_size=8,
    batchnorm_momentum=0.9, flip_tta=False, precision="float32", model_arguments={"filters": (4, 8)},
)  # fmt: skip


class Place:
    """A finished and scored run in a home of its own."""

    def __init__(self, home, cohort):
        self.home, self.cohort = home, cohort
        self.run = experiment.train(RECIPE, cohort)
        self.scores = experiment.evaluate(self.run, cohort)
        assert pd.read_csv(self.run.path / "counts.csv").tp.sum() > 0, "else much below would compare zeros"
        self.weights = files.sha256_file(self.run.path / "model.weights.h5")


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


def never(*_arguments, **_options):
    raise AssertionError("this was not to be done again")


def test_the_record_of_a_run(finished):
    facts = finished.run.description
    assert (facts["status"], facts["phantom"], facts["precision"]) == ("finished", True, "float32")
    only = {"name": "all", "epochs": 2, "max_lr": 1e-3, "part": "all", "weight_decay": 1e-2, "pct_start": 0.3}
    (stage,) = facts["recipe"]["stages"]
    assert stage == only | {
        "optimiser": "adamw",
        "momentum": 0.5,
        "schedule": "1cycle",
        "layer_decay": 1.0,
        "cycles": 4,
        "size": 0,
    }
    store = open_store(finished.cohort)
    assert facts["data_hash"] == store.data_hash
    assert facts["split_hash"] == splits.load(finished.run.path / "split.json").hash
    assert facts["preparation"] == intensity.PREPARATION == 2
    parts = facts["parts"]
    assert [parts[part]["patients"] for part in ("train", "validation", "test")] == [4, 0, 2]
    assert sum(parts[part]["slices"] for part in parts) == len(store.slices)
    assert sum(parts[part]["tumour_slices"] for part in parts) == (store.slices.tumour_px > 0).sum()
    assert facts["parameters"] == 2_013
    assert facts["training_seconds"] > 0
    assert len(finished.run.history) == 2
    assert experiment.finished_recipe(finished.run) == RECIPE


def test_the_files_of_a_run(finished):
    assert {path.name for path in finished.run.path.iterdir()} == {
        "run.json", "split.json", "history.csv", "model.json", "model.weights.h5", "predictions",
        "counts.csv", "ceiling.csv", "localisation.csv", "cases.csv", "scores.csv", "floors.csv", "slice_floors.csv",
        "counts_largest.csv", "boundary.csv", "boundary_slices.csv", "boundary_floors.csv", "boundary_scores.csv",
        "pixels.csv", "subgroups.csv", "detection.csv", "calibration.csv", ".lock",
    }, "no checkpoint is left, and nothing half written"  # fmt: skip


def test_every_pixel_of_the_test_part_is_counted_once_at_both_sizes(finished):
    counts = pd.read_csv(finished.run.path / "counts.csv")
    assert list(counts.columns) == list(overlap.COLUMNS)
    assert set(counts["size"]) == {32, 64}
    assert (counts[["tp", "fp", "fn", "tn"]].sum(axis=1) == counts["size"] ** 2).all()
    store = open_store(finished.cohort)
    rows = splits.load(finished.run.path / "split.json").rows("test", store.slices)
    native = counts[counts["size"] == 64].reset_index(drop=True)
    assert native[["case_id", "slice"]].equals(store.slices.iloc[rows][["case_id", "slice"]].reset_index(drop=True))
    assert (native.tp + native.fn).tolist() == store.slices.tumour_px.iloc[rows].tolist()
    assert native.slice_probability.between(0, 1).all()


def test_counts_are_those_of_the_stored_predictions(finished):
    counts = pd.read_csv(finished.run.path / "counts.csv")
    store = open_store(finished.cohort)
    for case_id, table in counts[counts["size"] == 64].groupby("case_id"):
        mask = load_prediction(finished.run.path / "predictions" / f"{case_id}.npz").native > 127
        truth = store.masks[store.rows_of(case_id)].astype(bool)
        assert table.tp.sum() == (mask & truth).sum()
        assert table.fp.sum() == (mask & ~truth).sum()


def test_scores_are_rebuilt_from_the_counts(finished):
    counts, floors = (pd.read_csv(finished.run.path / name) for name in ("counts.csv", "floors.csv"))
    assert set(floors.floor) == {"all empty", "mean mask at position"}, "on a patient split there is nothing to interpolate"
    ceilings = pd.read_csv(finished.run.path / "ceiling.csv")
    scores = protocols.score(counts, floor_counts=scoring.by_floor(floors))
    pd.testing.assert_frame_equal(ceiling.beside(scores, counts, ceilings), finished.scores)
    pd.testing.assert_frame_equal(pd.read_csv(finished.run.path / "scores.csv"), finished.scores)
    pd.testing.assert_frame_equal(records.scores_of(finished.run.path), finished.scores)
    cases = pd.read_csv(finished.run.path / "cases.csv").set_index("case_id")
    pd.testing.assert_frame_equal(cases, overlap.per_case(counts[counts["size"] == 64]))


def test_the_ceiling_is_the_truth_there_and_back(finished):
    """Counted here slice by slice, all slices; the table holds those with tumour only."""
    store = open_store(finished.cohort)
    rows = splits.load(finished.run.path / "split.json").rows("test", store.slices)
    truth, small = store.masks[rows], open_store(finished.cohort, 32).masks[rows]
    grown = intensity.resize_probabilities(small.astype(np.float32), 64)
    returned = np.rint(grown * 255).astype(np.uint8)
    where = store.slices.iloc[rows][["case_id", "slice"]].reset_index(drop=True)
    counts = pd.concat([where, overlap.count(returned, truth)], axis=1)
    scores = finished.scores.set_index(["size", "protocol"])
    for protocol in protocols.PROTOCOLS:
        assert scores.ceiling[64, protocol.name] == pytest.approx(protocols.dice(protocol, counts))
    assert scores.ceiling[32].isna().all(), "at its own size a network has no such bound"
    assert 0.75 < scores.ceiling[64, "patient mean"] < 1
    table = pd.read_csv(finished.run.path / "ceiling.csv")
    assert list(table.columns) == list(ceiling.COLUMNS)
    assert len(table) == (store.slices.tumour_px.iloc[rows] > 0).sum()


def test_a_run_whose_masks_were_prepared_otherwise_is_neither_taken_nor_continued_nor_scored(finished, monkeypatch):
    monkeypatch.setattr(experiment, "train_stages", never)
    store = open_store(finished.cohort)
    path = finished.run.path / "run.json"
    whole = path.read_bytes()
    try:
        for status in ("finished", "stopped"):
            files.write_json(path, files.read_json(path) | {"status": status, "preparation": 1})
            with pytest.raises(RunError, match="begun with preparation 1, now 2; remove the folder to train anew"):
                experiment.train(RECIPE, finished.cohort)
    finally:
        path.write_bytes(whole)
    monkeypatch.setattr(SegmentationRecipe, "PREPARATION", 99)
    assert experiment.run_folder(RECIPE, store).status == "absent", "it has a folder of its own"
    with pytest.raises(RunError, match="begun with preparation 2, now 99"):
        experiment.evaluate(finished.run, finished.cohort)


@pytest.fixture
def outcome(finished):
    """The tables of the finished run, by the beginning of their names."""
    return {path.stem: pd.read_csv(path, keep_default_na=False) for path in finished.run.path.glob("*.csv")}


def stored(finished, case_id):
    """A case's stored prediction and its truth, at native size."""
    store = open_store(finished.cohort)
    prediction = load_prediction(finished.run.path / "predictions" / f"{case_id}.npz").native
    return prediction, store.masks[store.rows_of(case_id)]


def test_outlines_are_compared_in_whole_exams_and_in_each_tumour_slice(finished, outcome):
    boundary, slices, counts = outcome["boundary"], outcome["boundary_slices"], outcome["counts"]
    assert list(boundary.columns) == ["case_id", *surface.COLUMNS]
    assert list(slices.columns) == ["case_id", "slice", *surface.COLUMNS]
    for case_id in boundary.case_id:
        prediction, truth = stored(finished, case_id)
        expected = surface.per_case(prediction, truth, RECIPE.threshold)
        assert boundary[boundary.case_id == case_id].iloc[0].drop("case_id").to_dict() == pytest.approx(expected)
    with_tumour = counts[(counts["size"] == 64) & (counts.tp + counts.fn > 0)]
    assert slices[["case_id", "slice"]].to_numpy().tolist() == with_tumour[["case_id", "slice"]].to_numpy().tolist()


def test_outlines_are_scored_beside_floors(outcome):
    scores = outcome["boundary_scores"]
    assert scores.groupby("of").rows.first().to_dict() == {
        "cases, 3-D": len(outcome["boundary"]),
        "tumour slices, 2-D": len(outcome["boundary_slices"]),
    }
    assert set(scores.floor_name) <= {"all empty", "mean mask at position"}
    assert (scores.missed[scores.of == "cases, 3-D"] == outcome["boundary"].missed.sum()).all()


def test_every_pixel_stands_in_the_histograms(finished, outcome):
    pixels = outcome["pixels"]
    assert (pixels.negative + pixels.positive > 0).all(), "empty levels are left out"
    for case_id, rows in pixels.groupby("case_id"):
        prediction, truth = stored(finished, case_id)
        assert (rows.negative + rows.positive).sum() == truth.size
        assert rows.positive.sum() == truth.sum()
        assert rows.level.tolist() == sorted(np.unique(prediction))
    assert calibration.histograms(pixels).sum() == 64 * 64 * (outcome["counts"]["size"] == 64).sum()


def test_the_largest_component_alone_is_counted_too(finished, outcome):
    counts, largest = outcome["counts"], outcome["counts_largest"]
    keys = ["case_id", "slice", "size"]
    assert largest[keys].equals(counts[keys])
    native = largest[largest["size"] == 64]
    for case_id, rows in native.groupby("case_id"):
        prediction, truth = stored(finished, case_id)
        mask = components.keep_largest(prediction > 127)
        assert [rows.tp.sum(), rows.fp.sum()] == [(mask & (truth > 0)).sum(), (mask & (truth == 0)).sum()]


def test_subgroups_are_those_of_the_tested_patients(outcome, finished):
    groups = outcome["subgroups"]
    assert set(groups.by) == {"site", "grade code", "RNASeq cluster", "tumour area"}
    sites = groups[groups.by == "site"].set_index("group").patients.to_dict()
    store = open_store(finished.cohort)
    assert sites == store.cases.loc[outcome["cases"].case_id].site.value_counts().to_dict()
    assert set(groups.floor_name) <= {"all empty", "mean mask at position"}


def test_slices_are_detected_beside_floors_that_read_none(outcome):
    detected = outcome["detection"].set_index("measure")
    native = outcome["counts"][outcome["counts"]["size"] == 64]
    assert (detected.slices == len(native)).all()
    assert float(detected.value["AUC"]) == pytest.approx(detection.auc(native.tp + native.fn > 0, native.slice_probability))
    assert detected.floor_name["AUC"] in ("always no", "slice position")
    floors = outcome["slice_floors"]
    assert (floors.groupby("floor").size() == len(native)).all()
    assert set(outcome["calibration"].of) == {"slices", "pixels"}


def spoilt(whole, what):
    native, working = whole.native, whole.working
    return {
        "another size": replace(whole, native=native[:, ::2, ::2]),
        "another working size": replace(whole, working=working[:, :-1]),
        "NaN": replace(whole, native=np.where(native == native.max(), np.nan, native / 255).astype(np.float32)),
        "above 1": replace(whole, working=working.astype(float)),
        "another type": replace(whole, native=native / 255),
    }[what]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("another size", r"a prediction of \d+ x 32 x 32, expected \d+ slices of 64 x 64"),
        ("another working size", r"a prediction of \d+ x 31 x 32, expected \d+ slices of 32 x 32"),
        ("NaN", "expected probabilities from 0 to 1; .* such as nan"),
        ("above 1", "expected probabilities from 0 to 1"),
        ("another type", "probabilities of type float64, expected uint8 with 255 for 1"),
    ],
)
def test_predictions_that_do_not_fit_are_refused_and_nothing_is_written(finished, what, words):
    path = next((finished.run.path / "predictions").glob("*.npz"))
    whole = load_prediction(path)
    spoilt(whole, what).save(path.parent)
    before = {table: table.read_bytes() for table in finished.run.path.iterdir() if table.is_file()}
    try:
        with pytest.raises(DataError, match=words) as refusal:
            experiment.evaluate(finished.run, finished.cohort)
        assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)
        assert {table: table.read_bytes() for table in finished.run.path.iterdir() if table.is_file()} == before
    finally:
        whole.save(path.parent)


def test_a_finished_run_is_returned_not_trained_again(finished, monkeypatch):
    monkeypatch.setattr(experiment, "train_stages", never)
    before = (finished.run.path / "run.json").read_bytes()
    assert experiment.train(RECIPE, finished.cohort) == finished.run
    assert (finished.run.path / "run.json").read_bytes() == before


def test_stored_predictions_are_used_again_unless_told(finished, monkeypatch):
    seconds = finished.run.description["inference_seconds"]
    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "predict", never)
        pd.testing.assert_frame_equal(experiment.evaluate(finished.run, finished.cohort), finished.scores)
        assert finished.run.description["inference_seconds"] == seconds, "reading is not inference"
        with pytest.raises(AssertionError):
            experiment.evaluate(finished.run, finished.cohort, again=True)
    pd.testing.assert_frame_equal(experiment.evaluate(finished.run, finished.cohort, again=True), finished.scores)


def test_a_damaged_prediction_is_named(finished):
    path = next((finished.run.path / "predictions").glob("*.npz"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    try:
        with pytest.raises(DataError, match=path.name):
            experiment.evaluate(finished.run, finished.cohort)
    finally:
        path.write_bytes(whole)


def test_the_same_recipe_on_other_data_is_another_run_and_no_run_is_scored_on_them(finished, monkeypatch):
    monkeypatch.setattr(experiment, "train_stages", never)
    other = open_phantom(patients=6, slices=(8, 12), size=64, seed=1)
    folder = experiment.run_folder(RECIPE, open_store(other))
    assert folder != finished.run and folder.status == "absent"
    with pytest.raises(RunError, match=r"begun with data_hash \w{12}, now \w{12}; remove the folder to train anew"):
        experiment.evaluate(finished.run, other)
    path = finished.run.path / "run.json"
    whole = path.read_bytes()
    try:
        finished.run.update(data_hash=open_store(other).data_hash)  # as if a folder had been given another run's name
        with pytest.raises(RunError, match=r"begun with data_hash \w{12}, now \w{12}; remove the folder to train anew"):
            experiment.train(RECIPE, finished.cohort)
    finally:
        path.write_bytes(whole)


def test_a_part_without_slices_cannot_be_scored(finished):
    with pytest.raises(RunError, match="the validation part of its split is empty"):
        experiment.evaluate(finished.run, finished.cohort, part="validation")


def test_an_interrupted_run_goes_on_to_the_same_weights(finished, home, monkeypatch):
    save = RunFolder.save_checkpoint

    def save_then_stop(run, *state):
        save(run, *state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunFolder, "save_checkpoint", save_then_stop)
        experiment.train(RECIPE, finished.cohort)
    run = experiment.run_folder(RECIPE, open_store(finished.cohort))
    assert run.path.parent == home / "runs"
    assert run.status == "stopped"
    assert len(run.history) == 1
    started, seconds = run.description["started"], run.description["training_seconds"]
    with pytest.raises(RunError, match="the run is stopped, not finished; train it again to resume"):
        experiment.evaluate(run, finished.cohort)
    assert experiment.train(RECIPE, finished.cohort) == run
    assert run.status == "finished"
    assert run.description["started"] == started
    assert run.description["training_seconds"] > seconds, "both sittings are counted"
    assert files.sha256_file(run.path / "model.weights.h5") == finished.weights
    pd.testing.assert_frame_equal(run.history.drop(columns="seconds"), finished.run.history.drop(columns="seconds"))


def test_a_crash_is_told_from_a_stop(home, phantom_cohort, monkeypatch):
    def crash(*_arguments, **_options):
        raise MemoryError

    monkeypatch.setattr(experiment, "train_stages", crash)
    with pytest.raises(MemoryError):
        experiment.train(RECIPE, phantom_cohort)
    run = experiment.run_folder(RECIPE, open_store(phantom_cohort))
    assert run.path.parent == home / "runs"
    assert run.status == "failed"
    with pytest.raises(RunError, match="the run is failed, not finished"):
        experiment.finished_recipe(run)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"split": "source-004"}, SplitError),
        ({"split": "halves"}, SplitError),
        ({"split": "nowhere.json"}, SplitError),
        ({"size": 98, "model_arguments": (("filters", (4, 8, 16)),)}, ModelError),
        ({"model": "segnet"}, ModelError),
        ({"model": "unet-vgg16"}, ModelError),
        ({"batch_size": 1000}, DataError),
        ({"parts": ("all", "tail")}, ModelError),
        ({"parts": ("all", "stage3"), "model_arguments": (("filters", (4, 8, 16)),)}, ModelError),  # it has three levels
    ],
    ids=str,
)
def test_a_recipe_that_does_not_fit_leaves_nothing(home, phantom_cohort, changes, error):
    parts = changes.get("parts", ("all",))
    others = {name: value for name, value in changes.items() if name != "parts"}
    with pytest.raises(error) as refusal:
        stages = tuple(Stage(part, 1, part=part) for part in parts)
        experiment.train(replace(RECIPE, stages=stages, **others), phantom_cohort)
    assert isinstance(refusal.value, BrainTumorError)
    assert "\n" not in str(refusal.value)
    assert not (home / "runs").exists()
    assert not list((home / "data" / "cache").glob("*-100-*")), "nor is the data resized in vain"


@pytest.fixture
def untrained(home, phantom_cohort, monkeypatch):
    """Runs in a fresh home whose network is left as it was drawn."""
    monkeypatch.setattr(experiment, "train_stages", lambda *_arguments, **_options: [])

    def train(**changes):
        return experiment.train(replace(RECIPE, **changes), phantom_cohort)

    return train


def test_a_split_may_come_from_a_file(untrained, phantom_cohort, tmp_path):
    store = open_store(phantom_cohort)
    cases = sorted(store.cases.index)
    splits.Split("mine", "patient", tuple(cases[:4]), (cases[4],), (cases[5],)).save(tmp_path / "mine.json")
    run = untrained(split=str(tmp_path / "mine.json"))
    assert run.path.name.startswith("phantom-mine-resunet-32-seed0-")
    assert splits.load(run.path / "split.json") == splits.load(tmp_path / "mine.json")
    scores = experiment.evaluate(run, phantom_cohort)
    assert set(scores.patients) == {1}
    assert scores.low.isna().all(), "one patient gives no interval"
    validation_rows = experiment.evaluate(run, phantom_cohort, part="validation")
    assert not validation_rows.equals(scores)
    pd.testing.assert_frame_equal(pd.read_csv(run.path / "scores.csv"), scores)


def test_a_slice_split_scores_its_slices_only(untrained, phantom_cohort):
    run = untrained(split="source-002")
    experiment.evaluate(run, phantom_cohort)
    counts = pd.read_csv(run.path / "counts.csv")
    tested = set(splits.load(run.path / "split.json").test)
    native = counts[counts["size"] == 64]
    assert set(native.case_id + "/" + native.slice.astype(str)) == tested
    assert not (run.path / "boundary.csv").exists(), "lone slices are no volume"
    assert not (run.path / "counts_largest.csv").exists()
    assert (run.path / "boundary_slices.csv").is_file()
    assert "shape interpolation" in set(pd.read_csv(run.path / "floors.csv").floor)
    areas = open_store(phantom_cohort).slices.set_index(["case_id", "slice"]).tumour_px
    assert (native.tp + native.fn).tolist() == areas.loc[list(zip(native.case_id, native.slice, strict=True))].tolist()


def test_at_native_size_there_is_one_size(untrained, phantom_cohort):
    run = untrained(size=64)
    scores = experiment.evaluate(run, phantom_cohort)
    assert set(scores["size"]) == {64}
    assert len(scores) == len(protocols.PROTOCOLS)


def test_an_unscored_run_has_no_scores(untrained):
    run = untrained()
    assert not (run.path / "scores.csv").exists() and "scored" not in run.description


def test_averaged_flips_reach_the_predictions(untrained, phantom_cohort):
    plain, averaged = untrained(flip_tta=False), untrained(flip_tta=True)
    for run in (plain, averaged):
        experiment.evaluate(run, phantom_cohort)
    name = next((plain.path / "predictions").glob("*.npz")).name
    one, other = (load_prediction(run.path / "predictions" / name).working for run in (plain, averaged))
    assert not np.array_equal(one, other)
