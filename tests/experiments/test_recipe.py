"""A recipe is its run's identity: stable where nothing changed, another wherever anything did."""

import json
import subprocess
import sys
from dataclasses import asdict, fields, replace

import pytest

from brain_tumor import files
from brain_tumor.errors import ModelError, RunError
from brain_tumor.experiments.recipe import ClassificationRecipe, SegmentationRecipe, from_json
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
}
OF_A_CLASSIFIER = {
    "model": "resnet34",
    "channels": "flair",
    "mask_from": "some-crossval",
    "input_batchnorm": False,
    "balance": "weights",
}
# But for the very first published run: its recipe had fewer fields, which its record tells in later words.
RECORDS = [path for path in sorted(CHECKOUT.glob("reports/records/*/run.json")) if not path.parent.name.endswith("-46138887")]


def test_every_field_is_part_of_the_identity():
    assert {field.name for field in fields(SegmentationRecipe)} == set(OTHER), "a new field needs another value here"
    recipe = SegmentationRecipe()
    names = {replace(recipe, **{name: value}).run_id for name, value in OTHER.items()}
    assert len(names | {recipe.run_id}) == len(OTHER) + 1


def test_so_is_every_field_of_a_classifier():
    own = {field.name for field in fields(ClassificationRecipe)} - {field.name for field in fields(SegmentationRecipe)}
    assert own | {"model"} == set(OF_A_CLASSIFIER), "a new field needs another value here"
    shown = ClassificationRecipe(channels="sequences+mask", mask_from="another")
    bases = {name: shown if name == "mask_from" else ClassificationRecipe() for name in OF_A_CLASSIFIER}
    changed = [replace(bases[name], **{name: value}) for name, value in OF_A_CLASSIFIER.items()]
    names = {recipe.run_id for recipe in (ClassificationRecipe(), shown, *changed)}
    assert len(names) == len(changed) + 2


@pytest.mark.parametrize("kind", [Augmentation, Stage])
def test_so_is_every_field_of_its_parts(kind):
    other = {
        Augmentation: {"flip": False, "rotation_degrees": 5.0, "zoom": 0.3, "gamma": 0.1, "sequence_dropout": 0.5},
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
        },
    }[kind]
    assert {field.name for field in fields(kind)} == set(other)
    part = Augmentation() if kind is Augmentation else Stage("all", 12)
    place, wrap = ("augmentation", lambda value: value) if kind is Augmentation else ("stages", lambda value: (value,))
    names = {SegmentationRecipe(**{place: wrap(replace(part, **{name: value}))}).run_id for name, value in other.items()}
    assert len(names) == len(other)


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("loss", "hinge", "bce-dice"),
        ("normalisation", "none", "unit, imagenet, volume, raw"),
        ("precision", "float16", "auto, float32"),
    ],
)
def test_words_that_name_nothing_are_refused(name, value, known):
    with pytest.raises(ModelError, match=f"{name} '{value}', expected one of {known}"):
        SegmentationRecipe(**{name: value})


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"seed": -1}, "seed -1, expected 0 to 4294967295"),
        ({"split_seed": 2**32}, "split_seed 4294967296, expected 0 to"),
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


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.parent.name)
def test_records_of_earlier_versions_are_found_by_name(path):
    values = files.read_json(path)["recipe"]
    assert from_json(values).run_id == path.parent.name


def test_a_field_that_came_later_may_be_absent_and_no_other():
    values = json.loads(json.dumps(asdict(SegmentationRecipe())))
    earlier = {name: value for name, value in values.items() if name != "weights"}
    assert from_json(earlier) == SegmentationRecipe()
    for wrong in ({**values, "loudness": 3}, {name: value for name, value in values.items() if name != "flip_tta"}):
        with pytest.raises(RunError, match="another version of this package \\((loudness|flip_tta)\\)"):
            from_json(wrong)


def test_the_name_is_the_same_in_another_process():
    recipe = replace(SegmentationRecipe(), **OTHER)
    code = (
        "import json, sys\nfrom brain_tumor.experiments.recipe import from_json\n"
        "print(from_json(json.loads(sys.argv[1])).run_id)"
    )  # fmt: skip
    argument = json.dumps(asdict(recipe))
    found = subprocess.run([sys.executable, "-c", code, argument], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == recipe.run_id


def test_the_name_begins_with_what_a_person_looks_for():
    assert SegmentationRecipe().run_id.startswith("lgg-source-004-unet-resnet18-128-seed0-")
    recipe = SegmentationRecipe(split="/somewhere/my-split.json")
    assert recipe.run_id.startswith("lgg-my-split-unet-resnet18-128-seed0-")


@pytest.mark.parametrize("recipe", [SegmentationRecipe(), replace(SegmentationRecipe(), **OTHER), ClassificationRecipe()])
def test_json_round_trip(recipe):
    assert from_json(json.loads(json.dumps(asdict(recipe)))) == recipe
