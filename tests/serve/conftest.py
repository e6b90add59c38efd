"""A network made by hand that calls tumour what is bright on FLAIR, and a server of it."""

import io
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from brain_tumor.data.cache import open_store
from brain_tumor.inference import familiarity
from brain_tumor.inference.cascade import Cascade
from brain_tumor.inference.predictor import Predictor
from brain_tumor.serve.app import create_app
from brain_tumor.serve.limits import Limits
from brain_tumor.serve.served import Served

CARD = {
    "name": "bright", "cohort": "phantom", "data": "drawn patients", "phantom": True, "outlines": True,
    "sequences": ["pre", "flair", "post"], "network": "made by hand at 64 x 64", "parameters": 20, "split": "ratio-33",
    "trained_on": {"patients": 4, "slices": 40, "tumour_slices": 12}, "tested_on": {"patients": 2, "slices": 20,
    "tumour_slices": 6},
    "scores": [{"name": "Dice, mean of patients", "value": 0.7, "low": 0.5, "high": 0.9, "floor": 0.2}],
    "reliability": [{"from": 0.0, "to": 0.5, "slices": 10, "tumour": 1}, {"from": 0.5, "to": 1.0, "slices": 10, "tumour": 8}],
    "weights_sha256": "0" * 64, "version": "0", "intended": "Research use only.",
}  # fmt: skip
BRIGHT = 0.62  # of FLAIR, 0 to 1


def bright_network(size=64):
    """Two levels, whose logit is the brightness of FLAIR above a limit, times 30."""
    images = keras.Input((size, size, 3), name="image")
    x = skip = keras.layers.Conv2D(2, 1, activation="relu", name="encoder1")(images)
    x = keras.layers.MaxPooling2D(name="pool")(x)
    x = keras.layers.Conv2D(2, 1, activation="relu", name="bottleneck")(x)
    x = keras.layers.UpSampling2D(name="up")(x)
    x = keras.layers.Concatenate(name="skip")([x, skip])
    x = keras.layers.Conv2D(3, 1, activation="relu", name="decoder1")(x)
    network = keras.Model(images, keras.layers.Conv2D(1, 1, name="final_conv")(x), name="bright")
    flair = np.zeros((1, 1, 3, 2), np.float32)
    flair[0, 0, 1, :] = 1
    network.get_layer("encoder1").set_weights([flair, np.zeros(2, np.float32)])
    network.get_layer("bottleneck").set_weights([np.eye(2, dtype=np.float32)[None, None], np.zeros(2, np.float32)])
    network.get_layer("decoder1").set_weights([np.full((1, 1, 4, 3), 1 / 12, np.float32), np.zeros(3, np.float32)])
    network.get_layer("final_conv").set_weights([np.full((1, 1, 3, 1), 30, np.float32), np.array([-30 * BRIGHT], np.float32)])
    return network


@pytest.fixture(scope="session")
def served(phantom_cohort):
    store = open_store(phantom_cohort)
    looks = familiarity.fit(store.images, store.slices.case_id.to_numpy())
    predictor = Predictor(bright_network(), "unit", cohort="phantom", familiarity=looks)
    return Served("bright", Cascade(predictor), CARD, "It was made by hand.")


@pytest.fixture
def make_client(served):
    """``make_client(Limits(...), token="")``: a client of a server of its own."""

    def make(limits=Limits(), **options):
        return create_app(served, limits, **options).test_client()

    return make


@pytest.fixture(scope="session")
def client(served):
    return create_app(served).test_client()


@pytest.fixture(scope="session")
def files(phantom_cohort):
    """Every kind of upload, by name: a slice in three formats, a grey one, a zip of an exam, and its FLAIR as a volume."""
    from brain_tumor.data import nifti

    case = phantom_cohort.cases[0]
    images, masks = case.load()
    largest = images[masks.sum(axis=(1, 2)).argmax()]

    def picture(pixels, kind):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, kind)
        return stream.getvalue()

    exam = io.BytesIO()
    with zipfile.ZipFile(exam, "w") as archive:
        for path in case.sources[0::2]:
            archive.writestr(f"{case.case_id}/{Path(path).name}", Path(path).read_bytes())
        archive.writestr("__MACOSX/._x.tif", b"litter")
    return {
        "slice.png": picture(largest, "PNG"),
        "slice.jpg": picture(largest, "JPEG"),
        "slice.tif": picture(largest, "TIFF"),
        "grey.png": picture(largest[..., 1], "PNG"),
        "exam.zip": exam.getvalue(),
        "flair.nii.gz": nifti.mask_bytes(images[..., 1], (5.0, 0.9, 0.9)),
    }


@pytest.fixture
def send():
    """``send(client, name, content, mask="nifti")``: the API's answer."""

    def ask(client, name, content, **query):
        return client.post(
            "/api/v1/predict", query_string=query, data={"exam": (io.BytesIO(content), name)}, content_type="multipart/form-data"
        )

    return ask
