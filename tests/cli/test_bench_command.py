"""``brain-tumor bench``: what is printed, what is remembered, and what takes it."""

import pytest

from brain_tumor.cli import recipe_options
from brain_tumor.experiments import bench
from brain_tumor.experiments.bench import Rate
from brain_tumor.experiments.recipe import ClassificationRecipe
from brain_tumor.models import backend, memory

RATES = [Rate("float32", 1, 8, 12.5), Rate("float32", 1, 32, 12.75), Rate("float32", 2, 8, 20.25), Rate("float32", 2, 32, 24.0)]
pytestmark = pytest.mark.backend


@pytest.fixture(autouse=True)
def measured(home, monkeypatch):
    """These rates, without measuring."""
    monkeypatch.setattr(bench, "measure", lambda precisions, threads: RATES)


def batch_of(word):
    return recipe_options.make(ClassificationRecipe, {"batch_size": word}).batch_size


def test_bench_prints_every_rate_and_remembers_only_when_told(command):
    answer = command("bench")
    assert answer.code == 0, answer.err
    assert all(f"{rate.slices_per_second:.1f}" in answer.out for rate in RATES)
    assert "best: float32, 2 threads, batches of 32: 24.0 slices a second" in answer.out
    assert memory.read(backend.machine()) == {}
    assert batch_of("auto") == 16


def test_what_bench_remembers_is_what_auto_takes_and_nothing_else(command):
    answer = command("bench", "--remember")
    assert answer.code == 0, answer.err
    assert f"remembered: {memory.file(backend.machine())}" in answer.out
    assert batch_of("auto") == 32
    assert batch_of(8) == 8
    assert recipe_options.make(ClassificationRecipe, {}).batch_size == 16, "a recipe's batch never changes silently"
