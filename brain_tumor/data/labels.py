"""What the numbers of a brain-tumour segmentation mean: the conventions of BraTS by year, and of the Decathlon.

Three regions are scored, one inside the other: the whole tumour (WT) holds the tumour core (TC), which holds the enhancing tumour
(ET; Menze 2015, doi 10.1109/TMI.2014.2377694). So a voxel needs one number only, in how many regions it lies: its *depth*. Where
a cohort has a single region, depths are the mask of 0 and 1 that they have always been.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from brain_tumor.errors import DataError

REGIONS = ("WT", "TC", "ET")
MOST_TUMOUR = 0.9  # of all voxels, those of the background included: no tumour fills a head
TITLES = {"WT": "whole tumour", "TC": "tumour core", "ET": "enhancing tumour"}


@dataclass(frozen=True)
class Convention:
    """What each number means.

    Attributes:
        name: as it is declared on the command line.
        used_by: whose files hold it.
        labels: number -> tissue.
        depths: number -> in how many of :data:`REGIONS` such a voxel lies.
    """

    name: str
    used_by: str
    labels: Mapping[int, str]
    depths: Mapping[int, int]

    @property
    def written(self) -> np.ndarray:
        """``(4,)`` uint8, the number that stands for each depth in a file: of two for one depth, the lower."""
        numbers = [min(number for number, own in self.depths.items() if own == depth) for depth in (1, 2, 3)]
        return np.array([0, *numbers], np.uint8)


# Of each year: Menze 2015 and the data pages of braintumorsegmentation.org; of the Decathlon: its dataset.json (Antonelli 2022,
# doi 10.1038/s41467-022-30695-9). A resection's cavity is no tumour and lies in no region (de Verdier 2024, arXiv 2405.18368).
# Of children: Kazerooni 2024, arXiv 2404.15009.
CONVENTIONS = {
    convention.name: convention
    for convention in (
        Convention(
            "2013",
            "BraTS 2012 to 2016",
            {1: "necrosis", 2: "oedema", 3: "tumour without enhancement", 4: "enhancing tumour"},
            {1: 2, 2: 1, 3: 2, 4: 3},
        ),
        Convention(
            "2017",
            "BraTS 2017 to 2022",
            {1: "necrosis and tumour without enhancement", 2: "oedema", 4: "enhancing tumour"},
            {1: 2, 2: 1, 4: 3},
        ),
        Convention(
            "2023",
            "BraTS 2023 and 2025",
            {1: "necrosis", 2: "oedema and infiltrated tissue", 3: "enhancing tumour"},
            {1: 2, 2: 1, 3: 3},
        ),
        Convention(
            "2024",
            "BraTS 2024 and later, after treatment",
            {1: "tumour without enhancement", 2: "FLAIR hyperintensity", 3: "enhancing tumour", 4: "resection cavity"},
            {1: 2, 2: 1, 3: 3, 4: 0},
        ),
        Convention(
            "ped",
            "BraTS-PEDs 2024 and later, of children",
            {1: "enhancing tumour", 2: "tumour without enhancement", 3: "cyst", 4: "oedema"},
            {1: 3, 2: 2, 3: 2, 4: 1},
        ),
        Convention(
            "decathlon",
            "Medical Segmentation Decathlon, task 1",
            {1: "oedema", 2: "tumour without enhancement", 3: "enhancing tumour"},
            {1: 1, 2: 2, 3: 3},
        ),
    )
}


def values_of(voxels: np.ndarray, source: object) -> list[int]:
    """The numbers, but for 0, that a segmentation holds, ascending; the file may store them as floats.

    Raises:
        DataError: a number that is not whole or not between 0 and 255, or tumour in every voxel.
    """
    distinct = np.unique(voxels)
    strange = [value for value in distinct.tolist() if not (np.isfinite(value) and value == int(value) and 0 <= value <= 255)]
    if strange:
        raise DataError(f"{source}: a segmentation with the value {strange[0]!r}, expected whole numbers from 0 to 255")
    share = np.count_nonzero(voxels) / max(1, np.size(voxels))
    if share > MOST_TUMOUR:
        raise DataError(
            f"{source}: {share:.0%} of all voxels are labelled tumour, so this is no segmentation; leave the file out"
        )
    return [int(value) for value in distinct if value]


def tell(values: Collection[int], source: object, candidates: Iterable[str] = CONVENTIONS) -> Convention:
    """The convention in which a segmentation with these numbers is written.

    Several may fit. Where they give every number that is there the same meaning, the first one is taken.

    Args:
        values: the numbers that are there, but for 0.
        source: what refusals name.
        candidates: conventions that names of files leave open, or the one that a person declared.

    Raises:
        DataError: a number that no candidate has; or candidates disagree, so that a person must say which it is.
    """
    candidates = list(candidates)
    fitting = [CONVENTIONS[name] for name in candidates if set(values) <= set(CONVENTIONS[name].depths)]
    if not fitting:
        known = "; ".join(f"{name}: {', '.join(map(str, CONVENTIONS[name].depths))}" for name in candidates)
        raise DataError(f"{source}: a segmentation with the labels {_listed(values)}, expected those of {known}")
    meanings = {tuple(convention.depths[value] for value in sorted(values)) for convention in fitting}
    if len(meanings) > 1:
        names = " or ".join(convention.name for convention in fitting)
        raise DataError(
            f"{source}: the labels {_listed(values)} can be of {names}, and mean different regions; say which with --labels"
        )
    return fitting[0]


def depths(voxels: np.ndarray, convention: Convention) -> np.ndarray:
    """uint8, in how many regions each voxel lies, of the labels of a convention.

    Args:
        voxels: numbers of the convention and 0, of any type; check them with :func:`values_of` and :func:`tell`.
    """
    table = np.zeros(256, np.uint8)
    for number, depth in convention.depths.items():
        table[number] = depth
    return table[np.asarray(voxels).astype(np.uint8)]


def labels(depth: np.ndarray, convention: Convention) -> np.ndarray:
    """uint8 numbers of a convention, of depths; what :func:`depths` reads again."""
    return convention.written[depth]


def region(depth: np.ndarray, number: int) -> np.ndarray:
    """uint8 mask in {0, 1} of a region, counted from the outermost, 0."""
    return (depth > number).astype(np.uint8)


def nested(masks: Sequence[np.ndarray]) -> np.ndarray:
    """uint8 depths of one mask a region, outermost first: a voxel lies in a region where it lies in all around it too."""
    inside = np.ones(np.shape(masks[0]), bool)
    depth = np.zeros(np.shape(masks[0]), np.uint8)
    for mask in masks:
        inside = inside & np.asarray(mask, bool)
        depth += inside
    return depth


def _listed(values: Collection[int]) -> str:
    return ", ".join(map(str, sorted(values))) or "none"
