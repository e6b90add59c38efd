"""What a network takes: the store's own slices, or with masks that no network of the same patient made."""

import numpy as np
import pytest

from brain_tumor import files
from brain_tumor.data.cache import open_store
from brain_tumor.data.readers import lgg
from brain_tumor.errors import DataError
from brain_tumor.experiments.inputs import network_inputs
from brain_tumor.experiments.recipe import ClassificationRecipe, SegmentationRecipe
from brain_tumor.inference.stored import NUMBERS, PREDICTIONS
from brain_tumor.paths import runs_folder

MASKED = ClassificationRecipe(size=32, channels="sequences+mask", mask_from="some-crossval", normalisation="unit")


@pytest.fixture
def store(home, tree):
    return open_store(lgg.read_cohort(tree))


def gather(store, drop=0):
    """Out-of-fold masks of probability ``slice / 255`` everywhere, without the last ``drop`` slices of each case."""
    arrays = {}
    for case_id, rows in store.slices.groupby("case_id"):
        numbers = rows.slice.to_numpy()[: len(rows) - drop]
        arrays[case_id] = np.ones((len(numbers), 16, 16), np.uint8) * numbers[:, None, None].astype(np.uint8)
        arrays[f"{case_id}{NUMBERS}"] = numbers
    with files.atomic_path(runs_folder() / "some-crossval" / PREDICTIONS) as temporary:
        np.savez(temporary, **arrays)


def test_a_segmentation_network_takes_the_slices_of_the_store(store):
    inputs, scalings = network_inputs(SegmentationRecipe(size=32, normalisation="unit"), store)
    working = open_store(store.cohort, 32)
    assert np.array_equal(inputs[np.arange(15)], working.images) and np.array_equal(scalings, working.slice_scalings("unit"))


def test_masks_of_a_cross_validation_come_at_the_networks_size(store):
    gather(store)
    inputs, scalings = network_inputs(MASKED, store)
    slices = inputs[np.arange(15)]
    assert slices.shape == (15, 32, 32, 4) and scalings.shape == (15, 4, 4)
    assert all((plane == number).all() for plane, number in zip(slices[..., 3], store.slices.slice, strict=True))


def test_masks_that_are_not_here_or_not_of_all_slices_are_refused(store):
    with pytest.raises(DataError, match="some-crossval.*no out-of-fold predictions"):
        network_inputs(MASKED, store)
    gather(store, drop=1)
    with pytest.raises(DataError, match="11 slices of TCGA_CS_0001_19960909, the cohort has 12"):
        network_inputs(MASKED, store)
