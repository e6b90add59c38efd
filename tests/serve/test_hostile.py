"""Files that nobody should send: each is refused with the right code, and the server answers the next one."""

import functools
import gzip
import io
import struct
import time
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from brain_tumor.data import nifti
from brain_tumor.errors import BrainTumorError
from brain_tumor.serve import uploads
from brain_tumor.serve.limits import Refusal

FUZZ_SECONDS, LONG_FUZZ_SECONDS = 5.0, 120.0


def picture(pixels, kind="PNG", **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def zipped(members, compression=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def png_of(width, height, depth=8, colour=0):
    """A PNG that announces a size and holds nothing of it."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def volume_of(shape, **fields):
    """A NIfTI file whose header says so, with a hundred voxels behind it."""
    header = nifti.Nifti1Image(np.zeros((2, 2, 2), np.uint8), None).header.copy()
    header["dim"] = [len(shape), *shape, *[1] * (7 - len(shape))]
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    for name, value in fields.items():
        header[name] = value
    return header.binaryblock + bytes(4) + bytes(100)


GREY = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
NOISE = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
PNG = picture(NOISE)
TIFF = picture(NOISE, "TIFF")
JPEG = picture(NOISE, "JPEG")
NII = nifti.mask_bytes(np.zeros((3, 32, 32), np.uint8) + 1)

# Formats that Pillow or nibabel would decode if they were asked: none of them is.
RENAMED = {
    "gifti": b'<?xml version="1.0"?><GIFTI Version="1.0"></GIFTI>', "fpx": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "psd": b"8BPS\0\1" + bytes(60),
    "jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60), "pdf": b"%PDF-1.7\n", "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "gif": picture(GREY, "GIF"), "bmp": picture(GREY, "BMP"), "webp": picture(NOISE, "WEBP"), "ico": picture(GREY, "ICO"),
    "tga": picture(NOISE, "TGA"), "ppm": picture(NOISE, "PPM"), "pcx": picture(GREY, "PCX"), "dds": b"DDS " + bytes(124),
    "dicom": bytes(128) + b"DICM" + bytes(60), "mgh": struct.pack(">i", 1) + bytes(300), "minc": b"CDF\1" + bytes(60),
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(60), "pickle": b"\x80\x04\x95\0\0\0\0\0\0\0\0.", "numpy": b"\x93NUMPY\1\0" + bytes(60),
    "html": b"<!doctype html><script>alert(1)</script>", "elf": b"\x7fELF" + bytes(60), "bigtiff": b"II+\0" + bytes(60),
    "analyze": struct.pack("<i", 348) + bytes(400), "icns": picture(NOISE, "ICNS"), "sgi": picture(NOISE, "SGI"),
    "xbm": b"#define x_width 8\n#define x_height 8\nstatic char x_bits[] = {0};\n", "text": b"hello", "nifti pair": volume_of((2,
    2, 2), magic=b"ni1"), "rar": b"Rar!\x1a\7\0" + bytes(9),
    "tar": b"a.txt" + bytes(252) + b"ustar" + bytes(250), "7z": b"7z\xbc\xaf'\x1c" + bytes(60), "bzip2": b"BZh9" + bytes(60),
    "xz": b"\xfd7zXZ\0" + bytes(60), "space": b" " * 100, "one byte": b"I", "avif": b"\0\0\0\x1cftypavif" + bytes(60),
}  # fmt: skip


@functools.cache
def broken():
    """Of a kind that is read: each is refused with 422, or 413 where it is only too much. A bomb takes a second to make."""
    return {
        "png empty": b"\x89PNG\r\n\x1a\n", "png cut": PNG[: len(PNG) // 2], "png bomb": png_of(60_000, 60_000),
        "png wide": png_of(2**31 - 1, 1), "png zero": png_of(0, 0), "png small": picture(GREY[:4, :4]),
        "png 16 bits": picture(np.zeros((64, 64), np.uint16)), "png black": picture(np.zeros((64, 64), np.uint8)),
        "png palette of one": picture(np.full((64, 64), 7, np.uint8)), "png trash": PNG[:60] + bytes(300),
        "png noise": PNG, "png header twice": PNG[:33] + PNG, "jpeg cut": JPEG[:200], "jpeg empty": b"\xff\xd8\xff\xd9",
        "jpeg noise": JPEG, "jpeg trash": b"\xff\xd8\xff\xe0" + bytes(500), "tiff cut": TIFF[:100],
        "tiff empty": b"II*\0\x08\0\0\0\0\0",
        "tiff loop": b"II*\0\x08\0\0\0\0\0\x08\0\0\0" + bytes(60), "tiff far": b"II*\0\xff\xff\xff\x7f",
        "tiff noise": TIFF, "tiff big endian trash": b"MM\0*" + bytes(200),
        "tiff pages": picture(GREY, "TIFF", save_all=True, append_images=[Image.fromarray(GREY)]),
        "tiff float": picture(np.zeros((64, 64), np.float32), "TIFF"),
        "tiff 32 bits": picture(np.zeros((64, 64), np.int32), "TIFF"),
        "nii cut": NII[: len(NII) // 2], "nii.gz of nothing": gzip.compress(b""), "nii.gz of text": gzip.compress(b"hello" * 100),
        "nii.gz bomb": gzip.compress(volume_of((30000, 30000, 300)) + bytes(10_000_000)),
        "nii.gz of zeros": gzip.compress(bytes(20_000_000)), "gz twice": gzip.compress(NII), "gz trash": b"\x1f\x8b" + bytes(100),
        "gz of png": gzip.compress(PNG), "nii huge": volume_of((32000, 32000, 32000)), "nii negative": volume_of((-5, 10, 10)),
        "nii none": volume_of((0, 0, 0)), "nii no axes": volume_of(()), "nii seven axes": volume_of((2,) * 7),
        "nii five channels": volume_of((4, 4, 4, 5)), "nii short": volume_of((20, 20, 20)), "nii type": volume_of((2, 2, 2),
        datatype=7777),
        "nii complex": volume_of((2, 2, 2), datatype=32, bitpix=64), "nii colour": volume_of((2, 2, 2), datatype=128, bitpix=24),
        "nii offset": volume_of((2, 2, 2), vox_offset=1e9), "nii offset negative": volume_of((2, 2, 2), vox_offset=-8),
        "nii offset nan": volume_of((2, 2, 2), vox_offset=np.nan), "nii affine nan": volume_of((2, 2, 2), sform_code=1,
        srow_x=np.nan),
        "nii affine none": volume_of((2, 2, 2), sform_code=1, srow_x=0), "nii slope": volume_of((2, 2, 2), scl_slope=np.inf),
        "nii of one": NII, "nii header alone": volume_of((2, 2, 2))[:348],
        "nii 2 trash": struct.pack("<i", 540) + b"n+2\0\r\n\x1a\n" + bytes(600),
        "zip empty": zipped({}), "zip of text": zipped({"a.txt": b"x"}), "zip cut": zipped({"a_1.png": PNG})[:100],
        "zip trash": b"PK\3\4" + bytes(200), "zip up": zipped({"../../a_1.png": PNG}), "zip root": zipped({"/etc/a_1.png": PNG}),
        "zip drive": zipped({"C:/a_1.png": PNG}), "zip back": zipped({"..\\..\\a_1.png": PNG}),
        "zip bomb": zipped({f"a_{n}.png": bytes(60 << 20) for n in range(1, 11)}), "zip many": zipped(dict.fromkeys(map(str,
        range(2100)), b"")),
        "zip of zip": zipped({"a_1.zip": zipped({"a_1.png": PNG})}),
        "zip of trash": zipped({"a_1.png": b"\x89PNG", "a_2.png": b"x"}),
        "zip of noise": zipped({"a_1.png": PNG, "a_2.png": PNG}), "zip of two exams": zipped({"a_1.png": PNG, "b_1.png": PNG}),
        "zip of two sizes": zipped({"a_1.png": PNG, "a_2.png": picture(NOISE[:40, :40])}), "zip twice": zipped({"a_1.png": PNG,
        "A_1.png": PNG}),
        "zip of masks": zipped({"a_1_mask.png": PNG}), "zip of labels": zipped({"x_seg.nii.gz": NII}),
        "zip without flair": zipped({"x_t1.nii.gz": NII, "x_t2.nii.gz": NII}), "zip of nameless": zipped({"x.nii.gz": NII,
        "y.nii.gz": NII}),
        "zip of two flairs": zipped({"x_flair.nii.gz": NII, "y_flair.nii.gz": NII}),
        "zip of two grids": zipped({"x_flair.nii.gz": NII, "x_t1.nii.gz": nifti.mask_bytes(np.ones((4, 32, 32)))}),
        "zip litter": zipped({"__MACOSX/a_1.png": PNG, ".hidden/a_1.png": PNG}), "zip format": zipped({"a_1.png": PNG,
        "a_2.tif": TIFF}),
        "zip of broken volumes": zipped({"x_flair.nii.gz": NII[:30], "x_t1.nii.gz": NII}),
        "zip of a bomb": zipped({"a_1.png": png_of(60_000, 60_000)}),
        "zip of one pixel": zipped({"a_1.png": picture(GREY[:1, :1])}), "zip of numbers": zipped({"1.png": PNG, "2.png": PNG}),
        "zip of folders": zipped({"a/": b"", "b/": b""}), "zip of long names": zipped({"a" * 60000 + "_1.png": PNG}),
        "png cut in its header": PNG[:20], "png long": picture(np.resize(GREY, (20, 3000))),
        "nii four channels": volume_of((4, 20, 20, 4)),
        "nii of labels": NII, "tiff of jpeg": TIFF[:8] + JPEG,
        "zip stored": zipped({"a_1.png": PNG}, zipfile.ZIP_STORED)[:-30],
        "zip lzma": zipped({"a_1.png": PNG[:50]}, zipfile.ZIP_LZMA),
    }  # fmt: skip


@pytest.mark.parametrize("name", RENAMED)
@pytest.mark.parametrize("ending", ["png", "nii.gz", "zip"])
def test_another_format_reaches_no_decoder(name, ending, monkeypatch):
    monkeypatch.setattr(Image, "open", lambda *_arguments, **_options: pytest.fail("decoded"))
    with pytest.raises(Refusal) as refusal:
        uploads.received(f"x.{ending}", RENAMED[name])
    assert refusal.value.status == 415


def test_another_format_is_415_on_page_and_api(client, send):
    for name, content in RENAMED.items():
        assert send(client, "x.png", content).status_code == 415, name
        assert client.post("/predict", data={"exam": (io.BytesIO(content), "x.zip")}).status_code == 415, name


def test_another_format_in_a_zip_reaches_no_decoder(client, send, monkeypatch):
    """Whatever a member is called: Pillow knows these formats, and none of their plugins is asked."""
    Image.init()
    asked = []
    for kind in set(Image.OPEN) - {"PNG", "JPEG", "MPO", "TIFF"}:
        monkeypatch.setitem(Image.OPEN, kind, (lambda *_arguments, kind=kind: asked.append(kind), None))
    for name, content in RENAMED.items():
        for member in ("a_1.png", "a_1.gif", "a_flair.nii.gz"):
            assert send(client, "a.zip", zipped({member: content})).status_code == 422, (name, member)
    assert asked == []


@pytest.mark.parametrize("name", ["sub.01_t1.nii.gz", "a.b.seg.nii.gz", "x_T1w.nii.gz"])
def test_a_volume_that_is_named_as_another_sequence_or_as_labels_is_no_flair(client, send, files, name):
    assert send(client, name, files["flair.nii.gz"]).status_code == 422
    assert send(client, "sub.01_flair.nii.gz", files["flair.nii.gz"]).status_code == 200


def test_there_are_enough():
    assert len(broken()) >= 80 and len(RENAMED) >= 20


def test_what_is_broken_is_refused_and_the_server_lives(client, send, files):
    answers = {name: send(client, "x", content) for name, content in broken().items()}
    statuses = {
        name: (response.status_code, response.json["error"]) for name, response in answers.items() if "error" in response.json
    }
    assert {name: statuses.get(name) for name in broken() if statuses.get(name, (200, ""))[0] != 422} == {}
    messages = [error["message"] for _, error in statuses.values()]
    assert [message for message in messages if not message or "\n" in message or "Traceback" in message] == []
    assert send(client, "slice.png", files["slice.png"]).status_code == 200


def test_the_page_refuses_what_is_broken_and_lives(client):
    for name, content in broken().items():
        place, response = "", client.post("/predict", data={"exam": (io.BytesIO(content), "x")})
        for _ in range(3000):
            if response.status_code != 303 and "<h1>Predicting</h1>" not in response.text:
                break
            place = response.location or place
            response = client.get(place)
        assert response.status_code in (413, 422) and 'class="verdict"' in response.text, name
        assert client.get("/healthz").json == {"status": "ok"}, name


def test_names_go_nowhere():
    for name in ("../../etc/passwd", "..\\..\\x", "/a/b", "C:\\x.png", "a\0b.png", "." * 300, "", "💥.png", "a" * 400):
        plain = uploads.plain(name)
        assert 0 < len(plain) <= uploads.LONGEST_NAME and not set(plain) & set("/\\:\0.<>&\"'")


def mutated(content, rng):
    """A file with some bytes changed, cut off, doubled or put in."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 8)):
        place = int(rng.integers(0, max(1, len(data))))
        action = rng.integers(0, 4)
        if action == 0 and data:
            data[place % len(data)] = int(rng.integers(0, 256))
        elif action == 1:
            del data[place:]
        elif action == 2:
            data[place:place] = bytes(rng.integers(0, 256, rng.integers(1, 40), np.uint8))
        else:
            data[place : place + 8] = rng.choice([b"\xff" * 8, bytes(8), b"\x7f\xff\xff\xff\xff\xff\xff\xff"])
    return bytes(data)


def fuzz(served, files, seconds):
    """Read damaged uploads until the time is over; anything but an answer or a refusal of ours fails."""
    rng, seeds = np.random.default_rng(), list(files.values())
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        content = mutated(seeds[count % len(seeds)], rng)
        try:
            file = uploads.received("x", content)
            exam = served.predictor.exam(file)
            assert exam.images.dtype == np.uint8 and exam.images.ndim == 4
            served.predictor.check(exam)
        except (Refusal, BrainTumorError):
            pass
        except Exception:
            print(f"seed {count % len(seeds)}, {content[:200]!r}")
            raise
        count += 1
    return count


def test_damaged_files_are_refused_or_read(served, files):
    assert fuzz(served, files, FUZZ_SECONDS) > 20


@pytest.mark.long
def test_many_damaged_files_are_refused_or_read(served, files):
    assert fuzz(served, files, LONG_FUZZ_SECONDS) > 1000
