"""The same network in fewer operations: how it is trained and asked where TensorFlow computes on a processor.

Keras computes a network layer by layer. Here groups of layers are computed in one go where that gives the same sum. There are no
weights here: the network's layers keep theirs, under their names, and are saved, frozen and read as ever.

:func:`brain_tumor.models.backend.faster` and :func:`brain_tumor.models.backend.frozen` choose this module.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

from brain_tumor.models import batchnorm, on_tensorflow
from brain_tumor.models.on_tensorflow import Tensor, Weights

FEW_CHANNELS = 8  # TensorFlow's BatchNorm takes 16 channels at a time: of so few it is slower than Keras's own
SMALL_SIDE, MANY_CHANNELS = 4, 256  # where a matrix product beats a convolution
DOUBLED_SIDE = {"bfloat16": 16, "float32": 8}  # from this side on a transposed convolution beats doubling


@dataclass(frozen=True)
class Node:
    """A call of a layer when the network was built; tensors go by their identity.

    Attributes:
        layer: what was called.
        sources: the tensors that it took.
        target: the tensor that it gave.
        shape: of the target, without the batch.
        call: the same call again, of ``{tensor: value}`` and whether this is training.
    """

    layer: keras.layers.Layer
    sources: tuple[int, ...]
    target: int
    shape: tuple[int, ...]
    call: Callable[[dict[int, Tensor], bool], Tensor]


@dataclass(frozen=True)
class Step:
    """One layer, or several in one go: ``compute(*values of the sources, training=...)`` gives the value of ``target``."""

    compute: Callable[..., Tensor]
    sources: tuple[int, ...]
    target: int


@dataclass(frozen=True)
class Graph:
    """A network's nodes by their targets, how many nodes take each tensor, and the tensor that the network takes."""

    nodes: dict[int, Node]
    users: Counter
    first: int

    def alone(self, tensor: int) -> Node | None:
        """The node that gives ``tensor``, if only one other takes it."""
        return self.nodes.get(tensor) if self.users[tensor] == 1 else None


class Twin(keras.Model):
    """A network's twin: the same layers, computed step by step."""

    def __init__(self, network: keras.Model, run: Callable[..., Tensor]):
        super().__init__(name=f"{network.name}_twin")
        self.network = network
        self._run = run

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """What the network gives for ``inputs``."""
        return self._run(inputs, training=training)


def twin(network: keras.Model) -> keras.Model:
    """A model with the layers of ``network`` that computes the same in less time; ``network`` itself if it has several ends.

    A layer that is not exactly one of Keras's is called as it is.
    """
    run = _run_of(network, folded=False)
    return Twin(network, run) if run else network


def frozen(network: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """A function of images ``(B, S, S, C)`` float32 that gives what ``network`` gives, with the weights of this moment.

    BatchNorms are folded into the convolutions before them, and what depends on weights alone is worked out once.
    """
    run = _run_of(network, folded=True) or network
    return on_tensorflow.frozen(partial(run, training=False), network.variables, network.input_shape)


def _run_of(network: keras.Model, folded: bool) -> Callable[..., Tensor] | None:
    """``run(images, training)``, which computes a network step by step; None where it has several inputs or outputs."""
    nodes = _nodes(network)
    if nodes is None:
        return None
    first, last = id(network.inputs[0]), id(network.outputs[0])
    steps = _plan(nodes, first, last, folded)

    def run(images: Tensor, training: bool) -> Tensor:
        values = {first: images}
        for step in steps:
            values[step.target] = step.compute(*(values[source] for source in step.sources), training=training)
        return values[last]

    return run


def _nodes(network: keras.Model) -> list[Node] | None:
    """The calls of layers that make up a network, in an order in which they can be computed; None where it has several ends."""
    by_depth = getattr(network, "_nodes_by_depth", None)  # Keras's own record of a functional model
    if by_depth is None or len(network.inputs) != 1 or len(network.outputs) != 1:
        return None
    calls = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if not node.is_input]
    if any(len(node.outputs) != 1 for node in calls):
        return None
    return [_node(node) for node in calls]


def _node(node: Any) -> Node:
    layer, output = node.operation, node.outputs[0]
    asks = "training" in inspect.signature(layer.call).parameters

    def call(values: dict[int, Tensor], training: bool) -> Tensor:
        positional, named = node.arguments.fill_in(values)
        return layer(*positional, **(named | {"training": training} if asks else named))

    return Node(layer, tuple(id(tensor) for tensor in node.input_tensors), id(output), tuple(output.shape[1:]), call)


def _plan(nodes: Sequence[Node], first: int, last: int, folded: bool) -> list[Step]:
    """The steps from the tensor ``first`` to ``last``; a layer that is computed with another has no step of its own."""
    graph = Graph({node.target: node for node in nodes}, Counter(source for node in nodes for source in node.sources), first)
    steps = {node.target: _step(node, graph, folded) for node in nodes}
    needed, plan = {last}, []
    for node in reversed(nodes):
        if node.target in needed:
            plan.append(steps[node.target])
            needed.update(steps[node.target].sources)
    return plan[::-1]


def _step(node: Node, graph: Graph, folded: bool) -> Step:
    """How a node is computed; with ``folded``, a BatchNorm with the convolution before it."""
    if _is_plain_batchnorm(node):
        before = graph.alone(node.sources[0])
        if folded and before and _is_plain_convolution(before) and before.layer.activation is keras.activations.linear:
            return _convolution_step(before, node.target, Weights(before.layer, node.layer), graph)
        if node.shape[-1] > FEW_CHANNELS:
            return Step(partial(on_tensorflow.batch_normalization, node.layer), node.sources, node.target)
    if _is_plain_convolution(node):
        return _convolution_step(node, node.target, Weights(node.layer), graph)

    def call(*values: Tensor, training: bool) -> Tensor:
        return node.call(dict(zip(node.sources, values, strict=True)), training)

    return Step(call, node.sources, node.target)


def _convolution_step(node: Node, target: int, weights: Weights, graph: Graph) -> Step:
    """A convolution, with the layers before it that can be computed in the same go."""
    layer, before, sources = node.layer, graph.nodes.get(node.sources[0]), node.sources
    (size, _), (stride, _), padding = layer.kernel_size, layer.strides, layer.padding.upper()
    if padding == "VALID" and before and (zeros := _zeros(before)):  # of a layer of their own
        sources = before.sources
        padding = "SAME" if stride == 1 and size == 2 * zeros + 1 else zeros
        inputs = graph.alone(sources[0]) if graph.alone(before.target) else None
        if inputs and inputs.sources == (graph.first,) and _is_input_batchnorm(inputs):
            compute = partial(on_tensorflow.input_convolution, inputs.layer, weights, stride=stride, padding=padding)
            return Step(compute, inputs.sources, target)
    if size in (1, 3) and stride == 1 and (padding == "SAME" or size == 1):
        low, *beside = before.sources if before and _joins_channels(before) else sources
        doubling, wide = graph.nodes.get(low), node.shape[0] // 2 >= DOUBLED_SIDE.get(layer.compute_dtype, 8)
        if doubling and _doubles(doubling) and wide and len(beside) < 2:
            return Step(partial(on_tensorflow.doubled_convolution, weights), (*doubling.sources, *beside), target)
        if size == 3 and max(node.shape[:2]) <= SMALL_SIDE and min(layer.kernel.shape[2:]) >= MANY_CHANNELS:
            return Step(partial(on_tensorflow.small_convolution, weights), sources, target)
    return Step(partial(on_tensorflow.convolution, weights, stride=stride, padding=padding), sources, target)


def _is_plain_convolution(node: Node) -> bool:
    layer = node.layer
    plain = type(layer) is keras.layers.Conv2D and layer.groups == 1 and layer.dilation_rate == (1, 1)
    square = plain and len(set(layer.kernel_size)) == 1 and len(set(layer.strides)) == 1
    return square and layer.data_format == "channels_last"


def _is_plain_batchnorm(node: Node) -> bool:
    return len(node.shape) == 3 and batchnorm.is_plain(node.layer)


def _is_input_batchnorm(node: Node) -> bool:
    return _is_plain_batchnorm(node) and not node.layer.scale and node.shape[-1] <= FEW_CHANNELS


def _zeros(node: Node) -> int:
    """How many zeros a ``ZeroPadding2D`` puts on every side; 0 where it is none, or its sides differ."""
    if type(node.layer) is not keras.layers.ZeroPadding2D or node.layer.data_format != "channels_last":
        return 0
    sides = {side for pair in node.layer.padding for side in pair}
    return sides.pop() if len(sides) == 1 else 0


def _joins_channels(node: Node) -> bool:
    return type(node.layer) is keras.layers.Concatenate and node.layer.axis in (-1, 3)


def _doubles(node: Node) -> bool:
    """Whether it makes 2 x 2 equal pixels of each."""
    layer = node.layer
    plain = type(layer) is keras.layers.UpSampling2D and layer.data_format == "channels_last"
    return plain and layer.size == (2, 2) and layer.interpolation == "nearest"
