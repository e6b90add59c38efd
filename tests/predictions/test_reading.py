"""Folders as other tools leave them: what pairs with what, whose it is, what its numbers mean, which part it is in."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from brain_tumor.errors import DataError, SplitError
from brain_tumor.predictions import levels, pairing, parts
from brain_tumor.predictions.identity import Identities, Identity


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


@pytest.mark.parametrize(
    ("mask", "prediction"),
    [
        ("a/x_1_mask.tif", "a/x_1.png"),
        ("a/x_1_mask.tif", "x_1.png"),
        ("x_1.png", "deep/x_1_pred.png"),
        ("case.nii.gz", "case.nii.gz"),
        ("case.nii.gz", "case_0000.nii.gz"),
        ("case.nii.gz", "case/case_seg.nii.gz"),
        ("case.nii.gz", "case/case_trans.nii.gz"),
        ("case/case_seg.nii.gz", "case.nii"),
        ("case/case-seg.nii.gz", "case/case.nii.gz"),
        ("BRATS_0000.nii.gz", "BRATS_0000.nii.gz"),
    ],
)
def test_files_pair_by_path(tmp_path, mask, prediction):
    truth = pairing.truth_folder(touch(tmp_path / "truth", mask, "other/z.png"))
    folder = pairing.prediction_folder(touch(tmp_path / "p", prediction), truth)
    (key,) = folder.files
    assert truth.files[key] == tmp_path / "truth" / mask


def test_side_files_and_images_are_passed_over_and_counted(tmp_path):
    touch(tmp_path / "truth", "c/c_flair.nii.gz", "c/c_seg.nii.gz", "data.csv", ".hidden.png", "__MACOSX/c_seg.nii.gz")
    truth = pairing.truth_folder(tmp_path / "truth")
    assert list(truth.files) == ["c"] and truth.notes[0].endswith("passed over 1 .csv, 1 images.")
    assert "__MACOSX" in truth.notes[1]
    touch(tmp_path / "p", "c.nii.gz", "c.npz", "c.pkl", "plans.json", "dataset.json")
    folder = pairing.prediction_folder(tmp_path / "p", truth)
    assert list(folder.files) == ["c"] and folder.notes[0].endswith("passed over 2 .json, 1 .npz, 1 .pkl.")


def test_a_link_to_its_own_parent_is_followed_once(tmp_path):
    touch(tmp_path / "truth", "a.png")
    (tmp_path / "truth" / "loop").symlink_to(tmp_path / "truth")
    assert list(pairing.truth_folder(tmp_path / "truth").files) == ["a"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
def test_a_name_that_no_table_can_hold_is_refused_before_any_work(tmp_path):
    os.makedirs(os.fsencode(tmp_path / "truth") + b"/\xff")
    with open(os.fsencode(tmp_path / "truth") + b"/\xff/a.png", "wb"), pytest.raises(DataError, match="not UTF-8"):
        pairing.truth_folder(tmp_path / "truth")


@pytest.mark.parametrize(
    ("names", "words"),
    [(["a.png", "a.tif"], "same name"), (["a.txt"], "no masks"), (["a.jpg"], "JPEG is lossy"), ([], "no such folder")],
)
def test_a_folder_that_is_none_of_masks_is_refused(tmp_path, names, words):
    touch(tmp_path / "truth", *names)
    with pytest.raises(DataError, match=words):
        pairing.truth_folder(tmp_path / "truth")


@pytest.mark.parametrize(
    ("pattern", "key", "identity"),
    [
        (None, "TCGA_CS_1_1/x", Identity("TCGA_CS_1_1/x")),
        (None, "TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_12", Identity("TCGA_CS_4941_19960909", "TCGA_CS_4941", 12)),
        (None, "TCGA-CS-4941-19960909", Identity("TCGA_CS_4941_19960909", "TCGA_CS_4941")),
        (r"(?P<patient>p\d+)/s(?P<slice>\d+)", "b/p7/s03", Identity("p7/s", "p7", 3)),
        (r"(?P<site>[A-Z]+)_(?P<patient>\d+)", "HT_0012", Identity("HT_0012", "0012", None, "HT")),
        (r"(?P<case>(?P<patient>p\d+)_\d)_(?P<slice>\d+)", "p7_2_03", Identity("p7_2", "p7", 3)),
    ],
)
def test_a_name_says_whose_it_is_by_its_pattern_or_not_at_all(pattern, key, identity):
    assert Identities(pattern=pattern).of(key) == identity


def test_a_table_says_whose_files_are(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("\ufeffFile;Patient;Slice;Site;Spacing\nin\\a_mask.png;P1;3.0;X;5x0.9x0.8\nb.png;P2;;NA;\n", encoding="utf-8")
    identities = Identities(table=path)
    assert identities.of("in/a") == Identity("P1", "P1", 3, "X", (5.0, 0.9, 0.8))
    assert identities.of("b") == Identity("b", "P2")
    identities.check(["in/a", "b"])
    with pytest.raises(DataError, match=r"says nothing of 1 of 1 files, such as z"):
        identities.check(["z"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "names no file"),
        ("file,patient,slice\na,P,x\n", "line 2: slice 'x'"),
        ("file,patient,spacing\na,P,5x1\n", "spacing '5x1'"),
        ("", "no rows"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, text, words):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        Identities(table=tmp_path / "t.csv")


def test_a_pattern_that_fits_nothing_names_an_example():
    with pytest.raises(DataError, match=r"says nothing of 2 of 2 files, such as BRATS_1"):
        Identities(pattern=r"(?P<patient>case\d)").check(["BRATS_1", "BRATS_2"])


def read_levels(*arrays, labels=(), probabilities=False, of_one=False):
    looked_at = [levels.numbers(np.asarray(array), of_one, Path("a.png")) for array in arrays]
    return levels.of_predictions(looked_at, Path("p"), labels, probabilities)


RAMP = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize(
    ("arrays", "options", "words"),
    [
        ([np.uint8([0, 1])], {}, "masks"),
        ([np.uint8([0, 255]), np.uint8([0])], {}, "masks"),
        ([np.float64([0, 1])], {}, "masks"),
        ([np.float32([0, 0.3, 1])], {}, "probabilities from 0 to 1"),
        ([RAMP, np.uint8([0, 1])], {}, "probabilities, 255 = 1"),
        ([np.uint8([0, 1])], {"probabilities": True}, "probabilities, 255 = 1"),
        ([np.uint16(RAMP) * 257], {}, "probabilities, 65535 = 1"),
        ([np.uint8([0, 9])], {"of_one": True}, "probabilities, 255 = 1"),
        ([np.uint8([0, 1, 2, 4])], {"labels": (1, 4)}, "masks, tumour where the label is 1 or 4"),
    ],
)
def test_numbers_mean_what_all_files_together_allow(arrays, options, words):
    assert str(read_levels(*arrays, **options)) == words


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ([np.uint8([0, 1]), np.uint8([0, 255])], "numbers 1, 255; say which are tumour"),
        ([np.uint8([0, 1, 2])], "--label 1"),
        ([RAMP // 2], "--probabilities"),  # a network that is never sure, or a map of 127 labels
        ([np.float32([0.5, 7.5])], "up to 7.5"),
        ([np.float32([-1, 1])], "from -1 to 1"),
        ([np.float32([np.nan, 1])], "nan"),
        ([np.float32([0.5, 0.7]), np.uint8([0, 255])], "up to 255"),
    ],
)
def test_what_two_readings_fit_is_refused(arrays, words):
    with pytest.raises(DataError, match=words):
        read_levels(*arrays)


def test_truth_that_holds_probabilities_is_refused():
    with pytest.raises(DataError, match="holds probabilities"):
        levels.of_truth([levels.numbers(np.float32([0, 0.5]), False, Path("a.nii"))], Path("t"), ())


@pytest.mark.parametrize("threshold", [0.5, 0.4, 0.3, 0.0])
def test_a_probability_stays_on_its_side_of_the_threshold(threshold):
    shares = np.concatenate([np.linspace(0, 1, 5001), threshold + np.array([-1e-9, 0, 1e-9])]).clip(0, 1).reshape(1, 1, -1)
    rounded = levels.Levels(1.0).probability(shares, threshold)
    assert np.array_equal(rounded > threshold * 255, shares > threshold)
    assert np.abs(rounded / 255 - shares).max() <= 1 / 255 + 1e-12


def test_a_split_is_read_however_it_is_written(tmp_path):
    ours = {"name": "mine", "unit": "patient", "train": ["A"], "validation": ["B"], "test": ["C", "D/7"]}
    (tmp_path / "s.json").write_text(json.dumps(ours))
    split = parts.read(tmp_path / "s.json")
    assert (split.name, split.scored) == ("mine", "test")
    of = {"A_1": Identity("A_1", "A"), "C": Identity("C"), "D_7": Identity("D", "D", 7), "D_8": Identity("D", "D", 8)}
    assert {key: split.of(key, who) for key, who in of.items()} == {"A_1": "train", "C": "test", "D_7": "test", "D_8": None}
    (tmp_path / "n.json").write_text(json.dumps([{"train": ["a"], "val": ["b"]}, {"train": ["b"], "val": ["a"]}]))
    assert parts.read(tmp_path / "n.json", 1).of("a", Identity("a")) == parts.read(tmp_path / "n.json", 1).scored == "validation"
    (tmp_path / "c.csv").write_text("file,part\nx/a_mask.png,Training\nb.png,test\n")
    assert parts.read(tmp_path / "c.csv").of("x/a", Identity("x/a")) == "train"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([{"train": ["a"], "val": ["b"]}] * 2, "--fold 0 to --fold 1"),
        ({"train": ["a"], "test": ["a"]}, "twice"),
        ({"train": ["a"]}, "test part is empty"),
        ({"train": ["a"], "test": ["b"], "calibration": ["c"]}, "'calibration' is none of"),
        ({"train": ["a"], "test": [1]}, "not a list of names"),
        ("a", "not a split"),
    ],
)
def test_a_bad_split_is_refused(tmp_path, content, words):
    (tmp_path / "s.json").write_text(json.dumps(content))
    with pytest.raises(SplitError, match=words):
        parts.read(tmp_path / "s.json")
