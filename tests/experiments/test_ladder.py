"""A rung is a number of steps, whatever the cohort's size."""

import pytest

from brain_tumor.data.cache import open_store
from brain_tumor.errors import ModelError
from brain_tumor.experiments import ladder
from brain_tumor.experiments.run import make_split


@pytest.mark.parametrize("name", ladder.RUNGS)
@pytest.mark.parametrize("split", ["ratio-33", "fold-1-of-3"])
def test_epochs_come_as_near_to_the_steps_as_whole_ones_can(home, phantom_cohort, name, split):
    recipe = ladder.recipe(name, phantom_cohort, split, seed=3)
    store = open_store(phantom_cohort)
    steps = len(make_split(recipe, store).rows("train", store.slices)) // recipe.batch_size
    epochs = sum(stage.epochs for stage in recipe.stages)
    assert abs(epochs * steps - ladder.RUNGS[name].steps) <= steps / 2
    assert (recipe.seed, recipe.split, recipe.cohort) == (3, split, "phantom")


def test_changes_take_the_place_of_the_rungs_options(home, phantom_cohort):
    assert ladder.recipe("ladder-1h", phantom_cohort, "ratio-33", members=1).members == 1
    with pytest.raises(ModelError, match="rung 'ladder-5m', expected one of ladder-15m, ladder-1h, ladder-gpu"):
        ladder.recipe("ladder-5m", phantom_cohort)


def test_a_rungs_scores_on_its_own_cohort_are_selected(home, phantom_cohort):
    drawn = ladder.recipe("ladder-1h", phantom_cohort, "ratio-33").to_json()
    assert not ladder.is_selected(drawn), "it was chosen on other patients"
    assert ladder.is_selected(drawn | {"cohort": "lgg"})
    assert not ladder.is_selected(drawn | {"cohort": "lgg", "size": 128})
