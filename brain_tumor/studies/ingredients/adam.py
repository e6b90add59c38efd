"""Adam watched at work: the gradient of one weight, its two moving averages, and the step that they make (row 000.12).

Adam (Kingma & Ba 2015, arXiv 1412.6980) keeps of each weight the moving average of its gradient, ``m``, and of its square, ``v``,
and steps by ``rate * m / sqrt(v)``, both freed of their start at 0. AdamW (Loshchilov 2019, arXiv 1711.05101) shrinks the weight
beside that step, by ``rate * decay * weight``, instead of adding the weight to the gradient, where ``sqrt(v)`` would undo it.
"""

import keras
import numpy as np
import pandas as pd

from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.experiments import prepare, run as experiment
from brain_tumor.experiments.own import NONE
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.models import settings
from brain_tumor.models.architectures import HEAD
from brain_tumor.training import loop
from brain_tumor.training.optimisers import FusedAdamW

BETA1, BETA2 = 0.9, 0.999


@settings.fixed()
def watch(recipe: Recipe, cohort: Cohort, steps: int = 60, layer: str = HEAD, decay: float = 1e-2) -> pd.DataFrame:
    """Train a recipe's network for some steps at a constant rate, and follow the weight of a layer that moves most.

    Args:
        decay: AdamW's.

    Returns:
        A row a step: ``step, weight, gradient, first, second`` (the averages, freed of their start), ``change`` (Adam's) and
        ``shrinkage`` (AdamW's, of the same step).
    """
    recipe = experiment.on(recipe, cohort)
    store = open_store(cohort)
    split = experiment.make_split(recipe, store)
    model = prepare.network(recipe, cohort, split, "float32", NONE).model
    material = prepare.material(recipe, store, split, model, "float32", NONE)
    rate = recipe.stages[0].max_lr
    optimiser = FusedAdamW(rate, weight_decay=decay, beta_1=BETA1, beta_2=BETA2)
    loop.prepare(model, model, optimiser, material.loss)
    kernel = model.get_layer(layer).kernel
    place = next(number for number, variable in enumerate(model.trainable_variables) if variable is kernel)
    series: list[list[np.ndarray]] = []
    for _ in loop.short_run(model, material.own_size.epoch_batches, steps):
        averages = optimiser._momentums[place], optimiser._velocities[place]
        series.append([np.array(keras.ops.convert_to_numpy(values)).ravel() for values in (kernel, *averages)])
    weights, firsts, seconds = (np.stack(values) for values in zip(*series, strict=True))
    chosen = int(np.argmax(np.ptp(weights, axis=0)))
    return _table(weights[:, chosen], firsts[:, chosen], seconds[:, chosen], rate, decay)


def _table(weight: np.ndarray, first: np.ndarray, second: np.ndarray, rate: float, decay: float) -> pd.DataFrame:
    step = np.arange(1, len(weight) + 1)
    gradient = (first - BETA1 * np.append(0, first[:-1])) / (1 - BETA1)
    freed = first / (1 - BETA1**step), second / (1 - BETA2**step)
    change = -rate * freed[0] / (np.sqrt(freed[1]) + 1e-7)
    return pd.DataFrame(
        {
            "step": step, "weight": weight, "gradient": gradient, "first": freed[0], "second": freed[1], "change": change,
            "shrinkage": -rate * decay * weight,
        }
    )  # fmt: skip
