"""The grid trains each cell once, gathers every slice, and answers claims from what it gathered and nothing else."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from brain_tumor import files
from brain_tumor.errors import ModelError, RunError
from brain_tumor.evaluation import intervals
from brain_tumor.experiments import grid as generic, run as experiment
from brain_tumor.paths import CHECKOUT
from brain_tumor.records import records
from brain_tumor.studies.source_002 import answers, grid, tables as grid_tables
from brain_tumor.studies.source_002.cells import CELLS, CLAIMS, QUESTIONS, WITHOUT_INPUT_BATCHNORM, Claim
from brain_tumor.training.runs import RunFolder

BUDGET = grid.Budget("tiny", 32, 3, ("ratio-34", "source-002"), ("fold-1-of-2", "fold-2-of-2"), "none", "nothing")
SITES = {"CS": [8, 9, 7], "DU": [8, 10, 9]}
KNOWN = {cell.name: cell for cell in (*CELLS, *WITHOUT_INPUT_BATCHNORM)}


def asked(name, budget=BUDGET):
    return grid.recipe(KNOWN[name], budget, "ratio-34", "phantom")


@pytest.fixture
def trained(stubs, home, monkeypatch):
    """A tiny grid of three cells, and the splits on which runs were made."""
    store = stubs.table_store(SITES)
    for module in (generic, grid, grid_tables):
        monkeypatch.setattr(module, "open_store", lambda _cohort: store)
    with stubs.stubbed(store, home) as made:
        yield grid.train(BUDGET, store.cohort, ("17", "18", "16")), made, store


def test_there_are_twenty_and_the_source_fixes_some():
    assert [cell.name for cell in CELLS] == [str(number) for number in range(1, 21)]
    stated = {cell.name: cell.stated for cell in CELLS if cell.stated}
    assert stated == {"1": "network", "3": "network"} | dict.fromkeys(("13", "15", "19", "20"), "network, normalisation, flip")
    assert {KNOWN[name].model for name in ("1", "13", "19")} == {"resnet50"}
    assert all(KNOWN[name].flip and KNOWN[name].normalisation == "unit" for name in ("13", "15"))
    assert all(KNOWN[name].flip and KNOWN[name].normalisation == "imagenet" for name in ("19", "20"))


def test_every_claim_is_about_cells_that_there_are():
    assert {name for claim in (*CLAIMS, *QUESTIONS) for name in (claim.one, claim.other)} <= set(KNOWN)


def test_equal_cells_are_one_training_and_others_are_not(stubs):
    store = stubs.table_store(SITES)

    def run_name(recipe):
        return experiment.run_folder(recipe, store).path.name

    names = {cell: run_name(asked(cell)) for cell in ("3", "15", "16", "18", "20")}
    assert asked("16") == asked("18") and names["16"] == names["18"]
    assert asked("20") == asked("15") and names["20"] == names["15"] != names["18"]
    frozen = grid.recipe(replace(KNOWN["3"], normalisation="imagenet"), BUDGET, "ratio-34", "phantom")
    assert frozen != asked("3") and run_name(frozen) != names["3"], "frozen statistics undo nothing"
    without = [run_name(asked(cell.name)) for cell in WITHOUT_INPUT_BATCHNORM]
    assert len(set(without)) == len(without), "without the first BatchNorm each normalisation is a training of its own"


def test_recipes_are_the_sources_but_for_a_rate_that_makes_up_for_fewer_epochs():
    recipe = asked("15", grid.BUDGETS["full"])
    (stage,) = recipe.stages
    assert (recipe.batch_size, recipe.size, stage.epochs) == (8, 224, 30)
    assert (stage.optimiser, stage.max_lr, stage.momentum, stage.schedule) == ("sgd", 1e-4, 0.5, "constant")
    assert recipe.augmentation.flip and recipe.augmentation.rotation_degrees == 0
    assert (recipe.weights, recipe.normalisation) == ("imagenet", "raw"), "the range in which those weights were learnt"
    assert asked("15").stages[0].max_lr == pytest.approx(1e-3)
    assert asked("3").stages[0].part == "head"


def test_all_cells_come_once_before_any_comes_again():
    steps = list(grid.plan(BUDGET, grid.cells()))
    assert [split for split, _ in steps[:26]] == ["ratio-34"] * 26
    assert [cell for split, cell in steps if split == "source-002"] == list(CELLS), "over slices the source's own alone"
    judged = {cell.name for split, cell in steps if split == "fold-1-of-2"}
    assert judged == {name for claim in (*CLAIMS, *QUESTIONS) for name in (claim.one, claim.other)}


def test_where_time_is_short_the_main_contrasts_are_asked_again():
    steps = grid.plan(grid.BUDGETS["cpu"], grid.cells())
    judged = {cell.name for split, cell in steps if split == "fold-1-of-3"}
    assert {"1", "3", "13", "15", "19", "20", "resnet18 imagenet", "resnet50 imagenet"} <= judged, "the source's main contrasts"
    assert not judged & {"2", "14", "17", "resnet50 volume"}, "dear, and asked of ResNet-18"


def test_an_unknown_cell_is_refused():
    with pytest.raises(ModelError, match="no cell '21', expected some of 1, 2, 3"):
        grid.cells(("3", "21"))


def test_cells_stand_in_the_tables_order_each_once():
    assert [cell.name for cell in grid.cells(("15", "3", "15"))] == ["3", "15"]


def test_it_gathers_a_column_a_cell_and_trains_equal_cells_once(trained, home):
    folder, made, store = trained
    assert made.count("ratio-34") == 2 and made.count("fold-1-of-2") == 2
    table = pd.read_csv(folder / "slices-ratio-34.csv")
    assert list(table) == ["case_id", "slice", "tumour", "16", "17", "18"]
    assert (table["16"] == table["18"]).all()
    assert (table["16"] != table["17"]).all(), "else it could not be seen which is whose"
    costs = pd.read_csv(folder / generic.COSTS, dtype={"cell": str})
    for row in costs.itertuples():
        own = pd.read_csv(home / "runs" / row.run / "slices.csv").probability.round(4)
        assert pd.read_csv(folder / f"slices-{row.split}.csv")[row.cell].tolist() == own.tolist(), f"{row.split} {row.cell}"
    folds, _ = answers.slices(folder, BUDGET.folds)
    assert len(folds) == len(store.slices), "every patient is tested by one fold"
    assert generic.read(folder)["done"] == generic.read(folder)["of"] == 12


def test_a_second_time_trains_nothing(trained):
    folder, made, store = trained
    before = len(made)
    assert grid.train(BUDGET, store.cohort, ("17", "18", "16")) == folder
    assert len(made) == before


def test_what_is_gathered_is_not_trained_again_whatever_its_runs_were_named(trained):
    folder, made, store = trained
    costs = pd.read_csv(folder / generic.COSTS, dtype={"cell": str})
    costs.assign(run=costs.run + "-of-earlier-words").to_csv(folder / generic.COSTS, index=False)
    before = len(made)
    grid.train(BUDGET, store.cohort, ("17", "18", "16"))
    assert len(made) == before


@pytest.mark.long
def test_side_by_side_it_comes_to_the_same_tables(phantom_cohort, tmp_path, monkeypatch):
    budget = replace(BUDGET, splits=("ratio-34",), folds=())
    found, told = [], []
    for workers in (1, 2):
        monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path / str(workers)))
        folder = grid.train(budget, phantom_cohort, ("3", "18", "16"), lambda *facts: told.append(facts[:2]), workers=workers)
        found.append(pd.read_csv(folder / "slices-ratio-34.csv"))
    assert told == [(1, 2), (2, 2)] * 2, "equal cells are one training"
    assert list(found[0]) == list(found[1]) == ["case_id", "slice", "tumour", "3", "16", "18"]
    np.testing.assert_allclose(found[0][["3", "16", "18"]], found[1][["3", "16", "18"]], atol=2e-3)


def test_a_grid_of_other_data_is_another(trained, stubs, monkeypatch):
    folder, _, store = trained
    other = stubs.table_store(SITES, data_hash="e" * 64)
    assert grid_tables.stored(BUDGET, store.cohort, grid.cells(("17", "18", "16"))) == folder
    for module in (generic, grid, grid_tables):
        monkeypatch.setattr(module, "open_store", lambda _cohort: other)
    name = grid.grid_name(BUDGET, store.cohort, grid.cells(("17", "18", "16")))
    assert name != folder.name and name.startswith("phantom-grid-tiny-")
    assert grid_tables.find(name) is None
    assert grid_tables.stored(BUDGET, store.cohort, grid.cells(("17", "18", "16"))) is None, "these are other data"


def test_cells_that_begin_with_other_weights_of_the_same_name_are_refused(trained):
    folder, _, _ = trained
    facts = generic.read(folder)
    files.write_json(folder / generic.DESCRIPTION, facts | {"encoders": {"mri4-resnet18-128-unit.weights.h5": "a" * 64}})
    gathered = generic.GridFolder(folder, {}, facts)
    gathered.check_encoder("mri4-resnet18-128-unit.weights.h5", "a" * 64)
    gathered.check_encoder("mri4-resnet50-128-unit.weights.h5", "b" * 64)
    with pytest.raises(ModelError, match="bbbbbbbbbbbb, but cells of .* began with aaaaaaaaaaaa; bring that file back"):
        gathered.check_encoder("mri4-resnet18-128-unit.weights.h5", "b" * 64)


def test_a_grid_says_with_which_weights_its_runs_began(trained, tmp_path, monkeypatch):
    folder, _, _ = trained
    facts, runs = generic.read(folder), pd.read_csv(folder / generic.COSTS, dtype={"cell": str}).run.unique()
    one, other = (RunFolder(folder.parent / name) for name in runs[:2])
    for run, digest in ((one, "a" * 64), (other, "b" * 64)):
        run.update(encoder={"file": "mri4-resnet18-128-unit.weights.h5", "sha256": digest})
    recipes = {("ratio-34", name): asked(name) for name in ("16", "17")}
    fresh = generic.GridFolder(tmp_path / "lgg-grid-tiny-0", recipes, facts | {"phantom": False})
    fresh.add(("ratio-34", "16"), one)
    with pytest.raises(ModelError, match="bbbbbbbbbbbb, but cells of .* began with aaaaaaaaaaaa"):
        fresh.add(("ratio-34", "17"), other)
    kept = []
    monkeypatch.setenv("BRAIN_TUMOR_REPORTS", str(tmp_path / "reports"))
    monkeypatch.setattr(records, "keep_weights", kept.append)
    assert generic.read(grid_tables.commit(fresh.path))["encoders"] == {"mri4-resnet18-128-unit.weights.h5": "a" * 64}
    assert kept == [{"file": "mri4-resnet18-128-unit.weights.h5", "sha256": "a" * 64}]


def test_weights_that_are_missing_are_named_all_at_once(trained):
    _, made, store = trained
    before = len(made)
    with pytest.raises(ModelError, match="--backbone resnet18 --normalisation unit` and `.*--backbone resnet50"):
        grid.train(replace(BUDGET, weights="mri4"), store.cohort, ("1", "3", "resnet18 unit"))
    assert len(made) == before


def test_a_grid_in_words(trained):
    folder, _, _ = trained
    found = {section.title: section.table for section in grid_tables.of_folder(folder)}
    assert list(found) == [
        "Cells", "Scores, split ratio-34", "Claims, split ratio-34", "Scores, split source-002", "Claims, split source-002",
        "Scores, 2 patient folds together", "Claims, 2 patient folds together",
    ]  # fmt: skip
    plan = found["Cells"]
    assert plan.loc["16", ["network", "normalisation", "first BatchNorm"]].tolist() == [
        "resnet18", "imagenet", "statistics of the batch",
    ]  # fmt: skip
    cells = found["Scores, split ratio-34"]
    assert cells.loc["18: resnet18, all", "minutes"] == "= cell 16"
    assert cells.index[0] == "floor" and cells.loc["floor", ["AUC", "accuracy"]].str.fullmatch(r"\d\.\d{3}, .+").all()
    claims = found["Claims, split ratio-34"]
    validation_rows = claims.loc["002.12 after tuning, 96 % for ResNet-18 and 94 % for ResNet-50 (18 - 17)"]
    assert validation_rows.found.startswith("+0.000, ") and validation_rows.verdict == "not decidable"
    assert re.fullmatch(r"[\d,]+|over a million", validation_rows["would decide"])
    assert claims.patients.str.fullmatch(r"\d+").all() and claims.verdict.str.len().max() < 40, "a cell holds a few words"


def test_a_cell_that_lacks_a_fold_is_left_out_of_the_folds(trained):
    folder, _, _ = trained
    path = folder / "slices-fold-2-of-2.csv"
    pd.read_csv(path, dtype={"case_id": str}).drop(columns="17").to_csv(path, index=False)
    found = {section.title: section.table for section in grid_tables.of_folder(folder)}
    assert list(found["Scores, 2 patient folds together"].index) == ["floor", "16: resnet18, all", "18: resnet18, all"]
    (claim,) = found["Claims, 2 patient folds together"].index
    assert claim.endswith("(16 - 18)")
    costs = pd.read_csv(folder / generic.COSTS, dtype={"cell": str})
    costs[costs.split.ne("fold-2-of-2")].to_csv(folder / generic.COSTS, index=False)
    assert "2 patient folds together" not in dict(grid_tables.parts(folder)), "no cell stands on both"


def test_a_phantom_grid_is_never_recorded(trained, tmp_path, monkeypatch):
    folder, _, _ = trained
    monkeypatch.setenv("BRAIN_TUMOR_REPORTS", str(tmp_path / "reports"))
    with pytest.raises(RunError, match="phantom"):
        grid_tables.commit(folder)
    assert not (tmp_path / "reports").exists()


def test_a_grid_goes_on_from_its_record_without_its_runs(trained, tmp_path, monkeypatch):
    folder, made, store = trained
    monkeypatch.setenv("BRAIN_TUMOR_REPORTS", str(tmp_path / "reports"))
    tables = {path.name: path.read_text() for path in folder.glob("*.csv")}
    facts = generic.read(folder)
    files.write_json(folder / generic.DESCRIPTION, facts | {"phantom": False, "done": 2})
    kept = pd.read_csv(folder / generic.COSTS, dtype={"cell": str}).iloc[:2]
    kept.to_csv(folder / generic.COSTS, index=False)
    for path in folder.glob("*-*.csv"):
        path.unlink() if "ratio-34" not in path.name else None
    pd.read_csv(folder / "slices-ratio-34.csv").drop(columns="18").to_csv(folder / "slices-ratio-34.csv", index=False)
    record = grid_tables.commit(folder)
    assert record.parent == records.records_folder() and generic.read(record)["done"] == 2
    assert {path.name for path in record.iterdir()} == {path.name for path in folder.iterdir()}
    shutil.rmtree(folder.parent)
    assert grid_tables.find(folder.name[:-3]) == record
    moved = record.rename(record.with_name("some-earlier-name"))
    assert grid_tables.stored(BUDGET, store.cohort, grid.cells(("17", "18", "16"))) == moved, "its content says which grid it is"
    moved.rename(record)
    before = len(made)
    assert grid.train(BUDGET, store.cohort, ("17", "18", "16"), record=record) == folder
    assert made[before:] == ["source-002"] * 2 + ["fold-1-of-2"] * 2 + ["fold-2-of-2"] * 2, "18 is 16 by construction"
    assert {path.name: path.read_text() for path in folder.glob("*.csv")} == tables
    assert grid_tables.find(folder.name) == folder, "it has come further than its record"


@pytest.mark.parametrize("damage", [None, "{"])
def test_what_is_no_grid_is_refused(tmp_path, damage):
    if damage:
        (tmp_path / generic.DESCRIPTION).write_text(damage)
    with pytest.raises(RunError, match="damaged" if damage else "no such grid"):
        generic.read(tmp_path)


def claimed(better, worse, points=0.0):
    return Claim("002.00", "one is better", better, worse, points)


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """Twelve patients of ten slices: ``right`` is always right, ``wrong`` errs on two slices of each, ``once`` once."""
    monkeypatch.setattr(intervals, "RESAMPLES", 200)
    names = [f"P{number:02d}" for number in range(12)]
    table = pd.DataFrame({"case_id": np.repeat(names, 10), "slice": np.tile(np.arange(1, 11), 12)})
    table["tumour"] = table.slice > 5
    errs = {"right": table.slice < 0, "wrong": table.slice.isin([1, 6]), "once": table.index == 0}
    for name, err in errs.items():
        table[name] = np.where(table.tumour ^ err, 0.9, 0.1)
    table.to_csv(tmp_path / "slices-s.csv", index=False)
    floor = table[["case_id", "slice", "tumour"]].assign(floor="always no", probability=0.0)
    floor.to_csv(tmp_path / "floors-s.csv", index=False)
    pd.DataFrame({"split": "s", "cell": list(errs), "run": list(errs), "seconds": 60.0}).to_csv(
        tmp_path / generic.COSTS, index=False
    )
    return tmp_path


def test_claims_are_confirmed_refuted_or_not_decidable(judged):
    claims = (claimed("right", "wrong"), claimed("wrong", "right"), claimed("wrong", "right", -3.0), claimed("right", "once"))
    found = answers.answers(judged, ("s",), (*claims, claimed("right", "absent")))
    assert found.verdict.tolist() == ["confirmed", "refuted", "confirmed", "not decidable"]
    assert found.difference.iloc[0] == pytest.approx(0.2) and found.patients.iloc[0] == 12
    assert found.patients_needed.iloc[3] > 12


def test_the_size_that_is_said_is_excluded_or_not(judged):
    claims = (claimed("right", "wrong"), claimed("right", "once", 1.0), claimed("wrong", "once", -1.0))
    found = answers.answers(judged, ("s",), claims)
    assert found.excluded.tolist() == [False, False, True], "23 slices of 120 are far more than 1 %"
    table = grid_tables.answer_table(found)
    assert table["said"].tolist() == ["–", "+0.01", "-0.01"] and table.patients.eq("12").all()
    assert table.verdict.tolist() == ["confirmed", "not decidable", "confirmed"]
    assert table["would decide"].tolist() == ["–", f"{found.patients_needed[1]:,.0f}", "–"]
    assert table.note.tolist() == ["–", "–", "excludes what is said"] and "each fold" not in table


@pytest.fixture
def folded(judged):
    """The same patients dealt to three folds: ``right`` is better than ``against``, but on the last fold, of two patients."""
    table = pd.read_csv(judged / "slices-s.csv")
    against = table.wrong.where(table.case_id < "P10", table.right)
    table = table.assign(against=against, right=table.right.where(table.case_id < "P10", table.wrong))
    costs, cells = [], ("right", "against")
    parts = {"one": table.case_id < "P05", "two": table.case_id.between("P05", "P09"), "three": table.case_id > "P09"}
    for fold, patients in parts.items():
        table[patients].to_csv(judged / f"slices-{fold}.csv", index=False)
        floor = table.loc[patients, ["case_id", "slice", "tumour"]].assign(floor="always no", probability=0.0)
        floor.to_csv(judged / f"floors-{fold}.csv", index=False)
        costs += [{"split": fold, "cell": name, "run": f"{name} {fold}", "seconds": 60.0} for name in cells]
    pd.DataFrame(costs).to_csv(judged / generic.COSTS, index=False)
    return judged


def test_nothing_is_confirmed_where_a_fold_points_the_other_way(folded):
    found = answers.answers(
        folded, ("one", "two", "three"), (claimed("right", "against", -1.0), claimed("right", "against", 90.0))
    )
    assert found.low[0] > 0, "over patients alone it would be"
    assert found.excluded.tolist() == [False, True], "a fold lies below -0.01, none above 0.90"
    assert found.each[0] == pytest.approx((0.2, 0.2, -0.2))
    assert found.verdict[0] == "not decidable: the folds do not agree"
    assert answers.verdict(intervals.Comparison(0.15, 0.1, 0.2, 12, 0.01), 1, (0.2, 0.1)) == "confirmed"
    row = grid_tables.answer_table(found).iloc[0]
    assert row.verdict == "not decidable: the folds do not agree" and row["each fold"] == "+0.200, +0.200, -0.200"


def test_cells_that_are_worse_than_reading_no_image_are_counted(judged):
    path = judged / "floors-s.csv"
    pd.read_csv(path).assign(probability=pd.read_csv(judged / "slices-s.csv")["once"]).to_csv(path, index=False)
    claims = (claimed("right", "once"), claimed("wrong", "once"), replace(claimed("wrong", "worse"), text="both"))
    table = pd.read_csv(judged / "slices-s.csv")
    table.assign(worse=1 - table.right).to_csv(judged / "slices-s.csv", index=False)
    costs = pd.read_csv(judged / generic.COSTS)
    pd.concat([costs, costs[:1].assign(cell="worse", run="worse")]).to_csv(judged / generic.COSTS, index=False)
    found = answers.answers(judged, ("s",), claims)
    assert found.below_floor.tolist() == [0, 1, 2]
    assert grid_tables.answer_table(found)["below floor"].tolist() == ["–", "one cell", "both cells"]


def test_what_the_source_says_a_cell_scored_is_held_against_its_interval():
    scores = pd.DataFrame({"cell": ["18", "17", "16"], "measure": "accuracy", "value": [0.95, 0.95, 0.95], "floor": 0.96})
    scores["equal_to"] = ["16", "", ""]
    table = grid_tables.level_table(scores.assign(low=[0.93, 0.945, 0.5], high=[0.955, 0.99, 0.97], floor_name="neighbour"))
    assert table["found is"].tolist() == ["below", "above", "as said"]
    assert table.found.iloc[0] == "0.950*, 0.930 to 0.955" and table.floor.iloc[0] == "0.960, neighbour"
    assert table.cell.tolist() == ["18 (= 16)", "17", "16"]


def test_one_contrast_is_one_answer_whatever_cells_it_is_asked_of(judged):
    costs = pd.read_csv(judged / generic.COSTS)
    costs.assign(run=["a", "b", "a"]).to_csv(judged / generic.COSTS, index=False)
    claims = (
        claimed("right", "wrong"),
        replace(claimed("once", "wrong"), text="again"),
        replace(claimed("once", "right", 4.0), text="void"),
    )
    found = answers.answers(judged, ("s",), claims)
    assert found.same_as.tolist() == ["", "one is better", ""]
    assert found.verdict.tolist() == ["confirmed", "confirmed", "void by construction"]
    assert found.p_holm[0] == found.p_holm[1] == found.p_value[0], "one question is asked"
    assert np.isnan(found.p_holm[2]) and not found.excluded[2], "what is equal by construction says nothing of a size"


def table_of(draws_of: dict[str, np.ndarray]) -> pd.DataFrame:
    """A claim a contrast that is said to be better, with these draws of its difference on twenty patients."""
    rows = []
    for name, draws in draws_of.items():
        low, high = np.quantile(draws, [0.025, 0.975])
        share = 2 * min((draws <= 0).mean(), (draws >= 0).mean())
        alone = intervals.Comparison(draws.mean(), low, high, 20, max(share, 2 / (len(draws) + 1)), draws=draws)
        rows.append({"claim": name, "trainings": name, "p_value": alone.p_value, "comparison": alone, "said": np.nan})
    return pd.DataFrame(rows).assign(void=False, sign=1, each=[(1.0,)] * len(rows), low=np.nan, high=np.nan)


def normal(mean: float) -> np.ndarray:
    """2000 draws about a mean, spread 1, without chance."""
    return mean + stats.norm.ppf((np.arange(2000) + 0.5) / 2000)


def test_p_values_are_raised_for_so_many_questions():
    table = table_of({name: normal(2) for name in "abcd"}).assign(p_value=[0.01, 0.04, 0.03, 0.6])
    assert answers.adjusted(table).p_holm.tolist() == pytest.approx([0.04, 0.09, 0.09, 0.6])


def test_a_verdict_its_interval_and_its_p_value_are_corrected_alike():
    """Alone, the second and third would be confirmed too; as two of three questions, their p-values are above 0.05."""
    table = table_of({"clear": normal(4), "slight": normal(2.1), "slighter": normal(2.05), "none": normal(0.1)})
    assert (table.p_value < 0.05).tolist() == [True, True, True, False]
    judged = answers.adjusted(table)
    assert judged.verdict.tolist() == ["confirmed", "not decidable", "not decidable", "not decidable"]
    off_zero = (judged.low_corrected > 0) | (judged.high_corrected < 0)
    assert (judged.p_holm < 0.05).tolist() == off_zero.tolist() == (judged.verdict == "confirmed").tolist()
    assert judged.patients_needed[1] > 20, "decided alone, not as one of so many"
    assert answers.adjusted(table.assign(sign=-1)).verdict[0] == "refuted"
    assert answers.adjusted(table[1:2]).verdict.tolist() == ["confirmed"], "it is the only question"


def test_the_committed_grid_says_nothing_that_its_p_values_do_not(monkeypatch):
    """Of the record that report 06 is made from: one verdict, one p-value, one interval a row."""
    monkeypatch.setattr(intervals, "RESAMPLES", 2000)
    record = CHECKOUT / "reports" / "records" / "lgg-grid-cpu-e07d7b83"
    parts = dict(grid_tables.parts(record))
    answered = {title: answers.answers(record, parts[title]) for title in ("3 patient folds together", "split ratio-15")}
    judged = answers.where_first(answered)
    judged = judged[judged.verdict != answers.VOID]
    decided = judged.verdict.isin([answers.CONFIRMED, answers.REFUTED, answers.DISAGREE]).tolist()
    assert decided == (judged.p_holm < 0.05).tolist()
    assert decided == ((judged.low_corrected > 0) | (judged.high_corrected < 0)).tolist()
    flips = judged.set_index(["one", "other"]).loc[("15", "13")]
    published = (-0.0230769, -0.0401259, -0.0054366)
    assert (flips.difference, flips.low, flips.high) == pytest.approx(published, abs=1e-6)
    assert flips.verdict == "not decidable" and flips.low_corrected < flips.low and flips.high_corrected > 0


def test_every_cell_stands_beside_its_floor(judged):
    found = answers.scores(judged, ("s",)).set_index(["cell", "measure"])
    assert found.loc[("right", "accuracy"), "value"] == 1 and found.loc[("wrong", "accuracy"), "floor"] == 0.5
    assert found.loc[("wrong", "AUC"), "minutes"] == 1


def test_a_claim_is_told_where_it_is_first_answered(trained):
    folder, _, _ = trained
    one, folds = (answers.answers(folder, of) for of in (("ratio-34",), BUDGET.folds))
    assert answers.where_first({"folds": folds, "one": one}).on.unique().tolist() == ["folds"]
    found = answers.where_first({"folds": folds.iloc[1:], "one": one})
    assert found.claim.tolist() == one.claim.tolist() and found.on.tolist() == ["one", *["folds"] * (len(one) - 1)]
    assert grid_tables.answer_table(found).on.tolist() == found.on.tolist()
    assert not len(answers.where_first({"folds": folds.iloc[:0]}))
