"""Cohorts of tables alone and runs that were never trained, where a test asks what becomes of runs, not how they come about.

Slice ``n`` of a stubbed case is predicted as an empty plane but for its first pixel, of probability ``n / 255``, so that a test
can see which slice it holds; a classifier's probability has a little more that tells one run from another.
"""

import zlib
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from brain_tumor.data.cache import Store
from brain_tumor.data.cohort import Cohort
from brain_tumor.evaluation import ceiling, overlap
from brain_tumor.experiments import crossval, run as experiment
from brain_tumor.experiments.recipe import ClassificationRecipe, SegmentationRecipe
from brain_tumor.inference.predict import Prediction
from brain_tumor.training.runs import now

NATIVE, WORKING = 32, 16
RECIPES = {
    "segmentation": SegmentationRecipe(cohort="phantom", model="resunet", size=WORKING),
    "classification": ClassificationRecipe(cohort="phantom", model="plain", size=WORKING),
}


def table_store(sites, data_hash="d" * 64, phantom=True):
    """A store without pixels: ``table_store({"CS": [3, 2], "EZ": [4]})`` has two patients of CS, of three and two slices.

    Every second slice holds tumour.
    """
    counts = {f"TCGA_{site}_{n:04d}": (site, slices) for site, each in sites.items() for n, slices in enumerate(each)}
    rows = [(case_id, counts[case_id][0], number) for case_id in sorted(counts) for number in range(1, counts[case_id][1] + 1)]
    slices = pd.DataFrame(rows, columns=["case_id", "site", "slice"])
    slices["tumour_px"] = (slices.slice % 2 == 0).astype(int)
    cases = slices.groupby("case_id").agg(site=("site", "first"), slices=("slice", "size"))
    cases["never_tested"] = cases.site == "EZ"
    cohort = Cohort("phantom" if phantom else "lgg", Path("nowhere"), ("pre", "flair", "post"), (), phantom)
    return Store(cohort, Path("nowhere"), NATIVE, np.empty(0), np.empty(0), np.empty(0), slices, cases, {}, data_hash)


@contextmanager
def stubbed(store, home, threshold=0.5):
    """Within: cross-validations of ``store`` in ``home`` whose runs are made here; gives the names of those made."""
    made = []

    def train(recipe, cohort, on_start=None):
        run = experiment.run_folder(recipe, store)
        split = experiment.make_split(recipe, store)
        if run.status != "finished":
            made.append(recipe.split)
            run.update(
                status="finished", recipe=recipe.to_json(), training_seconds=60.0, parameters=7, precision="float32",
                encoder=None, phantom=store.cohort.phantom, parts={"test": {"slices": len(split.rows("test", store.slices))}},
                **experiment.content(recipe, store, split),
            )  # fmt: skip
            split.save(run.path / "split.json")
            metric = {"segmentation": "dice", "classification": "accuracy"}[recipe.TASK]
            row = {"epoch": 1, "stage": "all", "loss": 1.0, metric: 0.5, "learning_rate": 1e-3, "seconds": 60.0}
            pd.DataFrame([row]).to_csv(run.path / "history.csv", index=False)
            if on_start:
                on_start(run)
        return run

    def tested(run):
        split = experiment.make_split(experiment.finished_recipe(run), store)
        return store.slices.iloc[split.rows("test", store.slices)]

    def outline(run, cohort):
        tables = []
        for case_id, rows in tested(run).groupby("case_id"):
            native = np.zeros((len(rows), NATIVE, NATIVE), np.uint8)
            native[:, 0, 0] = rows.slice
            working = native[:, ::2, ::2]
            Prediction(case_id, rows.slice.to_numpy(), native, working).save(run.path / "predictions")
            for planes in (working, native):
                truth = np.zeros_like(planes)
                truth[:, 0, 0] = rows.tumour_px
                counted = overlap.count(planes, truth, threshold=0.01)
                tables.append(counted.assign(case_id=case_id, slice=rows.slice.to_numpy(), size=planes.shape[1]))
        counts = pd.concat(tables)[list(overlap.COLUMNS)]
        floors = [overlap.all_empty(counts).assign(floor="all empty"), counts.assign(floor="mean mask at position")]
        native = counts[(counts["size"] == NATIVE) & (counts.tp + counts.fn > 0)]
        returned = native.assign(tp=native.tp + native.fn, fp=0, fn=0)[list(ceiling.COLUMNS)]
        finish(run, counts=counts, floors=pd.concat(floors)[["floor", *overlap.COLUMNS]], ceiling=returned)

    def call(run, cohort):
        rows = tested(run)
        own = zlib.crc32(run.path.name.encode()) % 30 / 1e4
        slices = rows.assign(tumour=rows.tumour_px > 0, probability=rows.slice / 255 + own)
        slices = slices[["case_id", "slice", "tumour", "probability"]]
        floors = slices.assign(floor="always no", probability=0.0)
        run.update(threshold=threshold)
        finish(run, slices=slices, floors=floors[["floor", *slices.columns]])

    def evaluate(run, cohort):
        {"segmentation": outline, "classification": call}[run.description["recipe"]["task"]](run, cohort)

    def finish(run, **tables):
        for name, table in tables.items():
            table.to_csv(run.path / f"{name}.csv", index=False)
        run.update(scored=now(), inference_seconds=6.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAIN_TUMOR_HOME", str(home))
        patch.setattr(crossval, "open_store", lambda _cohort: store)
        for module in (crossval, experiment):
            patch.setattr(module, "train", train)
            patch.setattr(module, "evaluate", evaluate)
        patch.setattr(keras.utils, "clear_session", lambda: None)
        yield made
