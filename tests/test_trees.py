"""Files as people have them, at every door: what systems leave among data, links, capitals, changed files, strange names.

``DOORS`` read a tree in every way that the package does; the variants are what may become of an orderly tree on a person's disk.
Each door must read the same of each. A new door is one more function here, and cannot forget a rule.
"""

import csv
import hashlib
import io
import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brain_tumor.data import manifest, opening, patients
from brain_tumor.data.cache import open_store
from brain_tumor.data.fetch import export_png, get_lgg
from brain_tumor.data.profile import profile
from brain_tumor.data.readers import lgg, pair_folders
from brain_tumor.data.readers.folders import open_pictures, read_folders
from brain_tumor.inference import intake
from brain_tumor.leakage import manifests

PACKAGE = Path(__file__).resolve().parent.parent / "brain_tumor"
CS, HT = "TCGA_CS_0001_19960909", "TCGA_HT_0002_19981126"


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


# --------------------------------------------------------------------------------- doors: (what was read, notes) of a folder


def lgg_tree(root):
    cohort = lgg.read_cohort(root)
    return [(case.case_id, case.slice_numbers, [digest(path) for path in case.sources], case.clinical) for case in cohort], cohort


def check(root):
    cohort = opening.open_folder(root)
    listed = {
        (case.case_id, number): tuple(hashlib.sha256(pixels.tobytes()).hexdigest() for pixels in (image, label * 255))
        for case in lgg.read_cohort(ORDERLY["lgg"])
        for number, image, label in zip(case.slice_numbers, *case.load(), strict=True)
    }
    path = opening.lgg_folder().parent / "manifest.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["patient", "slice", "image_sha256", "mask_sha256"])
        rows.writerows([*key, *hashes] for key, hashes in listed.items())
    return manifest.check_manifest(cohort, path), cohort


def profile_(root):
    cohort = opening.open_folder(root)
    return profile(open_store(cohort)), cohort


def get(root):
    cohort = lgg.read_cohort(root)
    get_lgg(root)
    copy = lgg.read_cohort(opening.lgg_folder())
    assert not copy.notes, "what is no data is not copied"
    return lgg_tree(opening.lgg_folder())[0], cohort


def export(root):
    cohort = lgg.read_cohort(root)
    folder = export_png(cohort, opening.lgg_folder().parent / "png")
    return {path.relative_to(folder).as_posix(): digest(path) for path in folder.rglob("*.png")}, cohort


def predict(root):
    folder = next(path for path in sorted(root.iterdir()) if path.name.upper() == CS)
    exam = intake.exam(folder, by_exam=True)
    return (exam.slice_numbers.tolist(), exam.images.tobytes()), None


def own(root):
    pattern = r"(?i)(?P<case>(?P<patient>tcga_[a-z]{2}_\d{4})_\d{8})_(?P<slice>\d+)[^/]*$"
    table = pair_folders.read_folders(root, root, pattern)
    return [(patients.key(pair.case), pair.slice, *map(digest, pair.sources)) for pair in table.pairs], table


def classes(root):
    folders = read_folders([root])
    return list(zip(map(digest, folders.paths), folders.labels.tolist(), folders.parts.tolist(), strict=True)), folders


def audit(root):
    split = manifests.read(str(root))
    return sorted(zip([digest(picture.source) for picture in split.pictures], split.folds[""], strict=True)), split


DOORS = {
    "lgg": [lgg_tree, check, profile_, get, export, predict, own],
    "parts": [classes, audit],
}
LAYOUT_OF = {door: layout for layout, doors in DOORS.items() for door in doors}
ORDERLY, EXPECTED = {}, {}


@pytest.fixture(scope="module", autouse=True)
def orderly(tmp_path_factory, request):
    """An LGG tree of two patients and a set of two classes in two parts."""
    place = tmp_path_factory.mktemp("orderly")
    rng = np.random.default_rng(0)

    def write(path, shape):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(path)

    for case_id, slices in ((CS, 3), (HT, 2)):
        for number in range(1, slices + 1):
            write(place / "lgg" / case_id / f"{case_id}_{number}.tif", (16, 16, 3))
            mask = Image.fromarray(255 * rng.integers(0, 2, (16, 16), np.uint8))
            mask.save(place / "lgg" / case_id / f"{case_id}_{number}_mask.tif")
    (place / "lgg" / "data.csv").write_text("Patient,gender\nTCGA_CS_0001,2\n")
    for part in ("Training", "Testing"):
        for name in ("no", "yes"):
            write(place / "parts" / part / name / f"{part}-{name}.png", (16, 16))
    ORDERLY.update({"lgg": place / "lgg", "parts": place / "parts"})


# ------------------------------------------------------------------------------- variants: what becomes of a tree, and the note


def folders_of(root):
    return [Path(place) for place, _, _ in os.walk(root)]


def files_of(root):
    return sorted(path for path in root.rglob("*.*") if path.is_file())


def apple_doubles(root):
    for path in files_of(root):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7")
    return root, r"files passed over that are no data \(\._\*\)"


def apple_archive(root):
    shutil.copytree(root, root / "__MACOSX")
    for folder in folders_of(root):
        (folder / ".DS_Store").write_bytes(b"")
    return root, r"1 folder passed over that are no data \(\.DS_Store, __MACOSX/\)"


def windows(root):
    for folder in folders_of(root):
        (folder / "Thumbs.db").write_bytes(b"")
        (folder / "DESKTOP.INI").write_bytes(b"")
    return root, r"no data \(Thumbs\.db, desktop\.ini\)"


def disks(root):
    for path in files_of(root):
        for name in ("lost+found", "@eaDir"):
            (path.parent / name).mkdir(exist_ok=True)
            shutil.copy(path, path.parent / name / path.name)
    return root, r"folders passed over that are no data \(@eaDir/, lost\+found/\)"


def hidden_text(root):
    (root / ".gitattributes").write_text("")
    for folder in folders_of(root):
        (folder / ".~lock.data.csv#").write_text("")
    return root, r"files passed over that are no data \(\.\*\)"


def link_to_its_parent(root):
    for folder in folders_of(root)[1:]:
        (folder / "up").symlink_to("..")
    return root, r"not read twice .* -> \.\."


def link_above_the_root(root):
    for folder in folders_of(root)[1:]:
        (folder / "far").symlink_to(root.parent)
    return root, r"not read twice"


def link_to_itself(root):
    for folder in {path.parent for path in files_of(root)} - {root}:
        (folder / "self").symlink_to("self")
    return root, r"links? to nowhere, passed over: .*self -> self"


def second_link_to_each_folder(root):
    for folder in folders_of(root)[2:]:
        folder.with_name(f"{folder.name}-link").symlink_to(folder.name)
    return root, r"not read twice .*-link -> "


def every_file_a_link(root):
    store = shutil.copytree(root, root.parent / "store")
    for path in files_of(root):
        path.unlink()
        path.symlink_to(store / path.relative_to(root))
    return root, None


def link_below_the_root(root):
    place = root.rename(root.parent / "elsewhere")
    root.mkdir()
    (root / "data").symlink_to(place)
    return root, None


def root_is_a_link(root):
    root.rename(root.parent / "elsewhere")
    root.symlink_to("elsewhere")
    return root, None


def endings(*ends):
    def change(root):
        for number, path in enumerate(files_of(root)):
            if path.suffix != ".csv":
                path.rename(path.with_suffix(ends[number % len(ends)]))
        return root, None

    change.__name__ = f"endings {' '.join(ends)}"
    return change


def small_letters(root):
    for path in sorted(root.rglob("*"), key=lambda path: -len(path.parts)):
        path.rename(path.with_name(path.name.lower()))
    return root, None


def capitals(root):
    for path in files_of(root):
        path.rename(path.with_name(path.name.upper()))
    return root, None


EVERYWHERE = [
    apple_doubles, apple_archive, windows, disks, hidden_text, link_to_its_parent, link_above_the_root, link_to_itself,
    second_link_to_each_folder, every_file_a_link, link_below_the_root, root_is_a_link,
]  # fmt: skip
OF_LGG = [endings(".TIF"), endings(".tiff"), endings(".tif", ".Tif", ".TIFF"), small_letters, capitals]
OF_PARTS = [endings(".PNG", ".Png"), capitals]
NOT_HERE = {(predict, link_below_the_root)}  # it is given the patient's folder itself
# A part is named by its folder, so the audit's parts are spelt as people spell them; links between parts are leaks to be seen.
CASES = [
    (door, variant)
    for door, layout in LAYOUT_OF.items()
    for variant in EVERYWHERE + (OF_LGG if layout == "lgg" else OF_PARTS)
    if (door, variant) not in NOT_HERE
]


@pytest.mark.parametrize(("door", "variant"), CASES, ids=lambda function: function.__name__)
def test_every_door_reads_the_same_of_every_variant(door, variant, tmp_path, monkeypatch):
    orderly = ORDERLY[LAYOUT_OF[door]]
    if door not in EXPECTED:
        monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path / "before"))
        EXPECTED[door], _ = door(orderly)
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path / "after"))
    root, note = variant(shutil.copytree(orderly, tmp_path / "mine" / "set"))
    content, source = door(root)
    assert content == EXPECTED[door]
    if (door, variant) == (audit, hidden_text):
        note = None  # hidden pictures count there: those who train on the tree read them
    if source is not None:
        lines = "\n".join(line for line in source.notes if "tell no patient" not in line)  # which is true of these names
        assert re.search(note, lines) if note else not lines, lines


# --------------------------------------------------------------------------------------------------- files that change places


def swap(first, second):
    """``mv`` of two files of equal size and time."""
    aside = first.with_name("aside")
    first.rename(aside)
    second.rename(first)
    aside.rename(second)


def rewrite(first, second):
    """Other bytes into the same files, with the old time put back, as ``cp -p`` and some editors do."""
    contents = first.read_bytes(), second.read_bytes()
    times = first.stat().st_mtime_ns
    for path, content in zip((second, first), contents, strict=True):
        path.write_bytes(content)
        os.utime(path, ns=(times, times))


def replace(first, second):
    """New files in the place of the old ones, with their size and time."""
    contents = first.read_bytes(), second.read_bytes()
    times = first.stat().st_mtime_ns
    for path, content in zip((second, first), contents, strict=True):
        path.unlink()
        path.write_bytes(content)
        os.utime(path, ns=(times, times))


@pytest.fixture
def alike(tmp_path, home):
    """Two trees in which all files have one size and one time, and a pair of each that may change places."""
    rng = np.random.default_rng(1)
    names = [f"lgg/{CS}/{CS}_{number}{end}.tif" for number in (1, 2) for end in ("", "_mask")]
    names += [f"set/{name}/{number}.bmp" for name in ("no", "yes") for number in (1, 2)]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = "_mask" in name
        pixels = rng.integers(0, 2 if mask else 256, (16, 16, 3) if "lgg" in name and not mask else (16, 16), np.uint8)
        Image.fromarray(pixels * 255 if mask else pixels).save(path)
        os.utime(path, (1e9, 1e9))
    pairs = {"lgg": [f"{CS}/{CS}_1_mask.tif", f"{CS}/{CS}_2_mask.tif"], "set": ["no/1.bmp", "yes/1.bmp"]}
    for tree, pair in pairs.items():
        first, second = (tmp_path / tree / name for name in pair)
        assert first.stat().st_size == second.stat().st_size and first.read_bytes() != second.read_bytes()
    return {tree: (tmp_path / tree, *(tmp_path / tree / name for name in pair)) for tree, pair in pairs.items()}


@pytest.mark.parametrize("change", [swap, rewrite, replace])
def test_masks_that_change_places_are_noticed_by_cache_copy_and_export(alike, tmp_path, change):
    root, first, second = alike["lgg"]

    def everything():
        store = open_store(lgg.read_cohort(root))
        copy = open_store(lgg.read_cohort(get_lgg(root)))
        png = export_png(lgg.read_cohort(root), tmp_path / "png") / CS / f"{CS}_1_mask.png"
        assert copy.data_hash == store.data_hash
        assert np.array_equal(np.asarray(Image.open(png)), np.asarray(Image.open(first)))
        return store.data_hash, store.folder

    before = everything()
    assert everything() == before, "an unchanged tree is found again"
    change(first, second)
    assert everything()[0] != before[0]
    change(first, second)
    assert everything()[0] == before[0], "the same data has the same hash again"


@pytest.mark.parametrize("change", [swap, rewrite, replace])
def test_pictures_that_change_classes_are_noticed(alike, change):
    root, first, second = alike["set"]
    before = open_pictures(read_folders([root]), 16).data_hash
    assert open_pictures(read_folders([root]), 16).data_hash == before
    change(first, second)
    assert open_pictures(read_folders([root]), 16).data_hash != before


def test_litter_in_a_copy_and_in_an_export_is_no_reason_to_refuse_or_to_write_again(home, tmp_path):
    cohort = lgg.read_cohort(ORDERLY["lgg"])
    places = {get_lgg(ORDERLY["lgg"]) / CS, export_png(cohort, tmp_path / "png") / CS}
    for place in places:
        (place / ".DS_Store").write_bytes(b"")
    identities = {place.stat().st_ino for place in places}
    get_lgg(ORDERLY["lgg"]), export_png(cohort, tmp_path / "png")
    assert {place.stat().st_ino for place in places} == identities


def test_a_slice_that_left_the_source_leaves_the_copy(home, tmp_path):
    root = shutil.copytree(ORDERLY["lgg"], tmp_path / "mine")
    get_lgg(root)
    for end in ("", "_mask"):
        (root / CS / f"{CS}_3{end}.tif").unlink()
    assert lgg.read_cohort(get_lgg(root))[CS].slice_numbers == (1, 2)


# ------------------------------------------------------------------------------------------------ names that are not UTF-8


@pytest.fixture(params=[("folder \udcff", "utf-8"), ("folder caf\xe9 \udcff", "ascii"), ("folder [bold] \u8133", "utf-8")])
def strange(request, tmp_path):
    """Folders whose name is no UTF-8, is not ASCII either, or looks like markup; and the encoding of a strict terminal."""
    name, encoding = request.param
    folder = tmp_path / name
    try:
        folder.mkdir()
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such name")
    return {name: shutil.copytree(path, folder / name) for name, path in ORDERLY.items()} | {"out": folder, "encoding": encoding}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["data", "check", "--folder", "{lgg}"], 1, "not as listed"),
        (["data", "profile", "--folder", "{lgg}", "--json", "{out}/facts.json"], 0, "data hash"),
        (["data", "export", "--folder", "{lgg}", "--png", "{out}/png"], 0, "2 patients, 5 slices"),
        (["data", "get", "lgg", "--from", "{lgg}"], 0, "2 patients, 5 slices"),
        (["audit", "{parts}"], 0, "Training 2 pictures"),
        (["audit", "{parts}", "--json"], 0, "nothing found"),
    ],
    ids=lambda value: " ".join(value[:2]) + " json" * ("--json" in value) if isinstance(value, list) else "",
)
def test_names_of_every_kind_are_printed_on_every_terminal(home, strange, command, monkeypatch, words, code, says):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding=strange["encoding"], errors="strict", write_through=True)
    monkeypatch.setattr(sys, "stdout", terminal)
    answer = command(*(word.format(**strange) for word in words))
    assert answer.code == code, answer.err
    assert not answer.err
    text = terminal.buffer.getvalue().decode("utf-8")
    assert says in text
    if strange["out"].name.isprintable() and words[1] == "check":
        assert f"{strange['out'].name}/lgg against the manifest" in text, "whole, not taken for markup"
    if words[-1] == "--json":
        assert json.loads(text)["audited"] == str(strange["parts"])


def test_such_names_are_refused_in_one_line_too(home, strange, command):
    (strange["lgg"] / HT / f"{HT}_1.tif").unlink()
    assert command("data", "profile", "--folder", strange["lgg"]).refuses("mask without its image")


def test_pictures_in_such_folders_are_read_and_json_gives_the_names_back(home, strange):
    from brain_tumor import files

    folders = read_folders([strange["parts"]])
    assert len(open_pictures(folders, 16).images) == 4
    path = strange["out"] / "names.json"
    files.write_json(path, {"root": str(folders.roots[0])})
    assert files.read_json(path) == {"root": str(strange["parts"])}
    path.read_bytes().decode("utf-8")


# ------------------------------------------------------------------------------------------------------------------ the law

WALKS = re.compile(r"\.(?:rglob|glob|iterdir|scandir|listdir|walk)\(")
OF_PEOPLE = sorted(path for room in ("data", "leakage", "inference") for path in (PACKAGE / room).rglob("*.py"))
# The one walk; stale caches; what we wrote of a person's own cohorts.
OF_OURS = {"data/tree.py", "data/cache.py", "data/register.py"}


def test_no_other_module_walks_folders_of_people():
    walks = {
        path.relative_to(PACKAGE).as_posix()
        for path in OF_PEOPLE
        if WALKS.search(path.read_text(encoding="utf-8").replace("tree.walk(", ""))
    }
    assert walks == OF_OURS
