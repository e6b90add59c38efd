"""A search tries settings on the validation part, remembers what it tried, and never looks at a test slice."""

import json
from dataclasses import replace

import pytest

from brain_tumor.data.cache import open_store
from brain_tumor.errors import DataError, ModelError, RunError
from brain_tumor.experiments import run as experiment, search, tasks
from brain_tumor.experiments.recipe import ClassificationRecipe, SegmentationRecipe
from brain_tumor.training.plan import Stage
from brain_tumor.training.runs import all_runs

RECIPE = ClassificationRecipe(
    cohort="phantom", split="ratio-33", validation=0.5, model="plain", size=32, stages=(Stage("all", 1),), batch_size=4,
    batchnorm_momentum=0.9, precision="float32",
)  # fmt: skip
VARIED = ("max_lr", "flip")


@pytest.fixture
def asked(monkeypatch):
    """The run of every training that a search asks for; scoring is out of reach."""
    runs, train = [], search.train

    def noted(recipe, cohort):
        runs.append(name_of(recipe, cohort))
        return train(recipe, cohort)

    monkeypatch.setattr(search, "train", noted)
    monkeypatch.setitem(tasks.TASKS, "classification", replace(tasks.CLASSIFICATION, evaluate=None))
    return runs


def name_of(recipe, cohort):
    return experiment.run_folder(recipe, open_store(cohort)).path.name


def test_trials_are_runs_judged_by_their_validation_loss_best_first(home, phantom_cohort, asked):
    folder = search.search(RECIPE, phantom_cohort, 2, VARIED)
    trials = search.read(folder)
    assert list(trials) == ["trial", "max_lr", "flip", "validation_loss", "minutes", "run"]
    assert sorted(trials.run) == sorted(asked) and len(set(asked)) == 2
    assert trials.validation_loss.is_monotonic_increasing
    runs = {run.path.name: run for run in all_runs()}
    for row in trials.itertuples():
        recipe = runs[row.run].description["recipe"]
        assert recipe["stages"][0]["max_lr"] == row.max_lr and recipe["augmentation"]["flip"] == row.flip
        assert runs[row.run].history.validation_loss.iloc[-1] == pytest.approx(row.validation_loss, abs=1e-5)
        assert not (runs[row.run].path / "slices.csv").exists(), "no test slice was predicted"


def test_a_stopped_search_goes_on_with_the_trial_it_was_at(home, phantom_cohort, asked, monkeypatch):
    whole = search.train

    def stop(recipe, cohort):
        if len(asked) == 1:
            asked.append(name_of(recipe, cohort))
            raise KeyboardInterrupt
        return whole(recipe, cohort)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(search, "train", stop)
        search.search(RECIPE, phantom_cohort, 2, VARIED)
    folder = search.search(RECIPE, phantom_cohort, 2, VARIED)
    assert len(asked) == 3 and asked[1] == asked[2], "the same settings, and so the same run"
    assert sorted(search.read(folder).run) == sorted({*asked})
    assert search.search(RECIPE, phantom_cohort, 2, VARIED) == folder and len(asked) == 3, "there are as many as asked for"


def test_another_recipe_and_other_data_are_another_search(phantom_cohort, monkeypatch):
    store = open_store(phantom_cohort)

    def name(names=VARIED, data=store, recipe=RECIPE, **changes):
        return search.search_name(replace(recipe, **changes), names, data)

    assert len({name(), name(seed=1), name(VARIED[:1]), name(data=replace(store, data_hash="e" * 64))}) == 4
    assert name(cohort="lgg").startswith("phantom-search-plain-32-seed0-"), "the data say whose exams they are"
    masks = SegmentationRecipe(validation=0.5)
    names = name(), name(recipe=masks)
    monkeypatch.setattr(SegmentationRecipe, "PREPARATION", 99)
    assert name() == names[0] and name(recipe=masks) != names[1]


def test_only_what_means_something_is_varied():
    assert "strategy" not in search.variable(RECIPE)
    assert "strategy" in search.variable(SegmentationRecipe(weights="mri4"))
    assert "balance" not in search.SPACE, "a weighted loss cannot be ranked among others"
    assert "strategy" in search.variable(SegmentationRecipe(weights="mri4"))


@pytest.mark.parametrize(
    ("recipe", "names", "said"),
    [
        (replace(RECIPE, validation=0.0), (), "validation part"),
        (RECIPE, ("rate",), "'rate' cannot be varied here, expected some of max_lr"),
        (RECIPE, ("strategy",), "'strategy' cannot be varied here"),
        (replace(RECIPE, model="resnet18", weights="mri4"), ("strategy",), "'gradual' has 3 stages, which 1 epochs cannot fill"),
        (replace(RECIPE, stages=(Stage("a", 1), Stage("b", 1))), ("flip",), "no named strategy"),
    ],
    ids=["no validation part", "unknown", "nothing learnt", "too short to gradual", "own stages"],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_written(home, phantom_cohort, recipe, names, said):
    with pytest.raises(ModelError, match=said):
        search.search(recipe, phantom_cohort, 2, names)
    assert not (home / "runs").exists()


def test_a_trial_that_does_not_fit_ends_the_search_with_its_reason(home, phantom_cohort, monkeypatch):
    monkeypatch.setitem(search.SPACE, "batch_size", (1000,))
    with pytest.raises(DataError, match="1000"):
        search.search(RECIPE, phantom_cohort, 1, ("batch_size",))
    with pytest.raises(RunError, match="no finished trial"):
        search.read(next((home / "runs").glob("*-search-*")))


def test_settings_are_such_as_a_person_would_type():
    rate = search.varied(RECIPE, {"max_lr": 0.00123}).stages[0].max_lr
    assert json.dumps(rate) == "0.00123"
    assert [search._rounded(value) for value in (0.000123456, 0.0998765, 12.3456)] == [0.000123, 0.0999, 12.3]
