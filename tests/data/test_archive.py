"""A zip of a stranger is unpacked within bounds, or refused in one line, and then nothing of it is left."""

import os
import stat
import struct
import zipfile

import pytest

from brain_tumor.data import archive
from brain_tumor.errors import DataError


def pack(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return path


def member(name, mode):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def leftovers(home):
    return [path.name for path in home.rglob("*") if not path.name.endswith(".lock") and path.name not in ("data", "cache")]


def test_any_other_path_is_left_as_it_is(home, tmp_path):
    (tmp_path / "folder.zip").mkdir()
    for path in (tmp_path, tmp_path / "a.png", tmp_path / "folder.zip"):
        assert archive.unpacked(path) == path
    assert leftovers(home) == []


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_what_is_packed_comes_out(home, tmp_path, method):
    members = {"a/1.txt": b"one" * 500, "b/c/2.txt": b"two", "empty/": b""}
    folder = archive.unpacked(pack(tmp_path / "my set.zip", members, compression=method))
    assert files_of(folder) == {"a/1.txt": b"one" * 500, "b/c/2.txt": b"two"}
    assert folder.name == "my set" and home in folder.parents


def test_a_lone_folder_is_gone_down_into(home, tmp_path):
    members = {"download/kaggle_3m/a/1.txt": b"1", "download/kaggle_3m/b/1.txt": b"2", "__MACOSX/download/._x": b"3"}
    folder = archive.unpacked(pack(tmp_path / "a.zip", members))
    assert folder.name == "kaggle_3m" and files_of(folder) == {"a/1.txt": b"1", "b/1.txt": b"2"}


@pytest.mark.parametrize("name", [".hidden.zip", "__MACOSX.zip", "._a.zip"])
def test_a_zip_that_is_called_like_no_data_is_data(home, tmp_path, name):
    folder = archive.unpacked(pack(tmp_path / name, {"top/a/1.txt": b"1", "top/b/1.txt": b"2", ".DS_Store": b"3"}))
    assert folder.name == "top" and files_of(folder) == {"a/1.txt": b"1", "b/1.txt": b"2"}


def test_backslashes_part_folders(home, tmp_path):
    path = pack(tmp_path / "a.zip", {"aXb.txt": b"1", "c.txt": b"2"})
    path.write_bytes(path.read_bytes().replace(b"aXb", b"a\\b"))
    assert files_of(archive.unpacked(path)) == {"a/b.txt": b"1", "c.txt": b"2"}


def test_another_content_is_another_folder_and_times_are_the_members(home, tmp_path):
    first = archive.unpacked(pack(tmp_path / "a.zip", {"1.txt": b"1"}))
    info = zipfile.ZipInfo("1.txt", (2020, 1, 2, 3, 4, 6))
    second = archive.unpacked(pack(tmp_path / "a.zip", {info: b"2"}))
    assert (files_of(first), files_of(second)) == ({"1.txt": b"1"}, {"1.txt": b"2"})
    assert os.stat(second / "1.txt").st_mtime == 1577934246  # 2020-01-02 03:04:06 UTC, wherever this runs


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"../out.txt": b"1"}, "'../out.txt' would lie outside"),
        ({"a/../../out.txt": b"1"}, "'a/../../out.txt' would lie outside"),
        ({"/out.txt": b"1"}, "'/out.txt' would lie outside"),
        ({"C:/out.txt": b"1"}, "'C:/out.txt' would lie outside"),
        ({member("link", stat.S_IFLNK | 0o777): b"/etc/passwd"}, "'link' is a link or a special file"),
        ({member("pipe", stat.S_IFIFO | 0o666): b""}, "'pipe' is a link or a special file"),
        ({}, "a zip without files"),
        ({"only/": b""}, "a zip without files"),
        ({"a": b"1", "a/b": b"2"}, "cannot be unpacked"),
    ],
)
def test_a_zip_that_is_none_of_ours_is_refused(home, tmp_path, members, words):
    with pytest.raises(DataError, match=f"a.zip: .*{words}") as refusal:
        archive.unpacked(pack(tmp_path / "a.zip", members))
    assert "\n" not in str(refusal.value)
    assert leftovers(home) == [] and not (tmp_path / "out.txt").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(home, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        target.writestr("a.txt", b"1")
        target.writestr("./a.txt", b"2")
    with pytest.raises(DataError, match="holds './a.txt' twice"):
        archive.unpacked(tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("bound", "value", "words"), [("MAX_FILES", 1, "2 files"), ("MAX_BYTES", 1999, "0.0 GB unpacked; more than")]
)
def test_more_than_the_bounds_is_refused_before_a_byte_is_written(home, tmp_path, monkeypatch, bound, value, words):
    monkeypatch.setattr(archive, bound, value)
    with pytest.raises(DataError, match=words):
        archive.unpacked(pack(tmp_path / "a.zip", {"1": bytes(1000), "2": bytes(1000)}, compression=zipfile.ZIP_DEFLATED))
    assert leftovers(home) == []


def test_no_more_comes_out_than_a_member_announces(home, tmp_path):
    """A bomb lies about its size: the sum of what is announced is within bounds, so what comes out must be too."""
    path = pack(tmp_path / "a.zip", {"1": bytes(100_000)}, compression=zipfile.ZIP_DEFLATED)
    path.write_bytes(path.read_bytes().replace(struct.pack("<L", 100_000), struct.pack("<L", 10)))
    with pytest.raises(DataError, match="a.zip: a damaged zip"):
        archive.unpacked(path)
    assert leftovers(home) == []


def test_no_room_is_said_before_a_byte_is_written(home, tmp_path, monkeypatch):
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda _: archive.shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(DataError, match=r"a.zip: .* unpacked, and .*cache has room for"):
        archive.unpacked(pack(tmp_path / "a.zip", {"1": bytes(1000)}))


@pytest.mark.parametrize("kept", [0, 10, 60, 140])
def test_a_cut_zip_is_refused(home, tmp_path, kept):
    path = pack(tmp_path / "a.zip", {"1.txt": bytes(100)})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match="a.zip: a damaged zip, or none"):
        archive.unpacked(path)


def test_damaged_content_is_refused_and_nothing_is_left(home, tmp_path):
    path = pack(tmp_path / "a.zip", {"1.txt": b"abc" * 100})
    path.write_bytes(path.read_bytes().replace(b"abcabc", b"abcabd", 1))
    with pytest.raises(DataError, match="a.zip: a damaged zip, or none .*CRC"):
        archive.unpacked(path)
    assert leftovers(home) == []


def test_encryption_and_absence_are_said(home, tmp_path):
    path = pack(tmp_path / "a.zip", {"1.txt": b"1"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="a.zip: encrypted; unpack it yourself"):
        archive.unpacked(path)
    with pytest.raises(DataError, match="none.zip: no such file"):
        archive.unpacked(tmp_path / "none.zip")
