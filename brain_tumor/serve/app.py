"""The application: pages for a person, and the API for a program (:mod:`brain_tumor.serve.api`)."""

import base64
import io
import json
from functools import partial
from pathlib import Path

from flask import Flask, Response, redirect, render_template, request, send_file, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from brain_tumor.records import card as cards
from brain_tumor.report.pages.page import TEMPLATES
from brain_tumor.serve import api, samples, security, uploads
from brain_tumor.serve.answers import Answer, answer
from brain_tumor.serve.limits import Limits, Refusal
from brain_tumor.serve.review import Review
from brain_tumor.serve.served import Served
from brain_tumor.serve.work import Job, Worker

CODES = {400: "bad_request", 404: "not_found", 405: "method", 413: "too_large", 415: "unsupported", 500: "failed"}
FILE_FIELD = "exam"
FORM_BYTES = 1 << 16  # of a form around its file


def create_app(
    served: Served | None,
    limits: Limits = Limits(),  # noqa: B008  # frozen
    token: str = "",
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "::1"),
    review: Review | None = None,
) -> Flask:
    """Build the application.

    Args:
        served: the network that answers; None where only stored predictions are looked at.
        token: that every request must bring; ``""``: none.
        hosts: the names that the server is asked for by.
        review: stored predictions to look at.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = limits.upload_bytes + FORM_BYTES
    app.config["MAX_FORM_PARTS"] = 10
    app.json.sort_keys = False  # type: ignore[attr-defined]
    security.guard(app, token, set(hosts), limits)
    app.jinja_env.globals.update(card=served.card if served else None, intended=cards.INTENDED, review=review)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    _add_shared(app, token)
    if served:
        worker = Worker(limits)
        _add_pages(app, served, worker, limits)
        api.add(app, served, worker)
    if review:
        review.add(app)
    return app


def _add_shared(app: Flask, token: str) -> None:
    """Health, the token's form, scripts, and one way to refuse."""

    @app.get("/healthz")
    def healthz() -> dict:
        return {"status": "ok"}

    @app.get("/viewer.js")
    def viewer_script() -> Response:
        return send_file(TEMPLATES / "viewer.js", mimetype="text/javascript")

    @app.route("/login", methods=["GET", "POST"])
    def login() -> AnyResponse | str:
        if request.method == "POST" and token:
            given = request.form.get("token", "")
            if security.same(given, token):
                response = redirect("/")
                response.set_cookie(security.COOKIE, given, httponly=True, samesite="Strict", secure=request.is_secure)
                return response
            raise Refusal(401, "token", "That is not this server's token.")
        return render_template("login.html")

    @app.errorhandler(Refusal)
    def refuse(refusal: Refusal) -> tuple:
        if request.path.startswith("/api/"):
            return refusal.to_json(), refusal.status
        return render_template("refused.html", refusal=refusal), refusal.status

    @app.errorhandler(HTTPException)
    def refuse_request(error: HTTPException) -> tuple:
        status = error.code or 500
        if status == 413:
            most = app.config["MAX_CONTENT_LENGTH"] >> 20
            return refuse(Refusal(413, "too_large", f"More than {most} MB, or more than a form with one file."))
        return refuse(Refusal(status, CODES.get(status, "refused"), str(error.description)))


def _add_pages(app: Flask, served: Served, worker: Worker, limits: Limits) -> None:
    drawn = samples.draw(served)
    first = next(iter(drawn.values()), None)  # compiles the network before somebody waits for it
    warm = worker.submit(partial(answer, first.file, served, drawn=True)) if first else None

    @app.get("/readyz")
    def readyz() -> tuple[dict, int]:
        ready = warm is None or warm.ended.is_set()
        answer = {"status": "ready" if ready else "starting", "model": served.name, "waiting": worker.waiting}
        return answer, 200 if ready else 503

    @app.get("/")
    def landing() -> str:
        return render_template("landing.html", served=served, samples=drawn, limits=limits, kinds=uploads.EXPECTED)

    @app.get("/model")
    def model() -> str:
        return render_template("model.html", served=served)

    @app.post("/predict")
    def predict() -> AnyResponse:
        file = uploads.of_form(request.files.getlist(FILE_FIELD), limits.upload_bytes)
        job = worker.submit(partial(answer, file, served), keep=True)
        return redirect(url_for("exam", key=job.key), 303)

    @app.post("/samples/<name>")
    def sample(name: str) -> AnyResponse:
        if name not in drawn:
            raise Refusal(404, "not_found", "There is no such sample.")
        job = worker.submit(partial(answer, drawn[name].file, served, drawn=True), keep=True)
        return redirect(url_for("exam", key=job.key), 303)

    @app.get("/exams/<key>")
    def exam(key: str) -> tuple | str:
        job = worker.find(key)
        if not job.ended.is_set():
            return render_template("waiting.html", job=job)
        if job.refusal:
            raise job.refusal
        return render_template("result.html", job=job, answer=job.answer, served=served)

    @app.get("/exams/<key>/state")
    def state(key: str) -> dict:
        job = worker.find(key)
        return {"share": round(job.share, 3), "started": job.started, "ended": job.ended.is_set()}

    @app.post("/exams/<key>/forget")
    def forget(key: str) -> AnyResponse:
        worker.forget(key)
        return redirect(url_for("landing"), 303)

    @app.get("/exams/<key>/<name>")
    def download(key: str, name: str) -> AnyResponse:
        return _file(_answer(worker.find(key)), name)


def _answer(job: Job) -> Answer:
    if not job.ended.is_set() or job.answer is None:
        raise job.refusal or Refusal(404, "not_ready", "This exam is not predicted yet.")
    return job.answer


def _file(result: Answer, name: str) -> Response:
    """A file of an answer by its name on the page."""
    stem = uploads.plain(result.exam.name)
    if name == "slices.png":
        return send_file(io.BytesIO(result.sprite.png), "image/png")
    if name == "sheet.png":
        return send_file(io.BytesIO(result.sheet()), "image/png")
    if name == "mask.png":
        content, ending, kind = result.mask_png(), "_mask.png", "image/png"
    elif name == "mask.nii.gz":
        content, ending, kind = result.mask_nifti(), "_mask.nii.gz", "application/gzip"
    elif name == "answer.json":
        content, ending, kind = json.dumps(result.to_json(), indent=2).encode(), ".json", "application/json"
    elif name == "report.html":
        content, ending, kind = _report(result).encode(), ".html", "text/html"
    else:
        raise Refusal(404, "not_found", "There is no such file.")
    return send_file(io.BytesIO(content), kind, as_attachment=True, download_name=stem + ending)


def _report(result: Answer) -> str:
    """One page of one exam that needs nothing but itself."""
    style = (Path(__file__).parent / "static" / "style.css").read_text(encoding="utf-8")
    picture = base64.b64encode(result.sheet()).decode()
    return render_template("report.html", answer=result, served=result.served, style=style, picture=picture)
