"""A grid takes recipes of any task that says something of single slices; what is asked of one study's is in its own tests."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from brain_tumor.errors import ModelError, RunError
from brain_tumor.evaluation import overlap, scoring
from brain_tumor.experiments import capacity, grid, run as experiment, tasks

SITES = {"CS": [8, 9, 7], "DU": [8, 10, 9]}


@pytest.fixture
def place(stubs, home, monkeypatch):
    """What trains nothing: ``train(cells)`` gives the grid's folder, ``made`` the splits on which runs were made."""
    store = stubs.table_store(SITES)
    monkeypatch.setattr(grid, "open_store", lambda _cohort: store)
    with stubs.stubbed(store, home) as made, pytest.MonkeyPatch.context() as patch:  # undone before what it patches is
        scored = experiment.evaluate

        def evaluate(run, cohort):
            scored(run, cohort)
            if (run.path / scoring.COUNTS).is_file():
                floors = overlap.as_slices(scoring.read_counts(run.path)).assign(floor="always no", probability=0.0)
                floors.to_csv(run.path / scoring.SLICE_FLOORS, index=False)

        patch.setattr(experiment, "evaluate", evaluate)
        folder, facts = home / "runs" / "which-batch", {"question": "which batch?"}
        recipes = {task: replace(recipe, split="ratio-34") for task, recipe in stubs.RECIPES.items()}
        yield SimpleNamespace(
            made=made, folder=folder, recipes=recipes, train=lambda cells: grid.train(folder, cells, store.cohort, facts)
        )


@pytest.mark.parametrize("task", ["segmentation", "classification"])
def test_a_grid_of_any_task_has_a_column_a_cell(place, task):
    batches = {"four": 4, "eight": 8, "also four": 4}
    recipes = {
        (split, name): replace(place.recipes[task], split=split, batch_size=size)
        for split in ("ratio-34", "fold-1-of-2")
        for name, size in batches.items()
    }
    folder = place.train(recipes)
    assert place.made == ["ratio-34"] * 2 + ["fold-1-of-2"] * 2, "equal recipes are one training"
    facts, costs = grid.read(folder), grid.costs(folder)
    assert (facts["question"], facts["done"], facts["of"]) == ("which batch?", 6, 6)
    assert list(zip(costs.split, costs.cell, strict=True)) == list(recipes) and set(costs.threshold) == {0.5}
    table = pd.read_csv(folder / "slices-ratio-34.csv")
    assert list(table) == [*grid.KEYS, *batches] and (table["four"] == table["also four"]).all()
    assert table.four.sub(table.slice / 255).abs().max() < 0.004, "what the run says of that slice"
    assert len(pd.read_csv(folder / "floors-ratio-34.csv")) >= len(table)


def test_a_grid_goes_on_with_as_many_workers_as_began_it(place, monkeypatch):
    numbers = []

    def workers(recipes, cohort, asked, begun):
        numbers.append((len(recipes), asked, begun))
        return 1

    monkeypatch.setattr(capacity, "workers", workers)
    cells = {("ratio-34", str(size)): replace(place.recipes["classification"], batch_size=size) for size in (4, 8)}
    for some in (dict(list(cells.items())[:1]), cells, cells):
        assert grid.read(place.train(some))["workers"] == 1
    assert numbers == [(1, None, None), (2, None, 1)], "the third time there is nothing to train"


def test_cells_that_were_tested_on_other_slices_are_refused(place):
    recipe = place.recipes["classification"]
    with pytest.raises(RunError, match="tested on other slices than earlier cells on ratio-34"):
        place.train({("ratio-34", "drawn"): recipe, ("ratio-34", "drawn anew"): replace(recipe, split_seed=1)})
    assert grid.done(place.folder) == 1, "what was gathered stays"


def test_a_task_that_says_nothing_of_single_slices_is_refused(place, monkeypatch):
    monkeypatch.setitem(tasks.TASKS, "classification", replace(tasks.CLASSIFICATION, slices=None))
    with pytest.raises(RunError, match="of which a run of classification says nothing"):
        place.train({("ratio-34", "one"): place.recipes["classification"]})
    assert not place.folder.exists() and not place.made


def test_the_weights_of_a_unet_are_named_by_its_backbone(place):
    recipe = replace(place.recipes["segmentation"], model="unet-resnet18", size=32, weights="mri4")
    with pytest.raises(ModelError, match="--backbone resnet18 --normalisation volume"):
        place.train({("ratio-34", "learnt"): recipe})
    assert not place.made
