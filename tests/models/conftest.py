"""Networks small enough to build in a second."""

import keras
import pytest

from brain_tumor.models import unet

SMALL = {"size": 16, "filters": (4, 8)}


@pytest.fixture
def small_resunet():
    """A ResUNet of two levels on 16 x 16 pixels, the same weights each time."""
    keras.utils.set_random_seed(0)
    return unet.resunet(**SMALL)


@pytest.fixture(scope="session")
def resnet18_unet():
    """The U-Net on ResNet18 at 32 x 32 pixels: shared, so a test leaves it as it found it."""
    keras.utils.set_random_seed(0)
    return unet.unet("resnet18", 32)
