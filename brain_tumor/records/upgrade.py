"""The JSON and tables of committed records in the words of today.

A committed record keeps its words for ever, while the package's own words change. Each function here takes the values of one
file and returns the same values in the present words: it renames what was renamed, and adds a field that the file lacks, with
the value that stands for what the package did at that time. Those values are written out here, since a default of today's recipe
may change later. A function that gets present words returns them as they are.
"""

CLASSIFIERS = ("resnet18", "resnet34", "resnet50", "plain")  # the model alone says the task of an early recipe
# Old name of a field -> present name.
OF_RECIPES = {"tune": "validation", "average_flips": "flip_tta"}
OF_STAGES = {"peak_rate": "max_lr", "rise": "pct_start", "depth_factor": "layer_decay"}
OF_AUGMENTATIONS = {"lighting": "gamma", "missing": "sequence_dropout"}
OF_CELLS = {"peak_rate": "max_lr"}
# A field that came after the first records -> what every run did before.
OF_EVERY_RECIPE = {"weights": "none", "channels": "sequences", "mask_from": "", "model_arguments": []}
OF_A_CLASSIFIER = {"input_batchnorm": True, "balance": "none"}
OF_A_STAGE = {"optimiser": "adamw", "momentum": 0.5, "schedule": "1cycle", "layer_decay": 1.0}


def recipe(values: dict) -> dict:
    """A recipe, of a run or of all folds of a cross-validation (which has no ``split``)."""
    values = _renamed(values, OF_RECIPES)
    task = values.get("task") or ("classification" if values.get("model") in CLASSIFIERS else "segmentation")
    added = {"task": task} | OF_EVERY_RECIPE | (OF_A_CLASSIFIER if task == "classification" else {})
    changed: dict = {"stages": [OF_A_STAGE | _renamed(stage, OF_STAGES) for stage in values.get("stages", ())]}
    if "augmentation" in values:
        changed["augmentation"] = _renamed(values["augmentation"], OF_AUGMENTATIONS)
    return added | values | changed


def description(facts: dict) -> dict:
    """A ``run.json`` or ``crossval.json``.

    ``preparation`` says how masks were resized for training: 1 is what the package did before it said so (nearest neighbour).
    """
    facts = {name: value for name, value in facts.items() if name != "kind"} | {"recipe": recipe(facts["recipe"])}
    if "parts" in facts:
        facts["parts"] = _renamed(facts["parts"], OF_RECIPES)
    if facts["recipe"]["task"] == "segmentation":
        facts = {"preparation": 1} | facts
    return facts


def history(columns: list[str]) -> list[str]:
    """The columns of a ``history.csv``."""
    return [f"validation_{name.removeprefix('tune_')}" if name.startswith("tune_") else name for name in columns]


def grid(facts: dict) -> dict:
    """A ``grid.json``."""
    return facts | {"cells": [_renamed(cell, OF_CELLS) for cell in facts["cells"]]}


def _renamed(values: dict, names: dict[str, str]) -> dict:
    return {names.get(name, name): value for name, value in values.items()}
