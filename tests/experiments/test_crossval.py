"""Each patient, slice or site is predicted once, by a network that never saw it; what was killed goes on where it was."""

import contextlib
import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings, strategies as st

from brain_tumor import files
from brain_tumor.data import intensity, splits
from brain_tumor.data.cache import open_store
from brain_tumor.data.phantom import open_phantom
from brain_tumor.errors import BrainTumorError, DataError, ModelError, RunError, SplitError
from brain_tumor.evaluation import ceiling, detection, overlap, protocols, scoring
from brain_tumor.experiments import capacity, crossval, jobs, out_of_fold, run as experiment, tasks
from brain_tumor.experiments.crossval import cross_validate
from brain_tumor.experiments.recipe import SegmentationRecipe
from brain_tumor.inference import stored
from brain_tumor.inference.predict import load_prediction
from brain_tumor.inference.predictor import Predictor
from brain_tumor.models import backend
from brain_tumor.progress import Bar
from brain_tumor.training.plan import Stage
from brain_tumor.training.runs import RunFolder

SITES = {"CS": [3, 2, 5], "DU": [4, 4], "EZ": [3]}
RECIPE = SegmentationRecipe(
    cohort="phantom", model="resunet", size=32, stages=(Stage("all", 1),), batch_size=8, batchnorm_momentum=0.9,
    flip_tta=False, precision="float32", model_arguments=(("filters", (4,)),),
)  # fmt: skip


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def never(*_arguments, **_options):
    raise AssertionError("this was not to be done again")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, phantom_cohort):
    """A home with two folds that were really trained, gathered; and the titles of their bars."""
    home, titles, begun = tmp_path_factory.mktemp("home"), set(), Bar.__init__

    def listen(bar, *arguments, **options):
        begun(bar, *arguments, **options)
        titles.add(bar.task.description)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAIN_TUMOR_HOME", str(home))
        patch.setattr(Bar, "__init__", listen)
        return home, cross_validate(RECIPE, phantom_cohort, folds=2), titles


@pytest.fixture
def done(trained, monkeypatch):
    """The folder of the trained cross-validation, seen from its own home."""
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(trained[0]))
    return trained[1]


def test_every_fold_is_an_ordinary_run(done, phantom_cohort):
    facts, store = crossval.read(done), open_store(phantom_cohort)
    assert (facts["recipe"]["task"], facts["unit"], facts["folds"], facts["status"]) == ("segmentation", "patient", 2, "finished")
    assert done.name.startswith("phantom-crossval-2-patient-resunet-32-seed0-")
    assert [fold["split"] for fold in facts["runs"]] == ["fold-1-of-2", "fold-2-of-2"]
    for fold in facts["runs"]:
        run = RunFolder(done.parent / fold["run"])
        recipe = replace(RECIPE, split=fold["split"])
        assert run.path.name == experiment.run_folder(recipe, store).path.name
        assert experiment.finished_recipe(run) == recipe
        assert fold["split_hash"] == splits.load(run.path / "split.json").hash
        assert fold["status"] == "scored"
        seconds = run.description["training_seconds"] + run.description["inference_seconds"]
        assert fold["seconds"] == pytest.approx(seconds, abs=0.1)
    assert facts["seconds"] == pytest.approx(sum(fold["seconds"] for fold in facts["runs"]), abs=0.2)


def test_the_files_of_a_cross_validation(done):
    assert {path.name for path in done.iterdir()} == {
        "crossval.json", "counts.csv", "floors.csv", "cases.csv", "scores.csv", "fold_scores.csv", "predictions.npz",
        "ceiling.csv", "localisation.csv", "slice_floors.csv", "boundary.csv", "boundary_floors.csv", "boundary_scores.csv",
        "subgroups.csv", "detection.csv",
    }, "nothing half written"  # fmt: skip


def test_what_was_gathered_is_what_the_folds_predicted(done, phantom_cohort):
    store, facts = open_store(phantom_cohort), crossval.read(done)
    counts = pd.read_csv(done / "counts.csv")
    assert list(counts.columns) == [*overlap.COLUMNS, "fold"]
    native = counts[counts["size"] == 64].reset_index(drop=True)
    assert native[["case_id", "slice"]].equals(store.slices[["case_id", "slice"]]), "each slice once, in the cohort's order"
    assert (native.tp + native.fn).tolist() == store.slices.tumour_px.tolist()
    for case_id, rows in native.groupby("case_id"):
        numbers, planes = stored.load(done, case_id)
        run = RunFolder(done.parent / facts["runs"][rows.fold.iloc[0] - 1]["run"])
        assert case_id in splits.load(run.path / "split.json").test
        assert np.array_equal(planes, load_prediction(run.path / "predictions" / f"{case_id}.npz").native)
        assert planes.dtype == np.uint8
        assert numbers.tolist() == rows.slice.tolist()
        truth = store.masks[store.rows_of(case_id)] > 0
        assert rows.tp.sum() == ((planes > 127) & truth).sum()


def test_boundary_and_detection_are_of_all_patients_with_their_floors(done):
    boundary, scores = pd.read_csv(done / "boundary.csv"), pd.read_csv(done / "boundary_scores.csv").set_index("measure")
    assert len(boundary) == 6 and scores.value["HD95 mean"] == pytest.approx(boundary.hd95.mean())
    assert (scores.patients == 6).all() and scores.floor.notna().all()
    floors = pd.read_csv(done / "boundary_floors.csv")
    assert scores.floor["HD95 mean"] == pytest.approx(floors.groupby("floor").hd95.mean().min())
    counts, located = pd.read_csv(done / "counts.csv"), pd.read_csv(done / "localisation.csv")
    native = counts[counts["size"] == 64].reset_index(drop=True)
    assert located[["case_id", "slice"]].equals(native[["case_id", "slice"]])
    assert located.predicted_px.equals(native.tp + native.fp) and located.truth_px.equals(native.tp + native.fn)
    assert located.highest.to_numpy() == pytest.approx(native.slice_probability, abs=1e-4)
    detected = pd.read_csv(done / "detection.csv")
    assert (detected.patients == 6).all() and detected.floor.notna().any()


def test_scores_are_of_all_patients_and_floors_each_folds_own(done):
    counts, floors, scores, by_fold, cases = (
        pd.read_csv(done / f"{name}.csv") for name in ("counts", "floors", "scores", "fold_scores", "cases")
    )
    assert (scores.patients == 6).all()
    apart = dict(list(floors.groupby("floor")))
    ceilings = pd.read_csv(done / "ceiling.csv")
    expected_scores = ceiling.beside(protocols.score(counts, floor_counts=apart), counts, ceilings)
    pd.testing.assert_frame_equal(scores, expected_scores)
    assert len(ceilings) == cases.tumour_slices.sum()
    for fold, run in enumerate(crossval.read(done)["runs"], 1):
        stored = done.parent / run["run"]
        mine = floors[floors.fold == fold].drop(columns="fold")
        key = ["floor", "case_id", "size", "slice"]
        expected = scoring.without_empty(pd.read_csv(stored / "floors.csv")).sort_values(key, ignore_index=True)
        pd.testing.assert_frame_equal(mine.sort_values(key, ignore_index=True), expected)
        pd.testing.assert_frame_equal(
            by_fold[by_fold.fold == fold].drop(columns="fold").reset_index(drop=True), pd.read_csv(stored / "scores.csv")
        )
    native = overlap.per_case(counts[counts["size"] == 64])
    pd.testing.assert_frame_equal(cases.set_index("case_id").drop(columns="fold"), native)


def test_a_fold_of_a_cross_validation_is_the_run_that_trains_alone(done, phantom_cohort, home, monkeypatch):
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(home))
    alone = experiment.train(replace(RECIPE, split="fold-2-of-2"), phantom_cohort)
    together = done.parent / alone.path.name
    assert files.sha256_file(alone.path / "model.weights.h5") == files.sha256_file(together / "model.weights.h5")


@pytest.mark.long
def test_a_fold_of_another_process_is_the_same_bit_for_bit(done, phantom_cohort, tmp_path, monkeypatch):
    """With as many threads; the other fold is here. Two at once, and alone, are in ``test_side_by_side.py``."""
    told, titles, in_turn = [], [], crossval.read(done)
    first, second = (Path(fold["run"]) for fold in in_turn["runs"])
    shutil.copytree(done.parent / first, tmp_path / "runs" / first)
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path))
    monkeypatch.setattr(jobs, "usable_cores", lambda: 2 * backend.threads()["intra_op"])
    monkeypatch.setattr(crossval, "watched", lambda *bar: titles.append(bar[:2]) or contextlib.nullcontext())
    folder = cross_validate(RECIPE, phantom_cohort, folds=2, workers=2, on_fold=lambda *fold: told.append(fold[:2]))
    for name in (*crossval.tables(tasks.SEGMENTATION), Path("..", second, "model.weights.h5")):
        assert (folder / name).read_bytes() == (done / name).read_bytes(), name
    facts, run = crossval.read(folder), RunFolder(folder.parent / second)
    assert folder.name == done.name and (facts["workers"], in_turn["workers"]) == (2, 1)
    assert [fold["status"] for fold in facts["runs"]] == ["scored"] * 2
    assert [of["environment"]["threads"] for of in (facts, in_turn, run.description)] == [backend.threads()] * 3
    assert told == [(1, 2), (2, 2)] and titles == [("epochs of 1 fold", 1)]


def test_the_bar_says_which_fold(trained):
    assert {"fold 1 of 2: training", "fold 2 of 2: training", "fold 2 of 2: scoring test", "gathering"} <= trained[2]


def test_a_finished_one_is_returned_as_it_is(done, phantom_cohort, monkeypatch):
    before = contents(done.parent)
    monkeypatch.setattr(crossval, "train", never)
    monkeypatch.setattr(crossval, "evaluate", never)
    assert cross_validate(RECIPE, phantom_cohort, folds=2) == done
    assert contents(done.parent) == before


def test_folds_that_finished_alone_are_taken_as_they_are(done, phantom_cohort, tmp_path, monkeypatch):
    shutil.copytree(done.parent, tmp_path / "runs")
    shutil.rmtree(tmp_path / "runs" / done.name)
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path))
    monkeypatch.setattr(experiment, "train_stages", never)
    monkeypatch.setattr(Predictor, "predict", never)
    again = cross_validate(RECIPE, phantom_cohort, folds=2)
    for name in crossval.tables(tasks.SEGMENTATION):
        assert (again / name).read_bytes() == (done / name).read_bytes(), name


def check_nothing_is_taken(done, cohort, monkeypatch):
    """Asked again, the cross-validation begins anew beside the finished one, with runs of its own."""
    begun, before = [], contents(done.parent)
    earlier = {fold["run"] for fold in crossval.read(done)["runs"]}
    monkeypatch.setattr(crossval, "train", never)
    with pytest.raises(AssertionError, match="not to be done again"):
        cross_validate(RECIPE, cohort, folds=2, on_fold=lambda _number, _of, run: begun.append(run))
    assert [run.status for run in begun] == ["absent"] and begun[0].path.name not in earlier
    name = crossval.crossval_name(RECIPE, "patient", 2, open_store(cohort))
    assert name != done.name and name.startswith("phantom-crossval-2-patient-resunet-32-seed0-")
    assert contents(done.parent) == before


def test_masks_that_were_prepared_otherwise_are_another_cross_validation(done, phantom_cohort, monkeypatch):
    assert crossval.read(done)["preparation"] == intensity.PREPARATION
    monkeypatch.setattr(SegmentationRecipe, "PREPARATION", 99)
    check_nothing_is_taken(done, phantom_cohort, monkeypatch)


def test_runs_from_before_there_were_ceilings_are_gathered_without(done, phantom_cohort):
    runs = [RunFolder(done.parent / fold["run"]) for fold in crossval.read(done)["runs"]]
    whole = (runs[1].path / "ceiling.csv").read_bytes()
    (runs[1].path / "ceiling.csv").unlink()
    try:
        gathered = out_of_fold.gather(runs, tasks.SEGMENTATION, open_store(phantom_cohort), "patient")
    finally:
        (runs[1].path / "ceiling.csv").write_bytes(whole)
    assert "ceiling.csv" not in gathered and "ceiling" not in gathered["scores.csv"]


def test_other_data_are_another_cross_validation(done, monkeypatch):
    other = open_phantom(patients=6, slices=(8, 12), size=64, seed=1)
    check_nothing_is_taken(done, other, monkeypatch)


def test_folds_of_other_data_are_refused(done, phantom_cohort, tmp_path, monkeypatch):
    shutil.copytree(done.parent, tmp_path / "runs")
    shutil.rmtree(tmp_path / "runs" / done.name)
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path))
    monkeypatch.setattr(experiment, "train_stages", never)
    RunFolder(tmp_path / "runs" / crossval.read(done)["runs"][0]["run"]).update(data_hash="e" * 64)
    with pytest.raises(RunError, match=r"fold-1-of-2.*begun with data_hash e{12}, now \w{12}; remove the folder to train anew"):
        cross_validate(RECIPE, phantom_cohort, folds=2)
    assert not (tmp_path / "runs" / done.name).exists()


@pytest.mark.parametrize(
    ("changes", "asked", "error", "words"),
    [
        ({}, {"folds": 7}, SplitError, "7 folds for 6 patients: expected 2 to 6"),
        ({}, {"folds": 1}, SplitError, "1 folds for 6 patients: expected 2 to 6"),
        ({}, {"folds": 0, "unit": "slice"}, SplitError, r"0 folds for \d+ slices: expected 2 to \d+"),
        ({}, {"folds": 5, "unit": "site"}, SplitError, r"5 folds for 4 sites \(CS, DU, FG, HT\): expected .* a fold for each"),
        ({}, {"unit": "voxel"}, SplitError, "unit 'voxel', expected one of patient, site, slice"),
        ({"model": "unet-resnet18", "model_arguments": (), "size": 101}, {}, ModelError, "101"),
        ({"batch_size": 5000}, {}, DataError, "5000"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(home, phantom_cohort, changes, asked, error, words):
    with pytest.raises(error, match=words) as refusal:
        cross_validate(replace(RECIPE, **changes), phantom_cohort, **asked)
    assert isinstance(refusal.value, BrainTumorError)
    assert "\n" not in str(refusal.value)
    assert not (home / "runs").exists()


# --------------------------------------------------------------------------------------------- bookkeeping, with stubbed runs


@settings(max_examples=15, deadline=None)
@given(
    task=st.sampled_from(["classification", "segmentation"]),
    unit=st.sampled_from(splits.UNITS),
    sites=st.dictionaries(
        st.sampled_from(["CS", "DU", "EZ", "FG"]), st.lists(st.integers(1, 5), min_size=1, max_size=4), min_size=2
    ),
    draw=st.data(),
)
def test_each_testable_slice_is_predicted_once_by_a_network_that_never_saw_it(stubs, task, unit, sites, draw):
    store = stubs.table_store(sites)
    testable = store.slices.iloc[splits.testable_rows(unit, store.cases, store.slices)]
    units = len(testable) if unit == "slice" else testable.case_id.nunique()
    assume(units >= 2)
    folds = None if unit == "site" else draw.draw(st.integers(2, min(units, 6)), label="folds")
    with tempfile.TemporaryDirectory() as home, stubs.stubbed(store, home):
        folder = cross_validate(stubs.RECIPES[task], store.cohort, unit, folds)
        facts = crossval.read(folder)
        gathered = pd.read_csv(folder / tasks.of(task).main)
        for _, rows in gathered.groupby("size") if task == "segmentation" else [("", gathered)]:
            assert rows[["case_id", "slice"]].to_numpy().tolist() == testable[["case_id", "slice"]].to_numpy().tolist()
        for number, fold in enumerate(facts["runs"], 1):
            split = splits.load(folder.parent / fold["run"] / "split.json")
            mine = gathered[gathered.fold == number]
            keys = mine.case_id + "/" + mine.slice.astype(str) if unit == "slice" else mine.case_id
            assert set(keys) == set(split.test)
            assert not set(keys) & {*split.train, *split.validation}
        assert facts["never_tested"] == sorted(set(store.cases.index) - set(testable.case_id))
        assert bool(facts["never_tested"]) == (unit == "patient" and "EZ" in sites)
        if task == "segmentation":
            for case_id, rows in testable.groupby("case_id"):
                numbers, planes = stored.load(folder, case_id)
                assert numbers.tolist() == planes[:, 0, 0].tolist() == rows.slice.tolist()
                assert planes.shape == (len(rows), stubs.NATIVE, stubs.NATIVE)
            with np.load(folder / "predictions.npz", allow_pickle=False) as arrays:
                assert len(arrays.files) == 2 * testable.case_id.nunique()


@pytest.fixture
def store(stubs):
    return stubs.table_store(SITES)


@pytest.fixture
def made(stubs, store, tmp_path):
    """The splits of the stubbed runs that were made, in order."""
    with stubs.stubbed(store, tmp_path) as names:
        yield names


def run_of(folder, fold):
    return folder.parent / crossval.read(folder)["runs"][fold - 1]["run"]


def spoil(stubs, store, change):
    """A finished cross-validation over patients whose second fold was changed since, asked for once more."""
    folder = cross_validate(stubs.RECIPES["segmentation"], store.cohort, folds=2)
    change(run_of(folder, 2))
    (folder / "scores.csv").unlink()
    before = contents(folder)
    with pytest.raises(BrainTumorError) as refusal:
        cross_validate(stubs.RECIPES["segmentation"], store.cohort, folds=2)
    after = contents(folder)
    assert {path: after[path] for path in after if path.name != "crossval.json"} == {
        path: before[path] for path in before if path.name != "crossval.json"
    }
    assert crossval.read(folder)["status"] == "failed"
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def rewritten(change):
    """Change the rows of a run's ``counts.csv``."""

    def rewrite(run):
        change(pd.read_csv(run / "counts.csv")).to_csv(run / "counts.csv", index=False)

    return rewrite


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows.iloc[1:], r"the 2 folds do not cover the cohort: 1 of 18 slices out of no fold, such as TCGA_\w+/1;"),
        (lambda rows: pd.concat([rows, rows.iloc[:1]]), r"1 of 18 slices out of two folds, such as TCGA_\w+/1;"),
        (
            lambda rows: pd.concat([rows, rows.iloc[:1].assign(slice=99)]),
            r"1 of 18 slices not to be tested, such as TCGA_\w+/99;",
        ),
        (lambda rows: rows.drop(columns="slice"), r"counts\.csv: no table of slices"),
    ],
)
def test_folds_that_do_not_cover_the_cohort_are_refused(stubs, store, made, change, words):
    assert re.search(words, spoil(stubs, store, rewritten(change)))


def test_predictions_of_other_slices_than_were_counted_are_refused(stubs, store, made):
    def shorten(run):
        path = sorted((run / "predictions").iterdir())[0]
        whole = load_prediction(path)
        replace(whole, slice_numbers=whole.slice_numbers[1:], native=whole.native[1:], working=whole.working[1:]).save(
            path.parent
        )

    assert "slices of TCGA_" in spoil(stubs, store, shorten)


def test_a_damaged_prediction_is_named(stubs, store, made):
    def cut(run):
        path = sorted((run / "predictions").iterdir())[0]
        path.write_bytes(path.read_bytes()[:-30])

    assert "not a stored prediction" in spoil(stubs, store, cut)


def test_a_killed_fold_goes_on_and_finished_ones_are_not_made_again(stubs, store, made, tmp_path):
    recipe, begun = stubs.RECIPES["segmentation"], []
    train = crossval.train

    def stop_at_the_third(of_fold, cohort, on_start=None):
        if of_fold.split == "fold-3-of-3":
            raise KeyboardInterrupt
        return train(of_fold, cohort, on_start)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(crossval, "train", stop_at_the_third)
        cross_validate(recipe, store.cohort, folds=3)
    folder = tmp_path / "runs" / crossval.crossval_name(recipe, "patient", 3, store)
    facts = crossval.read(folder)
    assert facts["status"] == "stopped"
    assert [fold["status"] for fold in facts["runs"]] == ["scored", "scored", "absent"]
    assert [path.name for path in folder.iterdir()] == ["crossval.json"]
    started = facts["started"]
    cross_validate(recipe, store.cohort, folds=3, on_fold=lambda *fold: begun.append((*fold[:2], fold[2].status)))
    assert made == ["fold-1-of-3", "fold-2-of-3", "fold-3-of-3"]
    assert begun == [(1, 3, "finished"), (2, 3, "finished"), (3, 3, "absent")]
    facts = crossval.read(folder)
    assert (facts["status"], facts["started"]) == ("finished", started)
    assert facts["seconds"] == 3 * 66


def test_what_was_begun_side_by_side_goes_on_so(stubs, store, made, monkeypatch):
    """Since the bits of a training depend on its threads; finished folds are taken here."""
    recipe, train, tasks_sent, taken = stubs.RECIPES["segmentation"], crossval.train, [], []

    def in_this_process(work, tasks, workers):
        tasks_sent.append((workers, [fold.number for _, fold in tasks]))
        for task in tasks:
            yield work(*task)

    def stop_at_the_third(of_fold, cohort, on_start=None):
        if of_fold.split == "fold-3-of-3":
            raise KeyboardInterrupt
        return train(of_fold, cohort, on_start)

    monkeypatch.setattr(crossval, "side_by_side", in_this_process)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(crossval, "train", stop_at_the_third)
        cross_validate(recipe, store.cohort, folds=3, workers=2)
    folder = cross_validate(recipe, store.cohort, folds=3, on_fold=lambda *fold: taken.append((fold[0], fold[2].status)))
    assert tasks_sent == [(2, [1, 2, 3]), (2, [3])]
    assert taken == [(1, "finished"), (2, "finished"), (3, "absent")]
    assert made == ["fold-1-of-3", "fold-2-of-3", "fold-3-of-3"]
    assert crossval.read(folder)["status"] == "finished"


def test_what_an_earlier_version_began_goes_on_in_turn(stubs, store, made, monkeypatch):
    recipe = stubs.RECIPES["segmentation"]
    folder = cross_validate(recipe, store.cohort, folds=2)
    facts = crossval.read(folder)
    files.write_json(folder / "crossval.json", {name: facts[name] for name in facts if name != "workers"} | {"status": "stopped"})
    monkeypatch.setattr(capacity, "_fitting", never)
    monkeypatch.setattr(crossval, "side_by_side", never)
    assert crossval.read(cross_validate(recipe, store.cohort, folds=2))["workers"] == 1


def test_a_fold_whose_scoring_was_cut_short_is_scored_again(stubs, store, made):
    recipe = stubs.RECIPES["segmentation"]
    folder = cross_validate(recipe, store.cohort, folds=2)
    before = contents(folder)
    (folder / "scores.csv").unlink()
    next((run_of(folder, 1) / "predictions").iterdir()).unlink()
    (run_of(folder, 2) / "floors.csv").unlink()
    cross_validate(recipe, store.cohort, folds=2)
    after = contents(folder)
    assert {path: after[path] for path in after if path.suffix != ".json"} == {
        path: before[path] for path in before if path.suffix != ".json"
    }


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_what_decides_it_is_in_its_name(stubs, store, monkeypatch, task):
    recipe = stubs.RECIPES[task]

    def name(unit="patient", folds=2, data=store, **changes):
        return crossval.crossval_name(replace(recipe, **changes), unit, folds, data)

    names = {name(*asked) for asked in (("patient", 2), ("patient", 3), ("slice", 2), ("site", 3))}
    names |= {name(seed=1), name(batch_size=8), name(data=replace(store, data_hash="e" * 64))}
    assert len(names) == 7
    assert name(split="source-002") == name(), "each fold has its own split"
    assert name(cohort="lgg") == name() and name().startswith("phantom-"), "the data say whose exams they are"
    now = name()
    monkeypatch.setattr(SegmentationRecipe, "PREPARATION", 99)
    assert (name() != now) == (task == "segmentation")


def test_leaving_out_a_site_of_one_patient_gives_no_interval(stubs, store, made):
    folder = cross_validate(stubs.RECIPES["segmentation"], store.cohort, unit="site")
    facts = crossval.read(folder)
    assert [fold["split"] for fold in facts["runs"]] == ["site-CS", "site-DU", "site-EZ"]
    assert facts["never_tested"] == []
    by_fold = pd.read_csv(folder / "fold_scores.csv")
    assert by_fold[by_fold.fold == 3].low.isna().all()
    assert by_fold[by_fold.fold == 1].low.notna().all()
    assert pd.read_csv(folder / "cases.csv").set_index("case_id").fold.to_dict() == {
        case_id: ["CS", "DU", "EZ"].index(case_id.split("_")[1]) + 1 for case_id in store.cases.index
    }


def test_a_floor_that_some_fold_lacks_is_no_floor_of_all(stubs, store, made):
    folder = cross_validate(stubs.RECIPES["segmentation"], store.cohort, folds=2)
    counts, floors = (pd.read_csv(folder / name) for name in ("counts.csv", "floors.csv"))
    perfect = counts.assign(tp=counts.tp + counts.fn, fp=0, fn=0, floor="shape interpolation")

    def floor_of(table):
        scores = out_of_fold.score({scoring.COUNTS: counts, scoring.FLOORS: table}, tasks.SEGMENTATION)
        return scores[scores.protocol == "patient mean"].floor_name.tolist()

    assert floor_of(floors) == ["mean mask at position"] * 2
    assert floor_of(pd.concat([floors, perfect])) == ["shape interpolation"] * 2
    assert floor_of(pd.concat([floors, perfect[perfect.fold == 1]])) == ["mean mask at position"] * 2


def test_calls_of_a_classification_are_each_folds_own():
    slices = pd.DataFrame(
        {
            "case_id": list("AABB"),
            "slice": [1, 2, 1, 2],
            "tumour": [False, True, False, True],
            "probability": [0.4, 0.6, 0.1, 0.3],
            "threshold": [0.5, 0.5, 0.2, 0.2],
            "fold": [1, 1, 2, 2],
        }
    )
    floors = slices.assign(floor="always no", probability=0.0)

    def score(slices):
        tables = {scoring.SLICES: slices, scoring.FLOORS: floors}
        return out_of_fold.score(tables, tasks.CLASSIFICATION).set_index("measure")

    scores = score(slices)
    assert scores.value["accuracy"] == 1
    assert scores.value["AUC"] == detection.auc(slices.tumour, slices.probability) == 0.75
    assert scores.threshold.isna().all()
    alike = score(slices.assign(threshold=0.5))
    assert (alike.value["accuracy"], alike.threshold["accuracy"]) == (0.75, 0.5)


@pytest.mark.parametrize(
    ("content", "words"), [("{", "damaged"), ("3", "damaged"), ("[]", "damaged"), ("{}", r"damaged \(no data_hash\)")]
)
def test_a_damaged_description_is_refused(stubs, store, made, content, words):
    folder = cross_validate(stubs.RECIPES["classification"], store.cohort, folds=2)
    (folder / "crossval.json").write_text(content)
    with pytest.raises(RunError, match=words) as refusal:
        cross_validate(stubs.RECIPES["classification"], store.cohort, folds=2)
    assert str(folder) in str(refusal.value)
    assert (folder / "crossval.json").read_text() == content


def test_a_case_that_was_never_predicted_is_named(stubs, store, made, tmp_path):
    folder = cross_validate(stubs.RECIPES["segmentation"], store.cohort, folds=2)
    with pytest.raises(DataError, match="no case 'TCGA_EZ_0000' among its 5: never tested"):
        stored.load(folder, "TCGA_EZ_0000")
    (folder / "predictions.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match="no out-of-fold predictions"):
        stored.load(folder, "TCGA_CS_0000")
    with pytest.raises(DataError, match="no out-of-fold predictions"):
        stored.load(tmp_path, "TCGA_CS_0000")
