"""Every number of a published report that needs no pixel is computed again from the committed records, and is the same.

A report's sidecar in git is the reference: its numbers are read as they stand, by name, and compared by value, interval and
floor. What needs the images or masks themselves is left out, the floors of freshly drawn splits in report 02, or taken as the
record has it, the floors of the boundary measures in report 09. The words of a protocol may change, so they are not compared.

The intervals take most of the time, so the quick tests compare values and floors, and the long ones the intervals too.
"""

import math
from dataclasses import asdict

import pandas as pd
import pytest

from brain_tumor import files
from brain_tumor.evaluation import calibration, classification, detection, intervals, overlap, protocols, scoring, seeds, surface
from brain_tumor.experiments import out_of_fold, tasks
from brain_tumor.experiments.recipe import ClassificationRecipe, SegmentationRecipe
from brain_tumor.paths import CHECKOUT
from brain_tumor.records import comparison, lookup, records
from brain_tumor.records.sidecar import Sidecar
from brain_tumor.report.pages import crossval as crossval_page, run_content
from brain_tumor.studies.leaks import leaks, tables as tables_leaks
from brain_tumor.studies.source_002 import answers, grid, tables as grid_tables
from brain_tumor.training.plan import Stage

REPORTS = CHECKOUT / "reports"
RUN_PAGES = sorted((REPORTS / "runs").glob("*.json"))
RUNS, CROSSVALS = (sorted(path.parent for path in REPORTS.glob(f"records/*/{name}")) for name in (lookup.RUN, lookup.CROSSVAL))
INTERVAL = ("low", "high")
WORKING, NATIVE = 128, 256
PUBLISHED_RESAMPLES = intervals.RESAMPLES  # read before a fixture makes them few


@pytest.fixture(autouse=True)
def committed(monkeypatch):
    """The records in git, whatever reports folder the caller's environment names."""
    monkeypatch.setenv("BRAIN_TUMOR_REPORTS", str(REPORTS))


def as_tables(slices, floors):
    return {scoring.SLICES: slices, scoring.FLOORS: floors}


def published(report):
    """The numbers of a report's sidecar in git."""
    (path,) = REPORTS.glob(f"{report}*.json")
    return files.read_json(path)["numbers"]


@pytest.fixture(params=["values", pytest.param("intervals", marks=pytest.mark.long)])
def interval(request, monkeypatch):
    """The fields of an interval where intervals are compared, else none: then few resamples are enough."""
    compared = request.param == "intervals"
    monkeypatch.setattr(intervals, "RESAMPLES", PUBLISHED_RESAMPLES if compared else 10)
    return INTERVAL if compared else ()


def check_same(numbers, reference, fields, tolerance=1e-9):
    """Both lists hold the same names in the same order, and under each name the same values."""
    assert [number["name"] for number in numbers] == [number["name"] for number in reference]
    for number, expected in zip(numbers, reference, strict=True):
        for field in fields:
            value, known = number[field], expected[field]
            same = value == known if None in (value, known) else math.isclose(value, known, rel_tol=tolerance, abs_tol=tolerance)
            assert same, f"{number['name']} ({expected['protocol']}): {field} {value}, published {known}"


def add_rows(sidecar, table, name):
    """A number for each row of a table of scores or differences; ``name(row)`` names it."""
    for row in table.itertuples():
        value = next(getattr(row, column) for column in ("value", "dice", "difference") if hasattr(row, column))
        sidecar.add(name(row), value, row.low, row.high, getattr(row, "floor", None))


def declared(sidecar):
    return [asdict(number) for number in sidecar.numbers]


def check_table(table, path, columns):
    """Each row of a record's table equals the row that was computed again.

    Records hold six decimals. The earliest hold five, and lack some rows, and floors of some measures.
    """
    stored = pd.read_csv(path)
    keys = [column for column in ("protocol", "size", "measure", "fold") if column in stored]
    again = stored[keys].merge(table, on=keys, how="left", validate="one_to_one")
    tolerance = 2e-6 if (path.parent / "floors.csv").is_file() else 1e-5
    for column in ("dice" if "dice" in stored else "value", *columns):
        expected = stored[column]
        computed = again[column].where(expected.notna()) if column == "floor" else again[column]
        pd.testing.assert_series_equal(computed, expected, check_dtype=False, atol=tolerance, rtol=0)


@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.name)
def test_the_scores_of_a_run_follow_from_its_counts(folder, interval):
    check_table(records.scores_of(folder), folder / "scores.csv", (*interval, "floor"))


@pytest.mark.parametrize("folder", CROSSVALS, ids=lambda folder: folder.name)
def test_the_scores_of_a_cross_validation_follow_from_its_slices(folder, interval):
    task = tasks.of(lookup.crossval_facts(folder)["recipe"]["task"])
    tables = {name: pd.read_csv(folder / name, dtype={"case_id": str}) for name in (task.main, scoring.FLOORS)}
    check_table(out_of_fold.score(tables, task), folder / "scores.csv", (*interval, "floor"))
    by_fold = [
        out_of_fold.score({name: table[table.fold == fold] for name, table in tables.items()}, task).assign(fold=fold)
        for fold in tables[task.main].fold.unique()
    ]
    check_table(pd.concat(by_fold), folder / "fold_scores.csv", (*interval, "floor"))


@pytest.mark.parametrize("path", RUN_PAGES, ids=lambda path: path.stem)
def test_the_numbers_of_a_records_page(path):
    folder = lookup.records_folder() / path.stem
    if folder in RUNS:
        numbers = run_content.content(folder, lookup.run_facts(folder))["numbers"]
    else:
        numbers = crossval_page._content(folder, lookup.crossval_facts(folder))["numbers"]
    check_same(numbers, files.read_json(path)["numbers"], ("value", *INTERVAL, "floor"))


def test_report_02_what_leaks_are_worth(interval):
    plan = (Stage("all", epochs=6),)
    names = [f"{kind}-{draw}-of-3" for kind in ("clean", "leaky") for draw in (1, 2, 3)]
    segmented = {
        name: leaks.read(lookup.find(SegmentationRecipe(split=name, stages=plan)), WORKING) for name in (*names, "site-HT")
    }
    classified = {name: leaks.read(lookup.find(ClassificationRecipe(split=name, stages=plan))) for name in names}
    pairs = leaks.leak_pairs(segmented)
    unseen = leaks.shared(segmented["site-HT"], pairs[leaks.ALL][1])
    sidecar = Sidecar(None)
    tables_leaks.declare(sidecar, leaks.comparison_table(pairs), "unet-resnet18", "leaky", "clean")
    tables_leaks.declare(sidecar, leaks.comparison_table(leaks.leak_pairs(classified)), "resnet18", "leaky", "clean")
    site = leaks.comparison_table({"patients of HT": unseen})
    tables_leaks.declare(sidecar, site, "unet-resnet18", "HT unseen", "clean")
    reference = published("02")
    of_masks = [number for number in reference if number["name"].startswith("no image read, ")]
    assert len(of_masks) == 12 and reference[-12:] == of_masks, "only the floors of drawn splits need masks"
    check_same(declared(sidecar), reference[:-12], ("value", *interval, "floor"))


@pytest.mark.parametrize(("report", "model", "folds"), [("03", "resnet50", 3), ("04", "resnet18", 5)])
def test_reports_03_and_04_out_of_fold(report, model, folds, interval):
    gradual = (Stage("head", 2, part="head"), Stage("all", 2, 3e-4), Stage("by depth", 4, 3e-4, layer_decay=0.6))
    shared = {"model": model, "precision": "mixed_bfloat16"}
    recipes = {
        "from mri4": ClassificationRecipe(**shared, validation=0.15, weights="mri4", stages=gradual),
        "from random weights": ClassificationRecipe(**shared, validation=0.15, stages=(Stage("all", 8),)),
    }
    folders = {name: lookup.find_crossval(recipe, "patient", folds) for name, recipe in recipes.items()}
    over_slices = lookup.find(ClassificationRecipe(**shared, split="source-002", weights="mri4", stages=gradual))
    slices = {name: pd.read_csv(folder / "slices.csv", dtype={"case_id": str}) for name, folder in folders.items()}
    floors = pd.read_csv(folders["from mri4"] / "floors.csv", dtype={"case_id": str})
    main, other = slices.values()
    sidecar, three = Sidecar(None), ("AUC", "accuracy", "sensitivity")
    for name, table in slices.items():
        add_rows(
            sidecar,
            out_of_fold.score(as_tables(table, floors), tasks.CLASSIFICATION),
            lambda row, name=name: f"{model} {name}, {row.measure}",
        )
    leaky = records.scores_of(over_slices)
    add_rows(sidecar, leaky[leaky.measure.isin(three)], lambda row: f"{model} on a slice split, {row.measure}")
    half = detection.score_with_floors(main, floors, 0.5)
    half = half[half.measure.isin(three[1:])]
    add_rows(sidecar, half, lambda row: f"{model} from mri4, {row.measure} at 0.5")
    gains = {
        "each fold's threshold": classification.compare_folds(main, other),
        "threshold 0.5": detection.compare(main, other, 0.5, 0.5),
    }
    for rule, gain in gains.items():
        gain = gain[gain.measure.isin(three)]
        add_rows(sidecar, gain, lambda row, rule=rule: f"gain from mri4, {row.measure}, {rule}")
    check_same(declared(sidecar), published(report), ("value", *interval, "floor"))


def test_report_05_means_over_seeds(interval):
    (report,) = REPORTS.glob("05*.json")
    of_report = [REPORTS / "records" / name for name in files.read_json(report)["runs"]]  # not a later record of the same recipe
    recipes = [SegmentationRecipe(model="unet-resnet18", stages=(Stage("all", 12),), seed=seed) for seed in (0, 1)]
    networks = {
        "resunet": of_report[:2],
        "unet-resnet18": [lookup.find(recipe) for recipe in recipes],
        "unet-resnet18, the source's 4 epochs,": of_report[2:],
    }
    alike = records.records_like(recipes[1], "unet-resnet18", lookup.run_facts(of_report[0])["data_hash"])
    assert sorted(alike) == sorted(networks["unet-resnet18"])
    sidecar, floors = Sidecar(None), records.read_floors(of_report[0])  # of the same test slices, so of all networks
    for network, folders in networks.items():
        assert len(folders) == 2
        table = seeds.mean_scores([records.read_counts(folder) for folder in folders], floor_counts=floors)
        add_rows(sidecar, table, lambda row, network=network: f"{network} Dice, {row.protocol}")
    minutes = [round(lookup.run_facts(folder)["training_seconds"] / 60, 1) for folder in networks["resunet"]]
    sidecar.add("training time", round(sum(minutes) / 2, 1))
    check_same(declared(sidecar), published("05"), ("value", *interval, "floor"))


def test_report_06_cells_and_claims_of_the_grid(interval):
    (folder,) = lookup.all_records(lookup.GRID)
    parts = dict(grid_tables.parts(folder))
    *_, last = parts
    scores = answers.scores(folder, parts[last])
    over_patients = [title for title in reversed(parts) if grid.SOURCE_SPLIT not in title]
    judged = answers.where_first({title: answers.answers(folder, parts[title]) for title in over_patients})
    judged = judged.assign(low=judged.low_corrected, high=judged.high_corrected)
    sidecar = Sidecar(None)
    trained = scores[scores.measure.isin(["accuracy", "AUC"]) & scores.equal_to.eq("")]
    add_rows(sidecar, trained, lambda row: f"cell {row.cell}, {row.measure}")
    add_rows(sidecar, judged, lambda row: f"{row.row}: {row.claim}")
    check_same(declared(sidecar), published("06"), ("value", *interval, "floor"))


def test_report_09_all_definitions_of_one_prediction(interval):
    folder, second = (
        lookup.find(SegmentationRecipe(model="unet-resnet18", stages=(Stage("all", 12),), seed=seed)) for seed in (1, 0)
    )
    counts, largest = records.read_counts(folder), records.read_counts(folder, "counts_largest.csv")
    native = counts[counts["size"] == NATIVE]
    slices, slice_floors = overlap.as_slices(native), records.read_slice_floors(folder)
    outlines = {name: pd.read_csv(folder / name, dtype={"case_id": str}) for name in (scoring.BOUNDARY, scoring.BOUNDARY_SLICES)}
    sidecar = Sidecar(None)
    add_rows(sidecar, records.scores_of(folder), lambda row: f"Dice, {row.protocol}")
    spread = protocols.spread({"as predicted": counts, "largest component": largest})
    every = spread.drop(index=protocols.RANGE, columns=protocols.RANGE).stack()
    sidecar.add("range over definitions and variants", every.max() - every.min())
    boundary = pd.read_csv(folder / scoring.BOUNDARY_SCORES)
    for name, table in outlines.items():
        floors = boundary[boundary.of == scoring.OUTLINES[name]].floor.to_numpy()
        add_rows(sidecar, surface.score(table, {}).assign(floor=floors), lambda row: row.measure)
    add_rows(sidecar, detection.score_with_floors(slices, slice_floors, 0.5), lambda row: f"slices, {row.measure}")
    histograms = calibration.histograms(pd.read_csv(folder / scoring.PIXELS))
    above_0 = histograms.copy()
    above_0[:, 0] = 0
    errors = {
        "slices": scoring.slice_calibration(slices, slice_floors),
        "pixels": calibration.score_pixels(histograms),
        "pixels above 0": calibration.score_pixels(above_0),
    }
    for of, table in errors.items():
        add_rows(sidecar, table, lambda row, of=of: f"{of}, {row.measure}")
    paired = comparison.compare(folder, second)
    add_rows(sidecar, paired[paired["size"] == NATIVE], lambda row: f"Dice, {row.protocol}: seed 1 - seed 0")
    numbers, reference = declared(sidecar), published("09")
    check_same(numbers, reference, ("value", *interval), tolerance=2e-6)  # it was written from its run, not from its record
    with_floor = [place for place, number in enumerate(reference) if number["floor"] is not None]  # some measures got one later
    check_same(*([each[place] for place in with_floor] for each in (numbers, reference)), ("floor",), tolerance=2e-6)
