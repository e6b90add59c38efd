"""Finished, scored runs made by hand, so that no test here has to train: moved masks, or noisy labels, as the prediction."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from brain_tumor import files
from brain_tumor.data.cache import open_store
from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.recipe import ClassificationRecipe, SegmentationRecipe
from brain_tumor.inference.predict import Prediction
from brain_tumor.models import saved
from brain_tumor.training.plan import Stage
from brain_tumor.training.runs import RunFolder

SAME = {"cohort": "phantom", "split": "ratio-50", "size": 32, "stages": (Stage("all", epochs=3),), "batchnorm_momentum": 0.9}
RECIPE = SegmentationRecipe(**SAME, model="resunet")
CLASSIFIER = ClassificationRecipe(**SAME, model="resnet18")
# The tables of a run that was scored before there was more than Dice.
EARLIER = ("history.csv", "counts.csv", "cases.csv", "scores.csv")


@pytest.fixture
def reports(tmp_path, monkeypatch):
    """An empty ``reports/`` of its own."""
    folder = tmp_path / "reports"
    monkeypatch.setenv("BRAIN_TUMOR_REPORTS", str(folder))
    return folder


@pytest.fixture(scope="session")
def store(phantom_cohort):
    """The phantom at native size."""
    return open_store(phantom_cohort)


@pytest.fixture
def trained(tmp_path, store, monkeypatch):
    """``trained(recipe, phantom)``: a run folder as training leaves it behind; its network is never asked."""
    monkeypatch.setattr(saved, "load_described", lambda *_arguments: (None, {"predictor": {}}))

    def train(recipe, phantom):
        run = RunFolder(tmp_path / "runs" / experiment.run_folder(recipe, store).path.name)
        split = experiment.make_split(recipe, store)
        split.save(run.path / "split.json")
        epochs, watched = np.arange(1, 4), "dice" if recipe.TASK == "segmentation" else "accuracy"
        history = pd.DataFrame({"epoch": epochs, "stage": "all", "loss": 1 / epochs, watched: 1 - 1 / epochs})
        history.assign(learning_rate=1e-3, seconds=2.0).to_csv(run.path / "history.csv", index=False)
        model = {"constructor": recipe.model, "arguments": {"size": 32}, "weights_sha256": "0" * 64, "predictor": {}}
        files.write_json(run.path / "model.json", model)
        (run.path / "model.weights.h5").write_bytes(b"weights that no record may hold")
        parts = {}
        for name in ("train", "validation", "test"):
            rows = store.slices.iloc[split.rows(name, store.slices)]
            with_tumour = int((rows.tumour_px > 0).sum())
            parts[name] = {"patients": rows.case_id.nunique(), "slices": len(rows), "tumour_slices": with_tumour}
        machine = {
            "backend": "tensorflow",
            "cores": 2,
            "machine": "x86_64",
            "python": "3.11.7",
            "threads": {"intra_op": 1, "inter_op": 1},
        }
        machine["packages"] = {"keras": "3.15.1"}
        run.update(
            status="finished", started="2026-01-01T00:00:00Z", ended="2026-01-01T00:10:00Z", recipe=recipe.to_json(),
            precision="float32", parameters=2_078_961, phantom=phantom, environment=machine, parts=parts,
            training_seconds=600.0, **experiment.content(recipe, store, split),
        )  # fmt: skip
        return run, split

    return train


@pytest.fixture
def make_run(trained, phantom_cohort, store):
    """``make_run(phantom=False, seed=1, shift=2)``: a segmentation run as training and scoring leave it behind.

    With ``earlier=True`` as a version left it that scored nothing but Dice.
    """

    def make(phantom=True, seed=0, shift=1, earlier=False, **changes):
        recipe = replace(RECIPE, seed=seed, **changes)
        run, split = trained(recipe, phantom)
        tested = store.slices.iloc[split.rows("test", store.slices)]
        for case_id, slices in tested.groupby("case_id"):
            masks = {size: open_store(phantom_cohort, size).masks[slices.index] for size in (recipe.size, store.size)}
            planes = {size: np.roll(of_size, shift, axis=1) * np.uint8(255) for size, of_size in masks.items()}
            numbers = slices.slice.to_numpy()
            Prediction(case_id, numbers, planes[store.size], planes[recipe.size]).save(run.path / "predictions")
        experiment.evaluate(run, phantom_cohort)
        run.update(scored="2026-01-01T00:11:00Z", inference_seconds=3.0)
        if earlier:
            for path in set(run.path.glob("*.csv")) - {run.path / name for name in EARLIER}:
                path.unlink()
            scores = pd.read_csv(run.path / "scores.csv").drop(columns="floor_name")
            scores.assign(floor=0.0).to_csv(run.path / "scores.csv", index=False)
        return run

    return make


@pytest.fixture
def make_classifier(trained, phantom_cohort, store):
    """``make_classifier(phantom=False, noise=0.2, validation=0.4)``: a scored classification run."""

    def make(phantom=True, seed=0, noise=0.3, **changes):
        recipe = replace(CLASSIFIER, seed=seed, **changes)
        run, split = trained(recipe, phantom)
        rng = np.random.default_rng(seed)
        for part, name in {"test": "slices.csv", "validation": "validation-slices.csv"}.items():
            slices = store.slices.iloc[split.rows(part, store.slices)]
            tumour = slices.tumour_px > 0
            probability = np.clip(0.2 + 0.6 * tumour + rng.normal(0, noise, len(slices)), 0, 1).round(6)
            slices[["case_id", "slice"]].assign(tumour=tumour, probability=probability).to_csv(run.path / name, index=False)
        experiment.evaluate(run, phantom_cohort)
        run.update(scored="2026-01-01T00:11:00Z")
        return run

    return make
