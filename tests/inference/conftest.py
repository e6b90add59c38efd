"""A network and slices small enough to predict in no time."""

import keras
import numpy as np
import pytest

from brain_tumor.models import unet


@pytest.fixture(scope="session")
def network():
    """A ResUNet of two levels on 16 x 16 pixels, random weights."""
    keras.utils.set_random_seed(0)
    return unet.resunet(16, filters=(4, 8))


@pytest.fixture(scope="session")
def images():
    """20 slices of 24 x 24: more than a batch, and not the network's size."""
    return np.random.default_rng(0).integers(0, 256, (20, 24, 24, 3), np.uint8)
