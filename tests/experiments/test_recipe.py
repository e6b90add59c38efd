"""A recipe is its run's identity: stable where nothing changed, another wherever anything did. It refuses what no run trains."""

import json
import math
import os
import subprocess
import sys
from dataclasses import fields, replace

import pytest

from brain_tumor import files
from brain_tumor.errors import ModelError, RunError
from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.recipe import ClassificationRecipe, Recipe, SegmentationRecipe, from_json, identity
from brain_tumor.experiments.tasks import recipe_from_json
from brain_tumor.paths import CHECKOUT
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.plan import Stage

OTHER = {
    "cohort": "phantom",
    "split": "ratio-20",
    "split_seed": 1,
    "validation": 0.1,
    "model": "resunet",
    "size": 256,
    "normalisation": "unit",
    "augmentation": Augmentation(zoom=0.2),
    "loss": "focal-tversky",
    "stages": (Stage("decoder first", 2, part="decoder"), Stage("all", 10)),
    "batch_size": 8,
    "batchnorm_momentum": 0.9,
    "flip_tta": False,
    "threshold": 0.4,
    "precision": "float32",
    "seed": 1,
    "weights": "mri4",
    "channels": "flair",
    "mask_from": "some-crossval",
    "model_arguments": (("filters", (8, 16)),),
    "weight_average": 0.99,
    "balance": "sampling",
    "rotation_tta": 10.0,
    "members": 2,
}
OF_A_CLASSIFIER = {
    "model": "resnet34",
    "input_batchnorm": False,
    "balance": "weights",
}
DECIDED_BY_CONTENT = ("cohort", "split", "split_seed", "validation")
MASKED = {"channels": "sequences+mask", "mask_from": "another"}


@pytest.fixture
def store(stubs):
    """Ten patients of two sites, without a pixel."""
    return stubs.table_store({"CS": [3, 2, 4, 3, 5], "EZ": [4, 2, 3, 4, 3]})


def pair_of(kind, name, value):
    """A recipe, and the same with one field changed; masks have a source only where the channels take masks."""
    base = kind(**MASKED) if name == "mask_from" else kind()
    base = replace(base, model="resunet") if name == "model_arguments" else base
    return base, replace(base, **{name: value})


def name_of(recipe, store):
    return experiment.run_folder(recipe, store).path.name


def test_every_field_is_part_of_the_identity(store):
    assert {field.name for field in fields(SegmentationRecipe)} == set(OTHER), "a new field needs another value here"
    names = set()
    for name, value in OTHER.items():
        base, other = pair_of(SegmentationRecipe, name, value)
        assert identity(base) != identity(other)
        if name not in DECIDED_BY_CONTENT:
            drawn = {"split": "ratio-20"}
            names |= {name_of(replace(base, **drawn), store), name_of(replace(other, **drawn), store)}
    bases = 3  # the default, the one with masks, and a ResUNet, which is also the changed model
    assert len(names) == len(OTHER) - len(DECIDED_BY_CONTENT) + bases - 1


@pytest.mark.parametrize(
    ("split", "changes"),
    [("ratio-20", {"split": "ratio-40"}), ("ratio-20", {"split_seed": 1}), ("ratio-20", {"validation": 0.3})],
)
def test_the_content_of_the_split_is_part_of_the_name(store, split, changes):
    recipe = SegmentationRecipe(split=split)
    other = replace(recipe, **changes)
    assert experiment.make_split(recipe, store).hash != experiment.make_split(other, store).hash
    assert name_of(recipe, store).rpartition("-")[2] != name_of(other, store).rpartition("-")[2]


def test_two_words_for_one_split_are_one_run(store, tmp_path, monkeypatch):
    """Its content decides, whatever path leads to it; a seed that draws nothing changes nothing."""
    experiment.make_split(SegmentationRecipe(split="site-EZ"), store).save(tmp_path / "mine.json")
    monkeypatch.chdir(tmp_path)
    paths = ("mine.json", "./mine.json", str(tmp_path / "mine.json"))
    names = {name_of(SegmentationRecipe(split=path), store) for path in paths}
    assert len(names) == 1
    seeds = {name_of(SegmentationRecipe(split="site-EZ", split_seed=seed), store) for seed in (0, 1)}
    assert len(seeds) == 1
    assert names.pop().rpartition("-")[2] == seeds.pop().rpartition("-")[2]


def test_the_cohort_at_hand_gives_the_name(stubs, store):
    """A recipe on the phantom cannot carry the name of the real data, nor can other data carry the same name."""
    recipe = SegmentationRecipe(cohort="lgg", split="ratio-20")
    sites = {"CS": [3, 2, 4, 3, 5], "EZ": [4, 2, 3, 4, 3]}
    other_data, real = stubs.table_store(sites, "e" * 64), stubs.table_store(sites, phantom=False)
    assert name_of(recipe, store).startswith("phantom-ratio-20-")
    assert name_of(recipe, real).startswith("lgg-ratio-20-")
    assert name_of(recipe, other_data) != name_of(recipe, store)


def test_so_is_every_field_of_a_classifier(store):
    shared = {field.name for field in fields(Recipe)} - {"model", "loss"}
    own = {field.name for field in fields(ClassificationRecipe)} - shared - {"loss"}
    assert own == set(OF_A_CLASSIFIER), "a new field needs another value here"
    recipe = ClassificationRecipe(split="ratio-20")
    names = {name_of(replace(recipe, **{name: value}), store) for name, value in OF_A_CLASSIFIER.items()}
    assert len(names | {name_of(recipe, store)}) == len(OF_A_CLASSIFIER) + 1


def test_how_masks_are_resized_is_part_of_a_name_only_where_masks_are_learnt(store, monkeypatch):
    def names():
        return name_of(SegmentationRecipe(split="ratio-20"), store), name_of(ClassificationRecipe(split="ratio-20"), store)

    before = names()
    monkeypatch.setattr(SegmentationRecipe, "PREPARATION", 99)
    after = names()
    assert before[0] != after[0] and before[1] == after[1]


@pytest.mark.parametrize("kind", [Augmentation, Stage])
def test_so_is_every_field_of_its_parts(kind, store):
    other = {
        Augmentation: {
            "flip": False, "rotation_degrees": 5.0, "zoom": 0.3, "gamma": 0.1, "gamma_probability": 0.5, "sequence_dropout": 0.5,
            "rescale_copies": True, "warp": 0.1, "warp_probability": 0.2, "elastic": 0.02, "elastic_probability": 0.2,
            "brightness": 0.1,
            "brightness_probability": 0.2, "contrast": 0.1, "contrast_probability": 0.2, "bias_field": 0.1,
            "bias_field_probability": 0.2, "copy_paste": 0.3,
        },
        Stage: {
            "name": "x",
            "epochs": 9,
            "max_lr": 0.1,
            "part": "head",
            "weight_decay": 0.0,
            "pct_start": 0.5,
            "optimiser": "sgd",
            "momentum": 0.9,
            "schedule": "constant",
            "layer_decay": 0.5,
            "cycles": 2,
            "size": 64,
        },
    }[kind]  # fmt: skip
    assert {field.name for field in fields(kind)} == set(other)
    part = Augmentation() if kind is Augmentation else Stage("all", 12)
    place, wrap = ("augmentation", lambda value: value) if kind is Augmentation else ("stages", lambda value: (value,))
    parts = [part, *(replace(part, **{name: value}) for name, value in other.items())]
    names = {name_of(SegmentationRecipe(split="ratio-20", **{place: wrap(value)}), store) for value in parts}
    assert len(names) == len(parts)


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("loss", "hinge", "bce-dice"),
        ("normalisation", "none", "unit, imagenet, volume, tissue, raw"),
        ("precision", "float16", "auto, float32"),
    ],
)
def test_words_that_name_nothing_are_refused(name, value, known):
    with pytest.raises(ModelError, match=f"{name} '{value}', expected one of {known}"):
        SegmentationRecipe(**{name: value})


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"seed": -1}, "seed -1, expected a whole number from 0 to 4294967295"),
        ({"split_seed": 2**32}, "split_seed 4294967296, expected a whole number from 0 to"),
        ({"channels": "t1"}, "channels 't1', expected one of sequences, flair"),
        ({"balance": "luck"}, "balance 'luck', expected one of none"),
        ({"channels": "sequences+mask"}, "'sequences\\+mask' needs it"),
        ({"mask_from": "some-crossval"}, "'sequences\\+mask' needs it, no other"),
        ({"model": "plain", "input_batchnorm": False}, "'plain' has no BatchNorm"),
        ({"loss": "bce-dice"}, "loss 'bce-dice', expected one of bce"),
    ],
)
def test_so_are_impossible_classifiers(changes, complaint):
    with pytest.raises(ModelError, match=complaint):
        ClassificationRecipe(**changes)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"size": 100}, "size 100 is not a multiple of 32"),
        ({"size": 100, "model": "resunet"}, "size 100 is not a multiple of 16"),
        ({"size": 0}, "size 0, expected a whole number from 16"),
        ({"size": 128.0}, "size 128.0, expected a whole number"),
        ({"size": "128"}, "size '128', expected a whole number"),
        ({"validation": 1.5}, "validation 1.5, expected a number from 0 to 0.9"),
        ({"validation": -0.1}, "validation -0.1, expected"),
        ({"validation": math.nan}, "validation nan, expected"),
        ({"batch_size": 0}, "batch_size 0, expected a whole number from 1"),
        ({"batch_size": True}, "batch_size True, expected a whole number"),
        ({"batchnorm_momentum": 1.0}, "batchnorm_momentum 1.0, expected a number from 0 below 1"),
        ({"threshold": 7}, "threshold 7, expected a number from 0 to 1"),
        ({"threshold": math.nan}, "threshold nan, expected"),
        ({"threshold": math.inf}, "threshold inf, expected"),
        ({"threshold": None}, "threshold None, expected"),
        ({"flip_tta": "no"}, "flip_tta 'no', expected True or False"),
        ({"split": 4}, "split 4, expected a word"),
        ({"cohort": 4}, "cohort 4, expected a word"),
        ({"stages": ()}, "a recipe without an epoch"),
        ({"stages": (Stage("all", 0),)}, "a recipe without an epoch"),
        ({"model_arguments": (("size", 64),)}, "model argument 'size': other fields"),
        ({"model": "resunet", "model_arguments": (("filters", 8),)}, "filters 8, expected the width of each level"),
        ({"model": "resunet", "model_arguments": (("filters", ()),)}, r"filters \(\), expected the width of each level"),
        ({"model": "resunet", "size": 20, "model_arguments": (("filters", (2, 4, 8, 16)),)}, "size 20 is not a multiple of 8"),
    ],
)
@pytest.mark.parametrize("kind", [SegmentationRecipe, ClassificationRecipe])
def test_what_cannot_be_trained_is_refused_when_the_recipe_is_made(kind, changes, complaint):
    if kind is ClassificationRecipe and changes.get("model") == "resunet":
        changes, complaint = {"model": "resunet"}, "model 'resunet', expected one of resnet18"
    with pytest.raises(ModelError, match=complaint) as refusal:
        kind(**changes)
    assert "\n" not in str(refusal.value)


def test_every_size_that_a_network_takes_is_taken():
    assert ClassificationRecipe(model="plain", size=100).size == 100
    assert SegmentationRecipe(model="resunet", size=48).size == 48
    assert SegmentationRecipe(model="resunet", size=20, model_arguments=(("filters", (2, 4, 8)),)).size == 20


def test_model_arguments_may_be_a_dictionary():
    pairs = SegmentationRecipe(model="resunet", model_arguments=(("filters", (2, 4)),))
    assert SegmentationRecipe(model="resunet", model_arguments={"filters": [2, 4]}) == pairs
    assert SegmentationRecipe(model_arguments={}) == SegmentationRecipe()


def test_a_recipe_in_json_is_refused_as_one_that_is_made():
    values = json.loads(json.dumps(SegmentationRecipe().to_json()))
    with pytest.raises(ModelError, match="threshold 7, expected"):
        recipe_from_json(values | {"threshold": 7})
    with pytest.raises(ModelError, match="stage 'all': max_lr 0, expected a number above 0"):
        recipe_from_json(values | {"stages": [values["stages"][0] | {"max_lr": 0}]})
    with pytest.raises(RunError, match="unknown task 'census', expected one of segmentation, classification"):
        recipe_from_json(values | {"task": "census"})


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": 3}, "name 3, expected a word"),
        ({"epochs": -1}, "epochs -1, expected a whole number from 0"),
        ({"epochs": 1.5}, "epochs 1.5, expected a whole number"),
        ({"max_lr": 0}, "max_lr 0, expected a number above 0"),
        ({"max_lr": math.nan}, "max_lr nan, expected"),
        ({"part": "tail"}, "part 'tail', expected one of all, decoder, head"),
        ({"weight_decay": -1e-2}, "weight_decay -0.01, expected a number from 0"),
        ({"pct_start": 1.1}, "pct_start 1.1, expected a number from 0 to 1"),
        ({"optimiser": "adam"}, "optimiser 'adam', expected one of adamw, sgd"),
        ({"momentum": 1.0}, "momentum 1.0, expected a number from 0 below 1"),
        ({"schedule": "cosine"}, "schedule 'cosine', expected one of 1cycle, cyclical, constant"),
        ({"layer_decay": 0.0}, "layer_decay 0.0, expected a number above 0"),
    ],
)
def test_a_stage_refuses_what_no_optimiser_takes(changes, complaint):
    name = changes.get("name", "all")
    with pytest.raises(ModelError, match=f"^stage {name!r}: {complaint}"):
        Stage(**{"name": "all", "epochs": 1} | changes)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"flip": 1}, "flip 1, expected True or False"),
        ({"rotation_degrees": 181}, "rotation_degrees 181, expected a number from 0 to 180"),
        ({"zoom": -0.1}, "zoom -0.1, expected a number from 0 to 1"),
        ({"gamma": math.nan}, "gamma nan, expected a number from 0 to 2"),
        ({"sequence_dropout": 1.01}, "sequence_dropout 1.01, expected a number from 0 to 1"),
    ],
)
def test_an_augmentation_refuses_what_cannot_be_drawn(changes, complaint):
    with pytest.raises(ModelError, match=f"^augmentation: {complaint}"):
        Augmentation(**changes)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [("flitters", 8, "network 'plain' cannot be built with .*flitters"), ("dropout", 7, "network 'plain' cannot be built with")],
)
def test_a_model_argument_that_no_network_takes_is_refused_by_the_run(phantom_cohort, home, name, value, complaint):
    recipe = ClassificationRecipe(
        cohort="phantom", split="ratio-33", model="plain", size=32, precision="float32", model_arguments=((name, value),)
    )
    with pytest.raises(ModelError, match=complaint) as refusal:
        experiment.train(recipe, phantom_cohort)
    assert "\n" not in str(refusal.value)
    assert not (home / "runs").exists()


def test_a_field_that_came_later_may_be_absent_and_no_other():
    values = json.loads(json.dumps(SegmentationRecipe().to_json()))
    earlier = {name: value for name, value in values.items() if name not in ("weights", "model_arguments")}
    assert recipe_from_json(earlier) == SegmentationRecipe()
    for wrong in ({**values, "loudness": 3}, {name: value for name, value in values.items() if name != "flip_tta"}):
        with pytest.raises(RunError, match="another version of this package \\((loudness|flip_tta)\\)"):
            recipe_from_json(wrong)


def test_a_later_field_at_its_default_is_no_part_of_the_identity():
    assert {"weights", "channels", "mask_from", "model_arguments"}.isdisjoint(identity(SegmentationRecipe()))
    assert identity(SegmentationRecipe(weights="mri4"))["weights"] == "mri4"
    assert {"input_batchnorm", "balance"}.isdisjoint(identity(ClassificationRecipe()))
    assert identity(SegmentationRecipe())["stages"] == [
        {"name": "all", "epochs": 12, "max_lr": 1e-3, "part": "all", "weight_decay": 1e-2, "pct_start": 0.3}
    ]


def test_the_identity_is_the_same_in_another_process():
    recipe = replace(SegmentationRecipe(), **OTHER | MASKED)
    code = (
        "import json, sys\nfrom brain_tumor import files\n"
        "from brain_tumor.experiments.recipe import SegmentationRecipe, from_json, identity\n"
        "print(files.sha256_json(identity(from_json(SegmentationRecipe, json.loads(sys.argv[1])))))"
    )  # fmt: skip
    argument = json.dumps(recipe.to_json())
    environment = os.environ | {"PYTHONHASHSEED": "1"}
    answer = subprocess.run(
        [sys.executable, "-c", code, argument], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == files.sha256_json(identity(recipe))


def test_the_name_begins_with_what_a_person_looks_for(store, tmp_path):
    assert name_of(SegmentationRecipe(split="ratio-20"), store).startswith("phantom-ratio-20-unet-resnet18-128-seed0-")
    split = experiment.make_split(SegmentationRecipe(split="ratio-20"), store)
    replace(split, name="my-split").save(tmp_path / "any-file.json")
    recipe = SegmentationRecipe(split=str(tmp_path / "any-file.json"))
    assert name_of(recipe, store).startswith("phantom-my-split-unet-resnet18-128-seed0-"), "what the file calls it, not the file"


@pytest.mark.parametrize(
    "recipe",
    [SegmentationRecipe(), SegmentationRecipe(**OTHER | MASKED), ClassificationRecipe(), ClassificationRecipe(**OF_A_CLASSIFIER)],
)
def test_json_round_trip(recipe):
    assert recipe_from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert from_json(type(recipe), json.loads(json.dumps(recipe.to_json()))) == recipe
