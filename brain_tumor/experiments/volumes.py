"""Which voxels lie in which region? What the task of volumes adds to that of slices: patches to learn from, regions to score.

The outermost region is scored as every segmentation is (:mod:`brain_tumor.experiments.segmentation`), so a network of volumes and
one of slices can be compared in the same words; of a cohort of several regions each is scored besides.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from brain_tumor.data import labels, splits
from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.splits import Split
from brain_tumor.errors import DataError
from brain_tumor.evaluation import floors, regions, scoring
from brain_tumor.evaluation.scoring import Tables
from brain_tumor.experiments import segmentation
from brain_tumor.experiments.part import Part, Result, whole_cases
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.experiments.volumes_recipe import VolumesRecipe
from brain_tumor.inference.predict import load_prediction
from brain_tumor.training import patches
from brain_tumor.training.batches import SliceArrays
from brain_tumor.training.patches import Volumes


def parts(recipe: Recipe, store: Store, split: Split) -> Callable[[int], dict[str, SliceArrays]]:
    """An epoch's number -> patches of each part of a split; those of the validation part are the same in every epoch."""
    assert isinstance(recipe, VolumesRecipe)
    working = open_store(store.cohort, recipe.size)
    areas = patches.region_areas(working.depths, len(store.cohort.regions))
    volumes = {part: _volumes(recipe, working, areas, split, part) for part in splits.PARTS}
    size = (recipe.planes, recipe.patch, recipe.patch)

    def drawn(part: str, number: int) -> SliceArrays:
        return patches.draw(volumes[part], size, recipe.patches, recipe.foreground, [recipe.seed, number, len(size)])

    same = {part: drawn(part, patches.VALIDATION) for part in splits.PARTS if part != "train"}
    return lambda epoch: same | {"train": drawn("train", epoch)}


def evaluate(part: Part, again: bool) -> Result:
    """As :func:`brain_tumor.experiments.segmentation.evaluate`, with every region besides where the cohort has several."""
    result = segmentation.evaluate(part, again)
    names = part.cohort.regions
    if len(names) == 1 or not whole_cases(part.store, part.rows):
        return result
    spacings, _ = segmentation.spacings(part.cohort)
    cases = []
    for exam in segmentation.exams(part):
        prediction = load_prediction(part.run.path / segmentation.PREDICTIONS / f"{exam.name}.npz")
        truth = part.store.depths[part.store.rows_of(exam.name)]
        predicted = prediction.depths(part.recipe.threshold)
        cases.append(regions.of_case(exam.name, prediction.slice_numbers, predicted, truth, names, spacings[exam.name]))
    tables = scoring.stack(cases)
    tables[scoring.REGION_FLOORS] = _floors(part, names)
    tables[scoring.REGION_SCORES] = regions.score(tables, names)
    return Result(result.tables | tables, result.facts)


def fold_tables(tables: Tables, store: Store) -> Tables:
    """What a cross-validation has besides: that of slices, and regions, as far as the folds have them."""
    more = segmentation.fold_tables(tables, store)
    if {scoring.REGIONS, scoring.REGION_CASES} <= set(tables):
        more[scoring.REGION_SCORES] = regions.score(tables, store.cohort.regions)
    return more


def _volumes(recipe: VolumesRecipe, store: Store, areas: np.ndarray, split: Split, part: str) -> Volumes:
    """The exams of a part; an exam is in it whole, since splits that deal slices are refused."""
    rows = split.rows(part, store.slices)
    if not whole_cases(store, rows):
        raise DataError(
            f"split {split.name}: deals slices, and volumes are learnt from whole exams; take one that deals patients"
        )
    names = store.slices.case_id.to_numpy()[rows]
    chosen = [name for name in store.cases.index if name in set(names)]
    spans = [store.rows_of(name) for name in chosen]
    places = [store.cases.index.get_loc(name) for name in chosen]
    return Volumes(
        store.images,
        store.depths,
        np.array([span.start for span in spans], int),
        np.array([span.stop - span.start for span in spans], int),
        store.scalings[recipe.normalisation][places],
        areas,
        store.cohort.reference,
    )


def _floors(part: Part, names: Sequence[str]) -> pd.DataFrame:
    """The counts of what predictors that read no image say of every region."""
    store, tables = part.store, []
    for place, region in enumerate(names):
        masks = labels.region(store.depths, place)
        rows = store.slices.iloc[part.rows]
        for floor, predicted in floors.segmentation(store.slices, masks, part.train_rows, part.rows).items():
            if predicted is not None:
                tables.append(regions.count_floor(floor, rows, predicted, masks[part.rows], region))
    return pd.concat(tables, ignore_index=True)
