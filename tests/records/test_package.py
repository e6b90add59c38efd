"""A model in one file: the same bits after it was taken, its card from the record, and nothing else let in."""

import json
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from brain_tumor import files
from brain_tumor.errors import ModelError
from brain_tumor.evaluation import explanations
from brain_tumor.experiments import appraisal, run as experiment
from brain_tumor.experiments.recipe import SegmentationRecipe
from brain_tumor.inference.predictor import Predictor
from brain_tumor.records import card, package
from brain_tumor.training.runs import RunFolder


@pytest.fixture(scope="module")
def run(phantom_cohort, tmp_path_factory):
    """A finished, scored run of two networks whose weights are left as they were drawn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAIN_TUMOR_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setattr(experiment, "train_stages", lambda *_arguments, **_options: [])
        recipe = SegmentationRecipe(
            cohort="phantom", split="ratio-33", model="resunet", size=32, batch_size=4, precision="float32",
            model_arguments=(("filters", (4, 8)),),
        )  # fmt: skip
        folder = experiment.train(recipe, phantom_cohort)
        experiment.evaluate(folder, phantom_cohort)
        appraisal.learn_looks(folder, phantom_cohort)
        appraisal.measure(folder, phantom_cohort, Predictor.load(folder.path))
    return folder


@pytest.fixture(scope="module")
def packed(run, tmp_path_factory):
    """The file, and its hash."""
    file = tmp_path_factory.mktemp("packed") / "model.zip"
    return file, package.pack(run.path, file)


def test_a_card_says_what_the_record_says(run):
    facts = card.of(run.path)
    assert facts["name"] == run.path.name and facts["phantom"] and "draws" in facts["data"] and facts["outlines"]
    assert facts["trained_on"]["patients"] + facts["tested_on"]["patients"] == 6
    score = facts["scores"][0]
    assert score["name"] == "Dice, mean of patients" and score["low"] <= score["value"] <= score["high"] and score["floor"] >= 0
    assert sum(row["slices"] for row in facts["reliability"]) == facts["tested_on"]["slices"]
    assert sum(row["tumour"] for row in facts["reliability"]) == facts["tested_on"]["tumour_slices"]


@pytest.mark.parametrize(("ours", "others", "shown"), [(0.9, 0.1, True), (0.3, 0.3, False), (0.1, 0.9, False)])
def test_maps_that_do_not_beat_their_controls_are_said_to_tell_nothing(tmp_path, ours, others, shown):
    rows = [
        {"map": name, "case_id": case_id, "slice": 1} | dict.fromkeys(explanations.MEASURES, value)
        for name, value in ((appraisal.NETWORK, ours), ("brightness", others), ("centre", others / 2))
        for case_id in "abcdef"
    ]
    pd.DataFrame(rows).to_csv(tmp_path / appraisal.EXPLANATIONS, index=False)
    sentence = card._explanation(tmp_path)["explanation"]
    assert f"in {ours:.0%} of slices; that of a map that knows nothing of the network (brightness) in {others:.0%}" in sentence
    assert ("So these maps are not shown to tell anything." in sentence) != shown


def test_what_a_probability_was_worth():
    facts = {
        "reliability": [{"from": 0.0, "to": 0.5, "slices": 0, "tumour": 0}, {"from": 0.5, "to": 1.0, "slices": 8, "tumour": 6}]
    }
    assert card.meaning(facts, 0.7).startswith(
        "Of the test patients' slices with a highest probability from 0.5 to 1.0, 6 of 8 held tumour. "
    )
    assert card.meaning(facts, 0.2) == ""


def test_a_model_that_was_taken_predicts_the_same_bits(run, packed, home, phantom_cohort):
    file, digest = packed
    folder = package.get(str(file), digest)
    assert package.find(run.path.name) == folder and package.packages() == [folder]
    ours, theirs = Predictor.load(run.path), Predictor.load(folder)
    exam = ours.exam(phantom_cohort.cases[0])
    assert np.array_equal(ours.predict(exam).native, theirs.predict(exam).native)
    assert theirs.familiarity is not None and card.of(folder) == card.of(run.path)
    assert package.get(str(file)) == folder, "again"


def test_the_same_model_is_the_same_file(run, packed, tmp_path):
    assert package.pack(run.path, tmp_path / "again.zip") == packed[1]


def test_a_packed_model_can_be_packed_again(packed, home, tmp_path):
    assert package.pack(package.get(str(packed[0])), tmp_path / "again.zip") == packed[1]


def test_over_http(packed, home):
    file, digest = packed
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_arguments: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=file.parent))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/{file.name}"
    try:
        with pytest.raises(ModelError, match="give the SHA-256"):
            package.get(address)
        with pytest.raises(ModelError, match="not downloaded"):
            package.get(address, "0" * 64)
        assert package.packages() == []
        assert package.get(address, digest).is_dir()
    finally:
        server.shutdown()
        server.server_close()
    assert [path.name for path in (home / "data" / "models").iterdir()] == [package.packages()[0].name]


def rewritten(file, folder, change):
    """A copy of a packed model whose members ``change(name -> bytes)`` has changed."""
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    change(members)
    copy = folder / "changed.zip"
    with zipfile.ZipFile(copy, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return copy


def card_with(**changes):
    def change(members):
        members["card.json"] = json.dumps(json.loads(members["card.json"]) | changes).encode()

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda members: members.update({"run.py": b"print(1)"}), "'run.py', which is no part of a model"),
        (lambda members: members.update({"../model.json": b"{}"}), "no part of a model"),
        (lambda members: members.update({"/card.json": b"{}"}), "no part of a model"),
        (lambda members: members.update({"member-1/../../model.json": b"{}"}), "no part of a model"),
        (lambda members: members.update({"model.pkl": b"\x80"}), "no part of a model"),
        (lambda members: members.pop("card.json"), "missing"),
        (lambda members: members.pop("model.json"), "missing"),
        (lambda members: members.pop("model.weights.h5"), "no such file"),
        (lambda members: members.update({"model.weights.h5": members["model.weights.h5"][:-9]}), "SHA-256"),
        (lambda members: members.update({"card.json": b"[]"}), "damaged"),
        (lambda members: members.update({"familiarity.npz": b"PK"}), "does not say"),
        (card_with(name="../../x"), "names no model"),
        (card_with(name=""), "names no model"),
        (card_with(weights_sha256="0" * 64), "its card is of other weights"),
    ],
)
def test_anything_else_is_refused_and_nothing_is_left(packed, home, tmp_path, change, words):
    with pytest.raises(ModelError, match=words):
        package.get(str(rewritten(packed[0], tmp_path, change)))
    assert package.packages() == [] and list((home / "data" / "models").iterdir()) == []


def test_damaged_files_are_refused(packed, home, tmp_path):
    broken = tmp_path / "broken.zip"
    broken.write_bytes(packed[0].read_bytes()[:-40])
    for source, sha256, words in (
        (broken, "", "damaged"),
        (packed[0], "1" * 64, "expected 111111111111"),
        (tmp_path / "none.zip", "", "no such file"),
    ):
        with pytest.raises(ModelError, match=words):
            package.get(str(source), sha256)


def test_what_is_unlike_the_training_slices_is_predicted_on_request_only(run, tmp_path, command):
    picture = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)).save(picture)
    out = tmp_path / "overlay.png"
    assert command("predict", run.path, picture, "--out", out).refuses("noise: it looks unlike", "--anyway")
    assert not out.exists()
    answer = command("predict", run.path, picture, "--out", out, "--anyway")
    assert answer.code == 0 and out.exists(), answer.err


def test_the_commands(run, packed, home, tmp_path, command):
    file = tmp_path / "model.zip"
    answer = command("model", "pack", run.path, file)
    assert answer.code == 0 and f"sha256: {packed[1]}" in answer.out, answer.err
    assert files.sha256_file(file) == packed[1]
    taken = command("model", "get", file, "--sha256", packed[1])
    assert taken.code == 0 and "Dice, mean of patients" in taken.out and "Research use only" in taken.out
    assert command("model", "get", file, "--sha256", "0" * 64).refuses("SHA-256", "expected 000000000000")
    assert command("model", "pack", run.path, tmp_path / "model.txt").refuses("model.txt", ".zip")
    assert isinstance(RunFolder(run.path).facts("status"), dict)
