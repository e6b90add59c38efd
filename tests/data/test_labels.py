"""Labels of every year become the same three regions, and a file that cannot tell its year is asked about."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from brain_tumor.data import labels
from brain_tumor.errors import DataError

# Of each convention, a voxel of oedema, core without enhancement, enhancing tumour.
SAMPLES = {"2013": (2, 3, 4), "2017": (2, 1, 4), "2023": (2, 1, 3), "2024": (2, 1, 3), "ped": (4, 3, 1), "decathlon": (1, 2, 3)}


@pytest.mark.parametrize("name", labels.CONVENTIONS)
def test_oedema_core_and_enhancing_tumour_lie_in_one_two_and_three_regions(name):
    convention = labels.CONVENTIONS[name]
    voxels = np.array([0, *SAMPLES[name]])
    depth = labels.depths(voxels, convention)
    assert depth.tolist() == [0, 1, 2, 3]
    masks = [labels.region(depth, number).tolist() for number in range(3)]
    assert masks == [[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]]
    assert set(convention.labels) == set(convention.depths)


@pytest.mark.parametrize("name", labels.CONVENTIONS)
@given(depth=st.lists(st.integers(0, 3), min_size=1, max_size=9))
def test_what_is_written_is_read_again(name, depth):
    convention = labels.CONVENTIONS[name]
    numbers = labels.labels(np.array(depth), convention)
    assert labels.depths(numbers, convention).tolist() == depth


def test_a_cavity_lies_in_no_region():
    assert labels.depths(np.array([4]), labels.CONVENTIONS["2024"]).tolist() == [0]


@pytest.mark.parametrize(
    ("values", "candidates", "name"),
    [
        ((1, 2, 4), ("2013", "2017"), "2013"),  # both give these numbers the same meaning
        ((1, 2), ("2023", "2024"), "2023"),
        ((1, 2, 3, 4), ("2023", "2024"), "2024"),
        ((), tuple(labels.CONVENTIONS), "2013"),
        ((3,), ("2023", "decathlon"), "2023"),
    ],
)
def test_a_convention_is_told_from_numbers_where_they_can_tell(values, candidates, name):
    assert labels.tell(values, "seg.nii.gz", candidates).name == name


@pytest.mark.parametrize(
    ("values", "candidates", "words"),
    [
        ((1, 2), labels.CONVENTIONS, "1, 2 can be of 2013 or 2017 or 2023 or 2024 or ped or decathlon"),
        ((1, 2, 3, 4), labels.CONVENTIONS, "can be of 2013 or 2024 or ped, and mean different regions; say which with --labels"),
        ((5,), ("2017",), "the labels 5, expected those of 2017: 1, 2, 4"),
        ((3,), ("2017",), "the labels 3, expected those of 2017"),
    ],
)
def test_where_numbers_cannot_tell_a_person_is_asked(values, candidates, words):
    with pytest.raises(DataError, match=words) as refusal:
        labels.tell(values, "seg.nii.gz", candidates)
    assert str(refusal.value).startswith("seg.nii.gz: ")


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32, np.float64])
def test_whole_numbers_are_taken_however_they_are_stored(kind):
    assert labels.values_of(np.array([0, 4, 1, 1], kind), "seg.nii.gz") == [1, 4]


@pytest.mark.parametrize(
    ("voxels", "words"),
    [
        ([0, 0.5], "the value 0.5, expected whole numbers"),
        ([0, -1], "the value -1"),
        ([0, 256.0], "the value 256"),
        ([0, np.nan], "the value nan"),
        ([0, np.inf], "the value inf"),
        ([1, 1], "100% of all voxels are labelled tumour"),
    ],
)
def test_what_is_no_segmentation_is_refused(voxels, words):
    with pytest.raises(DataError, match=words):
        labels.values_of(np.array(voxels), "seg.nii.gz")


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=8))
def test_regions_that_are_not_nested_are_cut_to_what_lies_inside(voxels):
    masks = np.array(voxels).T
    depth = labels.nested(list(masks))
    assert depth.tolist() == [(3 if c else 2) if (a and b) else int(a) for a, b, c in voxels]
