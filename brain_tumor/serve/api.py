"""The JSON API: one exam in, one answer out, and what a program must know to ask."""

from functools import partial
from typing import Any

from flask import Flask, request

import brain_tumor
from brain_tumor.inference.intake import Exam
from brain_tumor.serve import uploads
from brain_tumor.serve.answers import answer
from brain_tumor.serve.limits import Refusal
from brain_tumor.serve.served import Served
from brain_tumor.serve.work import Worker

MASKS = ("none", "nifti", "png")
REFUSALS = {
    400: "no file, or an unknown option",
    401: "no token, or another one",
    413: "too large",
    415: "no file of a kind that is read here",
    422: "it cannot be read, or looks unlike what the network was trained on",
    429: "too many requests",
    503: "too many exams are waiting, or this one took too long",
}


def add(app: Flask, served: Served, worker: Worker) -> None:
    """Add the API to the application."""

    @app.post("/api/v1/predict")
    def api_predict() -> dict[str, Any]:
        mask = request.args.get("mask", "none")
        if mask not in MASKS:
            raise Refusal(400, "bad_option", f"mask={mask[:40]!r}; expected one of {', '.join(MASKS)}.")
        file = uploads.of_form(request.files.getlist("exam"), worker.limits.upload_bytes)
        check = _check_lone if mask == "png" else None
        return worker.answer(partial(answer, file, served, maps=False, check=check)).to_json(mask)

    @app.get("/api/v1/model")
    def api_model() -> dict[str, Any]:
        return served.card | {"why": served.why}

    @app.get("/api/v1/openapi.json")
    def api_document() -> dict[str, Any]:
        return document()


def _check_lone(exam: Exam) -> None:
    if len(exam.asked) > 1:
        raise Refusal(400, "bad_option", "mask=png is of a lone slice; take mask=nifti for an exam.")


def document() -> dict[str, Any]:
    """The OpenAPI description of what this module answers."""
    refusals = {str(status): {"description": words, "content": _json("Refusal")} for status, words in REFUSALS.items()}
    form = {"type": "object", "required": ["exam"], "properties": {"exam": {"type": "string", "format": "binary"}}}
    predict = {
        "summary": "Outline tumours in one exam",
        "parameters": [{"name": "mask", "in": "query", "schema": {"enum": list(MASKS), "default": "none"}}],
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
        "responses": {"200": {"description": "what was found", "content": _json("Answer")}} | refusals,
    }
    model = {
        "summary": "The network that answers: data, split, scores with interval and floor",
        "responses": {"200": {"description": "its card", "content": _json("Card")}, "401": refusals["401"]},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "brain-tumor",
            "version": brain_tumor.__version__,
            "description": "Tumours in brain MRI. Research use only: not for diagnosis.",
        },
        "paths": {"/api/v1/predict": {"post": predict}, "/api/v1/model": {"get": model}},
        "components": {"schemas": SCHEMAS},
    }


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": [name for name in properties if name != "mask"], "properties": properties}


def _list(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


TEXT, WHOLE, NUMBER, FLAG = {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}
PERHAPS = {"type": ["number", "null"]}
SIDES = ("left", "right", "middle", None)
AS_SHOWN = "of the slice as the page shows it"  # a mask is returned in the exam's own space
SCORE = _object(name=TEXT, value=NUMBER, low=PERHAPS, high=PERHAPS, floor=PERHAPS)
REGION = _object(name=TEXT, title=TEXT, voxels=WHOLE, ml=PERHAPS)
SLICE = _object(
    slice=WHOLE,
    probability=NUMBER,
    called=FLAG,
    pixels=WHOLE,
    area_mm2=PERHAPS,
    box={"type": ["array", "null"], "items": WHOLE, "description": f"top, left, bottom, right {AS_SHOWN}; the last two outside"},
    centre={"type": ["array", "null"], "items": NUMBER, "description": f"row, column {AS_SHOWN}"},
    side={"enum": [*SIDES], "description": f"of the head {AS_SHOWN}"},
    patient_side={"enum": [*SIDES], "description": "of the patient; null where the exam does not say"},
)
SCHEMAS = {
    "Refusal": _object(error=_object(code=TEXT, message=TEXT)),
    "Card": _object(
        name=TEXT,
        cohort=TEXT,
        data=TEXT,
        phantom=FLAG,
        sequences=_list(TEXT),
        network=TEXT,
        parameters=WHOLE,
        split=TEXT,
        trained_on=_object(patients=WHOLE, slices=WHOLE, tumour_slices=WHOLE),
        tested_on=_object(patients=WHOLE, slices=WHOLE, tumour_slices=WHOLE),
        scores=_list(SCORE),
        weights_sha256=TEXT,
        intended=TEXT,
        why=TEXT,
    ),
    "Answer": _object(
        model=_object(name=TEXT, weights_sha256=TEXT, phantom=FLAG),
        exam=_object(
            name=TEXT,
            slices=WHOLE,
            height=WHOLE,
            width=WHOLE,
            spacing_mm={"type": ["array", "null"], "items": NUMBER, "description": "slice distance, height, width"},
            missing_sequences=_list(TEXT),
            notes=_list(TEXT),
        ),
        tumour=_object(
            called=FLAG,
            slices=_list(WHOLE),
            voxels=WHOLE,
            ml=PERHAPS,
            regions=_list(REGION) | {"description": "nested, the outermost first"},
            highest_probability=NUMBER,
            meaning=TEXT,
        ),
        slices=_list(SLICE),
        seconds=NUMBER,
        intended_use=TEXT,
        mask=_object(encoding=TEXT, data=TEXT),
    ),
}
