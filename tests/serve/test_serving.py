"""A server on a real socket, and the command that starts it."""

import base64
import gzip
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import waitress
from scipy.spatial.transform import Rotation

from brain_tumor.cli import serve
from brain_tumor.data import nifti
from brain_tumor.data.memory import MemoryFile
from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.recipe import SegmentationRecipe
from brain_tumor.inference import stored
from brain_tumor.serve import api, served as offered
from brain_tumor.serve.app import create_app
from brain_tumor.serve.limits import Limits
from brain_tumor.serve.review import Review

BOUNDARY = "----boundary"


def body(name, content):
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="exam"; filename="{name}"\r\n\r\n'.encode()
    return head + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def ask(port, name, content, path="/api/v1/predict"):
    """One request over a connection of its own: status, and the answer's bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", path, body(name, content), {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


@pytest.fixture
def start(served):
    """``start(Limits())``: the port of a server of its own."""
    servers = []

    def run(limits):
        server = waitress.create_server(create_app(served, limits), host="127.0.0.1", port=0, threads=8)
        threading.Thread(target=server.run, daemon=True).start()
        servers.append(server)
        return server.effective_port

    yield run
    for server in servers:
        server.close()


def test_four_clients_at_once_get_the_answers_of_one(start, files):
    port, names = start(Limits()), ["slice.png", "slice.tif", "exam.zip", "flair.nii.gz"]
    expected = {name: strip(ask(port, name, files[name])[1]) for name in names}
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda n: (names[n % 4], ask(port, names[n % 4], files[names[n % 4]])), range(40)))
    assert all(status == 200 and strip(answer) == expected[name] for name, (status, answer) in answers)


def strip(answer):
    """An answer without the seconds that it took."""
    return b"\n".join(line for line in answer.replace(b",", b"\n").split(b"\n") if b'"seconds"' not in line)


def test_health_answers_while_an_exam_is_predicted_and_a_full_queue_refuses(start, files, monkeypatch):
    gate = threading.Event()
    real = api.answer

    def slow(*arguments, **options):
        gate.wait(30)
        return real(*arguments, **options)

    monkeypatch.setattr(api, "answer", slow)
    port = start(Limits(waiting=1))
    gate.set()
    wait_until(lambda: b'"status":"ready"' in health(port, "/readyz"))
    gate.clear()
    with ThreadPoolExecutor(3) as clients:
        first = clients.submit(ask, port, "a.png", files["slice.png"])
        wait_until(lambda: b'"waiting":0' in health(port, "/readyz"))
        time.sleep(0.1)
        second = clients.submit(ask, port, "a.png", files["slice.png"])
        wait_until(lambda: b'"waiting":1' in health(port, "/readyz"))
        assert b"ok" in health(port, "/healthz") and not first.done()
        assert ask(port, "a.png", files["slice.png"])[0] == 503
        gate.set()
        assert first.result(30)[0] == second.result(30)[0] == 200


def health(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    return connection.getresponse().read().replace(b" ", b"")


def wait_until(condition):
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("never so")


@pytest.fixture(scope="module")
def trained(phantom_cohort, tmp_path_factory):
    """A home with a finished, scored run of drawn weights; the run, and the home."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAIN_TUMOR_HOME", str(home))
        patch.setattr(experiment, "train_stages", lambda *_arguments, **_options: [])
        recipe = SegmentationRecipe(
            cohort="phantom", split="ratio-33", model="resunet", size=32, batch_size=4, precision="float32",
            model_arguments=(("filters", (4, 8)),),
        )  # fmt: skip
        run = experiment.train(recipe, phantom_cohort)
        experiment.evaluate(run, phantom_cohort)
    return run, home


def test_the_best_run_is_offered(trained, monkeypatch, phantom_cohort):
    run, home = trained
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(home))
    monkeypatch.setattr(experiment, "trained_cohort", lambda _run: phantom_cohort)
    network = offered.load()
    assert network.name == run.path.name and "drawn patients" in network.why and network.predictor.familiarity is not None
    assert offered.load(run.path.name).why == "It was named when the server was started."


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        (["source-004"], "It is the only finished network here."),
        (["source-004", "source-004"], "among 2 finished networks, so that score is selected."),
        (
            ["source-004", "fold-1-of-5", "fold-2-of-5"],
            "among 3 finished networks, so that score is selected; they were tested",
        ),
    ],
)
def test_a_choice_among_networks_says_what_it_rests_on(splits, said, monkeypatch):
    folders = [Path(f"run-{number}") for number in range(len(splits))]
    cards = {
        folder: {"outlines": True, "phantom": False, "split": split, "scores": [{"value": 0.8 - number / 10}]}
        for number, (folder, split) in enumerate(zip(folders, splits, strict=True))
    }
    monkeypatch.setattr(offered.package, "packages", lambda: folders)
    monkeypatch.setattr(offered.cards, "of", cards.get)
    monkeypatch.setattr(offered, "all_runs", list)
    folder, why = offered._best()
    assert folder == folders[0] and said in why


def test_a_fresh_home_says_how_to_make_one(home, command):
    assert command("serve").refuses("brain-tumor demo", "ladder-15m", "model get")


def test_others_need_a_token(command):
    assert command("serve", "--host", "0.0.0.0").refuses("--host 0.0.0.0", "--token")


@pytest.mark.parametrize("file", ["exam.zip", "slice.tif"])
def test_one_exam_has_one_mask_everywhere(trained, phantom_cohort, files, file, tmp_path, command, monkeypatch, send):
    """Command line, Python, page and API: bit by bit."""
    run, home = trained
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(home))
    monkeypatch.setattr(experiment, "trained_cohort", lambda _run: phantom_cohort)
    network = offered.load(run.path.name)
    monkeypatch.setattr(type(network.predictor), "check", lambda _self, _exam: None)
    source = tmp_path / file
    source.write_bytes(files[file])

    def volume(content):
        return nifti.read(MemoryFile("m.nii.gz", content), lambda shape: None).planes

    exam = network.predictor.exam(source)
    expected = network.predictor.predict(exam).masks(network.predictor.threshold)
    assert 0 < expected.mean() < 1, "a mask that is the same everywhere would prove nothing"
    arguments = (run.path.name, str(source), "--anyway", "--out", str(tmp_path / "o.png"), "--mask", str(tmp_path / "m.nii.gz"))
    said = command("predict", *arguments)
    assert said.code == 0, said.err
    client = create_app(network).test_client()
    answer = send(client, file, files[file], mask="nifti").json
    page = client.post("/predict", data={"exam": (io.BytesIO(files[file]), file)}).location
    wait_until(lambda: "Take it along" in client.get(page).text)
    of_python = volume(nifti.mask_bytes(expected, exam.spacing_mm, exam.grid))
    for content in (
        (tmp_path / "m.nii.gz").read_bytes(),
        base64.b64decode(answer["mask"]["data"]),
        client.get(f"{page}/mask.nii.gz").data,
    ):
        assert np.array_equal(volume(content), of_python)


def test_a_mask_lies_in_its_own_exams_space(client, files, send):
    """A volume that was cut obliquely: the answer has its affine, through page and API."""
    image = nifti.Nifti1Image.from_bytes(gzip.decompress(files["flair.nii.gz"]))
    affine = np.diag([0.9, 0.9, 5.0, 1.0])
    affine[:3, :3] = Rotation.from_euler("xyz", (8, -5, 12), degrees=True).as_matrix() @ affine[:3, :3]
    affine[:3, 3] = 3, -20, 7
    oblique = nifti.Nifti1Image(np.asanyarray(image.dataobj), affine).to_bytes()
    answer = send(client, "x_flair.nii", oblique, mask="nifti")
    assert answer.status_code == 200, answer.text
    page = client.post("/predict", data={"exam": (io.BytesIO(oblique), "x_flair.nii")}).location
    wait_until(lambda: "Take it along" in client.get(page).text)
    for content in (base64.b64decode(answer.json["mask"]["data"]), client.get(f"{page}/mask.nii.gz").data):
        mask = nifti.Nifti1Image.from_bytes(gzip.decompress(content))
        assert mask.shape == image.shape and np.allclose(mask.affine, affine, atol=1e-4)


def test_a_run_or_a_cross_validation_is_reviewed_by_its_name(trained, phantom_cohort, tmp_path, monkeypatch):
    run, home = trained
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(home))
    monkeypatch.setattr(experiment, "cohort_of", lambda _facts: phantom_cohort)
    of_run = serve._review(run.path.name)
    folder = tmp_path / "phantom-crossval"
    folder.mkdir()
    facts = run.facts("recipe") | {"unit": "patient", "runs": []}
    (folder / "crossval.json").write_text(json.dumps(facts))
    planes = {}
    for case_id in of_run.cases:
        planes[f"{case_id}{stored.NUMBERS}"], _, _, planes[case_id] = of_run.load(case_id)
    np.savez(folder / stored.PREDICTIONS, **planes)
    assert serve._review(str(folder)).table().equals(of_run.table())


def test_stored_predictions_are_browsed_without_a_network(trained, phantom_cohort):
    run, _ = trained
    review = Review(run.path, phantom_cohort)
    client = create_app(None, review=review).test_client()
    page = client.get("/").text
    assert all(case_id in page for case_id in review.cases) and "No network is loaded" in page
    dice = [row["dice"] for row in review.table().to_dict("records")]
    assert dice == sorted(dice)
    case_id = review.cases[0]
    assert case_id in client.get(f"/review/{case_id}").text
    assert client.get(f"/review/{case_id}/slices.png").mimetype == "image/png"
    assert client.get("/review/nobody").status_code == 404 and client.get("/review/nobody/slices.png").status_code == 404
    assert client.post("/predict").status_code == 404 and client.get("/readyz").json["model"] is None


def test_dice_in_the_review_is_that_of_the_run(trained, phantom_cohort):
    run, _ = trained
    ours = Review(run.path, phantom_cohort).table().set_index("case_id").dice
    theirs = pd.read_csv(run.path / "cases.csv").set_index("case_id").dice
    assert np.allclose(ours.sort_index(), theirs.sort_index())


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_killed_server_leaves_no_upload(trained, phantom_cohort, tmp_path, files):
    """The command, a request that is not yet whole, kill -9: no file of it lies anywhere that it may write."""
    run, home = trained
    folder = tmp_path / "temporary"
    folder.mkdir()
    program = "import sys; from brain_tumor.cli.main import main; main()"
    environment = {**os.environ, "BRAIN_TUMOR_HOME": str(home), "TMPDIR": str(folder), "BRAIN_TUMOR_QUIET": "1"}
    arguments = ["serve", "--model", run.path.name, "--port", "0"]
    before, words = {path for path in Path(home).rglob("*") if path.is_file()}, b"a slice of somebody"
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            port = next(int(line.rsplit(":", 1)[1].split("/")[0]) for line in server.stdout if line.startswith("open http"))
            assert ask(port, "a.png", files["slice.png"])[0] in (200, 422)
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.putrequest("POST", "/predict")
            connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
            connection.putheader("Content-Length", str(8 << 20))
            connection.endheaders()
            connection.send(body("a.png", words * 200_000)[: 3 << 20])
            time.sleep(0.2)
        finally:
            server.send_signal(signal.SIGKILL)
    ours = [
        path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("__autograph_generated")
    ]  # TensorFlow's
    assert ours == []
    after = {path for path in Path(home).rglob("*") if path.is_file()} - before
    assert {path.name for path in after} <= {
        "familiarity.npz",
        *(path.name for path in after if "phantom" in str(path) or "cache" in str(path)),
    }
    for path in after:
        content = path.read_bytes()
        assert words not in content and files["slice.png"][-200:] not in content, path


def test_a_multipart_body_is_read(client, files):
    response = client.post("/api/v1/predict", data={"exam": (io.BytesIO(files["slice.png"]), "a.png")})
    assert response.status_code == 200
