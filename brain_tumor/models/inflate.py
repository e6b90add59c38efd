"""A network of slices made one of volumes, layer by layer, and its weights with it.

Every layer of the 2-D network has a layer of the same name in the 3-D one. Kernels get three planes, or one, and a 2-D kernel
goes into the middle plane with zeros around it. So on a volume whose planes are all alike the 3-D network gives what the 2-D one
gives on the plane, until it has learnt more. (Carreira 2017, arXiv 1705.07750, spreads the kernel over all planes instead, which
is off at the first and last plane, where padding is zero.)

Planes of many MRI exams lie farther apart than pixels do, so the first halvings are within planes alone, as in nnU-Net (Isensee
2021, doi 10.1038/s41592-020-01008-z).
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from brain_tumor.errors import ModelError
from brain_tumor.models.architectures import HEAD

KERNEL_DEPTH = 3  # planes of a kernel whose height and width are odd and above 1
NORMS = ("batch", "group")
GROUPS = 8  # of GroupNorm; Wu & He 2018, arXiv 1803.08494, find no loss from 8 to 32
# On so many planes TensorFlow 2.21 gives the gradient of a kernel of three planes wrong in bfloat16 on a processor: NaN, or any
# number, another one each time. Such a layer computes in float32. On one plane, and on three and more, it is right.
WRONG_IN_BFLOAT16 = 2
COARSER = "deep"  # how heads of coarser levels are called


def inflated(network: keras.Model, depth: int, planar: int, regions: int = 1, norm: str = "batch") -> keras.Model:
    """A 3-D network of the layers of a 2-D one, with weights of its own.

    Args:
        network: a U-Net or ResUNet of :mod:`brain_tumor.models.unet`, ``(B, S, S, C)`` to logits ``(B, S, S, L)``.
        depth: planes of a volume, a multiple of 2 for every halving that is not within planes alone.
        planar: how many halvings, the first ones, are within planes alone.
        regions: logits a voxel, of each of its heads.
        norm: ``batch``, or ``group``, whose answer for a volume does not depend on the others in its batch, so that gradients may
            be gathered over batches.

    Returns:
        ``(B, depth, S, S, C)`` float32 to logits ``(B, depth, S, S, regions * L)`` float32: all regions of the first head, then
        those of each coarser one.

    Raises:
        ModelError: a depth that cannot be halved as often, another norm, or a layer that has no counterpart.
    """
    if norm not in NORMS:
        raise ModelError(f"norm {norm!r}, expected one of {', '.join(NORMS)}")
    for layer in network.layers:
        if type(layer).__name__ not in _COUNTERPARTS:
            raise ModelError(f"layer {layer.name!r} ({type(layer).__name__}) has no counterpart in three dimensions")
    _, size, _, channels = network.input_shape
    halvings = round(math.log2(size / min(layer.output.shape[1] for layer in network.layers if layer.output.ndim == 4)))
    factor = 2 ** max(0, halvings - planar)
    if depth < factor or depth % factor:
        raise ModelError(
            f"{depth} planes, expected a multiple of {factor}: the network halves the depth {halvings - planar} times"
        )

    def step(plane: int) -> int:
        """By how much the depth changes where the plane is halved or doubled, on the finer side of that."""
        return 1 if round(math.log2(size / plane)) < planar else 2

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        counterpart = _COUNTERPARTS[type(layer).__name__](layer, step, regions, norm)
        if isinstance(counterpart, keras.layers.Conv3D) and counterpart.kernel_size[0] > 1:
            halved = max(0, round(math.log2(size / layer.input.shape[1])) - planar)
            if depth // 2**halved == WRONG_IN_BFLOAT16:
                counterpart.dtype_policy = "float32"
        return counterpart

    volume = keras.Input((depth, size, size, channels), name="volume")
    return keras.models.clone_model(network, input_tensors=volume, clone_function=clone, call_function=_call)


def _call(layer: keras.layers.Layer, *inputs: Any, **_how: Any) -> Any:
    """Call a layer of the 3-D network; what the 2-D layer was called with besides, such as BatchNorm's mask, is of that layer."""
    return layer(*inputs)


def extended(network: keras.Model, extent: tuple[int, int, int]) -> keras.Model:
    """The same 3-D network, weights included, for volumes of another number of planes, height and width.

    Args:
        extent: multiples of those that it takes.
    """
    volume = keras.Input((*extent, network.input_shape[-1]), name="volume")
    other = keras.models.clone_model(network, input_tensors=volume)
    other.set_weights(network.get_weights())
    return other


def is_local(network: keras.Model) -> bool:
    """Whether every layer looks at a neighbourhood of each voxel alone, so that the network takes volumes of any extent.

    GroupNorm takes the mean of the whole volume. Of a layer that is not ours, such as Flatten, nothing is known.
    """
    return all(type(layer).__name__.replace("3D", "2D") in _COUNTERPARTS for layer in network.layers)


def transfer(flat: keras.Model, deep: keras.Model) -> None:
    """Give a 3-D network the weights of the 2-D one that it was made of, in place.

    Moving statistics stay behind where the 3-D network normalises by groups.
    """
    for layer in flat.layers:
        if not layer.weights:
            continue
        values = {variable.name: keras.ops.convert_to_numpy(variable) for variable in layer.weights}
        target = deep.get_layer(layer.name)
        for variable in target.weights:
            variable.assign(fitted(values[variable.name], tuple(variable.shape)))


def fitted(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A 2-D network's weight as the 3-D network has it: a kernel in its middle plane, a head's for every region.

    Raises:
        ValueError: it does not fit.
    """
    if values.shape[-1] != shape[-1]:
        values = np.repeat(values, shape[-1] // values.shape[-1], axis=-1)
    if values.ndim == len(shape) - 1:
        planes = np.zeros(shape, values.dtype)
        planes[shape[0] // 2 if shape[0] % 2 else 0] = values
        return planes
    return np.broadcast_to(values, shape)


def kernel_depth(side: int, step: int) -> int:
    """How many planes the kernel of a convolution or pooling of this height and width has."""
    if side % 2 == 0:
        return step
    return min(side, KERNEL_DEPTH)


def _convolution(layer: keras.layers.Conv2D, step: Callable, regions: int, _norm: str) -> keras.layers.Layer:
    config = layer.get_config()
    along = step(layer.output.shape[1] * layer.strides[0]) if layer.strides[0] > 1 else 1  # its input may be padded
    head = layer.name == HEAD or (layer.name.startswith(COARSER) and layer.filters == 1)
    return keras.layers.Conv3D(
        regions * layer.filters if head else layer.filters,
        (kernel_depth(layer.kernel_size[0], along), *layer.kernel_size),
        strides=(along, *layer.strides),
        padding=layer.padding,
        use_bias=layer.use_bias,
        kernel_initializer=config["kernel_initializer"],
        activation=config["activation"],
        name=layer.name,
        dtype=layer.dtype_policy,
    )


def _padding(layer: keras.layers.ZeroPadding2D, _step: Callable, _regions: int, _norm: str) -> keras.layers.Layer:
    """It stands before a kernel that it is half of, but for the middle: 3 before 7 x 7, 1 before 3 x 3."""
    rows, columns = layer.padding
    planes = kernel_depth(2 * rows[0] + 1, 1) // 2
    return keras.layers.ZeroPadding3D(((planes, planes), rows, columns), name=layer.name, dtype=layer.dtype_policy)


def _pooling(layer: keras.layers.MaxPooling2D, step: Callable, _regions: int, _norm: str) -> keras.layers.Layer:
    along, side = step(layer.output.shape[1] * layer.strides[0]), layer.pool_size[0]
    pool, strides = (kernel_depth(side, along), *layer.pool_size), (along, *layer.strides)
    return keras.layers.MaxPooling3D(pool, strides, layer.padding, name=layer.name, dtype=layer.dtype_policy)


def _growing(layer: keras.layers.UpSampling2D, step: Callable, _regions: int, _norm: str) -> keras.layers.Layer:
    """A coarse head's is several doublings at once, of each of which the depth takes part or does not."""
    plane, factor, along = layer.output.shape[1], layer.size[0], 1
    while factor > 1:
        along, plane, factor = along * step(plane), plane // 2, factor // 2
    return keras.layers.UpSampling3D((along, *layer.size), name=layer.name, dtype=layer.dtype_policy)


def _norm_layer(layer: keras.layers.BatchNormalization, _step: Callable, _regions: int, norm: str) -> keras.layers.Layer:
    if norm == "batch":
        return _along_channels(layer, _step, _regions, norm)
    groups = math.gcd(GROUPS, layer.output.shape[-1])
    return keras.layers.GroupNormalization(
        groups, epsilon=layer.epsilon, center=layer.center, scale=layer.scale, name=layer.name, dtype=layer.dtype_policy
    )


def _along_channels(layer: keras.layers.Layer, _step: Callable, _regions: int, _norm: str) -> keras.layers.Layer:
    """The axis of channels, which some networks count from the front, is another one in a volume."""
    return type(layer).from_config(layer.get_config() | {"axis": -1})


def _same(layer: keras.layers.Layer, _step: Callable, _regions: int, _norm: str) -> keras.layers.Layer:
    return type(layer).from_config(layer.get_config())


_COUNTERPARTS: dict[str, Callable[..., keras.layers.Layer]] = {
    "InputLayer": _same,
    "Conv2D": _convolution,
    "ZeroPadding2D": _padding,
    "MaxPooling2D": _pooling,
    "UpSampling2D": _growing,
    "BatchNormalization": _norm_layer,
    "Activation": _same,
    "Add": _same,
    "Concatenate": _along_channels,
    "Dropout": _same,
}
