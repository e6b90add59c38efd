"""Maps point at what the answer rests on, in a network of which that is known; and a network that knows nothing says nothing."""

import keras
import numpy as np
import pytest

from brain_tumor.inference import explain
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.predictor import Predictor
from brain_tumor.models import unet

pytestmark = pytest.mark.backend

SIZE = 32


def spots():
    """Three slices: dark, with a bright spot in FLAIR at a known place, and with one in another sequence."""
    images = np.full((3, SIZE, SIZE, 3), 40, np.uint8)
    images[1, 20:26, 4:10, 1] = 255
    images[2, 20:26, 4:10, 0] = 255
    return images


def exam_of(images):
    return Exam("A", images, np.arange(1, len(images) + 1), np.arange(len(images)))


def of_flair(mask_head):
    """A network that sees FLAIR alone: a pixel's logit, or a slice's, is what is bright in it."""
    images = keras.Input((SIZE, SIZE, 3), name="image")
    x = keras.layers.Conv2D(2, 1, activation="relu", name="encoder")(images)
    x = keras.layers.AveragePooling2D(2, name="pool")(x)
    x = keras.layers.Conv2D(3, 1, activation="relu", name="bottleneck")(x)
    if mask_head:
        x = keras.layers.UpSampling2D(name="up")(x)
        logits = keras.layers.Conv2D(1, 1, name="final_conv")(x)
    else:
        logits = keras.layers.Dense(1, name="head")(keras.layers.GlobalAveragePooling2D(name="mean")(x))
    network = keras.Model(images, logits, name="of_flair")
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[0, 0, 1] = 1
    network.get_layer("encoder").set_weights([kernel, np.full(2, -0.3, np.float32)])
    network.get_layer("bottleneck").set_weights([np.ones((1, 1, 2, 3), np.float32), np.zeros(3, np.float32)])
    last = network.layers[-1]
    last.set_weights([np.full(last.kernel.shape, 3, np.float32), np.array([-2], np.float32)])
    return network


@pytest.mark.parametrize("mask_head", [True, False], ids=["masks", "slices"])
@pytest.mark.parametrize("method", explain.METHODS)
def test_a_map_points_at_what_counts(mask_head, method):
    exam = exam_of(spots())
    explanation = explain.explain(Predictor(of_flair(mask_head), "unit", threshold=0.9), exam, method)
    maps = explanation.maps
    assert (maps.shape, maps.dtype, explanation.slice_numbers.tolist()) == ((3, SIZE, SIZE), np.float32, [1, 2, 3])
    assert maps.min() >= 0 and maps.max() <= 1
    row, column = np.unravel_index(maps[1].argmax(), (SIZE, SIZE))
    assert 18 <= row < 28 and 2 <= column < 12
    assert maps[1, 20:26, 4:10].sum() / maps[1].sum() > (0.2 if method == "occlusion" else 0.5)
    assert not maps[2].any(), "what it does not see explains nothing"


def test_maps_of_several_networks_are_averaged(network, images):
    keras.utils.set_random_seed(7)
    other = Predictor(unet.resunet(16, filters=(4, 8)), "unit")
    one, exam = Predictor(network, "unit"), exam_of(images)
    both = Predictor(network, "unit", others=(other,))
    mean = (explain.explain(one, exam).maps + explain.explain(other, exam).maps) / 2
    assert np.allclose(explain.explain(both, exam).maps, mean, atol=1e-5)


def test_a_slice_gets_the_same_map_alone_and_among_others(network, images):
    predictor, exam = Predictor(network, "unit"), exam_of(images)
    alone = Exam("A", images, exam.slice_numbers, np.array([7]))
    assert np.allclose(explain.explain(predictor, alone).maps[0], explain.explain(predictor, exam).maps[7], atol=1e-5)


def test_slices_that_are_not_square_keep_their_shape(network):
    image = np.random.default_rng(0).integers(0, 256, (1, 20, 40, 3), np.uint8)
    assert explain.explain(Predictor(network, "unit"), exam_of(image)).maps.shape == (1, 20, 40)


def test_an_unknown_method_is_refused(network, images):
    with pytest.raises(ValueError, match="expected one of grad-cam, grad-cam"):
        explain.explain(Predictor(network, "unit"), exam_of(images), "magic")


def test_layers_forget_from_the_output_downwards():
    def build(seed):
        keras.utils.set_random_seed(seed)
        return unet.resunet(16, filters=(4, 8))

    def equal(one, other):
        pairs = [pair for pair in zip(one.layers, other.layers, strict=True) if pair[0].weights]
        return [all(np.array_equal(a, b) for a, b in zip(x.get_weights(), y.get_weights(), strict=True)) for x, y in pairs]

    trained, untrained = build(1), build(2)
    alike = equal(trained, untrained)  # fresh BatchNorms are
    assert all(equal(trained, explain.randomised(trained, build(2), 0.0)))
    assert equal(trained, explain.randomised(trained, build(2), 1.0)) == alike
    half = equal(trained, explain.randomised(trained, build(2), 0.5))
    assert half[: len(half) // 2] == [True] * (len(half) // 2) and not half[-1]


def test_controls_know_the_picture_alone():
    images = np.zeros((2, 40, 40, 3), np.uint8)
    images[0, 10:30, 4:24, 1] = 200
    controls = explain.controls(images, 1)
    assert np.array_equal(controls["brightness"], images[..., 1] / np.float32(255))
    row, column = np.unravel_index(controls["centre"][0].argmax(), (40, 40))
    assert (row, column) in {(19, 13), (19, 14), (20, 13), (20, 14)}
    assert (controls["centre"][1] == 1).all(), "of a black slice"
