"""What a server refuses: slices of new patients by mistake, and pictures of other things on purpose."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from brain_tumor.data import tree
from brain_tumor.data.picture import read_picture
from brain_tumor.experiments.part import Part
from brain_tumor.inference.familiarity import Familiarity
from brain_tumor.inference.intake import Exam
from brain_tumor.paths import data_folder
from brain_tumor.report import tables

EACH = 40  # pictures of a kind that is made here
SIDE = 256
PHOTOGRAPHS = (
    "astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png", "coins.png",
    "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "page.png", "retina.jpg",
    "rocket.jpg",
)  # fmt: skip


def patients(looks: Familiarity, part: Part) -> dict[str, tuple[int, int]]:
    """Of a part's patients, how many exams and how many slices that come alone are refused: ``what -> (refused, of)``."""
    exams, alone = [], []
    for case_id, rows in part.store.slices.iloc[part.rows].groupby("case_id", sort=False):
        images = np.asarray(part.store.images[rows.index.to_numpy()])
        exams.append(looks.check(Exam(str(case_id), images, np.arange(len(images)), np.arange(len(images)))).refused)
        distances = looks.distance(images)
        alone += (distances[~np.isnan(distances)] > 1).tolist()
    return {"exams of test patients": (sum(exams), len(exams)), "their slices, one by one": (sum(alone), len(alone))}


def strangers(looks: Familiarity, part: Part, classes: Path | str) -> dict[str, tuple[int, int]]:
    """Of other pictures, how many are refused.

    Args:
        part: whose slices are turned, inverted and given the wrong sequences.
        classes: a folder with a folder of pictures for each class, such as the four-class set; in the folder of datasets, or with
            its whole path. Each class is a kind of its own. Where there is no such folder, they are left out.
    """
    rng = np.random.default_rng(0)
    rows = part.rows[np.unique(np.linspace(0, len(part.rows) - 1, 2 * EACH).astype(int))]
    slices = np.asarray(part.store.images[rows])
    reference, channels = part.store.cohort.reference, slices.shape[-1]
    other = (reference + 1) % channels
    folder = data_folder() / classes
    kinds: dict[str, Iterable[np.ndarray]] = {
        "noise": rng.integers(0, 256, (EACH, SIDE, SIDE, channels), np.uint8),
        "text": [_text(rng, channels) for _ in range(EACH)],
        "slices, inverted": 255 - slices,
        "slices, on their side": np.rot90(slices, axes=(1, 2)),
        "slices, another sequence as FLAIR": slices[..., [other] * channels],
    }
    if find_spec("skimage"):
        kinds["photographs"] = [_stacked(pixels, channels) for pixels in _photographs()]
    if classes and folder.is_dir():
        for of_class in sorted(path for path in folder.iterdir() if path.is_dir()):
            kinds[f"other MRI, {of_class.name}"] = [
                _stacked(read_picture(path, ("L", "RGB")), channels) for path in _some(of_class)
            ]
    return {name: _refused(looks, pictures) for name, pictures in kinds.items()}


def table(numbers: dict[str, tuple[int, int]]) -> pd.DataFrame:
    """How many of each kind are refused, in words."""
    return tables.worded(
        {"pictures": name, "refused": f"{no} of {of}", "share": f"{no / of:.1%}"} for name, (no, of) in numbers.items()
    )


def _refused(looks: Familiarity, pictures: Iterable[np.ndarray]) -> tuple[int, int]:
    verdicts = [looks.check(Exam("", picture[None], np.array([1]), np.array([0]), alone=True)) for picture in pictures]
    seen = [verdict.refused for verdict in verdicts if verdict.slices]
    return sum(seen), len(seen)


def _text(rng: np.random.Generator, channels: int) -> np.ndarray:
    """A page of random words, dark on bright or bright on dark."""
    ink = int(255 * rng.integers(0, 2))
    picture = Image.new("L", (SIDE, SIDE), 255 - ink)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz    "))
    for top in range(4, SIDE - 12, 14):
        ImageDraw.Draw(picture).text((4, top), "".join(rng.choice(letters, 40)), fill=ink)
    return _stacked(np.asarray(picture), channels)


def _photographs() -> list[np.ndarray]:
    """The pictures that scikit-image carries."""
    import skimage.data

    folder = Path(skimage.data.__file__).parent
    return [read_picture(folder / name, ("L", "RGB", "RGBA")) for name in PHOTOGRAPHS if (folder / name).is_file()]


def _some(folder: Path) -> list[Path]:
    paths = [path for path in tree.contents(folder) if tree.is_picture(path)]
    return paths[:: max(1, len(paths) // (4 * EACH))]


def _stacked(pixels: np.ndarray, channels: int) -> np.ndarray:
    """A picture as a person would hand it over: grey is given to all channels, colours stay if there are as many."""
    if pixels.ndim == 3 and pixels.shape[2] >= channels:
        return np.ascontiguousarray(pixels[..., :channels])
    grey = pixels if pixels.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_RGB2GRAY)
    return np.repeat(grey[..., None], channels, axis=-1)
