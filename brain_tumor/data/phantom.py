"""A seeded synthetic cohort in the true ``kaggle_3m`` layout, so that everything runs where no patient data may lie.

It is drawn, not learned from patients: head, skull, folded cortex, ventricles, vessels, one irregular 3-D lesion a patient.
What makes it worth learning is put there on purpose: ventricle rims and small spots as bright on FLAIR as the lesion
(mimics), spots bright on the other sequences only, a scalp brighter than any lesion, bias field, noise, contrast that
differs by site and patient, slices without tumour, sequences that are missing (copies of FLAIR, as in the real data).
Its patient codes (``P001``) are none that TCGA gives out, so :func:`is_phantom` always tells it from patients.
"""

import csv
import functools
import math
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
from PIL import Image

from brain_tumor import files
from brain_tumor.data.brush import paint, smooth_noise, soft_edge
from brain_tumor.data.cohort import Cohort
from brain_tumor.data.readers import lgg
from brain_tumor.errors import DataError
from brain_tumor.paths import data_folder
from brain_tumor.progress import in_threads

DRAWING = 2  # raise when the same arguments draw other pixels
NATIVE = 256  # the size that areas and blurs below speak of
TUMOUR_PX = (7, 500, 7400)  # smallest area of a slice with tumour; smallest and largest area of a patient's largest slice
TUMOUR_SHARE = (0.20, 0.44)  # of a patient's slices
SITE_ORDER = ("DU", "HT", "CS", "DU", "HT", "FG", "DU", "HT", "DU", "CS", "HT", "FG")  # the real shares; EZ has one patient
EZ_PATIENT = 10
MISSING = {1: ("pre", "post"), 3: ("post",)}  # by patient number modulo 12
# A site's scanners: gamma, noise, strength of the bias field, blur in pixels at 256, half width of the head.
SITES = {
    "CS": (1.00, 0.022, 0.20, 0.5, 0.72),
    "DU": (0.90, 0.016, 0.15, 0.4, 0.65),
    "EZ": (1.10, 0.030, 0.30, 0.8, 0.74),
    "FG": (1.30, 0.018, 0.35, 0.6, 0.70),
    "HT": (1.00, 0.028, 0.25, 0.7, 0.67),
}
# Brightness on (pre, FLAIR, post).
FAT, BONE, FLUID, EYE, FACE = (0.75, 0.85, 0.75), (0.10, 0.07, 0.10), (0.13, 0.07, 0.14), (0.20, 0.16, 0.22), (0.50, 0.60, 0.50)
GREY, WHITE, RIM, BLEED = (0.33, 0.43, 0.36), (0.44, 0.35, 0.46), (0.36, 0.68, 0.38), (0.80, 0.36, 0.82)
VESSEL, ENHANCED = (0.22, 0.12, 0.95), (0.34, 0.62, 0.85)
# Columns of data.csv and their highest code, as in the real table; age is drawn in years.
CLINICAL = {
    "RNASeqCluster": 4, "MethylationCluster": 5, "miRNACluster": 4, "CNCluster": 3, "RPPACluster": 4, "OncosignCluster": 3,
    "COCCluster": 3, "histological_type": 3, "neoplasm_histologic_grade": 2, "tumor_tissue_site": 1, "laterality": 3,
    "tumor_location": 6, "gender": 2, "age_at_initial_pathologic": 75, "race": 3, "ethnicity": 2, "death01": 1,
}  # fmt: skip
BLANK_PATIENT = 5  # every clinical field blank, as of TCGA_HT_A61B
CODE = re.compile(r"_P\d{3}$")

Smooth = Callable[[int, int], np.ndarray]  # cells and layers -> smooth noise of the volume's shape


def open_phantom(patients: int = 24, slices: tuple[int, int] = (12, 20), size: int = NATIVE, seed: int = 0) -> Cohort:
    """The phantom cohort of these arguments (see :func:`write_phantom`), written on first use and found again after."""
    root = data_folder() / "phantom" / f"{patients}-patients-{slices[0]}-to-{slices[1]}-slices-size-{size}-seed-{seed}-v{DRAWING}"
    if not root.is_dir():
        with files.locked(root.parent / ".lock"):
            if not root.is_dir():
                write_phantom(root, patients, slices, size, seed)
    return lgg.read_cohort(root, name="phantom", phantom=True)


def is_phantom(cohort: Cohort) -> bool:
    """Whether a cohort read from a folder holds patients that were drawn here."""
    return any(CODE.search(case.patient) for case in cohort)


def write_phantom(
    folder: Path, patients: int = 24, slices: tuple[int, int] = (12, 20), size: int = NATIVE, seed: int = 0
) -> Path:
    """Write a cohort as ``folder/TCGA_DU_P001_20000101/TCGA_DU_P001_20000101_1.tif`` with ``_mask.tif`` and ``data.csv``.

    Args:
        folder: must not exist; it appears whole or not at all.
        patients: 1 to 999; every one has a tumour, as in the real data.
        slices: fewest and most slices of a patient.
        size: height and width in pixels; areas of lesions are those of the real data at 256 and scale with it.
        seed: decides everything.

    Raises:
        DataError: the folder exists, or cannot be written.
    """
    folder = Path(folder)
    if folder.exists():
        raise DataError(f"{folder}: exists already; a phantom is written to a new folder")
    rng = np.random.default_rng(seed)
    peaks = rng.permutation(np.geomspace(*TUMOUR_PX[1:], patients)) * (size / NATIVE) ** 2
    shares = rng.permutation(np.linspace(*TUMOUR_SHARE, patients))
    depths = rng.integers(slices[0], slices[1] + 1, patients)
    sites = ["EZ" if number == EZ_PATIENT else SITE_ORDER[number % len(SITE_ORDER)] for number in range(patients)]
    names = [f"TCGA_{site}_P{number:03d}" for number, site in enumerate(sites, 1)]

    def write_case(number: int, temporary: Path) -> None:
        case_rng = np.random.default_rng([seed, number])
        images, masks = draw_case(case_rng, sites[number], (int(depths[number]), size), peaks[number], shares[number])
        for sequence in MISSING.get(number % len(SITE_ORDER), ()):
            images[..., lgg.SEQUENCES.index(sequence)] = images[..., lgg.FLAIR]
        case = temporary / f"{names[number]}_20000101"
        case.mkdir()
        for plane, (image, mask) in enumerate(zip(images, masks, strict=True), 1):
            Image.fromarray(image).save(case / f"{case.name}_{plane}.tif")
            Image.fromarray(mask * 255).save(case / f"{case.name}_{plane}_mask.tif")

    try:
        with files.atomic_folder(folder) as temporary:
            list(in_threads(functools.partial(write_case, temporary=temporary), range(patients), "drawing the phantom"))
            _write_clinical(temporary / lgg.CLINICAL_FILE, names, rng)
    except OSError as error:
        raise DataError(f"{folder}: cannot write the phantom ({error.strerror or error}); nothing was kept") from None
    return folder


def draw_case(
    rng: np.random.Generator, site: str, shape: tuple[int, int], peak_px: float, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """One exam: ``images (Z, S, S, 3)`` uint8 and ``masks (Z, S, S)`` uint8 in {0, 1}, for ``shape = (Z, S)``.

    ``peak_px`` is the tumour's area on its largest slice, ``share`` the part of the slices it is to be seen on.
    """
    images, tumour, *_ = draw_head(rng, site, shape, peak_px, share)
    return images, tumour.astype(np.uint8)


def draw_head(
    rng: np.random.Generator, site: str, shape: tuple[int, int], peak_px: float, share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """An exam with what it is drawn from, all ``(Z, S, S)`` but its images: images, tumour, how far inside the tumour a voxel
    lies, brain, ventricles; masks are bool.
    """
    smooth = functools.partial(smooth_noise, rng, shape)
    head = _anatomy(rng, smooth, shape, SITES[site][4])
    tumour, inside = _lesion(rng, smooth, shape, head, peak_px, share)
    images = np.zeros((shape[0], shape[1], shape[1], 3), np.float32)
    _paint_head(rng, smooth, images, head)
    _paint_lesion(rng, smooth, images, tumour, inside)
    return _scan(rng, smooth, images, site), tumour, inside, head.brain > 0, head.ventricle > 0


def _anatomy(rng: np.random.Generator, smooth: Smooth, shape: tuple[int, int], half_width: float) -> SimpleNamespace:
    """Where the parts of a head lie.

    ``outer``, ``brain`` and ``ventricle`` are signed depths ``(Z, S, S)`` in half image widths, positive inside; ``level`` runs
    from 0 at the skull base to 1 at the vertex, ``base`` from 1 at the skull base to 0 where the hemispheres begin.
    """
    n, size = shape
    level = np.linspace(0.02, 0.98, n, dtype=np.float32)[:, None, None]
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    v, u = axis[None, :, None] + rng.uniform(-0.05, 0.05), axis[None, None, :] + rng.uniform(-0.04, 0.04)
    angle = rng.normal(0, 0.06)
    u, v = u * math.cos(angle) - v * math.sin(angle), u * math.sin(angle) + v * math.cos(angle)

    width = half_width * rng.uniform(0.95, 1.05) * np.sqrt(np.clip(1 - ((level - 0.42) / 0.64) ** 2, 0.02, 1))
    height = width * rng.uniform(1.16, 1.26)
    outline = np.sqrt((u / width) ** 2 + ((v + 0.08 * (1 - level) * v**2) / height) ** 2) + 0.010 * smooth(5, 3)
    outer = (1 - outline) * width
    brain = outer - 0.075 - rng.uniform(0, 0.02) - 0.006 * smooth(9, 4)
    base = np.clip(1 - level / 0.36, 0, 1)  # face and cerebellum take the place of the hemispheres there
    cerebellum = (1 - np.sqrt((u / 0.42) ** 2 + ((v - 0.36) / 0.27) ** 2)) * 0.3 + 0.01 * smooth(9, 4)
    brain = np.minimum(brain, np.where(base > 0.05, cerebellum + 1.3 * np.clip(0.65 - base, 0, 1), np.inf))

    # Two lateral ventricles, bowed away from the midline, seen on the middle slices only.
    midline = 0.02 * smooth(3, 2) + u
    v0, wide, bend = rng.uniform(-0.08, 0.0), rng.uniform(0.025, 0.06), rng.uniform(0.04, 0.09)
    reach = np.clip(1 - ((level - 0.55) / 0.17) ** 2, 0, 1)
    along = (v - v0) / (0.29 * np.sqrt(reach) + 1e-3) + 0.15 * smooth(5, 2)  # -1 and 1 at the tips of the horns
    body = np.sign(1 - along**2) * np.abs(1 - along**2) ** 0.7
    bowed = np.abs(np.abs(midline) - 0.045 - bend * along**2 * np.sqrt(reach))
    ventricle = wide * reach * body - bowed - 0.01 * (reach == 0)
    return SimpleNamespace(
        u=u, v=v, v0=v0, level=level, base=base, outer=outer, brain=brain,
        midline=midline, ventricle=ventricle, along=along, reach=reach,
    )  # fmt: skip


def _paint_head(rng: np.random.Generator, smooth: Smooth, images: np.ndarray, head: SimpleNamespace) -> None:
    """Everything but the tumour, from the scalp inwards."""
    soft = functools.partial(soft_edge, width=max(0.023, 3 / images.shape[1]))
    u, v, level, brain, texture = head.u, head.v, head.level, head.brain, smooth(24, 4)
    paint(images, soft(head.outer), FAT, 1 + 0.10 * texture)
    paint(images, soft(head.outer - 0.035 - 0.03 * head.base + 0.012 * smooth(8, 3)), BONE)
    face = soft_edge(head.base - 0.1, 0.3) * soft(head.outer - 0.05) * soft_edge(smooth(14, 5) - 0.3, 0.5)
    paint(images, face, FACE, 1 + 0.3 * texture)
    eyes = 0.14 - np.hypot(np.abs(u) - 0.25, v + 0.5) - 1.2 * np.abs(level - 0.27)
    paint(images, soft(eyes) * soft(-brain) * soft(head.outer), FAT, 0.6 + 0.2 * texture)
    paint(images, soft(eyes - 0.025) * soft(-brain) * soft(head.outer), EYE)

    paint(images, soft(brain + 0.02), FLUID)
    paint(images, soft(brain), WHITE, 1 + 0.05 * texture)
    fold = np.abs(smooth(round(rng.uniform(24, 30)), max(3, len(images) // 2)))
    near_cortex = soft_edge(0.11 + 0.05 * smooth(8, 3) - brain, 0.08)
    grey = np.maximum(soft_edge(0.055 + 0.02 * smooth(20, 5) - brain, 0.03), near_cortex * soft_edge(0.5 - fold, 0.3))
    nuclei = 0.09 - np.hypot((np.abs(head.midline) - 0.19) * 1.3, v - head.v0 - 0.02) - 0.8 * np.abs(level - 0.5)
    paint(images, np.maximum(grey, 0.7 * soft_edge(nuclei, 0.05)) * soft(brain), GREY, 1 + 0.04 * texture)
    sulci = near_cortex * soft_edge(rng.uniform(0.10, 0.22) - fold, 0.25) * soft_edge(smooth(10, 4) + 0.3, 1.0)
    paint(images, 0.9 * sulci * soft(brain), FLUID)
    falx = soft_edge(0.012 - np.abs(head.midline), 0.012) * soft_edge(np.abs(v - head.v0) - 0.24 + 0.6 * (level > 0.7), 0.05)
    paint(images, 0.8 * falx * (level > 0.3) * soft(brain + 0.02), FLUID)

    # The mimics. Bright as tumour on FLAIR: ventricle rims with caps at the horns, and white-matter spots.
    near = rng.uniform(0.005, 0.02) + 0.02 * head.along**2 + 0.012 * smooth(10, 4)
    rim = soft_edge(near + head.ventricle, 0.04) * soft_edge(1.3 - head.along**2, 0.6) * (head.reach > 0) * rng.uniform(0.4, 1.0)
    spots = soft_edge(smooth(22, len(images)) - rng.uniform(2.6, 3.2), 0.5) * soft_edge(brain - 0.12, 0.05)
    paint(images, np.maximum(rim, 0.8 * spots) * soft(brain), RIM)
    paint(images, soft(head.ventricle), FLUID)
    # Bright on the other sequences only: old blood, and vessels after contrast.
    paint(images, soft_edge(smooth(18, len(images)) - rng.uniform(2.5, 3.0), 0.4) * soft_edge(brain - 0.05, 0.05), BLEED)
    vessel = soft_edge(0.05 - np.abs(smooth(13, 4)), 0.06) * soft_edge(smooth(7, 4) - 0.7, 0.3) * soft_edge(0.35 - brain, 0.1)
    paint(images, 0.9 * vessel * soft(brain), VESSEL)


def _lesion(
    rng: np.random.Generator, smooth: Smooth, shape: tuple[int, int], head: SimpleNamespace, peak_px: float, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """One connected tumour ``(Z, S, S)`` bool on neighbouring slices, and how far inside it each voxel lies (0 to about 1)."""
    from scipy import ndimage  # a drawn phantom is opened without it

    n, size = shape
    allowed = np.minimum(head.brain - 0.02, -0.01 - head.ventricle)
    half = share * n / 2
    centre = rng.uniform(max(half, 0.3 * n), min(n - 1 - half, 0.72 * n))
    peak = round(centre)
    radius = math.sqrt(peak_px / math.pi) / (size / 2)
    row, column = rng.choice(np.argwhere(allowed[peak] > min(0.6 * radius, 0.7 * allowed[peak].max())))
    stretch = math.exp(rng.uniform(-0.25, 0.25))
    depth = np.arange(n, dtype=np.float32)[:, None, None] - centre
    du = head.u - head.u[0, row, column] - rng.uniform(-0.15, 0.15) * radius * depth
    dv = head.v - head.v[0, row, column] - rng.uniform(-0.15, 0.15) * radius * depth
    field = 1 - (du * stretch / radius) ** 2 - (dv / stretch / radius) ** 2 - (depth / half) ** 2
    field += 0.30 * smooth(6, 3) + 0.22 * smooth(14, max(3, n // 3)) + 0.06 * smooth(40, n)
    field[allowed <= 0] = -np.inf
    threshold = -np.partition(-field[peak], round(peak_px), axis=None)[round(peak_px)]
    labels, _ = ndimage.label(field > threshold, np.ones((3, 3, 3)))
    tumour = labels == labels[peak].ravel()[np.argmax(field[peak])]
    # Slices that would show less than the smallest lesion end it.
    faint = np.flatnonzero(tumour.sum((1, 2)) < TUMOUR_PX[0] * (size / NATIVE) ** 2)
    tumour[: max(faint[faint < peak], default=-1) + 1] = False
    tumour[min(faint[faint > peak], default=n) :] = False
    return tumour, np.where(tumour, field - threshold, 0)


def _paint_lesion(rng: np.random.Generator, smooth: Smooth, images: np.ndarray, tumour: np.ndarray, inside: np.ndarray) -> None:
    """Bright and uneven on FLAIR, darker before contrast, sometimes with a dark core or an enhancing edge."""
    edge = rng.uniform(0.5, 2.0) * images.shape[1] / NATIVE + 0.2
    member = np.stack([cv2.GaussianBlur(plane, (0, 0), edge) for plane in tumour.astype(np.float32)])
    change = rng.uniform(0.14, 0.40) * member * (1 + 0.25 * smooth(12, 5) + 0.12 * smooth(30, 6))
    images += change[..., None] * np.array([-0.35, 1.0, -0.30], np.float32)
    if rng.random() < 0.3:
        paint(images, 0.8 * soft_edge(inside - rng.uniform(0.9, 1.2), 0.2) * member, FLUID)
    if rng.random() < 0.35:
        paint(
            images, 0.8 * member * soft_edge(0.25 - np.abs(inside - 0.45), 0.2) * soft_edge(smooth(8, 4), 0.5) * tumour, ENHANCED
        )


def _scan(rng: np.random.Generator, smooth: Smooth, images: np.ndarray, site: str) -> np.ndarray:
    """What the scanner of a site makes of it: bias field, blur, gamma, Rician noise, a gain for each sequence; uint8."""
    gamma, noise, bias, blur, _ = SITES[site]
    field = np.exp(bias * (smooth(2, 2) * 0.6 + smooth(4, 2) * 0.4))[..., None]
    gains = rng.uniform(0.45, 0.95, 3).astype(np.float32)
    width = blur * images.shape[1] / NATIVE + 0.2
    planes = [cv2.GaussianBlur(plane, (0, 0), width) for plane in np.clip(images * field, 0, None)]
    images = np.stack(planes) ** np.float32(gamma)
    grain = rng.standard_normal((2, *images.shape), dtype=np.float32) * np.float32(noise)
    images = np.hypot(images + grain[0], grain[1]) * gains
    return np.clip(images * 255, 0, 255).astype(np.uint8)


def _write_clinical(path: Path, names: list[str], rng: np.random.Generator) -> None:
    """A clinical table with the real columns, some fields blank, in the real table's spelling."""
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["Patient", *CLINICAL])
        for number, name in enumerate(names):
            values = [int(rng.integers(20 if highest == 75 else min(1, highest), highest + 1)) for highest in CLINICAL.values()]
            blank = rng.random(len(values)) < (1.0 if number == BLANK_PATIENT else 0.06)
            writer.writerow([name, *("" if absent else value for value, absent in zip(values, blank, strict=True))])
