"""Every pattern of missing sequences is counted, and routing picks by what the exam lacks."""

import pickle
from dataclasses import replace

import pandas as pd
import pytest

from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import missing_sequences
from brain_tumor.errors import RunError
from brain_tumor.evaluation import overlap
from brain_tumor.experiments.recipe import SegmentationRecipe
from brain_tumor.experiments.run import evaluate
from brain_tumor.studies import incomplete_exams
from brain_tumor.training.plan import Stage
from brain_tumor.training.runs import RunFolder

SMALL = SegmentationRecipe(
    cohort="phantom",
    model="resunet",
    size=16,
    stages=(Stage("all", 1, 1e-2),),
    batch_size=8,
    batchnorm_momentum=0.9,
    precision="float32",
    model_arguments=(("filters", (2,)),),
)
FOLDS = ["fold-1-of-2", "fold-2-of-2"]
RECIPES = {"all sequences": SMALL, "FLAIR": replace(SMALL, channels="neighbours")}


@pytest.fixture(scope="module")
def answered(phantom_cohort, tmp_path_factory):
    """The folder of an answer, with the home that it lies in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAIN_TUMOR_HOME", str(tmp_path_factory.mktemp("two")))
        patch.setenv("BRAIN_TUMOR_REPORTS", str(tmp_path_factory.mktemp("reports")))
        folder = incomplete_exams.answer(RECIPES, phantom_cohort, FOLDS)
        with pytest.MonkeyPatch.context() as closed:
            closed.setattr(incomplete_exams, "count", lambda *_: pytest.fail("counted again"))
            assert incomplete_exams.answer(RECIPES, phantom_cohort, FOLDS) == folder
        yield folder


@pytest.fixture(scope="module")
def counted(answered, phantom_cohort):
    trainings, counts = incomplete_exams.read(answered)
    assert counts.tp.sum() > 0, "else zeros would be compared"
    store = open_store(phantom_cohort)
    lacks = {
        case_id: "+".join(missing_sequences(store.images[store.rows_of(case_id)], phantom_cohort.sequences))
        for case_id in store.cases.index
    }
    return counts, trainings, pd.Series(lacks), store


def test_with_nothing_taken_away_it_is_what_evaluation_counts(counted, answered, phantom_cohort):
    counts, trainings, _, store = counted
    untouched, image_free = counts[counts.pattern == incomplete_exams.NOTHING].groupby(["network", "split"]), []
    for training in trainings.itertuples():
        run = RunFolder(answered.parent / training.run)
        evaluate(run, phantom_cohort)
        table = pd.read_csv(run.path / "counts.csv")
        expected = overlap.per_case(table[table["size"] == store.size])[["tp", "fp", "fn"]]
        rows = untouched.get_group((training.network, training.split)).set_index("case_id")[["tp", "fp", "fn"]]
        pd.testing.assert_frame_equal(rows.sort_index(), expected, check_names=False)
        image_free.append(pd.read_csv(run.path / "floors.csv"))
    floors = pd.concat(image_free).drop_duplicates(["floor", "case_id", "slice", "size"])
    each = [overlap.per_case(rows).dice for _, rows in floors[floors["size"] == store.size].groupby("floor")]
    assert {len(dice) for dice in each} == {len(store.cases)}
    assert incomplete_exams.floor(phantom_cohort, FOLDS) == pytest.approx(max(dice.mean() for dice in each))


def test_each_network_predicts_each_patient_once_under_each_pattern(counted):
    counts, trainings, _, store = counted
    assert trainings[["network", "split"]].to_numpy().tolist() == [
        ["all sequences", FOLDS[0]], ["FLAIR", FOLDS[0]], ["all sequences", FOLDS[1]], ["FLAIR", FOLDS[1]]
    ]  # fmt: skip
    assert not counts.duplicated(["network", "pattern", "case_id"]).any()
    assert len(counts) == 2 * 7 * len(store.cases)


def test_it_goes_on_from_its_record_at_another_machine(answered, phantom_cohort, monkeypatch, tmp_path):
    record = tmp_path / "reports" / "records" / answered.name
    record.mkdir(parents=True)
    trainings, counts = incomplete_exams.read(answered)
    (record / incomplete_exams.DESCRIPTION).write_bytes((answered / incomplete_exams.DESCRIPTION).read_bytes())
    trainings[:3].to_csv(record / incomplete_exams.COSTS, index=False)
    counts.to_csv(record / incomplete_exams.COUNTS, index=False)  # killed between the two tables: the last was counted in vain
    monkeypatch.setenv("BRAIN_TUMOR_REPORTS", str(tmp_path / "reports"))
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path))
    names = []

    def trained(recipe, _cohort):
        run = RunFolder(answered.parent / trainings.run.iloc[3])
        names.append((recipe.split, recipe.channels))
        return run

    monkeypatch.setattr(incomplete_exams.experiment, "train", trained)
    again = incomplete_exams.read(incomplete_exams.answer(RECIPES, phantom_cohort, FOLDS))
    assert names == [(FOLDS[1], "neighbours")]
    pd.testing.assert_frame_equal(again[0], trainings)
    pd.testing.assert_frame_equal(again[1], counts)


def test_the_reference_can_be_left_in_and_networks_learn_side_by_side(phantom_cohort, counted, monkeypatch, tmp_path):
    """What other processes would do is done here; that they do it is in ``test_jobs.py``."""

    def in_this_process(work, tasks, workers):
        assert workers == 2 and pickle.dumps((work, tasks))
        for task in tasks:
            yield work(*task)

    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path))
    monkeypatch.setattr(incomplete_exams, "side_by_side", in_this_process)
    folder = incomplete_exams.answer(RECIPES, phantom_cohort, FOLDS[:1], take_reference=False, workers=2)
    trainings, counts = incomplete_exams.read(folder)
    assert sorted(trainings.network) == ["FLAIR", "all sequences"] and len(trainings) == 2
    assert list(counts.pattern.unique()) == ["nothing", "pre", "post", "pre and post"]
    assert folder.name.startswith("phantom-incomplete-exams-")


def test_a_network_of_flair_loses_nothing_by_other_sequences(counted):
    counts = counted[0]
    lost = incomplete_exams.losses(counts)
    assert list(lost.index) == ["nothing", "pre", "flair", "post", "pre and flair", "pre and post", "flair and post"]
    assert (lost.loc[["pre", "post", "pre and post"], "FLAIR"] == 0).all()
    assert (lost["all sequences"].drop("nothing") != 0).any()


def test_routing_asks_the_network_of_flair_wherever_a_sequence_is_missing(counted):
    counts, _, lacks, _ = counted
    both = incomplete_exams.routed(counts, "all sequences", "FLAIR", lacks != "")
    assert len(both) == counts.case_id.nunique() * counts.pattern.nunique()
    one, other = (both[(both.pattern == "nothing") & (both.case_id.map(lacks).ne("") == missing)] for missing in (False, True))
    for rows, name in ((one, "all sequences"), (other, "FLAIR"), (both[both.pattern == "pre"], "FLAIR")):
        expected = counts[(counts.network == name)].set_index(["pattern", "case_id"])[["tp", "fp", "fn"]]
        own = rows.set_index(["pattern", "case_id"])[["tp", "fp", "fn"]]
        assert len(own) and (expected.loc[own.index] == own).all(axis=None)


def test_the_pixels_tell_what_the_phantom_lacks(counted):
    _, _, lacks, store = counted
    assert (lacks == store.cases.missing.reindex(lacks.index)).all()
    assert set(lacks) >= {"", "pre+post", "post"}


def test_each_exam_goes_to_the_network_that_its_pixels_ask_for(counted, phantom_cohort):
    lacks = counted[2]
    routes = incomplete_exams.routes(phantom_cohort, "all sequences", "FLAIR")
    assert list(routes.index) == [case.case_id for case in phantom_cohort.cases]
    assert routes.network.eq("FLAIR").equals(lacks.ne("").reindex(routes.index))
    assert set(routes.lacks) >= {"nothing", "pre and post", "post"}


def test_means_have_intervals_and_are_the_scores(counted):
    counts = counted[0]
    rows = incomplete_exams.means(counts)
    scores = incomplete_exams.scores(counts)
    assert len(rows) == counts.network.nunique() * counts.pattern.nunique()
    for row in rows.itertuples():
        assert row.low <= row.dice <= row.high and row.dice == pytest.approx(scores.loc[row.pattern, row.network])
    untouched = counts[counts.pattern == incomplete_exams.NOTHING]
    difference = incomplete_exams.compare(untouched, "FLAIR", "all sequences").difference
    assert difference == pytest.approx(scores.loc["nothing", "FLAIR"] - scores.loc["nothing", "all sequences"])


def test_losses_are_drawn_a_line_a_network(counted):
    axes = incomplete_exams.plot_losses(counted[0]).axes[0]
    assert [line.get_label() for line in axes.lines] == ["all sequences", "FLAIR"]
    assert [label.get_text() for label in axes.get_xticklabels()][4] == "pre\nand flair"


def test_an_answer_on_the_phantom_is_never_published(answered):
    assert incomplete_exams.find(answered.name[:-3]) == answered
    with pytest.raises(RunError, match="of the phantom, which is never published"):
        incomplete_exams.commit(answered)
