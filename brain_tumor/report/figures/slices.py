"""Pictures of exams. Every ``show_*`` draws pixels, so its notebook cell is tagged ``patient-pixels`` and a published report
shows a phantom in its place (DESIGN law 9). Truth is outlined in blue, a prediction in amber.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from brain_tumor.data import labels
from brain_tumor.data.cache import Store
from brain_tumor.data.cohort import title_of
from brain_tumor.evaluation import overlap
from brain_tumor.report.figures.drawing import INK, PREDICTED, TRUTH, WIDTH_INCHES, Drawing, patient_label
from brain_tumor.report.figures.regions import COLOURS, coloured

TITLE_INCHES = 0.25
LEGEND_INCHES = 0.55  # with a title
MONTAGE_COLUMNS, MIN_COLUMNS = 8, 3


def show_gallery(store: Store, rows: Sequence[int], columns: int = 4) -> Drawing:
    """Slices with the expert's outline, as all of this module in the cohort's reference sequence: FLAIR where there is one.

    Args:
        store: at any size.
        rows: rows of ``store.slices``.
    """
    reference = title_of(store.cohort.sequences[store.cohort.reference])
    alt = f"{len(rows)} {reference} slices with the expert's outline of the tumour."
    drawing, panels = _grid(store, len(rows), columns, alt)
    for axes, row in zip(panels, rows, strict=False):
        facts = store.slices.iloc[row]
        title = f"{patient_label(facts.case_id)}, slice {facts.slice}"
        _draw(axes, store.images[row, ..., store.cohort.reference], title, truth=store.masks[row])
    return drawing


def show_sequences(store: Store, case_id: str, number: int) -> Drawing:
    """One slice in all its sequences, and the reference with the expert's outline.

    Args:
        number: the slice, as the table of slices numbers it.
    """
    row = int(store.rows_at(case_id, np.array(number)))
    names = [title_of(name) for name in store.cohort.sequences]
    alt = f"Slice {number} of one patient: {', '.join(names)}, expert outline."
    drawing, panels = _grid(store, len(names) + 1, len(names) + 1, alt)
    for axes, channel, name in zip(panels, range(len(names)), names, strict=False):
        _draw(axes, store.images[row, ..., channel], name)
    _draw(panels[-1], store.images[row, ..., store.cohort.reference], "expert outline", truth=store.masks[row])
    return drawing


def show_exam(store: Store, case_id: str) -> Drawing:
    """The slice of largest tumour in all its sequences, the expert's regions over the reference sequence (row 001.11)."""
    rows = store.rows_of(case_id)
    row = rows.start + int(store.masks[rows].sum(axis=(1, 2)).argmax())
    names = [*map(title_of, store.cohort.sequences), "expert's regions"]
    phantom = store.cohort.phantom
    alt = f"{'Phantom, not a patient. ' * phantom}One slice: {', '.join(names)}."
    drawing = Drawing(WIDTH_INCHES / len(names) + LEGEND_INCHES, alt, "phantom" if phantom else "patients")
    panels = drawing.subplots(1, len(names), squeeze=False)[0]
    for axes, channel, name in zip(panels, [*range(len(names) - 1), store.cohort.reference], names, strict=True):
        axes.imshow(store.images[row, ..., channel], cmap="gray", vmin=0, vmax=255)
        axes.set_title(name, fontsize=9, color=INK)
        axes.axis("off")
    panels[-1].imshow(coloured(store.depths[row]))
    handles = [
        Patch(color=colour, label=f"{name}, {labels.TITLES.get(name, name)}")
        for name, colour in zip(store.cohort.regions, COLOURS, strict=False)
    ]
    drawing.legend(handles=handles, loc="outside lower right", ncols=len(handles), fontsize=8.5, frameon=False)
    if phantom:
        drawing.text(0.005, 0.02, "phantom, not a patient", fontsize=8.5, color=INK)
    return drawing


def show_picture(pixels: np.ndarray, alt: str, phantom: bool) -> Drawing:
    """Any picture ``(H, W, 3)`` uint8 of an exam, as it is; it counts as a patient's unless it is the phantom's."""
    height, width = pixels.shape[:2]
    drawing = Drawing(WIDTH_INCHES * height / width, alt, "phantom" if phantom else "patients")
    drawing.set_layout_engine("none")  # the picture fills it
    axes = drawing.add_axes((0, 0, 1, 1))
    axes.imshow(pixels)
    axes.axis("off")
    return drawing


def show_case(store: Store, case_id: str, probability: np.ndarray | None = None, threshold: float = 0.5) -> Drawing:
    """Every slice of one exam with the expert's outline, and the prediction's where it is given.

    Args:
        probability: ``(Z, size, size)`` uint8, 255 = 1, at the size of ``store``.
    """
    rows = store.rows_of(case_id)
    count = rows.stop - rows.start
    alt = f"All {count} slices of one patient with the outline of the tumour."
    drawing, panels = _grid(store, count, MONTAGE_COLUMNS, alt, 0.0, probability is not None)
    for axes, z in zip(panels, range(count), strict=False):
        predicted = None if probability is None else probability[z] > threshold * 255
        _draw(axes, store.images[rows.start + z, ..., store.cohort.reference], "", store.masks[rows.start + z], predicted)
        axes.text(
            0.04,
            0.96,
            str(store.slices.slice.iloc[rows.start + z]),
            transform=axes.transAxes,
            color="white",
            fontsize=7,
            va="top",
        )
    return drawing


def show_predictions(
    store: Store, probabilities: Mapping[str, np.ndarray], slice_numbers: Mapping[str, np.ndarray], threshold: float = 0.5
) -> Drawing:
    """A column a case: its slice of largest tumour plain above, and below it truth and prediction outlined.

    Args:
        probabilities: ``case_id -> (Z, size, size)`` uint8, 255 = 1, at the size of ``store``.
        slice_numbers: ``case_id -> (Z,)``, the numbers of the planes predicted.
    """
    columns = max(len(probabilities), MIN_COLUMNS)
    alt = f"Predicted and true outlines in {len(probabilities)} patients."
    drawing, panels = _grid(store, 2 * columns, columns, alt, TITLE_INCHES, network=True)
    for column, (case_id, probability) in enumerate(probabilities.items()):
        rows = store.rows_at(case_id, np.asarray(slice_numbers[case_id]))
        truth, predicted = store.masks[rows].astype(bool), probability > threshold * 255
        z = int(truth.sum(axis=(1, 2)).argmax())
        hit, invented, missed = (int(part.sum()) for part in (truth & predicted, ~truth & predicted, truth & ~predicted))
        dice = float(overlap.dice(hit, invented, missed))
        title = f"{patient_label(case_id)}, slice {slice_numbers[case_id][z]}\nDice of the patient {dice:.2f}"
        _draw(panels[column], store.images[rows[z], ..., store.cohort.reference], title)
        below = panels[column + columns]
        _draw(below, store.images[rows[z], ..., store.cohort.reference], "", truth[z], predicted[z])
    return drawing


def best_median_worst(cases: pd.DataFrame, worst: int = 2) -> list[str]:
    """The case of best Dice, the middle one, and the ``worst`` ones, from a table with ``case_id`` and ``dice``."""
    ordered = cases.sort_values("dice", ascending=False).case_id.tolist()
    return list(dict.fromkeys([ordered[0], ordered[len(ordered) // 2], *ordered[-worst:]]))


def _grid(
    store: Store, count: int, columns: int, alt: str, title_inches: float = TITLE_INCHES, network: bool = False
) -> tuple[Drawing, list[Axes]]:
    """Square panels in rows, all blank, under a line that names the outlines and says whether this is a phantom.

    ``title_inches`` is the room above each row.
    """
    phantom = store.cohort.phantom
    lines = -(-count // columns)
    height = lines * (WIDTH_INCHES / columns + title_inches) + 0.28
    drawing = Drawing(height, ("Phantom, not a patient. " if phantom else "") + alt, "phantom" if phantom else "patients")
    drawing.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    panels = list(drawing.subplots(lines, columns, squeeze=False).flat)
    for axes in panels:
        axes.set_axis_off()
    outlines = {"expert": TRUTH} | ({"network": PREDICTED} if network else {})
    handles = [Line2D([], [], color=colour, label=name) for name, colour in outlines.items()]
    drawing.legend(handles=handles, loc="outside upper right", ncols=2, fontsize=8.5, frameon=False, borderpad=0.1)
    if phantom:
        drawing.text(0.005, 0.997, "phantom, not a patient", fontsize=8.5, color=INK, va="top")
    return drawing, panels


def _draw(
    axes: Axes, plane: np.ndarray, title: str, truth: np.ndarray | None = None, predicted: np.ndarray | None = None
) -> None:
    """One plane ``(H, W)`` uint8 in grey; masks in {0, 1} as outlines."""
    axes.imshow(plane, cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
    axes.set_title(title, fontsize=8.5, color=INK, pad=3)
    for mask, colour in ((truth, TRUTH), (predicted, PREDICTED)):
        if mask is not None and mask.any():
            axes.contour(mask.astype(float), levels=[0.5], colors=[colour], linewidths=1.2)
