"""Pictures that are there twice: the same pixels by an exact hash, nearly the same by a perceptual one.

Near duplicates are found in two steps. A 64-bit perceptual hash (DCT of a 32 x 32 thumbnail, after Zauner 2010,
"Implementation and benchmarking of perceptual image hash functions", phash.org) gives candidates: hashes that differ in at most
``THRESHOLD`` bits. Heads lie alike in every scan, so the hash alone accuses strangers: of the 5.5 million pairs of LGG slices of
*different* patients, 29 differ in at most 2 bits and 12,926 in at most 10. A candidate therefore counts only where its
thumbnails correlate by ``ALIKE`` as well: none of these pairs does within 10 bits, the first one with 12. In the popular
four-class set (7,020 slices, Kaggle masoudnickparvar/brain-tumor-mri-dataset) ten bits lose 0.6 % of the 5,120 pairs that
correlate by 0.98. 83 of those were looked at: one slice sharpened, brightened or saved again, or, less often, neighbouring
slices of one head; from 0.95 to 0.98 the neighbours become many. So a near duplicate is the same slice or the next one.

Mirrored, turned or cropped copies are not looked for. A thumbnail whose grey values span less than ``BLANK_SPAN`` of 255 shows
air and noise (82 of the 3,404 LGG slices): it is nearly like every other such one, so it is counted apart.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from brain_tumor.progress import in_threads, tracked

THRESHOLD = 10  # bits of 64
MOST_BITS = 16  # no threshold above: beyond, candidates are many, strangers, and slow to look at
ALIKE = 0.98  # Pearson's r of two thumbnails
BLANK_SPAN = 16  # grey levels
THUMBNAIL = 32  # px
FREQUENCIES = 8  # a side: the lowest, without those that are constant along an axis
ROWS = 512  # hashes compared with all others at once
CANDIDATES = 16384  # pairs correlated at once: 130 MB

_ANGLES = np.pi * (2 * np.arange(THUMBNAIL) + 1) / (2 * THUMBNAIL)
_COSINES = np.cos(np.arange(1, FREQUENCIES + 1)[:, None] * _ANGLES).astype(np.float32)  # (8, 32), rows of a DCT-II


@dataclass(frozen=True)
class Fingerprints:
    """What is kept of ``N`` pictures.

    Attributes:
        digests: ``(N,)`` hex SHA-256 of size and decoded pixels; empty for a picture of one grey value.
        thumbnails: ``(N, 32, 32)`` uint8, the mean of the channels.
    """

    digests: np.ndarray
    thumbnails: np.ndarray

    @property
    def blank(self) -> np.ndarray:
        """``(N,)`` bool: nothing to see."""
        return _blank(self.thumbnails)


def fingerprints(load: Callable[[int], np.ndarray], n: int, title: str) -> Fingerprints:
    """Read ``n`` pictures once, in a few threads behind a bar called ``title``, and keep their fingerprints.

    Args:
        load: gives picture ``i``, ``(H, W)`` or ``(H, W, C)`` uint8.
    """
    digests, thumbnails = [], np.zeros((n, THUMBNAIL, THUMBNAIL), np.uint8)
    for index, (digest, thumbnail) in enumerate(in_threads(lambda i: fingerprint(load(i)), range(n), title)):
        digests.append(digest)
        thumbnails[index] = thumbnail
    return Fingerprints(np.array(digests, dtype="U64"), thumbnails)


def is_blank(pixels: np.ndarray) -> bool:
    """Whether there is nothing to see on a picture ``(H, W)`` or ``(H, W, C)`` uint8."""
    return bool(_blank(fingerprint(pixels)[1]))


def _blank(thumbnails: np.ndarray) -> np.ndarray:
    return np.ptp(thumbnails, axis=(-2, -1)) < BLANK_SPAN


def fingerprint(pixels: np.ndarray) -> tuple[str, np.ndarray]:
    """Digest and thumbnail of a picture ``(H, W)`` or ``(H, W, C)`` uint8; alpha (a second or fourth channel) does not count.

    A grey picture stored in three equal channels has the digest of the same picture stored in one.
    """
    if pixels.ndim == 3:
        pixels = pixels[..., : 1 if pixels.shape[-1] < 3 else 3]
        if all(np.array_equal(pixels[..., 0], pixels[..., channel]) for channel in range(1, pixels.shape[-1])):
            pixels = pixels[..., 0]
    pixels = np.ascontiguousarray(pixels)
    digest = hashlib.sha256(f"{pixels.shape}".encode())
    digest.update(pixels.data)
    thumbnail = cv2.resize(pixels, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    if thumbnail.ndim == 3:
        thumbnail = np.rint(thumbnail.mean(axis=-1)).astype(np.uint8)
    return "" if pixels.min() == pixels.max() else digest.hexdigest(), thumbnail


def perceptual_hashes(thumbnails: np.ndarray) -> np.ndarray:
    """``(N, 32, 32)`` uint8 to ``(N,)`` uint64: which of the 64 low frequencies lie above their median."""
    waves = (_COSINES @ thumbnails.astype(np.float32) @ _COSINES.T).reshape(len(thumbnails), FREQUENCIES**2)
    bits = waves > np.median(waves, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def slice_digests(images: np.ndarray, masks: np.ndarray) -> list[tuple[str, str]]:
    """The SHA-256 of each slice's image and mask, in order: what a manifest lists."""
    pairs = zip(images, masks, strict=True)
    return [tuple(hashlib.sha256(plane.tobytes()).hexdigest() for plane in pair) for pair in pairs]  # type: ignore[misc]


def identical_pairs(digests: np.ndarray) -> np.ndarray:
    """``(P, 2)`` int: every pair ``i < j`` of the same, not empty digest."""
    order = np.argsort(digests, kind="stable")
    groups = np.split(order, np.flatnonzero(digests[order][1:] != digests[order][:-1]) + 1) if len(order) else []
    pairs = [group[np.array(np.triu_indices(len(group), 1)).T] for group in groups if len(group) > 1 and digests[group[0]]]
    return np.concatenate(pairs) if pairs else np.zeros((0, 2), int)


def near_pairs(fingerprints: Fingerprints, threshold: int = THRESHOLD) -> np.ndarray:
    """``(P, 2)`` int: every pair ``i < j`` of pictures that are nearly, and not quite, the same; blank ones are in none.

    Args:
        threshold: how many of the 64 bits of two hashes may differ, up to ``MOST_BITS``.
    """
    seen = np.flatnonzero(~fingerprints.blank)
    thumbnails, digests = fingerprints.thumbnails[seen], fingerprints.digests[seen]
    hashes = perceptual_hashes(thumbnails)
    matches = [np.zeros((0, 2), int)]
    for start in tracked(range(0, len(seen), ROWS), "comparing pictures"):
        bits = np.bitwise_count(hashes[start : start + ROWS, None] ^ hashes[None, start:])
        first, second = (places + start for places in np.nonzero(np.triu(bits <= threshold, 1)))
        other = digests[first] != digests[second]
        first, second = first[other], second[other]
        for block in range(0, len(first), CANDIDATES):
            i, j = first[block : block + CANDIDATES], second[block : block + CANDIDATES]
            alike = correlation(thumbnails[i], thumbnails[j]) >= ALIKE
            matches.append(seen[np.stack([i[alike], j[alike]], axis=1)])
    return np.concatenate(matches)


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson's r of each of ``(P, 32, 32)`` uint8 thumbnails with its partner: ``(P,)`` float32. No thumbnail may be flat."""
    first, second = (_standard(thumbnails.reshape(len(thumbnails), -1).astype(np.float32)) for thumbnails in (first, second))
    return np.einsum("pk,pk->p", first, second)


def _standard(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(axis=1, keepdims=True)
    return centred / np.linalg.norm(centred, axis=1, keepdims=True)
