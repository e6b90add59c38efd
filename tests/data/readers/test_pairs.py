"""Pairs of files: what volumes and pictures become, what fits them, and how a folder of each is paired."""

import nibabel
import numpy as np
import pytest
from PIL import Image

from brain_tumor.data import nifti
from brain_tumor.data.readers import pair_folders, pair_tables, pairs, volume as volume_reader
from brain_tumor.data.readers.pairs import Choices, Pair
from brain_tumor.errors import DataError

GREY = Choices(("image",))
RNG = np.random.default_rng(0)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def save_volume(path, voxels, affine=None, kind=nibabel.Nifti1Image):
    path.parent.mkdir(parents=True, exist_ok=True)
    kind(voxels, affine).to_filename(path)
    return path


def noise(*shape):
    return RNG.integers(0, 256, shape, np.uint8)


def pair(image, mask=None, number=1, **more):
    return Pair(image, mask, "", "p", "p", number, **more)


# ------------------------------------------------------------------------------------------------------------------ volumes


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("ending", nifti.ENDINGS)
def test_volumes_come_out_alike_however_their_axes_lie(tmp_path, kind, ending):
    """One head, stored from left to right and from right to left, and with its slices as the first axis."""
    head = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    upright = save_volume(tmp_path / f"a{ending}", head, np.diag([1.0, 2, 3, 1]), kind)
    turned = np.diag([-1.0, 2, 3, 1])
    turned[0, 3] = 3
    mirrored = save_volume(tmp_path / f"b{ending}", head[::-1], turned, kind)
    first = np.zeros((4, 4))
    first[2, 0], first[0, 1], first[1, 2], first[3, 3] = 3, 1, 2, 1
    slices_first = save_volume(tmp_path / f"c{ending}", head.transpose(2, 0, 1), first, kind)
    for path in (upright, mirrored, slices_first):
        volume = volume_reader.read_volume(path)
        assert np.array_equal(volume.planes[..., 0], head.transpose(2, 1, 0))
        assert volume.spacing_mm == pytest.approx((3, 2, 1))
        assert np.allclose(volume.grid, np.diag([1, 2, 3, 1]))


def test_a_volume_that_does_not_say_how_it_lies_is_read_as_our_own_masks_are_written(tmp_path):
    mask = (noise(3, 4, 5) > 128).astype(np.uint8)
    nifti.write_mask(tmp_path / "m.nii.gz", mask, (5, 1, 1))
    volume = volume_reader.read_volume(tmp_path / "m.nii.gz")
    assert np.array_equal(volume.planes[..., 0], mask)
    assert volume.grid is None and volume.spacing_mm == (5, 1, 1) and volume.is_byte


@pytest.mark.parametrize("shape", [(4, 5, 6, 2), (4, 5, 6, 1, 2)])
def test_a_fourth_axis_is_of_channels(tmp_path, shape):
    path = save_volume(tmp_path / "a.nii", RNG.normal(size=shape).astype(np.float32), np.eye(4))
    assert volume_reader.read_volume(path).planes.shape == (6, 5, 4, 2)


@pytest.mark.parametrize(
    ("shape", "kind", "words"),
    [
        ((4, 5, 6, 2, 3), np.uint8, "expected three axes"),
        ((4, 5, 6, 7), np.uint8, "at most 4 channels"),
        ((4, 5, 6), np.complex64, "expected numbers"),
        ((4, 5, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")], "expected numbers"),
    ],
)
def test_other_volumes_are_refused(tmp_path, shape, kind, words):
    path = save_volume(tmp_path / "a.nii", np.zeros(shape, kind), np.eye(4))
    with pytest.raises(DataError, match=rf"a\.nii: .*{words}"):
        volume_reader.read_volume(path)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("dim", [3, 30000, 30000, 30000, 1, 1, 1, 1], "more than the"), ("vox_offset", 1e9, "expected a header of at most")],
)
def test_a_size_is_refused_by_the_header_before_voxels_are_read(tmp_path, field, value, words):
    header = nibabel.Nifti1Header()
    header["dim"] = [3, 4, 4, 4, 1, 1, 1, 1]
    header["magic"], header["vox_offset"] = b"n+1", 352
    header[field] = value
    path = tmp_path / "a.nii"
    path.write_bytes(header.binaryblock + b"\0" * 68)
    with pytest.raises(DataError, match=words):
        volume_reader.read_volume(path)


@pytest.mark.parametrize("content", [b"", b"no volume", b"\x1f\x8b cut"])
def test_damaged_volumes_are_refused_by_name(tmp_path, content):
    for name in ("a.nii", "a.nii.gz"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=name):
            volume_reader.read_volume(tmp_path / name)
    whole = save_volume(tmp_path / "b.nii.gz", noise(20, 20, 20), np.eye(4))
    whole.write_bytes(whole.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"b\.nii\.gz: no NIfTI volume, or a damaged one"):
        volume_reader.read_volume(whole)


def test_intensities_are_windowed_by_volume_and_channel():
    voxels = np.linspace(-1000, 3000, 2000).reshape(2, 20, 50, 1) * np.array([1, 10])
    voxels[0, 0, 0] = np.nan, np.inf
    voxels[1, 1, 1] = 1e9  # one hot voxel must not make the rest black
    windowed = volume_reader.to_bytes(voxels)
    assert windowed.dtype == np.uint8 and windowed.min() == 0 and windowed.max() == 255
    assert windowed[0, 0, 0].tolist() == [0, 0]
    assert abs(int(windowed[1, 0, 0, 0]) - 127) <= 1
    assert np.abs(windowed[..., 0].astype(int) - windowed[..., 1]).max() <= 1
    assert volume_reader.to_bytes(np.full((1, 4, 4, 1), 7.0)).max() == 0


def test_eight_bits_stay_as_they_are(tmp_path):
    voxels = noise(16, 17, 3) // 2
    mask = (voxels > 100).astype(np.uint8)
    paths = [save_volume(tmp_path / name, array, np.eye(4)) for name, array in (("i.nii.gz", voxels), ("m.nii.gz", mask))]
    planes = pairs.read_pair(pair(*paths, number=None), GREY)
    assert np.array_equal(planes.images[..., 0], voxels.transpose(2, 1, 0))
    assert np.array_equal(planes.masks, mask.transpose(2, 1, 0)) and not planes.windowed


@pytest.mark.parametrize("affine", [None, np.diag([2.0, 1, 1, 1]), np.diag([-1.0, 1, 1, 1])])
def test_a_mask_on_another_grid_is_refused(tmp_path, affine):
    image = save_volume(tmp_path / "i.nii", noise(16, 16, 3), np.eye(4))
    mask = save_volume(tmp_path / "m.nii", np.ones((16, 16, 3), np.uint8), affine)
    with pytest.raises(DataError, match=r"m\.nii: (lies elsewhere|of image and mask only one)"):
        pairs.read_pair(pair(image, mask, None), GREY)


# ------------------------------------------------------------------------------------------------------------------ pictures


@pytest.mark.parametrize(
    ("labels", "values", "tumour"),
    [((), (0, 1), {1}), ((), (0, 255), {255}), ((2,), (0, 1, 2, 4), {2}), ((1, 4), (0, 1, 2, 4), {1, 4})],
)
def test_masks_of_any_labels(tmp_path, labels, values, tumour):
    stored = RNG.choice(np.array(values, np.uint8), (16, 20))
    paths = save(tmp_path / "i.png", noise(16, 20)), save(tmp_path / "m.png", stored)
    planes = pairs.read_pair(pair(*paths), Choices(("image",), labels))
    assert np.array_equal(planes.masks[0], np.isin(stored, list(tumour)))
    assert planes.values == set(values)


def test_a_mask_may_be_grey_in_colours_or_one_bit(tmp_path):
    image, mask = save(tmp_path / "i.png", noise(16, 16)), noise(16, 16) > 128
    for name, stored in (("c.png", np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)), ("b.png", mask)):
        assert np.array_equal(pairs.read_pair(pair(image, save(tmp_path / name, stored)), GREY).masks[0], mask)
    with pytest.raises(DataError, match=r"d\.png: 3 channels, expected a mask with one number a pixel"):
        pairs.read_pair(pair(image, save(tmp_path / "d.png", noise(16, 16, 3))), GREY)


@pytest.mark.parametrize(
    ("channels", "sequences", "read"),
    [(1, 1, 1), (2, 1, 1), (2, 2, 2), (3, 3, 3), (4, 3, 3), (4, 4, 4)],
)
def test_transparency_is_left_out_unless_it_is_a_sequence(tmp_path, channels, sequences, read):
    pixels = noise(16, 16, channels)
    image = save(tmp_path / "i.png", pixels[..., 0] if channels == 1 else pixels)
    planes = pairs.read_pair(pair(image), Choices(tuple("abcd"[:sequences])))
    assert np.array_equal(planes.images[0], pixels[..., :read])


def test_a_grey_set_takes_grey_stored_in_colours_and_no_colours(tmp_path):
    grey = noise(16, 16)
    image = save(tmp_path / "g.png", np.repeat(grey[..., None], 3, axis=2))
    assert np.array_equal(pairs.read_pair(pair(image), GREY).images[0, ..., 0], grey)
    with pytest.raises(DataError, match=r"c\.png: 3 channels, the cohort has 1 \(image\); its colours differ: save it as grey"):
        pairs.read_pair(pair(save(tmp_path / "c.png", noise(16, 16, 3))), GREY)


def test_sixteen_bits_are_refused_here_too(tmp_path):
    image = save(tmp_path / "i.png", noise(16, 16).astype(np.uint16) * 200)
    with pytest.raises(DataError, match="16 bits a sample"):
        pairs.read_pair(pair(image), GREY)


def test_slices_are_padded_or_resampled_as_was_chosen():
    images, masks = noise(2, 20, 30, 1), np.ones((2, 20, 30), np.uint8)
    padded = Choices(("image",), fit="pad", shape=(24, 40))
    assert np.array_equal(pairs.fit(images, padded)[:, 2:22, 5:35], images) and pairs.fit(masks, padded).sum() == masks.sum()
    smaller = Choices(("image",), fit="resample", shape=(15, 15))
    assert pairs.fit(images, smaller).shape == (2, 15, 15, 1)
    assert pairs.fit(masks, smaller).shape == (2, 15, 15) and set(np.unique(pairs.fit(masks, smaller))) == {0, 1}
    assert pairs.fitted_spacing((5, 1, 1), (20, 30), smaller) == (5, 2, 2)
    assert pairs.fitted_spacing((5, 1, 1), (20, 30), padded) == (5, 1, 1)


# ------------------------------------------------------------------------------------------------------------- what is paired


def test_nnunets_folders_pair_as_they_are(tmp_path):
    for number in (1, 2, 10):
        save_volume(tmp_path / "imagesTr" / f"BRATS_{number:03d}_0000.nii.gz", noise(4, 4, 4))
        save_volume(tmp_path / "labelsTr" / f"BRATS_{number:03d}.nii.gz", noise(4, 4, 4))
    table = pair_folders.read_folders(tmp_path / "imagesTr", tmp_path / "labelsTr", r"(?P<patient>BRATS_\d+)")
    assert [pair.patient for pair in table.pairs] == ["BRATS_001", "BRATS_002", "BRATS_010"]
    assert all(pair.mask.name == pair.image.name.replace("_0000", "") for pair in table.pairs)


def test_a_pattern_reads_patient_slice_case_and_site_off_a_path(tmp_path):
    for name in ("HT/p7/3_1", "HT/p7/3_2", "HT/p8/3_1", "CS/p9/1_0"):
        save(tmp_path / "images" / f"{name}.png", noise(16, 16))
        save(tmp_path / "masks" / f"{name}-seg.png", noise(16, 16))
    pattern = r"(?P<site>..)/(?P<patient>p\d)/(?P<case>\d)_(?P<slice>\d)"
    table = pair_folders.read_folders(tmp_path / "images", tmp_path / "masks", pattern)
    facts = [(pair.case, pair.patient, pair.site, pair.slice) for pair in table.pairs]
    assert facts == [("p7_3", "p7", "HT", 1), ("p7_3", "p7", "HT", 2), ("p8_3", "p8", "HT", 1), ("p9_1", "p9", "CS", 0)]


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_table_is_taken_as_people_write_it(tmp_path):
    """Capitals, blanks, both slashes, semicolons with decimal commas, spellings of one patient, names as numbers."""
    for number in range(1, 5):
        save(tmp_path / "data" / f"{number}.png", noise(16, 16))
        save(tmp_path / "data" / f"{number}m.png", noise(16, 16))
    table = pair_tables.read_table(
        write(
            tmp_path / "pairs.csv",
            " IMAGE ;Mask;patient;Slice;Spacing;age",
            r"data\1.png;data/1m.png;P-07;2;0,9 x 5;61",
            r"data\2.png;data/2m.png;p_7;1.0;0,9x5;61",
            r"data\3.png;data/3m.png;8;12;1;-",
            r"data\4.png;data/4m.png;007;3;;",
        )
    )
    facts = [(pair.case, pair.patient, pair.slice, pair.image.name, pair.spacing_mm) for pair in table.pairs]
    assert facts == [
        ("007", "007", 3, "4.png", None),
        ("8", "8", 12, "3.png", (1, 1, 1)),
        ("P-07", "P-07", 1, "2.png", (5, 0.9, 0.9)),
        ("P-07", "P-07", 2, "1.png", (5, 0.9, 0.9)),
    ]
    assert table.notes[0] == "columns passed over: age" and "1 name changed, such as 'p_7' to 'P-07'" in table.notes[1]


def test_pictures_without_numbers_stand_in_the_order_of_their_names(tmp_path):
    names = ["a_1.png", "a_2.png", "a_10.png"]
    lines = [f"{save(tmp_path / name, noise(16, 16))},yes,a" for name in reversed(names)]
    table = pair_tables.read_table(write(tmp_path / "t.csv", "image,label,patient", *lines))
    assert [(pair.image.name, pair.slice) for pair in table.pairs] == [(name, number) for number, name in enumerate(names, 1)]
    assert "numbered in the order of their names" in table.notes[0]


def test_cases_get_names_that_files_may_have(tmp_path):
    image = save(tmp_path / "i.png", noise(16, 16))
    mask = save(tmp_path / "m.png", noise(16, 16))
    table = pair_tables.read_table(write(tmp_path / "t.csv", "image,mask,patient", f"{image},{mask},../a b/Müller"))
    assert table.pairs[0].patient == "../a b/Müller" and table.pairs[0].case == "a_b_Müller"
