"""Where a prediction lies in a slice: the most probable pixel, boxes and centres, beside the truth's."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from brain_tumor.errors import DataError
from brain_tumor.evaluation import localisation

SIDE = 8


def planes(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """A plane a box ``top, left, bottom, right``."""
    volume = np.zeros((len(boxes), SIDE, SIDE), np.uint8)
    for plane, (top, left, bottom, right) in zip(volume, boxes, strict=True):
        plane[top:bottom, left:right] = 1
    return volume


def test_a_box_holds_its_pixels_as_a_slice_of_the_array_does():
    truth = planes((1, 2, 4, 7))
    row = localisation.locate(np.zeros_like(truth), truth).iloc[0]
    assert (row.truth_top, row.truth_left, row.truth_bottom, row.truth_right) == (1, 2, 4, 7)
    assert row.truth_px == 15 and (row.truth_centre_row, row.truth_centre_column) == (2.0, 4.0)
    assert row.predicted_px == 0 and pd.isna(row.predicted_top) and pd.isna(row.predicted_centre_row)


def test_a_plane_without_probability_points_nowhere():
    row = localisation.locate(planes((0, 0, 0, 0)), planes((1, 1, 3, 3))).iloc[0]
    assert row.highest == 0 and row[["row", "column", "inside"]].isna().all()


def test_of_a_plateau_the_middle_is_the_point():
    probability = planes((0, 0, 5, 5)) * np.uint8(255)
    probability[0, 7, 7] = 255  # as probable, and alone
    row = localisation.locate(probability, planes((2, 2, 3, 3))).iloc[0]
    assert (row.highest, row.row, row.column, row.inside) == (1.0, 2, 2, True)


def test_a_point_beside_the_truth_is_outside():
    probability = planes((0, 0, 2, 2)) * np.uint8(51)
    row = localisation.locate(probability, planes((4, 4, 8, 8))).iloc[0]
    assert row.highest == 0.2 and not row.inside and row.predicted_px == 0


def test_other_shapes_are_refused():
    with pytest.raises(DataError, match="differ in shape"):
        localisation.locate(planes((0, 0, 1, 1)), planes((0, 0, 1, 1), (0, 0, 1, 1)))


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.5, 0.9]))
def test_the_point_is_a_most_probable_pixel_and_the_counts_are_those_of_the_masks(seed, threshold):
    generator = np.random.default_rng(seed)
    probability = generator.integers(0, 256, (3, SIDE, SIDE), np.uint8)
    truth = (generator.random((3, SIDE, SIDE)) < 0.2).astype(np.uint8)
    table = localisation.locate(probability, truth, threshold)
    for row, plane, mask in zip(table.itertuples(), probability, truth, strict=True):
        assert plane[row.row, row.column] == plane.max() == round(row.highest * 255)
        assert row.inside == bool(mask[row.row, row.column])
        assert row.predicted_px == (plane > threshold * 255).sum() and row.truth_px == mask.sum()
        if row.truth_px:
            inside = mask[row.truth_top : row.truth_bottom, row.truth_left : row.truth_right]
            assert inside.sum() == row.truth_px
            assert row.truth_top <= row.truth_centre_row < row.truth_bottom
