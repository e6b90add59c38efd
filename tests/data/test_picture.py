"""Whatever bytes a stranger hands in, the decoder gives the pixels or one refusal that names the file."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from brain_tumor.data import picture
from brain_tumor.data.picture import read_picture
from brain_tumor.errors import DataError

PIXELS = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)


def tiff_of(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "TIFF")
    return stream.getvalue()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("pictures") / "slice.tif"


@pytest.mark.parametrize("suffix", ["tif", "png", "bmp"])
def test_lossless_pixels_come_back(tmp_path, suffix):
    Image.fromarray(PIXELS).save(tmp_path / f"a.{suffix}")
    read = read_picture(tmp_path / f"a.{suffix}", ("RGB",))
    assert np.array_equal(read, PIXELS)
    assert read.dtype == np.uint8


@pytest.mark.parametrize(
    ("pixels", "mode"),
    [
        (np.zeros((4, 4), np.uint16), "I;16"),
        (np.zeros((4, 4, 4), np.uint8), "RGBA"),
        (np.zeros((4, 4), np.uint8), "L"),
        (np.zeros((4, 4), np.float32), "F"),
        (np.zeros((4, 4), bool), "1"),
    ],
)
def test_another_pixel_type_is_refused_by_name(tmp_path, pixels, mode):
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=f"a.tif: pixel type '{mode}', expected 'RGB'"):
        read_picture(tmp_path / "a.tif", ("RGB",))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a.tif: no such file"):
        read_picture(tmp_path / "a.tif", ("RGB",))


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=tmp_path.name):
        read_picture(tmp_path, ("RGB",))


def test_text_is_refused(tmp_path):
    (tmp_path / "a.tif").write_text("not a picture")
    with pytest.raises(DataError, match=r"a.tif: not a picture"):
        read_picture(tmp_path / "a.tif", ("RGB",))


def test_several_pages_are_refused(tmp_path):
    page = Image.fromarray(PIXELS)
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page])
    with pytest.raises(DataError, match="holds 2 pictures"):
        read_picture(tmp_path / "a.tif", ("RGB",))


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(picture, "MAX_PIXELS", 19)
    Image.fromarray(PIXELS).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match="4 x 5 pixels, more than the 19 allowed"):
        read_picture(tmp_path / "a.tif", ("RGB",))


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    Image.fromarray(PIXELS).save(tmp_path / "a.tif")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    with pytest.raises(DataError, match=r"a.tif"):
        read_picture(tmp_path / "a.tif", ("RGB",))


@settings(max_examples=40, deadline=None)
@given(kept=st.integers(0, len(tiff_of(PIXELS)) - 1))
def test_a_file_cut_anywhere_is_refused(scratch, kept):
    scratch.write_bytes(tiff_of(PIXELS)[:kept])
    with pytest.raises(DataError, match=r"slice.tif"):
        read_picture(scratch, ("RGB",))


@pytest.mark.filterwarnings("error::UserWarning")
@settings(max_examples=100, deadline=None)
@given(place=st.integers(0, len(tiff_of(PIXELS)) - 1), value=st.integers(0, 255))
def test_a_damaged_byte_gives_pixels_or_a_refusal(scratch, place, value):
    damaged = bytearray(tiff_of(PIXELS))
    damaged[place] = value
    scratch.write_bytes(damaged)
    with contextlib.suppress(DataError):  # whatever else the decoder raises fails the test
        assert read_picture(scratch, ("RGB",)).ndim == 3
