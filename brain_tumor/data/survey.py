"""Your own pairs, read once before they become a cohort: what their pixels decide, and what speaks against them.

What is decided here is stored and holds from then on: the sequences, the size, the labels that mean tumour. Later reading refuses
what does not agree.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from brain_tumor.data.cache import SMALLEST
from brain_tumor.data.readers.pair_tables import PairTable
from brain_tumor.data.readers.pairs import FITS, Choices, Pair, Planes, channels_of, fitted_spacing, read_pair
from brain_tumor.errors import DataError
from brain_tumor.progress import in_threads

SEQUENCES = {1: ("image",), 3: ("red", "green", "blue")}  # of pictures whose sequences nobody named
# Labels of images without tumour, in any case of letters and without what parts words.
NEGATIVE = {
    "0", "no", "none", "normal", "healthy", "negative", "neg", "false", "control", "notumor", "notumour", "nontumor", "nontumour",
    "notumordetected", "without", "withouttumor", "withouttumour", "absent",
}  # fmt: skip
NAMED = 3


@dataclass(frozen=True)
class Survey:
    """What the files say.

    Attributes:
        pairs: as they were, with the depth of volumes and the spacing once fitted.
        choices: with all that was left open decided.
        rows: ``case, slice, SHA-256 of the image, of the mask`` of every slice before it is fitted, for the manifest.
        notes: what a person should know, a line each.
    """

    pairs: tuple[Pair, ...]
    choices: Choices
    rows: list[tuple[str, int, str, str]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Facts:
    """What is left of a pair's pixels."""

    shape: tuple[int, ...]
    digests: list[tuple[str, str]]
    blank: list[bool]
    tumour: bool
    planes: Planes


def survey(
    table: PairTable,
    labels: Sequence[int] = (),
    sequences: Sequence[str] = (),
    fit: str = "",
    size: int | None = None,
    positive: Sequence[str] = (),
) -> Survey:
    """Read every file once.

    Args:
        labels: values of masks that are tumour; none: masks hold 0 and 1, or 0 and 255.
        sequences: names of the channels; none: from the first image.
        fit: what to do with slices of unlike sizes: ``pad`` or ``resample`` (to ``size``).
        positive: labels of images that mean tumour.

    Raises:
        DataError: a file is refused, sizes are unlike and nobody said what to do, an image is there for two patients, or labels
            cannot be told.
    """
    if fit not in ("", *FITS) or (fit == "resample") != (size is not None):
        raise DataError(f"--fit {fit or 'none'} with --size {size or 'none'}; expected --fit pad, or --fit resample --size 256")
    if size is not None and size < SMALLEST:
        raise DataError(f"--size {size}, expected at least {SMALLEST} px")
    if labels and (table.labelled or 0 in labels):
        raise DataError(
            f"{table.source}: --label {labels[0]}: {'there are no masks' if table.labelled else '0 is what is no tumour'}"
        )
    if positive and not table.labelled:
        raise DataError(
            f"{table.source}: --positive is for a column 'label'; this set has masks: --label says which values are tumour"
        )
    notes = list(table.notes)
    choices = Choices(_sequences(table, sequences), tuple(labels), _positive(table, positive, notes))
    title = f"reading {table.source.name}"
    facts = list(in_threads(lambda pair: _facts(pair, choices), table.pairs, title, lambda pair: pair.case))
    _check_masks(table, facts, choices)
    notes += _copies(table, facts)
    choices = _fitted(table, facts, choices, fit, size)
    if choices.fit:
        height, width = choices.shape or (0, 0)
        notes.append(
            f"slices of {len({of.shape[1:] for of in facts})} sizes, brought to {width} x {height} (--fit {choices.fit})"
        )
    if windowed := sum(of.planes.windowed for of in facts):
        notes.append(f"{windowed} volumes beyond 8 bits: each is windowed to 0..255 from its 0.5th to its 99.5th percentile")
    pairs, rows = [], []
    for pair, of in zip(table.pairs, facts, strict=True):
        spacing = fitted_spacing(pair.spacing_mm or of.planes.spacing_mm, (of.shape[1], of.shape[2]), choices)
        pairs.append(replace(pair, spacing_mm=spacing, depth=0 if pair.slice is not None else of.shape[0]))
        numbers = range(1, of.shape[0] + 1) if pair.slice is None else (pair.slice,)
        rows += [(pair.case, number, *digests) for number, digests in zip(numbers, of.digests, strict=True)]
    return Survey(tuple(pairs), choices, rows, tuple(notes))


def _facts(pair: Pair, choices: Choices) -> _Facts:
    planes = read_pair(pair, choices)
    shape = planes.masks.shape
    if min(shape[1:]) < SMALLEST:
        raise DataError(f"{pair.image}: {shape[2]} x {shape[1]} pixels, expected at least {SMALLEST} x {SMALLEST}")
    blank = [bool((image == image[:1, :1]).all()) for image in planes.images]
    without = replace(planes, images=planes.images[:0], masks=planes.masks[:0])  # so that no pixels stay in memory
    return _Facts(shape, planes.digests(), blank, bool(planes.masks.any()), without)


def _sequences(table: PairTable, names: Sequence[str]) -> tuple[str, ...]:
    if names:
        lowered = tuple(name.strip().lower() for name in names)
        if len(set(lowered)) < len(lowered) or not all(name.isidentifier() for name in lowered) or len(lowered) > 4:
            raise DataError(
                f"--sequences {','.join(names)}: expected one to four names of letters, each its own, such as t1,flair"
            )
        return lowered
    number = channels_of(table.pairs[0].image)
    return SEQUENCES.get(number, tuple(f"channel_{place}" for place in range(1, number + 1)))


def _positive(table: PairTable, positive: Sequence[str], notes: list[str]) -> tuple[str, ...]:
    """The labels that mean tumour; of two, the one beside a word that means none."""
    if not table.labelled:
        return ()
    counts = Counter(pair.label for pair in table.pairs)
    classes = ", ".join(f"{label} {number}" for label, number in sorted(counts.items()))
    by_key = {label.casefold(): label for label in counts}
    if unknown := [label for label in positive if label.casefold() not in by_key]:
        raise DataError(f"{table.source}: --positive {unknown[0]}: no such label; there are {classes}")
    chosen = {by_key[label.casefold()] for label in positive}
    if not chosen and len(counts) == 2:
        chosen = {label for label in counts if "".join(filter(str.isalnum, label.casefold())) not in NEGATIVE}
    if not 0 < len(chosen) < len(counts) or (not positive and len(counts) != 2):
        raise DataError(f"{table.source}: labels {classes}; say which mean tumour (not all of them): --positive NAME[,NAME]")
    names = ", ".join(sorted(chosen))
    notes.append(f"tumour: {names}; no tumour: {', '.join(sorted(counts.keys() - chosen))}")
    return tuple(sorted(chosen))


def _check_masks(table: PairTable, facts: list[_Facts], choices: Choices) -> None:
    """What only all masks together can tell."""
    if table.labelled:
        return
    values = {value: pair for pair, of in zip(table.pairs, facts, strict=True) for value in of.planes.values}
    if not choices.labels and {1, 255} <= values.keys():
        one, other = values[1].mask, values[255].mask
        raise DataError(
            f"{one}: a mask of 0 and 1, but {other} has 0 and 255; write all masks alike, or say --label 1 --label 255"
        )
    if not any(of.tumour for of in facts):
        labels = f"none of the values {', '.join(map(str, choices.labels))}" if choices.labels else "nothing but 0"
        there = f" (there are {', '.join(map(str, sorted(values)[:9]))})" if choices.labels else ""
        raise DataError(f"{table.source}: {labels} in any mask{there}; without a tumour nothing can be learnt")
    users: dict[Path, Pair] = {}
    for pair, of in zip(table.pairs, facts, strict=True):
        assert pair.mask is not None
        first = users.setdefault(pair.mask.resolve(), pair)
        if first is not pair and of.tumour:
            raise DataError(
                f"{pair.mask}: mask of two images, {first.image.name} and {pair.image.name}; only an empty one may be shared"
            )


def _copies(table: PairTable, facts: list[_Facts]) -> list[str]:
    """Refuse an image that two patients have; one that a patient has twice is said. Blank ones are alike and mean nothing."""
    owners: dict[str, Pair] = {}
    copies: list[tuple[Pair, Pair]] = []
    for pair, of in zip(table.pairs, facts, strict=True):
        for (digest, _), blank in zip(of.digests, of.blank, strict=True):
            first = pair if blank else owners.setdefault(digest, pair)
            if first.patient != pair.patient:
                who = f"of patient {first.patient!r} and of {pair.patient!r}"
                raise DataError(f"{pair.image}: the same image as {first.image}, {who}; leave one out, or give both one patient")
            if first is not pair:
                copies.append((first, pair))
    if not copies:
        return []
    (first, other), whose = copies[0], "of one patient" if table.patients_known else "of patients unknown"
    return [f"{len(copies)} images are there twice, {whose}, such as {first.image.name} and {other.image.name}"]


def _fitted(table: PairTable, facts: list[_Facts], choices: Choices, fit: str, size: int | None) -> Choices:
    shapes = {of.shape[1:]: pair for pair, of in zip(table.pairs, facts, strict=True)}
    if size is not None:
        return replace(choices, fit=fit, shape=(size, size))
    if len(shapes) == 1:
        return choices
    if not fit:
        (shape, pair), (other, another) = list(shapes.items())[:2]
        raise DataError(
            f"{pair.image}: {shape[1]} x {shape[0]} pixels, but {another.image} has {other[1]} x {other[0]}; say --fit pad "
            f"(background around, up to the largest), or --fit resample --size {max(map(max, shapes))}"
        )
    height, width = (max(shape[axis] for shape in shapes) for axis in (0, 1))
    return replace(choices, fit=fit, shape=(height, width))
