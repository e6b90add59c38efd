"""The pages: landing, waiting, result and its files, samples, the network; all without a script too."""

import html
import io
import json
import re
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from brain_tumor.data import nifti
from brain_tumor.data.memory import MemoryFile
from brain_tumor.report.pages import viewer
from brain_tumor.report.pages.page import external_requests
from brain_tumor.serve.app import create_app
from brain_tumor.serve.limits import Limits


def hand_in(client, name, content):
    """Send an exam through the form and follow it to its page."""
    response = client.post("/predict", data={"exam": (io.BytesIO(content), name)})
    assert response.status_code == 303, response.text
    return arrive(client, response.headers["Location"])


def arrive(client, address):
    """The page of an exam, once it is predicted."""
    for _ in range(2000):
        if client.get(f"{address}/state").json["ended"]:
            break
        time.sleep(0.005)
    return address, client.get(address)


def test_the_landing_page_says_what_answers_and_what_that_is_worth(client):
    page = client.get("/").text
    for words in (
        "Dice is <strong>0.700</strong>",
        "0.500 to 0.900",
        "no image reaches 0.200",
        "Research use only",
        "drawn patients",
        "<strong>bright</strong>",
        "brain-tumor ladder ladder-15m",
    ):
        assert words in page
    assert len(page.encode()) < 60_000 and "<script>" not in page and "style=" not in page


def test_an_exam_from_form_to_files(client, served, files):
    address, page = hand_in(client, "../../my exam.zip", files["exam.zip"])
    assert page.status_code == 200 and "<h1>my exam</h1>" in page.text
    assert re.search(r"Called tumour in \d+ of \d+ slices", page.text)
    assert "8 of 10 held tumour" in page.text
    answer = json.loads(client.get(f"{address}/answer.json").data)
    volume = nifti.read(MemoryFile("m.nii.gz", client.get(f"{address}/mask.nii.gz").data), lambda shape: None)
    assert int(volume.planes.sum()) == answer["tumour"]["voxels"] > 0
    sprite = np.asarray(Image.open(io.BytesIO(client.get(f"{address}/slices.png").data)))
    exam = served.predictor.exam(MemoryFile("exam.zip", files["exam.zip"]))
    side = exam.images.shape[1]
    assert np.array_equal(sprite[:side, :side, 0], exam.images[0, ..., 1])
    called = sum((sprite[..., 1] > 127.5).ravel())
    assert called == answer["tumour"]["voxels"], "what the page paints is what the mask holds"
    report = client.get(f"{address}/report.html")
    assert "attachment" in report.headers["Content-Disposition"]
    assert external_requests(report.text) == [] and "Research use only" in report.text
    assert client.get(f"{address}/sheet.png").mimetype == "image/png"
    assert client.get(f"{address}/secret.txt").status_code == 404


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        ({}, "were not scored against experts' masks; do not rely on them"),
        ({"explanation": "They point at it."}, "(Grad-CAM). They point at it."),
        (
            {"alone": {"patients": 9, "difference": -0.041, "low": -0.1, "high": -0.004}},
            "the mean Dice changed by -0.041 (-0.100 to -0.004) where slices came without",
        ),
    ],
)
def test_what_the_card_knows_stands_beside_the_answer_of_a_slice(served, files, measured, words):
    client = create_app(replace(served, card=served.card | measured)).test_client()
    _, page = hand_in(client, "a.png", files["slice.png"])
    assert words in html.unescape(page.text) and "bright" in page.text


def test_a_slice_has_its_mask_as_a_picture(client, files):
    address, page = hand_in(client, "a.png", files["slice.png"])
    assert "Mask, PNG" in page.text and 'data-role="slice"' not in page.text
    assert Image.open(io.BytesIO(client.get(f"{address}/mask.png").data)).size == (64, 64)


def test_what_is_called_is_explained_and_the_map_says_that_it_was_not_scored(client, files):
    address, page = hand_in(client, "a.png", files["slice.png"])
    sprite = np.asarray(Image.open(io.BytesIO(client.get(f"{address}/slices.png").data)))
    assert sprite[..., 2].max() == 255 and "were not scored" in page.text


def test_forgotten_is_gone(client, files):
    address, _ = hand_in(client, "a.png", files["slice.png"])
    assert client.post(f"{address}/forget").status_code == 303
    assert client.get(address).status_code == 404
    assert client.get(f"{address}/mask.nii.gz").status_code == 404


@pytest.mark.parametrize("name", ["exam", "slice"])
def test_samples(client, name):
    response = client.post(f"/samples/{name}")
    _, page = arrive(client, response.headers["Location"])
    assert "This exam is drawn" in page.text
    assert client.post("/samples/nothing").status_code == 404


def test_a_refusal_is_a_page(client):
    _, page = hand_in(client, "a.png", picture(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)))
    assert page.status_code == 422 and "Not judged" in page.text and "unlike" in page.text
    _, page = hand_in(client, "a.png", picture(np.zeros((64, 64), np.uint8)))
    assert page.status_code == 422 and "nothing to see" in page.text
    assert client.post("/predict", data={}).status_code == 400
    assert client.post("/predict", data={"exam": (io.BytesIO(b"%PDF-1.7"), "a.png")}).status_code == 415


def test_names_of_uploads_are_no_markup(client, files):
    _, page = hand_in(client, "<script>alert(1)</script>.png", files["slice.png"])
    assert "<script>alert" not in page.text


def test_before_it_is_predicted_a_page_waits(make_client, files, served, monkeypatch):
    from brain_tumor.serve import app

    monkeypatch.setattr(app, "answer", lambda *_args, **_options: time.sleep(0.5))
    client = make_client(Limits())
    address = client.post("/predict", data={"exam": (io.BytesIO(files["slice.png"]), "a.png")}).headers["Location"]
    page = client.get(address)
    assert "Predicting" in page.text and 'http-equiv="refresh"' in page.text
    assert client.get(f"{address}/mask.nii.gz").status_code == 404


def test_the_page_of_the_network(client):
    page = client.get("/model").text
    assert "0.500 to 0.900" in page and "80 %" in page and "0" * 64 in page


def test_a_large_slice_is_drawn_smaller_and_a_long_exam_is_refused():
    sprite = viewer.sprite(np.zeros((3, 300, 600), np.uint8), np.zeros((3, 300, 600), np.uint8))
    assert (sprite.width, sprite.height, sprite.columns, sprite.count) == (256, 128, 2, 3)
    with pytest.raises(ValueError, match="401 slices"):
        viewer.sprite(np.zeros((401, 8, 8), np.uint8), np.zeros((401, 8, 8), np.uint8))


def test_volumes_of_several_sequences_come_in_a_zip(client, phantom_cohort):
    case = next(case for case in phantom_cohort if case.load()[0][..., 0].any())
    images, _ = case.load()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for channel, name in ((0, "t1n"), (1, "t2f"), (2, "t1c")):
            archive.writestr(f"x/case-{name}.nii.gz", nifti.mask_bytes(images[..., channel]))
        archive.writestr("x/case-seg.nii.gz", nifti.mask_bytes(images[..., 0] > 90))
    _, page = hand_in(client, "case.zip", stream.getvalue())
    assert page.status_code == 200 and "stands in" not in page.text


def picture(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()
