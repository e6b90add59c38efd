"""Distances known in closed form, the laws of a distance, and two packages that were written by others."""

import numpy as np
import pandas as pd
import pytest
import SimpleITK
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays
from medpy.metric import binary as medpy

from brain_tumor.errors import DataError
from brain_tumor.evaluation import intervals, surface

FIGURES = ("hd95", "hd95_pooled", "hd", "nsd")
lawful = settings(deadline=None, max_examples=40)


def masks_of(shape):
    """Not empty; single voxels included."""
    speckled = arrays.arrays(bool, shape)
    single = st.tuples(*(st.integers(0, n - 1) for n in shape)).map(lambda place: voxel(shape, place))
    return st.one_of(speckled, single).filter(np.any)


def voxel(shape, *places):
    mask = np.zeros(shape, bool)
    for place in places:
        mask[place] = True
    return mask


shapes = st.sampled_from([(5, 7), (1, 9), (8, 8), (3, 5, 7), (1, 4, 4), (4, 1, 6)])
pairs = shapes.flatmap(lambda shape: st.tuples(masks_of(shape), masks_of(shape)))
spacings = st.sampled_from([1.0, 0.5, "anisotropic"])


def spacing_of(name, mask):
    return (3.0, 1.0, 0.7)[-mask.ndim :] if name == "anisotropic" else name


def rectangle(shape, top, left, height, width):
    mask = np.zeros(shape, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def test_surface_is_where_the_outside_begins():
    mask = np.array(
        [
            [0, 0, 0, 0, 0, 0],
            [0, 1, 1, 1, 1, 0],
            [0, 1, 1, 1, 1, 0],
            [0, 1, 1, 1, 0, 0],
            [0, 1, 1, 1, 0, 0],
        ],
        bool,
    )
    outline = [
        [0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 0],
        [0, 1, 0, 0, 1, 0],
        [0, 1, 0, 1, 0, 0],
        [0, 1, 1, 1, 0, 0],  # the edge of the image is an outside
    ]
    assert surface.surface(mask).astype(int).tolist() == outline


def test_a_mask_that_fills_the_image_has_a_surface():
    everything = np.ones((3, 5, 5), bool)
    assert np.count_nonzero(surface.surface(everything)) == 75 - 9
    assert surface.compare(everything, voxel((3, 5, 5), (1, 2, 2)))["hd95"] > 0


@lawful
@given(st.integers(1, 12), st.integers(1, 12), st.integers(-8, 8), st.integers(-8, 8))
def test_a_shifted_rectangle_lies_as_far_as_it_was_shifted(height, width, dy, dx):
    truth, called = rectangle((40, 40), 10, 10, height, width), rectangle((40, 40), 10 + dy, 10 + dx, height, width)
    row = surface.compare(called, truth, tolerance=np.hypot(dy, dx))
    assert row["hd"] == pytest.approx(np.hypot(dy, dx))
    assert row["hd95_pooled"] <= row["hd"] and row["hd95"] <= row["hd"]
    assert row["nsd"] == 1


@lawful
@given(st.integers(1, 9), st.integers(0, 6), st.sampled_from([0.5, 1.0, 3.0]))
def test_a_plane_shifted_across_itself_lies_that_far_everywhere(side, steps, spacing):
    truth, called = np.zeros((8, 9, 9), bool), np.zeros((8, 9, 9), bool)
    truth[0, :side, :side], called[steps, :side, :side] = True, True
    row = surface.compare(called, truth, tolerance=2.0, spacing=(spacing, 1, 1))
    assert row["hd95"] == row["hd95_pooled"] == row["hd"] == steps * spacing
    assert row["nsd"] == (steps * spacing <= 2)


def test_figures_worked_by_hand():
    """A line of 40, found but for its last pixel, and one pixel invented 30 rows below its first."""
    truth, called = np.zeros((50, 50), bool), np.zeros((50, 50), bool)
    truth[5, :40] = True
    called[5, :39] = called[35, 0] = True
    row = surface.compare(called, truth, tolerance=0.5)
    assert row["hd"] == 30
    assert row["hd95"] == row["hd95_pooled"] == 0, "one pixel in forty is within the five per cent left out"
    assert row["nsd"] == (39 + 39) / 80
    assert surface.compare(called, truth, tolerance=1)["nsd"] == (40 + 39) / 80
    assert not (row["missed"] or row["invented"])


def test_an_island_beside_a_longer_truth_shows_in_the_larger_percentile_only():
    truth, called = np.zeros((60, 60), bool), np.zeros((60, 60), bool)
    truth[5, :60] = True
    called[5, ::5] = called[45, 30] = True  # 13 pixels, of which one is 40 away; no pixel of the truth is more than 4 away
    row = surface.compare(called, truth)
    assert row["hd95"] == pytest.approx(0.4 * 40), "rank 11.4 of 0 to 12, between 0 and 40"
    assert row["hd95_pooled"] <= 4


def plain_distances(called, truth, spacing):
    """Every pair of surface voxels, looked at."""

    def outline(mask):
        padded = np.pad(mask, 1)
        places = [tuple(place) for place in np.argwhere(padded)]
        steps = [sign * row for row in np.eye(mask.ndim, dtype=int) for sign in (-1, 1)]
        return np.array([place for place in places if not all(padded[tuple(place + step)] for step in steps)]) * spacing

    apart = np.linalg.norm(outline(called)[:, None] - outline(truth)[None], axis=-1)
    return apart.min(axis=1), apart.min(axis=0)


@lawful
@given(pairs, spacings)
def test_distances_are_their_plain_definition(masks, spacing):
    spacing = spacing_of(spacing, masks[0])
    found = surface.distances(*masks, spacing)
    for ours, plain in zip(found, plain_distances(*masks, spacing), strict=True):
        assert sorted(ours) == pytest.approx(sorted(plain))


@lawful
@given(pairs, spacings)
def test_medpy_agrees(masks, spacing):
    spacing = spacing_of(spacing, masks[0])
    row = surface.compare(*masks, spacing=spacing)
    assert row["hd"] == pytest.approx(medpy.hd(*masks, voxelspacing=spacing))
    assert row["hd95_pooled"] == pytest.approx(medpy.hd95(*masks, voxelspacing=spacing))


def itk_outline(mask, spacing):
    image = SimpleITK.GetImageFromArray(np.pad(mask, 1).astype(np.uint8))
    image.SetSpacing([float(step) for step in np.broadcast_to(spacing, mask.ndim)[::-1]])
    return SimpleITK.LabelContour(image, fullyConnected=False)


def itk_distances(one, other):
    from_other = SimpleITK.SignedMaurerDistanceMap(other, squaredDistance=False, useImageSpacing=True)
    return SimpleITK.GetArrayFromImage(SimpleITK.Abs(from_other))[SimpleITK.GetArrayFromImage(one) > 0]


@lawful
@given(pairs, spacings)
def test_simpleitk_agrees(masks, spacing):
    """Its own outlines and its own distance map: nothing of SciPy. Its distances are float32."""
    spacing = spacing_of(spacing, masks[0])
    one, other = (itk_outline(mask, spacing) for mask in masks)
    there, back = itk_distances(one, other), itk_distances(other, one)
    row = surface.compare(*masks, tolerance=1.5, spacing=spacing)
    hausdorff = SimpleITK.HausdorffDistanceImageFilter()
    hausdorff.Execute(one, other)
    assert row["hd"] == pytest.approx(hausdorff.GetHausdorffDistance(), rel=1e-5, abs=1e-5)
    assert row["hd95"] == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), rel=1e-5, abs=1e-5)
    assert row["nsd"] == pytest.approx(np.mean(np.concatenate([there, back]) <= 1.5))


def ball(centre, radius, shape=(21, 33, 31)):
    from_centre = np.linalg.norm(np.indices(shape).T - centre, axis=-1).T
    return from_centre <= radius


@pytest.mark.parametrize("spacing", [1.0, (4.0, 0.9, 0.9)])
def test_both_agree_on_tumours_of_lifelike_size(spacing):
    truth, called = ball((9, 14, 13), 8), ball((11, 16, 17), 6) | ball((4, 5, 25), 2)
    row = surface.compare(called, truth, spacing=spacing)
    one, other = itk_outline(called, spacing), itk_outline(truth, spacing)
    both = max(np.percentile(itk_distances(one, other), 95), np.percentile(itk_distances(other, one), 95))
    assert row["hd95"] == pytest.approx(both, rel=1e-5)
    assert row["hd95_pooled"] == pytest.approx(medpy.hd95(called, truth, voxelspacing=spacing))
    assert row["hd95_pooled"] < row["hd95"] < row["hd"]


@lawful
@given(pairs, spacings)
def test_neither_mask_is_favoured(masks, spacing):
    spacing = spacing_of(spacing, masks[0])
    one, other = surface.compare(*masks, spacing=spacing), surface.compare(*masks[::-1], spacing=spacing)
    assert [one[name] for name in FIGURES] == pytest.approx([other[name] for name in FIGURES])


@lawful
@given(pairs)
def test_a_mask_lies_on_itself_and_nowhere_else_counts_as_perfect(masks):
    assert surface.compare(masks[0], masks[0], tolerance=0)["nsd"] == 1
    assert surface.compare(masks[0], masks[0])["hd"] == 0
    alike = np.array_equal(*map(surface.surface, masks))
    assert (surface.compare(*masks)["hd"] == 0) == alike == (surface.compare(*masks, tolerance=0)["nsd"] == 1)


@lawful
@given(pairs, st.integers(0, 3), st.integers(0, 3))
def test_where_the_tumour_lies_does_not_matter(masks, before, after):
    moved = [np.pad(mask, (before, after)) for mask in masks]
    one, other = surface.compare(*masks), surface.compare(*moved)
    assert [one[name] for name in FIGURES] == [other[name] for name in FIGURES]


@lawful
@given(pairs, st.floats(0, 5), st.floats(0, 5))
def test_figures_keep_their_bounds_and_order(masks, tolerance, more):
    row = surface.compare(*masks, tolerance=tolerance)
    assert 0 <= row["hd95"] <= row["hd"] < np.linalg.norm(masks[0].shape)
    assert 0 <= row["hd95_pooled"] <= row["hd"]
    assert 0 <= row["nsd"] <= surface.compare(*masks, tolerance=tolerance + more)["nsd"] <= 1


@lawful
@given(pairs, st.sampled_from([0.25, 2.0, 8.0]))
def test_distances_scale_with_the_spacing(masks, times):
    one, other = surface.compare(*masks, tolerance=1), surface.compare(*masks, tolerance=times, spacing=times)
    assert other["hd95"] == pytest.approx(times * one["hd95"])
    assert other["nsd"] == one["nsd"]


def test_two_empty_masks_agree():
    nothing = np.zeros((3, 4), bool)
    row = surface.compare(nothing, nothing)
    assert [row[name] for name in FIGURES] == [0, 0, 0, 1]
    assert not (row["missed"] or row["invented"])


@pytest.mark.parametrize(("spacing", "diagonal"), [(1.0, 5.0), ((2.0, 1.0), np.hypot(6, 4))])
def test_one_empty_mask_costs_the_diagonal(spacing, diagonal):
    nothing, something = np.zeros((3, 4), bool), voxel((3, 4), (0, 0))
    missed, invented = (surface.compare(*pair, spacing=spacing) for pair in [(nothing, something), (something, nothing)])
    assert [missed[name] for name in FIGURES] == [invented[name] for name in FIGURES] == [diagonal, diagonal, diagonal, 0]
    assert (missed["missed"], missed["invented"]) == (True, False)
    assert (invented["missed"], invented["invented"]) == (False, True)


def test_a_miss_costs_more_than_the_farthest_voxel():
    corners = [voxel((3, 5, 7), place) for place in [(0, 0, 0), (2, 4, 6)]]
    assert surface.compare(*corners)["hd95"] < surface.compare(corners[0], np.zeros((3, 5, 7), bool))["hd95"]


def test_the_penalty_of_brats_is_this_rule():
    """373.13 mm in its tables: the diagonal of its volumes of 240 x 240 x 155 mm."""
    nothing = np.zeros((155, 240, 240), bool)
    assert surface.compare(nothing, voxel(nothing.shape, (70, 100, 100)))["hd95"] == pytest.approx(373.1287)


@pytest.fixture
def case():
    """Four planes: empty, found a row too low, missed, invented."""
    truth, probability = np.zeros((4, 9, 9), np.uint8), np.zeros((4, 9, 9), np.uint8)
    truth[1, 2, 2:7] = truth[2, 4, 4] = 1
    probability[1, 3, 2:7] = probability[3, 0, 0] = 200
    probability[2, 4, 4] = 120
    return probability, truth


def test_a_row_a_tumour_slice(case):
    rows = surface.per_slice(*case, tolerance=0.5)
    assert list(rows.columns) == list(surface.COLUMNS)
    assert rows.index.tolist() == [1, 2]
    assert rows.hd95.tolist() == [1, pytest.approx(np.hypot(9, 9))]
    assert rows.nsd.tolist() == [0, 0]
    assert rows.missed.tolist() == [False, True]
    found = surface.per_slice(*case, threshold=0.4)
    assert found.hd95.tolist() == [1, 0]
    assert found.nsd.tolist() == [1, 1]


def test_a_case_is_scored_in_three_dimensions(case):
    row = surface.per_case(*case)
    assert row == surface.compare(case[0] > 127, case[1])
    assert row["hd"] == np.linalg.norm([2, 2, 2]), "from the corner invented on plane 3 to the line on plane 1"
    assert surface.per_case(*case, threshold=0.9)["missed"]
    assert surface.per_case(*case, tolerance=0.5)["tolerance"] == 0.5


def test_arguments_are_left_alone(case):
    before = [array.copy() for array in case]
    surface.per_case(*case)
    surface.per_slice(*case)
    assert all(np.array_equal(*pair) for pair in zip(before, case, strict=True))


def test_no_tumour_slices_no_rows(case):
    nothing = np.zeros_like(case[1])
    rows = surface.per_slice(case[0], nothing)
    assert rows.empty and list(rows.columns) == list(surface.COLUMNS)


@pytest.mark.parametrize("score", [surface.per_case, surface.per_slice, surface.compare])
def test_a_prediction_of_another_size_is_refused(score, case):
    with pytest.raises(DataError, match=r"prediction \(4, 9, 9\) and truth \(4, 9, 8\) differ in shape"):
        score(case[0], case[1][:, :, 1:])


@lawful
@given(pairs)
def test_bool_and_bytes_are_the_same_mask(masks):
    assert surface.compare(*masks) == surface.compare(*(mask.astype(np.uint8) for mask in masks))


@pytest.fixture
def rows():
    """Boundary rows of three patients, the third with two: what a penalty decided counts in full."""
    figures = [("A", 1.0, 0.9), ("B", 3.0, 0.5), ("C", 2.0, 0.7), ("C", 90.0, 0.0)]
    table = pd.DataFrame(figures, columns=["case_id", "hd95", "nsd"])
    return table.assign(tolerance=2.0, missed=[False, False, False, True], invented=False)


def test_boundary_scores_stand_beside_the_best_floor(rows):
    floors = {"far": rows.assign(hd95=50.0, nsd=0.1), "near": rows.assign(hd95=10.0, nsd=0.05)}
    table = surface.score(rows, floors).set_index("measure")
    assert table.value.to_dict() == pytest.approx({"HD95 mean": 24, "HD95 median": 2.5, "NSD mean": 0.525, "NSD median": 0.6})
    assert table.floor_name.to_dict() == {"HD95 mean": "near", "HD95 median": "near", "NSD mean": "far", "NSD median": "far"}
    assert table.floor["HD95 mean"] == 10 and table.floor["NSD mean"] == pytest.approx(0.1)
    assert table[["patients", "rows", "missed", "invented"]].drop_duplicates().to_numpy().tolist() == [[3, 4, 1, 0]]
    assert ((table.low <= table.value) & (table.value <= table.high)).all()


def test_boundary_intervals_draw_patients_not_rows(rows):
    table = surface.score(rows, {}).set_index("measure")
    drawn = np.random.default_rng(0).integers(0, 3, (intervals.RESAMPLES, 3))
    of_patient = [[1.0], [3.0], [2.0, 90.0]]
    means = [np.mean([value for number in draw for value in of_patient[number]]) for draw in drawn]
    assert table.loc["HD95 mean", ["low", "high"]].tolist() == pytest.approx(np.quantile(means, [0.025, 0.975]).tolist())
    assert np.isnan(table.floor["HD95 mean"]) and table.floor_name["HD95 mean"] == ""
