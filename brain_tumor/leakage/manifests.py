"""Who is in which part, however the split is written: ours, a CSV, nnU-Net's folds, or a tree of folders."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brain_tumor.data import patients, splits, text, tree
from brain_tumor.data.archive import unpacked
from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.opening import open_cohort
from brain_tumor.data.picture import MODES, PICTURES, read_picture
from brain_tumor.errors import DataError, SplitError
from brain_tumor.leakage import split_tables
from brain_tumor.leakage.names import ImageRecord, NamePattern, SliceIndex, advice, identify, pattern_of, pictures_of


@dataclass(frozen=True)
class SplitManifest:
    """What was read.

    Attributes:
        name: the split's name, or where it was read.
        pictures: each once.
        folds: a fold's name -> the part of each picture, ``""`` where the fold leaves it out. A single split is the fold ``""``.
        store: the cohort's store, where pictures are rows of it.
        notes: what a person should know before the verdict, of the tree and of how names were read, a line each.
        doubts: what the audit cannot see, such as one patient under two names, a clause each: no verdict is clean beside one.
    """

    name: str
    pictures: tuple[ImageRecord, ...]
    folds: dict[str, tuple[str, ...]]
    store: Store | None = None
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    def pixels(self, picture: ImageRecord) -> np.ndarray:
        """``(H, W)`` or ``(H, W, C)`` uint8; a damaged file is refused by name."""
        if isinstance(picture.source, Path):
            return read_picture(picture.source, MODES)
        assert self.store is not None
        return self.store.images[picture.source]


def read(what: str, cohort: str = "lgg", pattern: str | None = None) -> SplitManifest:
    """Read a split.

    Args:
        what: the name of a split of the cohort (``source-002``); our JSON; nnU-Net's ``splits_final.json``; a CSV with the
            columns ``file`` (from the CSV's folder) and ``part``, and perhaps ``patient`` and ``slice``; or a folder that holds
            folders such as ``Training`` and ``Testing``, or a zip of one. Files called ``..._mask`` are passed over. Every list
            of names in a fold of nnU-Net's is a part.
        cohort: ``lgg`` or ``phantom``: whose split it is, and where slices are looked up that are only named.
        pattern: see :mod:`brain_tumor.leakage.names`; None: that of TCGA.

    Raises:
        SplitError: unreadable, a name in two parts, an empty part, one part only, names that are nowhere, or a pattern that fits
            none of them.
        DataError: the cohort is not here or damaged.
    """
    compiled = pattern_of(pattern)
    path = unpacked(Path(what))
    if path.is_dir():
        return _read_tree(path, compiled)
    if path.suffix.lower() == ".csv":
        return _read_csv(path, compiled, SliceIndex(cohort))
    if path.suffix.lower() == ".json":
        return _read_json(path, compiled, cohort)
    if path.exists() or os.sep in what:
        raise SplitError(f"{path}: {'expected' if path.exists() else 'no such file or folder; expected'} a folder, .json or .csv")
    store = open_store(open_cohort(cohort))
    return _without_pattern(of_cohort(splits.named(what, store.cases, store.slices), store), compiled)


def of_cohort(split: splits.Split, store: Store, name: str | None = None) -> SplitManifest:
    """A split of a cohort whose native store is open. Raises SplitError where it names keys that the cohort lacks."""
    parts = np.full(len(store.slices), "", dtype="U10")
    for part in splits.PARTS:
        parts[split.rows(part, store.slices)] = part
    rows = np.flatnonzero(parts != "")
    listed = (key.partition("/")[0] for part in splits.PARTS for key in getattr(split, part))
    changes = patients.in_words(patients.spelt_as(listed, set(store.slices.case_id)))
    notes = (changes,) if changes else ()
    return SplitManifest(name or split.name, pictures_of(store, rows), {"": tuple(parts[rows].tolist())}, store, notes)


def _without_pattern(manifest: SplitManifest, pattern: NamePattern) -> SplitManifest:
    """A split of our cohort, which tells whose its cases are; a pattern is then said to be of no use."""
    note = "The pattern was not used: this split names cases of the cohort, which tells whose they are."
    return replace(manifest, notes=(*manifest.notes, note)) if pattern.own else manifest


def _compared(manifest: SplitManifest, names: Sequence[str], where: str, pattern: NamePattern) -> SplitManifest:
    """The same with one spelling of each patient and series, and what is to be said of the names.

    Args:
        names: what patterns were looked for in, a picture each.
        where: what of a name that is.
    """
    notes = list(manifest.notes)
    if pattern.own:
        misses = [name for name in names if identify(name, pattern)[0] is None]
        if len(misses) == len(names):
            raise SplitError(
                f"{manifest.name}: the pattern '{pattern.regex.pattern}' fits none of {len(names):,} names; it was looked for in "
                f"{where}, such as {misses[0]!r}; expected one like {advice(misses[0])}"
            )
        if misses:
            fits = len(names) - len(misses)
            notes.append(f"The pattern fits {fits:,} of {len(names):,} names, not one such as {misses[0]!r} ({where}).")
    elif unknown := [name for name, picture in zip(names, manifest.pictures, strict=True) if picture.patient is None]:
        notes.append(f"Names such as {unknown[0]!r} tell no patient; if theirs do, say how, such as {advice(unknown[0])}.")
    spellings, series = (
        patients.united(value for picture in manifest.pictures if (value := getattr(picture, attribute)))
        for attribute in ("patient", "series")
    )
    pictures = tuple(
        replace(picture, patient=spellings.get(picture.patient or ""), series=series.get(picture.series or ""))
        for picture in manifest.pictures
    )
    notes += [said] if (said := patients.in_words(spellings)) else []
    return replace(manifest, pictures=pictures, notes=tuple(notes))


def _read_json(path: Path, pattern: NamePattern, cohort: str) -> SplitManifest:
    try:
        content = text.read_json(path)
    except DataError as error:
        raise SplitError(str(error)) from None
    if isinstance(content, list) and content and all(isinstance(fold, dict) and _has_sides(fold) for fold in content):
        return _read_nnunet(path, content, pattern, SliceIndex(cohort))
    if not isinstance(content, dict) or not {"name", "unit", "train", "test"} <= content.keys():
        raise SplitError(
            f"{path}: neither a split (name, unit, train, validation, test) nor nnU-Net's splits_final.json "
            "(a list of train and val)"
        )
    split = splits.load(path)
    store = open_store(open_cohort(cohort))
    try:
        return _without_pattern(of_cohort(split, store, str(path)), pattern)
    except SplitError as error:  # it names keys that the cohort lacks
        raise SplitError(f"{path}: {error}") from None


def _has_sides(fold: dict) -> bool:
    """Whether a fold has a training part and another that is known by its name."""
    sides = {splits.side(part) for part in fold}
    return 0 in sides and bool(sides & {1, 2})


def _read_nnunet(path: Path, content: list[dict], pattern: NamePattern, index: SliceIndex) -> SplitManifest:
    """Identifiers are names of slices or of whole cases; those of the cohort get its pixels, others are judged by name alone."""
    pictures: dict[str, ImageRecord] = {}
    folds = []
    for number, fold in enumerate(content):
        parts: dict[str, str] = {}
        for part, names in fold.items():
            required = part in ("train", "val")
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or required > bool(names):
                problem = f"the {part} part is empty or not a list of names" if required else f"{part!r} is no list of names"
                raise SplitError(
                    f"{path}: fold {number}: {problem}; expected train, val and perhaps other lists, and nothing else"
                )
            for name in names:
                for picture in index.find(name, str(path)) or [ImageRecord(name, *identify(name, pattern))]:
                    if picture.name in parts:
                        raise SplitError(f"{path}: fold {number}: {name!r} is there twice, in {parts[picture.name]} and {part}")
                    parts[picture.name] = part
                    pictures[picture.name] = picture
        folds.append(parts)
    named = {f"fold {number}": tuple(parts.get(name, "") for name in pictures) for number, parts in enumerate(folds)}
    manifest = SplitManifest(str(path), tuple(pictures.values()), named, index.store)
    if not pattern.own and all(picture.patient is None for picture in pictures.values()):
        example = next(iter(pictures))
        raise SplitError(
            f"{path}: names such as {example!r} tell no patient, and their pictures are not at hand; say where in a name the "
            f"patient stands, such as {advice(example)}"
        )
    return _compared(manifest, list(pictures), "the names of cases", pattern)


def _read_csv(path: Path, pattern: NamePattern, index: SliceIndex) -> SplitManifest:
    pictures, parts, names, doubts = split_tables.read(path, pattern, index)
    _check_parts(path, parts)
    manifest = SplitManifest(str(path), tuple(pictures), {"": tuple(parts)}, index.store, doubts=doubts)
    return _compared(manifest, names, "the column file", pattern)


def _read_tree(root: Path, pattern: NamePattern) -> SplitManifest:
    """Every picture below the part folders, hidden folders included: those who train on the tree read them too."""
    pictures, parts, names, sources = [], [], [], []
    whole = tree.walk(root)
    place = tree.innermost(whole, root, _is_part)
    for folder in filter(_is_part, tree.contents(place)):
        sources.append(tree.walk(folder, hidden=True))  # each part apart: a folder that two parts share is a leak, not a copy
        paths = sources[-1].below(folder)
        if not paths:
            raise SplitError(f"{folder}: no pictures in this part ({', '.join(sorted(PICTURES))})")
        below = [path.relative_to(folder).as_posix() for path in paths]
        records = zip(paths, below, strict=True)
        pictures += [ImageRecord(path.relative_to(root).as_posix(), *identify(name, pattern), path) for path, name in records]
        names += below
        parts += [folder.name] * len(paths)
    _check_parts(root, parts)
    others = [folder.name for folder in whole.subfolders(place) if not _is_part(folder) and whole.below(folder)]
    doubts = (f"folders {', '.join(others)} are not read, since they are called like no part",) if others else ()
    litter = Counter({kind: n for kind, n in whole.litter.items() if not kind.startswith(tree.HIDDEN)})
    again, broken = (tuple(path for source in sources for path in getattr(source, kind)) for kind in ("again", "broken"))
    notes = replace(whole, litter=litter, again=again, broken=broken).notes
    manifest = SplitManifest(str(root), tuple(pictures), {"": tuple(parts)}, notes=notes, doubts=doubts)
    return _compared(manifest, names, "paths below the part's folder", pattern)


def _is_part(folder: Path) -> bool:
    return folder.is_dir() and splits.side(folder.name) < len(splits.SIDES)


def _check_parts(path: Path, parts: Iterable[str]) -> None:
    distinct = sorted(set(parts))
    if len(distinct) < 2:
        only = f"only the part {distinct[0]!r}" if distinct else "no parts"
        raise SplitError(f"{path}: {only}; expected two or more, such as Training and Testing, or train, val and test")
