"""`score` as a stranger types it: folders of nnU-Net and MONAI, CSVs, two sets, and one line for what does not fit."""

import html
import json
import shutil

import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage

from brain_tumor.cli import score as score_verb
from brain_tumor.evaluation import surface, wording
from brain_tumor.report.pages import predictions

NAMES = [f"BRATS_{number:03d}" for number in range(1, 7)]
AFFINE = np.array([[-0.9, 0, 0, 90], [0, -0.8, 0, 120], [0, 0, 5.0, -40], [0, 0, 0, 1]])
PATTERN = r"(?P<patient>BRATS_\d+)"


@pytest.fixture
def figures():
    """The page has its figures; without this fixture it has none, which is quick."""


@pytest.fixture(autouse=True)
def quick(monkeypatch, request):
    """Figures are tested once."""
    if "figures" not in request.fixturenames:
        monkeypatch.setattr(predictions.Report, "drawings", lambda _report: {})


def masks_of(number, shift=0):
    """``(Z, H, W)``: a disc that grows with the case's number; a false alarm on the first slice of a shifted one."""
    z, y, x = np.ogrid[:5, :24, :20]
    disc = ((y - 11) ** 2 + (x - 9 - shift) ** 2 < (2 + number / 2) ** 2) & (z > 0) & (z < 4)
    disc[0, 2, 2] = shift > 0
    return disc.astype(np.uint8)


def write(folder, volumes, affine=AFFINE, name="{}.nii.gz"):
    for case, planes in volumes.items():
        path = folder / name.format(case)
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.Nifti1Image(planes.transpose(2, 1, 0), affine).to_filename(path)
    return folder


@pytest.fixture
def truth(tmp_path):
    return write(tmp_path / "labelsTr", {name: masks_of(number) for number, name in enumerate(NAMES)})


@pytest.fixture
def nnunet(tmp_path):
    """What nnU-Net leaves behind: a volume a case, and files beside them."""
    folder = write(tmp_path / "nnunet", {name: masks_of(number, 1) for number, name in enumerate(NAMES)})
    for name in ("dataset.json", "plans.json", "BRATS_001.npz", "BRATS_001.pkl"):
        (folder / name).write_bytes(b"{}")
    return folder


@pytest.fixture
def monai(tmp_path):
    """What MONAI leaves behind: a folder a case; here probabilities."""
    soft = {name: ndimage.gaussian_filter(masks_of(number).astype(np.float32), (0, 1, 1)) for number, name in enumerate(NAMES)}
    return write(tmp_path / "monai", soft, name="{0}/{0}_seg.nii.gz")


@pytest.fixture
def score(command, truth, tmp_path):
    """``score("--predictions", folder)``, of that truth, into ``tmp_path / "out"``."""
    return lambda *words: command("score", "--truth", truth, *words, "--out", tmp_path / "out")


@pytest.fixture
def content(tmp_path):
    """``content()``: the JSON that was written."""
    return lambda: json.loads((tmp_path / "out" / "score.json").read_text())


def test_nnunets_folder_is_taken_as_it_is(score, nnunet, content, tmp_path, figures):
    answer = score("--predictions", nnunet, "--pattern", PATTERN)
    assert answer.code == 0, answer.err
    for words in ("Worst cases", "HD95 mean, mm", "patient mean", "passed over 2 .json, 1 .npz, 1 .pkl", "read as masks"):
        assert words in answer.out, words
    (each,) = content()["predictions"]
    assert each["patients_known"] and each["patients"] == 6 and each["slices"] == 30 and not each["unpaired"]
    reference = []
    for number in range(6):
        ours, theirs = masks_of(number, 1).astype(bool), masks_of(number).astype(bool)
        reference.append(2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()))
    mean = next(number for number in each["numbers"] if number["name"].endswith("patient mean"))
    assert mean["value"] == pytest.approx(np.mean(reference), abs=1e-12)
    assert mean["low"] < mean["value"] < mean["high"]
    far = [surface.compare(masks_of(number, 1), masks_of(number), spacing=(5.0, 0.8, 0.9))["hd95"] for number in range(6)]
    boundary = next(number for number in each["numbers"] if number["name"].endswith("HD95 mean, cases, 3-D"))
    assert boundary["value"] == pytest.approx(np.mean(far)) and boundary["unit"] == "mm"
    page = (tmp_path / "out" / "score.html").read_text()
    assert page.index("What was scored") < page.index("Worst cases") < page.index("Boundary") and page.count("data:image") >= 6


def test_a_zip_is_taken_as_the_folder_that_it_holds(score, nnunet, content, home, tmp_path):
    (nnunet / "__MACOSX").mkdir()
    (nnunet / "__MACOSX" / "._BRATS_001.nii.gz").write_bytes(b"")
    shutil.make_archive(str(tmp_path / "submission"), "zip", nnunet.parent, nnunet.name)
    answer = score("--predictions", tmp_path / "submission.zip", "--pattern", PATTERN)
    assert answer.code == 0, answer.err
    (each,) = content()["predictions"]
    assert each["name"] == "submission" and each["slices"] == 30


def test_without_a_patient_there_is_no_interval(score, nnunet, content, tmp_path):
    answer = score("--predictions", nnunet)
    assert answer.code == 0, answer.err
    assert "Patients are not known (BRATS_001 tells none)" in answer.out and "--each-file-a-patient" in answer.out
    (each,) = content()["predictions"]
    assert all(number["low"] is number["high"] is None for number in each["numbers"])
    assert pd.read_csv(tmp_path / "out" / "scores.csv").low.isna().all()
    assert score("--predictions", nnunet, "--each-file-a-patient").code == 0
    assert content()["predictions"][0]["numbers"][0]["low"] is not None


def test_the_fold_of_nnunet_gives_floors_that_learn(score, nnunet, content, tmp_path):
    (tmp_path / "splits_final.json").write_text(json.dumps([{"train": NAMES[:3], "val": NAMES[3:]}]))
    answer = score("--predictions", nnunet, "--split", tmp_path / "splits_final.json", "--pattern", PATTERN)
    assert answer.code == 0, answer.err
    (each,) = content()["predictions"]
    assert each["patients"] == 3 and any("flatters the score" in note for note in each["notes"])
    assert any("3 predicted cases are in other parts" in note for note in each["notes"])
    assert any("mean mask at position" in number["protocol"] for number in each["numbers"])


def test_a_prediction_that_does_not_say_where_it_lies_is_taken_to_lie_as_its_mask_does(score, nnunet, content):
    assert score("--predictions", nnunet).code == 0
    reference = content()["predictions"][0]["numbers"]
    write(nnunet, {name: masks_of(number, 1) for number, name in enumerate(NAMES)}, None)
    answer = score("--predictions", nnunet)
    assert answer.code == 0 and "6 predictions do not say where their voxels lie" in answer.out
    assert content()["predictions"][0]["numbers"] == reference


def test_two_sets_are_compared_by_pairs(score, nnunet, monai, content, tmp_path):
    answer = score("--predictions", monai, "--predictions", nnunet, "--each-file-a-patient", "--margin", 0.1)
    assert answer.code == 0, answer.err
    assert "Against nnunet" in answer.out and "paired by patient (6 patients)" in answer.out and "margin of 0.1" in answer.out
    assert [each["name"] for each in content()["predictions"]] == ["monai", "nnunet"]
    table = pd.read_csv(tmp_path / "out" / "comparison.csv").set_index("protocol")
    means = [pd.read_csv(tmp_path / "out" / name / "cases.csv").dice.mean() for name in ("monai", "nnunet")]
    assert table.difference["patient mean"] == pytest.approx(means[0] - means[1])
    assert not (tmp_path / "out" / "nnunet" / "calibration.csv").exists(), "masks hold no probabilities"
    assert (tmp_path / "out" / "monai" / "calibration.csv").exists()


def test_exams_of_one_patient_are_drawn_together(score, nnunet, content, tmp_path):
    spelt = ["P-1", "p_01", "P-2", "P-2", "P-3", "P 3"]
    rows = "".join(f"{name}.nii.gz,{spelt[number]},{'AB'[number % 4 > 1]}\n" for number, name in enumerate(NAMES))
    (tmp_path / "table.csv").write_text(f"file,patient,site\n{rows}")
    answer = score("--predictions", nnunet, "--table", tmp_path / "table.csv")
    assert answer.code == 0, answer.err
    assert "6 exams of 3 patients" in answer.out and "By site" in answer.out and "2 names changed" in answer.out
    (each,) = content()["predictions"]
    assert each["patients"] == 3 and each["slices"] == 30


def test_slices_stand_against_a_volume_and_pixels_where_no_spacing_is_known(command, tmp_path):
    for number, name in enumerate(NAMES):
        for plane, mask in enumerate(masks_of(number), 1):
            path = tmp_path / "truth" / name / f"{name}-s{plane}_mask.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask * 255).save(path)
    write(tmp_path / "p", {name: masks_of(number, 1) for number, name in enumerate(NAMES)}, None)
    pattern = r"(?P<case>(?P<patient>BRATS_\d+))(-s(?P<slice>\d+))?$"
    answer = command(
        "score", "--truth", tmp_path / "truth", "--predictions", tmp_path / "p", "--pattern", pattern, "--out", tmp_path / "out"
    )
    assert answer.code == 0, answer.err
    assert "HD95 mean, px" in answer.out and "cases, 3-D" in answer.out and "no spacing" in answer.out


def test_labels_of_slices_are_judged_as_a_classifier_is(command, tmp_path, content):
    (tmp_path / "truth.csv").write_text(
        "case,slice,label\n" + "".join(f"p{i},{j},{int(j > 2)}\n" for i in range(6) for j in range(5))
    )
    rows = "".join(f"p{i};{j};{0.25 + 0.15 * j:.2f}\n" for i in range(6) for j in range(5))
    (tmp_path / "p.csv").write_text(f"case;slice;probability\n{rows}")
    words = [
        "--truth",
        tmp_path / "truth.csv",
        "--predictions",
        tmp_path / "p.csv",
        "--each-file-a-patient",
        "--out",
        tmp_path / "out",
    ]
    answer = command("score", *words)
    assert answer.code == 0, answer.err
    (each,) = content()["predictions"]
    values = {number["name"].rsplit(", ", 1)[-1]: number["value"] for number in each["numbers"]}
    assert values["AUC"] == 1 and values["accuracy"] == pytest.approx(24 / 30)
    assert "never of diagnosis" in answer.out and "constant answer" in answer.out


def test_a_folder_keeps_no_table_of_what_was_scored_into_it_before(score, nnunet, monai, tmp_path):
    assert score("--predictions", monai).code == 0 and (tmp_path / "out" / "calibration.csv").exists()
    answer = score("--predictions", nnunet)
    assert answer.code == 0 and "Calibration" not in answer.out and not (tmp_path / "out" / "calibration.csv").exists()


def test_masks_without_any_tumour_have_scores_in_words(command, tmp_path, figures):
    for folder in ("truth", "p"):
        write(tmp_path / folder, {name: np.zeros_like(masks_of(0)) for name in NAMES})
    words = ["--truth", tmp_path / "truth", "--predictions", tmp_path / "p", "--each-file-a-patient", "--out", tmp_path / "out"]
    answer = command("score", *words)
    assert answer.code == 0, answer.err
    assert "undefined" in answer.out and "nan" not in answer.out
    page = html.unescape((tmp_path / "out" / "score.html").read_text())
    assert wording.MEANING in page and f"{wording.MEANING} {wording.MEANING}" not in page


def spoil(nnunet, name="BRATS_002.nii.gz", planes=None, affine=AFFINE):
    path = nnunet / name
    nibabel.Nifti1Image((masks_of(1, 1) if planes is None else planes).transpose(2, 1, 0), affine).to_filename(path)


MOVED = AFFINE + np.array([[0, 0, 0, 2.0]] + [[0] * 4] * 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "BRATS_002.nii.gz").unlink(), ["mask of BRATS_002: no prediction", "--split", "--paired-only"]),
        (lambda folder: spoil(folder, "BRATS_099.nii.gz"), ["prediction of BRATS_099: no mask", "--paired-only"]),
        (lambda folder: spoil(folder, planes=masks_of(1)[:, :, :-1]), ["BRATS_002.nii.gz: 19 x 24 pixels", "has 20 x 24"]),
        (lambda folder: spoil(folder, planes=masks_of(1)[:-1]), ["BRATS_002.nii.gz: 4 planes", "has 5"]),
        (lambda folder: spoil(folder, affine=MOVED), ["BRATS_002.nii.gz: lies elsewhere", "differ by 2", "resample"]),
        (lambda folder: spoil(folder, planes=masks_of(1) * np.uint8(2)), ["numbers 1, 2", "--label"]),
    ],
    ids=["missing", "extra", "shape", "planes", "affine", "labels"],
)
def test_what_does_not_fit_is_refused_in_one_line(score, nnunet, change, words, tmp_path):
    change(nnunet)
    assert score("--predictions", nnunet).refuses(*words)
    assert not (tmp_path / "out" / "scores.csv").exists()


def test_pairs_alone_are_scored_when_asked_and_the_rest_is_listed(score, nnunet, content):
    (nnunet / "BRATS_002.nii.gz").unlink()
    spoil(nnunet, "BRATS_099.nii.gz")
    answer = score("--predictions", nnunet, "--paired-only")
    assert answer.code == 0, answer.err
    (each,) = content()["predictions"]
    assert each["unpaired"] == ["mask of BRATS_002: no prediction", "prediction of BRATS_099: no mask"] and each["patients"] == 5


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["--predictions", "nowhere"], "nowhere: no such file or folder"),
        (["--predictions", "{nnunet}", "--threshold", 1.5], "--threshold 1.5"),
        (["--predictions", "{nnunet}", "--margin", 0.1], "--margin is of a comparison"),
        (["--predictions", "{nnunet}", "--fold", 1], "--fold is of nnU-Net"),
        (["--predictions", "{nnunet}", "--pattern", r"(?P<patient>case\d)"], "says nothing of 6 of 6 files, such as BRATS_001"),
        (["--predictions", "{nnunet}", "--cohort", "phantom", "--each-file-a-patient"], "give one of them"),
        (["--predictions", "{nnunet}/BRATS_001.nii.gz"], "no folder, zip or CSV"),
        (["--predictions", "{nnunet}", "--predictions", "{nnunet}", "--predictions", "{nnunet}"], "expected once or twice"),
    ],
)
def test_options_that_cannot_be_met_are_refused_before_any_work(score, nnunet, words, refusal):
    assert score(*(str(word).replace("{nnunet}", str(nnunet)) for word in words)).refuses(refusal)


def test_a_page_of_patients_masks_is_refused_among_the_reports_before_any_work(command, truth, nnunet, tmp_path, monkeypatch):
    reports = tmp_path / "reports"
    monkeypatch.setenv("BRAIN_TUMOR_REPORTS", str(reports))
    monkeypatch.setattr(score_verb, "_judge", lambda _request: pytest.fail("scored"))
    answer = command("score", "--truth", truth, "--predictions", nnunet, "--out", reports / "mine")
    assert answer.refuses("patients' masks, so it is not published", reports / "local")
    assert not reports.exists()
