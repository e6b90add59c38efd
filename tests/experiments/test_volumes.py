"""A network of volumes is trained, scored by region, cross-validated and asked like any other network."""

import json
import shutil
from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from broken_volumes import BROKEN

import brain_tumor as bt
from brain_tumor.data import phantom_brats
from brain_tumor.data.cache import open_store
from brain_tumor.data.readers import brats
from brain_tumor.errors import DataError, ModelError
from brain_tumor.evaluation import scoring
from brain_tumor.experiments import crossval, prepare, run as experiment
from brain_tumor.experiments.own import NONE
from brain_tumor.inference import sliding
from brain_tumor.inference.predict import load_prediction
from brain_tumor.inference.predictor import Predictor
from brain_tumor.report.pages import sections, views, volumes as volumes_page
from brain_tumor.studies import volumes as volumes_study
from brain_tumor.training.plan import Stage
from brain_tumor.training.runs import RunFolder

THREE_LEVELS = (("filters", (4, 8, 8)), ("planar", 1))
RECIPE = bt.Volumes(
    cohort=phantom_brats.NAME, split="ratio-33", size=32, patch=16, planes=4, patches=2, batchnorm_momentum=0.9, epochs=2,
    flip_tta=False, precision="float32", model_arguments=(("filters", (4, 8)),),
)  # fmt: skip


class Place:
    """A home in which a network of volumes was trained and scored on the phantom."""

    def __init__(self, folder):
        self.folder = folder
        self.cohort = phantom_brats.open_phantom(6, (8, 32))
        self.run = experiment.train(RECIPE, self.cohort)
        self.scores = experiment.evaluate(self.run, self.cohort)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("volumes")
        patch.setenv("BRAIN_TUMOR_HOME", str(folder))
        patch.setattr(phantom_brats.open_phantom, "__defaults__", (6, (8, 32), 0, "2023"))
        yield Place(folder)


@pytest.mark.backend
def test_a_run_scores_every_region_with_interval_and_floor(place):
    table = pd.read_csv(place.run.path / scoring.REGION_SCORES)
    assert set(table.region) == {"WT", "TC", "ET"} and table.value.notna().all()
    assert table[table.measure == "Dice, patient mean"].floor.notna().all()
    counts = pd.read_csv(place.run.path / scoring.REGIONS)
    whole = counts[counts.region == "WT"][["case_id", "slice", "tp", "fp", "fn", "tn"]].reset_index(drop=True)
    outermost = pd.read_csv(place.run.path / scoring.COUNTS)
    outermost = outermost[outermost["size"] == 32][["case_id", "slice", "tp", "fp", "fn", "tn"]].reset_index(drop=True)
    pd.testing.assert_frame_equal(whole, outermost)
    facts = place.run.description
    assert facts["recipe"]["task"] == "volumes" and facts["effective_batch"] == 2 and len(place.run.history) == 2


def test_truth_of_regions_is_counted_as_the_store_holds_it(place):
    counts, store = pd.read_csv(place.run.path / scoring.REGIONS), open_store(place.cohort)
    for case_id, rows in counts.groupby("case_id"):
        depths = store.depths[store.rows_of(case_id)]
        for number, name in enumerate(("WT", "TC", "ET")):
            of_region = rows[rows.region == name]
            assert (of_region.tp + of_region.fn).tolist() == (depths > number).sum((1, 2)).tolist()


def test_its_page_has_a_section_of_regions(place):
    parts = {section.title: section for section in views.sections_of(place.run.path)}
    assert list(parts)[:3] == [sections.PATIENTS, sections.SCORES, volumes_page.REGIONS]
    assert len(parts[volumes_page.REGIONS].table) == 15


@pytest.mark.backend
def test_the_folder_alone_predicts_the_stored_bits(place):
    predictor = Predictor.load(place.run.path)
    assert predictor.of_volumes and predictor.by_exam and predictor.outlines and predictor.regions == ["WT", "TC", "ET"]
    stored = load_prediction(sorted((place.run.path / "predictions").glob("*.npz"))[0])
    shares = []
    answer = predictor.predict(predictor.exam(place.cohort[stored.case_id]), shares.append)
    assert np.array_equal(answer.native, stored.native) and np.array_equal(answer.inner, stored.inner)
    assert answer.inner.shape == (8, 32, 32, 2) and shares[-1] == 1.0 and shares == sorted(shares)
    depths = answer.depths(0.5)
    assert np.array_equal(depths > 0, answer.masks(0.5)) and depths.max() <= 3


def test_a_folder_of_files_is_predicted_as_the_case_is(place):
    predictor, case = Predictor.load(place.run.path), place.cohort.cases[0]
    exam = predictor.exam(case.sources[0].parent)
    answer = predictor.predict(exam)
    assert np.array_equal(answer.native, predictor.predict(predictor.exam(case)).native)
    assert exam.grid is not None and exam.spacing_mm == case.spacing_mm


def test_exams_of_a_cohort_of_ones_own_are_predicted_as_they_were_learnt(place):
    cohort = brats.read_cohort(place.cohort.root, name="mine")
    described = experiment._predictor(replace(RECIPE, cohort="mine"), cohort)
    predictor, case = Predictor(Predictor.load(place.run.path).model, **described), cohort.cases[0]
    assert np.array_equal(predictor.exam(case.sources[0].parent).images, predictor.exam(case).images)
    older = replace(predictor, from_feet=None)  # a folder of an earlier version does not say it
    assert older.radiological and not replace(older, regions=("tumour",)).radiological


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_broken_is_refused_before_anything_is_written(place, command, tmp_path, fault):
    folder = tmp_path / "exam"
    shutil.copytree(place.cohort.cases[0].sources[0].parent, folder)
    path = next(folder.glob("*t1c.nii.gz"))
    BROKEN[fault](path)
    words = ("--out", tmp_path / "sheet.png", "--mask", tmp_path / "seg.nii.gz", "--anyway")
    answer = command("predict", place.run.path.name, folder, *words)
    assert answer.refuses("t1c") and not (tmp_path / "sheet.png").exists() and not (tmp_path / "seg.nii.gz").exists()


def test_the_command_line_trains_scores_and_writes_labels_in_the_exams_own_space(place, command, tmp_path):
    import nibabel

    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(RECIPE.to_json()))
    trained = command("train", "--recipe", path)
    assert trained.code == 0 and str(place.run.path) in trained.out, trained.err
    scored = command("evaluate", place.run.path.name)
    assert scored.code == 0 and "enhancing tumour" in scored.out, scored.err
    folder = place.cohort.cases[0].sources[0].parent
    words = ("--out", tmp_path / "sheet.png", "--mask", tmp_path / "seg.nii.gz", "--anyway")
    answer = command("predict", place.run.path.name, folder, *words)
    assert answer.code == 0, answer.err
    written, truth = (nibabel.load(each) for each in (tmp_path / "seg.nii.gz", next(folder.glob("*seg.nii.gz"))))
    assert np.array_equal(written.affine, truth.affine) and written.shape == truth.shape
    predictor = Predictor.load(place.run.path)
    depths = predictor.predict(predictor.exam(folder)).depths(0.5)
    values = np.array([0, 2, 1, 3])[depths]  # as BraTS 2023 numbers them
    assert np.array_equal(np.asarray(written.dataobj), predictor.exam(folder).grid.restored(values))


def test_a_network_of_volumes_begins_with_one_of_slices(place, command):
    flat = bt.Segmentation(
        cohort=phantom_brats.NAME, split="ratio-33", model="resunet", size=32, epochs=1, precision="float32", batch_size=8,
        model_arguments=(("filters", (4, 8)),),
    )  # fmt: skip
    run = experiment.train(flat, place.cohort)
    answer = command("model", "weights", run.path.name, "slices")
    assert answer.code == 0 and "learnt from 4 patients" in answer.out, answer.err
    deep = experiment.train(replace(RECIPE, weights="slices.npz", stages=(Stage("all", 1),)), place.cohort)
    assert deep.description["encoder"]["layers"] > 10
    with pytest.raises(ModelError, match="held-out patients"):
        experiment.train(replace(RECIPE, weights="slices.npz", split="fold-1-of-2"), place.cohort)
    assert command("model", "weights", run.path.name, "../x").refuses("expected letters, digits")


def test_an_interrupted_training_goes_on_bit_for_bit(place, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path))
    cohort = phantom_brats.open_phantom()

    class Stopped(Exception):
        pass

    save = RunFolder.save_checkpoint

    def stop(run, *arguments, **more):
        save(run, *arguments, **more)
        raise Stopped

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(RunFolder, "save_checkpoint", stop)
        experiment.train(RECIPE, cohort)
    run = experiment.train(RECIPE, cohort)
    assert run.path.name == place.run.path.name
    assert (run.path / "model.json").read_text() == (place.run.path / "model.json").read_text()  # with the hash of its weights


@pytest.mark.parametrize("changes", [{"norm": "group"}, pytest.param({"precision": "mixed_bfloat16"}, marks=pytest.mark.long)])
def test_folds_gather_regions(place, changes):
    """Of networks that learn from coarser levels too, by groups or in bfloat16."""
    arguments = (*THREE_LEVELS, ("deep_supervision", 1))
    recipe = replace(RECIPE, stages=(Stage("all", 1),), model_arguments=arguments, **changes)
    folder = crossval.cross_validate(recipe, place.cohort, folds=2, workers=1)
    table = pd.read_csv(folder / scoring.REGION_SCORES)
    assert set(table.region) == {"WT", "TC", "ET"} and (table.patients == 6).all()
    assert table[table.measure == "Dice, patient mean"].floor.notna().all()


def test_a_cohort_of_one_region_needs_no_tables_of_regions(place, phantom_cohort):
    recipe = replace(RECIPE, cohort="phantom", stages=(Stage("all", 1),), model="resunet3d")
    run = experiment.train(recipe, phantom_cohort)
    experiment.evaluate(run, phantom_cohort)
    assert not (run.path / scoring.REGIONS).exists() and (run.path / scoring.BOUNDARY_SCORES).is_file()


def test_gathered_gradients_are_those_of_the_whole_batch_with_groups(place):
    """Two batches of one patch make the step that one batch of two patches makes, where the norm is by groups."""
    import keras

    store = open_store(place.cohort)

    def weights(batch_size, accumulate):
        recipe = replace(
            RECIPE, batch_size=batch_size, accumulate=accumulate, norm="group", loss="bce",
            stages=(Stage("all", 1, optimiser="sgd", schedule="constant", momentum=0.0, weight_decay=0.0),),
        )  # fmt: skip
        split = experiment.make_split(recipe, store)
        network = prepare.network(recipe, place.cohort, split, "float32", NONE)
        material = prepare.material(recipe, store, split, network.model, "float32", NONE)
        optimiser = recipe.stages[0].make_optimiser(8, accumulate)
        network.model.compile(optimiser, material.loss, jit_compile=False)
        arrays = material.own_size.epoch_batches(0).arrays
        images, targets, scalings = arrays.take(np.arange(2))
        from brain_tumor.data.intensity import normalise

        inputs, truth = normalise(images, scalings), targets[..., None].astype(np.float32)
        for start in range(0, 2, batch_size):
            network.model.train_on_batch(inputs[start : start + batch_size], truth[start : start + batch_size])
        return [keras.ops.convert_to_numpy(variable) for variable in network.model.weights]

    for one, other in zip(weights(2, 1), weights(1, 2), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"patch": 64}, "patch 64 of slices of size 32"),
        ({"channels": "flair"}, "takes channels 'sequences'"),
        ({"patch": 18, "model_arguments": THREE_LEVELS}, "18"),
    ],
)
def test_recipes_that_cannot_be_trained_are_refused(changes, words):
    with pytest.raises(ModelError, match=words):
        replace(RECIPE, **changes)


def test_a_depth_that_the_network_cannot_halve_and_a_split_of_slices_are_refused(place):
    with pytest.raises(ModelError, match="5 planes, expected a multiple of 2"):
        experiment.train(replace(RECIPE, planes=5, model_arguments=THREE_LEVELS), place.cohort)
    with pytest.raises(DataError, match="deals slices, and volumes are learnt from whole exams"):
        experiment.train(replace(RECIPE, split="slice-fold-1-of-2"), place.cohort)


def test_the_page_answers_a_zip_of_an_exam_with_labels_and_without_a_map(place, tmp_path):
    import io
    import zipfile

    from brain_tumor.data import nifti
    from brain_tumor.data.memory import MemoryFile
    from brain_tumor.inference import explain
    from brain_tumor.serve import answers
    from brain_tumor.serve.served import load

    folder, stream = place.cohort.cases[0].sources[0].parent, io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    served = load(str(place.run.path))
    answer = answers.answer(MemoryFile("exam.zip", stream.getvalue()), served, lambda _share: None, drawn=True)
    assert answer.maps is None and answer.core.shape == (8, 32, 32)
    (tmp_path / "m.nii.gz").write_bytes(answer.mask_nifti())
    planes = nifti.read(tmp_path / "m.nii.gz", lambda _shape: None).planes
    depths = answer.finding.outline.depths(0.5)
    assert np.array_equal(planes[:, ::-1, ::-1], np.array([0, 2, 1, 3])[depths])
    assert answer.sprite.count == 8 and answer.to_json()["exam"]["slices"] == 8
    regions = answer.to_json()["tumour"]["regions"]
    assert [region["name"] for region in regions] == ["WT", "TC", "ET"]
    assert [region["voxels"] for region in regions] == [int((depths > depth).sum()) for depth in range(3)]
    with pytest.raises(ModelError, match="maps are made of networks of slices"):
        explain.explain(served.predictor, answer.exam)


def test_segmentations_of_one_exam_are_compared_region_by_region(tmp_path):
    first = np.zeros((9, 8, 7), np.uint8)
    first[2:6, 2:6, 2:6] = 2
    first[3:5, 3:5, 3:5] = 4
    second, affine = first.copy(), np.diag([-1.0, -1.0, 1.0, 1.0])
    second[5], second[second == 4] = 0, 1
    moved = affine + np.array([[0, 0, 0, 20.0], *[[0] * 4] * 3])
    written = {"a": (first, affine), "b": (second, affine), "c": (first, moved), "d": (first[1:], affine)}
    for name, (voxels, where) in written.items():
        nib.Nifti1Image(voxels, where).to_filename(tmp_path / f"{name}.nii.gz")
    tables, refusals = volumes_study.agreement(tmp_path, "2017")
    assert [table.loc["a", "b"] for table in tables.values()] == pytest.approx([2 * 48 / (64 + 48), 1.0, 0.0])
    assert tables["ET"].loc["b", "b"] == 1 and list(tables["WT"]) == ["a", "b"]
    assert [line.partition(":")[0] for line in refusals] == ["c.nii.gz", "d.nii.gz"]
    assert all("on another grid than a: " in line for line in refusals)


def test_tiles_and_the_whole_exam_at_once_are_compared_voxel_by_voxel(place, monkeypatch):
    case_id = place.cohort.cases[0].case_id
    table = volumes_study.at_once(place.run, place.cohort, [case_id])
    assert table.tiles[case_id] == 1 and table.differ[case_id] == 0, "one tile holds the whole exam"
    assert volumes_study.large_exams(place.run, place.cohort) == []
    monkeypatch.setattr(sliding, "MOST_VOXELS", 1)
    assert volumes_study.large_exams(place.run, place.cohort) == [case.case_id for case in place.cohort.cases]
    table = volumes_study.at_once(place.run, place.cohort, [case_id])
    predictor = Predictor.load(place.run.path)
    images, _ = predictor.inputs(predictor.exam(place.cohort[case_id]))
    assert table.tiles[case_id] > 1 and 0 <= table.share[case_id] <= table.differ[case_id]

    def by_depth(_network, images, _scaling, patch, _flip):
        return np.full((*images.shape[:3], 3), patch[0] / len(images))

    monkeypatch.setattr(sliding, "probabilities", by_depth)
    table = volumes_study.at_once(place.run, place.cohort, [case_id])  # 8 planes at once are called tumour, patches of 4 are not
    assert table.tumour[case_id] == table.differ[case_id] == images[..., 0].size and table.share[case_id] == 1
