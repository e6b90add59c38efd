"""Every committed record becomes a recipe in the present words and is found again by that recipe, without data.

A record may be years older than the code that reads it. These tests go through :mod:`brain_tumor.records.lookup` alone, so they
hold whatever a field or a word is called by then; where one fails, :mod:`brain_tumor.records.upgrade` lacks a word.
"""

import ast
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from brain_tumor import files
from brain_tumor.experiments import grid as generic
from brain_tumor.experiments.recipe import ClassificationRecipe, SegmentationRecipe
from brain_tumor.paths import CHECKOUT
from brain_tumor.records import lookup, upgrade
from brain_tumor.studies import incomplete_exams
from brain_tumor.studies.ingredients import answers, screening, table
from brain_tumor.studies.source_002 import grid
from brain_tumor.studies.source_002.cells import Cell
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.plan import Stage
from brain_tumor.training.pretrain import Pretraining

RECORDS = CHECKOUT / "reports" / "records"
RUNS, CROSSVALS, GRIDS = (
    sorted(path.parent for path in RECORDS.glob(f"*/{name}")) for name in (lookup.RUN, lookup.CROSSVAL, lookup.GRID)
)
SCREENINGS = sorted(path.parent for path in RECORDS.glob(f"*/{answers.DESCRIPTION}"))
INCOMPLETE_EXAMS = sorted(path.parent for path in RECORDS.glob(f"*/{incomplete_exams.DESCRIPTION}"))
WEIGHTS = sorted(RECORDS.glob("weights/*.json"))
DATA_HASH = files.read_json(CHECKOUT / "reports" / "01_explore.json")["data_hash"]


def names(paths):
    return [path.stem for path in paths]


@pytest.fixture(autouse=True)
def committed(monkeypatch):
    """The records in git, whatever reports folder the caller's environment names."""
    monkeypatch.setenv("BRAIN_TUMOR_REPORTS", str(CHECKOUT / "reports"))


def test_every_folder_of_records_is_of_a_kind_that_is_tested_here():
    kinds = RUNS, CROSSVALS, GRIDS, SCREENINGS, INCOMPLETE_EXAMS
    assert {path.name for path in RECORDS.iterdir()} == {"weights", *(name for folders in kinds for name in names_of(folders))}
    assert len(RUNS) >= 20 and len(CROSSVALS) >= 4 and len(GRIDS) >= 1 and len(WEIGHTS) >= 4


@pytest.mark.parametrize("folder", SCREENINGS, ids=names(SCREENINGS))
def test_a_screening_is_of_the_same_slices_throughout_and_answers(folder):
    costs, areas = answers.read_costs(folder), answers.read_areas(folder)
    whole = costs.groupby(["ingredient", "seed"]).fold.nunique() == screening.PLAN.folds
    for name, seed in whole[whole].index:
        counts = answers.counts_of(folder, name, seed)
        assert len(counts) == len(areas) and (counts[["tp", "fp", "fn"]] >= 0).all(axis=None)
    answered = answers.answers(folder, table.INGREDIENTS)
    assert set(answered.ingredient) == {name for name, _ in whole[whole].index}
    assert files.read_json(folder / answers.DESCRIPTION)["data_hash"] == DATA_HASH


@pytest.mark.parametrize("folder", INCOMPLETE_EXAMS, ids=names(INCOMPLETE_EXAMS))
def test_every_network_is_asked_every_patient_of_its_split_with_every_pattern(folder):
    facts, (trainings, counts) = files.read_json(folder / incomplete_exams.DESCRIPTION), incomplete_exams.read(folder)
    assert facts["data_hash"] == DATA_HASH
    of_patients = counts.groupby(["network", "split", "case_id"]).pattern
    assert (of_patients.nunique() == len(facts["patterns"])).all() and set(counts.pattern) == set(facts["patterns"])
    patients = counts.groupby(["split", "network"]).case_id.nunique()
    assert patients.groupby("split").nunique().eq(1).all() and counts.groupby("case_id").split.nunique().eq(1).all()
    assert set(patients.index) >= set(zip(trainings.split, trainings.network, strict=True))
    assert set(trainings.split) <= set(facts["splits"]) and set(trainings.network) <= set(facts["recipes"])


def names_of(folders):
    return {folder.name for folder in folders}


@pytest.mark.parametrize("folder", RUNS, ids=names(RUNS))
def test_a_run_is_found_by_its_recipe(folder):
    recipe, facts = lookup.recipe_of(folder), lookup.run_facts(folder)
    of_today = [other for other in RUNS if lookup.is_current(lookup.run_facts(other)) and lookup.recipe_of(other) == recipe]
    expected = of_today[0] if of_today else folder
    assert lookup.find(recipe) == expected
    assert lookup.find(recipe, cohort_name="lgg", data_hash=facts["data_hash"]) == expected
    assert lookup.find(recipe, cohort_name="phantom") is None
    assert lookup.find(recipe, data_hash="0" * 64) is None
    assert lookup.find(replace(recipe, seed=recipe.seed + 100)) is None


@pytest.mark.parametrize("folder", RUNS, ids=names(RUNS))
def test_a_recipe_says_what_the_folder_name_said(folder):
    """The name begins ``COHORT-SPLIT-MODEL-SIZE-seedSEED-``: those words have outlived every version."""
    recipe = lookup.recipe_of(folder)
    assert folder.name.startswith(f"lgg-{recipe.split}-{recipe.model}-{recipe.size}-seed{recipe.seed}-")
    assert recipe.split == files.read_json(folder / "split.json")["name"]
    scored = "slices.csv" if isinstance(recipe, ClassificationRecipe) else "counts.csv"
    assert (folder / scored).is_file()
    epochs = pd.read_csv(folder / "history.csv").groupby("stage", sort=False).size()
    assert [(stage.name, stage.epochs) for stage in recipe.stages] == list(epochs.items())


@pytest.mark.parametrize("folder", RUNS, ids=names(RUNS))
def test_a_run_says_how_its_masks_were_resized(folder):
    """Records from before it was written say preparation 1, those of classifiers say nothing."""
    facts, written = lookup.run_facts(folder), files.read_json(folder / lookup.RUN)
    learns_masks = lookup.recipe_of(folder).LEARNS_MASKS
    assert facts.get("preparation") == (written.get("preparation", 1) if learns_masks else None)
    assert lookup.is_current(facts) == (not learns_masks or written.get("preparation") == lookup.recipe_of(folder).PREPARATION)


@pytest.mark.parametrize("folder", CROSSVALS, ids=names(CROSSVALS))
def test_a_cross_validation_is_found_by_recipe_and_folds(folder):
    recipes, facts = lookup.fold_recipes(folder), lookup.crossval_facts(folder)
    unit, folds = facts["unit"], facts["folds"]
    names_of_folds = {
        "patient": [f"fold-{fold}-of-{folds}" for fold in range(1, folds + 1)],
        "site": [f"site-{hospital}" for hospital in ("CS", "DU", "EZ", "FG", "HT")],
    }
    assert [recipe.split for recipe in recipes] == names_of_folds[unit]
    assert len({replace(recipe, split="") for recipe in recipes}) == 1, "the folds differ in nothing but the split"
    assert lookup.find_crossval(recipes[0], unit, folds) == folder
    assert lookup.find_crossval(recipes[-1], unit, folds, "lgg", facts["data_hash"]) == folder
    for other in ((unit, folds + 1), ("slice", folds), (unit, folds, "phantom"), (unit, folds, None, "0" * 64)):
        assert lookup.find_crossval(recipes[0], *other) is None
    assert lookup.find_crossval(replace(recipes[0], batch_size=1), unit, folds) is None


def grid_of(folder):
    """The budget and the cells of a grid's record, as the present code has them."""
    facts = lookup.grid_facts(folder)
    return grid.Budget(**facts["budget"]), [Cell(**values) for values in facts["cells"]], facts


@pytest.mark.parametrize("folder", GRIDS, ids=names(GRIDS))
def test_a_grid_is_found_by_its_budget_and_cells(folder):
    budget, cells, facts = grid_of(folder)
    assert lookup.find_grid(budget, cells, "lgg", facts["data_hash"]) == folder
    assert lookup.find_grid(grid.BUDGETS["cpu"], grid.cells(), "lgg", DATA_HASH) == folder, "the grid that the command asks for"
    assert (
        lookup.find_grid(replace(budget, cost="dear"), [replace(cell, stated="") for cell in cells], "lgg", DATA_HASH) == folder
    )
    for wrong in (
        (replace(budget, epochs=budget.epochs + 1), cells, "lgg", DATA_HASH),
        (budget, cells[:-1], "lgg", DATA_HASH),
        (budget, [replace(cells[0], flip=not cells[0].flip), *cells[1:]], "lgg", DATA_HASH),
        (budget, cells, "phantom", DATA_HASH),
        (budget, cells, "lgg", "0" * 64),
    ):
        assert lookup.find_grid(*wrong) is None


@pytest.mark.parametrize("folder", GRIDS, ids=names(GRIDS))
def test_cells_of_a_grid_are_one_training_where_their_recipes_are_equal(folder):
    """Each run of the grid's costs answers one recipe and each recipe has one run, whatever the runs would be named today."""
    budget, cells, facts = grid_of(folder)
    known = {cell.name: cell for cell in cells}
    costs = pd.read_csv(folder / generic.COSTS, dtype={"cell": str})
    recipes = [grid.recipe(known[row.cell], budget, row.split, facts["cohort"]) for row in costs.itertuples()]
    pairs = set(zip(costs.run, recipes, strict=True))
    assert len(pairs) == costs.run.nunique() == len(set(recipes))
    steps = [(split, cell.name) for split, cell in grid.plan(budget, tuple(cells))]
    assert sorted(steps) == sorted(zip(costs.split, costs.cell, strict=True)), "nothing of it is left to train"


@pytest.mark.parametrize("folder", GRIDS, ids=names(GRIDS))
def test_a_grid_that_is_recorded_trains_nothing(folder, home, monkeypatch):
    """Not one of its trainings begins again, although no run of it is in this home."""
    budget, cells, facts = grid_of(folder)
    cohort = type("Cohort", (), {"name": "lgg", "phantom": False, "n_slices": 3404, "__len__": lambda _self: 95})()
    for module in (generic, grid):
        monkeypatch.setattr(module, "open_store", lambda _cohort: SimpleNamespace(data_hash=facts["data_hash"]))
    monkeypatch.setattr(generic, "_train", lambda *_recipe: pytest.fail("a recorded cell was trained again"))
    copy = shutil.copytree(folder, home / "record")
    costs = pd.read_csv(copy / generic.COSTS, dtype={"cell": str})
    costs.assign(run="named-" + costs.run).to_csv(copy / generic.COSTS, index=False)
    answered = grid.train(budget, cohort, tuple(cell.name for cell in cells), record=copy)
    assert files.read_json(answered / generic.DESCRIPTION)["done"] == len(costs)


@pytest.mark.parametrize("path", WEIGHTS, ids=names(WEIGHTS))
def test_weights_are_named_by_their_recipe(path):
    facts = files.read_json(path)
    written = facts["recipe"]
    augmentation = Augmentation(**upgrade.recipe(written)["augmentation"])
    values = {upgrade.OF_CELLS.get(name, name): value for name, value in written.items()}
    recipe = Pretraining(**values | {"augmentation": augmentation})
    name = recipe.weights_file.name.removesuffix(".weights.h5")
    assert path.stem in (name, f"{name}-{facts['sha256'][:8]}"), "where training looks for them, or what was there before"


@pytest.mark.parametrize("folder", [*RUNS, *CROSSVALS, *GRIDS], ids=names([*RUNS, *CROSSVALS, *GRIDS]))
def test_the_weights_that_a_record_began_with_are_recorded_too(folder):
    facts = next(json.loads((folder / name).read_text()) for name in (lookup.RUN, lookup.CROSSVAL, lookup.GRID)
                 if (folder / name).is_file())  # fmt: skip
    encoder = facts.get("encoder")
    encoders = facts.get("encoders", {encoder["file"]: encoder["sha256"]} if encoder else {})
    hashes = [files.read_json(path)["sha256"] for path in WEIGHTS]
    recorded = {(path.stem.removesuffix(f"-{sha[:8]}") + ".weights.h5", sha) for path, sha in zip(WEIGHTS, hashes, strict=True)}
    handed_on = {f"slices-{run.name[-8:]}.npz" for run in RUNS}  # by a run, whose record is there
    assert {item for item in encoders.items() if item[0] not in handed_on} <= recorded


def test_present_words_stay_as_they_are():
    for folder in RUNS:
        facts = lookup.run_facts(folder)
        assert upgrade.description(facts) == facts
    for folder in CROSSVALS:
        facts = lookup.crossval_facts(folder)
        assert upgrade.description(facts) == facts
    for folder in GRIDS:
        facts = lookup.grid_facts(folder)
        assert upgrade.grid(facts) == facts


# What the notebooks ask for, in the shortest words: so that a default that changes does not orphan a record either.
TWELVE, SIX, EIGHT = ((Stage("all", epochs=epochs),) for epochs in (12, 6, 8))
GRADUAL = (
    Stage("head", 2, part="head"),
    Stage("all", 2, 0.3 * 1e-3),
    Stage("by depth", 4, 0.3 * 1e-3, layer_decay=0.6),
)
DRAWS = [f"{kind}-{draw}-of-3" for kind in ("clean", "leaky") for draw in (1, 2, 3)]
ASKED = [
    *(SegmentationRecipe(split=split, stages=SIX) for split in (*DRAWS, "site-HT")),
    *(ClassificationRecipe(split=split, stages=SIX) for split in DRAWS),
    *(
        ClassificationRecipe(split="source-002", model=model, weights="mri4", stages=GRADUAL, precision="mixed_bfloat16")
        for model in ("resnet50", "resnet18")
    ),
    *(SegmentationRecipe(model=model, stages=TWELVE, seed=seed) for model in ("resunet", "unet-resnet18") for seed in (0, 1)),
]


@pytest.mark.parametrize("recipe", ASKED, ids=lambda recipe: f"{recipe.split}-{recipe.model}-seed{recipe.seed}")
def test_what_notebooks_ask_for_is_recorded(recipe):
    folder = lookup.find(recipe, cohort_name="lgg", data_hash=DATA_HASH)
    assert folder is not None and f"-{recipe.split}-{recipe.model}-" in folder.name


@pytest.mark.parametrize(("model", "folds"), [("resnet50", 3), ("resnet18", 5)])
@pytest.mark.parametrize("plan", [{"weights": "mri4", "stages": GRADUAL}, {"stages": EIGHT}], ids=["mri4", "random"])
def test_the_cross_validations_that_notebooks_ask_for_are_recorded(model, folds, plan):
    recipe = ClassificationRecipe(model=model, validation=0.15, precision="mixed_bfloat16", **plan)
    folder = lookup.find_crossval(recipe, "patient", folds, "lgg", DATA_HASH)
    assert folder is not None and f"-crossval-{folds}-patient-{model}-" in folder.name


def test_the_upgrade_stands_on_nothing_that_may_change():
    """What an old word meant is history: it may not follow a constant or a default of the present code."""
    tree = ast.parse((CHECKOUT / "brain_tumor" / "records" / "upgrade.py").read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
