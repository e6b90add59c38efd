"""How many trainings run side by side: cores, memory, an accelerator, own code and small work each limit it."""

import os
import warnings
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace

import pytest

from brain_tumor.data.phantom import open_phantom
from brain_tumor.errors import RunWarning
from brain_tumor.experiments import capacity
from brain_tumor.experiments.recipe import ClassificationRecipe, Segmentation, SegmentationRecipe

RECIPES = [Segmentation(model="resunet", size=128, epochs=12, split=f"fold-{fold}-of-5") for fold in range(1, 6)]
SMALL = replace(RECIPES[0], size=32, batch_size=8, model_arguments=(("filters", (4, 8)),))
GIGABYTE = 10**9


def cohort(n_slices, reader=open_phantom):
    """What is asked of a cohort here."""
    cases = (SimpleNamespace(reader=reader),)
    return SimpleNamespace(n_slices=n_slices, sequences=("pre", "flair", "post"), regions=("tumour",), cases=cases)


LARGE = cohort(3929)


def never(*_arguments, **_options):
    raise AssertionError("this was not to be asked")


@pytest.fixture
def machine(monkeypatch):
    """``machine(cores, memory, accelerators)``: one on which a training takes 2 GB."""

    def of(cores, memory, accelerators=()):
        monkeypatch.setattr(capacity, "usable_cores", lambda: cores)
        monkeypatch.setattr(capacity, "available_memory", lambda: memory)
        monkeypatch.setattr(capacity.backend, "machine", lambda: {"accelerators": list(accelerators)})
        monkeypatch.setattr(capacity, "training_memory", lambda recipe, *_shape: 2 * GIGABYTE)

    return of


@pytest.mark.parametrize(
    ("cores", "memory", "accelerators", "workers"),
    [
        (2, 16, (), 2),
        (4, 16, (), 4),
        (64, 1000, (), 5),  # no more than there are trainings
        (4, 5, (), 2),
        (4, 1, (), 1),
        (1, 16, (), 1),
        (16, 100, ("NVIDIA H100",), 1),
    ],
)
def test_as_many_as_cores_and_memory_hold_but_one_on_an_accelerator(machine, cores, memory, accelerators, workers):
    machine(cores, memory * GIGABYTE, accelerators)
    assert capacity.workers(RECIPES, LARGE) == workers


def test_the_largest_of_several_trainings_decides(machine, monkeypatch):
    machine(4, 7 * GIGABYTE)
    monkeypatch.setattr(capacity, "training_memory", lambda recipe, *_shape: recipe.batch_size // 8 * GIGABYTE)
    assert capacity.workers([replace(RECIPES[0], batch_size=size) for size in (8, 16, 24, 8)], LARGE) == 2


def test_what_is_small_is_trained_in_turn(machine, monkeypatch):
    machine(4, 16 * GIGABYTE)
    slices = capacity.WORTHWHILE_PIXELS // (5 * 12 * 128**2)
    assert capacity.workers(RECIPES, cohort(slices + 1)) == 4
    monkeypatch.setattr(capacity, "training_memory", never)
    assert capacity.workers(RECIPES, cohort(slices)) == 1


def test_a_person_and_what_was_begun_come_first(machine):
    machine(2, 4 * GIGABYTE)
    assert capacity.workers(RECIPES, LARGE, begun=1) == 1
    assert capacity.workers(RECIPES, LARGE, begun=4) == 4
    assert capacity.workers(RECIPES, LARGE, asked=3, begun=1) == 3
    assert capacity.workers(RECIPES, LARGE, asked=9) == 5


@dataclass(frozen=True)
class OwnRecipe(SegmentationRecipe):
    """A recipe that no other process knows."""


class OwnReader:
    """Reads a case in some way of the caller's."""

    def __call__(self, case):
        """Nothing is read here."""


@pytest.mark.parametrize(
    ("recipes", "reader", "name"),
    [
        ([OwnRecipe()], open_phantom, "OwnRecipe"),
        (RECIPES, OwnReader(), "OwnReader"),
        (RECIPES, cohort, "cohort"),
        (RECIPES, partial(cohort, 3), "cohort"),
    ],
)
def test_own_code_is_trained_in_turn_and_told_of_where_several_were_asked_for(machine, recipes, reader, name):
    machine(4, 16 * GIGABYTE)
    with warnings.catch_warnings(action="error"):
        assert capacity.workers(recipes, cohort(3929, reader)) == 1
        assert capacity.workers(recipes, cohort(3929, reader), asked=1, begun=2) == 1
    with pytest.warns(RunWarning, match=f"in turn, not 2 side by side: {name} is your own code"):
        assert capacity.workers(recipes, cohort(3929, reader), asked=2) == 1


def test_the_readers_and_recipes_of_the_package_are_known_to_other_processes(phantom_cohort, machine):
    machine(4, 16 * GIGABYTE)
    with warnings.catch_warnings(action="error"):
        assert capacity.workers([SMALL, ClassificationRecipe()], phantom_cohort, asked=2) == 2


@pytest.mark.backend
def test_memory_grows_with_the_network_and_with_what_it_gives():
    small = capacity.training_memory(SMALL, 3)
    assert capacity.BYTES < small < 1.1 * capacity.BYTES
    values = 2 * (capacity.training_memory(replace(SMALL, batch_size=16), 3) - small)
    assert capacity.training_memory(replace(SMALL, batch_size=16, size=64), 3) - small == pytest.approx(values * 3.5, rel=0.01)
    wider = replace(SMALL, model_arguments=(("filters", (64, 128)),))
    assert capacity.training_memory(wider, 3) > small + 16 * 8 * 32**2 * capacity.BYTES_OF_AN_OUTPUT


def test_available_memory_is_what_linux_and_a_container_leave(tmp_path, monkeypatch):
    monkeypatch.setattr(capacity, "MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(capacity, "CONTAINER", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal:  24000000 kB\nMemFree:  1000 kB\nMemAvailable:   8000000 kB\n")
    assert capacity.available_memory() == 8_192_000_000
    for name, content in {"max": "4000000000", "current": "3000000000", "stat": "file 9\ninactive_file 500000000\n"}.items():
        (tmp_path / f"memory.{name}").write_text(content)
    assert capacity.available_memory() == 1_500_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert capacity.available_memory() == 8_192_000_000, "a container without a limit"
    (tmp_path / "meminfo").write_text("")
    if hasattr(os, "sysconf"):
        assert capacity.available_memory() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert capacity.available_memory() == 0, "so that one trains after the other"
