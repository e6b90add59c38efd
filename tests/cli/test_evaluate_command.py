"""`evaluate` and `runs` as a person types them: what is printed and written for both tasks, and what is refused in one line."""

import shutil

import pandas as pd
import pytest

from brain_tumor import files
from brain_tumor.data.opening import open_cohort
from brain_tumor.data.phantom import write_phantom
from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.recipe import ClassificationRecipe, SegmentationRecipe
from brain_tumor.training.plan import Stage

SAME = {"cohort": "lgg", "split": "ratio-34", "size": 32, "stages": (Stage("all", 1),), "batch_size": 8, "precision": "float32"}
BEGINNINGS = {"segmentation": "phantom-ratio-34-resunet", "classification": "phantom-ratio-34-plain"}  # of the runs' names
SEGMENTATION, CLASSIFICATION = (
    SegmentationRecipe(model="resunet", model_arguments={"filters": (4, 8)}, **SAME),
    ClassificationRecipe(model="plain", **SAME, validation=0.4),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home with six drawn patients where the real ones would be, and a run of each task, its network left as it was drawn."""
    home = tmp_path_factory.mktemp("home")
    write_phantom(home / "data" / "kaggle_3m", patients=6, slices=(8, 10), size=64, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAIN_TUMOR_HOME", str(home))
        patch.setattr(experiment, "train_stages", lambda model, _stages, _batches, _loss, run, *_rest, **_options: epoch(run))
        for recipe in (SEGMENTATION, CLASSIFICATION):
            experiment.train(recipe, open_cohort("lgg"))
    return home


def epoch(run):
    """What training leaves of an epoch, without one."""
    run.write_history([{"epoch": 1, "stage": "all", "loss": 1.0, "learning_rate": 1e-3, "seconds": 2.0}])
    return []


@pytest.fixture
def home(made, monkeypatch):
    """That home."""
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(made))
    return made


@pytest.fixture
def name_of(home):
    """``name_of(recipe)``: the name of that recipe's run."""
    return lambda recipe: next((home / "runs").glob(f"{BEGINNINGS[recipe.TASK]}-*")).name


@pytest.fixture
def twin(home, command, name_of):
    """``twin(recipe)``: a scored copy of that recipe's run, under another name."""
    copies = []

    def copy(recipe, name="another-run"):
        assert command("evaluate", name_of(recipe)).code == 0
        copies.append(home / "runs" / name)
        return shutil.copytree(home / "runs" / name_of(recipe), copies[-1])

    yield copy
    for folder in copies:
        shutil.rmtree(folder)


def test_a_segmentation_is_told_patients_first(home, command, name_of):
    answer = command("evaluate", name_of(SEGMENTATION))
    assert answer.code == 0, answer.err
    places = [answer.out.index(f"\n{title} ") for title in ("Patients", "Scores", "Boundary", "By site", "By tumour area")]
    assert places == sorted(places)
    for words in ("no spacing in this data", "missed, invented", "slice position", "mean mask at position", "ECE", "AUC", "0.5"):
        assert words in answer.out, words
    assert "patient mean: Dice of each patient's volume" in answer.out
    assert "next: brain-tumor report" in answer.out
    written = {path.name for path in (home / "runs" / name_of(SEGMENTATION)).glob("*.csv")}
    assert {"boundary.csv", "subgroups.csv", "detection.csv", "calibration.csv", "floors.csv"} <= written


def test_a_classifier_is_told_with_its_threshold_and_temperature(home, command, name_of):
    answer = command("evaluate", name_of(CLASSIFICATION))
    assert answer.code == 0, answer.err
    for words in ("AUC", "sensitivity", "slice position", "slices, temperature", "never of diagnosis"):
        assert words in answer.out, words


def test_runs_lists_both_tasks_with_their_floors(home, command, name_of):
    for recipe in (SEGMENTATION, CLASSIFICATION):
        assert command("evaluate", name_of(recipe)).code == 0
    lines = command("runs").out
    for recipe, scores in ((SEGMENTATION, ("slice, empty = 1", "patient mean")), (CLASSIFICATION, ("AUC", "accuracy"))):
        assert name_of(recipe) in lines
        table = pd.read_csv(home / "runs" / name_of(recipe) / "scores.csv")
        table = table.rename(columns={"dice": "value", "protocol": "measure"})
        table = table[table["size"] == 32] if "size" in table else table
        for row in table[table.measure.isin(scores)].itertuples():
            assert f"{row.measure} {row.value:.3f} ({row.floor:.3f})" in lines


@pytest.mark.parametrize("recipe", [SEGMENTATION, CLASSIFICATION], ids=["segmentation", "classification"])
def test_against_another_run_nothing_can_be_told_of_two_patients(home, command, name_of, twin, recipe):
    other = twin(recipe)
    answer = command("evaluate", name_of(recipe), "--against", "another", "--margin", "0.05")
    assert answer.code == 0, answer.err
    for words in (f"\nAgainst {other.name}", "verdict", "not decidable", "paired by patient (2 patients)", "margin of 0.05"):
        assert words in answer.out, words
    table = pd.read_csv(home / "runs" / name_of(recipe) / f"against-{other.name}.csv")
    assert (table.difference == 0).all() and set(table.verdict) == {"not decidable"}


def test_tables_are_written_as_markdown_and_html(home, command, name_of, twin, tmp_path):
    twin(SEGMENTATION)
    files = {kind: tmp_path / f"tables.{kind}" for kind in ("markdown", "html")}
    options = [word for kind, path in files.items() for word in (f"--{kind}", path)]
    answer = command("evaluate", name_of(SEGMENTATION), "--against", "another", *options)
    assert answer.code == 0, answer.err
    for path in files.values():
        text = path.read_text()
        assert str(path) in answer.out
        assert text.index("Patients") < text.index("Scores") < text.index("Against another-run")
        assert "what it means" in text and "RNASeq cluster" in text, "what a terminal has no room for"


def same_numbers(run, out, size):
    """Every table of ``out`` holds the run's own numbers at native size, digit for digit; the names of those tables."""
    names = {path.name for path in out.glob("*.csv")}
    for name in names:
        ours, theirs = pd.read_csv(run / name), pd.read_csv(out / name)
        ours = ours[ours["size"] == size] if "size" in ours else ours
        ours = ours[ours.of.isin(["slices", "pixels"])] if name == "calibration.csv" else ours
        ours = ours.drop(columns="ceiling", errors="ignore").reset_index(drop=True)
        pd.testing.assert_frame_equal(theirs, ours, check_exact=True, obj=name)
    return names


@pytest.mark.parametrize("kind", ["png", "nifti"])
def test_an_exported_run_scores_as_the_run_itself_digit_for_digit(home, command, name_of, tmp_path, kind):
    run = home / "runs" / name_of(SEGMENTATION)
    answer = command("evaluate", run.name, "--export", kind, tmp_path / "export")
    assert answer.code == 0, answer.err
    advice = next(line for line in answer.out.splitlines() if line.startswith("next: brain-tumor score "))
    scored = command(*advice.removeprefix("next: brain-tumor ").split(), "--out", tmp_path / "out")
    assert scored.code == 0, scored.err
    assert same_numbers(run, tmp_path / "out", 64) >= {
        "scores.csv", "cases.csv", "counts.csv", "counts_largest.csv", "boundary_scores.csv", "subgroups.csv", "detection.csv",
        "calibration.csv", "floors.csv",
    }  # fmt: skip


def test_a_classifiers_slices_score_as_the_run_itself_digit_for_digit(home, command, name_of, tmp_path):
    run = home / "runs" / name_of(CLASSIFICATION)
    assert command("evaluate", run.name).code == 0
    threshold = files.read_json(run / "run.json")["threshold"]
    scored = command(
        "score", "--truth", home / "data" / "kaggle_3m", "--predictions", run / "slices.csv", "--split", run / "split.json",
        "--cohort", "lgg", "--threshold", threshold, "--out", tmp_path / "out",
    )  # fmt: skip
    assert scored.code == 0, scored.err
    assert same_numbers(run, tmp_path / "out", 64) == {
        "slices.csv", "scores.csv", "floors.csv", "cases.csv", "subgroups.csv", "calibration.csv"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("recipe", "kind", "words"),
    [
        (SEGMENTATION, "gif", "--export gif, expected png or nifti"),
        (CLASSIFICATION, "png", "slices.csv as it is"),
    ],
    ids=["format", "classifier"],
)
def test_what_cannot_be_exported_is_refused_before_any_work(command, name_of, tmp_path, recipe, kind, words):
    assert command("evaluate", name_of(recipe), "--export", kind, tmp_path / "export").refuses(words)
    assert not (tmp_path / "export").exists()


def spoil_slices(folder):
    counts = pd.read_csv(folder / "counts.csv")
    counts[counts.slice > 1].to_csv(folder / "counts.csv", index=False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--margin", "0.1"], ["--margin", "--against"]),
        (["--against", "no-such-run"], ["no-such-run"]),
        (["--against", "another", "--margin", "0"], ["--margin 0", "above 0"]),
        (["--against", "another", "--margin", "nan"], ["--margin nan"]),
        (["--against", BEGINNINGS["classification"]], ["a run of classification", "one of segmentation"]),
        (["--against", "another"], ["another-run", "the same test slices"]),
    ],
    ids=["margin of nothing", "unknown", "no margin", "NaN", "another task", "other slices"],
)
def test_comparisons_that_make_no_sense_are_refused(home, command, name_of, twin, options, words):
    assert command("evaluate", name_of(CLASSIFICATION)).code == 0
    spoil_slices(twin(SEGMENTATION))
    assert command("evaluate", name_of(SEGMENTATION), *options).refuses(*words)
    assert not list((home / "runs" / name_of(SEGMENTATION)).glob(f"against-{BEGINNINGS['classification']}*"))


def test_a_spoilt_prediction_is_refused_and_nothing_is_written(home, command, name_of):
    assert command("evaluate", name_of(SEGMENTATION)).code == 0
    run = home / "runs" / name_of(SEGMENTATION)
    path = next((run / "predictions").glob("*.npz"))
    whole, before = path.read_bytes(), (run / "scores.csv").stat().st_mtime_ns
    path.write_bytes(whole[:100])
    try:
        assert command("evaluate", name_of(SEGMENTATION)).refuses(path)
        assert (run / "scores.csv").stat().st_mtime_ns == before
    finally:
        path.write_bytes(whole)
