"""A cohort of your own from the command line: added, listed, checked, profiled, split, audited, trained on and forgotten."""

import csv
import json
import shlex
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from brain_tumor.data import opening, register, splits
from brain_tumor.data.cache import open_store
from brain_tumor.data.readers import lgg
from brain_tumor.errors import DataWarning

README = Path(__file__).resolve().parents[2] / "README.md"
TCGA = r"(?P<case>(?P<patient>TCGA_(?P<site>[A-Z]{2})_\w{4})_\d{8})_(?P<slice>\d+)\."


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def write_pictures(folder, patients=4, slices=4):
    """``images/P1_0.png``, 200 x 180 in one channel, ``masks/P1_0.png``, and ``pairs.csv``; every first slice is empty."""
    rng = np.random.default_rng(patients)
    rows = [("Image", "mask", "Patient", "slice")]
    for patient in range(1, patients + 1):
        for number in range(slices):
            image = rng.integers(0, 120, (180, 200), np.uint8)
            mask = np.zeros((180, 200), np.uint8)
            mask[40 + 9 * patient : 90 + 9 * patient, 60 : 60 + 15 * number] = 255
            name = f"P{patient}_{number}.png"
            save(folder / "images" / name, image + mask // 3)
            save(folder / "masks" / name, mask)
            rows.append((f"images\\{name}", f"masks/{name}", f"P{patient}", number))
    write_table(folder, rows)
    return folder


def write_table(folder, rows):
    with open(folder / "pairs.csv", "w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return folder / "pairs.csv"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("made"))


@pytest.fixture
def pictures(made, tmp_path, home):
    """A set of four patients, of this test alone."""
    return shutil.copytree(made, tmp_path / "set")


@pytest.fixture
def volumes(tmp_path, home):
    """Ten volumes of 16 bits in nnU-Net's layout, every second one stored mirrored."""
    rng = np.random.default_rng(1)
    for number in range(1, 11):
        head = rng.integers(0, 3000, (22, 20, 5)).astype(np.int16)
        labels = np.zeros(head.shape, np.uint8)
        labels[5:12, 6 : 8 + number, 1:4] = 1 + number % 2
        affine = np.diag([(-1) ** number, 1, 5, 1]).astype(float)
        for place, voxels in (("imagesTr/GBM_{:02d}_0000.nii.gz", head), ("labelsTr/GBM_{:02d}.nii.gz", labels)):
            path = tmp_path / place.format(number)
            path.parent.mkdir(exist_ok=True)
            nibabel.Nifti1Image(voxels, affine).to_filename(path)
    return tmp_path


def add_volumes(folder, *more):
    pattern = r"(?P<patient>GBM_\d+)"
    return ("data", "add", "ourgbm", "--images", folder / "imagesTr", "--masks", folder / "labelsTr", "--pattern", pattern, *more)


# -------------------------------------------------------------------------------------------------------------- what is taken


def test_pictures_of_four_patients_are_added_checked_profiled_and_audited(pictures, command):
    answer = command("data", "add", "ours", "--table", pictures / "pairs.csv")
    assert answer.code == 0 and "4 patients, 16 slices, of image" in answer.out and "data profile ours" in answer.out
    assert "whole: every slice is as listed" in command("data", "check", "ours").out
    profiled = command("data", "profile", "ours").out
    assert "4, of whom 0 without tumour" in profiled and "site" not in profiled and "missing" not in profiled
    assert "4 patients, 16 slices" in command("data", "list").out
    store = open_store(opening.open_cohort("ours"))
    assert store.images.shape == (16, 200, 200, 1) and store.slices.slice.tolist() == [0, 1, 2, 3] * 4
    assert not list(Path(opening.lgg_folder().parent / "cohorts").rglob("*.png")), "no pixel is copied"
    answer = command("audit", "fold-1-of-2", "--cohort", "ours")
    assert "known patients: 2" in answer.out and "patients on both sides" not in answer.out


def test_volumes_are_added_checked_profiled_and_audited(volumes, command):
    assert command(*add_volumes(volumes)).refuses("labelsTr/GBM_01.nii.gz", "the value 2", "--label 2")
    answer = command(*add_volumes(volumes, "--label", "1", "--label", "2"))
    assert "10 volumes beyond 8 bits" in answer.out and "0.5th to its 99.5th percentile" in answer.out
    assert "whole" in command("data", "check", "ourgbm").out
    assert "5 x 1 x 1" in command("data", "profile", "ourgbm").out
    answer = command("audit", "ratio-20", "--cohort", "ourgbm")
    assert answer.code == 0 and "no leak: 10 patients" in answer.out
    cohort = opening.open_cohort("ourgbm")
    assert {case.slice_numbers for case in cohort} == {(1, 2, 3, 4, 5)} and cohort.cases[0].spacing_mm == (5, 1, 1)
    assert [int(case.load()[1].sum()) for case in cohort] == [7 * min(14, 2 + n) * 3 for n in range(1, 11)]


def test_a_split_of_somebodys_own_names_is_audited(pictures, command, tmp_path):
    command("data", "add", "ours", "--table", pictures / "pairs.csv")
    split = tmp_path / "splits_final.json"
    split.write_text(json.dumps([{"train": ["P1", "P2_0", "p2_1"], "val": ["P2/2", "P3"]}]))
    answer = command("audit", split, "--cohort", "ours")
    assert answer.code == 1 and "LEAK" in answer.out and "1 patient on both sides" in answer.out
    split.write_text(json.dumps([{"train": ["P1"], "val": ["P2_9"]}]))
    assert command("audit", split, "--cohort", "ours").refuses("P2_9", "slices 0 to 3", "'ours'")


def test_pictures_are_exported_and_read_again(pictures, command, tmp_path):
    command("data", "add", "ours", "--table", pictures / "pairs.csv")
    assert "each with its mask" in command("data", "export", "ours", "--png", tmp_path / "out").out
    pattern = r"(?P<patient>P\d)_(?P<slice>\d)\."
    command("data", "add", "again", "--images", tmp_path / "out", "--masks", tmp_path / "out", "--pattern", pattern)
    ours, again = (open_store(opening.open_cohort(name)) for name in ("ours", "again"))
    assert ours.data_hash == again.data_hash


@pytest.mark.parametrize("way", ["table", "folders"])
def test_lgg_described_as_ones_own_is_the_same_cohort(phantom_cohort, home, tmp_path, command, way):
    """The same arrays, hash, tables and splits as the LGG reader's."""
    if way == "table":
        rows = [("image", "mask", "patient", "slice", "case", "site")]
        for case in phantom_cohort:
            pairs = zip(case.slice_numbers, case.sources[::2], case.sources[1::2], strict=True)
            name = case.patient.replace("_", "-")
            rows += [(image, mask, name, number, case.case_id, case.site) for number, image, mask in pairs]
        source = ("--table", write_table(tmp_path, rows[:1] + rows[:0:-1]))
    else:
        source = ("--images", phantom_cohort.root, "--masks", phantom_cohort.root, "--pattern", TCGA)
    options = ("--sequences", "pre,FLAIR,post", "--never-test", "CS")
    assert command("data", "add", "ours", *source, *options).code == 0
    ours, theirs = open_store(opening.open_cohort("ours")), open_store(lgg.read_cohort(phantom_cohort.root))
    for name in ("images.npy", "masks.npy", "slices.csv"):
        assert (ours.folder / name).read_bytes() == (theirs.folder / name).read_bytes()
    assert ours.data_hash == theirs.data_hash and ours.cohort.reference == theirs.cohort.reference
    cases = theirs.cases.assign(never_tested=theirs.cases.site == "CS")
    for name in ("fold-1-of-3", "ratio-40", "site-HT", "clean-1-of-2"):
        split = splits.named(name, cases, theirs.slices, 0.2, 3)
        assert splits.named(name, ours.cases, ours.slices, 0.2, 3).hash == split.hash


def test_a_site_that_is_never_tested_must_be_there(pictures, command):
    words = ("--never-test EZ", "no case is of that site; there are none")
    assert command("data", "add", "ours", "--table", pictures / "pairs.csv", "--never-test", "EZ").refuses(*words)


def test_sizes_that_differ_need_one_word(pictures, command):
    path = pictures / "images" / "P1_0.png"
    for place in ("images", "masks"):
        save(pictures / place / "P1_0.png", np.full((190, 150), 7 * (place == "images"), np.uint8))
    table = ("--table", pictures / "pairs.csv")
    assert command("data", "add", "ours", *table).refuses(
        path, "150 x 190", "200 x 180", "--fit pad", "--fit resample --size 200"
    )
    assert "2 sizes, brought to 200 x 190" in command("data", "add", "padded", *table, "--fit", "pad").out
    assert command("data", "add", "small", *table, "--fit", "resample", "--size", "64").code == 0
    assert open_store(opening.open_cohort("padded")).size == 200
    assert open_store(opening.open_cohort("small")).size == 64
    assert command("data", "check", "small").code == 0


@pytest.mark.parametrize("options", [("--fit", "resample"), ("--size", "64"), ("--fit", "pad", "--size", "64")])
def test_a_size_is_for_resampling(pictures, command, options):
    assert command("data", "add", "ours", "--table", pictures / "pairs.csv", *options).refuses("--fit", "--size")


# -------------------------------------------------------------------------------------------------------------- who is unknown


def without_patients(pictures):
    rows = [line.split(",") for line in (pictures / "pairs.csv").read_text().splitlines()]
    return write_table(pictures, [row[:2] for row in rows])


def test_without_patients_nothing_is_split(pictures, command):
    with pytest.warns(DataWarning, match="cohort ours: nobody says whose"):
        answer = command("data", "add", "ours", "--table", without_patients(pictures))
    assert answer.code == 0 and "16 cases of patients unknown" in answer.out
    for name in ("fold-1-of-2", "ratio-20", "source-002", "slice-fold-1-of-4"):
        with pytest.warns(DataWarning, match="cohort ours: nobody says whose"):
            answer = command("audit", name, "--cohort", "ours")
        assert answer.refuses("nobody says whose 16 cases are", "--each-image-a-patient")
    with pytest.warns(DataWarning, match="cohort ours: nobody says whose"):
        assert "16 (patients unknown)" in command("data", "profile", "ours").out


def test_that_each_image_is_a_patient_is_said_wherever_the_cohort_is_opened(pictures, command):
    table = ("--table", without_patients(pictures), "--each-image-a-patient")
    doors = [("data", "add", "ours", *table), ("data", "profile", "ours"), ("audit", "fold-1-of-2", "--cohort", "ours")]
    for words in doors:
        with pytest.warns(DataWarning, match="each image counts as a patient of its own .* scores are too good"):
            assert command(*words).code == 0


def test_that_each_image_is_a_patient_is_refused_where_the_table_knows(pictures, command):
    words = ("--each-image-a-patient", "says whose its images are")
    assert command("data", "add", "ours", "--table", pictures / "pairs.csv", "--each-image-a-patient").refuses(*words)


@pytest.mark.parametrize(("name", "words"), [("site-A", "names no sites"), ("by site", "names no sites")])
def test_a_split_by_site_needs_sites(pictures, command, name, words):
    command("data", "add", "ours", "--table", pictures / "pairs.csv")
    store = open_store(opening.open_cohort("ours"))
    with pytest.raises(splits.SplitError, match=words):
        if name == "by site":
            splits.fold_names("site", None, store.cases, store.slices)
        splits.named(name, store.cases, store.slices)
    assert not store.cases.never_tested.any()


def test_a_patients_exams_stay_together_and_scores_count_them_apart(pictures, command):
    rows = [("image", "mask", "patient", "case", "slice")]
    for number in range(4):
        rows += [
            (f"images/P{n}_{number}.png", f"masks/P{n}_{number}.png", ("A", "a", "B", "C")[n - 1], n % 2, number)
            for n in range(1, 5)
        ]
    with pytest.warns(DataWarning, match="cohort ours: 1 further exam of patients who have several counts as a case of its own"):
        answer = command("data", "add", "ours", "--table", write_table(pictures, rows))
    assert "3 patients, 4 cases, 16 slices" in answer.out and "'a' to 'A'" in answer.out
    with pytest.warns(DataWarning, match="further exam"):
        store = open_store(opening.open_cohort("ours"))
    assert store.cases.patient.to_dict() == {"A_0": "A", "A_1": "A", "B_1": "B", "C_0": "C"}
    for split in (splits.fold(store.cases, number, 3) for number in (1, 2, 3)):
        assert ("A_0" in split.test) == ("A_1" in split.test)


# -------------------------------------------------------------------------------------------------------------- what is refused


def cells(row, column, text):
    def change(folder, rows):
        rows[row][column] = text

    return change


def both(*changes):
    def change(folder, rows):
        for each in changes:
            each(folder, rows)

    return change


def column(name, text):
    def change(folder, rows):
        rows[0].append(name)
        for row in rows[1:]:
            row.append(text)

    return change


def picture(place, pixels):
    return lambda folder, rows: save(folder / place, pixels)


def copied(source, target):
    return lambda folder, rows: shutil.copy(folder / source, folder / target)


STRANGE = np.where(np.arange(180 * 200).reshape(180, 200) % 7, 0, 3).astype(np.uint8)
BAD_TABLES = [
    (cells(0, 1, "outline"), ["no column 'mask'", "Image, outline, Patient, slice"]),
    (cells(0, 0, "file"), ["no column 'image'"]),
    (cells(0, 3, "IMAGE"), ["column 'Image' is there twice"]),
    (lambda folder, rows: rows.__delitem__(slice(1, None)), ["no line below the header"]),
    (lambda folder, rows: rows.clear(), ["no column 'image', columns none"]),
    (column("label", "yes"), ["a column 'mask' and a column 'label'"]),
    (cells(3, 0, "images/gone.png"), ["line 4", "gone.png: no such file", "the table's folder"]),
    (cells(3, 1, "masks/gone.png"), ["line 4: mask", "gone.png: no such file"]),
    (cells(3, 1, ""), ["line 4: mask is blank", "a mask of zeros"]),
    (cells(3, 2, "n/a"), ["line 4: patient is blank"]),
    (cells(3, 3, "-"), ["line 4: slice is blank"]),
    (cells(3, 3, "2a"), ["line 4: slice '2a', expected a whole number"]),
    (cells(3, 3, "1"), ["slice 1 of the case 'P1' is there twice", "line 3"]),
    (
        cells(3, 0, "images/P1_0.png"),
        ["line 4", "P1_0.png is there twice", "line 2", "with the mask P1_0.png and now with P1_2.png"],
    ),
    (cells(6, 0, "images/P1_0.png"), ["line 7", "is there twice", "of patient 'P1' and now of 'P2'"]),
    (copied("images/P1_1.png", "images/P3_1.png"), ["P3_1.png: the same image as", "of patient 'P1' and of 'P3'"]),
    (cells(3, 1, "masks/P1_3.png"), ["P1_3.png: mask of two images, P1_2.png and P1_3.png"]),
    (picture("masks/P1_2.png", np.zeros((90, 200), np.uint8)), ["P1_2.png: mask of 200 x 90 pixels for an image of 200 x 180"]),
    (picture("masks/P1_2.png", STRANGE), ["P1_2.png: mask holds the value 3", "--label 3"]),
    (picture("masks/P1_2.png", STRANGE // 3), ["a mask of 0 and 1, but", "0 and 255"]),
    (picture("images/P1_2.png", np.dstack([STRANGE, STRANGE * 2, STRANGE])), ["P1_2.png: 3 channels, the cohort has 1 (image)"]),
    (cells(3, 0, "pairs.csv"), ["line 4: image pairs.csv: neither a picture"]),
    (both(copied("masks/P1_2.png", "m.jpg"), cells(3, 1, "m.jpg")), ["line 4: the mask m.jpg is .jpg, lossy"]),
    (lambda folder, rows: (folder / "images" / "P1_2.png").write_bytes(b"\x89PNG"), ["P1_2.png"]),
    (column("spacing", "0.9 mm"), ["line 2: spacing '0.9 mm', expected mm"]),
    (both(column("site", "HT"), cells(3, 4, "CS")), ["line 4: another patient, site or spacing", "'P1'"]),
    (lambda folder, rows: rows[3].append("more"), ["line 4: more cells than columns"]),
]


@pytest.mark.parametrize(("change", "words"), BAD_TABLES, ids=[words[0] for _, words in BAD_TABLES])
def test_a_bad_table_is_refused_in_one_line(pictures, command, change, words):
    with open(pictures / "pairs.csv", newline="") as stream:
        rows = list(csv.reader(stream))
    change(pictures, rows)
    assert command("data", "add", "ours", "--table", write_table(pictures, rows)).refuses(pictures, *words)
    assert register.names() == ()


def test_folders_with_files_that_pair_with_none_name_them(pictures, command):
    (pictures / "masks" / "P1_0.png").unlink()
    (pictures / "images" / "P2_1.png").unlink()
    folders = ("--images", pictures / "images", "--masks", pictures / "masks")
    words = ("1 image without mask", pictures / "images" / "P1_0.png", "1 mask without image", pictures / "masks" / "P2_1.png")
    assert command("data", "add", "ours", *folders).refuses(*words)
    assert command("data", "add", "ours", "--images", pictures / "images", "--masks", pictures / "images").refuses(
        "no file", "mask"
    )


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", ["not a regular expression"]),
        (r"P(\d)", ["(?P<patient>...) is missing"]),
        (r"BRATS(?P<patient>\d)", ["tells no patient of 'P1_0.png'", r"'P(?P<patient>\d+)'"]),
    ],
)
def test_a_pattern_that_fits_not_each_image_is_refused(pictures, command, pattern, words):
    folders = ("--images", pictures / "images", "--masks", pictures / "masks")
    assert command("data", "add", "ours", *folders, "--pattern", pattern).refuses(*words)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lgg", "means something else"), ("Phantom", "means something else"), ("con", "means something else"),
        ("our-set", "small letters and digits"), ("../ours", "small letters and digits"), ("1st", "small letters and digits"),
        ("o" * 40, "small letters and digits"), ("Ours", "small letters and digits"),
    ],
)  # fmt: skip
def test_names_that_would_collide_or_break_files_are_refused(pictures, command, name, words):
    assert command("data", "add", name, "--table", pictures / "pairs.csv").refuses(f"'{name}'", words)


@pytest.mark.parametrize("options", [(), ("--images", "x"), ("--table", "x", "--images", "y", "--masks", "z")])
def test_one_way_to_say_what_belongs_together_is_needed(home, command, options):
    assert command("data", "add", "ours", *options).refuses("--table FILE", "--images DIR --masks DIR")


# ----------------------------------------------------------------------------------------------------------- what changes later


def test_a_name_is_taken_once_and_forgotten_with_its_caches(pictures, command, home):
    table = ("--table", pictures / "pairs.csv")
    command("data", "add", "ours", *table)
    command("data", "profile", "ours")
    assert command("data", "add", "ours", *table).refuses("'ours' already", "brain-tumor data remove ours")
    assert list((home / "data" / "cache").glob("ours-*"))
    assert "forgotten" in command("data", "remove", "ours").out
    assert not list((home / "data" / "cache").glob("ours-*")) and (pictures / "images" / "P1_0.png").is_file()
    assert command("data", "remove", "ours").refuses("no cohort 'ours'")
    assert command("data", "profile", "ours").refuses(
        "unknown cohort 'ours', expected lgg, phantom or phantombrats", "data add ours"
    )


def test_a_source_that_moved_is_refused_with_what_to_do(pictures, command):
    command("data", "add", "ours", "--table", pictures / "pairs.csv")
    pictures.rename(pictures.with_name("moved"))
    words = (pictures / "images" / "P1_0.png", "no such file", "'ours'", "bring it back", "data remove ours")
    assert command("data", "profile", "ours").refuses(*words)
    assert "cannot be opened" in command("data", "list").out


def test_a_picture_that_changed_is_noticed_by_check_and_cache(pictures, command):
    command("data", "add", "ours", "--table", pictures / "pairs.csv")
    before = open_store(opening.open_cohort("ours")).data_hash
    for first, second in (("P1_1", "P1_2"), ("P2_3", "P2_3")):
        one, other = (pictures / "masks" / f"{name}.png" for name in (first, second))
        one.rename(pictures / "aside.png")
        (other if other.exists() else pictures / "aside.png").rename(one)
        if first != second:
            (pictures / "aside.png").rename(other)
    save(pictures / "images" / "P2_3.png", np.zeros((180, 200), np.uint8))
    answer = command("data", "check", "ours")
    assert answer.code == 1 and "13 of 16" in answer.out
    assert all(f"{name}.png: pixels differ" in answer.out for name in ("masks/P1_1", "masks/P1_2", "images/P2_3"))
    assert open_store(opening.open_cohort("ours")).data_hash != before


def test_a_damaged_description_says_what_to_do(pictures, command, home):
    command("data", "add", "ours", "--table", pictures / "pairs.csv")
    (home / "data" / "cohorts" / "ours" / "pairs.csv").write_text("image\n1\n")
    assert command("data", "profile", "ours").refuses("cohorts/ours", "damaged", "data remove ours")


# -------------------------------------------------------------------------------------------------------------------- labels


def write_labels(pictures, labels):
    names = [f"images/P{patient}_{number}.png" for patient in range(1, 5) for number in range(4)]
    rows = [(name, labels[place % len(labels)], name[7:9]) for place, name in enumerate(names)]
    return write_table(pictures, [("image", "label", "patient"), *rows])


@pytest.mark.parametrize(
    ("labels", "options", "note"),
    [
        (("no", "yes"), (), "tumour: yes; no tumour: no"),
        (("tumor", "No_Tumor"), (), "tumour: tumor; no tumour: No_Tumor"),
        (("0", "1"), (), "tumour: 1; no tumour: 0"),
        (("a", "b"), ("--positive", "b"), "tumour: b; no tumour: a"),
        (
            ("glioma", "healthy", "meningioma"),
            ("--positive", "Meningioma,glioma"),
            "tumour: glioma, meningioma; no tumour: healthy",
        ),
    ],
)
def test_labels_of_two_classes_are_tumour_or_none(pictures, command, labels, options, note):
    assert note in command("data", "add", "ours", "--table", write_labels(pictures, labels), *options).out
    assert "slices have labels" in command("data", "profile", "ours").out
    store = open_store(opening.open_cohort("ours"))
    assert (store.slices.tumour_px > 0).sum() == sum(labels[n % len(labels)] in note.split(";")[0] for n in range(16))
    assert not store.cohort.outlined


@pytest.mark.parametrize(
    ("labels", "options", "words"),
    [
        (("a", "b"), (), ["a 8, b 8", "--positive NAME"]),
        (("no", "yes", "maybe"), (), ["maybe 5, no 6, yes 5", "--positive NAME"]),
        (("yes",), (), ["yes 16", "--positive"]),
        (("no", "none"), (), ["--positive"]),
        (("no", "yes"), ("--positive", "tumour"), ["--positive tumour: no such label; there are no 8, yes 8"]),
        (("no", "yes"), ("--positive", "yes,no"), ["--positive"]),
        (("no", "yes"), ("--label", "1"), ["--label 1: there are no masks"]),
    ],
)
def test_labels_that_do_not_say_what_is_tumour_are_refused(pictures, command, labels, options, words):
    assert command("data", "add", "ours", "--table", write_labels(pictures, labels), *options).refuses(*words)


# ------------------------------------------------------------------------------------------------------------------ training

SMALL = ("--epochs", 1, "--batch-size", 4, "--precision", "float32", "--size", 16)
NETWORK = ("--model", "resunet", "--model-argument", "filters=2,4")


def test_ones_own_lgg_trains_to_the_same_bits(phantom_cohort, home, command):
    folders = ("--images", phantom_cohort.root, "--masks", phantom_cohort.root, "--pattern", TCGA)
    assert command("data", "add", "ours", *folders, "--sequences", "pre,flair,post").code == 0
    opening.lgg_folder().parent.mkdir(exist_ok=True)
    opening.lgg_folder().symlink_to(phantom_cohort.root)
    for name in ("lgg", "ours"):
        answer = command("train", "classification", "--cohort", name, "--split", "site-HT", "--model", "plain", *SMALL)
        assert answer.code == 0, answer.err
    theirs, ours = sorted((home / "runs").iterdir(), key=lambda path: path.name.startswith("ours"))
    assert ours.name == theirs.name.replace("phantom", "ours")
    assert json.loads((ours / "run.json").read_text())["recipe"]["cohort"] == "ours"
    assert (ours / "split.json").read_text() == (theirs / "split.json").read_text()
    assert weights_of(ours) == weights_of(theirs)


def weights_of(run):
    from brain_tumor.inference.predictor import Predictor

    return [array.tobytes() for array in Predictor.load(run).model.get_weights()]


def test_labels_train_the_classifier_and_nothing_else(pictures, command):
    command("data", "add", "ours", "--table", write_labels(pictures, ("no", "yes")))
    of = ("--cohort", "ours", "--split", "fold-1-of-2", *SMALL)
    assert command("train", "segmentation", *of, *NETWORK).refuses(
        "the cohort ours", "has no masks", "brain-tumor train classification"
    )
    assert command("crossval", "segmentation", "--cohort", "ours", "--folds", "2").refuses("has no masks")
    assert command("train", "classification", *of, "--model", "plain").code == 0
    answer = command("evaluate", "ours-fold-1-of-2-plain")
    assert answer.code == 0 and "accuracy" in answer.out and "tumour area" not in answer.out


def test_boundaries_are_in_mm_where_each_case_has_a_spacing(volumes, pictures, command):
    from brain_tumor.experiments import segmentation

    command(*add_volumes(volumes, "--label", "1"))
    command("data", "add", "ours", "--table", pictures / "pairs.csv")
    spacings, unit = segmentation.spacings(opening.open_cohort("ourgbm"))
    assert unit == "mm" and set(spacings.values()) == {(5, 1, 1)}
    assert segmentation.spacings(opening.open_cohort("ours")) == (dict.fromkeys(["P1", "P2", "P3", "P4"], (1, 1, 1)), "px")


def test_a_cohort_that_is_not_here_is_refused_with_those_that_are(pictures, command):
    command("data", "add", "ours", "--table", pictures / "pairs.csv")
    words = ("unknown cohort 'theirs'", "lgg, phantom, phantombrats or ours", "data add theirs")
    assert command("train", "segmentation", "--cohort", "theirs").refuses(*words)
    assert command("audit", "ratio-20", "--cohort", "theirs").refuses(*words)
    assert command("train", "segmentation", "--cohort", "ours").refuses("source-004", "fold-1-of-5 or ratio-20")


def test_the_five_commands_of_the_readme(made, tmp_path, home, command, monkeypatch):
    """From a folder to a score, on a tree as public sets have it; then every other command takes the cohort too."""
    shutil.copytree(made, tmp_path / "set")
    monkeypatch.chdir(tmp_path)
    section = README.read_text(encoding="utf-8").partition("## From your own folder")[2].partition("\n## ")[0]
    lines = [shlex.split(line, comments=True) for line in section.splitlines() if line.startswith("    brain-tumor ")]
    assert [line[1] for line in lines] == ["data", "data", "audit", "train", "evaluate"]
    for line in lines:
        words = [word.replace("fold-1-of-5", "fold-1-of-2") for word in line[1:]]
        answer = command(*words, *((*NETWORK, *SMALL) if words[0] == "train" else ()))
        assert answer.code == 0, answer.err
    assert "patient mean" in answer.out
    run = next((home / "runs").iterdir()).name
    assert run.startswith("ourset-fold-1-of-2-")
    answer = command("predict", run, "P1", "--out", "overlay.png", "--mask", "mask.nii.gz")
    assert "of 4 slices" in answer.out and nibabel.load("mask.nii.gz").shape == (200, 180, 4)
    monkeypatch.setenv("BRAIN_TUMOR_REPORTS", str(tmp_path / "reports"))
    assert command("report", run).code == 0 and (tmp_path / "reports" / "local" / f"{run}.html").is_file()
