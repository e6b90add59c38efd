"""A learning rate for a recipe, found by training for a moment at rates that rise (row 004.40)."""

from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.experiments import prepare
from brain_tumor.experiments.own import NONE, OwnCode
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.experiments.run import make_split, on
from brain_tumor.models import freezing, precision, settings
from brain_tumor.training import finder


@settings.fixed()
def find_rate(recipe: Recipe, cohort: Cohort, own: OwnCode = NONE) -> finder.Sweep:
    """The losses of a recipe's network at learning rates that rise, with the slices that it would be trained on.

    Raises:
        DataError, SplitError, ModelError: the recipe does not fit the cohort.
    """
    recipe = on(recipe, cohort)
    store, number_format = open_store(cohort), precision.resolve(recipe.precision, recipe.LEARNS_REGIONS)
    split = make_split(recipe, store)
    model = prepare.network(recipe, cohort, split, number_format, own).model
    material = prepare.material(recipe, store, split, model, number_format, own)
    freezing.train_only(model, recipe.stages[0].part)
    return finder.sweep(model, material.loss, material.own_size.epoch_batches, recipe.stages[0])
