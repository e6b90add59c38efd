"""What looks unlike the training slices is refused: photographs, text, noise; a patient's slice is not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from brain_tumor.data.cache import open_store
from brain_tumor.data.phantom import open_phantom
from brain_tumor.errors import ModelError, UnfamiliarError
from brain_tumor.inference import familiarity
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.predictor import Predictor

PHOTOGRAPHS = (
    "astronaut.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "rocket.jpg",
    "page.png",
    "hubble_deep_field.jpg",
)


@pytest.fixture(scope="module")
def store():
    return open_store(open_phantom(patients=10, slices=(10, 14), size=128, seed=3))


@pytest.fixture(scope="module")
def learnt(store):
    """Familiarity of eight patients; the slices of two others."""
    cases = store.cases.index
    held_out = store.slices.case_id.isin(cases[-2:]).to_numpy()
    fitted = familiarity.fit(store.images[~held_out], store.slices.case_id[~held_out].to_numpy())
    return fitted, np.asarray(store.images[held_out])


def photographs():
    import skimage.data

    folder = Path(skimage.data.__file__).parent
    return [np.asarray(Image.open(folder / name).convert("RGB")) for name in PHOTOGRAPHS]


def text():
    picture = Image.new("L", (200, 200), 255)
    for row in range(10):
        ImageDraw.Draw(picture).text((5, 20 * row), "the quick brown fox jumps over", fill=0)
    return np.repeat(np.asarray(picture)[..., None], 3, axis=-1)


def alone(image):
    return Exam("A", image[None], np.array([1]), np.array([0]), alone=True)


def test_new_patients_are_familiar(learnt):
    fitted, images = learnt
    distances = fitted.distance(images)
    assert np.nanmean(distances > 1) < 0.2
    verdict = fitted.check(Exam("A", images, np.arange(len(images)) + 1, np.arange(len(images))))
    assert not verdict.refused and verdict.slices > len(images) / 2


def test_photographs_text_and_noise_are_not(learnt):
    fitted, _ = learnt
    strange = [*photographs(), text(), np.random.default_rng(0).integers(0, 256, (99, 140, 3), np.uint8)]
    refused = [fitted.check(alone(image)).refused for image in strange]
    assert sum(refused) >= len(strange) - 1, dict(zip((*PHOTOGRAPHS, "text", "noise"), refused, strict=True))
    assert all(fitted.check(alone(image)).reason for image, no in zip(strange, refused, strict=True) if no)


def test_nothing_to_see_is_refused_alone_and_passed_over_in_an_exam(learnt):
    fitted, images = learnt
    black = np.zeros_like(images[:1])
    assert fitted.check(alone(black[0])).refused and "no head" in fitted.check(alone(black[0])).reason
    exam = np.concatenate([black, images, black])
    verdict = fitted.check(Exam("A", exam, np.arange(len(exam)), np.arange(len(exam))))
    assert not verdict.refused and verdict.slices <= len(images)


def test_a_file_holds_no_patients_picture(learnt, store):
    fitted, _ = learnt
    seen = familiarity.visible(store.images)
    thumbnails, _ = familiarity._described(np.asarray(store.images[seen]))
    nearest = np.sqrt(((thumbnails[:, None] - fitted.thumbnails[None]) ** 2).sum(axis=-1)).min(axis=0)
    assert (nearest > 1e-3).all(), "a typical thumbnail is a mean of several"


def test_it_is_read_as_it_was_written(learnt, tmp_path):
    fitted, images = learnt
    fitted.save(tmp_path)
    again = familiarity.load(tmp_path)
    assert np.array_equal(again.distance(images), fitted.distance(images), equal_nan=True)
    assert familiarity.load(tmp_path / "none") is None
    (tmp_path / familiarity.FILE).write_bytes((tmp_path / familiarity.FILE).read_bytes()[:100])
    with pytest.raises(ModelError, match="does not say what training slices look like"):
        familiarity.load(tmp_path)


def test_the_same_slices_give_the_same(store):
    patients = store.slices.case_id.to_numpy()
    one, other = (familiarity.fit(store.images, patients) for _ in range(2))
    assert np.array_equal(one.thumbnails, other.thumbnails) and np.array_equal(one.limits, other.limits)


def test_one_patient_is_too_few(store):
    with pytest.raises(ModelError, match="1 patient with a head"):
        familiarity.fit(store.images[:10], ["a"] * 10)


def test_a_predictor_refuses(learnt, network):
    fitted, images = learnt
    predictor = Predictor(network, "unit", familiarity=fitted)
    predictor.check(alone(images[5]))
    with pytest.raises(UnfamiliarError, match="A: it looks unlike"):
        predictor.check(alone(text()))
    Predictor(network, "unit").check(alone(text()))  # where nothing is known, nothing is refused
