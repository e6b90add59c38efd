"""The memory-mapped array store: every slice of a cohort as uint8, one folder a cohort and size.

Built once, in parallel, atomically; found again by the fingerprint of its source (file names, sizes, times, inodes), so a changed
source is rebuilt and an unchanged one reopens without reading a pixel. The folder holds plain files: ``images.npy
(N, S, S, C)``, ``masks.npy (N, S, S)``, ``slices.csv`` (a row a slice) and ``meta.json``; of a cohort of several regions also
``depths.npy (N, S, S)``.
"""

import hashlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.data import intensity
from brain_tumor.data.cohort import Case, Cohort, Volume, missing_sequences
from brain_tumor.errors import DataError
from brain_tumor.paths import data_folder
from brain_tumor.progress import Bar

READERS = 4  # threads; TIFF decoding releases the interpreter, and more than a few only hold memory
SMALLEST = 16  # px; a smaller picture is no MRI slice
IMAGES, MASKS, DEPTHS = "images.npy", "masks.npy", "depths.npy"
LAYOUT = 3  # raise when the store's files change meaning, so that old stores are rebuilt


@dataclass(frozen=True)
class Store:
    """An opened cache.

    Attributes:
        cohort: where the slices came from.
        folder: where the store lies.
        size: their height and width in pixels. Slices that are not square lie padded with background to a square, natively too.
        images: ``(N, size, size, C)`` uint8 memory map, cases in order, slices ascending.
        masks: ``(N, size, size)`` uint8 memory map in {0, 1}: the outermost region.
        depths: ``(N, size, size)`` uint8 memory map: in how many of the cohort's regions each pixel lies; ``masks`` itself
            where there is one region.
        slices: a row a slice: ``case_id, site, slice, tumour_px`` (at native size).
        cases: a row a case, indexed by ``case_id``: ``site, slices, tumour_slices, missing`` (sequences,
            joined by ``+``), ``patient``.
        scalings: normalisation method -> ``(cases, 4, C)`` float32, of the native volumes before padding.
        data_hash: SHA-256 of all native pixels and masks, unpadded; the same data anywhere has the same hash.
    """

    cohort: Cohort
    folder: Path
    size: int
    images: np.ndarray
    masks: np.ndarray
    depths: np.ndarray
    slices: pd.DataFrame
    cases: pd.DataFrame
    scalings: dict[str, np.ndarray]
    data_hash: str

    def rows_of(self, case_id: str) -> slice:
        """The rows of one case, which lie together."""
        rows = np.flatnonzero(self.slices.case_id.to_numpy() == case_id)
        return slice(int(rows[0]), int(rows[-1]) + 1)

    def rows_at(self, case_id: str, numbers: np.ndarray) -> np.ndarray:
        """The rows of some slices of a case, by their numbers, which need not begin at 1 nor be without gaps."""
        rows = self.rows_of(case_id)
        return rows.start + np.searchsorted(self.slices.slice.to_numpy()[rows], numbers)

    def slice_scalings(self, method: str) -> np.ndarray:
        """``(N, 4, C)`` float32: each slice's scaling, which is that of its case."""
        return self.scalings[method][pd.Categorical(self.slices.case_id, categories=self.cases.index).codes]


def open_store(cohort: Cohort, size: int | None = None) -> Store:
    """Open the cohort's store at ``size`` (None: native), building it first where it is missing or its source changed.

    Raises:
        DataError: a source file is refused by its reader, slices of unlike sizes, or the disk is full; nothing is left behind.
    """
    native = _open_or_build(cohort, "native", [LAYOUT], lambda folder: _build_native(cohort, folder))
    if size is None or size == native.size:
        return native
    made_by = [LAYOUT, intensity.PREPARATION]
    return _open_or_build(cohort, str(size), made_by, lambda folder: _build_resized(native, size, folder))


def _open_or_build(cohort: Cohort, label: str, made_by: list[int], build: Callable[[Path], None]) -> Store:
    """The store of that label; ``made_by`` holds the versions of the code that decide what lies in it."""
    place = hashlib.sha256(os.fsencode(cohort.root.resolve())).hexdigest()[:6]
    fingerprint = files.sha256_json([*made_by, cohort.fingerprint()])[:12]
    return _open(cohort, built_once(f"{cohort.name}-{label}-{place}", fingerprint, build))


def built_once(stem: str, fingerprint: str, build: Callable[[Path], None]) -> Path:
    """The cache of that name and fingerprint: built whole, by one process, where it is missing; stale ones of the name go.

    Raises:
        DataError: it cannot be written; nothing is left behind.
    """
    folder = data_folder() / "cache" / f"{stem}-{fingerprint}"
    if not folder.is_dir():
        try:
            with files.locked(folder.parent / f".{stem}.lock"):
                if not folder.is_dir():
                    with files.atomic_folder(folder) as temporary:
                        build(temporary)
                    for stale in folder.parent.glob(f"{stem}-*"):
                        if stale != folder:
                            shutil.rmtree(stale)
        except OSError as error:
            raise DataError(f"{folder}: cannot write the cache ({error.strerror or error}); nothing was kept") from None
    return folder


def _open(cohort: Cohort, folder: Path) -> Store:
    meta = files.read_json(folder / "meta.json")
    cases = pd.DataFrame(meta["cases"]).set_index("case_id")
    patients = {case.case_id: case.patient for case in cohort}
    cases["patient"] = [patients[case_id] for case_id in cases.index]
    cases["never_tested"] = cases.site.isin(cohort.never_tested_sites)
    slices = pd.read_csv(folder / "slices.csv", keep_default_na=False, dtype={"case_id": str, "site": str})  # some are digits
    images = np.load(folder / IMAGES, mmap_mode="r")
    masks = np.load(folder / MASKS, mmap_mode="r")
    depths = masks if len(cohort.regions) == 1 else np.load(folder / DEPTHS, mmap_mode="r")
    nothing = images[:0]  # the others look at no pixel
    same = {
        method: intensity.scaling(nothing, method) for method in intensity.NORMALISATIONS if method not in intensity.OF_VOLUMES
    }
    scalings = {method: np.repeat(scaling[None], len(cases), axis=0) for method, scaling in same.items()}
    scalings |= {method: np.array(meta["scalings"][method], np.float32) for method in intensity.OF_VOLUMES}
    return Store(cohort, folder, images.shape[1], images, masks, depths, slices, cases, scalings, meta["data_hash"])


def _build_native(cohort: Cohort, folder: Path) -> None:
    """Read every case once and write the arrays front to back, a few cases in memory at a time."""
    slices: list = []
    cases: list = []
    digest = hashlib.sha256()
    scalings: dict[str, list] = {method: [] for method in intensity.OF_VOLUMES}
    with ExitStack() as stack:
        bar = stack.enter_context(Bar(f"caching {cohort.name}", len(cohort)))
        writers: dict[str, _ArrayWriter] = {}
        for case, (images, depths) in _read_ahead(cohort):
            if not writers:
                shape = images.shape[1:]
                if min(shape[:2]) < SMALLEST:
                    pixels = f"{shape[1]} x {shape[0]} pixels"
                    raise DataError(f"{case.sources[0]}: {pixels}, expected at least {SMALLEST} x {SMALLEST}")
                if shape[2:] != (len(cohort.sequences),):
                    named = f"{len(cohort.sequences)} ({', '.join(cohort.sequences)})"
                    raise DataError(f"{case.sources[0]}: {images.shape[-1]} channels, the cohort {cohort.name} has {named}")
                for name in _arrays(cohort):
                    square = (cohort.n_slices, max(shape[:2]), max(shape[:2]), *(shape[2:] if name == IMAGES else ()))
                    writers[name] = stack.enter_context(_ArrayWriter(folder / name, square))
            if images.shape[1:] != shape:
                raise DataError(f"{case.sources[0]}: slices of {images.shape[1:]}, the first case has {shape}")
            masks = (depths > 0).astype(np.uint8)
            for name, planes in ((IMAGES, images), (MASKS, masks), (DEPTHS, depths)):
                if name in writers:
                    writers[name].append(intensity.pad_to_square(planes))
            for content in (case.case_id.encode(), images.data, depths.data):
                digest.update(content)
            for method, of_method in scalings.items():
                of_method.append(intensity.scaling(images, method).tolist())
            tumour_px = masks.sum(axis=(1, 2), dtype=int)
            slices.extend(
                {"case_id": case.case_id, "site": case.site, "slice": number, "tumour_px": area}
                for number, area in zip(case.slice_numbers, tumour_px.tolist(), strict=True)
            )
            cases.append(
                {
                    "case_id": case.case_id,
                    "site": case.site,
                    "slices": len(tumour_px),
                    "tumour_slices": int((tumour_px > 0).sum()),
                    "missing": "+".join(missing_sequences(images, cohort.sequences)),
                }
            )
            bar.advance(note=case.case_id)
    pd.DataFrame(slices).to_csv(folder / "slices.csv", index=False)
    meta = {"cases": cases, "scalings": scalings, "data_hash": digest.hexdigest(), "layout": LAYOUT}
    (folder / "meta.json").write_text(json.dumps(meta))


def _read_ahead(cohort: Cohort) -> Iterator[tuple[Case, Volume]]:
    """Each case with its volume, in order, read ahead by a few threads and no further."""
    with ThreadPoolExecutor(READERS) as pool:
        waiting: deque = deque()
        try:
            for case in cohort:
                waiting.append((case, pool.submit(case.load)))
                if len(waiting) > READERS:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


def _arrays(cohort: Cohort) -> tuple[str, ...]:
    """The arrays of a cohort's store."""
    return (IMAGES, MASKS, DEPTHS) if len(cohort.regions) > 1 else (IMAGES, MASKS)


def _build_resized(native: Store, size: int, folder: Path) -> None:
    """Resize the native store case by case; its tables, which speak of native pixels, are copied."""
    channels = native.images.shape[-1]
    with ExitStack() as stack:
        bar = stack.enter_context(Bar(f"resizing {native.cohort.name} to {size}", len(native.cohort)))
        writers = {}
        for name in _arrays(native.cohort):
            shape = (native.cohort.n_slices, size, size, *((channels,) if name == IMAGES else ()))
            writers[name] = stack.enter_context(_ArrayWriter(folder / name, shape))
        for case in native.cohort:
            rows = native.rows_of(case.case_id)
            for name, writer in writers.items():
                # Mapped anew for each case: a map that lives on would count every page read as our memory.
                planes = np.load(native.folder / name, mmap_mode="r")[rows]
                resize = intensity.resize_images if name == IMAGES else intensity.resize_masks
                writer.append(resize(planes, size))
            bar.advance(note=case.case_id)
    for name in ("slices.csv", "meta.json"):
        shutil.copy(native.folder / name, folder / name)


class _ArrayWriter:
    """An ``.npy`` file of known shape written in order: no memory map, so the pages do not count as ours."""

    def __init__(self, path: Path, shape: tuple[int, ...]):
        self.shape = shape
        self.stream = open(path, "wb")
        np.lib.format.write_array_header_1_0(self.stream, {"descr": "|u1", "fortran_order": False, "shape": shape})

    def __enter__(self) -> "_ArrayWriter":
        return self

    def append(self, planes: np.ndarray) -> None:
        self.stream.write(np.ascontiguousarray(planes).data)

    def __exit__(self, *_failure: object) -> None:
        self.stream.close()
