"""Which settings train fastest: measured in turns, in processes that differ in their threads, and remembered."""

import contextlib
import os

import pytest

from brain_tumor.errors import RunError
from brain_tumor.experiments import bench
from brain_tumor.experiments.bench import Rate
from brain_tumor.models import backend, memory, precision, saved
from brain_tumor.training import rates

MACHINE = {"processor": "Abacus 3000", "accelerators": [], "backend": "tensorflow"}
EXACT, COARSE = precision.PRECISIONS

pytestmark = pytest.mark.backend


@pytest.fixture
def machine(home, monkeypatch):
    """``machine(accelerators=[...])``: what computes here; four cores."""

    def pretend(**changes):
        monkeypatch.setattr(backend, "machine", lambda: MACHINE | changes)
        monkeypatch.setattr(backend, "cores", lambda: 4)

    pretend()
    return pretend


def table(**slices_per_second):
    """``table(exact_1=(8, 9, 10), coarse_4=...)``: rates of batches of 8, 16 and 32 by number format and threads."""
    named = {"exact": EXACT, "coarse": COARSE}
    return [
        Rate(named[name.split("_")[0]], int(name.split("_")[1]), size, rate)
        for name, row in slices_per_second.items()
        for size, rate in zip(bench.BATCH_SIZES, row, strict=True)
    ]


@pytest.mark.parametrize(
    ("measured", "chosen"),
    [
        (table(exact_1=(10, 11, 12), exact_4=(20, 25, 30)), (EXACT, 4, 32)),
        (table(exact_1=(10, 11, 12), exact_4=(9, 9, 9)), (EXACT, 1, 32)),
        (table(exact_1=(10, 11.5, 12)), (EXACT, 1, 16)),  # half the batch, nearly as fast: twice the steps
        (table(exact_4=(20, 20, 20), coarse_4=(40, 50, 40)), (COARSE, 4, 16)),
        (table(exact_4=(20, 20, 20), coarse_4=(20, 23, 20)), (EXACT, 4, 8)),  # too little gained for coarser numbers
        (table(coarse_4=(20, 23, 20)), (COARSE, 4, 16)),
    ],
)
def test_the_best_is_fast_but_neither_coarse_nor_large_for_little(measured, chosen):
    best = bench.best(measured)
    assert (best.precision, best.threads, best.batch_size) == chosen
    assert best in measured


def test_all_settings_are_asked_in_turns_and_the_median_counts(monkeypatch):
    asked, seconds = [], iter([1, 2, 30, 40, 5, 6])

    @contextlib.contextmanager
    def process(threads):
        yield lambda function, *arguments: asked.append((threads, *arguments)) or next(seconds)

    monkeypatch.setattr(bench, "process", process)
    assert bench.measure([EXACT], [1, 4], [8], rounds=3) == [Rate(EXACT, 1, 8, 5), Rate(EXACT, 4, 8, 6)]
    assert asked == [(1, EXACT, 8), (4, EXACT, 8)] * 3


def test_a_machine_is_measured_in_what_it_has_a_choice_of(machine):
    assert bench.choices() == ((EXACT, COARSE), (1, 4))
    machine(accelerators=["H100"])
    assert bench.choices() == ((EXACT, COARSE), (None,))
    machine(backend="jax")
    assert bench.choices() == ((EXACT,), (None,))


def test_what_was_chosen_is_remembered_and_taken(machine):
    measured = table(exact_4=(20, 20, 20), coarse_4=(40, 50, 40))
    path = bench.remember(measured, bench.best(measured))
    facts = memory.read(MACHINE)
    assert path == memory.file(MACHINE)
    assert (facts["precision"], facts["threads"], facts["cores"], facts["batch_size"]) == (COARSE, 4, 4, 16)
    assert [rate["slices_per_second"] for rate in facts["rates"]] == [20, 20, 20, 40, 50, 40]
    assert precision.resolve("auto") == COARSE, "without another measurement"
    assert memory.batch_size() == 16


def test_a_process_has_its_own_threads_and_says_when_it_dies():
    with bench.process(3) as ask:
        assert [ask(os.getenv, name) for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")] == ["3", "3"]
        assert ask(os.getpid) != os.getpid()
    with pytest.raises(RunError, match="a process of 3 threads has died"), bench.process(3) as ask:
        ask(os._exit, 1)
    with bench.process(None) as ask:
        assert ask(os.getpid) == os.getpid()


def test_real_steps_have_a_rate(monkeypatch):
    monkeypatch.setattr(rates, "NETWORK", saved.describe("resunet", size=16, filters=(4, 8)))
    first, again = (rates.rate(EXACT, 16) for _ in range(2))
    assert 0 < first < 1e5 and 0 < again < 1e5
