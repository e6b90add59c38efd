"""A model on disk: its constructor's name, the arguments, the weights, and their hash. Nothing in a file is ever run.

The network is rebuilt from our code, never from Keras's own model JSON, and weights are checked before they are read.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from brain_tumor import files
from brain_tumor.errors import FileError, ModelError
from brain_tumor.models import classifier, settings, unet, unet3d
from brain_tumor.models.architectures import CLASSIFICATION, SEGMENTATION, VOLUMES

CONSTRUCTORS: dict[str, Callable[..., keras.Model]] = {
    "unet": unet.unet,
    "resunet": unet.resunet,
    "unet3d": unet3d.unet3d,
    "resunet3d": unet3d.resunet3d,
    "classifier": classifier.classifier,
    "plain": classifier.plain,
}
OF_BATCHNORM = ("batchnorm_momentum", "input_batchnorm")
OF_TRAINING = ("deep_supervision",)
DESCRIPTION, WEIGHTS = "model.json", "model.weights.h5"
ANEW = "copy the folder again, or remove it and train the run anew"
OWN = "own"  # the constructor of a network that is not ours
MEMBERS = "members"  # of a folder that holds several models, each in a folder of its own


def describe(architecture: str, **arguments: Any) -> dict:
    """``unet-resnet18``, ``resunet``, ``resnet18``, ``plain`` or ``resunet3d`` as ``{"constructor": ..., "arguments": {...}}``.

    What is said of BatchNorm is left out of the description of ``plain``, which has none: a caller may ask every architecture
    with the same words, and what is written is what was built.

    Raises:
        ModelError: no such architecture.
    """
    if architecture == "plain":
        return {"constructor": "plain", "arguments": {k: v for k, v in arguments.items() if k not in OF_BATCHNORM}}
    if architecture in CLASSIFICATION:
        return {"constructor": "classifier", "arguments": {"backbone": architecture, **arguments}}
    known = (*SEGMENTATION, *CLASSIFICATION, *VOLUMES)
    if architecture not in known:
        raise ModelError(f"unknown model {architecture!r}, expected one of {', '.join(known)}")
    name, _, backbone = architecture.partition("-")
    return {"constructor": name, "arguments": {**({"backbone": backbone} if backbone else {}), **arguments}}


def describe_own(model: keras.Model) -> dict:
    """A caller's own network: its name and the hash of its configuration. Only the caller can build it again."""
    return {"constructor": OWN, "arguments": {"name": model.name, "sha256": files.sha256_json(model.get_config())}}


def _own(description: dict, model: keras.Model | None, folder: Path) -> keras.Model | None:
    if description.get("constructor") != OWN:
        return None
    if model is None or describe_own(model)["arguments"] != description["arguments"]:
        given = "none was given" if model is None else f"{model.name!r} is another"
        raise ModelError(f"{folder}: holds weights of the own network {description['arguments']['name']!r}; {given}")
    return model


def build(description: dict, number_format: str = "float32") -> keras.Model:
    """Call the named constructor under the given precision.

    Raises:
        ModelError: it takes no such argument, or not this value.
    """
    name, arguments = description["constructor"], description["arguments"]
    try:
        with settings.fixed(number_format):
            return CONSTRUCTORS[name](**arguments)
    except (TypeError, ValueError) as error:
        values = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise ModelError(f"network {name!r} cannot be built with {values}: {str(error).partition(chr(10))[0]}") from error


def for_use(model: keras.Model, description: dict) -> tuple[keras.Model, dict]:
    """A trained network and its description without what only training needs."""
    arguments = {name: value for name, value in description["arguments"].items() if name not in OF_TRAINING}
    if description["constructor"] == OWN or arguments == description["arguments"]:
        return model, description
    return unet.for_use(model), description | {"arguments": arguments}


def save(model: keras.Model, description: dict, folder: Path) -> None:
    """Write ``model.weights.h5``, then ``model.json`` with its hash."""
    with files.atomic_path(folder / WEIGHTS) as temporary:
        model.save_weights(temporary)
        digest = files.sha256_file(temporary)
    files.write_json(folder / DESCRIPTION, {**description, "weights_sha256": digest})


def save_members(models: Sequence[Path], folder: Path) -> None:
    """Copy the models of several folders into one, whose answer is the mean of theirs (:func:`members`)."""
    digests = []
    for number, model in enumerate(models, 1):
        with files.atomic_folder(folder / f"member-{number}") as temporary:
            for name in (WEIGHTS, DESCRIPTION):
                shutil.copyfile(model / name, temporary / name)
        digests.append(read(model)["weights_sha256"])
    first = {name: value for name, value in read(models[0]).items() if name in ("precision", "predictor")}
    described = {"constructor": MEMBERS, "arguments": {"members": len(models)}, "weights_sha256": files.sha256_json(digests)}
    files.write_json(folder / DESCRIPTION, first | described)


def members(folder: Path) -> list[Path]:
    """The folders of the models that answer together; of a folder with one model, none.

    Raises:
        ModelError: a file is missing or damaged, or a member is another's.
    """
    if not (folder / "member-1").is_dir():
        return []
    description = read(folder)
    if description["constructor"] != MEMBERS:
        raise ModelError(f"{folder}: holds members, and {DESCRIPTION} of another model; {ANEW}")
    folders = [folder / f"member-{number}" for number in range(1, description["arguments"]["members"] + 1)]
    digest = files.sha256_json([read(member)["weights_sha256"] for member in folders])
    if digest != description["weights_sha256"]:
        raise ModelError(f"{folder / DESCRIPTION}: holds other members than were saved; {ANEW}")
    return folders


def read(folder: Path) -> dict:
    """The ``model.json`` of a model's folder.

    Raises:
        ModelError: it is missing or damaged.
    """
    try:
        return files.read_json(folder / DESCRIPTION, ("constructor", "arguments", "weights_sha256"))
    except FileNotFoundError as error:
        raise ModelError(f"{error.filename}: no such file; is the run finished?") from None
    except FileError as error:
        raise ModelError(f"{folder / DESCRIPTION}: not a model description ({error.reason}); {ANEW}") from None


def decide(folder: Path, threshold: float) -> None:
    """Change the threshold of a saved model to the one that was chosen on validation."""
    description = read(folder)
    description["predictor"]["threshold"] = threshold
    files.write_json(folder / DESCRIPTION, description)


def load(folder: Path, own: keras.Model | None = None) -> keras.Model:
    """Rebuild the model of a run folder, in the number format that it was trained in.

    Raises:
        ModelError: as of :func:`load_described`.
    """
    return load_described(folder, own)[0]


@settings.fixed()
def load_described(folder: Path, own: keras.Model | None = None) -> tuple[keras.Model, dict]:
    """The model of a run folder, and its description.

    Args:
        own: the caller's network, where the folder holds the weights of one; it is given them.

    Raises:
        ModelError: a file is missing or damaged, describes no network of ours, or its weights are not those that were saved.
    """
    description = read(folder)
    if description["constructor"] == MEMBERS:
        raise ModelError(f"{folder}: holds {description['arguments']['members']} networks that answer together, not one")
    expected = str(description.pop("weights_sha256"))
    try:
        digest = files.sha256_file(folder / WEIGHTS)
    except FileNotFoundError as error:
        raise ModelError(f"{error.filename}: no such file; is the run finished?") from None
    if digest != expected:
        raise ModelError(
            f"{folder / WEIGHTS}: SHA-256 {digest[:12]}, expected {expected[:12]}; the file is damaged or another's: {ANEW}"
        )
    network = _own(description, own, folder)
    try:
        model = network or build(description, description.get("precision", "float32"))
        model.load_weights(folder / WEIGHTS)
    except (KeyError, TypeError, ValueError, AttributeError, ModelError) as error:
        raise ModelError(f"{folder / DESCRIPTION}: describes no network that fits {WEIGHTS}") from error
    return model, description
