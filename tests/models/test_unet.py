"""Shapes, number formats, names, and what is refused."""

import keras
import numpy as np
import pytest

from brain_tumor.errors import ModelError
from brain_tumor.models import decision, precision, saved, unet

# ResNet34 is more of the units of ResNet18.
ARCHITECTURES = ("resunet", "unet-resnet18", pytest.param("unet-resnet34", marks=pytest.mark.long), "unet-resnet50")


def images(n, size, channels=3):
    return np.random.default_rng(0).random((n, size, size, channels), dtype=np.float32)


@pytest.mark.backend
@pytest.mark.parametrize(("size", "channels"), [(16, 3), (32, 1), (48, 4)])
def test_resunet_maps_images_to_logits_of_their_size(size, channels):
    model = unet.resunet(size, channels, filters=(4, 8, 8))
    found = model.predict_on_batch(images(2, size, channels))
    assert found.shape == (2, size, size, 1)
    assert found.dtype == np.float32
    assert found.min() < 0 or found.max() > 1, "no activation after the last convolution"


@pytest.mark.backend
def test_a_halved_resunet_draws_single_pixels_at_full_size():
    """It computes at half the size, but its logits are of the full one, and not of 2 x 2 equal pixels."""
    keras.utils.set_random_seed(0)
    model = unet.resunet(32, filters=(4, 8), halved=True)
    assert model.get_layer("encoder1_add").output.shape[1:] == (16, 16, 4)
    logits = np.asarray(model.predict_on_batch(images(2, 32)))
    assert (logits.shape, logits.dtype) == ((2, 32, 32, 1), np.float32)
    assert len(np.unique(logits[0, 8:10, 8:10])) == 4
    with pytest.raises(ModelError, match="size 18 is not a multiple of 4"):
        unet.resunet(18, filters=(4, 8), halved=True)


@pytest.mark.backend
@pytest.mark.parametrize("halved", [False, True])
def test_deep_supervision_adds_coarser_logits_that_use_needs_not(tmp_path, halved):
    keras.utils.set_random_seed(0)
    description = saved.describe("resunet", size=32, filters=(4, 8, 8, 8), deep_supervision=2, halved=halved)
    network = saved.build(description)
    logits = np.asarray(network.predict_on_batch(images(2, 32)))
    assert logits.shape == (2, 32, 32, 3)
    for level, side in ((1, 2 << halved), (2, 4 << halved)):
        blocks = logits[..., level].reshape(2, 32 // side, side, 32 // side, side)
        assert (blocks.max(axis=(2, 4)) == blocks.min(axis=(2, 4))).all()
        assert len(np.unique(blocks)) > 16
    used, without = saved.for_use(network, description)
    assert without == saved.describe("resunet", size=32, filters=(4, 8, 8, 8), halved=halved)
    saved.save(used, without | {"predictor": {}}, tmp_path)
    loaded = saved.load(tmp_path)
    again, alone = (np.asarray(model.predict_on_batch(images(2, 32))) for model in (loaded, used))
    np.testing.assert_array_equal(again, alone)
    np.testing.assert_allclose(alone[..., 0], logits[..., 0], atol=1e-6)
    assert sum(layer.name.startswith("deep") for layer in loaded.layers) == 0


def test_deep_supervision_has_as_many_levels_as_there_are_between():
    with pytest.raises(ModelError, match="deep_supervision 3, expected 0 to 2"):
        unet.resunet(32, filters=(4, 8, 8, 8), deep_supervision=3)


def test_unet_maps_images_to_logits_of_their_size(resnet18_unet):
    found = resnet18_unet.predict_on_batch(images(2, 32))
    assert found.shape == (2, 32, 32, 1)
    assert found.dtype == np.float32
    assert found.min() < 0 or found.max() > 1, "no activation after the last convolution"


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [("unet-resnet18", {}), pytest.param("resunet", {"filters": (8, 16, 32)}, marks=pytest.mark.backend)],
)
def test_logits_stay_float32_under_bfloat16(architecture, arguments):
    """bfloat16 has 8 bits of fraction: a last layer in it would tie pixels onto some hundred values."""
    keras.utils.set_random_seed(0)
    model = saved.build(saved.describe(architecture, size=64, **arguments), "mixed_bfloat16")
    assert (model.layers[-1].name, model.layers[-1].compute_dtype) == ("final_conv", "float32")
    assert model.layers[-1].activation is keras.activations.linear
    assert sum(layer.compute_dtype == "bfloat16" for layer in model.layers) > 0.9 * len(model.layers)
    assert {variable.dtype for variable in model.variables} == {"float32"}
    found = np.asarray(model.predict_on_batch(images(2, 64)))
    assert found.dtype == np.float32
    assert len(np.unique(found)) > 2000


@pytest.mark.backend
def test_both_formats_are_the_same_network():
    description = saved.describe("resunet", size=16, filters=(4, 8))
    models = []
    for number_format in precision.PRECISIONS:
        keras.utils.set_random_seed(0)
        models.append(saved.build(description, number_format))
    fine, coarse = models
    for one, other in zip(fine.get_weights(), coarse.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    one, other = (decision.probabilities(model.predict_on_batch(images(2, 16))) for model in (coarse, fine))
    np.testing.assert_allclose(one, other, atol=0.05)  # a bfloat16 carries two to three digits


@pytest.mark.parametrize("size", [0, 8, 100, 127])
def test_resunet_refuses_sizes_it_cannot_halve(size):
    with pytest.raises(ModelError, match=f"size {size} is not a multiple of 16"):
        unet.resunet(size)


@pytest.mark.parametrize("size", [0, 16, 48, 100])
def test_unet_refuses_sizes_it_cannot_halve(size):
    with pytest.raises(ModelError, match=f"size {size} is not a multiple of 32"):
        unet.unet("resnet18", size)


def test_unknown_backbone_is_refused():
    with pytest.raises(ModelError, match="unknown backbone 'vgg16', expected one of resnet18, resnet34, resnet50"):
        unet.unet("vgg16", 32)


@pytest.mark.parametrize("architecture", ["", "unet", "unet-", "resunet-resnet18", "segnet"])
def test_unknown_architecture_is_refused(architecture):
    with pytest.raises(ModelError, match="unknown model .*, expected one of unet-resnet18, .*, resunet, resnet18"):
        saved.describe(architecture, size=32)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_layers_with_weights_have_the_same_unique_names_in_every_build(architecture):
    """Names are how weights move between networks, so none may come from Keras's counter."""
    builds = []
    for _ in range(2):
        model = saved.build(saved.describe(architecture, size=32))
        names = [layer.name for layer in model.layers]
        assert len(set(names)) == len(names)
        builds.append([layer.name for layer in model.layers if layer.weights])
    assert builds[0] == builds[1]


def test_every_layer_of_our_own_network_is_named():
    names = [[layer.name for layer in unet.resunet(16, filters=(4, 8)).layers] for _ in range(2)]
    assert names[0] == names[1]
    assert names[0][0] == "image"
    assert names[0][-1] == "final_conv"
    assert {name.rstrip("0123456789").split("_")[0].rstrip("0123456789") for name in names[0]} == {
        "image", "encoder", "bottleneck", "decoder", "final",
    }  # fmt: skip


@pytest.mark.parametrize("architecture", ["unet-resnet18", "resunet"])
def test_batchnorm_momentum_reaches_every_layer(architecture):
    model = saved.build(saved.describe(architecture, size=32, batchnorm_momentum=0.7))
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) > 15
    assert {layer.momentum for layer in norms} == {0.7}


@pytest.mark.parametrize(("architecture", "millions"), [
    ("resunet", 2.1), ("unet-resnet18", 14.3), pytest.param("unet-resnet34", 24.5, marks=pytest.mark.long),
])  # fmt: skip
def test_size_of_the_networks(architecture, millions):
    model = saved.build(saved.describe(architecture, size=32))
    assert model.count_params() / 1e6 == pytest.approx(millions, abs=0.1)


@pytest.mark.backend
def test_skips_carry_detail():
    """A single bright pixel changes its neighbourhood only through the skips when the way down is cut."""
    keras.utils.set_random_seed(0)
    model = unet.resunet(16, filters=(4, 8))
    for layer in model.layers:
        if layer.name.startswith("bottleneck") and layer.weights:
            layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    dark = images(1, 16)
    bright = dark.copy()
    bright[0, 8, 8] += 5
    change = np.abs(model.predict_on_batch(bright) - model.predict_on_batch(dark))[0, ..., 0]
    assert change[8, 8] > 0
    assert change[0, 0] == 0


@pytest.mark.parametrize("deep_supervision", [0, 2])
def test_a_slice_head_is_the_last_channel_and_stays_in_use(tmp_path, deep_supervision):
    description = saved.describe("resunet", size=32, filters=(4, 8, 8, 8), slice_head=True, deep_supervision=deep_supervision)
    network = saved.build(description)
    images = np.random.default_rng(0).random((3, 32, 32, 3), np.float32)
    logits = np.asarray(network(images))
    assert logits.shape == (3, 32, 32, 2 + deep_supervision) and unet.has_slice_head(network)
    assert (logits[..., -1] == logits[:, :1, :1, -1]).all() and len(np.unique(logits[:, 0, 0, -1])) == 3
    for_use, shorter = saved.for_use(network, description)
    answer = np.asarray(for_use(images))
    assert answer.shape == (3, 32, 32, 2)
    np.testing.assert_allclose(answer, logits[..., [0, -1]], atol=1e-6)
    saved.save(for_use, shorter, tmp_path)
    np.testing.assert_allclose(np.asarray(saved.load(tmp_path)(images)), answer, atol=1e-6)
    assert not unet.has_slice_head(unet.resunet(32, filters=(4, 8)))
