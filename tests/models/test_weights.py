"""Weights go where they belong, layer by layer and counted, or are refused in one line and change nothing."""

import hashlib
import http.server
import json
import threading

import keras
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group
from keras.src.utils.module_utils import h5py

from brain_tumor import files
from brain_tumor.errors import ModelError
from brain_tumor.models import weights
from brain_tumor.models.architectures import BACKBONES
from brain_tumor.models.backbones import resnet
from brain_tumor.models.classifier import classifier, plain

LAYERS, SCALARS = 40, 11_186_889  # of ResNet18: 20 convolutions and 20 BatchNorms


def scrambled(model, seed):
    """Every variable at random, as after a training: what is copied wrongly then shows."""
    generator = np.random.default_rng(seed)
    for variable in model.variables:
        values = generator.normal(0, 0.05, variable.shape)
        if variable.name in ("gamma", "moving_variance"):
            values = 1 + np.abs(values)
        if "seed" not in variable.path:
            variable.assign(values.astype(np.float32))
    return model


def contents(model):
    """Every variable by its path."""
    return {variable.path: keras.ops.convert_to_numpy(variable) for layer in model.layers for variable in layer.weights}


def encoder_of(model):
    return {path: value for path, value in contents(model).items() if not path.startswith(("head_", "decoder", "final_conv"))}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for path, value in one.items():
        np.testing.assert_array_equal(value, other[path], err_msg=path)


@pytest.fixture(scope="module")
def trained():
    return scrambled(classifier("resnet18", 64), 1)


@pytest.fixture(scope="module")
def target():
    """What weights are loaded into: other weights, at another size."""
    return scrambled(classifier("resnet18", 32), 2)


@pytest.fixture(scope="module")
def written(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "mri4-resnet18-64-unit.weights.h5"
    weights.save_encoder(trained, path, {"normalisation": "unit", "pictures": 7, "layers": "not for the caller to say"})
    return path


@pytest.fixture
def copy(written, tmp_path):
    """The two files where a test may damage them."""
    for path in (written, weights.record_file(written)):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path / written.name


def refusal(model, source, normalisation="unit"):
    """The one line of a refusal that left the network as it was."""
    assign, assigned, last = keras.Variable.assign, [], model.layers[-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Variable, "assign", lambda variable, value: (assigned.append(variable), assign(variable, value)))
        last.set_weights(last.get_weights())
        assert len(assigned) == len(last.weights), "a change would be seen"
        assigned.clear()
        with pytest.raises(ModelError) as found:
            weights.load_encoder(model, str(source), normalisation)
    assert not any(variable is other for variable in assigned for other in model.variables)
    assert "\n" not in str(found.value)
    return str(found.value)


# -------------------------------------------------------------------------------------------------------- our own files


def test_the_record_says_what_the_file_is(written):
    assert sorted(path.name for path in written.parent.iterdir()) == ["mri4-resnet18-64-unit.json", written.name]
    assert weights.read_record(written) == {
        "backbone": "resnet18", "normalisation": "unit", "channels": 3, "size": 64, "input_batchnorm": True,
        "layers": LAYERS, "sha256": files.sha256_file(written), "pictures": 7,
    }  # fmt: skip


@pytest.mark.backend
def test_an_encoder_goes_into_a_classifier_of_another_size(trained, target, written):
    head = {path: value for path, value in contents(target).items() if path.startswith("head_")}
    facts = weights.load_encoder(target, str(written), "unit")
    assert_same(encoder_of(target), encoder_of(trained))
    assert_same({path: contents(target)[path] for path in head}, head)
    assert facts == {
        "source": "file", "file": written.name, "sha256": files.sha256_file(written), "layers": LAYERS, "scalars": SCALARS,
        "expects": "unit", "zero_channels": 0, "folded": False,
    }  # fmt: skip
    assert sum(value.size for value in encoder_of(target).values()) == SCALARS


def test_an_encoder_goes_into_the_unet_and_nowhere_else_in_it(trained, resnet18_unet, written):
    before = resnet18_unet.get_weights()
    decoder = {path: value for path, value in contents(resnet18_unet).items() if path.startswith(("decoder", "final_conv"))}
    facts = weights.load_encoder(resnet18_unet, str(written), "unit")
    after = contents(resnet18_unet)
    resnet18_unet.set_weights(before)
    assert (facts["layers"], facts["scalars"]) == (LAYERS, SCALARS)
    assert_same({path: value for path, value in after.items() if path not in decoder}, encoder_of(trained))
    assert_same({path: after[path] for path in decoder}, decoder)


def test_a_name_finds_its_file_under_the_home(trained, target, written, home):
    path = weights.own_file("mri4", "resnet18", 64, "unit")
    weights.folder().mkdir(parents=True)
    for source, there in ((written, path), (weights.record_file(written), weights.record_file(path))):
        there.write_bytes(source.read_bytes())
    scrambled(target, 3)
    facts = weights.load_encoder(target, "mri4", "unit")
    assert (facts["source"], facts["file"]) == ("mri4", "mri4-resnet18-64-unit.weights.h5")
    assert_same(encoder_of(target), encoder_of(trained))
    said = refusal(target, "mri4", "volume")
    assert "'volume'" in said and path.name in said
    assert "brain-tumor pretrain --data FOLDER --name mri4 --backbone resnet18 --normalisation volume" in said


def test_a_name_without_files_says_how_to_make_them(target, home):
    assert "brain-tumor pretrain" in refusal(target, "mri4")
    said = refusal(target, "imagnet")
    assert "no weights 'imagnet'" in said and "none, imagenet, mri4" in said


@settings(deadline=None)  # a busy disk takes its time
@given(sizes=st.sets(st.sampled_from([64, 96, 128, 160, 224, 256]), min_size=1), wanted=st.sampled_from([32, 112, 128, 192, 512]))
def test_the_nearest_size_is_taken_and_of_two_the_smaller(tmp_path_factory, sizes, wanted):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAIN_TUMOR_HOME", str(tmp_path_factory.mktemp("home")))
        weights.folder().mkdir(parents=True)
        for size in sizes:
            weights.own_file("mri4", "resnet18", size, "unit").touch()
        for other in (
            ("mri4", "resnet18", wanted, "raw"),
            ("mri4", "resnet50", wanted, "unit"),
            ("mri44", "resnet18", wanted, "unit"),
        ):
            weights.own_file(*other).touch()
        found = weights.source_file("mri4", "resnet18", "unit", wanted)
        best = min(sorted(sizes), key=lambda size: abs(size - wanted))
        assert found == weights.own_file("mri4", "resnet18", best, "unit")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"backbone": "resnet50"}, ["weights of resnet50, expected resnet18"]),
        ({"normalisation": "raw"}, ["expect inputs normalised as 'raw', not 'unit'", "first BatchNorm"]),
        ({"channels": 1}, ["does not fit resnet18 with 1 input channels, first at layer bn_data"]),
        ({"input_batchnorm": False}, ["mri4-resnet18-64-unit.weights.h5: does not fit resnet18"]),
        ({"sha256": "0" * 64}, ["expected 000000000000"]),
        ({"size": "big"}, ["size is 'big'"]),
        ({"channels": -3}, ["channels is -3"]),
    ],
)
def test_a_file_of_something_else_is_refused_by_name(target, copy, changes, words):
    record = weights.record_file(copy)
    record.write_text(json.dumps(json.loads(record.read_text()) | changes))
    said = refusal(target, copy)
    assert all(word in said for word in [*words, copy.name.split(".")[0]])


def test_a_damaged_file_is_refused(target, copy):
    copy.write_bytes(copy.read_bytes()[:-1000])
    assert f"{copy}: SHA-256 " in refusal(target, copy)


@pytest.mark.parametrize("content", [b"", b"no weights", "cut"])
def test_what_is_no_hdf5_file_is_refused_even_where_its_record_fits(target, copy, content):
    copy.write_bytes(copy.read_bytes()[:20000] if content == "cut" else content)
    record = weights.record_file(copy)
    record.write_text(json.dumps(json.loads(record.read_text()) | {"sha256": files.sha256_file(copy)}))
    assert f"{copy}: no HDF5 file, or part of one" in refusal(target, copy)


def test_weights_that_are_no_numbers_are_refused(trained, target, tmp_path):
    other = keras.models.clone_model(trained)
    other.set_weights([np.full_like(value, np.nan) for value in trained.get_weights()])
    path = tmp_path / "odd-resnet18-64-unit.weights.h5"
    weights.save_encoder(other, path, {"normalisation": "unit"})
    assert f"{path}: layer bn_data holds what is no number" in refusal(target, path)


@pytest.mark.parametrize("content", ["", "[]", '{"constructor": "classifier", "arguments": {}, "weights_sha256": ""}'])
def test_a_file_without_an_encoders_record_is_refused(target, copy, content):
    weights.record_file(copy).write_text(content)
    assert "not the record of an encoder's weights" in refusal(target, copy)
    weights.record_file(copy).unlink()
    assert f"{weights.record_file(copy)}: No such file" in refusal(target, copy)
    copy.unlink()
    assert f"{copy}: No such file" in refusal(target, copy)
    assert "not a .weights.h5 file" in refusal(target, "somebody.h5")


def test_random_weights_are_no_file(target, small_resunet):
    assert weights.load_encoder(target, "none", "unit") is None
    assert weights.load_encoder(small_resunet, "none", "unit") is None


def test_a_network_without_a_resnet_is_refused(small_resunet, written, tmp_path):
    assert "'resunet' has no ResNet encoder" in refusal(small_resunet, written)
    assert "'classifier_plain' has no ResNet encoder" in refusal(plain(8), written)
    with pytest.raises(ModelError, match="has no ResNet encoder"):
        weights.save_encoder(small_resunet, tmp_path / "a.weights.h5", {"normalisation": "unit"})
    assert not list(tmp_path.iterdir())


# -------------------------------------------------------------------------------------------- other inputs, other layers


def features(model, images, layer="relu1"):
    return keras.Model(model.input, model.get_layer(layer).output).predict_on_batch(images)


def test_further_channels_change_nothing_at_first(trained, written, tmp_path):
    wide = scrambled(classifier("resnet18", 64, channels=5), 4)
    facts = weights.load_encoder(wide, str(written), "unit")
    assert (facts["zero_channels"], facts["layers"], facts["scalars"]) == (2, LAYERS, SCALARS + 2 * (7 * 7 * 64 + 3))
    images = np.random.default_rng(0).random((2, 64, 64, 5), np.float32)
    np.testing.assert_allclose(features(wide, images), features(trained, images[..., :3]), rtol=1e-4, atol=1e-5)
    first = {variable.name: keras.ops.convert_to_numpy(variable)[3:] for variable in wide.get_layer("bn_data").weights}
    assert {name: value.tolist() for name, value in first.items()} == {
        "beta": [0, 0], "moving_mean": [0, 0], "moving_variance": [1, 1],
    }  # fmt: skip
    path = tmp_path / "five.weights.h5"
    weights.save_encoder(wide, path, {"normalisation": "unit"})
    assert "weights of 5 input channels, expected 3 or fewer" in refusal(trained, path)


def test_without_the_inputs_batchnorm_the_first_convolution_takes_it_over(trained, target, written, tmp_path):
    bare = scrambled(classifier("resnet18", 64, input_batchnorm=False), 5)
    facts = weights.load_encoder(bare, str(written), "unit")
    assert (facts["folded"], facts["layers"], facts["scalars"]) == (True, LAYERS - 1, SCALARS - 3 * 3)
    images = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    one, other = (features(model, images, "relu0")[:, 2:-1, 2:-1] for model in (bare, trained))  # what no padding reaches
    assert other.std() > 0.01
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    path = tmp_path / "bare.weights.h5"
    weights.save_encoder(bare, path, {"normalisation": "unit"})
    assert weights.read_record(path)["input_batchnorm"] is False
    assert "39 layers, expected 40; bn_data" in refusal(target, path)
    again = scrambled(bare, 6)
    facts = weights.load_encoder(again, str(path), "unit")
    assert (facts["folded"], facts["layers"]) == (False, LAYERS - 1)


# -------------------------------------------------------------------------------------------------------------- ImageNet


@pytest.fixture(scope="module")
def legacy(tmp_path_factory):
    """A ResNet18 without its top, and the bytes of its file as Keras 2 laid it out."""
    network = scrambled(resnet("resnet18", 32), 7)
    path = tmp_path_factory.mktemp("legacy") / "weights.h5"
    with h5py.File(path, "w") as stream:
        save_weights_to_hdf5_group(stream, network)
    return network, path.read_bytes()


@pytest.fixture
def server(legacy, home, monkeypatch):
    """The table points at a server of this machine that holds the file; ``server.asked`` counts requests."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked += 1
            self.send_response(200)
            if self.server.announces:
                self.send_header("Content-Length", str(len(legacy[1])))
            self.end_headers()
            self.wfile.write(self.server.content)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked, running.content, running.announces = 0, legacy[1], True
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        entry = next(e for e in weights.WEIGHTS_COLLECTION if e["name"] == "resnet18_imagenet_1000_no_top.h5")
        monkeypatch.setitem(entry, "url", f"http://127.0.0.1:{running.server_port}/{entry['name']}")
        monkeypatch.setitem(entry, "md5", hashlib.md5(legacy[1], usedforsecurity=False).hexdigest())
        yield running
        running.shutdown()
        thread.join()


def test_imagenet_weights_are_downloaded_once_and_read(legacy, target, server):
    facts = weights.load_encoder(target, "imagenet", "raw")
    assert_same(encoder_of(target), contents(legacy[0]))
    cached = weights.folder() / "resnet18_imagenet_1000_no_top.h5"
    assert facts == {
        "source": "imagenet", "file": cached.name, "sha256": hashlib.sha256(legacy[1]).hexdigest(), "layers": LAYERS,
        "scalars": SCALARS, "expects": "raw", "zero_channels": 0, "folded": False,
    }  # fmt: skip
    assert weights.load_encoder(target, "imagenet", "raw") == facts
    assert server.asked == 1
    cached.write_bytes(b"something else")
    assert f"{cached}: MD5 " in refusal(target, "imagenet", "raw")


def test_another_range_is_refused_before_anything_is_downloaded(target, server):
    assert "expect inputs normalised as 'raw', not 'imagenet'" in refusal(target, "imagenet", "imagenet")
    assert server.asked == 0
    assert not weights.folder().exists()


@pytest.mark.parametrize(("announces", "told"), [(True, "not downloaded ("), (False, "not downloaded (MD5 hash")])
def test_a_download_cut_short_leaves_nothing(target, server, announces, told):
    server.content, server.announces = server.content[:-1], announces
    assert f"resnet18_imagenet_1000_no_top.h5: {told}" in refusal(target, "imagenet", "raw")
    assert list(weights.folder().iterdir()) == []


def test_offline_the_alternatives_are_named(target, server):
    server.shutdown()
    server.server_close()
    said = refusal(target, "imagenet", "raw")
    path = weights.folder() / "resnet18_imagenet_1000_no_top.h5"
    assert f"put the file at {path} by hand (MD5 " in said
    assert "'mri4', made by `brain-tumor pretrain`" in said and "'none'" in said


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_has_its_true_address(backbone, home, monkeypatch):
    """No download: a file that lies there under the published name is held against the published checksum."""
    published = {"resnet18": "318e3ac0", "resnet34": "8caaa0ad", "resnet50": "db3b2171"}[backbone]
    weights.folder().mkdir(parents=True)
    (weights.folder() / f"{backbone}_imagenet_1000_no_top.h5").write_bytes(b"")
    with pytest.raises(ModelError, match=f"expected {published}"):
        weights.imagenet_file(backbone)
