"""A cohort against its manifest: what is missing, changed, extra or doubled.

The manifest of the LGG data (3,929 slices of 110 patients) ships with the package: ``patient, slice, image_sha256,
mask_sha256``, the SHA-256 of the decoded pixels, row by row: image ``(256, 256, 3)`` uint8 in RGB order, mask
``(256, 256)`` uint8 as stored, 0 and 255. That of your own cohort is written when it is added, its masks 0 and 1. Pixels, not
files: a lossless copy in another container still agrees.
"""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brain_tumor.data import text
from brain_tumor.data.cohort import Case, Cohort
from brain_tumor.data.fingerprints import slice_digests
from brain_tumor.data.picture import read_mask, read_picture
from brain_tumor.data.readers.brats import ExamReader
from brain_tumor.data.readers.pairs import PairReader
from brain_tumor.errors import DataError
from brain_tumor.progress import Bar

LGG_MANIFEST = Path(__file__).with_name("lgg_manifest.csv")
READERS = 4  # threads; decoding and hashing both release the interpreter

Hashes = dict[tuple[str, int], tuple[str, str]]


@dataclass(frozen=True)
class ManifestReport:
    """What a comparison found. Slices are named ``case_id/number``.

    Attributes:
        patients: cases in the manifest.
        slices: slices in the manifest.
        agreeing: slices present with the pixels and mask that the manifest lists.
        missing_patients: cases of the manifest that the cohort lacks altogether.
        missing_slices: slices that the cohort lacks of cases it has.
        changed: a line for each picture that is unreadable or whose pixels are others, naming its file.
        extra: slices that the manifest does not list.
        copies: how many times the source holds its tree; each slice was read once.
    """

    patients: int
    slices: int
    agreeing: int
    missing_patients: tuple[str, ...]
    missing_slices: tuple[str, ...]
    changed: tuple[str, ...]
    extra: tuple[str, ...]
    copies: int

    @property
    def sound(self) -> bool:
        """Whether all that is present is as listed; whole patients may be missing."""
        return not (self.missing_slices or self.changed or self.extra or self.copies > 1)


def check_manifest(cohort: Cohort, manifest: Path | None = None) -> ManifestReport:
    """Decode and hash every picture of a cohort and compare it with a manifest (None: that of the LGG data).

    A damaged picture is reported as changed; it does not end the comparison.

    Raises:
        DataError: the manifest itself is missing or unreadable.
    """
    listed = read_manifest(manifest or LGG_MANIFEST)
    present = {(case.case_id, number) for case in cohort for number in case.slice_numbers}
    patients = {case_id for case_id, _ in listed}
    missing_patients = patients - {case.case_id for case in cohort}
    agreeing, changed = 0, []
    with Bar(f"checking {cohort.name}", cohort.n_slices) as bar, ThreadPoolExecutor(READERS) as pool:
        for case, (agree, lines) in zip(cohort, pool.map(lambda case: _check_case(case, listed), cohort), strict=True):
            agreeing += agree
            changed += lines
            bar.advance(len(case.slice_numbers), case.case_id)
    return ManifestReport(
        patients=len(patients),
        slices=len(listed),
        agreeing=agreeing,
        missing_patients=tuple(sorted(missing_patients)),
        missing_slices=_names(key for key in listed.keys() - present if key[0] not in missing_patients),
        changed=tuple(changed),
        extra=_names(present - listed.keys()),
        copies=cohort.copies,
    )


def read_manifest(path: Path) -> Hashes:
    """``(case_id, slice number) -> (image hash, mask hash)``."""
    try:
        listed = [row.cells for row in text.read_table(path).rows]
        rows = {(row["patient"], text.whole(row["slice"])): (row["image_sha256"], row["mask_sha256"]) for row in listed}
        if not rows:
            raise ValueError("no rows")
        return rows
    except (DataError, KeyError, ValueError) as error:
        raise DataError(f"{path}: not a readable manifest of patient, slice, image_sha256, mask_sha256 ({error})") from None


def _check_case(case: Case, listed: Hashes) -> tuple[int, list[str]]:
    """How many slices of a case are as listed, and a line for each picture that is not."""
    if isinstance(case.reader, PairReader):
        return _check_pairs(case, case.reader, listed)
    if isinstance(case.reader, ExamReader):
        return _check_exam(case, listed)
    agreeing, lines = 0, []
    for number, image, mask in zip(case.slice_numbers, case.sources[0::2], case.sources[1::2], strict=True):
        expected = listed.get((case.case_id, number))
        if expected is None:
            continue  # extra: nothing to compare it with
        differences = [
            line
            for path, read, digest in zip((image, mask), (_read_image, read_mask), expected, strict=True)
            if (line := _difference(path, read, digest))
        ]
        agreeing += not differences
        lines += differences
    return agreeing, lines


def _check_pairs(case: Case, reader: PairReader, listed: Hashes) -> tuple[int, list[str]]:
    """The same of a case of your own."""
    agreeing, lines, numbers = 0, [], iter(case.slice_numbers)
    for pair, digests in zip(reader.pairs, reader.digests(), strict=True):
        own = [next(numbers) for _ in range(max(1, pair.depth))]
        expected = [listed[case.case_id, number] for number in own if (case.case_id, number) in listed]
        if isinstance(digests, DataError):
            lines.append(str(digests))
        elif len(digests) != len(own):
            lines.append(f"{pair.image}: {len(digests)} slices, the manifest lists {len(own)}")
        else:
            for kind, path in enumerate(pair.sources):
                if [digest[kind] for digest in digests] != [digest[kind] for digest in expected]:
                    lines.append(f"{path}: pixels differ from the manifest")
            agreeing += sum(digest == other for digest, other in zip(digests, expected, strict=False))
    return agreeing, lines


def _check_exam(case: Case, listed: Hashes) -> tuple[int, list[str]]:
    """The same of a BraTS exam."""
    try:
        digests = slice_digests(*case.load())
    except DataError as error:
        return 0, [str(error)]
    expected = [listed.get((case.case_id, number), ("", "")) for number in case.slice_numbers]
    if len(digests) != len(expected):
        return 0, [f"{case.case_id}: {len(digests)} slices, the manifest lists {len(expected)}"]
    pairs = list(zip(digests, expected, strict=True))
    listed_pairs = [(digest, other) for digest, other in pairs if any(other)]
    kinds = enumerate(("images differ", "labels differ"))
    differing = [words for kind, words in kinds if any(digest[kind] != other[kind] for digest, other in listed_pairs)]
    agreeing = sum(digest == other for digest, other in pairs)
    return agreeing, [f"{case.case_id}: its {words} from the manifest" for words in differing]


def _read_image(path: Path) -> np.ndarray:
    return read_picture(path, ("RGB",))


def _difference(path: Path, read: Callable[[Path], np.ndarray], expected: str) -> str | None:
    try:
        pixels = read(path)
    except DataError as error:
        return str(error)
    if hashlib.sha256(pixels.tobytes()).hexdigest() == expected:
        return None
    return f"{path}: pixels differ from the manifest"


def _names(keys: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    return tuple(f"{case_id}/{number}" for case_id, number in sorted(keys))
