"""What we ask of JAX itself: slices that stay on the device, batches cut from them in the graph, an epoch in one call.

Pixels are on the device once, as uint8; an epoch ships what chance decided for its batches, about 15 kB each. Every step is
Keras's own ``train_step`` within one ``jax.lax.scan``: it learns and measures what ``train_on_batch`` does on the same batch.

:mod:`brain_tumor.training.resident` chooses this module.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np

Tensor = Any
Logs = list[dict[str, float]]

SHARE = 0.5  # of the device's memory that slices may take; what the network computes needs the rest


class Slices(NamedTuple):
    """``images (N, H, W, C)`` uint8, ``targets (N, H, W)`` or ``(N,)`` uint8, and ``scalings (N, 4, C)`` float32."""

    images: Tensor
    targets: Tensor
    scalings: Tensor


class Changes(NamedTuple):
    """What becomes of the slices of one batch, or with one more axis in front of each batch of an epoch.

    Attributes:
        rows: ``(B,)`` int32, which slices.
        inverses: ``(B, 2, 3)`` float32, affine matrices that map a pixel's new place to its source.
        sources: ``(B, C)`` int32, the channel that each channel is taken from.
        curves: ``(B, C, 256)`` uint8, the new level of each level.
    """

    rows: Tensor
    inverses: Tensor
    sources: Tensor
    curves: Tensor


def fits(size: int) -> bool:
    """Whether slices of so many bytes leave enough of the device's memory; always where JAX does not know how much there is."""
    memory = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    return memory is None or size <= SHARE * memory


def put(slices: Slices) -> Slices:
    """Arrays as tensors on the device, which JAX chooses: tensors bound to one would have the second epoch compiled anew."""
    return jax.device_put(slices)


def batch(slices: Slices, changes: Changes) -> tuple[Tensor, Tensor]:
    """One augmented batch, as :class:`brain_tumor.training.batches.TrainingBatches` makes it.

    Images agree with OpenCV 5 to within one level of 255, before they are normalised; earlier versions round the places that
    they read from to 1/32 pixel. A mask's pixel may differ where its source lies in the middle between two.
    """
    moved = jax.vmap(_moved)(slices.images[changes.rows], changes.inverses)
    images = jax.vmap(_recoloured)(moved, changes.sources, changes.curves)
    targets = slices.targets[changes.rows]
    if targets.ndim == 3:
        targets = jax.vmap(_moved_mask)(targets, changes.inverses)
    return _inputs(images, targets, slices.scalings[changes.rows])


def _inputs(images: Tensor, targets: Tensor, scalings: Tensor) -> tuple[Tensor, Tensor]:
    """What a network is given, normalised as in :func:`brain_tumor.data.intensity.normalise`, and its truth, both float32."""
    low, high, offset, scale = jnp.moveaxis(scalings[:, :, None, None], 1, 0)
    images = (jnp.clip(images.astype(jnp.float32), low, high) - offset) * scale
    return images, targets[..., None].astype(jnp.float32)


def _moved(image: Tensor, inverse: Tensor) -> Tensor:
    """``image (H, W, C)`` uint8, each pixel the mean of the four around its source, by how near they are."""
    y, x = _places(inverse, image.shape)
    top, left = jnp.floor(y), jnp.floor(x)
    down, right = (y - top)[..., None], (x - left)[..., None]
    rows = [
        _pixels(image, row, left).astype(jnp.float32) * (1 - right) + _pixels(image, row, left + 1).astype(jnp.float32) * right
        for row in (top, top + 1)
    ]
    return jnp.rint(rows[0] * (1 - down) + rows[1] * down).astype(jnp.uint8)


def _moved_mask(mask: Tensor, inverse: Tensor) -> Tensor:
    """``mask (H, W)``, each pixel the one nearest to its source."""
    y, x = _places(inverse, mask.shape)
    return _pixels(mask[..., None], jnp.rint(y), jnp.rint(x))[..., 0]


def _places(inverse: Tensor, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """``y`` and ``x``, ``(H, W)`` float32, of each pixel's source; sums, since a matrix product may have fewer digits here."""
    y, x = jnp.meshgrid(*(jnp.arange(side, dtype=jnp.float32) for side in shape[:2]), indexing="ij")
    of_x, of_y = (row[0] * x + row[1] * y + row[2] for row in inverse)
    return of_y, of_x


def _pixels(image: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """The pixels of ``image (H, W, C)`` at whole ``y`` and ``x``; 0 outside."""
    height, width = image.shape[:2]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    row, column = (jnp.clip(place, 0, side - 1).astype(jnp.int32) for place, side in ((y, height), (x, width)))
    return jnp.where(inside[..., None], image[row, column], 0)


def _recoloured(image: Tensor, sources: Tensor, curves: Tensor) -> Tensor:
    """``image (H, W, C)`` uint8 with its channels' sources and brightness curves."""
    return curves[jnp.arange(len(curves)), image[..., sources]]


def training(model: keras.Model, slices: Slices, batch_size: int) -> Callable[[Changes, Any], Logs]:
    """A function that trains a compiled ``model`` on all batches of an epoch and gives what each measured.

    It takes the epoch and, or None, moving averages of the weights (:class:`brain_tumor.training.averages.Averages`). The host
    waits once, for the measures. ``model`` holds its new weights, statistics, random states and optimiser's variables afterwards.
    """
    unmeasured = _unmeasured(model, slices, batch_size)
    variables = [model.trainable_variables, model.non_trainable_variables, model.optimizer.variables]
    places = {id(variable): number for number, variable in enumerate(variables[0] + variables[1])}

    @partial(jax.jit, donate_argnums=0, static_argnums=4)
    def scan(state: Any, slices: Slices, epoch: Changes, shares: Tensor, averaged: tuple[int, ...]) -> tuple[Any, dict]:
        def step(state: Any, of_step: tuple[Changes, Tensor]) -> tuple[Any, dict[str, Tensor]]:
            (*state, means), (changes, share) = state, of_step
            logs, (*state, _) = model.train_step((*state, unmeasured), batch(slices, changes))
            weights = [*state[0], *state[1]]
            means = [mean + share * (weights[place] - mean) for place, mean in zip(averaged, means, strict=True)]
            return [*state, means], logs

        return jax.lax.scan(step, state, (epoch, shares))

    def train(epoch: Changes, averages: Any = None) -> Logs:
        steps, means = len(epoch.rows), averages.values if averages else []
        shares = averages.shares(steps) if averages else np.zeros(steps, np.float32)
        averaged = tuple(places[id(variable)] for variable in averages.variables) if averages else ()
        state = [*([variable.value for variable in group] for group in variables), [jnp.asarray(mean) for mean in means]]
        (*state, means), logs = scan(state, slices, epoch, shares, averaged)
        for group, values in zip(variables, state, strict=True):  # at once: the old values are gone
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        if averages:
            averages.step, averages.values = averages.step + steps, [np.array(mean) for mean in means]
        return _rows(logs)

    return train


def evaluation(model: keras.Model, slices: Slices, batch_size: int) -> Callable[[np.ndarray], Logs]:
    """A function of ``rows (steps, B)`` that gives what a compiled ``model`` measures on each batch of slices as they are."""
    unmeasured = _unmeasured(model, slices, batch_size)

    @jax.jit
    def scan(state: Any, slices: Slices, epoch: Tensor) -> dict[str, Tensor]:
        def step(_: None, rows: Tensor) -> tuple[None, dict[str, Tensor]]:
            logs, _state = model.test_step((*state, unmeasured), _inputs(*(part[rows] for part in slices)))
            return None, logs

        return jax.lax.scan(step, None, epoch)[1]

    def evaluate(epoch: np.ndarray) -> Logs:
        groups = model.trainable_variables, model.non_trainable_variables
        return _rows(scan([[variable.value for variable in group] for group in groups], slices, epoch))

    return evaluate


def _unmeasured(model: keras.Model, slices: Slices, batch_size: int) -> list[np.ndarray]:
    """The variables of the measures before a step: each step measures its batch alone."""
    images = jax.ShapeDtypeStruct((batch_size, *slices.images.shape[1:]), jnp.float32)
    truth = jax.ShapeDtypeStruct((batch_size, *slices.targets.shape[1:], 1), jnp.float32)
    model._symbolic_build(data_batch=(images, truth))  # as `train_on_batch` does: measures have no variables before
    model.reset_metrics()
    return [np.asarray(variable.value) for variable in model.metrics_variables]


def derivative(lower: keras.Model, upper: keras.Model) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """As :func:`brain_tumor.models.backend.derivative`."""

    @jax.jit
    def compute(images: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        def score(features: Tensor) -> Tensor:
            return jnp.sum(upper([images, features], training=False) * weights)

        features = lower(images, training=False)
        return features.astype(jnp.float32), jax.grad(score)(features).astype(jnp.float32)

    def run(images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features, gradients = compute(jnp.asarray(images), jnp.asarray(weights))
        return np.asarray(features), np.asarray(gradients)

    return run


def _rows(logs: dict[str, Tensor]) -> Logs:
    """The measures of each step, fetched from the device in one go."""
    columns = jax.device_get(logs)
    return [dict(zip(columns, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]
