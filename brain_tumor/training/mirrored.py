"""Training on several GPUs of one machine with TensorFlow: every device has the weights, and a batch is split among them.

Keras's own loop hands each device the whole batch, so the step is written here. BatchNorm takes the statistics of all devices
together (``synchronized``), else each would keep its own, and the file would hold the first one's; on disk a network is plain,
since it is rebuilt from its description. A loss that pools over the batch, as Dice does, pools over each device's share.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from brain_tumor.models import backend
from brain_tumor.training import loop
from brain_tumor.training.averages import Averages


class Mirrored:
    """The devices that share each batch, with the two functions of :mod:`brain_tumor.training.loop` for networks on them.

    Args:
        strategy: TensorFlow's, within which the network was made.
        metrics: what is watched beside the loss, each a number a slice.
    """

    def __init__(self, strategy: Any, metrics: Sequence[Callable] = ()):
        self.strategy = strategy
        self.watched = {metric.__name__: metric for metric in metrics}
        self._made: tuple[Any, Callable] | None = None

    def synchronise(self, model: keras.Model) -> None:
        """Let every BatchNorm of a network take the statistics of all devices together."""
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True

    def steps(
        self,
        model: keras.Model,
        batches: loop.Batches,
        callbacks: keras.callbacks.CallbackList,
        averages: Averages | None = None,
    ) -> Iterator[dict[str, Any]]:
        """As :func:`brain_tumor.training.loop.steps`, a batch split among the devices."""
        if self._made is None or self._made[0] is not model.optimizer:
            self._made = model.optimizer, self._step(model)
        step = self._made[1]
        for index in range(len(batches)):
            callbacks.on_train_batch_begin(index)
            logs = step(*batches[index])
            callbacks.on_train_batch_end(index, logs)
            if averages:
                averages.update()
            yield logs

    def evaluate(self, model: keras.Model, batches: loop.Batches) -> dict[str, float]:
        """As :func:`brain_tumor.training.loop.evaluate`, on one device: its last batch need not be shared."""
        loss, watched = model.loss, self.watched
        logs, sizes = [], []
        for index in range(len(batches)):
            inputs, truth = batches[index]
            logits = model(inputs, training=False)
            logs.append({"loss": float(loss(truth, logits))} | _means(watched, truth, logits))
            sizes.append(len(inputs))
        return loop.means(logs, sizes)

    def _step(self, model: keras.Model) -> Callable[[np.ndarray, np.ndarray], dict[str, Any]]:
        """One step on all devices, compiled once a network and optimiser."""
        import tensorflow as tf

        strategy, loss, watched = self.strategy, model.loss, self.watched
        count = int(strategy.num_replicas_in_sync)

        def on_one(images: Any, truth: Any) -> tuple:
            with tf.GradientTape() as tape:
                logits = model(images, training=True)
                value = loss(truth, logits)
                share = value / count
            gradients = tape.gradient(share, model.trainable_variables)
            model.optimizer.apply(gradients, model.trainable_variables)  # sums over the devices
            return value, [tf.reduce_mean(function(truth, logits)) for function in watched.values()]

        @tf.function(autograph=False)
        def on_all(images: Any, truth: Any) -> tuple:
            value, means = strategy.run(on_one, args=(images, truth))
            mean = tf.distribute.ReduceOp.MEAN
            return strategy.reduce(mean, value, axis=None), [strategy.reduce(mean, each, axis=None) for each in means]

        def shared(values: np.ndarray) -> Any:
            parts = np.split(values, count)
            return strategy.experimental_distribute_values_from_function(
                lambda context: tf.convert_to_tensor(parts[context.replica_id_in_sync_group])
            )

        def step(images: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
            value, means = on_all(shared(images), shared(truth))
            return {"loss": value} | dict(zip(watched, means, strict=True))

        return step


def begin(devices: Sequence[str] | None = None) -> None:
    """Make every network from here on for all of these devices; there is one strategy a process, a second one breaks the first.

    Args:
        devices: their names as TensorFlow writes them; None for every GPU.
    """
    from tensorflow import distribute

    strategy = distribute.MirroredStrategy(devices, cross_device_ops=distribute.ReductionToOneDevice())
    distribute.experimental_set_strategy(strategy)


def current(metrics: Sequence[Callable] = ()) -> Mirrored | None:
    """What shares batches in this process; None where nothing does."""
    if backend.name() != "tensorflow":
        return None
    from tensorflow import distribute

    return Mirrored(distribute.get_strategy(), metrics) if distribute.has_strategy() else None


def gpus() -> int:
    """How many GPUs TensorFlow sees on this machine."""
    import tensorflow

    return len(tensorflow.config.list_logical_devices("GPU"))


def _means(watched: dict[str, Callable], truth: np.ndarray, logits: Any) -> dict[str, float]:
    return {name: float(np.mean(keras.ops.convert_to_numpy(function(truth, logits)))) for name, function in watched.items()}
