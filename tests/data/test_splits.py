"""Who is tested, and that nobody is on two sides."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings, strategies as st

from brain_tumor.data import splits
from brain_tumor.errors import SplitError

SLICES_EACH = 4


def tables(case_ids):
    """A store's two tables for cases of four slices each."""
    cases = pd.DataFrame({"case_id": sorted(case_ids)}).set_index("case_id")
    cases["site"] = cases.index.str.split("_").str[1]
    cases["never_tested"] = cases.site == "EZ"
    numbers = range(1, SLICES_EACH + 1)
    slices = pd.DataFrame([(case_id, number) for case_id in cases.index for number in numbers], columns=["case_id", "slice"])
    return cases, slices


def patients(site, n):
    return [f"TCGA_{site}_{number:04d}_20000101" for number in range(n)]


@pytest.fixture(scope="module")
def cohort():
    """40 patients of five sites, one of them the EZ patient; source 004's 15 are among them."""
    source_004 = [f"{patient}_19990101" for patient in splits.SOURCE_004_TEST]
    return tables(source_004 + patients("DU", 8) + patients("HT", 8) + patients("CS", 5) + patients("FG", 3) + patients("EZ", 1))


def sides(split):
    return {part: set(getattr(split, part)) for part in splits.PARTS}


def assert_covers(split, slices):
    """Each slice is in exactly one part, and in patient unit each patient is."""
    rows = [split.rows(part, slices) for part in splits.PARTS]
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(slices)))
    if split.unit != "slice":
        patients_of = [set(slices.case_id.iloc[part]) for part in rows]
        assert not (patients_of[0] & patients_of[1] or patients_of[0] & patients_of[2] or patients_of[1] & patients_of[2])


def test_source_004_tests_exactly_its_15_patients(cohort):
    split = splits.named("source-004", *cohort)
    assert {key.rsplit("_", 1)[0] for key in split.test} == set(splits.SOURCE_004_TEST)
    assert (split.unit, len(split.train), len(split.validation), len(split.test)) == ("patient", 25, 0, 15)
    assert_covers(split, cohort[1])


def test_source_004_says_which_patient_is_absent(cohort):
    cases, slices = cohort
    with pytest.raises(SplitError, match="needs 15 patients; this cohort lacks 1, such as TCGA_DU_7013"):
        splits.named("source-004", cases[~cases.index.str.startswith("TCGA_DU_7013")], slices)


def test_source_002_is_85_to_15_over_slices(cohort):
    cases, slices = cohort
    split = splits.named("source-002", cases, slices)
    assert (split.unit, len(split.train), len(split.validation), len(split.test)) == ("slice", 136, 0, 24)
    assert_covers(split, slices)
    test_patients = {key.split("/")[0] for key in split.test}
    assert test_patients & {key.split("/")[0] for key in split.train}, "it leaks on purpose: patients are on both sides"


@pytest.mark.parametrize("name", ["source-004", "source-002", "ratio-20", "fold-2-of-5"])
@given(validation=st.sampled_from([0.0, 0.1, 0.3]), seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_every_slice_is_in_one_part_whatever_the_draw(cohort, name, validation, seed):
    split = splits.named(name, *cohort, validation=validation, seed=seed)
    assert_covers(split, cohort[1])
    assert bool(split.validation) == bool(validation)
    assert split == splits.named(name, *cohort, validation=validation, seed=seed)


@given(share=st.integers(5, 80), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_a_drawn_test_part_has_its_share_of_each_site(cohort, share, seed):
    cases, _ = cohort
    split = splits.named(f"ratio-{share}", *cohort, seed=seed)
    assert len(split.test) == max(1, round(share / 100 * len(cases)))
    testable = cases.site[cases.site != "EZ"].value_counts()
    taken = cases.site.loc[list(split.test)].value_counts().reindex(testable.index, fill_value=0)
    assert (abs(taken - testable * len(split.test) / testable.sum()) < 1).all()


def test_seeds_draw_differently(cohort):
    drawn = {splits.named("ratio-20", *cohort, seed=seed).test for seed in range(5)}
    assert len(drawn) == 5
    validations = {splits.named("source-004", *cohort, validation=0.2, seed=seed).validation for seed in range(5)}
    assert len(validations) == 5


def test_folds_of_source_004_choose_on_its_training_patients_alone(cohort):
    whole = splits.named("source-004", *cohort)
    folds = [splits.named(f"source-004-fold-{number}-of-3", *cohort) for number in (1, 2, 3)]
    assert sorted(key for fold in folds for key in fold.test) == sorted(set(whole.train) - set(patients("EZ", 1)))
    for number, fold in enumerate(folds, 1):
        assert set(fold.train) | set(fold.test) == set(whole.train)
        assert fold.name == f"source-004-fold-{number}-of-3"


@pytest.mark.parametrize("k", [2, 5, 39])
def test_folds_test_each_patient_once_but_the_one_of_ez(cohort, k):
    cases, slices = cohort
    folds = [splits.fold(cases, number, k) for number in range(1, k + 1)]
    tested = [key for split in folds for key in split.test]
    ez = patients("EZ", 1)[0]
    assert sorted(tested) == sorted(set(cases.index) - {ez})
    assert all(ez in split.train for split in folds)
    for number, split in enumerate(folds, 1):
        assert_covers(split, slices)
        assert split == splits.named(f"fold-{number}-of-{k}", *cohort)


def test_folds_are_stratified_by_site(cohort):
    cases, _ = cohort
    folds = [splits.fold(cases, number, 5) for number in range(1, 6)]
    for site in ("DU", "HT", "CS"):
        held = [sum(cases.site[key] == site for key in split.test) for split in folds]
        assert max(held) - min(held) <= 1, (site, held)


def cohort_tables(draw):
    """Any few patients of any few sites, as a store's tables."""
    sites = draw(st.dictionaries(st.sampled_from(["CS", "DU", "EZ", "FG", "HT"]), st.integers(1, 6), min_size=1))
    return tables([case_id for site, n in sites.items() for case_id in patients(site, n)])


@given(cohort=st.composite(cohort_tables)(), unit=st.sampled_from(splits.UNITS), draw=st.data())
@settings(max_examples=60, deadline=None)
def test_folds_of_any_unit_test_each_testable_slice_once(cohort, unit, draw):
    cases, slices = cohort
    testable = splits.testable_rows(unit, *cohort)
    units = {"patient": slices.case_id.iloc[testable].nunique(), "slice": len(testable), "site": cases.site.nunique()}[unit]
    assume(units >= 2)
    folds = None if unit == "site" else draw.draw(st.integers(2, min(units, 9)), label="folds")
    names = splits.fold_names(unit, folds, *cohort)
    made = [splits.named(name, *cohort, validation=0.0, seed=7) for name in names]
    assert len(set(names)) == len(names) == (folds or units)
    assert sorted(np.concatenate([split.rows("test", slices) for split in made]).tolist()) == testable.tolist()
    for name, split in zip(names, made, strict=True):
        assert (split.name, split.unit) == (name, unit)
        assert_covers(split, slices)


def test_only_patients_of_sites_too_small_are_spared_and_only_under_patient_folds(cohort):
    cases, slices = cohort
    spared = set(slices.case_id) - set(slices.case_id.iloc[splits.testable_rows("patient", *cohort)])
    assert spared == set(patients("EZ", 1))
    for unit in ("slice", "site"):
        assert splits.testable_rows(unit, cases, slices).tolist() == list(range(len(slices)))


@pytest.mark.parametrize(
    ("unit", "folds", "complaint"),
    [
        ("patient", 1, "1 folds for 39 patients: expected 2 to 39"),
        ("patient", 40, "40 folds for 39 patients: expected 2 to 39"),
        ("patient", -3, "-3 folds for 39 patients"),
        ("slice", 0, "0 folds for 160 slices: expected 2 to 160"),
        ("slice", 161, "161 folds for 160 slices"),
        ("site", 4, r"4 folds for 5 sites \(CS, DU, EZ, FG, HT\): expected at least 2 sites, and a fold for each"),
        ("voxel", 5, "unit 'voxel', expected one of patient, site, slice"),
    ],
)
def test_folds_that_a_cohort_cannot_give_are_refused(cohort, unit, folds, complaint):
    with pytest.raises(SplitError, match=complaint) as refusal:
        splits.fold_names(unit, folds, *cohort)
    assert "\n" not in str(refusal.value)


def test_one_site_alone_cannot_be_left_out():
    with pytest.raises(SplitError, match=r"folds for 1 sites \(DU\): expected at least 2 sites"):
        splits.fold_names("site", None, *tables(patients("DU", 4)))


def test_a_site_split_tests_all_of_one_site_and_nobody_else(cohort):
    cases, slices = cohort
    for site in sorted(set(cases.site)):
        split = splits.named(f"site-{site}", *cohort, validation=0.2)
        assert (split.name, split.unit) == (f"site-{site}", "site")
        assert set(split.test) == set(cases.index[cases.site == site])
        assert split.validation
        assert_covers(split, slices)


def test_an_unknown_site_is_refused(cohort):
    with pytest.raises(SplitError, match="split 'site-XX': no such site; this cohort has CS, DU, EZ, FG, HT"):
        splits.named("site-XX", *cohort)


def test_a_site_split_of_one_site_has_nothing_to_train_on():
    with pytest.raises(SplitError, match="site-DU: the train part is empty"):
        splits.named("site-DU", *tables(patients("DU", 3)))


@given(k=st.integers(2, 12), validation=st.sampled_from([0.0, 0.2]), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_slice_folds_test_every_slice_once_and_are_as_large(cohort, k, validation, seed):
    _, slices = cohort
    folds = [splits.named(f"slice-fold-{number}-of-{k}", *cohort, validation=validation, seed=seed) for number in range(1, k + 1)]
    tested = [key for split in folds for key in split.test]
    assert len(tested) == len(set(tested)) == len(slices)
    sizes = [len(split.test) for split in folds]
    assert max(sizes) - min(sizes) <= 1
    for split in folds:
        assert split.unit == "slice"
        assert_covers(split, slices)
    leaking = {key.split("/")[0] for key in folds[0].test} & {key.split("/")[0] for key in folds[0].train}
    assert leaking, "it leaks on purpose: patients are on both sides"


def of_patients(keys):
    return {key.split("/")[0] for key in keys}


@given(of=st.integers(2, 10), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_a_leak_pair_differs_in_the_other_slices_of_the_test_patients_alone(cohort, of, seed):
    _, slices = cohort
    everyone = slices.groupby("case_id").slice.agg(list).to_dict()
    for draw in range(1, of + 1):
        clean, leaky = (splits.named(f"{kind}-{draw}-of-{of}", *cohort, seed=seed) for kind in ("clean", "leaky"))
        assert (clean.unit, leaky.unit) == ("slice", "slice")
        assert clean.test == leaky.test
        assert len(clean.train) == len(leaky.train), "as many training slices"
        tested = of_patients(clean.test)
        assert sorted(clean.test) == sorted(f"{case}/{n}" for case in tested for n in everyone[case][1::2]), "every second slice"
        assert set(clean.train) == {f"{case}/{n}" for case in set(everyone) - tested for n in everyone[case]}
        rest = {f"{case}/{n}" for case in tested for n in everyone[case][::2]}
        assert {key for key in leaky.train if key.split("/")[0] in tested} == rest
        assert set(leaky.train) - rest <= set(clean.train)


@pytest.mark.parametrize("of", [3, 5])
def test_the_draws_of_a_leak_pair_test_each_testable_patient_once(cohort, of):
    cases, _ = cohort
    tested = [case for draw in range(1, of + 1) for case in of_patients(splits.named(f"clean-{draw}-of-{of}", *cohort).test)]
    assert sorted(tested) == sorted(set(cases.index) - set(patients("EZ", 1)))


def test_a_leak_pair_needs_as_many_slices_of_other_patients():
    cohort = tables(patients("DU", 2))
    leaky = splits.named("leaky-1-of-2", *cohort)
    assert (len(leaky.train), len(leaky.test)) == (4, 2)
    cases, slices = cohort
    few = slices[(slices.case_id == leaky.test[0].split("/")[0]) | (slices.slice <= 2)]
    with pytest.raises(SplitError, match="split 'leaky-1-of-2': the other patients have too few slices; more draws are needed"):
        splits.named("leaky-1-of-2", cases, few)


def test_the_ez_patient_is_never_drawn(cohort):
    ez = patients("EZ", 1)[0]
    for seed in range(20):
        split = splits.named("ratio-50", *cohort, validation=0.5, seed=seed)
        assert ez in split.train


@pytest.mark.parametrize("name", ["source-004", "source-002"])
def test_json_round_trip(cohort, name, tmp_path):
    split = splits.named(name, *cohort, validation=0.2)
    split.save(tmp_path / "split.json")
    again = splits.load(tmp_path / "split.json")
    assert again == split
    assert again.hash == split.hash


def test_the_hash_follows_the_content(cohort):
    split = splits.named("ratio-20", *cohort)
    moved = splits.Split(split.name, split.unit, split.train[1:], split.train[:1], split.test)
    assert len({split.hash, moved.hash, splits.named("ratio-20", *cohort, seed=1).hash}) == 3
    assert split.hash == splits.named("ratio-20", *cohort).hash


@pytest.mark.parametrize(
    "name",
    [
        "",
        "source-005",
        "ratio",
        "ratio-0",
        "ratio-100",
        "ratio-x",
        "ratio-2-3",
        "fold-0-of-5",
        "fold-6-of-5",
        "fold-1-of-5-of-6",
        "fold-1-in-5",
        "site",
        "site-",
        "site-CS-DU",
        "slice-site-CS",
        "slice-ratio-20",
        "slice-fold-0-of-5",
        "slice-fold-6-of-5",
        "slice-fold-x-of-5",
        "clean-0-of-3",
        "clean-4-of-3",
        "leaky-4-of-3",
        "clean-1",
        "leaky",
        "slice-clean-1-of-3",
    ],
)
def test_unknown_names_are_refused(cohort, name):
    with pytest.raises(SplitError, match="unknown split .*; expected source-004"):
        splits.named(name, *cohort)


def test_more_folds_than_there_are_slices_are_refused(cohort):
    for k in (1, 161):
        with pytest.raises(SplitError, match=f"{k} folds for 160 slices: expected 2 to 160"):
            splits.named(f"slice-fold-1-of-{k}", *cohort)


def test_more_folds_than_patients_are_refused(cohort):
    with pytest.raises(SplitError, match="40 folds for 39 patients: expected 2 to 39"):
        splits.named("fold-1-of-40", *cohort)


def test_keys_that_the_cohort_lacks_are_refused(cohort):
    split = splits.Split("mine", "patient", ("TCGA_XX_0000_20000101", "TCGA_XX_0001_20000101"), (), ("TCGA_CS_0000_20000101",))
    with pytest.raises(SplitError, match="2 train keys are not in the cohort, such as 'TCGA_XX_0000_20000101'"):
        split.rows("train", cohort[1])
    assert split.rows("test", cohort[1]).tolist() == [0, 1, 2, 3]


GOOD = {"name": "mine", "unit": "patient", "train": ["A", "B"], "validation": [], "test": ["C"]}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"test": ["B"]}, "'B' is twice in the split, in train and test"),
        ({"train": ["A", "A"]}, "'A' is twice in the split, in train and train"),
        ({"test": []}, "the test part is empty"),
        ({"train": []}, "the train part is empty"),
        ({"unit": "voxel"}, "unit 'voxel', expected one of patient, site, slice"),
        ({"test": None}, "not a split in JSON"),
        ({"test": "C"}, "not a split in JSON"),
        ({"test": [["C"]]}, "not a split in JSON"),
        ({"test": ["a", "C"]}, "'a' is twice in the split, in train and test"),
        ({"holdout": ["C"]}, "'holdout' is no part; expected name, unit, train, validation, test and nothing else"),
        ({"fold": 3}, "'fold' is no part"),
        ({"val": ["D"]}, "of the parts train, validation, test, val two mean the same"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path, changes, complaint):
    path = tmp_path / "split.json"
    path.write_text(json.dumps(GOOD | changes))
    with pytest.raises(SplitError) as refusal:
        splits.load(path)
    assert complaint in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"\xff\xfe", b'{"name": "mine"}'])
def test_an_unreadable_file_is_refused(tmp_path, content):
    path = tmp_path / "split.json"
    path.write_bytes(content)
    with pytest.raises(SplitError, match="split.json: not a split in JSON"):
        splits.load(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_split_is_read_whatever_its_encoding_and_its_name_of_a_part(tmp_path, encoding):
    content = {"name": "mine", "unit": "patient", "training": ["A", "B"], "Testing": ["C"]}
    (tmp_path / "split.json").write_text(json.dumps(content), encoding=encoding)
    assert splits.load(tmp_path / "split.json") == splits.Split("mine", "patient", ("A", "B"), (), ("C",))


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(SplitError, match=r"nowhere.json: not a split in JSON \(.*No such file"):
        splits.load(tmp_path / "nowhere.json")


def test_two_exams_of_one_patient_are_never_on_both_sides():
    """Patients are dealt, not exams: BraTS has two time points of some persons."""
    names = [f"P{number:02d}" for number in range(12)]
    cases = pd.DataFrame(
        [(f"{name}_{time}", name, "CS" if number % 2 else "DU") for number, name in enumerate(names) for time in (1, 2)],
        columns=["case_id", "patient", "site"],
    ).set_index("case_id")
    slices = pd.DataFrame([(case_id, number) for case_id in cases.index for number in (1, 2)], columns=["case_id", "slice"])
    made = [splits.fold(cases, number, 3, validation=0.3) for number in (1, 2, 3)]
    made.append(splits.named("ratio-20", cases, slices, validation=0.3))
    for split in made:
        parts = [{key[:3] for key in getattr(split, part)} for part in splits.PARTS]
        assert all(parts) and not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
        assert sum(len(getattr(split, part)) for part in splits.PARTS) == len(cases)
    tested = [key for split in made[:3] for key in split.test]
    assert sorted(tested) == sorted(cases.index), "each exam once"
