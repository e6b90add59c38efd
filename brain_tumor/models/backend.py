"""The library that computes under Keras: which one, whether we support it, and what machine it computes on.

Importing this module does not load Keras, so that a backend can be refused before Keras tries to load it.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brain_tumor import files
from brain_tumor.errors import BrainTumorError
from brain_tumor.paths import installation

if TYPE_CHECKING:
    import keras

SUPPORTED = ("tensorflow", "jax")
DEFAULT = "tensorflow"
THREADS = {
    "tensorflow": ("TF_NUM_INTRAOP_THREADS",),
    "jax": ("PJRT_NPROC", "NPROC"),
}  # variables that limit them, the first first
# Options of mallopt(3), by the numbers of glibc's malloc.h: M_MMAP_MAX, M_TRIM_THRESHOLD (-1: never) and M_ARENA_MAX.
KEPT = {-4: 0, -1: -1, -8: 1}


def name() -> str:
    """The backend of Keras where Keras is loaded, else the one that it would load: of ``KERAS_BACKEND`` or of ``keras.json``."""
    if keras := sys.modules.get("keras"):
        return keras.config.backend()
    if word := os.environ.get("KERAS_BACKEND"):
        return word
    try:
        return files.read_json(_settings_file()).get("backend", DEFAULT)
    except (OSError, ValueError, AttributeError):  # Keras ignores a file that it cannot read too
        return DEFAULT


def check() -> None:
    """Refuse a backend that we do not support, or that is not installed.

    Raises:
        BrainTumorError: naming the backend, and those that work.
    """
    word = name()
    if word not in SUPPORTED:
        source = "KERAS_BACKEND" if os.environ.get("KERAS_BACKEND") == word else _settings_file()
        raise BrainTumorError(f"{source}: backend {word!r} of Keras is not supported, expected one of {', '.join(SUPPORTED)}")
    if importlib.util.find_spec(word) is None:
        raise BrainTumorError(f"no backend for Keras (no module {word!r}); {_advice()}")


def load_keras() -> None:
    """Import Keras with the backend of this process, without the notes that TensorFlow writes while it loads.

    Raises:
        BrainTumorError: the backend is not supported, not installed or broken, or ``keras.json`` holds what Keras refuses.
    """
    check()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _native_notes_off(), _garbage_left():
            import keras  # noqa: F401
    except ImportError as error:
        raise BrainTumorError(f"no backend for Keras ({_one_line(error)}); {_advice()}") from None
    except ValueError as error:
        raise BrainTumorError(f"{_settings_file()}: Keras refuses these settings ({_one_line(error)})") from None


def on_processor() -> bool:
    """Whether this is TensorFlow without an accelerator; Keras must be loaded."""
    import keras

    return name() == "tensorflow" and all("cpu" in device.lower() for device in keras.distribution.list_devices())


def without_host() -> bool:
    """Whether this is JAX with an accelerator, where an epoch may run without the host; Keras must be loaded."""
    import keras

    return name() == "jax" and any("cpu" not in device.lower() for device in keras.distribution.list_devices())


def faster(network: "keras.Model") -> "keras.Model":
    """A model with the layers of ``network`` that trains as it does in less time; ``network`` itself where nothing is gained."""
    import keras

    if on_processor():
        from brain_tumor.models import fast

        return fast.twin(network)
    if name() == "jax" and keras.distribution.distribution() is not None:
        from brain_tumor.models import shared_batchnorm

        return shared_batchnorm.twin(network)
    return network  # it is compiled as a whole


def frozen(network: "keras.Model") -> Callable[[np.ndarray], np.ndarray]:
    """A function of images ``(B, S, S, C)`` float32 that gives what ``network`` gives, with the weights of this moment."""
    if not on_processor():
        return network.predict_on_batch
    from brain_tumor.models import fast

    return fast.frozen(network)


def derivative(lower: "keras.Model", upper: "keras.Model") -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """What the logits of ``upper([images, lower(images)])``, each counted with a weight, gain by a change of ``lower(images)``.

    Returns:
        A function of images and weights that gives the features of ``lower`` and the derivative by them, both float32.
    """
    if name() == "jax":
        from brain_tumor.models import on_jax as library
    else:
        from brain_tumor.models import on_tensorflow as library  # type: ignore[no-redef]
    return library.derivative(lower, upper)


def keep_memory() -> None:
    """Have the C library keep the large blocks that a step frees, where it is glibc; before the backend starts its threads.

    JAX asks for them again in the next step. Otherwise the system takes them back and clears them each time: a seventh of a step
    of 64 slices, and more where processes train side by side (``benchmarks/processes.py``).
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if set_option:
        for option, value in KEPT.items():
            set_option(option, value)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads() -> dict[str, int]:
    """With how many threads an operation is computed (``intra_op``), and how many at once (``inter_op``).

    Each core has one, unless a variable of the environment, or TensorFlow's own setting, says otherwise. JAX takes both from one
    pool, as large as its variables say.
    """
    if name() == "jax":
        number = next(filter(None, map(_environment_number, THREADS["jax"])), cores())
        return dict.fromkeys(("intra_op", "inter_op"), number)
    variables = {"intra_op": "TF_NUM_INTRAOP_THREADS", "inter_op": "TF_NUM_INTEROP_THREADS"}
    asked = dict.fromkeys(variables, 0)
    if tensorflow := sys.modules.get("tensorflow"):
        setting = tensorflow.config.threading
        asked = {"intra_op": setting.get_intra_op_parallelism_threads(), "inter_op": setting.get_inter_op_parallelism_threads()}
    return {kind: asked[kind] or _environment_number(variable) or cores() for kind, variable in variables.items()}


def take_threads(number: int) -> None:
    """Let TensorFlow compute an operation with so many threads; nothing happens once its first operation has run."""
    from tensorflow.config import threading

    with contextlib.suppress(RuntimeError):
        threading.set_intra_op_parallelism_threads(number)


def _environment_number(variable: str) -> int:
    """A number of threads in the environment; 0, which the backends read as none, where it says no number."""
    word = os.environ.get(variable, "")
    return int(word) if word.isdecimal() else 0


def machine() -> dict:
    """What decides which number format is fast here, as JSON; Keras must be loaded.

    Returns:
        ``processor`` (its model), ``bfloat16`` (its instructions for that format), ``accelerators`` (the kind of each),
        ``backend``, ``backend_version`` and ``keras_version``.
    """
    import keras

    if keras.config.backend() == "jax":
        import jax

        version = jax.__version__
        accelerators = [device.device_kind for device in jax.devices() if device.platform != "cpu"]
    else:
        import tensorflow

        version, describe = tensorflow.__version__, tensorflow.config.experimental.get_device_details
        devices = tensorflow.config.list_physical_devices("GPU")
        accelerators = [describe(device).get("device_name", device.device_type) for device in devices]
    processor, instructions = _processor()
    return {
        "processor": processor,
        "bfloat16": instructions,
        "accelerators": sorted(accelerators),
        "backend": keras.config.backend(),
        "backend_version": version,
        "keras_version": keras.__version__,
    }


def _processor() -> tuple[str, list[str]]:
    """The processor's model, and its instructions whose names hold ``bf16``: virtual machines often hide the model alone."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    model = facts.get("model name") or platform.processor() or platform.machine()
    flags = facts.get("flags") or facts.get("Features") or ""
    return model, sorted(flag for flag in flags.split() if "bf16" in flag)


def _advice() -> str:
    return f"{installation('train', 'cpu')}, or take JAX: {installation('train', 'jax')} and KERAS_BACKEND=jax"


def _settings_file() -> Path:
    """Where Keras reads its settings; the same rule as in Keras."""
    user = Path("~").expanduser()
    usual = (user if os.access(user, os.W_OK) else Path("/tmp")) / ".keras"
    return Path(os.environ.get("KERAS_HOME", usual)).expanduser() / "keras.json"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


@contextlib.contextmanager
def _garbage_left() -> Iterator[None]:
    """Keras and TensorFlow make a million objects that stay. Python would look for garbage among them again and again, and once
    more as the process ends, where the system takes its memory back anyway: two fifths of the time of a short command.
    """
    if "keras" in sys.modules:
        yield
        return
    searches = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searches:
            gc.enable()
    gc.freeze()
    atexit.register(gc.freeze)


@contextlib.contextmanager
def _native_notes_off() -> Iterator[None]:
    """TensorFlow writes notes past Python's streams while it loads, whatever its log level; a reader of tables wants none."""
    stream, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stream, 2)
        os.close(stream)
        os.close(nowhere)
