"""A run's folder that was half copied: every command names the file in one line, says what to do, and lists the other runs."""

import json
import shutil

import numpy as np
import pytest

from brain_tumor.data.opening import open_cohort
from brain_tumor.data.phantom import write_phantom
from brain_tumor.errors import BrainTumorError, RunError
from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.recipe import SegmentationRecipe
from brain_tumor.records import records
from brain_tumor.training import stages
from brain_tumor.training.plan import Stage
from brain_tumor.training.runs import RunFolder

RECIPE = SegmentationRecipe(
    split="ratio-34", model="resunet", size=32, stages=(Stage("all", 2),), batch_size=8, precision="float32",
    model_arguments=(("filters", (4,)),),
)  # fmt: skip
ROW = {"epoch": 1, "stage": "all", "loss": 1.0, "dice": 0.5, "learning_rate": 1e-3, "seconds": 1.0}
NAME = "half-copied"
DAMAGES = {
    "empty": lambda whole: b"",
    "cut short": lambda whole: whole[: len(whole) // 2],
    "zeros at its end": lambda whole: whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2),
    "garbage": lambda whole: np.random.default_rng(0).bytes(500),
    "missing": None,
}
PREDICTION = "predictions/*.npz"
OPTIMISER = "checkpoint-*/optimiser.npz"
# A command -> the files that it reads.
READ = {
    "resume": ("run.json",),
    "checkpoint": ("checkpoint-*/state.json", "checkpoint-*/checkpoint.weights.h5", OPTIMISER),
    "evaluate": ("run.json", "split.json", "model.json", "model.weights.h5", PREDICTION),
    "predict": ("run.json", "model.json", "model.weights.h5"),
    "runs": ("run.json", "history.csv", "scores.csv"),
    "report": ("run.json", "history.csv", "scores.csv", "cases.csv", "counts.csv", PREDICTION),
    "commit": ("run.json", "split.json", "history.csv", "model.json", "counts.csv", "floors.csv"),
}
HEALED = {("resume", "run.json"), ("evaluate", PREDICTION), ("report", PREDICTION), ("commit", "floors.csv")}  # where missing
CASES = [(door, name, damage) for door, names in READ.items() for name in names for damage in DAMAGES
         if not (damage == "missing" and (door, name) in HEALED)]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory, shared_command):
    """A home with six drawn patients, a run that was stopped after its first epoch, and the same run finished and scored.

    Their network is left as it was drawn.
    """
    home = tmp_path_factory.mktemp("home")
    write_phantom(home / "data" / "kaggle_3m", patients=6, slices=(8, 10), size=64, seed=1)

    def epoch(runner, network, stage, number, *_arguments):
        if number == 1:
            raise KeyboardInterrupt
        return ROW

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAIN_TUMOR_HOME", str(home))
        patch.setattr(stages, "_epoch", epoch)
        with pytest.raises(KeyboardInterrupt):
            experiment.train(RECIPE, open_cohort("lgg"))
        folder = next((home / "runs").iterdir())
        shutil.copytree(folder, home / "stopped")
        patch.setattr(stages, "_epoch", lambda *_arguments: ROW | {"epoch": 2})
        assert experiment.train(RECIPE, open_cohort("lgg")).status == "finished"
        scored = shared_command("evaluate", folder.name)
        assert scored.code == 0, scored.err
        shutil.move(folder, home / "finished")
    return home, folder.name


@pytest.fixture
def copy(made, monkeypatch):
    """``copy("stopped")`` or ``copy("finished")``: that run as the only one of the home."""
    home, name = made
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(home))
    monkeypatch.setenv("BRAIN_TUMOR_REPORTS", str(home / "reports"))
    monkeypatch.setattr(stages, "_epoch", lambda *_arguments: ROW | {"epoch": 2})

    yield lambda state: shutil.copytree(home / state, home / "runs" / (name if state == "stopped" else NAME))
    shutil.rmtree(home / "runs")
    shutil.rmtree(home / "reports", ignore_errors=True)


def spoil(folder, name, damage):
    """Damage the first file of that name; its path."""
    path = next(iter(sorted(folder.glob(name))))
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    return path


@pytest.fixture(scope="module")
def network():
    """The run's network, compiled as training does it."""
    model = experiment.build(RECIPE)
    model.compile(RECIPE.stages[0].make_optimiser(1), "mse", jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def resume(command, folder, network):
    experiment.train(RECIPE, open_cohort("lgg"))


def restore(command, folder, network):
    run = RunFolder(folder)
    assert run.read_checkpoint()[0] == 1
    run.checkpoint.restore_weights(network)
    run.checkpoint.restore_optimiser(network)


def commit(command, folder, network):
    RunFolder(folder).facts("phantom")
    records.commit_record(RunFolder(folder))


def typed(*words):
    """A door that is a command; its refusal is one line, and raised here."""

    def door(command, folder, network):
        answer = command(*words)
        if answer.code:
            answer.refuses()
            raise BrainTumorError(answer.err)

    return door


DOORS = {
    "resume": resume,
    "checkpoint": restore,
    "evaluate": typed("evaluate", NAME),
    "predict": typed("predict", NAME, "TCGA_CS_0001", "--out", "x.png"),
    "report": typed("report", NAME),
    "commit": commit,
}


@pytest.mark.parametrize(("door", "name", "damage"), [case for case in CASES if case[0] != "runs"])
def test_a_damaged_file_is_named_with_what_to_do(copy, command, network, door, name, damage):
    folder = copy("stopped" if door in ("resume", "checkpoint") else "finished")
    if door == "commit":
        RunFolder(folder).update(phantom=False)
    path = spoil(folder, name, damage)
    with pytest.raises(BrainTumorError) as refusal:
        DOORS[door](command, folder, network)
    message = str(refusal.value).strip()
    assert (str(path) if damage != "missing" else path.name) in message
    assert "\n" not in message
    remedies = ("copy it again", "copy the folder again", "is the run finished", "no such run", "remove it", "score the run")
    assert any(words in message for words in remedies)


@pytest.mark.parametrize("door", ["report", "commit"])
def test_counts_that_end_after_a_whole_line_are_not_all_slices(copy, command, door):
    folder = copy("finished")
    RunFolder(folder).update(phantom=False)
    path = folder / "counts.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:9]))
    with pytest.raises(BrainTumorError, match=r"counts.csv: damaged \(\d slices, the test part has \d+\); score the run again"):
        DOORS[door](command, folder, None)


@pytest.mark.parametrize("door", ["checkpoint", "commit"])
def test_a_whole_folder_is_taken(copy, command, network, door):
    folder = copy("stopped" if door == "checkpoint" else "finished")
    RunFolder(folder).update(phantom=False)
    DOORS[door](command, folder, network)


def test_training_says_what_to_remove_and_begins_anew_without_it(copy, monkeypatch):
    folder = copy("stopped")
    path = spoil(folder, OPTIMISER, "cut short")
    with pytest.raises(RunError, match=rf"{path}: damaged .cut short.*remove {path.parent} and the training begins anew"):
        experiment.train(RECIPE, open_cohort("lgg"))
    epochs = []
    monkeypatch.setattr(stages, "_epoch", lambda _runner, _network, _stage, number, *_more: epochs.append(number) or ROW)
    shutil.rmtree(path.parent)
    assert experiment.train(RECIPE, open_cohort("lgg")).status == "finished"
    assert epochs == [0, 1]


def test_a_resumed_training_writes_a_damaged_history_anew(copy):
    folder = copy("stopped")
    spoil(folder, "history.csv", "cut short")
    assert list(experiment.train(RECIPE, open_cohort("lgg")).history.epoch) == [1, 2]


@pytest.mark.parametrize(
    ("name", "damage"), [case[1:] for case in CASES if case[0] == "runs" and case[1:] != ("scores.csv", "missing")]
)
def test_a_damaged_run_hides_no_other(copy, command, name, damage):
    folder = copy("finished")
    shutil.copytree(folder, folder.with_name("whole"))
    spoil(folder, name, damage)
    listed = command("runs")
    assert listed.code == 0, listed.err
    rows = {row.split("│")[1].strip(): row for row in listed.out.splitlines() if "│" in row}
    assert "finished" in rows["whole"] and "damaged" in rows[NAME] and name in rows[NAME]


def foreign(folder):
    (folder / "run.json").write_text(json.dumps({"id": 1}))


def half(folder):
    (folder / "run.json").unlink()


def nested(folder):
    half(folder)
    (folder / "run.json").mkdir()


@pytest.mark.parametrize("spoilt", [foreign, half, nested])
def test_a_folder_that_is_no_run_is_named(copy, command, spoilt):
    folder = copy("finished")
    spoilt(folder)
    (folder.parent / "empty").mkdir()
    (folder.parent / "a file").write_text("no run")
    listed = command("runs")
    assert listed.code == 0 and "damaged" in listed.out and "run.json" in listed.out, listed.err
    assert command("evaluate", NAME).refuses(folder, "run.json")
    assert command("evaluate", folder).refuses(folder, "run.json")
