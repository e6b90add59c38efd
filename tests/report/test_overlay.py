"""A prediction drawn over its slice: the outline and nothing else is coloured."""

import numpy as np
import pytest
from PIL import Image

from brain_tumor.data.readers.lgg import FLAIR
from brain_tumor.report.figures import overlay


def block():
    """A slice whose channels differ, and a mask of 4 x 4 in it."""
    image = np.zeros((12, 12, 3), np.uint8)
    image[..., FLAIR] = 90
    mask = np.zeros((12, 12), np.uint8)
    mask[4:8, 5:9] = 1
    return image, mask


def test_the_outline_is_coloured_and_the_rest_is_flair_in_grey():
    image, mask = block()
    picture = overlay.outlined(image, mask, FLAIR)
    coloured = (picture == overlay.OUTLINE).all(axis=-1)
    edge = mask.astype(bool)
    edge[5:7, 6:8] = False
    np.testing.assert_array_equal(coloured, edge)
    assert (picture[~coloured] == 90).all()
    assert (image[..., 0] == 0).all(), "the slice it is given is left alone"


def test_an_empty_mask_leaves_the_slice():
    image, mask = block()
    assert (overlay.outlined(image, mask * 0, FLAIR) == 90).all()


@pytest.mark.parametrize(("n", "rows", "columns"), [(1, 1, 1), (6, 1, 6), (8, 2, 6)])
def test_the_sheet_holds_every_slice(n, rows, columns):
    images = np.full((n, 64, 48, 3), 90, np.uint8)
    masks = np.zeros((n, 64, 48), np.uint8)
    masks[:, 40:50, 20:30] = 1
    sheet = overlay.contact_sheet(images, masks, np.arange(1, n + 1), FLAIR)
    assert sheet.shape == (64 * rows, 48 * columns, 3)
    coloured = (sheet == overlay.OUTLINE).all(axis=-1)
    assert coloured.sum() == n * 36
    assert (sheet[64 * (rows - 1) :, 48 * (n - columns * (rows - 1)) :] == 0).all(), "unused places are black"


def test_a_sheet_of_a_real_exam_fits_a_screen():
    sheet = overlay.contact_sheet(np.zeros((20, 256, 320, 3), np.uint8), np.zeros((20, 256, 320), np.uint8), np.arange(20), 0)
    assert sheet.shape[1] == overlay.SHEET_WIDTH


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_pictures_are_written_whole_by_their_ending(tmp_path, name):
    picture = overlay.outlined(*block(), FLAIR)
    overlay.save_picture(picture, tmp_path / "deep" / name)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "deep" / name)), picture)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == [name]
