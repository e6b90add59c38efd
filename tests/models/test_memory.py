"""What the home remembers of a machine: facts beside each other, none of another machine, none that makes no sense."""

import pytest

from brain_tumor.models import backend, memory

MACHINE = {"processor": "Abacus 3000", "accelerators": [], "backend": "tensorflow"}

pytestmark = pytest.mark.backend


@pytest.fixture(autouse=True)
def machine(home, monkeypatch):
    """This is an Abacus 3000 of four cores, which runs TensorFlow."""
    monkeypatch.setattr(backend, "machine", lambda: MACHINE)
    monkeypatch.setattr(backend, "cores", lambda: 4)
    monkeypatch.setattr(backend, "name", lambda: "tensorflow")
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    memory.take_threads.cache_clear()
    yield
    memory.take_threads.cache_clear()


@pytest.fixture
def taken(monkeypatch):
    """The numbers of threads that TensorFlow was told."""
    numbers = []
    monkeypatch.setattr(backend, "take_threads", numbers.append)
    return numbers


def test_facts_are_remembered_beside_each_other():
    memory.write(MACHINE, precision="float32", seconds=1.5)
    memory.write(MACHINE, precision="mixed_bfloat16", threads=3)
    assert memory.read(MACHINE) == {"machine": MACHINE, "precision": "mixed_bfloat16", "seconds": 1.5, "threads": 3}
    assert memory.read(MACHINE | {"processor": "Abacus 4000"}) == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"machine": "another", "threads": 3}'])
def test_a_damaged_or_foreign_file_counts_for_nothing_and_is_replaced(text, taken):
    path = memory.write(MACHINE, threads=3, cores=4, batch_size=8)
    path.write_text(text)
    assert memory.read(MACHINE) == {}
    assert memory.batch_size() is None
    memory.take_threads()
    assert taken == []
    memory.write(MACHINE, batch_size=32)
    assert memory.batch_size() == 32


@pytest.mark.parametrize("number", [0, -8, 2.5, True, "16", None])
def test_what_is_no_number_of_slices_is_no_batch(number):
    memory.write(MACHINE, batch_size=number)
    assert memory.batch_size() is None


def test_threads_are_taken_once_a_process(taken):
    memory.write(MACHINE, threads=3, cores=4)
    memory.take_threads()
    memory.take_threads()
    assert taken == [3]


@pytest.mark.parametrize("reason", ["the user's own", "other cores", "another backend", "nothing remembered", "no number"])
def test_threads_are_left_alone(taken, monkeypatch, reason):
    memory.write(MACHINE, threads="3" if reason == "no number" else 3, cores=4)
    match reason:
        case "the user's own":
            monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
        case "other cores":
            monkeypatch.setattr(backend, "cores", lambda: 1)
        case "another backend":
            monkeypatch.setattr(backend, "name", lambda: "jax")
        case "nothing remembered":
            memory.file(MACHINE).unlink()
    memory.take_threads()
    assert taken == []


def test_the_first_fixed_settings_take_the_threads(taken):
    from brain_tumor.models import settings

    memory.write(MACHINE, threads=2, cores=4)
    with settings.fixed(), settings.fixed():
        assert taken == [2]


@pytest.mark.skipif(backend.name() != "tensorflow", reason="asks TensorFlow")
def test_tensorflow_keeps_its_threads_once_it_has_computed():
    import keras

    keras.ops.convert_to_numpy(keras.ops.ones(1) + 1)
    before = backend.threads()
    backend.take_threads(before["intra_op"] + 1)
    assert backend.threads() == before
