"""A set of pictures without its copies: which stay, which go, and why.

Public picture sets are made of one another: of the 7,020 pictures of Kaggle masoudnickparvar/brain-tumor-mri-dataset many are
there twice, also once in Training and once in Testing. What is dropped, in this order:

- ``blank``: nothing to see.
- ``patients``: the same slice as one of a cohort that is to be scored later, or nearly. A slice of the cohort is compared as the
  mean of its sequences and as each sequence alone, since a grey picture may be any of them.
- ``contradictory``: the same pixels under two classes. No copy can be believed, so all go.
- ``exact``: the same pixels as a picture that stays.
- ``near``: nearly a picture that stays (:mod:`brain_tumor.data.fingerprints` says how near): one slice saved again,
  or the next one.

Pictures are taken in the order test, validation, train, each in the order of reading. A picture stays unless it is a copy of one
that stayed before it. So no two pictures that stay are copies; each one that goes as a copy has one that stays; and the test
part loses copies to the test part only, never to train: it is deduplicated, not emptied. Of a chain of neighbouring slices, each
nearly the next, about every second one stays: a whole chain is not taken for one picture.

Mirrored, turned or cropped copies are not looked for, so what is left may still share heads with the cohort.
"""

from dataclasses import dataclass

import numpy as np

from brain_tumor import files
from brain_tumor.data.cache import Store
from brain_tumor.data.fingerprints import (
    ALIKE,
    CANDIDATES,
    ROWS,
    THRESHOLD,
    Fingerprints,
    correlation,
    fingerprints,
    identical_pairs,
    near_pairs,
    perceptual_hashes,
)
from brain_tumor.data.readers.folders import Folders, Pictures
from brain_tumor.progress import tracked

KINDS = ("blank", "patients", "contradictory", "exact", "near")
PREFERENCE = ("test", "validation", "train")
STAYS = ""


@dataclass(frozen=True)
class Deduplicated:
    """What became of each picture.

    Attributes:
        pictures: all that were read.
        fates: ``(N,)`` str, why a picture went (one of ``KINDS``), ``STAYS`` where it did not.
        cohort: the native store that the pictures were compared with; None: none was at hand.
    """

    pictures: Pictures
    fates: np.ndarray
    cohort: Store | None = None

    @property
    def folders(self) -> Folders:
        return self.pictures.folders

    @property
    def identity(self) -> dict[str, str]:
        """Hashes of what was read, and of what stays of it."""
        data_hash = self.pictures.data_hash
        return {"data_hash": data_hash, "kept_hash": files.sha256_json([data_hash, (self.fates == STAYS).tolist()])}

    def rows(self, part: str) -> np.ndarray:
        """The places of the pictures that stay in ``part``, ascending."""
        return np.flatnonzero((self.fates == STAYS) & (self.folders.parts == part))

    def to_json(self) -> dict:
        """``classes``; ``read``; ``unreadable``, how many were not; ``compared_with`` (cohort, slices, phantom, data hash)
        or None; ``dropped`` by kind and part; ``left`` by part and class; and the hashes.
        """
        parts = [part for part in reversed(PREFERENCE) if (self.folders.parts == part).any()]
        left = {part: np.bincount(self.folders.labels[self.rows(part)], minlength=len(self.folders.classes)) for part in parts}
        return {
            "classes": list(self.folders.classes),
            "read": len(self.folders),
            "unreadable": len(self.pictures.unreadable),
            "compared_with": self.cohort and _facts(self.cohort),
            "dropped": {kind: {part: self._dropped(kind, part) for part in parts} for kind in KINDS},
            "left": {part: dict(zip(self.folders.classes, counts.tolist(), strict=True)) for part, counts in left.items()},
            **self.identity,
        }

    def _dropped(self, kind: str, part: str) -> int:
        return int(((self.fates == kind) & (self.folders.parts == part)).sum())


def deduplicate(pictures: Pictures, cohort: Store | None = None) -> Deduplicated:
    """Choose the pictures that stay.

    Args:
        cohort: the native store of the cohort whose slices must not be among them; None: there is none at hand.
    """
    fingerprints, folders = pictures.fingerprints, pictures.folders
    fates = np.full(len(folders), STAYS, dtype=f"U{max(map(len, KINDS))}")
    fates[fingerprints.blank] = "blank"
    if cohort is not None:
        fates[found_in(fingerprints, slice_fingerprints(cohort))] = "patients"
    pairs = {"exact": identical_pairs(fingerprints.digests), "near": near_pairs(fingerprints)}
    unlike = pairs["exact"][np.diff(folders.labels[pairs["exact"]], axis=1)[:, 0] != 0]
    fates[[row for row in np.unique(unlike) if fates[row] == STAYS]] = "contradictory"
    copies: dict[int, list[tuple[str, int]]] = {}
    for kind, matches in pairs.items():
        for one, other in matches.tolist():
            copies.setdefault(one, []).append((kind, other))
            copies.setdefault(other, []).append((kind, one))
    rank = np.array([PREFERENCE.index(part) for part in folders.parts])
    for row in np.argsort(rank, kind="stable").tolist():
        if fates[row] == STAYS:
            # A copy that stayed before this one would have dropped it: those that stay still come later, and now go.
            for kind, copy in copies.get(row, ()):
                if fates[copy] == STAYS:
                    fates[copy] = kind
    return Deduplicated(pictures, fates, cohort)


def slice_fingerprints(store: Store) -> Fingerprints:
    """Of every slice: the mean of its sequences, and each sequence alone."""
    views = 1 + store.images.shape[-1]

    def view(index: int) -> np.ndarray:
        row, channel = divmod(index, views)
        return store.images[row] if channel == views - 1 else store.images[row, ..., channel]

    return fingerprints(view, views * len(store.slices), f"hashing slices of {store.cohort.name}")


def found_in(fingerprints: Fingerprints, others: Fingerprints) -> np.ndarray:
    """``(N,)`` bool: is a picture one of the others, or nearly? Never where there is nothing to see."""
    is_copy = np.isin(fingerprints.digests, others.digests) & (fingerprints.digests != "")
    seen, known = np.flatnonzero(~fingerprints.blank), others.thumbnails[~others.blank]
    hashes, theirs = perceptual_hashes(fingerprints.thumbnails[seen]), perceptual_hashes(known)
    for start in tracked(range(0, len(seen), ROWS), "comparing with the cohort"):
        bits = np.bitwise_count(hashes[start : start + ROWS, None] ^ theirs[None])
        first, second = np.nonzero(bits <= THRESHOLD)
        for block in range(0, len(first), CANDIDATES):
            i, j = seen[start + first[block : block + CANDIDATES]], second[block : block + CANDIDATES]
            is_copy[i[correlation(fingerprints.thumbnails[i], known[j]) >= ALIKE]] = True
    return is_copy


def _facts(store: Store) -> dict:
    cohort = store.cohort
    return {"cohort": cohort.name, "slices": len(store.slices), "phantom": cohort.phantom, "data_hash": store.data_hash}
