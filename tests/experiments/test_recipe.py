"""A recipe is its run's identity: stable where nothing changed, another wherever anything did."""

import json
import subprocess
import sys
from dataclasses import asdict, fields, replace

import pytest

from brain_tumor.errors import ModelError
from brain_tumor.experiments.recipe import SegmentationRecipe, from_json
from brain_tumor.paths import CHECKOUT
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.stages import Stage

OTHER = {
    "cohort": "phantom",
    "split": "ratio-20",
    "split_seed": 1,
    "tune": 0.1,
    "model": "resunet",
    "size": 256,
    "normalisation": "unit",
    "augmentation": Augmentation(zoom=0.2),
    "loss": "focal-tversky",
    "stages": (Stage("decoder first", 2, part="decoder"), Stage("all", 10)),
    "batch_size": 8,
    "batchnorm_momentum": 0.9,
    "average_flips": False,
    "threshold": 0.4,
    "precision": "float32",
    "seed": 1,
}


def test_every_field_is_part_of_the_identity():
    assert {field.name for field in fields(SegmentationRecipe)} == set(OTHER), "a new field needs another value here"
    recipe = SegmentationRecipe()
    names = {replace(recipe, **{name: value}).run_id for name, value in OTHER.items()}
    assert len(names | {recipe.run_id}) == len(OTHER) + 1


@pytest.mark.parametrize("kind", [Augmentation, Stage])
def test_so_is_every_field_of_its_parts(kind):
    other = {
        Augmentation: {"flip": False, "rotation_degrees": 5.0, "zoom": 0.3, "lighting": 0.1, "missing": 0.5},
        Stage: {"name": "x", "epochs": 9, "peak_rate": 0.1, "part": "head", "weight_decay": 0.0, "rise": 0.5},
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
        ("normalisation", "none", "unit, imagenet, volume"),
        ("precision", "float16", "auto, float32"),
    ],
)
def test_words_that_name_nothing_are_refused(name, value, known):
    with pytest.raises(ModelError, match=f"{name} '{value}', expected one of {known}"):
        SegmentationRecipe(**{name: value})


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


@pytest.mark.parametrize("recipe", [SegmentationRecipe(), replace(SegmentationRecipe(), **OTHER)])
def test_json_round_trip(recipe):
    assert from_json(json.loads(json.dumps(asdict(recipe)))) == recipe
