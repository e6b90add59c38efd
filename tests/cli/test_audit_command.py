"""``brain-tumor audit`` as a person types it: exit codes, pure JSON, and one clear line for every bad input."""

import inspect
import json

import numpy as np
import pytest
from PIL import Image

from brain_tumor.cli.audit import audit
from brain_tumor.data import fingerprints, phantom, splits

CS, HT = "TCGA_CS_0001_19960909", "TCGA_HT_0002_19981126"


def noise(seed):
    return np.random.default_rng(seed).integers(0, 256, (16, 16), dtype=np.uint8)


def write(folder, pictures):
    for name, pixels in pictures.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
    return folder


@pytest.fixture
def folder(tmp_path):
    """A clean tree of two patients."""
    names = (f"Training/a/{CS}_1.png", f"Training/a/{CS}_2.png", f"Testing/a/{HT}_1.png")
    return write(tmp_path / "tree", {name: noise(seed) for seed, name in enumerate(names)})


@pytest.fixture
def lgg_home(home, write_tree):
    """A home whose LGG data are two patients of noise."""
    write_tree(home / "data" / "kaggle_3m", {CS: 3, HT: 3})
    return home


def test_a_clean_split_exits_with_0(home, folder, command):
    answer = command("audit", folder)
    assert answer.code == 0, answer.err
    assert "Training 2 pictures (known patients: 1), Testing 1 pictures (known patients: 1)" in answer.out
    assert answer.out.splitlines()[-1].startswith("no leak: 2 patients")


def test_a_leak_exits_with_1_and_shows_examples(home, folder, command):
    write(folder, {"Testing/a/copy[1].png": noise(0)})
    answer = command("audit", folder)
    assert answer.code == 1
    assert f"Training/a/{CS}_1.png = Testing/a/copy[1].png" in answer.out
    assert "of the 2 pictures in Testing 1 have identical pixels" in answer.out
    assert answer.err == ""


def test_unknown_patients_are_said_and_exit_with_0(home, tmp_path, command):
    answer = command("audit", write(tmp_path / "tree", {"train/y1.png": noise(0), "test/y2.png": noise(1)}))
    assert answer.code == 0
    assert "train 1 pictures (patients unknown)" in answer.out
    assert "nothing found, but patients unknown for 2 of 2 pictures" in answer.out
    assert "no leak" not in answer.out


@pytest.mark.parametrize("leaks", [False, True])
def test_json_is_all_that_standard_output_holds(home, folder, command, leaks):
    write(folder, {"Testing/a/copy.png": noise(0)} if leaks else {})
    answer = command("audit", folder, "--json")
    told = json.loads(answer.out)
    assert answer.code == int(leaks)
    assert (told["audited"], told["leaks"]) == (str(folder), leaks)
    assert [found["leaks"] for found in told["audits"]] == [leaks]


def test_a_named_split_of_the_phantom_says_phantom(home, command, monkeypatch):
    monkeypatch.setattr(phantom.open_phantom, "__defaults__", (6, (6, 6), 32, 0))
    answer = command("audit", "source-002", "--cohort", "phantom")
    assert answer.code == 1, answer.err
    assert "PHANTOM, not patients" in answer.out
    assert "patients on both sides" in answer.out and "adjacent slices" in answer.out


def test_one_leaking_fold_of_nnunet_exits_with_1(lgg_home, tmp_path, command):
    folds = [{"train": [CS], "val": [HT]}, {"train": [f"{CS}_0001"], "val": [f"{CS}_0002"]}]
    (tmp_path / "splits_final.json").write_text(json.dumps(folds))
    answer = command("audit", tmp_path / "splits_final.json", "--json")
    assert answer.code == 1
    assert [found["leaks"] for found in json.loads(answer.out)["audits"]] == [False, True]


def test_a_pattern_is_taken(home, tmp_path, command):
    tree = write(tmp_path / "tree", {"train/p1.png": noise(0), "test/p1b.png": noise(1)})
    assert command("audit", tree, "--pattern", r"p(?P<patient>\d)").code == 1


def test_a_pattern_that_fits_nothing_is_refused(home, tmp_path, command):
    tree = write(tmp_path / "tree", {"train/P1/a.png": noise(0), "test/P1/b.png": noise(1)})
    words = "fits none of 2 names", "'P1/", r"--pattern 'P(?P<patient>\d+)'"
    assert command("audit", tree, "--pattern", r"q(?P<patient>\d)").refuses("tree", *words)
    answer = command("audit", tree, "--pattern", r"P(?P<patient>\d+)")
    assert answer.code == 1 and "1 patient on both sides" in answer.out


@pytest.mark.parametrize(("one", "other"), [("TCGA-CS-4941", "TCGA_CS_4941"), ("7", "7.0"), ("P007", "p7")])
def test_a_patient_spelt_in_two_ways_is_a_leak_and_the_change_is_said(home, tmp_path, command, one, other):
    write(tmp_path, {"a.png": noise(0), "b.png": noise(1)})
    (tmp_path / "split.csv").write_text(f"file,part,patient\na.png,train,{one}\nb.png,test,{other}\n")
    answer = command("audit", tmp_path / "split.csv")
    assert answer.code == 1
    assert f"leading zeros: 1 name changed, such as '{other}' to '{one}'." in answer.out


def test_the_thresholds_that_help_states_are_those_of_the_library():
    option = inspect.signature(audit).parameters["threshold"].default
    assert (option.default, option.max) == (fingerprints.THRESHOLD, fingerprints.MOST_BITS)


@pytest.mark.parametrize("bits", ["-1", "17", "many"])
def test_a_threshold_out_of_range_exits_with_2(home, folder, command, bits):
    answer = command("audit", folder, "--threshold", bits)
    assert answer.code == 2 and "--threshold" in answer.err and answer.out == ""


# ---------------------------------------------------------------------------------------------------- bad input at the door


def split_json(folder, **changes):
    content = {"name": "mine", "unit": "patient", "train": [CS], "validation": [], "test": [HT]} | changes
    (folder / "mine.json").write_text(json.dumps(content))
    return folder / "mine.json"


def text(folder, name, content):
    (folder / name).write_text(content)
    return folder / name


def unknown_patients(folder):
    return split_json(folder, train=[CS, "TCGA_ZZ_9999_20000101"]), ["mine.json", "1 train keys", "TCGA_ZZ_9999_20000101"]


def case_in_two_parts(folder):
    return split_json(folder, test=[CS]), ["mine.json", CS, "twice in the split, in train and test"]


def empty_part(folder):
    return split_json(folder, test=[]), ["mine.json", "the test part is empty"]


def json_that_is_neither(folder):
    return text(folder, "other.json", '{"a": 1}'), ["other.json", "neither a split", "splits_final.json"]


def json_list_that_is_neither(folder):
    return text(folder, "other.json", '["a"]'), ["other.json", "neither a split", "splits_final.json"]


def not_json(folder):
    return text(folder, "other.json", "{"), ["other.json", "not JSON"]


def absent_json(folder):
    return folder / "nowhere.json", ["nowhere.json", "cannot be read (No such file"]


def nnunet_empty_part(folder):
    return text(folder, "s.json", '[{"train": ["a"], "val": []}]'), ["s.json", "fold 0", "val part is empty"]


def nnunet_name_in_two_parts(folder):
    content = json.dumps([{"train": [CS], "val": [HT]}, {"train": [CS], "val": [f"{CS}_0002"]}])
    return text(folder, "s.json", content), ["s.json", "fold 1", f"'{CS}_0002' is there twice, in train and val"]


def nnunet_slice_that_is_not_there(folder):
    content = json.dumps([{"train": [f"{CS}_0000"], "val": [HT]}])
    return text(folder, "s.json", content), ["s.json", f"{CS}_0000", "slices 1 to 3"]


def csv_without_columns(folder):
    return text(folder, "s.csv", "path,fold\na.png,1\n"), ["s.csv", "columns path, fold", "expected file and part"]


def empty_csv(folder):
    return text(folder, "s.csv", ""), ["s.csv", "columns none"]


def csv_of_no_file(folder):
    return text(folder, "s.csv", "file,part\na.png,train\n"), ["s.csv, line 2", "no file", "a.png"]


def csv_that_repeats(folder):
    write(folder, {"a.png": noise(0)})
    return text(folder, "s.csv", "file,part\na.png,train\na.png,test\n"), ["s.csv, line 3", "'a.png'", "train and test"]


def csv_of_one_part(folder):
    write(folder, {"a.png": noise(0)})
    return text(folder, "s.csv", "file,part\na.png,train\n"), ["s.csv", "only the part 'train'"]


def csv_with_a_blank_part(folder):
    return text(folder, "s.csv", "file,part\na.png,\n"), ["s.csv, line 2", "the part is empty"]


def csv_with_a_strange_slice(folder):
    return text(folder, "s.csv", "file,part,slice\na.png,train,x\n"), ["s.csv, line 2", "slice 'x'"]


def csv_with_half_a_slice(folder):
    write(folder, {"a.png": noise(0)})
    return text(folder, "s.csv", "file,part,slice\na.png,train,1.5\n"), [
        "s.csv, line 2",
        "slice '1.5'",
        "whole number such as 12",
    ]


def csv_with_an_unquoted_comma(folder):
    return text(folder, "s.csv", "file,part\na,b.png,train\n"), ["s.csv, line 2", "more cells than columns", "in quotes"]


def spreadsheet_for_a_csv(folder):
    (folder / "s.csv").write_bytes(b"PK\x03\x04\x14\0\x06\0\x08\0")
    return folder / "s.csv", ["s.csv: not text", "expected CSV or JSON"]


def nnunet_with_a_remark(folder):
    content = json.dumps([{"train": [CS], "val": [HT], "seed": 3}])
    return text(folder, "s.json", content), ["s.json", "fold 0", "'seed' is no list of names"]


def nnunet_names_that_tell_nobody(folder):
    content = json.dumps([{"train": ["BRATS_001"], "val": ["BRATS_002"]}])
    return text(folder, "s.json", content), ["s.json", "'BRATS_001' tell no patient", r"--pattern 'BRATS_(?P<patient>\d+)'"]


def extra_part(folder):
    return split_json(folder, holdout=[HT]), ["mine.json", "'holdout' is no part", "train, validation, test"]


def absent_csv(folder):
    return folder / "nowhere.csv", ["nowhere.csv", "No such file"]


def empty_folder(folder):
    (folder / "tree").mkdir()
    return folder / "tree", ["tree", "no parts", "Training and Testing"]


def folder_of_one_part(folder):
    return write(folder / "tree", {"Training/a.png": noise(0)}), ["tree", "only the part 'Training'"]


def folder_with_an_empty_part(folder):
    (folder / "tree" / "Testing").mkdir(parents=True)
    return write(folder / "tree", {"Training/a.png": noise(0)}), ["Testing", "no pictures in this part"]


def unreadable_picture(folder):
    write(folder / "tree", {"Training/a.png": noise(0), "Testing/b.png": noise(1)})
    (folder / "tree" / "Testing" / "b.png").write_bytes(b"not a picture")
    return folder / "tree", ["b.png", "not a picture"]


def sixteen_bit_picture(folder):
    return write(folder / "tree", {"train/a.png": noise(0), "test/b.png": np.zeros((4, 4), np.uint16)}), ["b.png", "I;16"]


def another_kind_of_file(folder):
    return text(folder, "split.txt", ""), ["split.txt", "expected a folder, .json or .csv"]


def absent_folder(folder):
    return folder / "nowhere", ["nowhere", "no such file or folder"]


def unknown_name(folder):
    return "source-999", ["unknown split 'source-999'"]


BAD = [
    unknown_patients, case_in_two_parts, empty_part, json_that_is_neither, json_list_that_is_neither, not_json, absent_json,
    nnunet_empty_part, nnunet_name_in_two_parts, nnunet_slice_that_is_not_there, csv_without_columns, empty_csv, csv_of_no_file,
    csv_that_repeats, csv_of_one_part, csv_with_a_blank_part, csv_with_a_strange_slice, absent_csv, empty_folder,
    csv_with_half_a_slice, csv_with_an_unquoted_comma, spreadsheet_for_a_csv, nnunet_with_a_remark,
    nnunet_names_that_tell_nobody, extra_part,
    folder_of_one_part, folder_with_an_empty_part, unreadable_picture, sixteen_bit_picture, another_kind_of_file,
    absent_folder, unknown_name,
]  # fmt: skip


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_bad_input_is_one_line_and_writes_nothing(lgg_home, tmp_path, command, spoil):
    command("audit", "ratio-50")  # builds the cache, so that all that is new afterwards would be the refusal's
    folder = tmp_path / "theirs"
    folder.mkdir()
    what, words = spoil(folder)
    before = sorted(tmp_path.rglob("*"))
    answer = command("audit", what, "--json")
    assert answer.refuses(*words)
    assert answer.out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_a_split_of_a_cohort_that_is_not_here_says_how_to_get_it(home, command):
    assert command("audit", "source-002").refuses("the LGG data is not here", "brain-tumor data get lgg")


def test_a_bad_pattern_is_refused(home, folder, command):
    assert command("audit", folder, "--pattern", "(").refuses("'('", "not a regular expression")


def test_a_saved_split_of_this_package_is_read(lgg_home, tmp_path, command):
    splits.Split("mine", "slice", (f"{CS}/1",), (), (f"{CS}/3",)).save(tmp_path / "mine.json")
    answer = command("audit", tmp_path / "mine.json")
    assert answer.code == 1
    assert "patients on both sides" in answer.out and "adjacent slices" not in answer.out
