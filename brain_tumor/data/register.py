"""The cohorts of your own in this home: plain files that say where images and masks lie. No pixel is copied.

``data/cohorts/NAME/`` holds ``cohort.json`` (what was chosen), ``pairs.csv`` (every file, with patient, case and slice; of BraTS
exams ``exams.json``) and ``manifest.csv`` (the SHA-256 of every slice, by which ``brain-tumor data check NAME`` compares).
"""

import csv
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from brain_tumor import files
from brain_tumor.data.cohort import COHORTS, Case, Cohort
from brain_tumor.data.readers import brats, brats_files
from brain_tumor.data.readers.pairs import Choices, Pair, PairReader
from brain_tumor.errors import DataError
from brain_tumor.paths import data_folder

if TYPE_CHECKING:  # a cohort is opened by all, and added by few
    from brain_tumor.data.brats import Survey as ExamSurvey
    from brain_tumor.data.readers.pair_tables import PairTable
    from brain_tumor.data.survey import Survey

DESCRIPTION, PAIRS, EXAMS, MANIFEST = "cohort.json", "pairs.csv", "exams.json", "manifest.csv"
MANIFEST_COLUMNS = ("patient", "slice", "image_sha256", "mask_sha256")
# Short, and without - and _ that would run into what names of runs and caches have behind it.
NAME = re.compile(r"[a-z][a-z0-9]{1,31}")
# Words with a meaning here, and names of devices that no file of Windows may have.
RESERVED = {*COHORTS, "pairs", "folders", "mri4", "zip", "all", "none", "local", "con", "prn", "aux", "nul"}
COLUMNS = ("image", "mask", "label", "patient", "case", "slice", "depth", "site", "spacing")
ALONE = "each image counts as a patient of its own (--each-image-a-patient): if a patient has several, scores are too good"
UNKNOWN = "nobody says whose its images are, so no split of it can be made"


def register(
    name: str, table: "PairTable", survey: "Survey", each_image_a_patient: bool = False, never_tested: Sequence[str] = ()
) -> Path:
    """Write a cohort's files, and return their folder.

    Args:
        each_image_a_patient: what a person said (:func:`brain_tumor.data.readers.pair_tables.alone`).
        never_tested: sites too small to hold out; their patients are always in training.

    Raises:
        DataError: as of :func:`check_name`, or a site that no case is of.
    """
    check_name(name)
    sites = sorted({pair.site for pair in survey.pairs} - {""})
    if unknown := [site for site in never_tested if site not in sites]:
        raise DataError(f"--never-test {unknown[0]}: no case is of that site; there are {', '.join(sites) or 'none'}")
    description = {
        "name": name,
        "source": str(table.source.absolute()),
        **asdict(survey.choices),
        "outlined": not table.labelled,
        "each_image_a_patient": each_image_a_patient,
        "never_tested_sites": list(never_tested),
        "notes": list(survey.notes),
    }
    folder = _folder(name)
    with files.atomic_folder(folder) as temporary:
        _write(temporary / PAIRS, COLUMNS, (_cells(pair) for pair in survey.pairs))
        _write(temporary / MANIFEST, MANIFEST_COLUMNS, survey.rows)
        files.write_json(temporary / DESCRIPTION, description)
    return folder


def register_exams(name: str, survey: "ExamSurvey") -> Path:
    """Write the files of a cohort of BraTS exams, and return their folder.

    Raises:
        DataError: as of :func:`check_name`.
    """
    check_name(name)
    description = {"name": name, "source": str(survey.source.absolute()), **asdict(survey.choices), "notes": list(survey.notes)}
    folder = _folder(name)
    with files.atomic_folder(folder) as temporary:
        files.write_json(temporary / EXAMS, {"exams": [brats_files.to_json(exam) for exam in survey.exams]})
        _write(temporary / MANIFEST, MANIFEST_COLUMNS, survey.rows)
        files.write_json(temporary / DESCRIPTION, description)
    return folder


def check_name(name: str) -> None:
    """Refuse a name for a new cohort.

    Raises:
        DataError: it is taken, means something else, or would break the names of files.
    """
    if name.lower() in RESERVED:
        raise DataError(f"the name {name!r} means something else here; choose another one")
    if not NAME.fullmatch(name):
        raise DataError(f"the name {name!r}: expected 2 to 32 small letters and digits, a letter first, such as ourhospital")
    if _folder(name).exists():
        raise DataError(
            f"{_folder(name)}: there is a cohort {name!r} already; choose another name, or: brain-tumor data remove {name}"
        )


def names() -> tuple[str, ...]:
    """The cohorts of your own in this home, sorted."""
    return tuple(
        sorted(path.parent.name for path in _folder("").glob(f"*/{DESCRIPTION}") if not path.parent.name.startswith("."))
    )


def known() -> str:
    """Every name that opens a cohort of this home, for a person."""
    *others, last = *COHORTS, *names()
    return f"{', '.join(others)} or {last}"


def open_registered(name: str) -> Cohort:
    """The cohort of that name.

    Raises:
        DataError: there is none; its files here are damaged; or a source is not where it was.
    """
    folder = _folder(name)
    if name not in names():
        raise DataError(
            f"unknown cohort {name!r}, expected {known()}, or your own: brain-tumor data add {_example(name)} --table pairs.csv"
        )
    if (folder / EXAMS).is_file():
        return _open_exams(name, folder)
    try:
        facts = files.read_json(folder / DESCRIPTION, ("sequences", "outlined", "each_image_a_patient", "notes"))
        shape = facts["shape"] and (int(facts["shape"][0]), int(facts["shape"][1]))
        words = {field: tuple(facts[field]) for field in ("sequences", "labels", "positive")}
        choices = Choices(**words, fit=facts["fit"], shape=shape)
        with open(folder / PAIRS, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            pairs = [_pair(row) for row in csv.DictReader(stream)]
        if not pairs:
            raise ValueError("no pairs")
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise _damaged(folder, name, error) from None
    _check_present((path for pair in pairs for path in pair.sources), name)
    cases = tuple(_case(list(of_case), choices) for _, of_case in groupby(pairs, key=lambda pair: pair.case))
    caution = _caution(cases, facts["each_image_a_patient"])
    return Cohort(
        name=name,
        root=folder,
        sequences=choices.sequences,
        cases=cases,
        notes=tuple(facts["notes"]),
        never_tested_sites=tuple(facts.get("never_tested_sites", ())),
        outlined=facts["outlined"],
        choices=files.sha256_json([asdict(choices), [_cells(pair)[2:] for pair in pairs]]),
        caution=caution and f"cohort {name}: {caution}",
    )


def _open_exams(name: str, folder: Path) -> Cohort:
    try:
        facts = files.read_json(folder / DESCRIPTION, ("labels", "fill_missing", "resample_to", "notes"))
        choices = brats.Choices(*(facts[field] for field in ("labels", "fill_missing", "resample_to")))
        exams = [brats_files.from_json(values) for values in files.read_json(folder / EXAMS, ("exams",))["exams"]]
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(folder, name, error) from None
    _check_present((path for exam in exams for path in exam.sources), name)
    cohort = brats.cohort_of(name, folder, exams, choices, notes=facts["notes"])
    caution = _caution(cohort.cases, each_image_a_patient=False)
    return replace(cohort, caution=caution and f"cohort {name}: {caution}")


def _damaged(folder: Path, name: str, error: Exception) -> DataError:
    reason = getattr(error, "reason", "") or error
    return DataError(f"{folder}: damaged ({reason}); brain-tumor data remove {name}, then add it again")


def _check_present(paths: Iterable[Path], name: str) -> None:
    lost = next((path for path in paths if not path.is_file()), None)
    if lost:
        advice = f"bring it back, or: brain-tumor data remove {name}, and add it again from where the files are now"
        raise DataError(f"{lost}: no such file; it was there when the cohort {name!r} was added; {advice}")


def source_of(name: str) -> str:
    """The table or folder that a cohort was added from."""
    return str(files.read_json(_folder(name) / DESCRIPTION, ("source",))["source"])


def manifest_of(cohort: Cohort) -> Path:
    """Where the SHA-256 of its slices lie."""
    return cohort.root / MANIFEST


def remove(name: str) -> None:
    """Forget a cohort: its files here and its caches go; images and masks stay where they are, and runs on it too.

    Raises:
        DataError: there is none of that name.
    """
    if name not in names():
        raise DataError(f"no cohort {name!r} of your own; there are {', '.join(names()) or 'none'}")
    shutil.rmtree(_folder(name))
    for cache in (data_folder() / "cache").glob(f"{name}-*"):
        shutil.rmtree(cache, ignore_errors=True)


def _folder(name: str) -> Path:
    return data_folder() / "cohorts" / name


def _example(name: str) -> str:
    return name if NAME.fullmatch(name) and name not in RESERVED else "NAME"


def _caution(cases: Iterable[Case], each_image_a_patient: bool) -> str:
    patients = [case.patient for case in cases]
    if each_image_a_patient:
        return ALONE
    if not all(patients):
        return UNKNOWN
    exams = len(patients) - len(set(patients))
    if not exams:
        return ""
    several = (
        f"{exams} further exam{'s' * (exams > 1)} of patients who have several count{'s' * (exams == 1)} as a case of its own"
    )
    return f"{several} in scores and intervals; splits keep a patient together"


def _case(pairs: list[Pair], choices: Choices) -> Case:
    first = pairs[0]
    numbers = tuple(range(1, first.depth + 1)) if first.slice is None else tuple(pair.slice or 0 for pair in pairs)
    sources = tuple(path for pair in pairs for path in pair.sources)
    reader = PairReader(tuple(pairs), choices)
    return Case(first.case, first.patient, first.site, numbers, sources, {}, reader, first.spacing_mm)


def _cells(pair: Pair) -> tuple[str, ...]:
    spacing = " x ".join(f"{size:.6g}" for size in pair.spacing_mm or ())
    number = "" if pair.slice is None else str(pair.slice)
    depth = str(pair.depth or "")
    return str(pair.image), str(pair.mask or ""), pair.label, pair.patient, pair.case, number, depth, pair.site, spacing


def _pair(row: dict[str, str]) -> Pair:
    sizes = [float(size) for size in row["spacing"].split(" x ") if size]
    spacing = (sizes[0], sizes[1], sizes[2]) if sizes else None
    number = int(row["slice"]) if row["slice"] else None
    paths = Path(row["image"]), Path(row["mask"]) if row["mask"] else None
    return Pair(*paths, row["label"], row["patient"], row["case"], number, row["site"], spacing, int(row["depth"] or 0))


def _write(path: Path, columns: tuple[str, ...], rows: Iterable[tuple]) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        csv.writer(stream).writerows([columns, *rows])
