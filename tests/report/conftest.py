"""A finished, scored run made by hand, so that no test here has to train: the phantom's masks, moved, as the prediction."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from brain_tumor import files
from brain_tumor.data.cache import open_store
from brain_tumor.data.splits import named
from brain_tumor.evaluation import intervals, overlap, protocols
from brain_tumor.experiments.recipe import SegmentationRecipe
from brain_tumor.inference.predict import Prediction
from brain_tumor.training.runs import RunFolder
from brain_tumor.training.stages import Stage

RECIPE = SegmentationRecipe(
    cohort="phantom", split="ratio-50", model="resunet", size=32, stages=(Stage("all", epochs=3),), batchnorm_momentum=0.9
)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Intervals are not what is tested here."""
    monkeypatch.setattr(intervals, "RESAMPLES", 200)


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
def make_run(tmp_path, phantom_cohort, store):
    """``make_run(phantom=False, seed=1, shift=2)``: a run folder as training and scoring leave it behind."""

    def make(phantom=True, seed=0, shift=1, **changes):
        recipe = SegmentationRecipe(**{**{name: getattr(RECIPE, name) for name in asdict(RECIPE)}, "seed": seed, **changes})
        run = RunFolder(tmp_path / "runs" / recipe.run_id)
        split = named(recipe.split, store.cases, store.slices)
        split.save(run.path / "split.json")
        counts = []
        for case_id in split.test:
            masks = {size: open_store(phantom_cohort, size).masks for size in (recipe.size, store.size)}
            found = {size: (np.roll(of_size[store.rows_of(case_id)], shift, axis=1) * 255) for size, of_size in masks.items()}
            numbers = np.arange(1, len(found[store.size]) + 1)
            Prediction(case_id, numbers, found[store.size], found[recipe.size]).save(run.path / "predictions")
            for size, probability in found.items():
                table = overlap.count(probability, masks[size][store.rows_of(case_id)])
                counts.append(table.assign(case_id=case_id, slice=numbers, size=size))
        counts = pd.concat(counts)[list(overlap.COLUMNS)]
        at_native = counts[counts["size"] == store.size]
        epochs = np.arange(1, 4)
        history = pd.DataFrame({"epoch": epochs, "stage": "all", "loss": 1 / epochs, "dice": 1 - 1 / epochs})
        tables = {
            "counts": counts,
            "history": history.assign(learning_rate=1e-3, seconds=2.0),
            "cases": overlap.per_case(at_native).reset_index(),
            "scores": protocols.score(counts),
        }
        for name, table in tables.items():
            table.to_csv(run.path / f"{name}.csv", index=False)
        model = {"constructor": "resunet", "arguments": {"size": 32}, "weights_sha256": "0" * 64}
        files.write_json(run.path / "model.json", model)
        (run.path / "model.weights.h5").write_bytes(b"weights that no record may hold")
        with_tumour = int((at_native.tp + at_native.fn > 0).sum())
        part = {"patients": len(split.test), "slices": len(at_native), "tumour_slices": with_tumour}
        machine = {"backend": "tensorflow", "cores": 2, "machine": "x86_64", "packages": {"keras": "3.15.1"}, "python": "3.11.7"}
        run.update(
            status="finished", started="2026-01-01T00:00:00Z", ended="2026-01-01T00:10:00Z", scored="2026-01-01T00:11:00Z",
            recipe=asdict(recipe), precision="float32", parameters=2_078_961, phantom=phantom, environment=machine,
            parts={"train": part, "tune": dict.fromkeys(part, 0), "test": part}, data_hash=store.data_hash, split_hash=split.hash,
            training_seconds=600.0, inference_seconds=3.0,
        )  # fmt: skip
        return run

    return make
