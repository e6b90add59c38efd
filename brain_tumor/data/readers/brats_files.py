"""Which files are a BraTS exam's: the layouts and names of BraTS, 2012 to today, and of the Decathlon.

Files are told apart by their names (:mod:`brain_tumor.data.sequences`): ``BraTS20_Training_001_t1ce.nii.gz``,
``BraTS-GLI-00005-000-t1c.nii.gz``, a folder's ``t1c.nii.gz``, ``VSD.Brain.XX.O.MR_T1c.54514.mha``; and by their place:
``imagesTr/BRATS_001.nii.gz`` with four channels, or with a file a channel, ``BRATS_001_0000.nii.gz``.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from brain_tumor.data import labels, nifti, sequences, tree
from brain_tumor.data.cohort import FLAIR, Spacing
from brain_tumor.data.readers import metaimage
from brain_tumor.errors import DataError

SEQUENCES = tuple(sequences.SPELLINGS)  # t1, t1ce, t2, flair
ENDINGS = (*nifti.ENDINGS, metaimage.ENDING)
IMAGES, TRUTHS = "imagesTr", "labelsTr"  # of the Decathlon
OF_DECATHLON = (FLAIR, "t1", "t1ce", "t2")  # its channels, by its dataset.json
CHANNEL = re.compile(r"(.+)_(\d{4})")
TIME_POINT = re.compile(r"(BraTS(?:-[A-Za-z]+)+-\d+)-\d+|(brats_(?:\d{4}|tcia)_pat\d+)_\d+")
OF_CHILDREN = re.compile(r"BraTS-PEDs?-.+")
NEW_NAMES = {"t1n", "t1c", "t2w", "t2f"}  # of BraTS 2023 and later
BY_NAMES = {
    "new": ("2023", "2024"),
    "children": ("2023", "ped"),
    "old": ("2017", "2013"),
    "mha": ("2013",),
    "decathlon": ("decathlon",),
}
TRUTH = "truth"
Kinds = dict[str, list[Path]]  # a sequence, or TRUTH -> its files


@dataclass(frozen=True)
class Exam:
    """The files of an exam.

    Attributes:
        name: the exam's, from its folder or files.
        images: sequence -> its file.
        channels: the sequences of the one file that holds all, in its order; else none.
        depth: how many slices it has, once it was read; 0 before.
        spacing_mm: likewise; None where the files do not tell.
        truth: the segmentation; None where there is none.
        conventions: what the names leave open of its labels.
    """

    name: str
    images: Mapping[str, Path]
    truth: Path | None
    conventions: tuple[str, ...] = tuple(labels.CONVENTIONS)
    channels: tuple[str, ...] = ()
    depth: int = 0
    spacing_mm: Spacing | None = None

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def patient(self) -> str:
        """Whose it is: exams of one person at two times are one patient's."""
        time_point = TIME_POINT.fullmatch(self.name)
        return next(filter(None, time_point.groups())) if time_point else self.name

    @property
    def missing(self) -> tuple[str, ...]:
        """The sequences that no file holds."""
        return tuple(name for name in SEQUENCES if name not in self.images)

    @property
    def sources(self) -> tuple[Path, ...]:
        """Its files, in a stable order."""
        return (*dict.fromkeys(self.images.values()), *([self.truth] if self.truth else []))


def find(folder: Path) -> list[Exam]:
    """The exams in a folder, by name; no voxel is read.

    Raises:
        DataError: no such folder, no exam in it, two files for one sequence, or two exams of one name.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    decathlon = next((path for path in (folder / IMAGES, folder) if path.name == IMAGES and path.is_dir()), None)
    exams = _of_decathlon(decathlon) if decathlon else _of_names(folder)
    if not exams:
        raise DataError(f"{folder}: no exam of BraTS or the Decathlon, such as NAME/NAME-t2f.nii.gz or {IMAGES}/NAME.nii.gz")
    names = sorted(exam.name for exam in exams)
    if twice := [name for name, following in pairwise(names) if name == following]:
        raise DataError(f"{folder}: two exams are called {twice[0]}")
    return sorted(exams, key=lambda exam: exam.name)


def to_json(exam: Exam) -> dict:
    """An exam as JSON values."""
    images = {name: str(path) for name, path in exam.images.items()}
    return asdict(exam) | {"images": images, "truth": str(exam.truth)}


def from_json(values: dict) -> Exam:
    """The exam that :func:`to_json` wrote.

    Raises:
        KeyError, TypeError, ValueError: it did not write this.
    """
    images = {name: Path(path) for name, path in values["images"].items()}
    spacing = values["spacing_mm"] and tuple(map(float, values["spacing_mm"]))
    words = {name: tuple(values[name]) for name in ("conventions", "channels")}
    return Exam(str(values["name"]), images, Path(values["truth"]), **words, depth=int(values["depth"]), spacing_mm=spacing)


def _of_names(folder: Path) -> list[Exam]:
    """Exams whose files say in their names what they hold."""
    groups: dict[tuple[Path, str], Kinds] = defaultdict(lambda: defaultdict(list))
    walked = tree.walk(folder)
    if broken := [path for path in walked.broken if path.name.lower().endswith(ENDINGS)]:
        raise DataError(f"{broken[0]}: a link to nowhere")
    for path in sorted(path for path in walked.files if path.name.lower().endswith(ENDINGS)):
        kind = TRUTH if sequences.is_labels(path) else sequences.kind_of_file(path)
        if kind is None:
            continue
        place = path.parent
        if path.name.lower().endswith(metaimage.ENDING) and place.name == path.stem:  # each file in a folder of its own
            place = place.parent
        groups[place, "" if place != path.parent else _common(path)][kind].append(path)
    exams = []
    for (place, common), kinds in _with_odd_truths(groups).items():
        name = common or place.name
        for kind, paths in kinds.items():
            if len(paths) > 1:
                raise DataError(f"{name}: two files of {kind}: {paths[0].name} and {paths[1].name}")
        images = {kind: kinds[kind][0] for kind in SEQUENCES if kind in kinds}
        truth = kinds[TRUTH][0] if TRUTH in kinds else None
        exams.append(Exam(name, images, truth, _conventions(name, list(images.values()))))
    return exams


def _with_odd_truths(groups: Mapping[tuple[Path, str], Kinds]) -> dict[tuple[Path, str], Kinds]:
    """Groups of files, a segmentation of another name put to the images of its folder where there are those of one exam alone.

    One exam of BraTS 2020 has such a segmentation, ``BraTS20_Training_355/W39_1998.09.19_Segm.nii``.
    """
    whole = {key: kinds for key, kinds in groups.items() if set(kinds) != {TRUTH}}
    for (place, _), kinds in ((key, kinds) for key, kinds in groups.items() if key not in whole):
        beside = [images for (other, _), images in whole.items() if other == place]
        if len(beside) == 1 and TRUTH not in beside[0]:
            beside[0][TRUTH] = kinds[TRUTH]
    return whole


def _common(path: Path) -> str:
    """What a file's name shares with the others of its exam: all before the word that says the sequence; ``""`` for nothing."""
    parts = re.split(r"([^A-Za-z0-9]+)", nifti.stem(path))
    telling = [
        place
        for place, word in enumerate(parts)
        if sequences.kind_of(word) or word.lower().startswith(sequences.LABELS) or word.lower() == sequences.TRUTH
    ]
    return "".join(parts[: telling[-1] - 1]) if telling and telling[-1] else ""


def _conventions(name: str, paths: Sequence[Path]) -> tuple[str, ...]:
    """The conventions of labels that the names of an exam's images leave open, the likeliest first."""
    if any(path.name.lower().endswith(metaimage.ENDING) for path in paths):
        return BY_NAMES["mha"]
    spelt = {word for path in paths for word in sequences.words(path)}
    if OF_CHILDREN.fullmatch(name):
        return BY_NAMES["children"]
    if spelt & NEW_NAMES:
        return BY_NAMES["new"]
    return BY_NAMES["old"] if "t1ce" in spelt else tuple(labels.CONVENTIONS)


def _of_decathlon(images: Path) -> list[Exam]:
    """Exams in ``imagesTr``, four channels in a file or a file a channel, with their segmentations in ``labelsTr``."""
    by_channel: dict[str, dict[str, Path]] = defaultdict(dict)
    whole: dict[str, Path] = {}
    for path in filter(nifti.is_nifti, tree.contents(images)):
        of_channel = CHANNEL.fullmatch(nifti.stem(path))
        if of_channel and int(of_channel[2]) < len(OF_DECATHLON):
            by_channel[of_channel[1]][OF_DECATHLON[int(of_channel[2])]] = path
        else:
            whole[nifti.stem(path)] = path
    exams = []
    for name in sorted({*by_channel, *whole}):
        truths = [images.parent / TRUTHS / f"{name}{ending}" for ending in nifti.ENDINGS]
        truth = next((path for path in truths if path.is_file()), None)
        in_one = dict.fromkeys(OF_DECATHLON, whole[name]) if name in whole else by_channel[name]
        exams.append(Exam(name, in_one, truth, BY_NAMES["decathlon"], OF_DECATHLON if name in whole else ()))
    return exams
