"""What we ask of TensorFlow itself: the operations that :mod:`brain_tumor.models.fast` puts in place of Keras's own.

All take and give tensors with channels last, and TensorFlow differentiates them. Which is faster was measured on processors with
bfloat16 instructions (``make bench``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from brain_tumor.errors import ModelError
from brain_tumor.models.batchnorm import move_statistics

Tensor = Any


@dataclass(frozen=True)
class Weights:
    """What a convolution computes with: the weights of its layer, and of the BatchNorm after it where that is folded in.

    Folding is for inference: ``scale * (x * kernel + bias - mean) + offset`` is a convolution with other weights.
    """

    layer: keras.layers.Conv2D
    batchnorm: keras.layers.BatchNormalization | None = None

    @property
    def dtype(self) -> str:
        """The number format that the convolution computes in."""
        return self.layer.compute_dtype

    def kernel(self) -> Tensor:
        """``(k, k, C, F)`` float32."""
        kernel = tf.cast(self.layer.kernel, tf.float32)
        return kernel if self.batchnorm is None else kernel * _scale_and_shift(self.batchnorm)[0]

    def finish(self, x: Tensor) -> Tensor:
        """Add the bias to what the convolution gave, and apply the layer's activation."""
        bias = tf.cast(self.layer.bias, tf.float32) if self.layer.use_bias else None
        if self.batchnorm is not None:
            scale, shift = _scale_and_shift(self.batchnorm)
            bias = shift if bias is None else bias * scale + shift
        if bias is not None:
            x = tf.nn.bias_add(x, tf.cast(bias, x.dtype))
        return self.layer.activation(x)


def _scale_and_shift(layer: keras.layers.BatchNormalization) -> tuple[Tensor, Tensor]:
    """What a BatchNorm multiplies by and adds in inference, ``(C,)`` float32 each."""
    scale = tf.math.rsqrt(layer.moving_variance + layer.epsilon)
    if layer.gamma is not None:
        scale *= tf.cast(layer.gamma, tf.float32)
    shift = -layer.moving_mean * scale
    return scale, shift if layer.beta is None else shift + tf.cast(layer.beta, tf.float32)


def batch_normalization(layer: keras.layers.BatchNormalization, x: Tensor, training: bool) -> Tensor:
    """What ``layer`` gives for ``x (B, H, W, C)``, in one operation in place of some ten; in training it moves the statistics."""
    x = tf.cast(x, layer.compute_dtype)
    scale = tf.ones_like(layer.moving_mean) if layer.gamma is None else tf.cast(layer.gamma, tf.float32)
    offset = tf.zeros_like(layer.moving_mean) if layer.beta is None else tf.cast(layer.beta, tf.float32)
    learns = training and layer.trainable
    statistics = [tf.zeros([0])] * 2 if learns else [tf.convert_to_tensor(v) for v in (layer.moving_mean, layer.moving_variance)]
    mean, variance = statistics
    answer = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=scale, offset=offset, mean=mean, variance=variance, epsilon=layer.epsilon, is_training=learns
    )
    if learns:  # TensorFlow gives the variance with Bessel's correction, Keras keeps it without
        values = tf.cast(tf.size(x) // x.shape[-1], tf.float32)
        move_statistics(layer, answer.batch_mean, answer.batch_variance * (values - 1) / values)
    return answer.y


def convolution(weights: Weights, x: Tensor, training: bool = False, *, stride: int = 1, padding: str | int = "SAME") -> Tensor:
    """A convolution of ``x (B, H, W, C)``; ``padding`` is TensorFlow's word, or so many zeros on every side."""
    return weights.finish(_convolve(tf.cast(x, weights.dtype), tf.cast(weights.kernel(), weights.dtype), stride, padding))


def _convolve(x: Tensor, kernel: Tensor, stride: int, padding: str | int) -> Tensor:
    if isinstance(padding, int):  # TensorFlow takes numbers too, but then computes bfloat16 ten times as slowly
        x, padding = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]]), "VALID"
    return tf.nn.conv2d(x, kernel, stride, padding)


def input_convolution(
    batchnorm: keras.layers.BatchNormalization, weights: Weights, x: Tensor, training: bool, *, stride: int, padding: str | int
) -> Tensor:
    """The BatchNorm of the images, without a scale, and the convolution after it.

    A convolution is linear, so that of the offset is worked out once, not once an image; with it the gradient of the offset, the
    only one that would have to come back through the convolution.
    """
    if training and batchnorm.trainable:
        x = _standardised(batchnorm, tf.cast(x, tf.float32))
        offset = tf.zeros_like(batchnorm.moving_mean) if batchnorm.beta is None else tf.cast(batchnorm.beta, tf.float32)
    else:
        scale, offset = _scale_and_shift(batchnorm)
        x = tf.cast(x, tf.float32) * scale
    kernel = tf.cast(weights.kernel(), weights.dtype)
    everywhere = tf.cast(tf.broadcast_to(offset, (1, *x.shape[1:])), weights.dtype)
    both = [_convolve(part, kernel, stride, padding) for part in (tf.cast(x, weights.dtype), everywhere)]
    return weights.finish(tf.add(*both))


def _standardised(layer: keras.layers.BatchNormalization, x: Tensor) -> Tensor:
    """``x (B, H, W, C)`` of few channels with mean 0 and variance 1; the layer's statistics move."""
    mean = _mean(x)
    variance = _mean(tf.square(x - mean))
    move_statistics(layer, mean, variance)
    return (x - mean) * tf.math.rsqrt(variance + layer.epsilon)


def _mean(x: Tensor) -> Tensor:
    """``(C,)``: rows first, since a sum of rows of ``W * C`` numbers is fast where one of 3 channels is not."""
    width, channels = x.shape[2:]
    rows = tf.reduce_mean(tf.reshape(x, [-1, width * channels]), axis=0)
    return tf.reduce_mean(tf.reshape(rows, [width, channels]), axis=0)


def small_convolution(weights: Weights, x: Tensor, training: bool) -> Tensor:
    """A 3 x 3 convolution, padded, as one matrix product: faster where slices are a few pixels wide and channels are many."""
    return weights.finish(_small_convolution(tf.cast(x, weights.dtype), tf.cast(weights.kernel(), weights.dtype)))


@tf.custom_gradient
def _small_convolution(x: Tensor, kernel: Tensor) -> tuple[Tensor, Callable]:
    height, width, channels = x.shape[1:]
    filters = kernel.shape[-1]
    around = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    shifted = [around[:, row : row + height, column : column + width] for row in range(3) for column in range(3)]
    patches = tf.reshape(tf.concat(shifted, axis=-1), [-1, 9 * channels])
    answer = tf.reshape(tf.matmul(patches, tf.reshape(kernel, [9 * channels, filters])), [-1, height, width, filters])

    def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
        of_kernel = tf.matmul(patches, tf.reshape(upstream, [-1, filters]), transpose_a=True)
        of_x = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(x), filter=kernel, out_backprop=upstream, strides=[1, 1, 1, 1], padding="SAME"
        )
        return of_x, tf.reshape(of_kernel, kernel.shape)

    return answer, gradient


def doubled_convolution(weights: Weights, low: Tensor, *beside: Tensor, training: bool) -> Tensor:
    """A convolution, 3 x 3 padded or 1 x 1, of ``low (B, H, W, C)`` after each pixel has become 2 x 2: ``(B, 2H, 2W, F)``.

    As one transposed convolution with stride 2, which needs 4 products where a 3 x 3 convolution of the larger image needs 9 (the
    same identity: Shi 2016, arXiv 1609.07009).

    Args:
        beside: a tensor of twice the size that lies behind ``low`` in the channels, or none; the sum of both convolutions is
            the convolution of both.
    """
    kernel, low = weights.kernel(), tf.cast(low, weights.dtype)
    size, channels, filters = kernel.shape[0], low.shape[-1], kernel.shape[-1]
    of_low = tf.reshape(kernel[:, :, :channels], [size**2, channels * filters])
    pairs = tf.reshape(tf.matmul(_pairs(size), of_low), [size + 1, size + 1, channels, filters])
    shape = [tf.shape(low)[0], 2 * low.shape[1], 2 * low.shape[2], filters]
    answer = tf.nn.conv2d_transpose(low, tf.cast(tf.transpose(pairs, [0, 1, 3, 2]), weights.dtype), shape, 2, "SAME")
    for high in beside:
        own = tf.cast(kernel[:, :, channels:], weights.dtype)
        answer += _convolve(tf.cast(high, weights.dtype), own, 1, "SAME")
    return weights.finish(answer)


def _pairs(size: int) -> np.ndarray:
    """``((size + 1)², size²)``: the transposed convolution's kernel, of the kernel of the convolution after doubling."""
    matrix = np.zeros((size + 1, size + 1, size, size), np.float32)
    for row, column in np.ndindex(size, size):
        matrix[row : row + 2, column : column + 2, size - 1 - row, size - 1 - column] = 1
    return matrix.reshape((size + 1) ** 2, size**2)


def adam(
    variable: Any,
    moments: Sequence[keras.Variable],
    gradient: Tensor,
    rate: Tensor,
    betas: Sequence[Tensor],
    powers: Sequence[Tensor],
    epsilon: float,
) -> None:
    """One step of Adam in one pass over a ``tf.Variable`` and its two moments; ``powers``: the betas to the power of the step."""
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=moments[0].value.handle,
        v=moments[1].value.handle,
        beta1_power=powers[0],
        beta2_power=powers[1],
        lr=tf.cast(rate, tf.float32),
        beta1=betas[0],
        beta2=betas[1],
        epsilon=epsilon,
        grad=tf.cast(gradient, tf.float32),
    )


def derivative(lower: keras.Model, upper: keras.Model) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """As :func:`brain_tumor.models.backend.derivative`."""

    @tf.function(autograph=False)
    def compute(images: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        features = lower(images, training=False)
        with tf.GradientTape() as tape:
            tape.watch(features)
            score = tf.reduce_sum(upper([images, features], training=False) * weights)
        return tf.cast(features, tf.float32), tf.cast(tape.gradient(score, features), tf.float32)

    traced = compute.get_concrete_function(
        *(tf.TensorSpec(shape, tf.float32) for shape in (lower.input_shape, upper.output_shape))
    )

    def run(images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features, gradients = traced(tf.constant(images), tf.constant(weights))
        return features.numpy(), gradients.numpy()

    return run


def frozen(
    function: Callable[[Tensor], Tensor], variables: Sequence[keras.Variable], shape: Sequence[int | None]
) -> Callable[[np.ndarray], np.ndarray]:
    """``function`` of float32 tensors of ``shape``, compiled with ``variables`` as they are now; of several outputs the first.

    Raises:
        ModelError: ``function`` changes its variables, or has others, so that it has no fixed answer.
    """
    values = [variable.numpy() for variable in variables]

    @tf.function(autograph=False)
    def constant(inputs: Tensor) -> Tensor:
        constants = [tf.constant(value) for value in values]
        with keras.StatelessScope(state_mapping=list(zip(variables, constants, strict=True))) as scope:
            outputs = function(inputs)
        for variable, value in zip(variables, constants, strict=True):
            if scope.get_current_value(variable) is not value:
                raise ModelError(f"{variable.path}: changes whenever the network is asked, so the network has no fixed answer")
        return keras.tree.flatten(outputs)[0]

    compiled = constant.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    if others := [variable.name for variable in compiled.graph.variables]:
        raise ModelError(f"the network computes with variables that are none of its layers' weights: {', '.join(others)}")
    return lambda inputs: compiled(tf.constant(inputs, tf.float32)).numpy()
