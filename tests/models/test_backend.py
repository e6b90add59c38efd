"""A backend that we do not support is refused by name, before Keras answers it with a traceback."""

import atexit
import gc
import mmap
import os
import subprocess
import sys

import pytest

from brain_tumor.errors import BrainTumorError
from brain_tumor.models import backend

pytestmark = pytest.mark.backend


@pytest.fixture
def not_loaded(monkeypatch, tmp_path):
    """As in a process that has not loaded Keras yet; ``keras.json`` lies in the folder that this gives."""
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


def test_the_loaded_backend_is_one_that_works():
    backend.check()
    assert backend.name() in backend.SUPPORTED


@pytest.mark.parametrize("word", ["torch", "openvino", "numpy", "nonsense"])
def test_another_backend_is_refused_by_name(not_loaded, monkeypatch, word):
    monkeypatch.setenv("KERAS_BACKEND", word)
    with pytest.raises(BrainTumorError, match=f"KERAS_BACKEND.*{word}.*tensorflow, jax"):
        backend.check()


def test_keras_json_is_read_where_the_environment_says_nothing(not_loaded, monkeypatch):
    assert backend.name() == "tensorflow"
    (not_loaded / "keras.json").write_text('{"backend": "torch"}')
    with pytest.raises(BrainTumorError, match="keras.json.*torch"):
        backend.check()
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert backend.name() == "jax"
    monkeypatch.delenv("KERAS_BACKEND")
    for text in ("", "[]", "{"):
        (not_loaded / "keras.json").write_text(text)
        assert backend.name() == "tensorflow"


def test_a_backend_that_is_not_installed_is_refused_with_what_installs_it(not_loaded, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(BrainTumorError, match="no module 'tensorflow'.*pip install"):
        backend.check()


@pytest.mark.parametrize("searches", [True, False])
def test_a_command_that_loads_keras_looks_for_no_garbage_in_it(not_loaded, monkeypatch, searches):
    (not_loaded / "keras.py").write_text("import gc\nSEARCHED = gc.isenabled()")
    monkeypatch.setattr(backend, "check", lambda: None)
    monkeypatch.syspath_prepend(not_loaded)
    at_the_end = []
    monkeypatch.setattr(atexit, "register", at_the_end.append)
    frozen = gc.get_freeze_count()
    (gc.enable if searches else gc.disable)()
    try:
        backend.load_keras()
        backend.load_keras()
        assert gc.isenabled() == searches, "as it was"
    finally:
        gc.enable()
    assert sys.modules["keras"].SEARCHED is False
    assert gc.get_freeze_count() > frozen and at_the_end == [gc.freeze], "once"


def test_threads_are_as_many_as_cores_unless_the_backend_was_told_otherwise(monkeypatch):
    for variable in backend.THREADS[backend.name()]:
        for other in backend.THREADS[backend.name()]:
            monkeypatch.delenv(other, raising=False)
        monkeypatch.setenv(variable, "3")
        assert backend.threads()["intra_op"] == 3
        for nothing in ("0", "", "many"):
            monkeypatch.setenv(variable, nothing)
            assert backend.threads()["intra_op"] == backend.cores()
    if backend.name() == "tensorflow":
        import tensorflow

        monkeypatch.setattr(tensorflow.config.threading, "get_intra_op_parallelism_threads", lambda: 5)
        assert backend.threads()["intra_op"] == 5


def test_a_backend_that_a_notebook_loaded_first_is_refused_too(monkeypatch):
    import keras

    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    with pytest.raises(BrainTumorError, match="torch"):
        backend.check()


PROGRAM = """
import importlib, os, sys
from brain_tumor.errors import BrainTumorError

for word in ("nonsense", "torch"):
    os.environ["KERAS_BACKEND"] = word
    for module in ("models.saved", "training.schedules", "inference.predict", "experiments.training"):
        try:
            importlib.import_module(f"brain_tumor.{module}")
        except BrainTumorError as error:
            print(word, module, error)
    assert "keras" not in sys.modules
    from brain_tumor.cli.main import main

    sys.argv = ["brain-tumor", "runs"]
    try:
        main()
    except SystemExit as end:
        print("exit", end.code)
"""


def test_commands_and_python_refuse_in_one_line():
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env={**os.environ, "COLUMNS": "250"}, check=True
    )
    lines = answer.stdout.splitlines()
    assert [line.split()[:2] for line in lines if "exit" not in line] == [
        [word, module]
        for word in ("nonsense", "torch")
        for module in ("models.saved", "training.schedules", "inference.predict", "experiments.training")
    ]
    assert lines.count("exit 2") == 2
    for word, line in zip(("nonsense", "torch"), answer.stderr.splitlines(), strict=True):
        assert line.startswith("brain-tumor: KERAS_BACKEND: ") and word in line and "tensorflow, jax" in line


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the C library of Linux")
def test_the_c_library_keeps_the_memory_that_a_step_frees():
    script = (
        "import ctypes, resource; from brain_tumor.models import backend; backend.keep_memory() if {keep} else None\n"
        "libc = ctypes.CDLL(None); libc.malloc.restype = ctypes.c_void_p; libc.free.argtypes = [ctypes.c_void_p]\n"
        "libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]\n"
        "for _ in range(8): block = libc.malloc(1 << 26); libc.memset(block, 1, 1 << 26); libc.free(block)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)"
    )
    faults = [
        int(subprocess.run([sys.executable, "-c", script.format(keep=keep)], capture_output=True, check=True).stdout)
        for keep in (False, True)
    ]
    assert faults[0] - faults[1] > 5 * (1 << 26) // mmap.PAGESIZE, "pages of the same block are asked for once"
