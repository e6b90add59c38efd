"""Every pattern of missing sequences is counted, and routing picks by what the exam lacks."""

import pandas as pd
import pytest

from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import missing_sequences
from brain_tumor.evaluation import overlap
from brain_tumor.experiments import crossval
from brain_tumor.experiments.recipe import SegmentationRecipe
from brain_tumor.studies import two_networks
from brain_tumor.training.plan import Stage

SMALL = SegmentationRecipe(
    cohort="phantom",
    model="resunet",
    size=16,
    stages=(Stage("all", 1, 1e-2),),
    batch_size=8,
    batchnorm_momentum=0.9,
    precision="float32",
    model_arguments=(("filters", (2, 2)),),
)


@pytest.fixture(scope="module")
def counted(phantom_cohort, tmp_path_factory):
    from dataclasses import replace

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAIN_TUMOR_HOME", str(tmp_path_factory.mktemp("two")))
        folds = {
            name: crossval.cross_validate(replace(SMALL, channels=channels), phantom_cohort, folds=2, workers=1)
            for name, channels in (("all sequences", "sequences"), ("FLAIR", "neighbours"))
        }
        counts = two_networks.count(folds, phantom_cohort)
        stored = {name: pd.read_csv(folder / "counts.csv") for name, folder in folds.items()}
        store = open_store(phantom_cohort)
        lacks = {
            case_id: "+".join(missing_sequences(store.images[store.rows_of(case_id)], phantom_cohort.sequences))
            for case_id in store.cases.index
        }
        return counts, stored, pd.Series(lacks), store


def test_with_nothing_taken_away_it_is_what_evaluation_counted(counted):
    counts, stored, _, store = counted
    for name, table in stored.items():
        expected = overlap.per_case(table[table["size"] == store.size])[["tp", "fp", "fn"]]
        rows = counts[(counts.network == name) & (counts.pattern == two_networks.NOTHING)].set_index("case_id")
        pd.testing.assert_frame_equal(rows[["tp", "fp", "fn"]].sort_index(), expected, check_names=False)


def test_a_network_of_flair_loses_nothing_by_other_sequences(counted):
    counts = counted[0]
    lost = two_networks.losses(counts)
    assert list(lost.index) == ["nothing", "pre", "flair", "post", "pre and flair", "pre and post", "flair and post"]
    assert (lost.loc[["pre", "post", "pre and post"], "FLAIR"] == 0).all()
    assert (lost["all sequences"].drop("nothing") != 0).any()


def test_routing_asks_the_network_of_flair_wherever_a_sequence_is_missing(counted):
    counts, _, lacks, _ = counted
    both = two_networks.routed(counts, "all sequences", "FLAIR", lacks != "")
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
