"""Keras and its backend, loaded when a command first needs them: quietly, or with one line that says what is missing."""

import contextlib
import os
from collections.abc import Iterator

from brain_tumor.errors import BrainTumorError


def load_keras() -> None:
    """Import Keras with the backend of this process.

    Raises:
        BrainTumorError: the backend is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _native_notes_off():
            import keras  # noqa: F401
    except ImportError as error:
        raise BrainTumorError(
            f"no backend for Keras ({error}); pip install 'brain-tumor[cpu]', or take JAX: pip install 'brain-tumor[jax]' and "
            "KERAS_BACKEND=jax"
        ) from None


@contextlib.contextmanager
def _native_notes_off() -> Iterator[None]:
    """TensorFlow writes notes past Python's streams while it loads, whatever its log level; a reader of tables wants none."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
