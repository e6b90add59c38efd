"""Keras's own settings while we build, train and predict: fixed inside a context, the user's again afterwards (DESIGN law 6).

A person's ``keras.json``, or a cell of their notebook, may say ``channels_first`` or ``float16``. Our networks, losses and
optimisers read these settings while they are made and compiled, so every function that builds, trains or asks a network runs
inside :func:`fixed`.
"""

import contextlib
import threading
from collections.abc import Iterator

import keras

from brain_tumor.models import memory

FLOATX, IMAGE_FORMAT, EPSILON = "float32", "channels_last", 1e-7

_lock = threading.Lock()
_saved: list[tuple] = []  # the user's settings, one entry for each open context of any thread


@contextlib.contextmanager
def fixed(precision: str = "float32") -> Iterator[None]:
    """Hold dtype policy ``precision``, floatx float32, channels last and epsilon 1e-7, then restore what was set before.

    Contexts nest. Keras keeps a dtype policy for each thread, and the other three settings for the whole process: they are
    restored when the last open context of any thread ends. The function that this gives may decorate another function.

    The first context of a process also says for good how many threads TensorFlow has (:mod:`brain_tumor.models.memory`).
    """
    memory.take_threads()
    policy = keras.config.dtype_policy()
    with _lock:
        _saved.append(_saved[0] if _saved else _current())
        _change(FLOATX, IMAGE_FORMAT, EPSILON)
    try:
        keras.config.set_dtype_policy(precision)
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        with _lock:
            users = _saved.pop()
            if not _saved:
                _change(*users)


def clear_session() -> None:
    """Free the memory of earlier networks, as Keras's function of this name does, but keep the user's dtype policy."""
    policy = keras.config.dtype_policy()
    keras.utils.clear_session()
    keras.config.set_dtype_policy(policy)


def _current() -> tuple[str, str, float]:
    return keras.config.floatx(), keras.config.image_data_format(), keras.config.epsilon()


def _change(floatx: str, image_format: str, epsilon: float) -> None:
    keras.config.set_floatx(floatx)
    keras.config.set_image_data_format(image_format)
    keras.config.set_epsilon(epsilon)
