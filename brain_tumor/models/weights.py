"""Where an encoder's weights come from: nowhere, ImageNet, our own pretraining, or a file; checked, copied by name, counted.

A source declares which input it was trained on, in the words of :data:`brain_tumor.data.intensity.NORMALISATIONS`, and is
refused any other: the first BatchNorm holds that range's mean and deviation, so a frozen encoder would see nonsense.
``.weights.h5`` files know layers by class and position only, so a file is read into the ResNet it was written from, and goes on
from there in memory by layer name: classifiers and U-Nets name their encoder's layers alike.

ImageNet weights are those of `image-classifiers` 1.0.0 (converted from MXNet's model zoo), which expect RGB from 0 to 255.
"""

import re
import warnings
from pathlib import Path

import keras
import numpy as np
from classification_models.weights import WEIGHTS_COLLECTION

from brain_tumor import files
from brain_tumor.errors import FileError, ModelError
from brain_tumor.models import freezing, settings
from brain_tumor.models.architectures import BACKBONES, RESNET_STRIDE
from brain_tumor.models.backbones import INPUT_BATCHNORM, resnet
from brain_tumor.models.download import download
from brain_tumor.paths import data_folder, readable

SOURCES = ("none", "imagenet", "mri4")  # or the path of a file that `save_encoder` wrote
IMAGENET_RANGE = "raw"
IMAGENET_CHANNELS = 3
INPUT_EPSILON = 2e-5  # of the first BatchNorm, as `image-classifiers` builds it
ENDING = ".weights.h5"
RECORD = {
    "backbone": str, "normalisation": str, "channels": int, "size": int, "input_batchnorm": bool, "layers": int, "sha256": str,
}  # fmt: skip
Values = dict[str, dict[str, np.ndarray]]  # of every variable, by layer and by its own name


def folder() -> Path:
    """Where downloaded and pretrained weights lie."""
    return data_folder() / "weights"


def own_file(name: str, backbone: str, size: int, normalisation: str) -> Path:
    """Where pretraining called ``name`` (``mri4``) leaves an encoder."""
    return folder() / f"{name}-{backbone}-{size}-{normalisation}{ENDING}"


def record_file(path: Path) -> Path:
    """The record beside a weights file: the same name, ending in ``.json``."""
    return path.with_name(path.name.removesuffix(ENDING) + ".json")


def source_file(name: str, backbone: str, normalisation: str, size: int) -> Path:
    """The file of ``name`` for this backbone and normalisation whose training size lies nearest to ``size`` (ties: smaller).

    Raises:
        ModelError: there is none.
    """
    pattern = re.compile(rf"{re.escape(name)}-{re.escape(backbone)}-(\d+)-(\w+){re.escape(ENDING)}")
    here = sorted(folder().iterdir()) if folder().is_dir() else []
    known = [(int(match[1]), match[2], path) for path in here if (match := pattern.fullmatch(path.name))]
    fitting = [(abs(trained - size), trained, path) for trained, range_, path in known if range_ == normalisation]
    if not fitting:
        others = f", only {', '.join(path.name for _, _, path in known)}" if known else ""
        raise ModelError(
            f"{readable(folder())}: no weights {name!r} of {backbone} for {normalisation!r} inputs{others}; make them with "
            f"`{pretrain_command(name, backbone, normalisation)}`, or take other weights: {', '.join(SOURCES)}, or the path of a "
            f"{ENDING} file"
        )
    return min(fitting)[2]


def pretrain_command(name: str, backbone: str, normalisation: str) -> str:
    """What makes the weights of ``name``."""
    return f"brain-tumor pretrain --data FOLDER --name {name} --backbone {backbone} --normalisation {normalisation}"


def imagenet_file(backbone: str) -> Path:
    """The ImageNet weights of a ResNet without its top, downloaded at their first use.

    Raises:
        ModelError: the server cannot be reached or sent something else, or the file that lies there is another.
    """
    entry = next(e for e in WEIGHTS_COLLECTION if (e["model"], e["dataset"], e["include_top"]) == (backbone, "imagenet", False))
    path, expected = folder() / entry["name"], entry["md5"]
    if not path.exists():
        try:
            download(entry["url"], path, f"md5:{expected}")
        except ModelError as error:
            raise ModelError(
                f"{error}; put the file at {readable(path)} by hand (MD5 {expected}), "
                "or take 'mri4', made by `brain-tumor pretrain`, or 'none'"
            ) from error
    elif (digest := files.hash_file(path, "md5")) != expected:
        raise ModelError(f"{readable(path)}: MD5 {digest}, expected {expected}; remove it, and it is downloaded anew")
    return path


@settings.fixed()
def save_encoder(model: keras.Model, path: Path, record: dict) -> None:
    """Write the encoder of a classifier or U-Net, then its record beside it.

    Args:
        model: a ResNet classifier or U-Net of ours.
        path: ends in ``.weights.h5``; :func:`own_file` names it so that :func:`source_file` finds it.
        record: JSON values to keep with it; ``normalisation`` (what the inputs were) is needed, the other names of
            :data:`RECORD` are filled in.

    Raises:
        ModelError: a network without a ResNet encoder.
    """
    backbone, normalisation = backbone_of(model), record["normalisation"]
    channels, input_batchnorm = model.input_shape[-1], bool(model.get_layer(INPUT_BATCHNORM).weights)
    encoder = resnet(backbone, RESNET_STRIDE, channels, input_batchnorm)  # convolutions have the same weights at any size
    values = {name: _values(layer) for name, layer in _encoder_layers(model).items()}
    _assign(encoder, values, path)
    with files.atomic_path(path) as temporary:
        encoder.save_weights(temporary)
        digest = files.sha256_file(temporary)
    facts = {"backbone": backbone, "normalisation": normalisation, "channels": channels, "size": model.input_shape[1]}
    counted = {"input_batchnorm": input_batchnorm, "layers": len(values), "sha256": digest}
    files.write_json(record_file(path), {**record, **facts, **counted})


def read_record(path: Path) -> dict:
    """The record of a file that :func:`save_encoder` wrote, after comparing the file with its hash.

    Raises:
        ModelError: no such file, no record of it, or not the file that was recorded.
    """
    path = Path(path)
    if not path.name.endswith(ENDING):
        raise ModelError(f"{readable(path)}: not a {ENDING} file; weights are one of {', '.join(SOURCES)}, or such a file")
    try:
        digest = files.sha256_file(path)
        record = files.read_json(record_file(path), RECORD)
        wrong = [name for name, kind in RECORD.items() if not isinstance(record[name], kind)]
        wrong += [name for name in ("channels", "size", "layers") if name not in wrong and record[name] < 1]
    except OSError as error:
        raise ModelError(f"{readable(error.filename)}: {error.strerror}; expected weights and their record") from None
    except FileError as error:
        raise ModelError(
            f"{readable(record_file(path))}: not the record of an encoder's weights ({error.reason}); copy it again, or remove "
            "it and the weights, and make them anew with `brain-tumor pretrain`"
        ) from None
    if wrong:
        raise ModelError(f"{readable(record_file(path))}: {wrong[0]} is {record[wrong[0]]!r}, which no encoder's record says")
    if digest != record["sha256"]:
        raise ModelError(
            f"{readable(path)}: SHA-256 {digest[:12]}, expected {record['sha256'][:12]}; the file is damaged or another's"
        )
    return record


@settings.fixed()
def load_encoder(model: keras.Model, source: str, normalisation: str) -> dict | None:
    """Give a classifier's or U-Net's encoder the weights of ``source``, in place; the rest of the network is left as it is.

    Input channels beyond those of the source begin with zero weights in the first convolution (and statistics 0 and 1), so that
    at first they change nothing, as in fastai (``fastai/vision/learner.py``). Fewer channels are refused: fastai then sums the
    first kernel over its channels, which would not fit the statistics of the BatchNorm before it. One grey sequence given three
    times (channels ``flair``) is what our own pretraining shows an encoder, and fits exactly.

    In a network without the input's BatchNorm, the first convolution and its BatchNorm take over what that layer did with the
    statistics of the source, exact but for the 3 pixels at the border, which now are padded with zeros of the input's own range.

    Args:
        model: a ResNet classifier or U-Net of ours, of any precision.
        source: a name of :data:`SOURCES`, or the path of a file that :func:`save_encoder` wrote.
        normalisation: what the network's inputs are.

    Returns:
        None for ``none``, else what was done: ``source`` (``file`` for a path), ``file`` (its name), ``sha256``, ``layers`` and
        ``scalars`` that were set, ``expects`` (its normalisation), ``zero_channels``, ``folded`` (True where the input's
        BatchNorm was taken over as above).

    Raises:
        ModelError: the network has no ResNet encoder; the source is not there, is damaged, is of another backbone, of another
            normalisation, of more channels, or its layers are not exactly those of the encoder. The network is then unchanged.
    """
    if source == "none":
        return None
    backbone = backbone_of(model)
    named = "/" not in source and not source.endswith(".h5")
    if source == "imagenet":
        _check_range(source, IMAGENET_RANGE, normalisation)  # before anything is downloaded
        path = imagenet_file(backbone)
        channels, input_batchnorm, digest = IMAGENET_CHANNELS, True, files.sha256_file(path)
    else:
        path = source_file(source, backbone, normalisation, model.input_shape[1]) if named else Path(source).expanduser()
        record = read_record(path)
        if record["backbone"] != backbone:
            raise ModelError(f"{readable(path)}: weights of {record['backbone']}, expected {backbone}")
        _check_range(readable(path), record["normalisation"], normalisation)
        channels, input_batchnorm, digest = record["channels"], record["input_batchnorm"], record["sha256"]
    values = _read(path, backbone, channels, input_batchnorm)
    extra = _widen(values, model.input_shape[-1], path)
    folded = input_batchnorm and not model.get_layer(INPUT_BATCHNORM).weights
    if folded:
        _fold(values)
    _assign(model, values, path)
    scalars = sum(value.size for variables in values.values() for value in variables.values())
    facts = {"source": source if named else "file", "file": path.name, "sha256": digest}
    counts = {"layers": len(values), "scalars": scalars, "zero_channels": extra}
    return {**facts, **counts, "expects": normalisation, "folded": folded}


def backbone_of(model: keras.Model) -> str:
    """``resnet18`` of ``classifier_resnet18`` or ``unet_resnet18``.

    Raises:
        ModelError: no network of ours with a ResNet encoder.
    """
    kind, _, backbone = model.name.partition("_")
    if kind not in ("classifier", "unet") or backbone not in BACKBONES:
        raise ModelError(f"network {model.name!r} has no ResNet encoder, so its weights can come from 'none' only")
    return backbone


def _check_range(what: str, expected: str, scaling: str) -> None:
    if scaling != expected:
        raise ModelError(
            f"weights {what}: expect inputs normalised as {expected!r}, not {scaling!r} (the statistics of their first BatchNorm "
            f"are of that range): ask for --normalisation {expected}, or for other weights"
        )


def _read(path: Path, backbone: str, channels: int, input_batchnorm: bool) -> Values:
    encoder = resnet(backbone, RESNET_STRIDE, channels, input_batchnorm)
    layer = None
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            encoder.load_weights(path)
            fits = not any(issubclass(warning.category, UserWarning) for warning in seen)  # Keras only warns of what it skipped
        except OSError:
            raise ModelError(f"{readable(path)}: no HDF5 file, or part of one; expected an encoder's weights") from None
        except (ValueError, KeyError) as error:
            # Keras says which layers over many lines, of which the first layer's name is enough for a person.
            fits, layer = False, re.search(r"(?:name=|named |[Ll]ayer ')(\w+)", str(error))
    if not fits:
        where = f", first at layer {layer[1]}" if layer else ""
        raise ModelError(f"{readable(path)}: does not fit {backbone} with {channels} input channels{where}")
    values = {name: _values(layer) for name, layer in _encoder_layers(encoder).items()}
    for name, variables in values.items():
        if not all(np.isfinite(value).all() for value in variables.values()):
            raise ModelError(f"{readable(path)}: layer {name} holds what is no number")
    return values


def _encoder_layers(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """Every layer with weights from the stem to the fourth stage, by name."""
    return {layer.name: layer for layer in model.layers if layer.weights and freezing.depth(layer.name) < freezing.DEPTHS - 1}


def _values(layer: keras.layers.Layer) -> dict[str, np.ndarray]:
    return {variable.name: keras.ops.convert_to_numpy(variable) for variable in layer.weights}


def _widen(values: Values, channels: int, path: Path) -> int:
    """Add input channels that change nothing; how many."""
    extra = channels - values["conv0"]["kernel"].shape[2]
    if extra < 0:
        raise ModelError(
            f"{readable(path)}: weights of {channels - extra} input channels, expected {channels} or fewer: ask for "
            "--channels flair, which gives one sequence three times, or for --weights none"
        )
    values["conv0"]["kernel"] = np.pad(values["conv0"]["kernel"], ((0, 0), (0, 0), (0, extra), (0, 0)))
    for name, value in values.get(INPUT_BATCHNORM, {}).items():
        values[INPUT_BATCHNORM][name] = np.pad(value, (0, extra), constant_values=float(name == "moving_variance"))
    return extra


def _fold(values: Values) -> None:
    """Remove the input's BatchNorm, ``scale * x + shift``: conv0 takes the scale, and bn0 what the shift made of its input."""
    first = values.pop(INPUT_BATCHNORM)
    scale = 1 / np.sqrt(first["moving_variance"] + INPUT_EPSILON)
    shift = first["beta"] - first["moving_mean"] * scale
    values["bn0"]["moving_mean"] = values["bn0"]["moving_mean"] - np.einsum("hwcf,c->f", values["conv0"]["kernel"], shift)
    values["conv0"]["kernel"] = values["conv0"]["kernel"] * scale[:, None]


def _assign(model: keras.Model, values: Values, path: Path) -> None:
    """Set every encoder layer of ``model``, or none of them."""
    layers = _encoder_layers(model)
    if odd := sorted(values.keys() ^ layers.keys()):
        raise ModelError(f"{readable(path)}: {len(values)} layers, expected {len(layers)}; {', '.join(odd[:3])} are in one only")
    pairs = [(name, variable) for name, layer in layers.items() for variable in layer.weights]
    for name, variable in pairs:
        if (shape := values[name][variable.name].shape) != (expected := tuple(variable.shape)):
            raise ModelError(f"{readable(path)}: layer {name} has {variable.name} of shape {shape}, expected {expected}")
    for name, variable in pairs:
        variable.assign(values[name][variable.name])
