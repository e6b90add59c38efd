"""One rule for pictures at every door: an LGG tree, class folders, the audit of a tree, and what `predict` is handed.

``DOORS`` says how each of them reads one picture; ``COLOURED``, ``GREYS``, ``ONE_BIT`` and ``REFUSED`` hold what a person may
hand in: a new door, or a new kind of picture, is a line in a table. A picture is either read, and then gives the same pixels
everywhere, or refused by one line that names it.
"""

import io
import shutil
import struct
import zipfile
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from brain_tumor.data import picture as door
from brain_tumor.data.opening import open_folder
from brain_tumor.data.readers.folders import open_pictures, read_folders, square_grey
from brain_tumor.errors import DataError
from brain_tumor.inference import intake
from brain_tumor.leakage import manifests
from brain_tumor.leakage.audit import audit

CASE = "TCGA_CS_0001_19960909"
HEIGHT, WIDTH = 24, 20
COLOUR = np.zeros((HEIGHT, WIDTH, 3), np.uint8)  # an L with a dot: no turn or mirror of it is itself
COLOUR[2:20, 3:6], COLOUR[17:20, 3:14], COLOUR[4:7, 12:15] = (250, 180, 90), (250, 180, 90), (60, 120, 240)
GREY = COLOUR[..., 0]
OTHER = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


# --------------------------------------------------------------------------------------------------------------- the doors


def lgg_slice(path, folder):
    """The picture as the only slice of an LGG exam, which is spelt ``.tif`` whatever it holds."""
    place = folder / "kaggle_3m" / CASE
    place.mkdir(parents=True)
    shutil.copy(path, place / f"{CASE}_1.tif")
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(place / f"{CASE}_1_mask.tif")
    return open_folder(folder).cases[0].load()[0][0]


def class_folders(path, folder):
    """The picture in the class `a`; what comes out is grey and square."""
    for name in ("a", "b"):
        (folder / "set" / name).mkdir(parents=True)
    place = shutil.copy(path, folder / "set" / "a")
    Image.fromarray(OTHER).save(folder / "set" / "b" / "other.png")
    pictures = open_pictures(read_folders([folder / "set"]), HEIGHT)
    assert str(pictures.folders.paths[0]) == str(place)
    return pictures.images[0]


def audited_tree(path, folder):
    """The picture in the training half."""
    for part in ("train", "test"):
        (folder / "halves" / part).mkdir(parents=True)
    shutil.copy(path, folder / "halves" / "train")
    Image.fromarray(OTHER).save(folder / "halves" / "test" / "other.png")
    manifest = manifests.read(str(folder / "halves"))
    mine = next(record for record in manifest.pictures if record.name.startswith("train/"))
    return manifest.pixels(mine)


def handed_to_predict(path, folder):
    return intake.exam(path).images[0]


DOORS = {"LGG tree": lgg_slice, "class folders": class_folders, "audit": audited_tree, "predict": handed_to_predict}
ONLY_COLOUR = {"LGG tree"}  # its images have three channels: a grey one is refused there, as ever


@pytest.fixture(params=DOORS)
def at_the_door(request, home, tmp_path):
    """``at_the_door(path)``: the grey levels that the door reads, as ``(S, S)`` uint8, padded to a square."""

    def read(path):
        return square_grey(np.asarray(DOORS[request.param](path, tmp_path / "door")))

    read.takes_grey = request.param not in ONLY_COLOUR
    return read


# ------------------------------------------------------------------------------------------------------------ the pictures


def mirrored(pixels, orientation):
    """How a file stores ``pixels`` that are to be seen upright under an EXIF orientation."""
    columns_first = orientation > 4
    stored = pixels.swapaxes(0, 1) if columns_first else pixels
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (0,), 7: (0, 1), 8: (1,)}.get(orientation, ())
    return np.ascontiguousarray(np.flip(stored, flips))


def oriented(ending, orientation, form=Image.fromarray):
    def write(path):
        stored = form(mirrored(COLOUR, orientation))
        if ending == ".tif":
            stored.save(path, tiffinfo={274: orientation})
            return
        exif = Image.Exif()
        exif[274] = orientation
        options = {".jpg": {"quality": 100, "subsampling": 0}, ".webp": {"lossless": True}}.get(ending, {})
        stored.save(path, exif=exif, **options)

    return f"turned_{orientation}{ending}", write


def saved(name, image, **options):
    return name, lambda path: image.save(path, **options)


def deep(name, pixels):
    return name, lambda path: cv2.imwrite(str(path), pixels)


def grey_palette():
    image = Image.fromarray(GREY).convert("P")
    image.putpalette([level for value in range(256) for level in (value,) * 3])
    return image


def late_exif(path):
    """A PNG whose eXIf chunk comes after its pixels, where half of the writers put it."""
    exif = Image.Exif()
    exif[274] = 6
    stream = io.BytesIO()
    Image.fromarray(mirrored(COLOUR, 6)).save(stream, "PNG")
    chunk = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = (len(chunk) - 4).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)
    path.write_bytes(stream.getvalue()[:-12] + chunk + stream.getvalue()[-12:])


def four_sequences(path):
    """A TIFF of four channels, of which the last is no transparency: Pillow would read the first three."""
    Image.fromarray(np.dstack([COLOUR, GREY])).save(path, "TIFF")
    extra_samples = struct.Struct("<HHLL")
    path.write_bytes(path.read_bytes().replace(extra_samples.pack(338, 3, 1, 2), extra_samples.pack(338, 3, 1, 0)))


PLAIN, PLAIN_GREY, PLAIN_OTHER = Image.fromarray(COLOUR), Image.fromarray(GREY), Image.fromarray(OTHER)
SHARP = {"quality": 100, "subsampling": 0}
TURNED = ((".jpg", 6), (".jpg", 3), (".png", 8), (".webp", 5), (".tif", 7))
FORMS = {
    "RGB": (Image.fromarray, (".jpg", ".png", ".webp", ".tif")),
    "grey": (lambda pixels: Image.fromarray(np.ascontiguousarray(pixels[..., 0])), (".jpg", ".png", ".tif")),
    "palette": (lambda pixels: Image.fromarray(pixels).quantize(8), (".png", ".tif")),
}
TWELVE_BITS = COLOUR.astype(np.uint16) * 16
COLOURED = dict([
    *(oriented(*turn) for turn in TURNED),
    ("late.png", late_exif),
    saved("palette.png", PLAIN.quantize(8)),
    saved("transparent.png", PLAIN.quantize(8), transparency=bytes([0, 120, 255])),
    saved("palette.gif", PLAIN),
    saved("palette.tif", PLAIN.quantize(8)),
    saved("palette.bmp", PLAIN.quantize(8)),
    saved("cmyk.jpg", PLAIN.convert("CMYK"), **SHARP),
    saved("cmyk.tif", PLAIN.convert("CMYK")),
    saved("of_a_phone.jpg", PLAIN, format="MPO", save_all=True, append_images=[PLAIN_OTHER], **SHARP),
    saved("stereo.mpo", PLAIN, save_all=True, append_images=[PLAIN_OTHER], **SHARP),
    saved("of_a_browser.jfif", PLAIN, format="JPEG", **SHARP),
    saved("damaged_exif.jpg", PLAIN, exif=b"Exif\0\0nonsense", **SHARP),
])  # fmt: skip
GREYS = dict([saved("palette.png", grey_palette()), saved("grey.gif", PLAIN_GREY), saved("grey.png", PLAIN_GREY)])
ONE_BIT = dict([saved(f"bits.{ending}", Image.fromarray(GREY > 99)) for ending in ("png", "tif", "bmp", "gif")])
REFUSED = {
    "16-bit RGB TIFF": (*deep("a.tif", TWELVE_BITS), "'RGB;16'.*16 bits a sample: scale the grey values to 0..255"),
    "16-bit RGB PNG": (*deep("a.png", TWELVE_BITS), "'RGB;16'.*16 bits a sample: scale"),
    "16-bit RGBA PNG": (*deep("a.png", np.dstack([TWELVE_BITS, TWELVE_BITS[..., 0]])), "'RGBA;16'.*16 bits a sample"),
    "16-bit grey PNG": (*deep("a.png", TWELVE_BITS[..., 0]), "'I;16'.*16 bits a sample"),
    "16-bit grey TIFF": (*deep("a.tif", TWELVE_BITS[..., 0]), "'I;16'.*16 bits a sample"),
    "float TIFF": (*saved("a.tif", Image.fromarray(GREY / np.float32(255))), "'F'.*32 bits a sample"),
    "signed TIFF": (*saved("a.tif", PLAIN_GREY, tiffinfo={339: 2}), "signed samples"),
    "four sequences": ("a.tif", four_sequences, "4 channels, expected .*save the sequences as pictures of their own"),
    "Lab": (*saved("a.tif", PLAIN.convert("LAB")), "pixel type 'LAB', expected .*; save it as grey or RGB"),
    "pages": (*saved("a.tif", PLAIN, save_all=True, append_images=[PLAIN]), "holds 2 pictures, expected one; save each"),
    "APNG": (*saved("a.png", PLAIN, save_all=True, append_images=[PLAIN_OTHER]), "holds 2 pictures"),
    "animated GIF": (*saved("a.gif", PLAIN, save_all=True, append_images=[PLAIN_OTHER]), "holds 2 pictures"),
    "another format": (*saved("a.png", PLAIN, format="PPM"), "not a picture that can be read, expected TIFF, PNG"),
}  # fmt: skip


def write(folder, name, how):
    path = folder / name
    how(path)
    return path


@pytest.mark.parametrize("name", COLOURED)
def test_a_coloured_picture_is_read_upright_everywhere(at_the_door, tmp_path, name):
    pixels = at_the_door(write(tmp_path, name, COLOURED[name]))
    lossy = 8 if name.endswith(("jpg", "jfif", "mpo")) else 1  # grey levels
    assert np.abs(pixels.astype(int) - square_grey(COLOUR)).max() <= lossy


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("form", "ending"), [(form, ending) for form, (_, endings) in FORMS.items() for ending in endings])
def test_every_orientation_is_turned_upright_once(tmp_path, form, ending, orientation):
    path = write(tmp_path, *oriented(ending, orientation, FORMS[form][0]))
    expected = GREY if form == "grey" else COLOUR
    assert np.abs(door.read_picture(path, door.MODES).astype(int) - expected).max() <= (8 if ending == ".jpg" else 0)


@pytest.mark.parametrize("name", GREYS)
def test_a_grey_picture_is_read_everywhere(at_the_door, tmp_path, name):
    path = write(tmp_path, name, GREYS[name])
    if not at_the_door.takes_grey and name == "grey.png":
        with pytest.raises(DataError, match="pixel type 'L', expected 'RGB'"):
            at_the_door(path)
    else:
        np.testing.assert_array_equal(at_the_door(path), square_grey(GREY))


@pytest.mark.parametrize("name", ONE_BIT)
def test_one_bit_is_black_and_white(at_the_door, tmp_path, name):
    path = write(tmp_path, name, ONE_BIT[name])
    if at_the_door.takes_grey:
        np.testing.assert_array_equal(at_the_door(path), square_grey((GREY > 99) * np.uint8(255)))
    else:
        with pytest.raises(DataError, match="pixel type"):
            at_the_door(path)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_is_refused_everywhere_by_one_line(at_the_door, tmp_path, kind):
    name, how, words = REFUSED[kind]
    with pytest.raises(DataError, match=words) as refusal:
        at_the_door(write(tmp_path, name, how))
    message = str(refusal.value)
    assert ("a." in message or CASE in message) and "\n" not in message


@pytest.mark.parametrize(
    ("image", "kind"), [(PLAIN_GREY.convert("1"), "1"), (grey_palette(), "P"), (PLAIN, "RGB"), (PLAIN.convert("CMYK"), "CMYK")]
)
def test_a_mask_is_taken_as_stored_or_refused(tmp_path, image, kind):
    image.save(tmp_path / "mask.tif")
    with pytest.raises(DataError, match=f"mask.tif: pixel type '{kind}', expected 'L'"):
        door.read_mask(tmp_path / "mask.tif")


# ------------------------------------------------------------------------------------------- what an audit makes of a copy


def halves(folder, pictures):
    """``{"train/x.jpg": how}``: a tree of two parts."""
    for name, how in pictures.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        how(folder / name)
    return folder


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("ending", [".png", ".webp", ".tif"])
def test_the_audit_sees_a_copy_that_is_turned_by_its_tag(home, tmp_path, ending, orientation):
    pictures = {"train/a.png": lambda path: PLAIN.save(path), f"test/b{ending}": oriented(ending, orientation)[1]}
    (report,) = audit(manifests.read(str(halves(tmp_path / "halves", pictures))))
    assert "identical" in {finding.kind for finding in report.findings}, report.verdict


@pytest.mark.parametrize("ending", [".jpg", ".jfif"])
def test_the_audit_sees_a_photographed_copy(home, tmp_path, ending):
    how = oriented(".jpg", 6)[1]
    pictures = {"train/a.png": lambda path: PLAIN.save(path), f"test/b{ending}": how}
    if ending == ".jfif":
        pictures[f"test/b{ending}"] = COLOURED["of_a_browser.jfif"]
    (report,) = audit(manifests.read(str(halves(tmp_path / "halves", pictures))))
    assert report.leaks and report.pictures == {"train": 1, "test": 1}


# ----------------------------------------------------------------------------------------------------------------- skipping


def cut(path):
    Image.fromarray(OTHER).save(path)
    path.write_bytes(path.read_bytes()[:80])


BAD = {"cut.png": cut, "deep.png": REFUSED["16-bit RGB PNG"][1], "note.jpg": lambda path: path.write_text("not a picture")}


@pytest.mark.parametrize("bad", BAD)
def test_class_folders_leave_out_what_cannot_be_read_only_when_asked(home, tmp_path, bad):
    names = {"a/1.png": COLOUR, "a/3.png": OTHER, "b/2.png": OTHER[::-1].copy()}
    tree = halves(
        tmp_path / "set", {name: Image.fromarray(pixels).save for name, pixels in names.items()} | {f"a/{bad}": BAD[bad]}
    )
    with pytest.raises(DataError, match=f"{bad}: .*--skip-bad"):
        open_pictures(read_folders([tree]), HEIGHT)
    pictures = open_pictures(read_folders([tree]), HEIGHT, skip_bad=True)
    assert [path.name for path in pictures.folders.paths] == ["1.png", "3.png", "2.png"]
    assert pictures.folders.labels.tolist() == [0, 0, 1] and pictures.folders.parts.tolist() == ["train"] * 3
    assert len(pictures.images) == len(pictures.fingerprints.thumbnails) == len(pictures.fingerprints.digests) == 3
    np.testing.assert_array_equal(pictures.images[2], square_grey(OTHER[::-1]))
    assert len(pictures.unreadable) == 1 and bad in pictures.unreadable[0]
    with pytest.raises(DataError, match=f"{bad}: .*--skip-bad"):  # the cache of those who left it out is no answer to others
        open_pictures(read_folders([tree]), HEIGHT)
    (tree / "a" / bad).unlink()
    assert open_pictures(read_folders([tree]), HEIGHT).data_hash == pictures.data_hash


@pytest.mark.parametrize("bad", BAD)
def test_an_audit_judges_by_name_what_cannot_be_read_only_when_asked(home, tmp_path, command, bad):
    copy = Image.fromarray(OTHER).save
    pictures = {"train/a.png": copy, "test/b.png": copy, f"test/{bad}": BAD[bad], f"train/{bad}": BAD[bad]}
    tree = halves(tmp_path / "halves", pictures)
    assert command("audit", tree).refuses(bad, "--skip-bad")
    answer = command("audit", tree, "--skip-bad")
    assert answer.code == 1, answer.err
    assert f"unreadable: {tree / 'test' / bad}" in answer.out and f"unreadable: {tree / 'train' / bad}" in answer.out
    assert "of the 2 pictures in test 1 have identical pixels" in answer.out
    assert "pixels of 2 of 4 pictures not at hand" in answer.out
    assert "0 blank pictures" in answer.out


# --------------------------------------------------------------------------------------------------------------------- zips


def zip_of(folder, path, top=""):
    with zipfile.ZipFile(path, "w") as archive:
        for each in sorted(folder.rglob("*")):
            if each.is_file():
                archive.write(each, f"{top}{each.relative_to(folder).as_posix()}")
        archive.writestr("__MACOSX/._x.png", "a resource fork")
        archive.writestr(".DS_Store", "where icons lie")
    return path


@pytest.fixture
def zips(home, tree, tmp_path):
    """Each door's tree in a zip, and how the door reads it: ``{name: (path, read)}``."""
    classes = halves(tmp_path / "classes", {"a/1.png": PLAIN.save, "b/2.png": Image.fromarray(OTHER).save})
    parts = halves(tmp_path / "parts", {"train/1.png": PLAIN.save, "test/2.png": Image.fromarray(OTHER).save})
    return {
        "LGG tree": (tree, lambda path: [case.load()[0].tolist() for case in open_folder(path)]),
        "exam": (tree / CASE, lambda path: intake.exam(path).images.tolist()),
        "class folders": (classes, lambda path: open_pictures(read_folders([path]), HEIGHT).data_hash),
        "audit": (parts, lambda path: path),
    }


@pytest.mark.parametrize("top", ["", "one/two/"], ids=["flat", "below folders"])
@pytest.mark.parametrize("kind", ["LGG tree", "exam", "class folders", "audit"])
def test_a_zip_is_read_as_its_folder_is(zips, tmp_path, command, kind, top):
    folder, read = zips[kind]
    path = zip_of(folder, tmp_path / "Archive.ZIP", top)
    if kind == "audit":
        ours, theirs = command("audit", folder), command("audit", path)
        assert ours.code == theirs.code == 0 and ours.out.splitlines()[-1] == theirs.out.splitlines()[-1]
    else:
        assert read(path) == read(folder)


def test_a_zip_is_unpacked_once_whatever_it_is_called(zips, home, tmp_path):
    path = zip_of(zips["exam"][0], tmp_path / "exam.zip")
    first = intake.exam(path)
    path.rename(tmp_path / "again.zip")
    unpacked = {place: place.stat().st_mtime_ns for place in (home / "data" / "cache").glob("zip-*")}
    again = intake.exam(tmp_path / "again.zip")
    np.testing.assert_array_equal(first.images, again.images)
    assert {place: place.stat().st_mtime_ns for place in (home / "data" / "cache").glob("zip-*")} == unpacked and len(
        unpacked
    ) == 1


def test_our_own_export_is_an_exam_again(home, tree, tmp_path, command):
    assert command("data", "export", "--folder", tree, "--png", tmp_path / "png").code == 0
    exported, original = tmp_path / "png" / CASE, tree / CASE
    for ours, theirs in ((exported, original), (exported / f"{CASE}_10.png", original / f"{CASE}_10.tif")):
        for by_exam in (False, True):
            mine, expected = intake.exam(ours, by_exam), intake.exam(theirs, by_exam)
            np.testing.assert_array_equal(mine.images, expected.images)
            fields = {"images": 0, "slice_numbers": 0, "rows": 0}  # compared by value
            assert replace(mine, **fields) == replace(expected, **fields) and mine.asked.tolist() == expected.asked.tolist()
    shutil.copy(original / f"{CASE}_1.tif", exported)
    with pytest.raises(DataError, match=f"slices of {CASE} as .png and as .tif, expected one format"):
        intake.exam(exported)
