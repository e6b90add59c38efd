"""What is refused, counted: new patients hardly, other pictures mostly."""

import numpy as np
import pytest
from PIL import Image

from brain_tumor.data import splits
from brain_tumor.data.cache import open_store
from brain_tumor.data.phantom import open_phantom
from brain_tumor.experiments.part import Part
from brain_tumor.experiments.recipe import SegmentationRecipe
from brain_tumor.inference import familiarity
from brain_tumor.studies.detect_and_localise import refusals


@pytest.fixture(scope="module")
def part():
    cohort = open_phantom(patients=10, slices=(10, 14), size=128, seed=3)
    store = open_store(cohort)
    split = splits.named("ratio-25", store.cases, store.slices, 0.0, 0)
    return Part(None, cohort, SegmentationRecipe(split="ratio-25"), store, split, "test")


@pytest.fixture(scope="module")
def looks(part):
    store, train = part.store, part.train_rows
    return familiarity.fit(store.images[train], store.slices.case_id.to_numpy()[train])


def test_patients_are_let_in(looks, part):
    numbers = refusals.patients(looks, part)
    refused, of = numbers["exams of test patients"]
    assert (refused, of) == (0, part.store.slices.iloc[part.rows].case_id.nunique())
    refused, of = numbers["their slices, one by one"]
    assert of <= len(part.rows) and refused < of / 4


def test_other_pictures_are_kept_out(looks, part, tmp_path):
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 60), np.uint8)).save(tmp_path / name / "a.png")
        (tmp_path / name / ".hidden").write_text("no picture")
    numbers = refusals.strangers(looks, part, tmp_path)
    for kind in ("noise", "text", "slices, inverted", "other MRI, cats", "other MRI, dogs"):
        refused, of = numbers[kind]
        assert refused == of > 0, kind
    refused, of = numbers["photographs"]
    assert refused > of / 2 and of > 10
    table = refusals.table(numbers)
    assert table.loc["noise", "refused"] == f"{refusals.EACH} of {refusals.EACH}" and table.loc["noise", "share"] == "100.0%"
