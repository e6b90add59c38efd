"""What a page shows of a network of volumes: all that one of slices has, and every region by itself."""

from pathlib import Path

from brain_tumor.data import labels
from brain_tumor.evaluation import scoring
from brain_tumor.evaluation.storage import read_table
from brain_tumor.report import tables
from brain_tumor.report.pages import segmentation
from brain_tumor.report.pages.sections import Section

REGIONS = "Regions"


def of_run(folder: Path, facts: dict) -> list[Section]:
    """The sections of a scored run or record; regions stand behind the patients and scores."""
    patients, scores, *others = segmentation.of_run(folder, facts)
    return [patients, scores, *_regions(folder), *others]


def of_folds(folder: Path, facts: dict) -> list[Section]:
    """What a cross-validation has besides patients, scores and folds."""
    return [*_regions(folder), *segmentation.of_folds(folder, facts)]


def _regions(folder: Path) -> list[Section]:
    if not (folder / scoring.REGION_SCORES).is_file():
        return []
    scores = read_table(folder / scoring.REGION_SCORES)
    names = "; ".join(f"{name}: {labels.TITLES.get(name, name)}" for name in scores.region.unique())
    text = (
        f"{names}. An exam that lacks a region counts: a prediction without it is right. Lesion-wise Dice as BraTS 2023 counts; "
        "distances in mm where the spacing is known."
    )
    return [Section(REGIONS, tables.region_table(scores), text)]
