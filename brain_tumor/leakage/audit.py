"""A split against leaks: what does one part know of another?

Five things are looked for in every pair of parts, train and test first: patients on both sides, identical pixels, near duplicates
(:mod:`brain_tumor.data.fingerprints` states how near), adjacent slices of one exam, and slices that are there twice, as in
Kaggle's LGG download, which holds its tree twice. Any of them is a leak. Identical pixels and doubled slices within one part are
told too; they weigh a score, they do not leak. Where names do not tell a patient, the patient is unknown: never "no leak".
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np

from brain_tumor.data import fingerprints
from brain_tumor.data.picture import BadPictures
from brain_tumor.data.splits import side
from brain_tumor.leakage.manifests import SplitManifest
from brain_tumor.leakage.names import ImageRecord

KINDS = {
    "patients": "patients on both sides",
    "identical": "identical pixels",
    "near": "near duplicates",
    "adjacent": "adjacent slices",
    "doubled": "the same slice twice",
}
WITHIN = ("identical", "doubled")  # told within a part too
EXAMPLES = 5
UNKNOWN = "?"  # the digest of a picture that is not at hand
NOTHING = np.zeros((1, 1), np.uint8)  # in place of a picture that cannot be read: like no other


@dataclass(frozen=True)
class Finding:
    """One kind of thing that two parts share, or that one part holds twice.

    Attributes:
        kind: a key of ``KINDS``.
        parts: the two parts; the same one twice for a finding within it.
        count: patients, or pairs of pictures.
        of_one_patient: how many of the pairs are known to be of one patient.
        pictures: how many pictures of each of the two parts are concerned.
        examples: a few patients, or pairs of pictures, by name.
    """

    kind: str
    parts: tuple[str, str]
    count: int
    of_one_patient: int
    pictures: tuple[int, ...]
    examples: tuple[tuple[str, ...], ...]

    @property
    def leak(self) -> bool:
        """Whether it crosses parts."""
        return self.parts[0] != self.parts[1]


@dataclass(frozen=True)
class Audit:
    """What was found in one split, or in one fold.

    Attributes:
        name: the split, and the fold where there are several.
        pictures: how many each part has.
        patients: how many patients each part is known to have.
        patients_unknown: pictures whose patient their names do not tell.
        not_at_hand: pictures known by name alone, so that their pixels were not compared.
        blank: pictures with nothing to see, left out of near duplicates; those of one grey value out of identical pixels too.
        copies: how many times the cohort's source holds its tree; each slice was read once.
        phantom: True where the slices are a phantom's, not patients'.
        threshold: how many of 64 bits two near duplicates may differ in.
        findings: train and test first.
        notes: how names were read, a sentence each.
        doubts: what the audit cannot see, a clause each.
        unreadable: a line for each picture that cannot be read and is judged by its name alone.
    """

    name: str
    pictures: dict[str, int]
    patients: dict[str, int]
    patients_unknown: int
    not_at_hand: int
    blank: int
    copies: int
    phantom: bool
    threshold: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def leaks(self) -> bool:
        """Whether one part knows anything of another."""
        return any(finding.leak for finding in self.findings)

    @property
    def verdict(self) -> str:
        """One sentence: the leaks, as shares of the second part; or that there are none, and what could not be told."""
        total = sum(self.pictures.values())
        limits = list(self.doubts)
        if self.patients_unknown:
            limits.append(f"patients unknown for {self.patients_unknown:,} of {total:,} pictures")
        if self.not_at_hand:
            limits.append(f"pixels of {self.not_at_hand:,} of {total:,} pictures not at hand, judged by name alone")
        if self.leaks:
            pairs = dict.fromkeys(finding.parts for finding in self.findings if finding.leak)
            return "; ".join([f"LEAK {', and '.join(map(self._leak, pairs))}", *limits])
        if limits:
            return f"nothing found, but {'; '.join(limits)}"
        return f"no leak: {sum(self.patients.values())} patients, each in one part; no picture twice, nor nearly, across parts"

    def _leak(self, parts: tuple[str, str]) -> str:
        by_kind = {finding.kind: finding for finding in self.findings if finding.parts == parts}
        shares = [f"{finding.pictures[1]:,} have {KINDS[kind]}" for kind, finding in by_kind.items() if kind != "patients"]
        shared = by_kind["patients"].count if "patients" in by_kind else 0
        texts = [f"{shared:,} patient{'s' * (shared > 1)} on both sides"] if shared else []
        texts += [f"of the {self.pictures[parts[1]]:,} pictures in {parts[1]} {', '.join(shares)}"] if shares else []
        return f"between {parts[0]} and {parts[1]}: {'; '.join(texts)}"

    def to_json(self) -> dict:
        """Everything as JSON values, with the verdict."""
        return asdict(self) | {"leaks": self.leaks, "verdict": self.verdict, "alike": fingerprints.ALIKE}


def audit(manifest: SplitManifest, threshold: int = fingerprints.THRESHOLD, skip_bad: bool = False) -> list[Audit]:
    """Look for leaks: one audit a fold, in order. Pictures are read once, whatever the number of folds.

    Args:
        manifest: a split as :func:`brain_tumor.leakage.manifests.read` gives it.
        threshold: how many of 64 bits the hashes of two near duplicates may differ in, up to ``fingerprints.MOST_BITS``.
        skip_bad: judge pictures that cannot be read by their names alone, and list them.

    Raises:
        DataError: a picture cannot be read.
    """
    pictures = manifest.pictures
    at_hand = np.flatnonzero([picture.source is not None for picture in pictures])
    bad = BadPictures(skip_bad)

    def pixels(i: int) -> np.ndarray:
        readable = bad.read(int(at_hand[i]), lambda: manifest.pixels(pictures[at_hand[i]]))
        return NOTHING if readable is None else readable

    hashes = fingerprints.fingerprints(pixels, len(at_hand), "hashing pictures")
    digests, blank = np.full(len(pictures), UNKNOWN, dtype="U64"), np.zeros(len(pictures), bool)
    digests[at_hand], blank[at_hand] = hashes.digests, hashes.blank
    unreadable = np.array(sorted(bad.lines), int)
    digests[unreadable], blank[unreadable] = UNKNOWN, False
    pairs = {
        "identical": at_hand[fingerprints.identical_pairs(hashes.digests)],
        "near": at_hand[fingerprints.near_pairs(hashes, threshold)],
        "adjacent": _adjacent_pairs(pictures),
        "doubled": _doubled_pairs(pictures, digests),
    }
    audits = []
    for fold, parts in manifest.folds.items():
        of_part = np.array(parts)
        used = of_part != ""
        audits.append(
            Audit(
                name=f"{manifest.name}, {fold}" if fold else manifest.name,
                pictures={part: int((of_part == part).sum()) for part in _in_order(of_part)},
                patients={part: len(_patients(pictures, of_part, part)) for part in _in_order(of_part)},
                patients_unknown=sum(pictures[i].patient is None for i in np.flatnonzero(used)),
                not_at_hand=int(used.sum() - used[at_hand].sum() + used[unreadable].sum()),
                blank=int((blank & used).sum()),
                copies=manifest.store.cohort.copies if manifest.store else 1,
                phantom=bool(manifest.store and manifest.store.cohort.phantom),
                threshold=threshold,
                findings=tuple(_findings(pictures, of_part, pairs)),
                notes=manifest.notes,
                doubts=manifest.doubts,
                unreadable=tuple(bad.lines[i] for i in unreadable.tolist() if used[i]),
            )
        )
    return audits


def _in_order(of_part: np.ndarray) -> list[str]:
    """The parts of a fold: train, test, validation, then others as they come."""
    return sorted(dict.fromkeys(of_part[of_part != ""].tolist()), key=side)


def _patients(pictures: Sequence[ImageRecord], of_part: np.ndarray, part: str) -> Counter:
    """The known patients of a part, with how many pictures each has there."""
    return Counter(pictures[i].patient for i in np.flatnonzero(of_part == part).tolist() if pictures[i].patient is not None)


def _findings(pictures: Sequence[ImageRecord], of_part: np.ndarray, pairs: dict[str, np.ndarray]) -> Iterator[Finding]:
    parts = _in_order(of_part)
    for first, second in combinations(parts, 2):
        here, there = _patients(pictures, of_part, first), _patients(pictures, of_part, second)
        shared = sorted(here.keys() & there.keys())
        if shared:
            concerned = tuple(sum(counts[patient] for patient in shared) for counts in (here, there))
            examples = tuple((patient,) for patient in shared[:EXAMPLES])
            yield Finding("patients", (first, second), len(shared), len(shared), concerned, examples)
        for kind, matches in pairs.items():
            yield from _finding(kind, first, second, matches, pictures, of_part)
    for part in parts:
        for kind in WITHIN:
            yield from _finding(kind, part, part, pairs[kind], pictures, of_part)


def _finding(
    kind: str, first: str, second: str, pairs: np.ndarray, pictures: Sequence[ImageRecord], of_part: np.ndarray
) -> Iterator[Finding]:
    """The pairs that lie in these two parts, turned so that each begins in the first; nothing where there are none."""
    sides = of_part[pairs]
    straight = (sides[:, 0] == first) & (sides[:, 1] == second)
    turned = (sides[:, 0] == second) & (sides[:, 1] == first) & (first != second)
    matches = np.concatenate([pairs[straight], pairs[turned][:, ::-1]])
    if not len(matches):
        return
    matches = matches[np.lexsort((matches[:, 1], matches[:, 0]))]
    yield Finding(
        kind=kind,
        parts=(first, second),
        count=len(matches),
        of_one_patient=sum(pictures[i].patient is not None and pictures[i].patient == pictures[j].patient for i, j in matches),
        pictures=tuple(len(np.unique(matches[:, column] if first != second else matches)) for column in (0, 1)),
        examples=tuple((pictures[i].name, pictures[j].name) for i, j in matches[:EXAMPLES]),
    )


def _by_slice(pictures: Sequence[ImageRecord]) -> dict[tuple[str, int], list[int]]:
    """The pictures of each slice: one, unless a tree is there twice or sequences are apart."""
    places: dict[tuple[str, int], list[int]] = {}
    for index, picture in enumerate(pictures):
        if picture.series is not None and picture.number is not None:
            places.setdefault((picture.series, picture.number), []).append(index)
    return places


def _adjacent_pairs(pictures: Sequence[ImageRecord]) -> np.ndarray:
    """``(P, 2)`` int: slices of one series whose numbers differ by one."""
    places = _by_slice(pictures)
    pairs = [(i, j) for (series, number), here in places.items() for i in here for j in places.get((series, number + 1), ())]
    return np.array(pairs, int).reshape(-1, 2)


def _doubled_pairs(pictures: Sequence[ImageRecord], digests: np.ndarray) -> np.ndarray:
    """``(P, 2)`` int: one slice at two places, by its name and, where they are at hand, by its pixels."""
    pairs = [pair for here in _by_slice(pictures).values() for pair in combinations(here, 2)]
    return np.array([(i, j) for i, j in pairs if digests[i] == digests[j]], int).reshape(-1, 2)
