"""Frozen means frozen: weights and BatchNorm statistics, bit for bit, through a real training step."""

from collections import Counter

import keras
import numpy as np
import pytest

from brain_tumor.errors import ModelError
from brain_tumor.models import freezing, unet
from brain_tumor.models.classifier import classifier, plain


def trainable_scalars(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def snapshot(model):
    """Every variable's value by its path: weights and statistics."""
    return {variable.path: keras.ops.convert_to_numpy(variable) for variable in model.variables}


def changed(before, model):
    return {path for path, value in snapshot(model).items() if not np.array_equal(before[path], value)}


def fit_one_step(model, size):
    generator = np.random.default_rng(0)
    images = generator.random((4, size, size, 3), dtype=np.float32)
    masks = (generator.random((4, *model.output_shape[1:])) < 0.3).astype(np.float32)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss, jit_compile=keras.backend.backend() == "jax")
    model.fit(images, masks, batch_size=4, epochs=1, verbose=0)


def in_part(path, part):
    layer = path.split("/")[0]
    return {
        "all": True,
        "stage4": layer.startswith(("bottleneck", "decoder", "final_conv")),
        "decoder": layer.startswith(("decoder", "final_conv")),
        "head": layer == "final_conv",
    }[part]


@pytest.mark.backend
@pytest.mark.parametrize("part", ["all", "stage4", "decoder", "head"])
def test_a_step_changes_the_part_and_nothing_else(small_resunet, part):
    count = freezing.train_only(small_resunet, part)
    before = snapshot(small_resunet)
    fit_one_step(small_resunet, 16)
    moved = changed(before, small_resunet)
    # A convolution's bias in front of nothing, or a dead unit, may stay; what must not happen is a change outside the part.
    assert all(in_part(path, part) for path in moved)
    inside = [path for path in before if in_part(path, part)]
    assert len(moved) > 0.9 * len(inside)
    assert count == trainable_scalars(small_resunet)
    statistics = {path for path in moved if "moving" in path}
    assert bool(statistics) == (part != "head"), "BatchNorm statistics move where their layer trains"


@pytest.mark.long
@pytest.mark.backend
def test_a_frozen_resnet_encoder_stays_bit_for_bit(resnet18_unet):
    freezing.train_only(resnet18_unet, "decoder")
    before, weights = snapshot(resnet18_unet), resnet18_unet.get_weights()
    fit_one_step(resnet18_unet, 32)
    moved = changed(before, resnet18_unet)
    resnet18_unet.set_weights(weights)
    freezing.train_only(resnet18_unet, "all")
    assert moved
    assert all(path.startswith(("decoder", "final_conv")) for path in moved)
    assert any("moving_mean" in path for path in moved)
    encoder_statistics = [path for path in before if "moving" in path and not path.startswith("decoder")]
    assert len(encoder_statistics) > 30


def depths_of(model):
    """How many layers with weights lie at each depth, from the input to the output."""
    found = [freezing.depth(layer.name) for layer in model.layers if layer.weights]
    assert found == sorted(found), "a layer lies deeper than one that its output goes to"
    return list(Counter(found).values())


@pytest.fixture(scope="module")
def resnet18():
    return classifier("resnet18", 32)


def test_from_a_stage_up_trains_and_what_lies_below_stays_bit_for_bit(resnet18):
    freezing.train_only(resnet18, "stage3")
    before = snapshot(resnet18)
    fit_one_step(resnet18, 32)
    moved = changed(before, resnet18)
    above = {path for path in before if path.startswith(("stage3_", "stage4_", "bn1/", "head_"))}
    assert moved - above <= {path for path in before if "seed_generator" in path}
    assert len(moved & above) > 0.9 * len(above)
    frozen_statistics = [path for path in before if "moving" in path and path not in above]
    assert len(frozen_statistics) == 2 * (2 + 4 + 4), "mean and variance of the stem's two and of four a stage"
    assert any("moving" in path for path in moved)


def test_every_layer_has_its_depth(resnet18, resnet18_unet):
    # A stage is two units of two BatchNorms and two convolutions, and one shortcut; the fourth has the closing BatchNorm too.
    encoder = [3, 9, 9, 9, 10]
    assert depths_of(resnet18) == [*encoder, 3]
    assert depths_of(resnet18_unet) == [*encoder, 5 * 4 + 1]
    block = 6  # of a ResUNet: two convolutions, a shortcut, and a BatchNorm of each
    assert depths_of(unet.resunet(16, filters=(2, 2, 2, 2, 2))) == [block] * 5 + [4 * block + 1]
    assert depths_of(plain(8)) == [5]
    assert freezing.depth("encoder9_conv1") == 4


def test_every_variable_of_a_network_tells_its_layer(resnet18):
    """Rates by depth go by the first part of a variable's path."""
    freezing.train_only(resnet18, "all")
    layers = [variable.path.split("/")[0] for variable in resnet18.trainable_variables]
    assert set(layers) <= {layer.name for layer in resnet18.layers}
    assert {freezing.depth(name) for name in layers} == set(range(freezing.DEPTHS))


def test_stages_thaw_one_after_another(resnet18):
    counts = [freezing.train_only(resnet18, part) for part in ("head", "stage4", "stage3", "stage2", "stage1", "all")]
    stem = 3 + 7 * 7 * 3 * 64 + 2 * 64  # beta of the input's BatchNorm, the first convolution, gamma and beta
    assert counts[-1] - counts[-2] == stem
    assert counts == sorted(set(counts))


def test_counts_of_the_unet(resnet18_unet):
    found = {part: freezing.train_only(resnet18_unet, part) for part in ("head", "decoder", "all")}
    # Each stage of the decoder: a 3x3 convolution of what comes up and the skip, one more, and gamma and beta of each.
    stages = [(512 + 256, 256), (256 + 128, 128), (128 + 64, 64), (64 + 64, 32), (32, 16)]
    head = 9 * 16 + 1
    assert found["head"] == head
    assert found["decoder"] == head + sum(9 * (into * out + out * out) + 4 * out for into, out in stages)
    statistics = sum(int(np.prod(variable.shape)) for variable in resnet18_unet.variables if "moving" in variable.path)
    assert found["all"] == resnet18_unet.count_params() - statistics


@pytest.mark.backend
def test_thawing_restores_everything(small_resunet):
    everything = trainable_scalars(small_resunet)
    freezing.train_only(small_resunet, "head")
    assert freezing.train_only(small_resunet, "all") == everything


def test_unknown_part_is_refused(small_resunet):
    with pytest.raises(ModelError, match="unknown part 'encoder' of the network, expected one of all, decoder, head"):
        freezing.train_only(small_resunet, "encoder")


def test_a_stage_that_the_network_lacks_is_refused_and_nothing_changes(small_resunet):
    """Or "from stage 2 up" would quietly mean all of a network that has no stages."""
    freezing.train_only(small_resunet, "head")
    before = [layer.trainable for layer in small_resunet.layers]
    for network, part in ((small_resunet, "stage2"), (plain(8), "stage1"), (plain(8), "decoder")):
        with pytest.raises(ModelError, match=f"has no layer of the part '{part}'"):
            freezing.train_only(network, part)
    assert [layer.trainable for layer in small_resunet.layers] == before


def test_a_network_without_the_part_is_refused():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, name="only")])
    with pytest.raises(ModelError, match="has no layer of the part 'head'"):
        freezing.train_only(model, "head")
