"""The screening of ingredients: it trains each fold once, gathers areas, and answers in pairs."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from brain_tumor import files
from brain_tumor.data.cache import open_store
from brain_tumor.errors import ModelError, RunError
from brain_tumor.evaluation import overlap
from brain_tumor.experiments.recipe import SegmentationRecipe, from_options
from brain_tumor.records import study
from brain_tumor.studies.ingredients import adam, after, answers, errors, figures, final, screening, table, tables
from brain_tumor.studies.ingredients.table import INGREDIENTS, Ingredient, Plan
from brain_tumor.training.runs import RunFolder

SMALL = {"model": "resunet", "size": 16, "epochs": 1, "batchnorm_momentum": 0.9, "model_arguments": {"filters": (2,)}}


@pytest.mark.parametrize("ingredient", INGREDIENTS[1:], ids=lambda item: item.name)
def test_every_ingredient_is_a_recipe_that_differs_in_its_changes_alone(ingredient):
    base, changed = (screening.PLAN.recipe(item, 1, 0).to_json() for item in (table.named(ingredient.onto), ingredient))
    named = dict.fromkeys(("epochs", "max_lr", "strategy"), "stages") | dict.fromkeys(base["augmentation"], "augmentation")
    differing = {name for name in base if base[name] != changed[name]}
    assert differing == {named.get(name, name) for name in ingredient.changes}
    assert changed["split"] == f"source-004-fold-1-of-{screening.PLAN.folds}"


def test_an_unknown_ingredient_is_refused():
    chain = ["base", "tissue", "twice as long", "copy-paste"]
    assert [item.name for item in table.ingredients(("copy-paste",))] == chain
    assert not any("," in item.name for item in INGREDIENTS), "the command line parts names at commas"
    with pytest.raises(ModelError, match="ingredient 'salt', expected some of base, "):
        table.ingredients(("salt",))


@pytest.fixture(scope="module")
def screened(phantom_cohort, tmp_path_factory):
    """The base on two folds with two seeds, then another loss with one of them; and what was trained each time."""
    chosen, trained = (INGREDIENTS[0], Ingredient("other loss", {"loss": "bce"})), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAIN_TUMOR_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("BRAIN_TUMOR_REPORTS", str(tmp_path_factory.mktemp("reports")))
        for ingredients, seeds in ((chosen[:1], (0, 1)), (chosen, (0,))):
            trained.append([])
            folder = screening.screen(
                ingredients,
                phantom_cohort,
                Plan(SMALL, 2, seeds),
                1,
                lambda _, __, training, ___: trained[-1].append(training.key),
            )
        yield folder, chosen, trained


def test_a_screening_trains_what_is_not_there_and_goes_on(screened, phantom_cohort):
    folder, chosen, trained = screened
    assert trained[0] == [("base", seed, fold) for seed in (0, 1) for fold in (1, 2)]
    assert trained[1] == [("other loss", 0, 1), ("other loss", 0, 2)]
    areas = answers.read_areas(folder)
    assert len(areas) == phantom_cohort.n_slices and not areas.isna().any(axis=None)
    hits = areas.filter(like=": hit")
    assert (hits.to_numpy() <= areas.filter(like=": area").to_numpy()).all()
    assert (hits.to_numpy() <= areas[["truth"]].to_numpy()).all()
    answered = answers.answers(folder, chosen)
    assert len(answered) == 4 and (answered.patients == len(phantom_cohort)).all()
    assert "other loss" in tables.of_folder(folder, chosen)[0].table.index


def test_a_screening_goes_on_from_its_record(screened, phantom_cohort, monkeypatch, tmp_path):
    folder, chosen, _ = screened
    shutil.copytree(folder, tmp_path / "records" / folder.name)
    monkeypatch.setattr(study, "records_folder", lambda: tmp_path / "records")
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(screening, "_train", lambda *_: pytest.fail("trained again"))
    again = screening.screen(chosen[:1], phantom_cohort, Plan(SMALL, 2), 1)
    pd.testing.assert_frame_equal(answers.read_areas(again), answers.read_areas(folder))


def test_an_ingredient_that_has_changed_is_trained_again(screened, phantom_cohort, monkeypatch):
    folder, chosen, _ = screened
    counts, seen = answers.counts_of(folder, "other loss", 0), []

    def train(training, _):
        seen.append(training.key)
        return training, counts, {"run": "another", "seconds": 1.0, "commit": "none"}

    monkeypatch.setattr(screening, "_train", train)
    monkeypatch.setattr(screening, "_add", lambda *_: None)
    screening.screen((*chosen[:1], replace(chosen[1], changes={"loss": "focal-dice"})), phantom_cohort, Plan(SMALL, 2, (0,)), 1)
    assert seen == [("other loss", 0, 1), ("other loss", 0, 2)]


def test_the_base_is_looked_at_patient_by_patient(screened, phantom_cohort):
    folder = screened[0]
    rows = errors.read(folder, phantom_cohort, "base")
    assert len(rows) == len(phantom_cohort) and rows.dice.is_monotonic_increasing
    cases = overlap.per_case(answers.counts_of(folder, "base", 0)).reindex(rows.case_id)
    np.testing.assert_allclose(rows.dice, cases.dice, atol=1e-9)
    np.testing.assert_array_equal(rows.missed, cases.missed_slices)
    assert (rows.false_pieces <= rows.pieces).all()
    assert set(rows.lacks) >= {"", "post"}


def test_rules_of_prediction_are_judged_on_stored_predictions(screened, phantom_cohort, monkeypatch):
    folder = screened[0]
    counts = after.read(folder, phantom_cohort, "base")
    plain = counts[counts.rule == "as it is"].set_index("case_id")
    for seed in (0, 1):
        expected = answers.counts_of(folder, "base", seed).groupby("case_id")[["tp", "fp", "fn"]].sum()
        own = plain[plain.seed == str(seed)].sort_index()
        pd.testing.assert_frame_equal(own[["tp", "fp", "fn"]], expected, check_dtype=False)
    monkeypatch.setattr(after, "count", lambda *_: pytest.fail("counted again"))
    pd.testing.assert_frame_equal(after.read(folder, phantom_cohort, "base"), counts)
    scores = after.scores(counts)
    assert list(scores.index) == [*after.RULES, *after.VIEWS] and scores.notna().all(axis=None)
    dice = {seed: answers.case_dice(folder, "base", [seed]) for seed in (0, 1)}
    assert scores["one seed"]["as it is"] == pytest.approx(np.mean([of_seed.mean() for of_seed in dice.values()]))
    assert scores.difference["as it is"] == 0 and (scores.low <= scores.difference).all()
    average = scores["mean of seeds"]["as it is"] - scores["one seed"]["as it is"]
    assert after.averaging(counts).difference == pytest.approx(average)
    words = tables.rule_table({"base": counts})
    assert words.loc["as it is", "base: difference"] == "–" and words.loc["without holes", "base: difference"][0] in "+-"
    assert tables.beside(folder, ("base",), 0)["Dice, base"].iloc[0] == f"{dice[0].min():.3f}"
    assert not counts[counts.rule == "turned by 10° too"].tp.equals(plain.reset_index().tp), "the networks were asked again"


def test_a_table_of_fewer_rules_is_counted_again_only_where_the_runs_are(screened, phantom_cohort, monkeypatch, tmp_path):
    folder = tmp_path / screened[0].name
    shutil.copytree(screened[0], folder)
    few = after.read(screened[0], phantom_cohort, "base").query("rule == 'as it is'")
    few.to_csv(folder / "rules on base.csv", index=False)
    monkeypatch.setattr(after, "count", lambda *_: few.assign(tp=0))
    assert (after.read(folder, phantom_cohort, "base").tp == 0).all()
    few.to_csv(folder / "rules on base.csv", index=False)
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path / "elsewhere"))
    assert set(after.read(folder, phantom_cohort, "base").rule) == {"as it is"}


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        (after.pieces(0.02), {"large", "small", "flat"}),
        (after.pieces(0.3), {"large"}),
        (after.pieces(0.0, 2), {"large", "small"}),
        (after.pieces(1.0), {"large"}),
        (after.threshold(0.9), set()),
    ],
)
def test_a_rule_leaves_the_pieces_that_it_should(rule, left):
    places = {"large": np.s_[0:4, 0:5, 0:5], "small": np.s_[0:2, 8:10, 0:5], "flat": np.s_[3:4, 8:12, 8:12]}
    planes = np.zeros((4, 16, 16), np.uint8)
    for place in places.values():
        planes[place] = 200
    mask = rule(planes)
    assert {name for name, place in places.items() if mask[place].all()} == left
    assert mask.sum() == sum(planes[places[name]].size for name in left)


def test_holes_are_filled_slice_by_slice():
    planes = np.zeros((2, 9, 9), np.uint8)
    planes[:, 2:7, 2:7] = 200
    planes[0, 4, 4] = planes[1, 4, 2] = 0
    mask = after.without_holes(planes)
    assert mask[0].sum() == 25 and mask[1].sum() == 24, "a notch in the edge is no hole"


def test_a_run_is_counted_at_another_size_once(screened, phantom_cohort, monkeypatch):
    costs = answers.read_costs(screened[0]).set_index(["ingredient", "seed", "fold"])
    run = RunFolder(screened[0].parent / costs.run["base", 0, 1])
    native, half = (final.counts_at(run, phantom_cohort, size) for size in (64, 32))
    areas = answers.counts_of(screened[0], "base", 0)
    expected = native[["case_id", "slice"]].merge(areas)
    assert native[["tp", "fp", "fn"]].equals(expected[["tp", "fp", "fn"]]) and (half["size"] == 32).all()
    masks, rows = open_store(phantom_cohort, 32).masks, open_store(phantom_cohort).slices.set_index(["case_id", "slice"]).index
    at = rows.get_indexer(pd.MultiIndex.from_frame(half[["case_id", "slice"]]))
    assert (half.tp + half.fn).tolist() == masks[at].sum(axis=(1, 2)).tolist()
    monkeypatch.setattr(final.experiment, "part_of", lambda *_: pytest.fail("counted again"))
    assert final.counts_at(run, phantom_cohort, 32).equals(half)


def test_errors_are_drawn_by_size_and_the_worst_are_named():
    rows = [
        {"case_id": f"TCGA_{site}_{number}_2000", "site": site, "dice": number / 10, "tumour_px": 100 * (number + 1)}
        for number, site in enumerate(["DU", "HT", "DU", "HT"])
    ]
    failures = pd.DataFrame(rows).sort_values("dice", ignore_index=True)
    axes = figures.plot_errors(failures, named=1).axes[0]
    assert {len(line.get_xdata()) for line in axes.lines} == {2} and len(axes.lines) == 2
    assert [text.get_text() for text in axes.texts] == ["DU 0"]
    words = failures.assign(lacks="post", within=0.5, missed=1, false=2, pieces=3, false_pieces=1)
    assert tables.error_table(words).loc["HT 3", "Dice"] == "0.300"


def test_the_plan_says_what_each_ingredient_changes():
    rows = tables.plan_table(table.ingredients(("copy-paste",)))
    assert rows.loc["copy-paste", "changes"] == "copy_paste 0.3" and rows.loc["copy-paste", "onto"] == "twice as long"
    base = tables.base_in_words(screening.PLAN)
    assert "epochs 12" in base and "halved True" in base


def test_a_screening_of_the_phantom_is_never_published(screened):
    assert screening.find(screened[0].name[:20]) == screened[0]
    with pytest.raises(RunError, match="of the phantom, which is never published"):
        screening.commit(screened[0])


def test_a_committed_screening_holds_every_table(screened, monkeypatch, tmp_path):
    folder = tmp_path / "runs" / screened[0].name
    shutil.copytree(screened[0], folder)
    facts = files.read_json(folder / answers.DESCRIPTION)
    files.write_json(folder / answers.DESCRIPTION, facts | {"phantom": False})
    monkeypatch.setattr(study, "records_folder", lambda: tmp_path / "records")
    record = screening.commit(folder)
    assert record == tmp_path / "records" / folder.name
    assert {path.name for path in record.iterdir()} >= {answers.AREAS, answers.COSTS, answers.DESCRIPTION}
    assert screening.commit(record) == record, "a record stays as it is"


def test_pieces_that_touch_no_tumour_are_false():
    mask, truth = np.zeros((2, 9, 9), np.uint8), np.zeros((2, 9, 9), np.uint8)
    mask[:, 1:3, 1:3] = mask[0, 6:8, 6:8] = truth[0, 1:3, 1:3] = 1
    told = errors._of_case(mask, truth)
    assert (told["pieces"], told["false_pieces"], told["missed"], told["false"]) == (2, 1, 0, 1)
    assert told["within"] == pytest.approx(2 * 4 / (4 + 8)), "of the slice that both have"


def test_adam_is_watched_as_it_steps(home, phantom_cohort):
    recipe = from_options(
        SegmentationRecipe,
        split="ratio-33",
        model="resunet",
        size=32,
        epochs=1,
        max_lr=1e-3,
        model_arguments=(("filters", (2,)),),
    )
    steps = adam.watch(recipe, phantom_cohort, steps=12, decay=0.0)
    assert steps.step.tolist() == list(range(1, 13))
    np.testing.assert_allclose(np.diff(steps.weight), steps.change[1:], rtol=1e-3, atol=1e-7)
    assert steps["first"].iloc[0] == pytest.approx(steps.gradient.iloc[0], rel=1e-4), "freed of its start at 0"
    assert figures.plot_adam(steps).alt


def test_gains_are_drawn_with_each_seed():
    rows = pd.DataFrame(
        {"ingredient": ["base", "a", "b"], "onto": ["", "base", "base"], "difference": [0, 0.02, -0.01], "low": [0, 0.01, -0.03],
         "high": [0, 0.03, 0.01], "seed 0": [0, 0.03, -0.02], "seed 1": [0, 0.01, 0.0]}
    )  # fmt: skip
    drawing = figures.plot_gains(rows)
    assert drawing.alt.endswith("The largest is a, +0.020.")
    assert [label.get_text() for label in drawing.axes[0].get_yticklabels()] == ["b", "a"]


def test_answers_are_paired_by_patient_and_mean_over_seeds(home, tmp_path):
    """Two patients-with-noise: the ingredient's Dice is the base's plus a known difference."""
    cases = [f"TCGA_DU_{number:04d}_20000101" for number in range(8)]
    index = pd.MultiIndex.from_product([cases, [1]], names=answers.KEYS)
    generator = np.random.default_rng(0)
    truth = np.full(8, 1000)
    areas = pd.DataFrame({"truth": truth}, index=index)
    hits = {}
    for name, gain in (("base", 0), ("better", 50)):
        for seed in (0, 1):
            hit = hits[name, seed] = 700 + gain + generator.integers(0, 20, 8)
            areas[f"{name}, seed {seed}: area"], areas[f"{name}, seed {seed}: hit"] = 1000, hit
    areas.to_csv(tmp_path / answers.AREAS)
    costs = pd.DataFrame(
        [
            {"ingredient": name, "seed": seed, "fold": fold, "run": "", "seconds": 60.0, "commit": "", "workers": 1}
            for name, seed in hits
            for fold in range(1, screening.PLAN.folds + 1)
        ]
    )
    costs.to_csv(tmp_path / answers.COSTS, index=False)
    files.write_json(tmp_path / answers.DESCRIPTION, {"folds": screening.PLAN.folds})
    answered = answers.answers(tmp_path, (Ingredient("base", {}, onto=""), Ingredient("better", {})))
    answered = answered.set_index(["ingredient", "protocol"])
    row = answered.loc["better", "patient mean"]
    each = np.mean([hits["better", seed] / 1000 - hits["base", seed] / 1000 for seed in (0, 1)], axis=0)
    by_seed = [(hits["better", seed] - hits["base", seed]).mean() / 1000 for seed in (0, 1)]
    of_patients, of_seeds = each.var(ddof=1) / 8, np.var(by_seed, ddof=1) / 2
    spread = (of_patients + of_seeds) ** 0.5
    freedom = spread**4 / (of_patients**2 / 7 + of_seeds**2 / 1)
    assert row.difference == pytest.approx(each.mean())
    assert row.p_false == pytest.approx(stats.t.sf(each.mean() / spread, freedom))
    assert (row.low, row.high) == pytest.approx(stats.t.interval(0.95, freedom, each.mean(), spread))
    alone = answers.answers(tmp_path, (Ingredient("base", {}, onto=""), Ingredient("better", {})), (1,))
    row_alone = alone.set_index(["ingredient", "protocol"]).loc["better", "patient mean"]
    of_one = (hits["better", 1] - hits["base", 1]) / 1000
    assert (row_alone.low, row_alone.high) == pytest.approx(tuple(stats.ttest_1samp(of_one, 0).confidence_interval()))
    assert row["seed 1"] == pytest.approx((hits["better", 1] - hits["base", 1]).mean() / 1000)
    assert row.minutes == pytest.approx(1)
    assert answered.loc["base", "patient mean"].difference == 0
