"""A third task, in a user's own module: the package trains it, cross-validates it, records it and reports it as it stands.

The task is a regression: how much of a slice is tumour? Its module lies in a temporary folder, outside the package.
"""

import importlib
import json
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from brain_tumor import files
from brain_tumor.data.phantom import open_phantom
from brain_tumor.errors import RunError, RunWarning
from brain_tumor.experiments import crossval, run as experiment, tasks
from brain_tumor.records import comparison, crossval as crossval_record, lookup, records
from brain_tumor.report.pages import crossval as crossval_page, run as run_page, sections, views
from brain_tumor.training.augment import NONE
from brain_tumor.training.plan import Stage

MODULE = '''
"""How much of a slice is tumour?"""

from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np
import pandas as pd

from brain_tumor.data.intensity import normalise
from brain_tumor.evaluation import intervals
from brain_tumor.evaluation import scoring
from brain_tumor.experiments.part import Result
from brain_tumor.experiments.inputs import network_inputs
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.experiments.tasks import Task
from brain_tumor.models import saved
from brain_tumor.training.fields import setting

AREAS = "areas.csv"
NEAR = 0.02  # of the slice
SLICE = ["case_id", "slice"]


@dataclass(frozen=True)
class AreaRecipe(Recipe):
    TASK: ClassVar[str] = "area"
    MODELS: ClassVar[tuple[str, ...]] = ("plain",)
    LOSSES: ClassVar[tuple[str, ...]] = ("mse",)
    NEW_LAYERS: ClassVar[str] = "head"

    model: str = setting("plain", "Which network.", choices=MODELS)
    loss: str = setting("mse", "What is minimised.", choices=LOSSES)


def mse(truth, area):
    return keras.ops.mean(keras.ops.square(truth - area))


def absolute_error(truth, area):
    return keras.ops.abs(truth - area)[:, 0]


def areas(recipe, store):
    return (store.slices.tumour_px / store.size**2).to_numpy(np.float32)


def evaluate(part, again):
    inputs, scalings = network_inputs(part.recipe, part.store)
    model, truth = saved.load(part.run.path), areas(part.recipe, part.store)
    answers = model.predict_on_batch(normalise(inputs[part.rows], scalings[part.rows]))[:, 0]
    rows = part.store.slices[SLICE].iloc[part.rows].assign(area=truth[part.rows])
    tables = {
        AREAS: rows.assign(predicted=answers),
        scoring.FLOORS: rows.assign(floor="mean of training", predicted=truth[part.train_rows].mean()),
    }
    tables[scoring.SCORES] = score(tables, part.recipe.threshold)
    tables[scoring.CASES] = per_case(tables[AREAS], part.store.size).reset_index()
    return Result(tables, {})


def near(rows):
    return ((rows.predicted - rows.area).abs() <= NEAR).groupby(rows.case_id).mean().to_numpy()


def closeness(rows):
    return (1 - (rows.predicted - rows.area).abs()).groupby(rows.case_id).mean().to_numpy()


def score(tables, threshold):
    rows = []
    for name, measure in {"near": near, "closeness": closeness}.items():
        values = measure(tables[AREAS])
        low, high = intervals.bootstrap(values, np.mean)
        floor, floor_name = max((measure(of_one).mean(), name) for name, of_one in tables[scoring.FLOORS].groupby("floor"))
        scored = {"measure": name, "value": values.mean(), "low": low, "high": high}
        rows.append(scored | {"floor": floor, "floor_name": floor_name, "patients": len(values)})
    return pd.DataFrame(rows)


def per_case(rows, size):
    return rows.groupby("case_id")[["area", "predicted"]].mean()


TASK = Task(
    recipe=AreaRecipe,
    targets=areas,
    losses={"mse": mse},
    metrics=(absolute_error,),
    evaluate=evaluate,
    main=AREAS,
    tables=(AREAS, scoring.FLOORS, scoring.CASES, scoring.SCORES),
    scored=("measure", "value"),
    headlines=("near", "closeness"),
    score=score,
    per_case=per_case,
)
'''
FOLDS = 2


class Place:
    """A home in which the user's task was trained, scored and cross-validated on the phantom."""

    def __init__(self, folder, task, cohort):
        self.folder, self.task, self.cohort = folder, task, cohort
        self.recipe = task.recipe(
            cohort="phantom", split="ratio-33", size=32, stages=(Stage("all", 1),), batch_size=4, augmentation=NONE,
            flip_tta=False, precision="float32",
        )  # fmt: skip
        self.run = experiment.train(self.recipe, cohort)
        self.scores = experiment.evaluate(self.run, cohort)
        with pytest.warns(RunWarning, match="in turn, not 2 side by side: AreaRecipe is your own code"):
            self.crossval = crossval.cross_validate(self.recipe, cohort, folds=FOLDS, workers=2)


@pytest.fixture(scope="module")
def place(tmp_path_factory, phantom_cohort):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("user")
        (folder / "tumour_area.py").write_text(MODULE, encoding="utf-8")
        patch.syspath_prepend(str(folder))
        patch.setenv("BRAIN_TUMOR_HOME", str(folder / "home"))
        patch.setenv("BRAIN_TUMOR_REPORTS", str(folder / "reports"))
        patch.setattr(open_phantom, "__defaults__", (6, (8, 12), 64, 0))
        task = importlib.import_module("tumour_area").TASK
        patch.setitem(tasks.TASKS, task.name, task)
        yield Place(folder, task, phantom_cohort)
    sys.modules.pop("tumour_area")


@pytest.fixture
def recorded(place):
    """The record of the run and that of the cross-validation, made as if the phantom's patients were real."""
    descriptions = [place.run.path / "run.json", place.crossval / "crossval.json"]
    before = [files.read_json(path) for path in descriptions]
    for path, facts in zip(descriptions, before, strict=True):
        files.write_json(path, facts | {"phantom": False})
    yield records.commit_record(place.run), crossval_record.commit_crossval(place.crossval)
    for path, facts in zip(descriptions, before, strict=True):
        files.write_json(path, facts)


def test_a_run_learns_numbers_and_is_scored_by_the_tasks_own_rules(place):
    assert place.run.status == "finished" and place.run.description["recipe"]["task"] == "area"
    history = place.run.history
    assert len(history) == 1 and 0 < history.absolute_error[0] < 10
    areas = pd.read_csv(place.run.path / "areas.csv")
    store = experiment.open_store(place.cohort)
    truth = areas.merge(store.slices, on=["case_id", "slice"]).tumour_px / 64**2
    np.testing.assert_allclose(areas.area, truth, atol=1e-6)
    assert areas.predicted.nunique() == len(areas)  # the network looks at the slices
    assert list(place.scores.measure) == ["near", "closeness"] and place.scores.floor.notna().all()


def test_every_slice_is_predicted_out_of_fold(place):
    facts = crossval.read(place.crossval)
    assert facts["status"] == "finished" and len(facts["runs"]) == FOLDS
    areas = pd.read_csv(place.crossval / "areas.csv")
    assert len(areas) == place.cohort.n_slices == len(areas.drop_duplicates(["case_id", "slice"]))
    assert set(areas.fold) == {1, 2}
    by_fold = pd.read_csv(place.crossval / "fold_scores.csv")
    assert list(by_fold.measure) == ["near", "closeness"] * FOLDS
    assert set(pd.read_csv(place.crossval / "cases.csv").columns) == {"case_id", "area", "predicted", "fold"}


def test_the_record_of_a_run_is_found_and_scored_anew(place, recorded):
    record = recorded[0]
    names = {path.name for path in record.iterdir()}
    assert names == {"run.json", "split.json", "history.csv", "areas.csv", "floors.csv", "cases.csv", "scores.csv"}
    assert lookup.find(place.recipe) == record and lookup.recipe_of(record) == place.recipe
    assert lookup.find(replace(place.recipe, seed=1)) is None
    pd.testing.assert_frame_equal(records.scores_of(record), pd.read_csv(record / "scores.csv"), atol=1e-5)
    assert list(pd.read_csv(record / "scores.csv").measure) == ["near", "closeness"]


def test_what_the_task_does_not_offer_is_refused_in_words(place):
    with pytest.raises(RunError, match="a run of area says nothing of single slices"):
        records.read_slices(place.run.path)
    with pytest.raises(RunError, match="runs of area cannot be compared"):
        comparison.compare(place.run.path, place.run.path)


def test_the_record_of_a_cross_validation_is_found(place, recorded):
    record = recorded[1]
    names = {path.name for path in record.iterdir()}
    tables = {"areas.csv", "floors.csv", "cases.csv", "scores.csv", "fold_scores.csv"}
    assert names == {"crossval.json", "history.csv"} | tables
    data_hash = lookup.crossval_facts(record)["data_hash"]
    assert lookup.find_crossval(place.recipe, "patient", FOLDS, data_hash=data_hash) == record


def test_a_run_has_a_page_of_its_scores(place, recorded):
    assert views.of("area") is views.PLAIN
    (section,) = views.sections_of(place.run.path)
    assert section.title == sections.SCORES and list(section.table.index) == ["near", "closeness"]
    page = run_page.publish_record(recorded[0])
    text, sidecar = page.read_text(encoding="utf-8"), files.read_json(page.with_suffix(".json"))
    assert "closeness" in text and "absolute error" in text
    assert [number["name"] for number in sidecar["numbers"]] == ["plain near", "plain closeness"]
    assert f"plain closeness: {place.scores.value[1]:.3f}" in sidecar["answer"]
    assert f"floor {place.scores.floor[1]:.3f}" in sidecar["answer"]


def test_a_cross_validation_has_a_page_of_its_scores_folds_and_patients(place, recorded):
    by_title = {section.title: section for section in crossval_page.of_folder(place.crossval)}
    assert list(by_title) == [sections.PATIENTS, sections.SCORES, crossval_page.FOLDS]
    assert len(by_title[sections.PATIENTS].table) == len(place.cohort)
    assert list(by_title[crossval_page.FOLDS].table.index) == ["fold-1-of-2"] * 2 + ["fold-2-of-2"] * 2
    page = crossval_page.publish(recorded[1])
    assert "closeness" in page.read_text(encoding="utf-8")
    numbers = files.read_json(page.with_suffix(".json"))["numbers"]
    assert [number["name"] for number in numbers] == ["plain near", "plain closeness"]
    assert all(number["headline"] for number in numbers)


def test_the_command_line_takes_the_recipe_from_its_file(place, command):
    path = place.folder / "recipe.json"
    path.write_text(json.dumps(place.recipe.to_json()), encoding="utf-8")
    for file in (path, place.run.path / "run.json"):
        answer = command("train", "--recipe", file)
        assert answer.code == 0, answer.err
        assert str(place.run.path) in answer.out  # the very run, which is finished
    answer = command("crossval", "--recipe", place.crossval / "crossval.json")
    assert answer.code == 0, answer.err
    assert "fold-2-of-2" in answer.out and place.crossval.name in answer.out


def test_the_command_line_scores_lists_and_reports_runs(place, command):
    scored = command("evaluate", place.run.path.name)
    assert scored.code == 0, scored.err
    assert "closeness" in scored.out and "95 % interval" in scored.out
    listed = command("runs")
    assert listed.code == 0, listed.err
    assert f"closeness {place.scores.value[1]:.3f} ({place.scores.floor[1]:.3f})" in listed.out
    for name in (place.run.path.name, place.crossval.name):
        answer = command("report", name)
        assert answer.code == 0, answer.err
        assert (place.folder / "reports" / "local" / f"{name}.phantom.html").is_file()
