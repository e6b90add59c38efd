"""What the network of a recipe is shown of each slice: its channels, normalised, with masks from a cross-validation where asked.

Such masks are out of fold: none comes from a network that trained on the patient. Those of the training patients do come from
networks that trained on test patients; that is the one way in which a test label can reach the classifier, and a faint one.
"""

import numpy as np

from brain_tumor.data import intensity
from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.channels import SliceInputs, slice_inputs, slice_scalings
from brain_tumor.errors import DataError
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.inference import stored
from brain_tumor.paths import runs_folder


def network_inputs(recipe: Recipe, store: Store) -> tuple[SliceInputs, np.ndarray]:
    """The slices of a cohort as the recipe's network takes them, and their scaling ``(N, 4, C)`` float32.

    Args:
        store: at any size.

    Raises:
        DataError: the recipe's masks are not here, damaged, or not of all slices of this cohort.
    """
    working = open_store(store.cohort, recipe.size)
    masks = _masks(recipe.mask_from, working) if recipe.mask_from else None
    return slice_inputs(working, recipe.channels, masks), slice_scalings(working, recipe.channels, recipe.normalisation)


def _masks(crossval: str, store: Store) -> np.ndarray:
    """``(N, S, S)`` uint8 probabilities of tumour, 255 = 1, at the store's size."""
    masks = np.empty(store.masks.shape, np.uint8)
    for case_id in store.cases.index:
        rows = store.rows_of(case_id)
        numbers, planes = stored.load(runs_folder() / crossval, case_id)
        if not np.array_equal(numbers, store.slices.slice.iloc[rows]):
            there = f"{len(numbers)} slices of {case_id}, the cohort has {rows.stop - rows.start}"
            raise DataError(f"{runs_folder() / crossval}: {there}")
        masks[rows] = intensity.resize_images(planes[..., None], store.size).reshape(masks[rows].shape)
    return masks
