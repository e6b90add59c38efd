"""Where predicted and true masks differ, without the image: hits, misses and false calls of a slice in three colours."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

from brain_tumor.predictions.judgement import Picture
from brain_tumor.report.figures.drawing import GREY, INK, ORANGE, RED, SKY, WIDTH_INCHES, Drawing, patient_label

MARGIN = 12  # px around what is marked
GROUND = (0.96, 0.97, 0.98)
COLOURS = {"hit": SKY, "missed": RED, "called where there is none": ORANGE}
SMALLEST = 48  # px of a cut-out, so that a small tumour keeps its surroundings
COLUMNS = 3


def show_errors(pictures: Sequence[Picture]) -> Drawing:
    """A panel a case, cut out around its tumour, at the slice with the most wrong pixels.

    Args:
        pictures: of the worst cases.
    """
    names = ", ".join(f"{picture.case_id} slice {picture.number}" for picture in pictures)
    alt = f"Hit, missed and falsely called pixels in {len(pictures)} cases of lowest Dice: {names}."
    drawing = Drawing(WIDTH_INCHES / COLUMNS + 0.75, alt, "patients")
    panels = drawing.subplots(1, COLUMNS, squeeze=False)[0]
    for axes in panels:
        axes.set_axis_off()
    for axes, picture in zip(panels, pictures, strict=False):
        parts = {
            "hit": picture.truth.astype(bool) & picture.predicted,
            "missed": picture.truth.astype(bool) & ~picture.predicted,
            "called where there is none": picture.predicted & ~picture.truth.astype(bool),
        }
        image = np.full((*picture.truth.shape, 3), GROUND)
        for name, mask in parts.items():
            image[mask] = to_rgb(COLOURS[name])
        rows, columns = _around(picture.truth.astype(bool) | picture.predicted)
        axes.imshow(image[rows, columns], interpolation="nearest")
        axes.set_axis_on()
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(GREY)
        axes.set_title(
            f"{patient_label(picture.case_id)}, slice {picture.number}\nDice of the case {picture.dice:.2f}",
            fontsize=8.5,
            color=INK,
        )
    handles = [Patch(color=colour, label=name) for name, colour in COLOURS.items()]
    drawing.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8.5, frameon=False)
    return drawing


def _around(mask: np.ndarray) -> tuple[slice, slice]:
    """A square that holds all of a mask, inside the plane."""
    places = np.argwhere(mask)
    low, high = (places.min(axis=0), places.max(axis=0) + 1) if len(places) else (np.zeros(2, int), np.array(mask.shape))
    side = int(min(max((high - low).max() + 2 * MARGIN, SMALLEST), min(mask.shape)))
    starts = np.clip((low + high - side) // 2, 0, np.array(mask.shape) - side)
    return slice(int(starts[0]), int(starts[0]) + side), slice(int(starts[1]), int(starts[1]) + side)
