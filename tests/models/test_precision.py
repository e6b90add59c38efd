"""The number format: measured once for a machine, then read from the home."""

import json
import subprocess
import sys

import pytest

from brain_tumor.models import backend, memory, precision

MACHINE = {"processor": "Abacus 3000", "bfloat16": [], "accelerators": [], "backend": "tensorflow", "backend_version": "2",
           "keras_version": "3"}  # fmt: skip

pytestmark = pytest.mark.backend


@pytest.fixture
def machine(home, monkeypatch):
    """``machine(2.0, 1.0, processor=...)``: its times in float32 and bfloat16; gives the list of timed formats."""

    def pretend(float32_seconds, bfloat16_seconds, **changes):
        timed = []

        def seconds(dtype):
            timed.append(dtype)
            return {"float32": float32_seconds, "bfloat16": bfloat16_seconds}[dtype]

        monkeypatch.setattr(backend, "machine", lambda: MACHINE | changes)
        monkeypatch.setattr(precision, "matrix_product_seconds", seconds)
        return timed

    return pretend


@pytest.mark.parametrize(
    ("float32", "bfloat16", "chosen"),
    [(2.0, 1.0, "mixed_bfloat16"), (1.0, 1.0, "float32"), (1.1, 1.0, "float32"), (1.0, 3.0, "float32")],
)
def test_auto_takes_bfloat16_only_where_it_is_worthwhile(machine, float32, bfloat16, chosen):
    machine(float32, bfloat16)
    assert precision.resolve("auto") == chosen


def test_a_machine_is_measured_once_and_a_busy_one_changes_nothing(machine):
    assert machine(2.0, 1.0) == []
    assert precision.resolve() == "mixed_bfloat16"
    timed = machine(1.0, 3.0)
    assert precision.resolve() == "mixed_bfloat16"
    assert timed == []


@pytest.mark.parametrize(
    "changes",
    [{"processor": "Abacus 4000"}, {"bfloat16": ["amx_bf16"]}, {"accelerators": ["H100"]}, {"backend_version": "3"},
     {"keras_version": "4"}],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_another_machine_or_version_is_measured_again(machine, changes):
    machine(2.0, 1.0)
    precision.resolve()
    timed = machine(1.0, 3.0, **changes)
    assert precision.resolve() == "float32"
    assert set(timed) == {"float32", "bfloat16"}
    machine(1.0, 3.0)
    assert precision.resolve() == "mixed_bfloat16", "the first machine's file is as it was"


def damaged(text):
    return text[: len(text) // 2]


def foreign(text):
    return json.dumps(json.loads(text) | {"machine": MACHINE | {"processor": "another"}})


def unknown_format(text):
    return json.dumps(json.loads(text) | {"precision": "float16"})


@pytest.mark.parametrize("change", [damaged, foreign, unknown_format, lambda text: "[]", lambda text: ""])
def test_a_file_that_is_not_ours_is_replaced(machine, change):
    machine(2.0, 1.0)
    precision.resolve()
    path = memory.file(MACHINE)
    path.write_text(change(path.read_text()))
    timed = machine(1.0, 3.0)
    assert precision.resolve() == "float32" and timed
    assert json.loads(path.read_text())["precision"] == "float32"
    del timed[:]
    assert precision.resolve() == "float32" and timed == []


PROGRAM = """
import sys, time, types
sys.modules["keras"] = types.SimpleNamespace(config=types.SimpleNamespace(backend=lambda: "{backend}"))  # none is needed
from brain_tumor.models import backend, precision

backend.machine = lambda: {machine}
times = dict(float32=2.0, bfloat16=1.0) if sys.argv[1] == "quiet" else dict(float32=1.0, bfloat16=3.0)
precision.matrix_product_seconds = lambda dtype: time.sleep(0.02) or times[dtype]
print("ready", flush=True)
sys.stdin.readline()
print(precision.resolve())
"""


def test_processes_that_start_together_agree(home):
    """One measures a quiet machine and the other a busy one: they agree, and leave a whole file."""
    program = PROGRAM.format(machine=MACHINE, backend=backend.name())
    processes = [
        subprocess.Popen([sys.executable, "-c", program, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for kind in ("quiet", "busy")
    ]
    assert [process.stdout.readline() for process in processes] == ["ready\n", "ready\n"]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = {process.communicate(timeout=60)[0].strip() for process in processes}
    facts = json.loads(memory.file(MACHINE).read_text())
    assert answers == {facts["precision"]}
    assert facts["machine"] == MACHINE
    assert not [path for path in memory.file(MACHINE).parent.iterdir() if path.name.startswith(".")]


def test_jax_on_a_processor_is_float32_without_timing(machine):
    timed = machine(3.0, 1.0, backend="jax")
    assert precision.resolve() == "float32" and timed == []
    machine(3.0, 1.0, backend="jax", accelerators=["H100"])
    assert precision.resolve() == "mixed_bfloat16"


def test_what_is_asked_for_is_not_measured(machine, home):
    timed = machine(2.0, 1.0)
    assert [precision.resolve(name) for name in precision.PRECISIONS] == list(precision.PRECISIONS)
    assert timed == [] and not memory.file(MACHINE).exists()
    with pytest.raises(ValueError, match="unknown precision 'float16', expected auto or one of"):
        precision.resolve("float16")


def test_this_machine_is_remembered_too(home):
    """Nothing is replaced here: the true machine, the true times."""
    assert precision.resolve() in precision.PRECISIONS
    facts = backend.machine()
    assert facts == json.loads(json.dumps(facts)) and facts["processor"] and facts["backend"] == backend.name()
    if facts["backend"] != "jax":
        assert json.loads(memory.file(facts).read_text())["machine"] == facts


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_matrix_product_takes_time(dtype):
    assert 0 < precision.matrix_product_seconds(dtype, side=64) < 5
