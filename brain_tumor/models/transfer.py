"""Weights of a whole network, encoder and decoder, that another network of the same build begins with.

They lie in an NPZ file, an array a variable, named by layer and variable; its record, a JSON file beside it, says whose images
they were learnt from. A network that is tested on one of those patients refuses them. A network of volumes takes the weights of
the network of slices that it is made of (:mod:`brain_tumor.models.inflate`).
"""

from collections.abc import Collection
from pathlib import Path

import keras
import numpy as np

from brain_tumor import files
from brain_tumor.errors import FileError, ModelError
from brain_tumor.models import inflate
from brain_tumor.models.architectures import HEAD
from brain_tumor.paths import readable

ENDING = ".npz"
RECORD = ("normalisation", "patients", "sha256")


def record_file(path: Path) -> Path:
    """The record beside a file of weights."""
    return path.with_suffix(".json")


def save(model: keras.Model, path: Path, record: dict, head: bool = False) -> None:
    """Write the weights of all layers but the head, then their record.

    Args:
        head: write the head too, which has learnt.
        record: JSON values to keep with them: ``normalisation`` (what the inputs were) and ``patients`` (whose images).
    """
    with files.atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **{name: keras.ops.convert_to_numpy(variable) for name, variable in _variables(model, head).items()})
    files.write_json(record_file(path), record | {"sha256": files.sha256_file(path)})


def load(model: keras.Model, path: Path, normalisation: str, held_out: Collection[str] = ()) -> dict:
    """Give a network the weights of a file, in place; its head is left as it is where the file has none.

    Args:
        normalisation: what the network's inputs are.
        held_out: the cases that the network is to be validated or tested on.

    Returns:
        What :func:`brain_tumor.models.weights.load_encoder` returns.

    Raises:
        ModelError: no such file, a damaged one, of another network or normalisation, or learnt from held-out patients.
    """
    try:
        record = files.read_json(record_file(path), RECORD)
        digest = files.sha256_file(path)
    except OSError as error:
        raise ModelError(f"{readable(error.filename)}: {error.strerror}; expected weights and their record") from None
    except FileError as error:
        raise ModelError(f"{readable(record_file(path))}: not the record of weights ({error.reason})") from None
    if digest != record["sha256"]:
        raise ModelError(f"{readable(path)}: SHA-256 {digest[:12]}, expected {record['sha256'][:12]}; the file is another's")
    if record["normalisation"] != normalisation:
        raise ModelError(f"{readable(path)}: expects inputs normalised as {record['normalisation']!r}, not {normalisation!r}")
    if seen := sorted(set(record["patients"]) & set(held_out)):
        raise ModelError(f"{readable(path)}: learnt from images of {len(seen)} held-out patients, such as {seen[0]}")
    with np.load(path, allow_pickle=False) as arrays:
        shapes = {name: arrays[name].shape for name in arrays.files}
        variables = _variables(model, head=any(name.startswith(f"{HEAD}/") for name in shapes))
        # A network of volumes that normalises by groups has no moving statistics.
        odd = sorted(name for name in shapes.keys() ^ variables.keys() if not (name in shapes and "moving_" in name))
        odd += [name for name, variable in variables.items() if name in shapes and not _fits(shapes[name], tuple(variable.shape))]
        if odd:
            raise ModelError(f"{readable(path)}: of another network than {model.name!r}; {odd[0]} differs")
        for name, variable in variables.items():
            variable.assign(inflate.fitted(arrays[name], tuple(variable.shape)))
    facts = {"source": "file", "file": path.name, "sha256": digest, "layers": len({name.split("/")[0] for name in shapes})}
    return facts | {
        "scalars": int(sum(np.prod(shape) for shape in shapes.values())),
        "zero_channels": 0,
        "expects": normalisation,
        "folded": False,
    }


def _fits(flat: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether a weight is that of the network, or of the network of slices that one of volumes is made of."""
    return (
        shape == flat
        or (len(shape) == 5 and shape[1:-1] == flat[:-1] and shape[-1] % flat[-1] == 0)
        or (len(flat) == 1 and shape[-1] % flat[0] == 0 and len(shape) == 1)
    )


def _variables(model: keras.Model, head: bool = False) -> dict[str, keras.Variable]:
    """Every weight of a network by layer and name, but for those of coarser heads and, unless asked for, of the head."""
    return {
        f"{layer.name}/{variable.name}": variable
        for layer in model.layers
        if (head or layer.name != HEAD) and not layer.name.startswith(("deep", "reconstructed"))
        for variable in layer.weights
    }
