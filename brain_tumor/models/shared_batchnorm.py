"""BatchNorm over several devices on JAX: its sums travel in one message forward and one back.

Keras's own layer, shared by ``keras.distribution.DataParallel``, sends some eight small tensors a BatchNorm and step: mean and
variance one after the other, and as many sums again for the gradients. Each takes milliseconds where a processor computes beside
(``benchmarks/processes.py``). The statistics are those of the whole batch, as in one process; they agree to rounding.
"""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
from jax.sharding import PartitionSpec

from brain_tumor.models.batchnorm import is_plain, move_statistics

Array = Any


def twin(network: keras.Model) -> keras.Model:
    """A model with the layers of ``network`` whose BatchNorms send less; for the devices that Keras shares batches among."""

    @cache  # a layer that is called twice stays one layer
    def layer_of(layer: keras.layers.Layer) -> keras.layers.Layer:
        return SharedBatchNorm(layer) if is_plain(layer) else layer

    return keras.models.clone_model(network, clone_function=layer_of)


class SharedBatchNorm(keras.layers.Layer):
    """A BatchNorm with the weights of ``layer``; it standardises a batch that several devices share.

    Args:
        layer: Keras's own, of channels last.
    """

    def __init__(self, layer: keras.layers.BatchNormalization):
        super().__init__(name=layer.name, dtype=layer.dtype_policy)
        self.layer = layer

    def call(self, x: Array, training: bool | None = None, mask: Array | None = None) -> Array:
        """As Keras's layer: ``x (B, ..., C)`` standardised over all axes but the last, statistics moved in training."""
        layer = self.layer
        if not (training and layer.trainable) or mask is not None:
            return layer(x, training=training, mask=mask)
        x = keras.ops.cast(x, "float32")
        channels, moving_mean = x.shape[-1:], layer.moving_mean.value
        gamma = layer.gamma.value if layer.scale else jnp.ones(channels)
        beta = layer.beta.value if layer.center else jnp.zeros(channels)
        y, mean, variance = _normalised(x, gamma, beta, moving_mean, layer.epsilon)
        move_statistics(layer, *jax.lax.stop_gradient((mean, variance)))
        return keras.ops.cast(y, layer.compute_dtype)


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def _normalised(x: Array, gamma: Array, beta: Array, centre: Array, epsilon: float) -> tuple[Array, Array, Array]:
    """``x`` with mean ``beta`` and deviation ``gamma`` a channel, and the batch's own mean and variance ``(C,)``.

    Args:
        x: ``(B, ..., C)`` float32.
        gamma, beta: ``(C,)`` float32.
        centre: ``(C,)``, somewhere near the mean: a variance from sums of squares loses digits far from it.
    """
    return _forward(x, gamma, beta, centre, epsilon)[0]


def _forward(x: Array, gamma: Array, beta: Array, centre: Array, epsilon: float) -> tuple[tuple, tuple]:
    shifted = x - centre
    first, second = _means(shifted, shifted)
    mean, variance = first + centre, second - first**2
    deviation = jnp.sqrt(variance + epsilon)
    return ((x - mean) / deviation * gamma + beta, mean, variance), (x, mean, deviation, gamma)


def _backward(_epsilon: float, saved: tuple, changes: tuple) -> tuple[Array, Array, Array, Array]:
    """The gradients by ``x``, ``gamma``, ``beta`` and ``centre`` (Ioffe and Szegedy 2015, section 3)."""
    (x, mean, deviation, gamma), change = saved, changes[0]
    standardised = (x - mean) / deviation
    of_beta, of_gamma = _means(change, standardised)
    by_x = (change - of_beta - standardised * of_gamma) * gamma / deviation
    count = x.size // x.shape[-1]
    return by_x, of_gamma * count, of_beta * count, jnp.zeros_like(mean)


_normalised.defvjp(_forward, _backward)


def _means(a: Array, b: Array) -> tuple[Array, Array]:
    """The means of ``a`` and of ``a * b`` a channel, over the batches of all devices, in one message."""
    mesh = keras.distribution.distribution().device_mesh
    axis = mesh.axis_names[0]
    shares = PartitionSpec(axis)

    def sums(a: Array, b: Array) -> Array:
        axes = tuple(range(a.ndim - 1))
        return jax.lax.psum(jnp.stack([a.sum(axes), (a * b).sum(axes)]), axis)

    joined = jax.shard_map(sums, mesh=mesh.backend_mesh, in_specs=(shares, shares), out_specs=PartitionSpec())
    first, second = joined(a, b) * (a.shape[-1] / a.size)
    return first, second
