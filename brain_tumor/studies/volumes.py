"""What notebook 10 asks of volumes: what labels mean, how exact inflation is, what networks call, what 2-D weights are worth."""

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from brain_tumor.data import labels
from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.data.readers import brats
from brain_tumor.evaluation import intervals, overlap
from brain_tumor.experiments import segmentation
from brain_tumor.inference.predict import load_prediction
from brain_tumor.models import inflate, settings
from brain_tumor.report.pages.browser import Browser
from brain_tumor.training.runs import RunFolder


def conventions() -> pd.DataFrame:
    """What each label means, and in which regions such a voxel lies: a row a label, a column a convention."""
    columns = {}
    for name, convention in labels.CONVENTIONS.items():
        columns[f"{name} ({convention.used_by})"] = {
            number: f"{tissue}: {', '.join(labels.REGIONS[: convention.depths[number]]) or 'no region'}"
            for number, tissue in convention.labels.items()
        }
    return pd.DataFrame(columns).sort_index().fillna("").rename_axis("label")


def inflation_error(flat: keras.Model, depth: int, planar: int) -> float:
    """By how much a 3-D network differs at most from the 2-D one that it was made of, on a volume whose planes are alike.

    Args:
        flat: its weights and moving statistics are replaced by random ones: those of a new network would hide an error.
    """
    generator = np.random.default_rng(0)
    with settings.fixed():
        for variable in flat.weights:
            values = generator.normal(0.1, 0.2, tuple(variable.shape))
            variable.assign(np.abs(values) + 0.5 if "variance" in variable.name else values)
        deep = inflate.inflated(flat, depth, planar)
        inflate.transfer(flat, deep)
        plane = generator.normal(size=(1, *flat.input_shape[1:])).astype(np.float32)
        of_plane = keras.ops.convert_to_numpy(flat(plane, training=False))
        of_volume = keras.ops.convert_to_numpy(deep(np.repeat(plane[:, None], depth, axis=1), training=False))
    return float(np.abs(of_volume - of_plane[:, None]).max() / np.abs(of_plane).max())


def agreement(folder: Path, convention: str) -> tuple[pd.DataFrame, list[str]]:
    """Dice of the outermost region, of every pair of a folder's segmentations of one exam, and a line for each file that is none.

    Args:
        convention: of their labels.
    """
    masks, refusals = {}, []
    for path in sorted(folder.glob("*.nii.gz")):
        try:
            volume = brats.read_labels(path)
            meaning = labels.tell(labels.values_of(volume.planes, path.name), path.name, (convention,))
            masks[path.name.removesuffix(".nii.gz")] = labels.depths(volume.planes, meaning) > 0
        except brats.DataError as error:
            refusals.append(str(error))
    table = pd.DataFrame(index=list(masks), columns=list(masks), dtype=float)
    for one, mask in masks.items():
        for other, against in masks.items():
            hits = int((mask & against).sum())
            table.loc[one, other] = float(overlap.dice(hits, int(mask.sum()) - hits, int(against.sum()) - hits))
    return table, refusals


def browse(run: RunFolder, cohort: Cohort, case_id: str, threshold: float = 0.5) -> Browser:
    """The slices of one predicted exam with what the network calls and what the expert drew."""
    store = open_store(cohort)
    prediction = load_prediction(run.path / segmentation.PREDICTIONS / f"{case_id}.npz")
    rows = store.rows_of(case_id)
    layers = {"network": prediction.depths(threshold), "expert": np.asarray(store.depths[rows])}
    images = np.asarray(store.images[rows][..., cohort.reference])
    return Browser(images, layers, prediction.slice_numbers.tolist(), cohort.regions, cohort.phantom)


def paired(cases: Mapping[str, pd.DataFrame], base: str) -> pd.DataFrame:
    """Each network's patient mean, and what it has more than ``base`` on the same patients.

    Args:
        cases: a network's label -> its ``cases.csv``.
    """
    tables = {label: table.set_index("case_id").dice.sort_index() for label, table in cases.items()}
    rows = []
    for label, dice in tables.items():
        low, high = intervals.bootstrap(dice.to_numpy(), np.mean)
        row = {"network": label, "patient mean": dice.mean(), "low": low, "high": high}
        if label != base:
            against = intervals.paired(dice.to_numpy(), tables[base].to_numpy(), np.mean)
            row |= {f"less {base}": against.difference, "from": against.low, "to": against.high, "p": against.p_value}
        rows.append(row)
    return pd.DataFrame(rows).set_index("network")
