"""What else could be said of stored predictions: read from disk, equal to what scoring counts, and nothing chosen on test."""

import numpy as np
import pandas as pd
import pytest

from brain_tumor.data import splits
from brain_tumor.data.cache import open_store
from brain_tumor.errors import DataError, RunError
from brain_tumor.evaluation import calibration, overlap, protocols
from brain_tumor.experiments import run as experiment
from brain_tumor.experiments.recipe import SegmentationRecipe
from brain_tumor.inference.predict import Prediction
from brain_tumor.studies import definitions
from brain_tumor.training.runs import RunFolder

SIZES = (32, 64)


@pytest.fixture
def make_run(tmp_path, phantom_cohort):
    """``make_run(validation=0.4)``: a run as training leaves it behind, its predictions the true masks, blurred by noise."""

    def make(validation=0.4):
        recipe = SegmentationRecipe(cohort="phantom", split="ratio-33", validation=validation, model="resunet", size=SIZES[0])
        store = open_store(phantom_cohort)
        run = RunFolder(tmp_path / "runs" / experiment.run_folder(recipe, store).path.name)
        split = splits.named(recipe.split, store.cases, store.slices, recipe.validation)
        split.save(run.path / "split.json")
        parts = {part: {"patients": len(getattr(split, part))} for part in ("validation", "test")}
        run.update(status="finished", recipe=recipe.to_json(), parts=parts, **experiment.content(recipe, store, split))
        rng = np.random.default_rng(0)
        for case_id in [*split.validation, *split.test]:
            rows = store.rows_of(case_id)
            masks = [open_store(phantom_cohort, size).masks[rows] for size in SIZES]
            working, native = (
                np.clip(40 + 150 * mask + rng.normal(0, 60, mask.shape), 0, 255).astype(np.uint8) for mask in masks
            )
            Prediction(case_id, np.arange(1, len(native) + 1), native, working).save(run.path / "predictions")
        return run, split

    return make


@pytest.fixture
def counts():
    """Patient A: a slice found and drawn too small and too large, one missed, one false alarm; patient B: all right."""
    rows = [
        ("A", 1, 64, 6, 2, 3, 0, 0.9), ("A", 2, 64, 0, 1, 4, 0, 0.9), ("A", 3, 64, 0, 5, 0, 0, 0.9),
        ("B", 1, 64, 7, 0, 0, 0, 0.9), ("B", 2, 64, 0, 0, 0, 0, 0.1),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(overlap.COLUMNS))


def test_thresholds_are_counted_as_scoring_counts_one(make_run, phantom_cohort):
    run, split = make_run()
    found = definitions.threshold_counts(run, phantom_cohort, [0.25, 0.5])
    assert list(found.columns) == ["threshold", *overlap.COLUMNS]
    assert set(found.case_id) == set(split.test)
    assert (found[["tp", "fp", "fn", "tn"]].sum(axis=1) == found["size"] ** 2).all()
    for prediction, truth in definitions.stored_cases(run, phantom_cohort):
        for planes in (prediction.working, prediction.native):
            size = planes.shape[1]
            one = overlap.count(planes, truth[size], 0.5)
            mine = found[(found.threshold == 0.5) & (found["size"] == size) & (found.case_id == prediction.case_id)]
            pd.testing.assert_frame_equal(mine[list(one)].reset_index(drop=True), one)
            assert mine.slice.tolist() == prediction.slice_numbers.tolist()


def test_every_named_dice_at_every_threshold_and_size(make_run, phantom_cohort):
    run, _ = make_run()
    counts = definitions.threshold_counts(run, phantom_cohort, [0.1, 0.5, 0.9])
    found = definitions.threshold_scores(counts).set_index(["size", "threshold", "protocol"]).dice
    assert len(found) == 2 * 3 * len(protocols.PROTOCOLS)
    rows = counts[(counts["size"] == 64) & (counts.threshold == 0.9)]
    assert found[64, 0.9, "patient mean"] == protocols.dice(protocols.named("patient mean"), rows)
    assert found[64, 0.5, "pooled"] > found[64, 0.1, "pooled"], "noise on background is called at 0.1"


def test_a_missing_prediction_is_named(make_run, phantom_cohort):
    run, split = make_run()
    (run.path / "predictions" / f"{split.test[0]}.npz").unlink()
    with pytest.raises(DataError, match=f"{split.test[0]}.npz: not a stored prediction"):
        definitions.threshold_counts(run, phantom_cohort)


def test_a_miss_costs_only_where_it_is_counted():
    rows = pd.DataFrame(
        {"hd95": [2.0, 90.0, 4.0], "hd95_pooled": [1.0, 90.0, 3.0], "hd": [5.0, 90.0, 7.0], "nsd": [0.9, 0.0, 0.8]}
    ).assign(missed=[False, True, False], invented=False)
    found = definitions.empty_rules(rows)
    assert found.rows.tolist() == [3, 2, 3, 2, 3]
    assert found["mean"].tolist() == [32, 3, pytest.approx(94 / 3), 2, 34]
    assert found["median"].tolist() == [4, 3, 3, 2, 7]


def test_lost_dice_adds_up_to_one(counts):
    found = definitions.wrong_pixels(counts)
    assert found.loc["A"].tolist() == pytest.approx([12 / 27, 4 / 27, 3 / 27, 3 / 27, 5 / 27])
    assert found.loc["B"].tolist() == [1, 0, 0, 0, 0]
    np.testing.assert_allclose(found.dice, overlap.per_case(counts).dice)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_a_patient_without_tumour_or_call_lost_nothing(counts):
    nothing = counts.assign(tp=0, fp=0, fn=0)
    assert definitions.wrong_pixels(nothing).dice.tolist() == [1, 1]


def test_the_phantom_is_in_one_piece(phantom_cohort):
    store = open_store(phantom_cohort)
    found = definitions.pieces(store, store.cases.index)
    assert list(found.index) == list(store.cases.index)
    assert found.tumour_slices.tolist() == store.cases.tumour_slices.tolist()
    whole = found.components == 1
    assert (found.ceiling[whole] == 1).all()
    assert (found.ceiling[~whole] < 1).all()


def test_a_temperature_comes_from_the_tune_part_alone(make_run, phantom_cohort):
    run, split = make_run()
    found = definitions.temperatures(run, phantom_cohort).set_index("of")
    assert found.validation_patients.tolist() == [len(split.validation)] * 2
    store = open_store(phantom_cohort)
    validation = {prediction.case_id: prediction for prediction, _ in definitions.stored_cases(run, phantom_cohort, "validation")}
    histogram = sum(calibration.pixel_histogram(p.native, store.masks[store.rows_of(case)]) for case, p in validation.items())
    temperature = calibration.fit_temperature(*calibration.weighted_rows(histogram))
    assert found.temperature["pixels"] == temperature
    for case_id in split.test:  # what the test part looks like changes no temperature
        blank = np.zeros_like(store.masks[store.rows_of(case_id)])
        Prediction(case_id, np.arange(1, len(blank) + 1), blank, blank[:, ::2, ::2]).save(run.path / "predictions")
    again = definitions.temperatures(run, phantom_cohort).set_index("of")
    assert again.temperature.tolist() == found.temperature.tolist()
    assert again.ECE["pixels"] != found.ECE["pixels"]


def test_without_a_tune_part_there_is_no_temperature(make_run, phantom_cohort):
    run, _ = make_run(validation=0.0)
    with pytest.raises(RunError, match="the validation part of its split is empty"):
        definitions.temperatures(run, phantom_cohort)
