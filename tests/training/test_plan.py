"""A strategy is a plan written out: its epochs add up, its stages are those of its source, and the plan tells its strategy."""

import pytest
from hypothesis import given, strategies as st

from brain_tumor.errors import ModelError
from brain_tumor.training.plan import STRATEGIES, Stage, arguments, stages

OPTIMISERS = st.fixed_dictionaries(
    {},
    optional={
        "optimiser": st.sampled_from(["adamw", "sgd"]),
        "momentum": st.sampled_from([0.0, 0.5]),
        "schedule": st.sampled_from(["1cycle", "constant"]),
        "pct_start": st.sampled_from([0.1, 0.3]),
        "weight_decay": st.sampled_from([0.0, 0.5]),
    },
)


def test_source_002_a_trains_the_head_alone():
    assert stages("frozen", 4, 1e-3) == (Stage("frozen", 4, 1e-3, part="head"),)


def test_a_frozen_encoder_leaves_the_whole_decoder_to_train():
    assert stages("frozen", 4, 1e-3, "decoder")[0].part == "decoder"
    assert [stage.part for stage in stages("gradual", 8, 1e-3, "decoder")] == ["decoder", "all", "all"]


def test_source_003_goes_from_the_head_to_all_to_rates_by_depth():
    head, whole, by_depth = stages("gradual", 8, 1e-3)
    assert (head.part, whole.part, by_depth.part) == ("head", "all", "all")
    assert head.max_lr > whole.max_lr == by_depth.max_lr
    assert head.layer_decay == whole.layer_decay == 1 > by_depth.layer_decay


@given(st.sampled_from(STRATEGIES), st.integers(3, 40), st.floats(1e-6, 1e-1), st.sampled_from(["head", "decoder"]), OPTIMISERS)
def test_a_plan_gives_the_arguments_that_made_it(strategy, epochs, max_lr, new_layers, optimiser):
    plan = stages(strategy, epochs, max_lr, new_layers, **optimiser)
    assert sum(stage.epochs for stage in plan) == epochs and all(stage.epochs for stage in plan)
    defaults = {"optimiser": "adamw", "momentum": 0.5, "schedule": "1cycle", "pct_start": 0.3, "cycles": 4, "weight_decay": 1e-2}
    again = arguments(plan, new_layers)
    assert again == {"strategy": strategy, "epochs": epochs, "max_lr": max_lr} | defaults | optimiser
    assert stages(**again, new_layers=new_layers) == plan


@pytest.mark.parametrize(
    "plan",
    [
        (Stage("all", 2, layer_decay=0.5),),
        (Stage("mine", 2),),
        (Stage("all", 2, part="stage3"),),
        (Stage("head", 1, part="head"), Stage("all", 1), Stage("by depth", 1), Stage("all", 1)),
        (Stage("head", 1, part="head"), Stage("all", 1)),
        (Stage("head", 1, part="head"), Stage("all", 1), Stage("by depth", 1)),
    ],
)
def test_a_plan_of_ones_own_has_no_name(plan):
    assert arguments(plan) is None


def test_growing_goes_from_half_the_size_to_all_of_it():
    half, whole = stages("growing", 7, 1e-3, size=128)
    assert (half.size, half.epochs, half.max_lr) == (64, 3, 1e-3)
    assert (whole.size, whole.epochs, whole.max_lr) == (0, 4, 3e-4)


def test_what_cannot_be_planned_is_refused():
    with pytest.raises(ModelError, match="strategy 'melt', expected one of all, frozen, gradual, growing"):
        stages("melt", 3, 1e-3)
    with pytest.raises(ModelError, match="'gradual' has 3 stages, which 2 epochs cannot fill"):
        stages("gradual", 2, 1e-3)
