"""A model on disk: its constructor's name, the arguments, the weights, and their hash. Nothing in a file is ever run.

The network is rebuilt from our code, never from Keras's own model JSON, and weights are checked before they are read.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from brain_tumor import files
from brain_tumor.errors import ModelError
from brain_tumor.models import classifier, settings, unet
from brain_tumor.models.architectures import CLASSIFICATION, SEGMENTATION

CONSTRUCTORS: dict[str, Callable[..., keras.Model]] = {
    "unet": unet.unet,
    "resunet": unet.resunet,
    "classifier": classifier.classifier,
    "plain": classifier.plain,
}
OF_BATCHNORM = ("batchnorm_momentum", "input_batchnorm")
DESCRIPTION, WEIGHTS = "model.json", "model.weights.h5"


def describe(architecture: str, **arguments: Any) -> dict:
    """``unet-resnet18``, ``resunet``, ``resnet18`` or ``plain`` as ``{"constructor": ..., "arguments": {...}}``.

    What is said of BatchNorm is left out of the description of ``plain``, which has none: a caller may ask every architecture
    with the same words, and what is written is what was built.

    Raises:
        ModelError: no such architecture.
    """
    if architecture == "plain":
        return {"constructor": "plain", "arguments": {k: v for k, v in arguments.items() if k not in OF_BATCHNORM}}
    if architecture in CLASSIFICATION:
        return {"constructor": "classifier", "arguments": {"backbone": architecture, **arguments}}
    if architecture not in SEGMENTATION:
        raise ModelError(f"unknown model {architecture!r}, expected one of {', '.join((*SEGMENTATION, *CLASSIFICATION))}")
    name, _, backbone = architecture.partition("-")
    return {"constructor": name, "arguments": {**({"backbone": backbone} if backbone else {}), **arguments}}


def build(description: dict, number_format: str = "float32") -> keras.Model:
    """Call the named constructor under the given precision."""
    with settings.fixed(number_format):
        return CONSTRUCTORS[description["constructor"]](**description["arguments"])


def save(model: keras.Model, description: dict, folder: Path) -> None:
    """Write ``model.weights.h5``, then ``model.json`` with its hash."""
    with files.atomic_path(folder / WEIGHTS) as temporary:
        model.save_weights(temporary)
        digest = files.sha256_file(temporary)
    files.write_json(folder / DESCRIPTION, {**description, "weights_sha256": digest})


@settings.fixed()
def decide(folder: Path, threshold: float) -> None:
    """Change the threshold of a saved model to the one that was chosen on validation."""
    description = files.read_json(folder / DESCRIPTION)
    description["predictor"]["threshold"] = threshold
    files.write_json(folder / DESCRIPTION, description)


def load(folder: Path) -> keras.Model:
    """Rebuild the model of a run folder, in the number format that it was trained in.

    Raises:
        ModelError: as of :func:`load_described`.
    """
    return load_described(folder)[0]


def load_described(folder: Path) -> tuple[keras.Model, dict]:
    """The model of a run folder, and its description.

    Raises:
        ModelError: a file is missing or damaged, describes no network of ours, or its weights are not those that were saved.
    """
    try:
        description = files.read_json(folder / DESCRIPTION)
        expected = description.pop("weights_sha256")
        found = files.sha256_file(folder / WEIGHTS)
    except FileNotFoundError as error:
        raise ModelError(f"{error.filename}: no such file; is the run finished?") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / DESCRIPTION}: not a model description ({error})") from None
    if found != expected:
        raise ModelError(f"{folder / WEIGHTS}: SHA-256 {found[:12]}, expected {expected[:12]}; the file is damaged or another's")
    try:
        model = build(description, description.get("precision", "float32"))
        model.load_weights(folder / WEIGHTS)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder / DESCRIPTION}: describes no network that fits {WEIGHTS}") from error
    return model, description
