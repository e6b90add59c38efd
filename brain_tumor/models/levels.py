"""A network's named levels: where its planes are of half the input's height and width, of a quarter, and so on.

``P1`` to ``P5`` are the levels on the way down, numbered as in feature pyramids (Lin 2017, arXiv 1612.03144): planes of level k
are the input's divided by 2 to the power of k. ``D4`` to ``D0`` are those of a U-Net on the way up again. A network that halves
nothing has ``P0`` alone.
"""

from collections.abc import Callable

import keras
import numpy as np

from brain_tumor.errors import ModelError
from brain_tumor.models import backend, settings
from brain_tumor.models.architectures import SLICE_HEAD

Sensitivity = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def levels(network: keras.Model) -> dict[str, str]:
    """``level -> name of its last layer``, from the first level to the last one."""
    side = network.input_shape[1]
    planes = [layer for layer in network.layers if _has_planes(layer) and side % layer.output.shape[1] == 0]
    smallest = min((layer.output.shape[1] for layer in planes), default=side)
    bottom = max((place for place, layer in enumerate(planes) if layer.output.shape[1] == smallest), default=0)
    names = {}
    for place, layer in enumerate(planes):
        height, channels = layer.output.shape[1], layer.output.shape[-1]
        factor = side // height
        if factor & (factor - 1) or channels == network.output_shape[-1] or (height == side > smallest and place <= bottom):
            continue  # padded planes, logits, and what is still of the input's size
        names[f"{'P' if place <= bottom else 'D'}{factor.bit_length() - 1}"] = layer.name
    return names


def _has_planes(layer: keras.layers.Layer) -> bool:
    """Whether it gives features by place: not the image itself, nor the logit of a whole slice in every pixel."""
    return len(layer.output.shape) == 4 and not isinstance(layer, keras.layers.InputLayer) and SLICE_HEAD not in layer.name


def deepest(network: keras.Model) -> str:
    """The level of the smallest planes: of a classifier the last one, of a U-Net the one at the bottom.

    Raises:
        ModelError: the network has no levels.
    """
    down = [level for level in levels(network) if level.startswith("P")]
    if not down:
        raise ModelError(f"{network.name}: no layer between the image and the logits to look at")
    return down[-1]


def front(network: keras.Model, level: str) -> keras.Model:
    """The network up to a level.

    Raises:
        ModelError: it has no such level.
    """
    names = levels(network)
    if level not in names:
        raise ModelError(f"{network.name}: no level {level!r}, expected one of {', '.join(names)}")
    return keras.Model(network.input, network.get_layer(names[level]).output, name=f"{network.name}_{level}")


@settings.fixed()
def sensitivity(network: keras.Model, level: str) -> Sensitivity:
    """How a level's features move the network's logits.

    Returns:
        A function of images ``(B, S, S, C)`` float32 and of what each logit counts, in the shape of the logits. It gives the
        features ``(B, h, w, F)``, and the derivative of the counted logits by them, both float32.

    Raises:
        ModelError: the network has no such level.
    """
    lower = front(network, level)
    upper = keras.Model([network.input, lower.output], network.output, name=f"{network.name}_above_{level}")
    return backend.derivative(lower, upper)
