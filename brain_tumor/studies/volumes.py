"""What notebook 10 asks of volumes: what labels mean, how exact inflation is, what patches and 2-D weights are worth."""

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from brain_tumor.data import labels
from brain_tumor.data.cache import open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.data.readers import brats
from brain_tumor.errors import DataError
from brain_tumor.evaluation import intervals, overlap
from brain_tumor.experiments import segmentation
from brain_tumor.inference import sliding
from brain_tumor.inference.predict import load_prediction
from brain_tumor.inference.predictor import Predictor
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


def agreement(folder: Path, convention: str) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """How far a folder's segmentations of one exam agree.

    Args:
        convention: of their labels.

    Returns:
        A region's name -> the Dice of every pair; and a line for each file that is no segmentation, or lies elsewhere than the
        first one.
    """
    depths: dict[str, np.ndarray] = {}
    refusals, first = [], None
    for path in sorted(folder.glob("*.nii.gz")):
        try:
            volume = brats.read_labels(path)
            meaning = labels.tell(labels.values_of(volume.planes, path.name), path.name, (convention,))
            first = first or volume
            if not volume.lies_like(first):
                raise DataError(f"{path.name}: {volume.extent}, on another grid than {next(iter(depths))}: {first.extent}")
            depths[path.name.removesuffix(".nii.gz")] = labels.depths(volume.planes, meaning)
        except DataError as error:
            refusals.append(str(error))
    tables = {}
    for place, region in enumerate(labels.REGIONS):
        tables[region] = pd.DataFrame(index=list(depths), columns=list(depths), dtype=float)
        for one, other in itertools.product(depths, repeat=2):
            mask, against = depths[one] > place, depths[other] > place
            hits = int((mask & against).sum())
            dice = overlap.dice(hits, int(mask.sum()) - hits, int(against.sum()) - hits)
            tables[region].loc[one, other] = float(dice)
    return tables, refusals


def browse(run: RunFolder, cohort: Cohort, case_id: str, threshold: float = 0.5) -> Browser:
    """The slices of one predicted exam with what the network calls and what the expert drew."""
    store = open_store(cohort)
    prediction = load_prediction(run.path / segmentation.PREDICTIONS / f"{case_id}.npz")
    rows = store.rows_of(case_id)
    layers = {"network": prediction.depths(threshold), "expert": np.asarray(store.depths[rows])}
    images = np.asarray(store.images[rows][..., cohort.reference])
    return Browser(images, layers, prediction.slice_numbers.tolist(), cohort.regions, cohort.phantom)


def large_exams(run: RunFolder, cohort: Cohort) -> list[str]:
    """The exams that a network of volumes answers in several tiles, on either side of its split."""
    predictor, planes = Predictor.load(run.path), open_store(cohort).slices.groupby("case_id").size()
    extents = {str(case_id): (number, predictor.size, predictor.size) for case_id, number in planes.items()}
    return [case_id for case_id, extent in extents.items() if sliding.passes(extent, predictor.tile(extent)) > 1]


def at_once(run: RunFolder, cohort: Cohort, case_ids: Iterable[str]) -> pd.DataFrame:
    """What tiles change: exams answered tile by tile, as always, and by the same network over the whole exam at once.

    Args:
        run: of a network of volumes.
        case_ids: exams that fit into memory as one tile.

    Returns:
        A row an exam: ``tumour``, the voxels of the outermost region at once, at working size; ``tiles``, how many there are;
        ``differ``, the voxels in which the two answers differ; and ``share``, of the former.
    """
    predictor, rows = Predictor.load(run.path), []
    patch = predictor.model.input_shape[1:4]
    for case_id in case_ids:
        images, scaling = predictor.inputs(predictor.exam(cohort[case_id]))
        extent = images.shape[:3]
        tile = predictor.tile(extent)
        in_tiles, together = (
            sliding.probabilities(predictor.network_of(sides), images, scaling, sides, predictor.flip_tta)[..., 0]
            > predictor.threshold
            for sides in (tile, sliding.whole(patch, extent))
        )
        tumour, differ = int(together.sum()), int((in_tiles != together).sum())
        number = sliding.passes(extent, tile)
        rows.append({"exam": case_id, "tiles": number, "tumour": tumour, "differ": differ, "share": differ / max(1, tumour)})
    return pd.DataFrame(rows).set_index("exam")


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
