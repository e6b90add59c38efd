"""Which slices are train, validation and test: one JSON file a split, made once and then only read.

The unit is ``patient`` (the default: a patient is on one side only), ``site``, or ``slice``, which exists to measure the
leak. ``validation`` is where choices are made; ``test`` is scored once (DESIGN law 3).
"""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from brain_tumor import files
from brain_tumor.data import owners, patients, text
from brain_tumor.errors import DataError, SplitError

PARTS = ("train", "validation", "test")
UNITS = ("patient", "site", "slice")
# Names of parts, in the order in which pairs of them are reported: train and test first. A CSV may have others.
SIDES = ({"train", "training", "tr"}, {"test", "testing", "ts"}, {"tune", "tuning", "val", "valid", "validation", "dev"})
# The validation folders of source 004 (row 004.27), a patient split taken from Kaggle's peter88b/brain-segmentation-fastai.
SOURCE_004_TEST = (
    "TCGA_HT_7694", "TCGA_DU_5874", "TCGA_DU_7013", "TCGA_HT_8113", "TCGA_DU_6399",
    "TCGA_HT_7684", "TCGA_CS_5395", "TCGA_FG_6688", "TCGA_DU_8165", "TCGA_DU_7019",
    "TCGA_HT_7855", "TCGA_DU_A5TT", "TCGA_DU_7300", "TCGA_DU_5871", "TCGA_DU_5855",
)  # fmt: skip
NAMES = (
    "source-004", "source-004-fold-1-of-3", "source-002", "ratio-20", "fold-1-of-5", "slice-fold-1-of-5", "site-HT",
    "clean-1-of-3", "leaky-1-of-3",
)  # fmt: skip
FOLDS = 5
PARTS_BY_SIDE = ("train", "test", "validation")  # our names of SIDES
SOURCE_002_TEST_SHARE = 0.15  # row 002.09; the unit is not stated there, a slice split is presumed


@dataclass(frozen=True)
class Split:
    """A named split.

    Attributes:
        name: ``source-004``, ``ratio-20``, ``fold-1-of-5``, ...
        unit: what was dealt out.
        train, validation, test: keys. A key is a ``case_id``, or ``case_id/number`` where the unit is ``slice``.
    """

    name: str
    unit: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def rows(self, part: str, slices: pd.DataFrame) -> np.ndarray:
        """Row numbers in a store's ``slices`` table that belong to ``part``, ascending.

        Raises:
            SplitError: the split names a case or slice that the table lacks.
        """
        keys = _slice_keys(slices) if self.unit == "slice" else slices.case_id.astype(str)
        listed = set(patients.spelt_as(getattr(self, part), set(keys)).values())
        if unknown := listed - set(keys):
            raise SplitError(f"split {self.name!r}: {len(unknown)} {part} keys are not in the cohort, such as {min(unknown)!r}")
        return np.flatnonzero(keys.isin(listed).to_numpy())

    @property
    def hash(self) -> str:
        """Hex SHA-256 of what the split says, whatever it is called."""
        return files.sha256_json([self.unit, self.train, self.validation, self.test])

    def save(self, path: Path) -> None:
        """Write the split as JSON."""
        files.write_json(path, asdict(self))


def load(path: Path) -> Split:
    """Read a split's JSON, as anybody may have saved it.

    Raises:
        SplitError: unreadable, a key in two parts, an empty train or test part, or a part that is none of :data:`PARTS`.
    """
    try:
        content = dict(text.read_json(path))
        parts = {name: PARTS_BY_SIDE[side(name)] for name in content if side(name) < len(SIDES)}
        if other := sorted(content.keys() - parts.keys() - {"name", "unit"}):
            raise TypeError(f"{other[0]!r} is no part; expected name, unit, {', '.join(PARTS)} and nothing else")
        if len(set(parts.values())) < len(parts):
            raise TypeError(f"of the parts {', '.join(parts)} two mean the same; expected {', '.join(PARTS)}")
        keys = {"validation": []} | {part: content[name] for name, part in parts.items()}
        if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in keys.values()):
            raise TypeError("a part is not a list of keys")
        return _checked(Split(content["name"], content["unit"], *(tuple(keys[part]) for part in PARTS)), str(path))
    except (DataError, ValueError, KeyError, TypeError) as error:
        raise SplitError(f"{path}: not a split in JSON ({error})") from None


def named(name: str, cases: pd.DataFrame, slices: pd.DataFrame, validation: float = 0.0, seed: int = 0) -> Split:
    """Make a split by name.

    Args:
        name: ``source-004`` (its 15 patients are the test part), ``source-004-fold-I-of-K`` (a fold of its other patients, to
            choose on; its 15 are in no part), ``source-002`` (85/15 over slices), ``ratio-N`` (N % of patients, by site, are the
            test part), ``fold-I-of-K`` (patients, stratified by site), ``slice-fold-I-of-K``, ``site-HT`` (the test part is all
            of that site), ``clean-I-of-K`` or ``leaky-I-of-K`` (:func:`leak_pair`).
        cases, slices: a store's tables.
        validation: the share of the remaining units set aside as the validation part.
        seed: decides the draw.

    Raises:
        SplitError: unknown name, patients of the split that this cohort lacks, or one that does not say whose its slices are.
    """
    owners.check_patients(cases, name)
    if name == "source-004":
        return _patients(name, cases, _source_004_cases(cases), validation, seed)
    if name == "source-002":
        keys = np.random.default_rng(seed).permutation(_slice_keys(slices).to_numpy())
        n_test = round(SOURCE_002_TEST_SHARE * len(keys))
        n_validation = round(validation * (len(keys) - n_test))
        parts = np.split(keys, [n_test, n_test + n_validation])
        return _checked(Split(name, "slice", *map(_in_order, (parts[2], parts[1], parts[0]))), name)
    if (share := re.fullmatch(r"ratio-(\d\d?)", name)) and int(share[1]):
        return _patients(name, cases, _draw(cases, int(share[1]) / 100, seed), validation, seed)
    if (site := re.fullmatch(r"site-(.+)", name)) and ("-" not in site[1] or site[1] in set(cases.site)):
        return site_split(cases, site[1], validation, seed)
    kinds = "fold|source-004-fold|slice-fold|clean|leaky"
    if (part := re.fullmatch(rf"({kinds})-(\d+)-of-(\d+)", name)) and 1 <= int(part[2]) <= int(part[3]):
        kind, number, of = part[1], int(part[2]), int(part[3])
        if kind == "fold":
            return fold(cases, number, of, validation, seed)
        if kind == "source-004-fold":
            others = cases[~cases.index.isin(owners.all_of(_source_004_cases(cases), cases))]
            return replace(fold(others, number, of, validation, seed), name=name)
        if kind == "slice-fold":
            return slice_fold(slices, number, of, validation, seed)
        return leak_pair(cases, slices, number, of, seed)[kind == "leaky"]
    raise SplitError(f"unknown split {name!r}; expected {', '.join(NAMES)}, or a JSON file")


def side(part: str) -> int:
    """0 for train, 1 for test, 2 for validation, 3 for any other part."""
    return next((rank for rank, names in enumerate(SIDES) if part.lower() in names), len(SIDES))


def site_split(cases: pd.DataFrame, site: str, validation: float = 0.0, seed: int = 0) -> Split:
    """All patients of one hospital are the test part: does a network carry over to a scanner it has never seen?"""
    owners.check_sites(cases, f"site-{site}")
    test = cases.index[cases.site == site]
    if not len(test):
        raise SplitError(f"split 'site-{site}': no such site; this cohort has {', '.join(sorted(set(cases.site)))}")
    return replace(_patients(f"site-{site}", cases, test, validation, seed), unit="site")


def slice_fold(slices: pd.DataFrame, number: int, k: int, validation: float = 0.0, seed: int = 0) -> Split:
    """Fold ``number`` of ``k`` over slices, whoever they belong to: each slice is tested once, beside its neighbours."""
    if not 2 <= k <= len(slices):
        raise SplitError(f"{k} folds for {len(slices)} slices: expected 2 to {len(slices)}")
    keys = np.random.default_rng(seed).permutation(_slice_keys(slices).to_numpy())
    folds = np.array_split(keys, k)
    rest = np.concatenate([fold for i, fold in enumerate(folds, 1) if i != number])
    n_validation = round(validation * len(rest))
    parts = (rest[n_validation:], rest[:n_validation], folds[number - 1])
    return _checked(Split(f"slice-fold-{number}-of-{k}", "slice", *map(_in_order, parts)), f"slice fold {number}")


def fold_names(unit: str, folds: int | None, cases: pd.DataFrame, slices: pd.DataFrame) -> list[str]:
    """The named splits of a cross-validation, in order; together they test each of :func:`testable_rows` once.

    Args:
        unit: ``patient``, ``slice`` or ``site``: each of the cohort's sites is left out once.
        folds: how many; None for 5, or for as many as there are sites.

    Raises:
        SplitError: an unknown unit, or a number of folds that this cohort cannot give.
    """
    if unit not in UNITS:
        raise SplitError(f"unit {unit!r}, expected one of {', '.join(UNITS)}")
    if unit == "site":
        owners.check_sites(cases, "by site")
        sites = sorted(set(cases.site))
        if len(sites) < 2 or folds not in (None, len(sites)):
            request = f"{'' if folds is None else f'{folds} '}folds for {len(sites)} sites ({', '.join(sites)})"
            raise SplitError(f"{request}: expected at least 2 sites, and a fold for each")
        return [f"site-{site}" for site in sites]
    folds = FOLDS if folds is None else folds
    rows = testable_rows(unit, cases, slices)
    units = len(rows) if unit == "slice" else slices.case_id.iloc[rows].nunique()
    if not 2 <= folds <= units:
        raise SplitError(f"{folds} folds for {units} {unit}s: expected 2 to {units}")
    return [f"{'slice-' if unit == 'slice' else ''}fold-{number}-of-{folds}" for number in range(1, folds + 1)]


def testable_rows(unit: str, cases: pd.DataFrame, slices: pd.DataFrame) -> np.ndarray:
    """Rows of ``slices`` that folds over ``unit`` test: all, but under ``patient`` those of sites that are never held out."""
    spared = cases.index[~_testable(cases)] if unit == "patient" else []
    return np.flatnonzero(~slices.case_id.isin(spared).to_numpy())


def leak_pair(cases: pd.DataFrame, slices: pd.DataFrame, draw: int, of: int, seed: int = 0) -> tuple[Split, Split]:
    """Two splits that differ in one thing: whether the training part holds other slices of the test patients.

    The test part of both is every second slice of the patients of fold ``draw`` of ``of``, so that ``of`` draws score each
    patient once. ``clean`` trains on all slices of the other patients; ``leaky`` on just as many: the remaining slices of the
    test patients, filled up with slices drawn from the others.

    Returns:
        ``(clean, leaky)``, both of unit ``slice``.
    """
    test_patients = slices.case_id.isin(fold(cases, draw, of, seed=seed).test).to_numpy()
    keys = _slice_keys(slices).to_numpy()
    every_second = slices.groupby("case_id").cumcount().to_numpy() % 2 == 1
    test, rest, others = keys[test_patients & every_second], keys[test_patients & ~every_second], keys[~test_patients]
    if len(rest) >= len(others):
        raise SplitError(f"split 'leaky-{draw}-of-{of}': the other patients have too few slices; more draws are needed")
    filled = np.random.default_rng([seed, draw]).choice(others, len(others) - len(rest), replace=False)
    clean = Split(f"clean-{draw}-of-{of}", "slice", _in_order(others), (), _in_order(test))
    leaky = Split(f"leaky-{draw}-of-{of}", "slice", _in_order(np.concatenate([rest, filled])), (), _in_order(test))
    return _checked(clean, clean.name), _checked(leaky, leaky.name)


def fold(cases: pd.DataFrame, number: int, k: int, validation: float = 0.0, seed: int = 0) -> Split:
    """One of ``k`` patient folds, stratified by site: each patient is tested once, but for those of sites too small to hold out.

    Args:
        number: which one, from 1.
    """
    from sklearn.model_selection import StratifiedKFold

    testable = owners.one_a_patient(cases[_testable(cases)])
    if not 2 <= k <= len(testable):
        raise SplitError(f"{k} folds for {len(testable)} patients: expected 2 to {len(testable)}")
    # A site with fewer patients than folds is pooled with the other small ones, so that stratification stays possible.
    counts = testable.site.map(testable.site.value_counts())
    strata = testable.site.where(counts >= k, "small")
    if 0 < (strata == "small").sum() < k:
        strata = strata.where(strata != "small", testable.site.value_counts().index[0])
    _, test = list(StratifiedKFold(k, shuffle=True, random_state=seed).split(testable.index, strata))[number - 1]
    return _patients(f"fold-{number}-of-{k}", cases, testable.index[test], validation, seed)


def _patients(name: str, cases: pd.DataFrame, test: Iterable[str], validation: float, seed: int) -> Split:
    test = owners.all_of(test, cases)
    rest = cases[~cases.index.isin(test)]
    held = owners.all_of(_draw(rest, validation, seed), rest) if validation else []
    train = rest.index[~rest.index.isin(held)]
    return _checked(Split(name, "patient", tuple(sorted(train)), tuple(sorted(held)), tuple(sorted(test))), name)


def _draw(cases: pd.DataFrame, share: float, seed: int) -> list[str]:
    """``share`` of the patients, the same share of each site (largest remainders first), at least one; a case of each."""
    cases, generator = owners.one_a_patient(cases), np.random.default_rng(seed)
    testable = cases[_testable(cases)]
    number = max(1, round(share * len(cases)))
    quotas = testable.site.value_counts().sort_index() * (number / len(testable))
    taken = np.floor(quotas).astype(int)
    for site in (quotas - taken).sort_values(ascending=False, kind="stable").index[: number - taken.sum()]:
        taken[site] += 1
    return [str(case) for site, n in taken.items() for case in generator.permutation(testable.index[testable.site == site])[:n]]


def _source_004_cases(cases: pd.DataFrame) -> list[str]:
    by_patient = {patients.key(patient): case_id for case_id, patient in owners.patient_of(cases).items()}
    absent = [patient for patient in SOURCE_004_TEST if patients.key(patient) not in by_patient]
    if absent:
        others = "; take one that fits any cohort, such as fold-1-of-5 or ratio-20" * (len(absent) == len(SOURCE_004_TEST))
        raise SplitError(f"split 'source-004' needs 15 patients; this cohort lacks {len(absent)}, such as {absent[0]}{others}")
    return [by_patient[patients.key(patient)] for patient in SOURCE_004_TEST]


def _testable(cases: pd.DataFrame) -> pd.Series:
    """Which cases may be tested; a table that does not say so spares none."""
    return ~cases.never_tested if "never_tested" in cases else pd.Series(True, cases.index)


def _in_order(keys: np.ndarray) -> tuple[str, ...]:
    return tuple(sorted(map(str, keys)))


def _slice_keys(slices: pd.DataFrame) -> pd.Series:
    return slices.case_id.astype(str) + "/" + slices.slice.astype(str)


def _checked(split: Split, where: str) -> Split:
    if split.unit not in UNITS:
        raise SplitError(f"{where}: unit {split.unit!r}, expected one of {', '.join(UNITS)}")
    seen: dict[str, str] = {}
    for part in PARTS:
        for key in getattr(split, part):
            if (comparable := patients.key(key)) in seen:
                raise SplitError(f"{where}: {key!r} is twice in the split, in {seen[comparable]} and {part}")
            seen[comparable] = part
    for part in ("train", "test"):
        if not getattr(split, part):
            raise SplitError(f"{where}: the {part} part is empty")
    return split
