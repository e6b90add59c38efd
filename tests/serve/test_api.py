"""The API: one exam in, one answer out, the same bits as from Python, and what it says of itself."""

import base64
import io
from types import SimpleNamespace

import jsonschema
import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from brain_tumor.data import nifti
from brain_tumor.data.memory import MemoryFile
from brain_tumor.inference.cascade import Cascade
from brain_tumor.inference.predict import Prediction
from brain_tumor.serve import api
from brain_tumor.serve.answers import Answer, answer
from brain_tumor.serve.limits import Limits


def valid(answer, name):
    """Hold an answer against the document that describes it."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": api.document()["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer)
    return answer


@pytest.mark.parametrize("name", ["slice.png", "slice.jpg", "slice.tif", "grey.png", "exam.zip", "flair.nii.gz"])
def test_every_kind_of_exam_is_answered_as_the_document_says(client, files, send, name):
    response = send(client, name, files[name])
    assert response.status_code == 200, response.json
    answer = valid(response.json, "Answer")
    assert len(answer["slices"]) == answer["exam"]["slices"]
    assert answer["tumour"]["voxels"] == sum(row["pixels"] for row in answer["slices"])
    assert answer["tumour"]["slices"] == [row["slice"] for row in answer["slices"] if row["called"]]
    assert answer["tumour"]["called"] and "research use only" in answer["intended_use"].lower()
    assert (answer["tumour"]["ml"] is None) == (name != "flair.nii.gz")


def test_an_exam_gets_the_bits_that_python_gets(client, served, files, send):
    answer = send(client, "exam.zip", files["exam.zip"], mask="nifti").json
    assert answer["mask"]["encoding"] == "nii.gz;base64"
    volume = nifti.read(MemoryFile("m.nii.gz", base64.b64decode(answer["mask"]["data"])), lambda shape: None)
    exam = served.predictor.exam(MemoryFile("exam.zip", files["exam.zip"]))
    prediction = served.predictor.predict(exam)
    assert np.array_equal(volume.planes, prediction.masks(0.5)) and volume.planes.any()
    highest = (prediction.native.max(axis=(1, 2)) / 255).round(4)
    assert np.allclose([row["probability"] for row in answer["slices"]], highest, atol=1e-4)


def test_a_slice_returns_its_mask_as_a_picture(client, served, files, send):
    answer = send(client, "slice.png", files["slice.png"], mask="png").json
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["mask"]["data"]))))
    expected = served.predictor.predict(served.predictor.exam(MemoryFile("s.png", files["slice.png"]))).masks(0.5)[0] * 255
    assert np.array_equal(mask, expected) and set(np.unique(mask)) == {0, 255}
    row = answer["slices"][0]
    top, left, bottom, right = row["box"]
    assert mask[top:bottom, left:right].sum() == mask.sum() and row["pixels"] == (mask > 0).sum()


def test_an_exam_of_many_slices_has_no_mask_as_one_picture_and_is_not_predicted(client, files, send, monkeypatch):
    monkeypatch.delattr(Cascade, "predict")
    response = send(client, "exam.zip", files["exam.zip"], mask="png")
    assert (response.status_code, valid(response.json, "Refusal")["error"]["code"]) == (400, "bad_option")


@pytest.mark.parametrize(("spacing", "millilitres"), [((5.0, 2.0, 1.0), [0.2, 0.06, 0.01]), (None, [None] * 3)])
def test_nested_regions_are_measured_each(spacing, millilitres):
    native = np.zeros((2, 8, 8), np.uint8)
    native[0, :4, :5] = 255
    inner = np.zeros((2, 8, 8, 2), np.uint8)
    inner[0, :2, :3, 0], inner[0, 0, 0, 1], inner[1, 7, 7] = 255, 255, 255  # the last is outside of the whole tumour
    outline = Prediction("case", np.array([1, 2]), native, native, inner=inner)
    predictor = SimpleNamespace(regions=("WT", "TC", "ET"))
    finding = SimpleNamespace(depths=outline.depths(0.5))
    regions = Answer(SimpleNamespace(spacing_mm=spacing), finding, SimpleNamespace(predictor=predictor), None, 0.0).regions
    assert [(region["name"], region["voxels"], region["ml"]) for region in regions] == [
        (name, voxels, ml) for name, voxels, ml in zip(("WT", "TC", "ET"), (20, 6, 1), millilitres, strict=True)
    ]
    assert regions[1]["title"] == "tumour core"


def test_the_only_region_of_a_slice_network_is_its_mask(client, files, send):
    tumour = send(client, "flair.nii.gz", files["flair.nii.gz"]).json["tumour"]
    assert tumour["regions"] == [{"name": "tumour", "title": "tumour", "voxels": tumour["voxels"], "ml": tumour["ml"]}]


def test_the_model_says_what_it_is_worth(client):
    card = valid(client.get("/api/v1/model").json, "Card")
    assert card["scores"][0]["floor"] == 0.2 and card["why"]


def test_the_document_names_every_address(client):
    document = client.get("/api/v1/openapi.json").json
    paths = {str(rule) for rule in client.application.url_map.iter_rules() if str(rule).startswith("/api/")}
    assert paths == {*document["paths"], "/api/v1/openapi.json"}
    jsonschema.Draft202012Validator.check_schema(document["components"]["schemas"]["Answer"])


@pytest.mark.parametrize(
    ("query", "form", "code"),
    [
        ({}, {}, "no_file"),
        ({"mask": "gif"}, {"exam": (io.BytesIO(b"x"), "a.png")}, "bad_option"),
        ({}, {"exam": "text"}, "no_file"),
    ],
)
def test_a_request_that_makes_no_sense(client, query, form, code):
    response = client.post("/api/v1/predict", query_string=query, data=form)
    assert (response.status_code, response.json["error"]["code"]) == (400, code)
    valid(response.json, "Refusal")


def test_too_large_is_told_in_json(make_client, send):
    response = send(make_client(Limits(upload_bytes=1000)), "a.png", b"\x89PNG\r\n\x1a\n" + bytes(2000))
    assert (response.status_code, response.json["error"]["code"]) == (413, "too_large")


def test_other_methods_and_addresses(client):
    assert client.get("/api/v1/predict").status_code == 405
    assert client.get("/api/v1/nothing").json["error"]["code"] == "not_found"


def test_health(client):
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/readyz").json == {"status": "ready", "model": "bright", "waiting": 0}


def test_sides_of_the_picture_and_of_the_patient(served):
    planes = np.zeros((4, 64, 64), np.uint8)  # rows from the back, columns from the patient's left
    planes[:, 8:56, 8:56] = 60
    planes[1:3, 20:30, 12:22] = 255

    def sides(affine):
        image = nib.Nifti1Image(planes.transpose(2, 1, 0), affine)
        result = answer(MemoryFile("x_flair.nii", image.to_bytes()), served, lambda share: None, drawn=True)
        rows = [row for row in result.to_json()["slices"] if row["called"]]
        return {(row["side"], row["patient_side"]) for row in rows}

    assert sides(np.diag([1.0, 1.0, 4.0, 1.0])) == {("right", "left")}, "seen from the feet"
    assert sides(None) == {("left", None)}, "nobody knows how it lies"
