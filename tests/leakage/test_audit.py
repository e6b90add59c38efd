"""Every kind of leak, planted and found; clean splits that pass; and nothing said of what cannot be told."""

import json
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from brain_tumor.data import splits
from brain_tumor.errors import SplitError
from brain_tumor.leakage import manifests as parts
from brain_tumor.leakage.audit import KINDS, audit
from brain_tumor.leakage.names import ImageRecord

CS, HT, DU = "TCGA_CS_0001_19960909", "TCGA_HT_0002_19981126", "TCGA_DU_0003_20000101"


def scan(seed):
    """``(32, 32)`` uint8: soft shapes that no other seed has."""
    shapes = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal((32, 32)).astype(np.float32), (0, 0), 3)
    return (40 + 160 * (shapes - shapes.min()) / np.ptp(shapes)).astype(np.uint8)


def write(folder, pictures):
    """``{"Training/glioma/a.png": pixels}`` under ``folder``."""
    for name, pixels in pictures.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
    return folder


def only(folder, **options):
    """The audit of what has one fold."""
    (found,) = audit(parts.read(str(folder), **options))
    return found


def told(found):
    """``{(kind, part, part): (count, pictures of each part)}``."""
    return {(finding.kind, *finding.parts): (finding.count, finding.pictures) for finding in found.findings}


# ------------------------------------------------------------------------------------------------------------ planted leaks


@pytest.fixture
def clean(tmp_path):
    """A tree of four patients, two in each part, two slices each, no two alike."""
    dealt = [("train", 1), ("train", 2), ("test", 3), ("test", 4)]
    names = [f"{part}/x/TCGA_CS_000{patient}_{number}.png" for part, patient in dealt for number in (1, 2)]
    return write(tmp_path / "clean", {name: scan(seed) for seed, name in enumerate(names)})


def test_a_clean_tree_passes(clean):
    found = only(clean)
    assert found.findings == () and not found.leaks
    assert (found.pictures, found.patients) == ({"train": 4, "test": 4}, {"train": 2, "test": 2})
    assert (found.patients_unknown, found.not_at_hand, found.blank, found.copies, found.phantom) == (0, 0, 0, 1, False)
    assert found.verdict == "no leak: 4 patients, each in one part; no picture twice, nor nearly, across parts"


def test_a_patient_on_both_sides_is_found(clean):
    write(clean, {"test/x/TCGA-CS-0001-9.png": scan(100)})
    found = only(clean)
    assert told(found) == {("patients", "train", "test"): (1, (2, 1))}
    assert found.findings[0].examples == (("TCGA_CS_0001",),)
    assert found.verdict == "LEAK between train and test: 1 patient on both sides"


def test_identical_pixels_are_found_whatever_the_format(clean):
    write(clean, {"test/x/a.tif": np.repeat(scan(0)[..., None], 3, axis=-1), "test/x/b.png": scan(0)})
    found = only(clean)
    assert told(found) == {("identical", "train", "test"): (2, (1, 2)), ("identical", "test", "test"): (1, (2, 2))}
    assert found.findings[0].examples == (
        ("train/x/TCGA_CS_0001_1.png", "test/x/a.tif"),
        ("train/x/TCGA_CS_0001_1.png", "test/x/b.png"),
    )
    assert found.leaks


def test_identical_pixels_within_a_part_are_told_and_are_no_leak(clean):
    write(clean, {"train/x/TCGA_CS_0002_9.png": scan(0)})
    found = only(clean)
    assert told(found) == {("identical", "train", "train"): (1, (2, 2))}
    assert not found.leaks


def test_a_near_duplicate_is_found_across_parts_only(clean):
    write(clean, {"test/x/TCGA_CS_0003_9.png": scan(0) // 2 + 5, "train/x/TCGA_CS_0001_9.png": scan(1) // 2 + 5})
    found = only(clean)
    assert told(found) == {("near", "train", "test"): (1, (1, 1))}
    assert found.findings[0].of_one_patient == 0
    assert found.findings[0].examples == (("train/x/TCGA_CS_0001_1.png", "test/x/TCGA_CS_0003_9.png"),)


def test_adjacent_slices_of_one_patient_are_found_and_distant_ones_are_not(clean):
    write(clean, {"test/x/TCGA_CS_0001_3.png": scan(100), "test/x/TCGA_CS_0002_19.png": scan(101)})
    found = only(clean)
    assert told(found) == {("patients", "train", "test"): (2, (4, 2)), ("adjacent", "train", "test"): (1, (1, 1))}
    assert found.findings[1].examples == (("train/x/TCGA_CS_0001_2.png", "test/x/TCGA_CS_0001_3.png"),)


def test_slices_of_two_exams_of_a_patient_are_not_adjacent(tmp_path):
    one, other = "train/x/TCGA_CS_0001_19960909_1.png", "test/x/TCGA_CS_0001_19970909_2.png"
    assert told(only(write(tmp_path, {one: scan(0), other: scan(1)}))) == {("patients", "train", "test"): (1, (1, 1))}


def test_the_doubled_tree_is_found(tmp_path):
    names = [f"{CS}/{CS}_{number}.png" for number in (1, 2)]
    trees = {f"{tree}/{name}": scan(seed) for tree in ("a/kaggle_3m", "kaggle_3m") for seed, name in enumerate(names)}
    write(tmp_path, trees)
    rows = [f"{name},{part}" for name, part in zip(trees, ("train", "train", "test", "train"), strict=True)]
    (tmp_path / "split.csv").write_text("\n".join(["file,part", *rows]))
    assert told(only(tmp_path / "split.csv")) == {
        ("patients", "train", "test"): (1, (3, 1)),
        ("identical", "train", "test"): (1, (1, 1)),
        ("adjacent", "train", "test"): (2, (2, 1)),
        ("doubled", "train", "test"): (1, (1, 1)),
        ("identical", "train", "train"): (1, (2, 2)),
        ("doubled", "train", "train"): (1, (2, 2)),
    }


def test_sequences_of_one_slice_are_not_a_doubled_tree(clean):
    write(clean, {"train/flair/TCGA_CS_0001_1.png": scan(100)})
    assert told(only(clean)) == {}


def test_blank_pictures_are_counted_and_accuse_nobody(clean):
    faint = np.random.default_rng(0).integers(0, 5, (32, 32), dtype=np.uint8)
    black = np.zeros((32, 32), np.uint8)
    write(clean, {"train/x/a.png": black, "test/x/b.png": black, "test/x/c.png": faint, "train/x/d.png": faint // 2})
    found = only(clean)
    assert (found.blank, found.leaks, told(found)) == (4, False, {})


def test_every_pair_of_parts_is_told_train_and_test_first(tmp_path):
    folder = write(tmp_path, {f"{part}/{part}.png": scan(0) for part in ("Testing", "valid", "Training")})
    pairs = [finding.parts for finding in only(folder).findings]
    assert pairs == [("Training", "Testing"), ("Training", "valid"), ("Testing", "valid")]


def test_hidden_pictures_count_and_masks_do_not(clean):
    black = np.zeros((32, 32), np.uint8)
    write(clean, {"test/x/.ipynb_checkpoints/y-checkpoint.png": scan(0), "test/x/TCGA_CS_0001_1_mask.png": black})
    assert told(only(clean)) == {("identical", "train", "test"): (1, (1, 1))}


# ------------------------------------------------------------------------------------------------------ what cannot be told


def test_where_names_tell_no_patient_the_audit_says_unknown(tmp_path):
    found = only(write(tmp_path, {"Training/a/y1.png": scan(0), "Testing/a/y2.png": scan(1)}))
    assert (found.patients, found.patients_unknown, found.leaks) == ({"Training": 0, "Testing": 0}, 2, False)
    assert found.verdict == "nothing found, but patients unknown for 2 of 2 pictures"


def test_a_leak_is_told_with_what_stays_unknown(tmp_path):
    found = only(write(tmp_path, {"Training/a/y1.png": scan(0), "Testing/a/y2.png": scan(0)}))
    leak = "LEAK between Training and Testing: of the 1 pictures in Testing 1 have identical pixels"
    assert found.verdict == f"{leak}; patients unknown for 2 of 2 pictures"


def test_a_pattern_tells_patients_that_tcga_does_not(tmp_path):
    folder = write(tmp_path, {"Training/p1_z4.png": scan(0), "Testing/p1_z5.png": scan(1)})
    found = only(folder, pattern=r"p(?P<patient>\d)_z(?P<slice>\d)")
    assert set(told(found)) == {("patients", "Training", "Testing"), ("adjacent", "Training", "Testing")}


def planted(folder, rows, columns="file,part,patient"):
    """A CSV of these rows in ``folder``, each of whose files is a picture of its own."""
    for seed, row in enumerate(rows):
        write(folder, {row.split(",")[0]: scan(seed)})
    (folder / "split.csv").write_text("\n".join([columns, *rows]))
    return folder / "split.csv"


PATIENT = {("patients", "train", "test"): (1, (1, 1))}


@pytest.mark.parametrize(
    "rows",
    [
        ("a.png,train,TCGA-CS-4941", "b.png,test,TCGA_CS_4941"),
        ("a.png,train,7", "b.png,test,7.0"),
        ("a.png,train,007", "b.png,test,7"),
        ("a.png,train,Smith", "b.png,test, SMITH "),
        ("TCGA_CS_4941_3.png,train,", "b.png,test,tcga-cs-4941"),
        ("TCGA-CS-4941_3.png,train,", "tcga_cs_4941_9.png,test,n/a"),
        ("TCGA_CS_4941_3.png,train,TCGA_CS_4941_19960909", "TCGA_CS_4941_9.png,test,"),
    ],
)
def test_a_patient_spelt_in_two_ways_is_one(tmp_path, rows):
    found = only(planted(tmp_path, rows))
    assert told(found) == PATIENT


def test_what_was_made_one_spelling_is_said(tmp_path):
    found = only(planted(tmp_path, ("a.png,train,TCGA-CS-4941", "b.png,test,TCGA_CS_4941", "c.png,test,X")))
    (note,) = found.notes
    assert "without regard to case, blanks, - and _, leading zeros: 1 name changed" in note and "'TCGA_CS_4941'" in note
    assert found.findings[0].examples == (("TCGA-CS-4941",),)


@pytest.mark.parametrize("names", [("A1", "A_1"), ("1_11", "11_1"), ("P7", "7")])
def test_different_patients_stay_different(tmp_path, names):
    one, other = names
    found = only(planted(tmp_path, (f"a.png,train,{one}", f"b.png,test,{other}")))
    assert (told(found), found.notes) == ({}, ())
    assert found.verdict.startswith("no leak: 2 patients")


def test_a_column_filled_in_one_half_is_linked_by_the_lines_that_have_both(tmp_path):
    rows = ("p07_z1.png,train,Smith", "p07_z2.png,test,", "p08_z1.png,test,")
    found = only(planted(tmp_path, rows), pattern=r"p(?P<patient>\d+)_z(?P<slice>\d)")
    assert told(found) == PATIENT | {("adjacent", "train", "test"): (1, (1, 1))}
    assert found.findings[0].examples == (("Smith",),)


def test_a_column_and_names_that_nothing_links_leave_a_doubt(tmp_path):
    found = only(planted(tmp_path, ("a.png,train,4941", "TCGA_CS_4941_1.png,test,")))
    assert not found.leaks
    assert found.verdict.startswith("nothing found, but patients are known by the column (1) or by file names alone (1)")


def test_a_column_that_gives_one_patient_two_names_must_be_full(tmp_path):
    path = planted(tmp_path, ("p7_1.png,train,A", "p7_2.png,train,B", "p7_3.png,test,"))
    with pytest.raises(
        SplitError, match=r"split.csv, line 4: the patient is empty, and other lines call '7' both 'A' and 'B'; fill"
    ):
        parts.read(str(path), pattern=r"p(?P<patient>\d+)")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_csv_is_read_however_it_was_saved(tmp_path, encoding, delimiter):
    write(tmp_path, {"train/a.png": scan(0), "test/b.png": scan(1)})
    rows = [("File", "Part", "Patient", "Slice"), (r"train\a.png", "train", "7", "1.0"), (r"test\b.png", "test", "7.0", "2")]
    (tmp_path / "split.csv").write_text("\r\n".join(delimiter.join(row) for row in rows), encoding=encoding)
    assert told(only(tmp_path / "split.csv")) == PATIENT | {("adjacent", "train", "test"): (1, (1, 1))}


def test_a_file_may_hold_a_backslash_in_its_name(tmp_path):
    assert only(planted(tmp_path, ("x\\a.png,train,1", "x\\b.png,test,2"))).verdict.startswith("no leak: 2 patients")


# ------------------------------------------------------------------------------------------------------------ where patients are


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (("train/P1/img_1.png", "test/P1/img_7.png"), r"(?P<patient>P\d+)/img_(?P<slice>\d+)"),
        (("train/glioma/P1/t1/a.png", "test/no/P01/b.png"), r"(?P<patient>P\d+)"),
        (("train/patient_012/slice_3.png", "test/patient_012/slice_9.png"), r"(?P<patient>\d+)"),
        (("train/x/s_P1.png", "test/x/s_P1.png"), r"^s_(?P<patient>P\d)"),
    ],
)
def test_a_pattern_is_looked_for_in_the_path_below_the_part(tmp_path, names, pattern):
    found = only(write(tmp_path / "P9" / "tree", {name: scan(seed) for seed, name in enumerate(names)}), pattern=pattern)
    assert told(found) == PATIENT


@pytest.mark.parametrize("root", ["", "/mnt/p3/data/", "C:\\data\\p3\\"])
def test_in_a_csv_the_folders_that_all_files_share_are_no_patients(lgg_home, tmp_path, root):
    rows = [f"{root}{name},{part}" for name, part in ((f"p1/{CS}_1.tif", "train"), (f"p2/{HT}_1.tif", "test"))]
    (tmp_path / "split.csv").write_text("\n".join(["file,part", *rows]))
    manifest = parts.read(str(tmp_path / "split.csv"), pattern=r"p(?P<patient>\d)")
    assert [picture.patient for picture in manifest.pictures] == ["1", "2"]


@pytest.mark.parametrize("form", ["a folder", "a CSV", "nnU-Net's"])
def test_a_pattern_that_fits_nothing_is_refused_with_an_example(home, tmp_path, form):
    if form == "a folder":
        path, where = write(tmp_path / "tree", {"train/P1/a.png": scan(0), "test/P2/b.png": scan(1)}), "below the part's folder"
    elif form == "a CSV":
        path, where = planted(tmp_path, ("P1/a.png,train,1", "P2/b.png,test,2")), "the column file"
    else:
        path, where = tmp_path / "splits_final.json", "names of cases"
        path.write_text(json.dumps([{"train": ["P1/a"], "val": ["P2/a"]}]))
    with pytest.raises(SplitError) as refusal:
        parts.read(str(path), pattern=r"q(?P<patient>\d)")
    for words in (str(path), r"'q(?P<patient>\d)' fits none of 2 names", where, "such as 'P", r"--pattern 'P(?P<patient>\d+)'"):
        assert words in str(refusal.value)


def test_a_pattern_that_fits_some_names_says_how_many(tmp_path):
    folder = write(tmp_path, {name: scan(seed) for seed, name in enumerate(("train/P1.png", "train/x.png", "test/P2.png"))})
    found = only(folder, pattern=r"P(?P<patient>\d)")
    assert found.notes == ("The pattern fits 2 of 3 names, not one such as 'x.png' (paths below the part's folder).",)
    assert found.verdict == "nothing found, but patients unknown for 1 of 3 pictures"


def test_names_that_tell_no_patient_are_given_advice(tmp_path):
    (note,) = only(write(tmp_path, {"train/y1.png": scan(0), "test/y2.png": scan(1)})).notes
    assert r"--pattern 'y(?P<patient>\d+)'" in note


def test_a_pattern_is_of_no_use_where_the_cohort_tells_patients(lgg_home):
    assert only("ratio-40", pattern=r"P(?P<patient>\d)").notes[0].startswith("The pattern was not used")


def test_a_folder_beside_the_parts_is_not_passed_over_in_silence(clean):
    write(clean, {"holdout/x/TCGA_CS_0001_1.png": scan(0)})
    assert only(clean).verdict == "nothing found, but folders holdout are not read, since they are called like no part"


# --------------------------------------------------------------------------------------------- a split in each of its forms


def test_a_csv_may_name_patients_and_slices_itself(tmp_path):
    write(tmp_path, {"a.png": scan(0), "b.png": scan(1), "c.png": scan(2)})
    (tmp_path / "split.csv").write_text("File; Part ;patient;slice\na.png;Train;X;1\nb.png;val;X;2\nc.png;holdout;Y;3\n")
    found = only(tmp_path / "split.csv")
    assert told(found) == {("patients", "train", "val"): (1, (1, 1)), ("adjacent", "train", "val"): (1, (1, 1))}
    assert found.pictures == {"train": 1, "val": 1, "holdout": 1}


@pytest.fixture
def lgg_home(home, write_tree):
    """A home whose LGG data are three patients of noise."""
    write_tree(home / "data" / "kaggle_3m", {CS: 3, DU: 3, HT: 3})
    return home


def test_a_csv_finds_slices_of_the_cohort_where_its_files_are_elsewhere(lgg_home, tmp_path):
    (tmp_path / "split.csv").write_text(f"file,part\n/kaggle/input/{CS}_1.tif,train\n/kaggle/input/{HT}_1.tif,test\n")
    found = only(tmp_path / "split.csv")
    assert (found.patients, found.not_at_hand, found.leaks) == ({"train": 1, "test": 1}, 0, False)


def test_our_json_takes_its_pixels_from_the_store(lgg_home, tmp_path, monkeypatch):
    splits.Split("mine", "slice", (f"{CS}/1", f"{HT}/1"), (f"{CS}/2",), (f"{DU}/3",)).save(tmp_path / "mine.json")
    only(tmp_path / "mine.json")  # builds the cache
    monkeypatch.setattr("brain_tumor.data.readers.lgg.read_picture", None)
    found = only(tmp_path / "mine.json")
    assert told(found) == {("patients", "train", "validation"): (1, (1, 1)), ("adjacent", "train", "validation"): (1, (1, 1))}
    assert found.pictures == {"train": 2, "test": 1, "validation": 1}


def test_nnunet_folds_are_audited_each(lgg_home, tmp_path):
    names = [f"{case}_{number:04d}" for case in (CS, DU, HT) for number in (1, 2, 3)]
    folds = [{"train": names[:6], "val": names[6:]}, {"train": names[1:], "val": names[:1]}]
    (tmp_path / "splits_final.json").write_text(json.dumps(folds))
    patients, slices = audit(parts.read(str(tmp_path / "splits_final.json")))
    assert (patients.name, slices.name) == tuple(f"{tmp_path}/splits_final.json, fold {number}" for number in (0, 1))
    assert not patients.leaks and patients.not_at_hand == 0
    assert told(slices) == {("patients", "train", "val"): (1, (2, 1)), ("adjacent", "train", "val"): (1, (1, 1))}
    assert slices.pictures == {"train": 8, "val": 1}


@pytest.mark.parametrize("part", ["test", "holdout", "Ts"])
def test_every_list_of_an_nnunet_fold_is_a_part(lgg_home, tmp_path, part):
    fold = {"train": [f"{CS}_0001", f"{DU}_0001"], "val": [HT], part: [f"{CS}_0003"]}
    (tmp_path / "splits_final.json").write_text(json.dumps([fold]))
    found = only(tmp_path / "splits_final.json")
    assert told(found) == {("patients", "train", part): (1, (1, 1))}
    assert found.pictures == {"train": 2, "val": 3, part: 1}


@pytest.mark.parametrize("other", [3, "fold", {"a": 1}, [1, 2], None])
def test_what_is_no_list_of_names_is_refused_by_name(home, tmp_path, other):
    (tmp_path / "splits_final.json").write_text(json.dumps([{"train": [CS], "val": [HT], "remark": other}]))
    with pytest.raises(SplitError, match="fold 0: 'remark' is no list of names; expected train, val and perhaps other lists"):
        parts.read(str(tmp_path / "splits_final.json"))


def test_our_json_may_spell_its_cases_otherwise_and_it_is_said(lgg_home, tmp_path):
    splits.Split("mine", "patient", (CS.lower().replace("_", "-"),), (), (HT,)).save(tmp_path / "mine.json")
    found = only(tmp_path / "mine.json")
    assert found.pictures == {"train": 3, "test": 3}
    assert f"1 name changed, such as '{CS.lower().replace('_', '-')}' to '{CS}'" in found.notes[0]


def test_nnunet_cases_stand_for_all_their_slices(lgg_home, tmp_path):
    (tmp_path / "splits_final.json").write_text(json.dumps([{"train": [CS, DU], "val": [HT]}]))
    found = only(tmp_path / "splits_final.json")
    assert (found.pictures, found.leaks) == ({"train": 6, "val": 3}, False)


def test_nnunet_names_alone_are_judged_and_said_to_be_names_alone(home, tmp_path):
    folds = [{"train": ["TCGA_ZZ_0001_20000101_0001"], "val": ["TCGA_ZZ_0001_20000101_0002", "TCGA_ZZ_0002_20000101_0001"]}]
    (tmp_path / "splits_final.json").write_text(json.dumps(folds))
    found = only(tmp_path / "splits_final.json")
    assert told(found) == {("patients", "train", "val"): (1, (1, 1)), ("adjacent", "train", "val"): (1, (1, 1))}
    assert found.not_at_hand == 3
    assert found.verdict.endswith("pixels of 3 of 3 pictures not at hand, judged by name alone")


def test_nnunet_names_of_another_data_set_need_a_pattern(home, tmp_path):
    path = tmp_path / "splits_final.json"
    path.write_text(json.dumps([{"train": ["BRATS_001"], "val": ["BRATS_002"]}]))
    with pytest.raises(SplitError, match="splits_final.json: names such as 'BRATS_001' tell no patient") as refusal:
        parts.read(str(path))
    assert r"--pattern 'BRATS_(?P<patient>\d+)'" in str(refusal.value)
    found = only(path, pattern=r"BRATS_(?P<patient>\d+)")
    assert (found.patients, found.leaks) == ({"train": 1, "val": 1}, False)


@pytest.mark.parametrize(("name", "leaks"), [("ratio-40", False), ("fold-1-of-2", False), ("source-002", True)])
def test_named_splits_of_the_phantom(home, phantom_cohort, monkeypatch, name, leaks):
    monkeypatch.setattr(parts, "open_cohort", lambda _: phantom_cohort)
    found = only(name, cohort="phantom")
    assert (found.leaks, found.phantom) == (leaks, True)
    assert sum(found.pictures.values()) == phantom_cohort.n_slices
    assert {finding.kind for finding in found.findings} >= ({"patients", "adjacent"} if leaks else set())


def test_a_doubled_source_is_said_though_each_slice_is_read_once(home, write_tree, phantom_cohort, monkeypatch):
    monkeypatch.setattr(parts, "open_cohort", lambda _: replace(phantom_cohort, copies=2))
    found = only("ratio-40")
    assert (found.copies, found.leaks) == (2, False)


# -------------------------------------------------------------------------------------------------------------------- laws


def manifest_of(pictures, of_part):
    """Pictures of ``(patient, number, seed)`` without files: rows of a store of scans."""
    store = SimpleNamespace(images=[scan(seed) for _, _, seed in pictures], cohort=SimpleNamespace(copies=1, phantom=False))
    named = [
        ImageRecord(
            f"{index}", None if patient is None else f"P{patient}", None if patient is None else f"P{patient}", number, index
        )
        for index, (patient, number, _) in enumerate(pictures)
    ]
    return parts.SplitManifest("law", tuple(named), {"": tuple(of_part)}, store)


DEALT = st.lists(
    st.tuples(
        st.tuples(st.sampled_from([None, 1, 2, 3]), st.integers(1, 4), st.integers(0, 3)),
        st.sampled_from(["train", "test", "validation"]),
    ),
    min_size=1,
    max_size=10,
)


@settings(deadline=None, max_examples=60)
@given(DEALT)
def test_the_audit_is_symmetric_in_parts(dealt):
    pictures, of_part = zip(*dealt, strict=True)
    swapped = [{"train": "test", "test": "train"}.get(part, part) for part in of_part]
    (here,), (there,) = audit(manifest_of(pictures, of_part)), audit(manifest_of(pictures, swapped))
    assert here.leaks == there.leaks
    mirrored = {
        (finding.kind, *sorted({"train": "test", "test": "train"}.get(part, part) for part in finding.parts)): (
            finding.count,
            sorted(finding.pictures),
        )
        for finding in there.findings
    }
    assert mirrored == {
        (finding.kind, *sorted(finding.parts)): (finding.count, sorted(finding.pictures)) for finding in here.findings
    }


@settings(deadline=None, max_examples=60)
@given(DEALT)
def test_the_audit_finds_what_a_double_loop_finds(dealt):
    pictures, of_part = zip(*dealt, strict=True)
    (found,) = audit(manifest_of(pictures, of_part))
    indices = range(len(pictures))
    expected: dict = {}
    for i, j in ((i, j) for i in indices for j in indices if of_part[i] == "train" and of_part[j] == "test"):
        (patient, number, seed), (other, other_number, other_seed) = pictures[i], pictures[j]
        alike = patient is not None and patient == other
        for kind, holds in (
            ("identical", seed == other_seed),
            ("adjacent", alike and abs(number - other_number) == 1),
            ("doubled", alike and number == other_number and seed == other_seed),
        ):
            expected[kind] = expected.get(kind, 0) + holds
    counted = {finding.kind: finding.count for finding in found.findings if finding.parts == ("train", "test")}
    known = [{pictures[i][0] for i in indices if of_part[i] == part} - {None} for part in ("train", "test")]
    assert counted.pop("patients", 0) == len(known[0] & known[1])
    assert counted == {kind: count for kind, count in expected.items() if count}


def test_a_result_is_json_with_every_kind_named(clean):
    write(clean, {"test/x/TCGA_CS_0001_3.png": scan(0)})
    told_again = json.loads(json.dumps(only(clean).to_json()))
    assert told_again["leaks"] is True
    assert told_again["threshold"] == 10 and told_again["alike"] == 0.98
    assert [finding["kind"] for finding in told_again["findings"]] == ["patients", "identical", "adjacent"]
    assert set(KINDS) == {"patients", "identical", "near", "adjacent", "doubled"}
